"""compressedDepth: payloads put together by struct and Pillow, and those of recorded logs."""

from __future__ import annotations

import io
import random
import struct
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from rosbags.highlevel import AnyReader

from mediaref_tools.errors import ImageError
from mediaref_tools.pixels import file
from mediaref_tools.pixels.depth import DepthImage, depth_bytes, is_depth, read_depth
from tests.pixels.test_rvl import encoded
from tests.reallogs import real_log
from tests.smallimages import colours, png, png16, saved

A, B = 10100.0, -1009.0  # the transport's own defaults: Z0 = 100, at most 10 m
HEADER = struct.pack("<iff", 0, A, B)


def depth(height: int = 12, width: int = 17) -> NDArray[np.uint16]:
    """Every byte differs from its neighbours, so that no wrong byte order or stride goes unseen; with holes."""
    values = np.random.default_rng(4).integers(1, 2**16, (height, width)).astype(np.uint16)
    values[::3, ::5] = 0
    values[1, 1:3] = (1, 65535)
    return values


@pytest.mark.parametrize("header", [HEADER, b"", struct.pack("<iff", -1, 0, 0)], ids=["header", "bare", "undefined"])
@pytest.mark.parametrize(
    ("coding", "image_format"),
    [
        ("png", "16UC1; compressedDepth png"),
        ("png", "16UC1; compressedDepth"),
        ("png", "compressedDepth"),
        ("png", "mono16; compressedDepth png"),
        ("png", "16uc1; COMPRESSEDDEPTH PNG"),
        ("png", "16UC1;compressedDepth rvl"),  # its bytes say otherwise
        ("rvl", "16UC1; compressedDepth rvl"),
        ("rvl", "16UC1; COMPRESSEDDEPTH RVL"),
        ("rvl", "16UC1; compressedDepth"),
        ("rvl", "compressedDepth"),
        ("rvl", "16UC; compressedDepth rvl"),
    ],
)
def test_integers(coding: str, image_format: str, header: bytes) -> None:
    values = depth()
    data = header + (png16(values) if coding == "png" else encoded(values))
    for form in (data, memoryview(data)):
        image = read_depth(form, image_format)
        assert image.stored.dtype == np.uint16
        assert np.array_equal(image.stored, values)
        assert not image.quantised
    assert is_depth(image_format)


def test_millimetres() -> None:
    metres = read_depth(HEADER + png16(np.array([[0, 1, 1500, 65535]], np.uint16)), "16UC1; compressedDepth").metres()
    assert metres.dtype == np.float32
    assert np.isnan(metres[0, 0])
    assert metres[0, 1:].tolist() == [np.float32(0.001), 1.5, np.float32(65.535)]


@pytest.mark.parametrize("coding", ["png", "rvl"])
@pytest.mark.parametrize(
    "image_format", ["32FC1; compressedDepth {}", "32fc1; CompressedDepth {}", "32FC;compressedDepth"]
)
def test_metres_of_inverse_depth(coding: str, image_format: str) -> None:
    values = np.array([[0, 1, 2, 9091, 65535]], np.uint16)
    data = HEADER + (png16(values) if coding == "png" else encoded(values))
    image = read_depth(data, image_format.format(coding))
    assert image.quantised
    assert (float(image.a), float(image.b)) == (A, B)
    assert isinstance(image.a, np.float32)
    assert isinstance(image.b, np.float32)
    metres = image.metres()
    assert metres.dtype == np.float32
    assert np.isnan(metres[0, 0])
    # 10100 / (q + 1009), by hand
    assert metres[0, 1:].tolist() == pytest.approx([10.0, 9.990109, 1.0, 0.1517794], rel=1e-6)


