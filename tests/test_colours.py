"""A chart of sixteen colours through every path: what anybody sees at its end is what the source shows."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, get_args

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.dataset import open_dataset
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.export.export import export_frames
from mediaref_tools.imagefiles import FileEncoding, can_write, image_file
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.play.stage import Stage
from mediaref_tools.rawimages import raw_image, raw_pixels
from mediaref_tools.sample import START_NS, SampleMessage, header, write_log
from tests.browser import CHROMIUM, seen
from tests.pixels.test_picture import PATCHES
from tests.screens import Cells

Pixels = NDArray[np.uint8]

CODECS: Final = ("h264", "av1", "lossless", "copy")
MOSAICS: Final = ("bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8", "bayer_rggb16")
YUV: Final = ("uyvy", "yuyv", "nv12", "nv21", "nv24", "i420")
RAW: Final = ("rgb8", "bgr8", "rgba8", "8UC3", "rgb16", *YUV, *MOSAICS)
FILES: Final = tuple(
    name for name in ("jpeg", "jpeg-422", "jpeg-444", "jpeg-swapped", "png", "webp", "webp-lossless") if can_write(name)
)
SOURCES: Final = (*RAW, *FILES)
FRAMES: Final = 3
PATCH: Final = 64  # larger than the largest transform of chroma
STEP_NS: Final = 40_000_000

ALLOWED: Final = 2
"""Levels of 255 that a patch may be off, in any channel."""
RIPPLES: Final = {"av1": 4}
"""The same for its single pixels: libsvtav1 at its default crf leaves waves of one level of chroma, which are two of
blue, around what a patch has."""


def patches(number: int) -> Pixels:
    """The colours of a frame, (16, 3): each frame has them in other places."""
    return np.roll(PATCHES, 5 * number, axis=0)


def chart(number: int) -> Pixels:
    return patches(number).reshape(4, 4, 3).repeat(PATCH, 0).repeat(PATCH, 1)


def middles(rgb: NDArray[Any]) -> NDArray[np.int64]:
    """The middle quarter of each patch, (16, N, 3): at their edges chroma is blurred, as in every 4:2:0 picture."""
    rows = rgb.reshape(4, rgb.shape[0] // 4, 4, -1, 3).swapaxes(1, 2).reshape(16, rgb.shape[0] // 4, -1, 3)
    edge = rows.shape[1] * 3 // 8
    return rows[:, edge:-edge, edge:-edge].reshape(16, -1, 3).astype(np.int64)


@cache
def source(name: str, number: int) -> tuple[str, bytes, int]:
    """What a message holds: its encoding or format, its data, and its step."""
    if name in RAW:
        raw = raw_image(chart(number), name)
        return raw.encoding, raw.data, raw.step
    # With swapped channels as such a message has them: what it shows is the chart all the same.
    picture = image_file(chart(number), name, quality=100)
    return picture.format, picture.data, 0


@cache
def expected(name: str, number: int) -> NDArray[np.int64]:
    """What the source itself shows, (16, 1, 3)."""
    if name in MOSAICS:
        shown: NDArray[Any] = chart(number)  # flat, so that every neighbour has the missing colours
    elif name in RAW:
        shown = raw_pixels(chart(number), name)
        shown = shown >> 8 if shown.dtype == np.uint16 else shown
    else:
        with Image.open(io.BytesIO(source(name, number)[1])) as image:
            shown = np.asarray(image.convert("RGB"))
        shown = shown[..., ::-1] if name == "jpeg-swapped" else shown
    return middles(shown)[:, :1]


def messages(names: tuple[str, ...]) -> list[SampleMessage]:
    out = []
    for name in names:
        for number in range(FRAMES):
            time_ns = START_NS + number * STEP_NS
            text, data, step = source(name, number)
            body = SimpleNamespace(header=header(time_ns, "chart"), data=np.frombuffer(data, np.uint8))
            if name in RAW:
                vars(body).update(encoding=text, height=4 * PATCH, width=4 * PATCH, is_bigendian=0, step=step)
            else:
                body.format = text
            kind = "Image" if name in RAW else "CompressedImage"
            out.append(SampleMessage(topic(name), f"sensor_msgs/msg/{kind}", time_ns, body))
    return out


def topic(name: str) -> str:
    return "/" + name.replace("-", "_")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dataset of every source by each codec, with its frames exported; "mosaics" keeps those as they are."""
    root = tmp_path_factory.mktemp("colours")
    log = write_log(root / "log.mcap", "mcap", messages(SOURCES))
    out = {}
    for codec in CODECS:
        settings = Settings(codec=codec, debayer=True)
        assert convert(log, root / codec, settings=settings).frames == FRAMES * len(SOURCES)
        out[codec] = root / codec
    convert(write_log(root / "mosaics.mcap", "mcap", messages(MOSAICS)), root / "mosaics")
    out["mosaics"] = root / "mosaics"
    for folder in out.values():
        with open_dataset(folder) as dataset:
            export_frames(dataset, folder.with_name(f"{folder.name}-export"))
    return out


