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
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.export.export import export_frames
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.play.stage import Stage
from mediaref_tools.sample import START_NS, SampleMessage, header, write_log
from mediaref_tools.samples.imagefiles import FileEncoding, can_write, image_file
from mediaref_tools.samples.rawimages import raw_image, raw_pixels
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
FRAMES: Final = 4
GOP: Final = 2
PATCH: Final = 64  # larger than the largest transform of chroma
STEP_NS: Final = 40_000_000

ALLOWED: Final = 2
"""Levels of 255 that a patch may be off, in any channel."""
RIPPLES: Final = {"av1": 6}
"""The same for its single pixels: libsvtav1 at its default crf leaves waves of one level of chroma, which are two of
blue, around what a patch has."""
ROUNDED: Final = 0.5
"""What a cell of the terminal may be off on top: it is the rounded mean of its pixels, ripples among them."""


def patches(number: int) -> Pixels:
    """The colours of a frame, (16, 3): in other places in each group of pictures, the same in both of its frames."""
    return np.roll(PATCHES, 5 * (number // GOP), axis=0)


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
        settings = Settings(codec=codec, gop=GOP, debayer=True)
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
        stage.lay_out(32, None)
        for number in range(FRAMES):
            paper = Cells(32, None)
            paper.feed("\r\n".join(stage.page([number])))
            out += paper.pictures()
    return out


READERS: Final[tuple[Callable[[Path, str], list[Pixels]], ...]] = (
    by_the_reader, by_pyav, by_video_decoder, by_pillow, by_the_player,
)  # fmt: skip


def check(frames: list[Pixels] | Pixels, name: str, codec: str, allowed: float = ALLOWED) -> None:
    assert len(frames) == FRAMES
    for number, rgb in enumerate(frames):
        error = middles(rgb) - expected(name, number)
        patch, pixel = np.abs(np.median(error, axis=1)), np.abs(error)
        worst = int(patch.max(axis=1).argmax())
        told = f"frame {number}: {patches(number)[worst].tolist()} is off by {np.median(error[worst], axis=0).tolist()}"
        assert patch.max() <= allowed, told
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
    frames = read(datasets[codec], name)
    if name == "jpeg-swapped" and codec in ("lossless", "copy") and read in (by_pyav, by_video_decoder):
        # The file is in the segment as it was: what says that its channels are swapped is its message.
        frames = [rgb[..., ::-1] for rgb in frames]
    check(frames, name, codec, ALLOWED + ROUNDED if read is by_the_player else ALLOWED)


@pytest.mark.parametrize("read", [by_the_reader, by_pillow, by_the_player], ids=lambda read: read.__name__)
@pytest.mark.parametrize("name", MOSAICS)
def test_colours_of_mosaics_that_stay_mosaics(
    datasets: dict[str, Path], name: str, read: Callable[[Path, str], list[Pixels]]
) -> None:
    """Not by PyAV and VideoDecoder: in the segment is the mosaic, gray, which only our reader knows for one."""
    check(read(datasets["mosaics"], name), name, "mosaics")


@pytest.fixture(scope="module")
def in_chromium(
    datasets: dict[str, Path], faulty: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Pixels | str]:
    """What Chromium shows of each segment, by "codec-source", and of each faulty file."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium, chromium-browser or google-chrome: a browser's colours are not looked at")
    videos = {f"{codec}-{name}": segment(datasets[codec], name) for codec in CODECS for name in SOURCES}
    middles_s = [(number + 0.5) * STEP_NS / 1e9 for number in range(FRAMES)]
    return seen({**videos, **faulty}, middles_s, tmp_path_factory.mktemp("chromium"))


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("name", [name for name in SOURCES if name != "rgb16"])
def test_colours_in_chromium(in_chromium: dict[str, Pixels | str], name: str, codec: str) -> None:
    frames = in_chromium[f"{codec}-{name}"]
    assert not isinstance(frames, str), frames
    check(frames, name, codec)


@pytest.mark.parametrize("codec", ["lossless", "copy"])
@pytest.mark.parametrize("name", ["rgb8", "uyvy", "rgb16", "jpeg", "png"])
def test_chromium_plays_no_ffv1_nor_image_files(in_chromium: dict[str, Pixels | str], name: str, codec: str) -> None:
    """If it does one day, this fails, and docs/caveats.md is to be changed."""
    told = in_chromium[f"{codec}-{name}"]
    assert isinstance(told, str)
    assert "no supported streams" in told


def faulty_file(path: Path, fault: str) -> Path:
    """The chart as a segment would be that has a fault, or none."""
    limited = fault == "limited-as-full"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 4 * PATCH
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.gop_size = GOP
        context.max_b_frames = 0
        context.color_range = ColorRange.UNSPECIFIED if fault == "no-range" else ColorRange.JPEG
        context.colorspace = Colorspace.ITU709 if fault == "another-matrix" else Colorspace.ITU601
        context.color_primaries = 2 if fault == "no-primaries" else 1
        context.color_trc = 13
        for number in range(FRAMES):
            rgb = chart(number)[..., ::-1] if fault == "swapped-channels" else chart(number)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=ColorRange.MPEG if limited else ColorRange.JPEG,
                interpolation=0x02 | 0x40000,
            )
            frame.color_range, frame.colorspace = context.color_range, context.colorspace
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


FAULTS: Final = ("no-range", "another-matrix", "swapped-channels", "limited-as-full")


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("faulty")
    return {fault: faulty_file(root / f"{fault}.mp4", fault) for fault in ("none", "no-primaries", *FAULTS)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_would_be_seen(faulty: dict[str, Path], fault: str) -> None:
    """That these tests can fail: each of the faults that colours are known for is more than what is allowed."""
    shown = {}
    for name, path in faulty.items():
        with av.open(str(path)) as container:
            shown[name] = [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]
    assert off(shown["none"]) <= ALLOWED + 1
    assert off(shown[fault]) > 4 * ALLOWED


@pytest.mark.parametrize("fault", ["no-primaries", *FAULTS])
def test_a_fault_would_be_seen_in_chromium(in_chromium: dict[str, Pixels | str], fault: str) -> None:
    """Without primaries Chromium believes none of the other tags, and takes the range to be limited."""
    none, shown = in_chromium["none"], in_chromium[fault]
    assert not isinstance(none, str)
    assert not isinstance(shown, str)
    assert off(none) <= ALLOWED + 1
    assert off(shown) > 4 * ALLOWED


def off(frames: list[Pixels] | Pixels) -> float:
    """How far the worst patch is off the chart."""
    errors = [np.median(middles(rgb), axis=1) - patches(number) for number, rgb in enumerate(frames)]
    return float(np.abs(errors).max())
