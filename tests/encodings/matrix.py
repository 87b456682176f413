"""One small topic of every encoding and of its odd forms; and, written down by hand, what shall become of each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from mcap.writer import Writer
from mcap_protobuf.schema import build_file_descriptor_set
from numpy.typing import NDArray

from mediaref_tools.sample import SampleMessage, numbered_image
from mediaref_tools.samples.encodings import ENCODINGS, ImageEncoding, numbered_pixels, numbered_topic
from mediaref_tools.samples.imagefiles import FileEncoding, can_write, quantised
from tests.smalllogs import times

__all__ = ["CASES", "COUNT", "Case", "messages", "places", "psnr", "same", "write_protobuf"]

COUNT = 8

Fate = Literal["lossy", "lossless", "kept"]

_FLOATS_AND_SUCH = {"32FC1", "64FC1", "8SC1", "16SC1", "32SC1", "8UC2", "32FC3"}
_UNREADABLE = _FLOATS_AND_SUCH - {"32FC1"}
_YUV = {"uyvy": (73, 96), "yuv422": (73, 96), "yuyv": (73, 96), "yuv422_yuy2": (73, 96),
        "nv12": (72, 96), "nv21": (72, 96), "i420": (72, 96), "nv24": (73, 97)}  # fmt: skip
_GRAY = {"mono8", "8UC1", "jpeg-gray", "png-gray"}
_DEPTH = {"16UC1", "32FC1", *(name for name in ENCODINGS if name.startswith("compressedDepth"))}
# Another spelling of the same thing, as drivers have it.
_SPELLINGS: dict[str, ImageEncoding] = {
    "RGB8": "rgb8", "rgb888": "rgb8", "bgr888": "bgr8", "8UC": "8UC1", "Mono8": "mono8", "16UC": "16UC1",
    "16uc1": "16UC1", "32FC": "32FC1", "32fc1": "32FC1", "16UC3": "bgr16", "16UC4": "bgra16", "yuy2": "yuyv",
    "UYVY": "uyvy", "yuv420": "i420", "yuv420p": "i420", "NV12": "nv12", "BAYER_GBRG8": "bayer_gbrg8",
}  # fmt: skip


@cache
def _values(encoding: ImageEncoding, size: tuple[int, int], first: int) -> NDArray[Any]:
    return np.stack([numbered_pixels(number, encoding, size) for number in range(first, first + COUNT)])


@cache
def _scene(size: tuple[int, int], first: int) -> NDArray[np.uint8]:
    return np.stack([numbered_image(number, *size[::-1]) for number in range(first, first + COUNT)])


_ALPHA = (np.arange(80)[:, None] * 3 + np.arange(100)[None]).astype(np.uint8)


class Case(NamedTuple):
    """A topic: what `numbered_topic` is told, and how the encoding is spelt ("" as it is)."""

    topic: str
    encoding: ImageEncoding
    first: int
    size: tuple[int, int]
    settings: dict[str, Any]
    spelling: str = ""
    see_through: bool = False

    @property
    def fate(self) -> Fate:
        """What the conversion makes of it by default."""
        name = self.encoding
        if name in _FLOATS_AND_SUCH or name.startswith("compressedDepth"):
            return "kept"
        deep = name.endswith("16") or name == "16UC1"
        lossless = deep or name.startswith("bayer") or name == "png-alpha" or self.see_through
        return "lossless" if lossless else "lossy"

    @property
    def is_file(self) -> bool:
        return self.encoding in get_args(FileEncoding)

    @property
    def is_yuv(self) -> bool:
        return self.encoding in _YUV

    @property
    def is_mosaic(self) -> bool:
        return self.encoding.startswith("bayer")

    @property
    def is_depth(self) -> bool:
        return self.encoding in _DEPTH

    @property
    def is_gray(self) -> bool:
        return self.encoding in _GRAY

    @property
    def readable(self) -> bool:
        """Whether the reader can give it out where it is kept: not floats that are no depth, nor without a formula."""
        headless = self.encoding.endswith("-32FC1") and not self.settings.get("depth_header", True)
        return self.encoding not in _UNREADABLE and not headless

    def numbers(self) -> range:
        return range(self.first, self.first + COUNT)

    def stored(self) -> NDArray[Any]:
        """The exact values that messages hold, (N, …): what "native" gives where nothing is lost."""
        values = _values(self.encoding, self.size, self.first)
        if self.encoding in ("rgba16", "bgra16"):
            return np.concatenate((values, np.full((*values.shape[:3], 1), 65535, np.uint16)), axis=3)
        if self.see_through:
            return np.concatenate((values, _ALPHA[: self.size[0], : self.size[1], None][None].repeat(COUNT, 0)), axis=3)
        return values

    def natural(self) -> NDArray[Any]:
        """What "natural" gives where nothing is lost; of a mosaic, the scene that it was made of."""
        if self.is_mosaic:
            return self.scene()
        values = self.stored()
        return values[..., :3] if values.shape[3:] == (4,) else values

    def scene(self) -> NDArray[np.uint8]:
        """(N, H, W, 3) uint8 RGB."""
        return _scene(self.size, self.first)

    def depth_integers(self) -> NDArray[np.uint16]:
        """The integers in a payload of compressedDepth, (N, H, W) uint16."""
        if self.encoding.endswith("16UC1"):
            return self.stored()
        return np.stack([quantised(rgb) for rgb in self.scene()])

    def messages(self) -> list[SampleMessage]:
        found = numbered_topic(
            self.topic, times(COUNT), encoding=self.encoding, size=self.size, first=self.first, **self.settings
        )
        for message in found:
            if self.spelling:
                message.body.encoding = self.spelling
            if self.see_through:
                height, width = self.size
                message.body.data = message.body.data.copy()
                rows = message.body.data[: height * message.body.step].reshape(height, -1)
                rows[:, 3 : 4 * width : 4] = _ALPHA[:height, :width]
        return found


def _cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, encoding: ImageEncoding, spelling: str = "", **settings: Any) -> None:
        see_through = settings.pop("see_through", False)
        topic = f"/t{len(found)}_{name}".replace("-", "_")
        size = _YUV.get(encoding, (73, 97))
        found.append(Case(topic, encoding, 50 * len(found), size, settings, spelling, see_through))

    for encoding in ENCODINGS:
        is_file = encoding in get_args(FileEncoding)
        if is_file and not can_write(encoding):
            continue
        add(encoding, encoding)
        if not is_file:  # the flag is often wrong on 8-bit data, which must not matter
            add(f"{encoding}_odd", encoding, step_padding=6, trailing=4, big_endian=True)
        elif encoding.startswith("compressedDepth"):
            add(f"{encoding}_bare", encoding, depth_header=False)
        elif encoding.startswith("zstd"):
            add(f"{encoding}_odd", encoding, step_padding=6, trailing=4)
    for spelling, encoding in _SPELLINGS.items():
        add(f"spelt_{spelling}", encoding, spelling)
    add("rgba_see_through", "rgba8", see_through=True)
    add("bgra_see_through", "bgra8", see_through=True, step_padding=6)
    return found


CASES = _cases()


def messages(chosen: Iterable[Case] = CASES) -> list[SampleMessage]:
    return [message for case in chosen for message in case.messages()]


def write_protobuf(path: Path, chosen: Iterable[Case]) -> Path:
    """The same pictures as Foxglove's RawImage and CompressedImage, in protobuf; RawImage has no big-endian flag."""
    with path.open("xb") as file:
        writer = Writer(file, chunk_size=200_000)
        writer.start("", "a test")
        for case in chosen:
            base = "CompressedImage" if case.is_file else "RawImage"
            kind = getattr(import_module(f"foxglove_schemas_protobuf.{base}_pb2"), base)
            schema = writer.register_schema(
                f"foxglove.{base}", "protobuf", build_file_descriptor_set(kind).SerializeToString()
            )
            channel = writer.register_channel(case.topic, "protobuf", schema)
            for message in case.messages():
                body = vars(message.body)
                names = ("format",) if case.is_file else ("encoding", "height", "width", "step")
                value = kind(frame_id="camera", data=body["data"].tobytes(), **{name: body[name] for name in names})
                value.timestamp.FromNanoseconds(message.log_time_ns)
                writer.add_message(channel, message.log_time_ns, value.SerializeToString(), message.log_time_ns)
        writer.finish()
    return path


def places(colours: str, size: tuple[int, int]) -> NDArray[np.int64]:
    """(H, W): which of red, green and blue, 0 to 2, each pixel of a mosaic is. `colours` are such as "rggb"."""
    down, across = np.mgrid[: size[0], : size[1]]
    return np.asarray(np.array(["rgb".index(colour) for colour in colours])[2 * (down % 2) + across % 2])


def same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays have the same type, shape and values, NaN among them."""
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def psnr(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Of 8-bit values, the worst picture's, in dB; 100 where they are the same."""
    axes = tuple(range(1, one.ndim))
    error = np.square(one.astype(float) - other.astype(float)).mean(axis=axes).max()
    return 10 * float(np.log10(255**2 / error)) if error else 100.0
