"""What the transports say: the rule of red and blue, and raw images compressed whole."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels import transport
from mediaref_tools.pixels.transport import channels_are_swapped, unpack_zstd

COLOURS = ("rgb8", "bgr8", "rgba8", "bgra8", "rgb16", "bgr16", "rgba16", "bgra16")
OTHERS = (
    "mono8", "mono16", "8UC1", "8UC3", "8UC4", "16UC1", "32FC1", "bayer_rggb8", "bayer_gbrg16", "yuv422", "uyvy",
    "yuyv", "nv12", "nv21", "", "RGB8", "BGR8", "rgb888", " rgb8", "rgb8 ", "jpeg",
)  # fmt: skip
ORDINARY = (
    "; jpeg compressed bgr8", "; png compressed bgr16", "; png compressed bgra8", "; tiff compressed bgra16",
    ";jpeg compressed bgr8", "; jpeg compressed bgr", "; a; compressed bgr8",
)  # fmt: skip
SWAPPED = (
    "; jpeg compressed", "; jpeg compressed ", "; jpeg compressed rgb8", "; png compressed rgb16", "; png compressed ",
    "; jpeg compressed mono8", "; jpeg compressed  bgr8", "; jpeg compressed BGR8", "; jpeg bgr8", "; jpeg", ";",
)  # fmt: skip


def test_the_whole_table() -> None:
    """Eight sources that are colour, by what follows; all others never, whatever follows."""
    for source in COLOURS:
        assert {each for each in SWAPPED + ORDINARY if channels_are_swapped(source + each)} == set(SWAPPED), source
    for source in OTHERS:
        assert not [each for each in SWAPPED + ORDINARY if channels_are_swapped(source + each)], source


@pytest.mark.parametrize(
    "image_format",
    ["", "jpeg", "jpg", "png", "webp", "image/jpeg", "rgb8", "bgr8", "rgb8 jpeg compressed", "compressed bgr8"],
)
def test_formats_without_a_source(image_format: str) -> None:
    assert not channels_are_swapped(image_format)


Array = NDArray[np.uint8]


def converted(image: Array, code: str) -> Array:
    """cv::cvtColor between three and four channels, told by its code's two orders."""
    before, after = code.split("2")
    values = {name: image[..., index] for index, name in enumerate(before)} | {"A": np.full(image.shape[:2], 255)}
    return np.stack([values[name] for name in after], axis=-1).astype(np.uint8)


def subscribed(file: Array, image_format: str) -> Array:
    """What the subscriber shows of an RGB file, as red, green and blue: its branches, one by one."""
    memory = file[..., ::-1]  # OpenCV decodes to BGR
    source, suffix = image_format.split(";")
    channels = source.rstrip("168")
    if "compressed bgr" in suffix:
        code = {"rgb": "BGR2RGB", "rgba": "BGR2RGBA", "bgra": "BGR2BGRA"}.get(channels)
    else:
        code = {"bgr": "RGB2BGR", "bgra": "RGB2BGRA", "rgba": "RGB2RGBA"}.get(channels)
    memory = converted(memory, code) if code else memory
    return np.stack([memory[..., channels.index(name)] for name in "rgb"], axis=-1)


@pytest.mark.parametrize("source", COLOURS)
@pytest.mark.parametrize("suffix", ["; jpeg compressed bgr8", "; jpeg compressed ", "; png compressed rgb8"])
def test_as_the_subscriber_shows_it(source: str, suffix: str) -> None:
    file = np.array([[[200, 100, 50]]], np.uint8)
    shown = subscribed(file, source + suffix)
    assert np.array_equal(shown, file[..., ::-1] if channels_are_swapped(source + suffix) else file)
    assert shown[0, 0, 1] == 100


def payload(
    raw: bytes,
    coded: Callable[[bytes], bytes] = gzip.compress,
    *,
    size: tuple[int, int] = (3, 4),
    step: int = 12,
    encoding: bytes = b"bgr8",
    big: int = 0,
) -> bytes:
    return struct.pack("<IIBII", *size, big, step, len(encoding)) + encoding + coded(raw)


def message(data: bytes | memoryview, encoding: str = "zstd") -> ImageValue:
    return ImageValue(data, encoding, "file", stamp_ns=7, frame_id="cam", type="sensor_msgs/msg/CompressedImage")


RAW = bytes(range(36))


def streamed(raw: bytes) -> bytes:
    """A zstd frame that does not say how much it holds."""
    coder = zstandard.ZstdCompressor().compressobj()
    return coder.compress(raw) + coder.flush()


