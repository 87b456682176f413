"""Frames as arrays: colours against the formulas that define them, resizing, planes."""

from __future__ import annotations

import itertools
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.errors import FrameError
from mediaref_tools.pixels.plane import plane
from mediaref_tools.pixels.raster import Raster, VideoFormat, check_size

LIMITED, FULL = ColorRange.MPEG, ColorRange.JPEG


def flat(y: int, u: int, v: int, kind: ColorRange, name: str = "yuv420p") -> av.VideoFrame:
    frame = av.VideoFrame(32, 16, name)
    frame.color_range, frame.colorspace = kind, Colorspace.ITU601
    for index, value in enumerate((y, u, v)):
        plane(frame, index)[:] = value
    return frame


def exact(y: int, u: int, v: int, kind: ColorRange) -> NDArray[np.float64]:
    """RGB by ITU-R BT.601, of full range as ITU-T T.871 has it."""
    scale = (255 / 219, 255 / 224) if kind == LIMITED else (1, 1)
    luma, blue, red = (y - (16 if kind == LIMITED else 0)) * scale[0], (u - 128) * scale[1], (v - 128) * scale[1]
    return np.array([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue])


def colours(kind: ColorRange) -> list[tuple[int, int, int]]:
    grid = itertools.product(range(0, 256, 15), range(0, 256, 15), range(0, 256, 15))
    return [each for each in grid if (exact(*each, kind) > -0.4).all() and (exact(*each, kind) < 255.4).all()]


@pytest.mark.parametrize("kind", [LIMITED, FULL])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("wanted", ["rgb", "bgr", "rgba"])
def test_colours_are_right_within_half_a_level(kind: ColorRange, name: str, wanted: VideoFormat) -> None:
    raster = Raster(exact=True)
    for colour in colours(kind)[:: 1 if wanted == "rgb" else 9]:
        pixel = raster.array(flat(*colour, kind, name), wanted)[7, 13, :3].astype(float)
        rgb = pixel[::-1] if wanted == "bgr" else pixel
        assert np.abs(rgb - exact(*colour, kind)).max() <= 0.55, colour


@pytest.mark.parametrize(("kind", "most"), [(LIMITED, 3), (FULL, 2)])
@pytest.mark.parametrize("name", ["yuv420p", "yuv422p"])
def test_quick_colours_are_as_near_as_they_say(kind: ColorRange, most: int, name: str) -> None:
    quick = Raster()
    errors = [
        np.abs(quick.array(flat(*colour, kind, name))[7, 13].astype(float) - exact(*colour, kind)).max()
        for colour in colours(kind)
    ]
    assert max(errors) <= most
    assert max(errors) > 0.55, "they are another conversion"
    for grey in range(256):
        assert (quick.array(flat(grey, 128, 128, FULL, name)) == grey).all()


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


def coded(picture: NDArray[np.uint8], name: str, border: int = 0) -> av.VideoFrame:
    """A frame of a picture, with a border of red to its right and below that is no part of it."""
    whole = np.zeros((picture.shape[0] + border, picture.shape[1] + border, 3), np.uint8)
    whole[..., 0] = 255
    whole[: picture.shape[0], : picture.shape[1]] = picture
    frame = av.VideoFrame.from_ndarray(whole, format="rgb24")
    return frame if name == "rgb24" else frame.reformat(format=name, dst_color_range=FULL)