def test_metres_come_back() -> None:
    """Quantised as the publisher does it: a step of q is 10 mm at 10 m, and less nearer by the square of depth."""
    metres = np.linspace(0.3, 9.9, 5000, dtype=np.float32).reshape(50, 100)
    stored = (np.float32(A) / metres + np.float32(B)).astype(np.uint16)
    back = read_depth(depth_bytes(stored, "rvl", a=A, b=B), "32FC1; compressedDepth rvl").metres()
    assert (np.abs(back - metres) <= metres**2 / A + 1e-5).all()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (10.0, 5.0, [np.nan, np.nan, 10.0, 10 / 65530]),  # below B, and at it
        (10.0, 70000.0, [np.nan, np.nan, np.nan, np.nan]),
        (3e38, 5.5, [np.nan, np.nan, np.nan, 3e38 / 65529.5]),  # one that is too large for a float
    ],
)
def test_headers_that_are_odd(a: float, b: float, expected: list[float]) -> None:
    stored = np.array([[0, 5, 6, 65535]], np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metres = read_depth(depth_bytes(stored, a=a, b=b), "32FC1; compressedDepth png").metres()[0]
    assert np.allclose(metres, expected, rtol=1e-6, equal_nan=True)


@pytest.mark.parametrize("quantisation", [None, (0, 0), (-1, 0), (np.nan, 0), (np.inf, 0), (5, np.nan), (5, -np.inf)])
def test_metres_that_nobody_can_tell(quantisation: tuple[float, float] | None) -> None:
    header = struct.pack("<iff", 0, *quantisation) if quantisation else b""
    image = read_depth(header + png16(depth()), "32FC1; compressedDepth png")
    assert np.array_equal(image.stored, depth())
    with pytest.raises(ImageError, match="has no metres"):
        image.metres()
    assert read_depth(header + png16(depth()), "16UC1; compressedDepth png").metres()[1, 1] == np.float32(0.001)


@pytest.mark.parametrize(
    "image_format", ["16UC1", "", "jpeg", "rgb8; jpeg compressed bgr8", "16UC1; png compressed ", "depth"]
)
def test_other_formats(image_format: str) -> None:
    assert not is_depth(image_format)
    with pytest.raises(ImageError, match="names no depth"):
        read_depth(HEADER + png16(depth()), image_format)


@pytest.mark.parametrize("source", ["rgb8", "8UC1", "64FC1", "32FC3", "16UC2", "132FC1"])
def test_sources_that_are_no_depth(source: str) -> None:
    with pytest.raises(ImageError, match="no source that is known"):
        read_depth(HEADER + png16(depth()), f"{source}; compressedDepth png")


@pytest.mark.parametrize(
    "data",
    [
        saved(depth().astype(np.uint8), "png"),
        saved(colours(), "png"),
        saved(colours(channels=4), "png"),
        png16(np.zeros((3, 4, 2), np.uint16)),
        png16(np.zeros((3, 4, 3), np.uint16)),
        png(8, 1, 1, 0, b"\0\xaa"),
    ],
    ids=["8 bit", "colour", "alpha", "gray with alpha", "deep colour", "1 bit"],
)
def test_pictures_that_are_no_depth(data: bytes) -> None:
    for header in (HEADER, b""):
        with pytest.raises(ImageError, match="expected 16-bit gray"):
            read_depth(header + data, "16UC1; compressedDepth png")


@pytest.mark.parametrize("coding", ["png", "rvl"])
def test_cut(coding: Literal["png", "rvl"]) -> None:
    data = depth_bytes(depth(), coding)
    # A PNG that lacks its empty last chunk and nothing else has all of its pixels.
    whole = {len(data) - 12} if coding == "png" else set()
    for size in set(range(len(data))) - whole:
        with pytest.raises(ImageError):
            read_depth(data[:size], f"16UC1; compressedDepth {coding}")
    for size in whole:
        assert np.array_equal(read_depth(data[:size], "16UC1; compressedDepth png").stored, depth())
    with pytest.raises(ImageError):
        read_depth(b"", "compressedDepth")


def test_a_jpeg_is_no_png() -> None:
    with pytest.raises(ImageError, match="no PNG at its start or byte 12"):
        read_depth(HEADER + saved(colours(), "jpeg"), "16UC1; compressedDepth png")


def test_holes_alone() -> None:
    """Twenty-four bytes: the transport's own subscriber refuses them, as if no picture could be so small."""
    data = depth_bytes(np.zeros((480, 640), np.uint16), "rvl")
    assert len(data) == 24
    assert not read_depth(data, "16UC1; compressedDepth rvl").stored.any()


def test_sizes_that_can_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ((0, 5), (2**31, 2), (2**16, 2**16)):
        with pytest.raises(ImageError, match="pixels are handled"):
            read_depth(HEADER + struct.pack("<II", *size) + bytes(64), "16UC1; compressedDepth rvl")
    huge = png(60000, 60000, 16, 0, b"\0" * 120001)
    with pytest.raises(ImageError):
        read_depth(HEADER + huge, "16UC1; compressedDepth png")
    monkeypatch.setattr(file, "MAX_PIXELS", 12 * 17 - 1)
    with pytest.raises(ImageError):
        read_depth(HEADER + png16(depth()), "16UC1; compressedDepth png")


def test_rubbish_raises_nothing_else() -> None:
    rng = random.Random(8)
    whole = [(depth_bytes(depth(), "png", a=A, b=B), "png"), (depth_bytes(depth(), "rvl", a=A, b=B), "rvl")]
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in range(400):
            data, coding = whole[index % 2]
            spoilt = bytearray(data)
            for _ in range(rng.randrange(1, 4)):
                spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
            try:
                read_depth(bytes(spoilt), f"32FC1; compressedDepth {coding}").metres()
                outcomes.add((coding, "read"))
            except ImageError:
                outcomes.add((coding, "refused"))
    assert outcomes == {(coding, what) for coding in ("png", "rvl") for what in ("read", "refused")}


@pytest.mark.parametrize("coding", ["png", "rvl"])
@pytest.mark.parametrize("header", [True, False])
def test_written_payloads(coding: Literal["png", "rvl"], header: bool) -> None:
    values = depth()
    data = depth_bytes(values, coding, a=A, b=B, header=header)
    assert data[:12] == HEADER if header else data[:12] != HEADER
    rest = data[12:] if header else data
    if coding == "rvl":
        assert rest == encoded(values)
    else:
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(rest))), values)
    assert np.array_equal(read_depth(data, f"16UC1; compressedDepth {coding}").stored, values)