def segment(folder: Path, name: str) -> Path:
    with open_dataset(folder) as dataset:
        (uri,) = {ref.uri for ref in dataset[topic(name)].refs}
    return folder / uri


def by_the_reader(folder: Path, name: str) -> list[Pixels]:
    with open_dataset(folder) as dataset:
        return list(dataset[topic(name)].batch(range(FRAMES), "rgb").data)


def by_pyav(folder: Path, name: str) -> list[Pixels]:
    with av.open(str(segment(folder, name))) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]


def by_video_decoder(folder: Path, name: str) -> list[Pixels]:
    with VideoDecoder(segment(folder, name)) as video:
        return [frame.data for _, frame in video.frames_at(video.pts_ns)]


def by_pillow(folder: Path, name: str) -> list[Pixels]:
    exported = folder.with_name(f"{folder.name}-export")
    return [np.asarray(Image.open(path)) for path in sorted(exported.glob(f"{topic(name)[1:]}/*.png"))]


def by_the_player(folder: Path, name: str) -> list[Pixels]:
    out = []
    with open_dataset(folder) as dataset:
        stage = Stage([dataset[topic(name)]], start_ns=START_NS, color=True)
        stage.lay_out(80, None)
        for number in range(FRAMES):
            paper = Cells(80, None)
            paper.feed("\r\n".join(stage.page([number])))
            out += paper.pictures()
    return out


READERS: Final[tuple[Callable[[Path, str], list[Pixels]], ...]] = (
    by_the_reader, by_pyav, by_video_decoder, by_pillow, by_the_player,
)  # fmt: skip


def check(frames: list[Pixels] | Pixels, name: str, codec: str) -> None:
    assert len(frames) == FRAMES
    for number, rgb in enumerate(frames):
        error = middles(rgb) - expected(name, number)
        patch, pixel = np.abs(np.median(error, axis=1)), np.abs(error)
        worst = int(patch.max(axis=1).argmax())
        told = f"frame {number}: {patches(number)[worst].tolist()} is off by {np.median(error[worst], axis=0).tolist()}"
        assert patch.max() <= ALLOWED, told
        assert pixel.max() <= RIPPLES.get(codec, ALLOWED), f"{told}; single pixels by {pixel.max()}"


def test_sources_show_the_chart() -> None:
    for name in SOURCES:
        allowed = 2 if name == "webp" else 1
        for number in range(FRAMES):
            assert np.abs(expected(name, number)[:, 0] - patches(number)).max() <= allowed, name
    assert set(FILES) <= set(get_args(FileEncoding))


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("name", SOURCES)
def test_colours_are_those_of_the_source(
    datasets: dict[str, Path], name: str, codec: str, read: Callable[[Path, str], list[Pixels]]
) -> None:
    check(read(datasets[codec], name), name, codec)


@pytest.mark.parametrize("read", [by_the_reader, by_pillow, by_the_player], ids=lambda read: read.__name__)
@pytest.mark.parametrize("name", MOSAICS)
def test_colours_of_mosaics_that_stay_mosaics(
    datasets: dict[str, Path], name: str, read: Callable[[Path, str], list[Pixels]]
) -> None:
    """Not by PyAV and VideoDecoder: in the segment is the mosaic, gray, which only our reader knows for one."""
    check(read(datasets["mosaics"], name), name, "mosaics")