@pytest.mark.parametrize("name", ["rgb24", "gbrp", "yuvj444p", "yuvj420p"])
@pytest.mark.parametrize("border", [0, 6])
def test_resized_is_the_mean_of_what_becomes_a_pixel(name: str, border: int) -> None:
    smooth = np.asarray(Image.fromarray(noise(8, 10)).resize((120, 96), Image.Resampling.BICUBIC))
    out = np.zeros((24, 30, 3), np.uint8)
    Raster().into(coded(smooth, name, border), out, (96, 120))
    expected = np.asarray(Image.fromarray(smooth).resize((30, 24), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(out - expected).mean() < (2 if name != "yuvj420p" else 4)
    # Next to a border, half of the chroma that is interpolated is the border's.
    assert np.abs(out - expected)[:-1, :-1].max() < (12 if name != "yuvj420p" else 40)
    assert np.abs(out[..., 0] - expected[..., 0])[-1].mean() < (6 if name != "yuvj420p" else 20), "not the border's red"


def test_what_is_resized_is_not_what_is_cut() -> None:
    frame = coded(noise(48, 64), "yuvj420p")
    cut, resized = np.zeros((24, 32, 3), np.uint8), np.zeros((24, 32, 3), np.uint8)
    Raster().into(frame, cut)
    Raster().into(frame, resized, (48, 64))
    assert np.array_equal(cut, Raster().array(frame)[:24, :32])
    assert np.abs(cut.astype(int) - resized).mean() > 10
    assert np.array_equal(Raster().array(frame, size=(24, 32)), resized)


def test_any_strides_are_written_to() -> None:
    frame = coded(noise(48, 64), "yuvj420p")
    planes = np.zeros((3, 48, 64), np.uint8)
    for exact in (False, True):
        Raster(exact=exact).into(frame, planes.transpose(1, 2, 0))
        assert np.array_equal(planes.transpose(1, 2, 0), Raster(exact=exact).array(frame))


def test_planes_are_as_they_were_stored() -> None:
    frame = coded(noise(48, 64), "yuvj420p")
    assert np.array_equal(Raster().array(frame, "yuv"), frame.to_ndarray(format="yuvj420p"))
    out = np.zeros((36, 64), np.uint8)
    Raster().yuv(frame, out, (24, 64))
    assert np.array_equal(out[:24], plane(frame, 0)[:24, :64])
    assert np.array_equal(out[24:30].reshape(12, 32), plane(frame, 1)[:12, :32])
    assert Raster().array(frame, "yuv", (24, 32)).shape == (36, 32)


@pytest.mark.parametrize(
    ("name", "size", "target"),
    [
        ("yuvj444p", (48, 64), (48, 64)),
        ("yuv420p10le", (48, 64), (48, 64)),
        ("gray", (48, 64), (48, 64)),
        ("yuvj420p", (47, 64), (48, 64)),
        ("yuvj420p", (48, 64), (24, 31)),
        ("yuvj420p", (24, 64), (48, 64)),
    ],
)
def test_no_planes_of_other_frames(name: str, size: tuple[int, int], target: tuple[int, int]) -> None:
    out = np.zeros((target[0] * 3 // 2, target[1]), np.uint8)
    with pytest.raises(FrameError, match="no yuv of"):
        Raster().yuv(coded(noise(48, 64), name), out, size)


def test_distances_are_not_mixed() -> None:
    depth = np.array([[1000, 1000, 3000, 3000], [1000, 1000, 0, 0]], np.uint16)
    out = np.zeros((1, 2), np.uint16)
    Raster().resize(depth, out)
    assert out.tolist() == [[1000, 0]]
    larger = np.zeros((4, 8), np.float32)
    Raster().resize(depth.astype(np.float32), larger)
    assert np.array_equal(larger, depth.repeat(2, 0).repeat(2, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_arrays_are_resized(dtype: type[np.unsignedinteger[Any]], channels: int) -> None:
    deep = np.iinfo(dtype).max // 255
    out = np.zeros((12, 16, channels), dtype)
    Raster().resize(np.full((48, 64, channels), 200 * deep, dtype), out)
    assert np.abs(out.astype(int) - 200 * deep).max() <= deep
    if dtype == np.uint8:
        gray = np.zeros((12, 16), np.uint8)
        Raster().resize(np.full((48, 64), 200, np.uint8), gray)
        assert (gray == 200).all()


def test_sizes_that_are_none() -> None:
    assert check_size((np.int64(3), 4)) == (3, 4)  # type: ignore[arg-type]
    for wrong in ((0, 4), (3, -1), (3.0, 4), (3,), 7, (10**6, 10**6), "ab"):
        with pytest.raises(FrameError, match="size"):
            check_size(wrong)  # type: ignore[arg-type]