@pytest.mark.parametrize("values", [depth().astype(np.int32), depth()[0], depth()[:0], depth().astype(np.uint8)])
@pytest.mark.parametrize("coding", ["png", "rvl"])
def test_what_can_not_be_written(values: Any, coding: Literal["png", "rvl"]) -> None:
    with pytest.raises(ImageError, match="expected uint16"):
        depth_bytes(values, coding)


def test_repr() -> None:
    assert repr(read_depth(HEADER + png16(depth()), "32FC1; compressedDepth")) == (
        "DepthImage(17x12, quantised, a=10100.0, b=-1009.0)"
    )
    assert repr(read_depth(png16(depth()), "compressedDepth")) == "DepthImage(17x12, millimetres)"


def depths(path: Path) -> list[tuple[bytes, str]]:
    with AnyReader([path]) as reader:
        wanted = [each for each in reader.connections if each.msgtype == "sensor_msgs/msg/CompressedImage"]
        messages = [reader.deserialize(data, c.msgtype) for c, _, data in reader.messages(wanted)]
    return [(bytes(message.data), message.format) for message in messages if "compressedDepth" in message.format]


@pytest.mark.parametrize("log", ["ros1/handheld_rgbd_jpeg_cdepth.bag", "ros2/handheld_sqlite3_v9"])
def test_recorded_depth(log: str) -> None:
    found = depths(real_log(log))
    assert len(found) >= 60
    for data, image_format in found:
        image: DepthImage = read_depth(data, image_format)
        assert np.array_equal(image.stored, np.asarray(Image.open(io.BytesIO(data[12:]))))
        assert image.stored.shape == (480, 640)
        metres = image.metres()
        filled = metres[~np.isnan(metres)]
        assert len(filled) > 0.5 * metres.size
        # This camera says 65535 for some pixels that it could not measure: they stay what they are.
        assert 0.1 < filled.min() < 0.3
        assert 1 < np.median(filled) < np.quantile(filled, 0.99) < 10
        again = read_depth(depth_bytes(image.stored, "rvl"), "16UC1; compressedDepth rvl")
        assert np.array_equal(again.stored, image.stored)
        assert np.array_equal(again.metres(), metres, equal_nan=True)