CODED: list[Callable[[bytes], bytes]] = [gzip.compress, zlib.compress, zstandard.compress, streamed]
each_coding = pytest.mark.parametrize("coded", CODED, ids=["gzip", "zlib", "zstd", "zstd without size"])


@each_coding
def test_zstd(coded: Callable[[bytes], bytes]) -> None:
    data = payload(RAW, coded)
    for form in (data, memoryview(data)):
        image = unpack_zstd(message(form))
        assert bytes(image.data) == RAW
        assert (image.kind, image.encoding) == ("raw", "bgr8")
        assert (image.height, image.width, image.step, image.is_bigendian) == (3, 4, 12, False)
        assert (image.stamp_ns, image.frame_id, image.type) == (7, "cam", "sensor_msgs/msg/CompressedImage")
    assert unpack_zstd(message(payload(RAW, coded, big=1, encoding=b"mono16"), "ZSTD")).is_bigendian


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_zlib(level: int) -> None:
    """The second byte of a zlib stream changes with its level: 7801, 785E, 789C, 78DA."""
    assert bytes(unpack_zstd(message(payload(RAW, lambda raw: zlib.compress(raw, level)))).data) == RAW


@each_coding
def test_padding_planes_and_what_trails(coded: Callable[[bytes], bytes]) -> None:
    for size, encoding in ((36 + 4, b"bgr8"), (36 + 18, b"nv12"), (36 * 3, b"nv24")):
        raw = bytes(range(size))
        assert bytes(unpack_zstd(message(payload(raw, coded, size=(3, 12), encoding=encoding))).data) == raw


@each_coding
def test_cut(coded: Callable[[bytes], bytes]) -> None:
    data = payload(RAW, coded)
    for size in range(len(data) if coded is not gzip.compress else len(data) - 8):
        with pytest.raises(ImageError, match="zstd image"):
            unpack_zstd(message(data[:size]))


@each_coding
def test_bombs(coded: Callable[[bytes], bytes]) -> None:
    with pytest.raises(ImageError, match=r"zstd image (expands|of)"):
        unpack_zstd(message(payload(bytes(50_000_000), coded)))


@pytest.mark.parametrize(
    ("height", "width", "step"),
    [(0, 4, 12), (3, 0, 12), (3, 4, 0), (2**32 - 1, 1, 1), (2**16, 2**16, 1), (2**14, 1, 2**32 - 1), (1, 1, 2**29)],
)
def test_sizes_that_can_not_be(height: int, width: int, step: int) -> None:
    with pytest.raises(ImageError, match=f"{width}x{height} pixels, step {step}"):
        unpack_zstd(message(payload(RAW, size=(height, width), step=step)))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (payload(RAW[:-1]), "35 bytes, less than step 12 x height 3"),
        (payload(RAW, lambda raw: raw), "can't be expanded"),
        (payload(RAW, lambda raw: b"\x28\xb5\x2f\xfd" + raw), "can't be expanded"),
        (payload(RAW, lambda raw: b"\x1f\x8b" + raw), "can't be expanded"),
        (payload(RAW, encoding=b"\xff\xfe"), "no text"),
        (payload(RAW, encoding=b"a" * 300), "no encoding"),
        (struct.pack("<IIBII", 3, 4, 0, 12, 2**32 - 1) + b"bgr8" + gzip.compress(RAW), "no encoding"),
        (b"", "of 0 bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_damage(data: bytes, match: str) -> None:
    with pytest.raises(ImageError, match=match):
        unpack_zstd(message(data))


def test_other_formats() -> None:
    with pytest.raises(ImageError, match="format 'jpeg'"):
        unpack_zstd(message(payload(RAW), "jpeg"))


def test_a_window_larger_than_its_frame_needs() -> None:
    """Memory is bounded by the frame's own header, too: a window of 2 GB is refused, not allocated."""
    header = b"\x28\xb5\x2f\xfd" + bytes([0x00, (31 - 10) << 3]) + b"\x01\x00\x00"
    with pytest.raises(ImageError, match="can't be expanded"):
        unpack_zstd(message(payload(b"", lambda _: header)))


def test_a_gzip_that_is_longer_than_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_SLACK", 4)
    unpack_zstd(message(payload(bytes(36 + 24 + 4))))
    with pytest.raises(ImageError, match="more than the 64 bytes"):
        unpack_zstd(message(payload(bytes(36 + 24 + 5))))
