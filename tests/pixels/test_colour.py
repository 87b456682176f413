"""RGB to YUV, against the formula."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.colour import full_range
from mediaref_tools.pixels.encodings import layout
from mediaref_tools.pixels.plane import plane
from mediaref_tools.pixels.raw import raw_frame
from mediaref_tools.samples.rawimages import raw_image
from tests.pictures import taken
from tests.pixels.test_picture import file

TILE = 16


def tiles(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flat tiles, one beside the other: (TILE, TILE * n, 3)."""
    return np.ascontiguousarray(colours[None].repeat(TILE, 0).repeat(TILE, 1))


def middles(frame: av.VideoFrame, count: int) -> NDArray[np.float64]:
    """Y, Cb and Cr in the middle of each tile."""
    rows = [plane(frame, index)[TILE // 2 // half] for index, half in ((0, 1), (1, 2), (2, 2))]
    step = [TILE, TILE // 2, TILE // 2]
    values = [row[each // 2 :: each][:count] for row, each in zip(rows, step, strict=True)]
    return np.stack(values, axis=-1).astype(float)


def formula(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """ITU-T T.871, before it is rounded."""
    r, g, b = rgb.astype(float).T
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return np.asarray(np.clip(np.stack((y, (b - y) / 1.772 + 128, (r - y) / 1.402 + 128), axis=-1), 0, 255))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_every_value_is_rounded_to_the_nearest(encoding: str) -> None:
    colours = np.random.default_rng(7).integers(0, 256, (500, 3), np.uint8)
    colours[:8] = np.indices((2, 2, 2)).reshape(3, 8).T * 255
    image = raw_image(tiles(colours), encoding)
    known = layout(encoding)
    assert known is not None
    frame = raw_frame(ImageValue(image.data, encoding, "raw", TILE, TILE * len(colours), image.step), known)
    full = full_range(frame, VideoReformatter())
    assert full.format.name == "yuvj420p"
    error = middles(full, len(colours)) - formula(colours)
    assert np.abs(error).max() < 0.6
    assert np.abs(error.mean(axis=0)).max() < 0.05


def test_grey_has_no_tint() -> None:
    greys = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    for picture in (
        taken(ImageValue(tiles(greys).tobytes(), "rgb8", "raw", TILE, TILE * 256, TILE * 256 * 3)),
        taken(ImageValue(file(tiles(greys), "png"), "png", "file")),
    ):
        expected = np.stack((np.arange(256), np.full(256, 128), np.full(256, 128)), axis=-1)
        np.testing.assert_array_equal(middles(picture.frame, 256), expected)


@pytest.mark.parametrize(
    ("name", "limited"), [("jpeg-422", False), ("jpeg-444", False), ("uyvy", True), ("nv24", True)]
)
def test_halved_chroma_has_the_mean_of_what_it_was(name: str, limited: bool) -> None:
    """Of noise, to which each way of rounding adds its own."""
    rgb = np.random.default_rng(3).integers(64, 192, (128, 128, 3), np.uint8)
    if limited:
        image = raw_image(rgb, name)
        picture = taken(ImageValue(image.data, name, "raw", 128, 128, image.step))
        known = layout(name)
        assert known is not None
        source = raw_frame(ImageValue(image.data, name, "raw", 128, 128, image.step), known)
    else:
        data = file(rgb, "jpeg", quality=95, subsampling={"jpeg-422": "4:2:2", "jpeg-444": "4:4:4"}[name])
        picture = taken(ImageValue(data, "jpeg", "file"))
        context = av.CodecContext.create("mjpeg", "r")
        assert isinstance(context, av.VideoCodecContext)
        source = context.decode(av.Packet(data))[0]
    assert (picture.frame.color_range == ColorRange.MPEG) is limited
    for index in (1, 2):
        before = plane(source, index)[:, : source.planes[index].width].mean()
        after = plane(picture.frame, index)[:, : picture.frame.planes[index].width].mean()
        assert abs(after - before) < 0.12


def test_swapped_channels_of_a_jpeg_cost_no_brightness() -> None:
    colours = np.random.default_rng(7).integers(0, 256, (500, 3), np.uint8)
    data = file(tiles(colours), "jpeg", quality=100, subsampling="4:2:0")
    picture = taken(ImageValue(data, "rgb8; jpeg compressed", "file"))
    with Image.open(io.BytesIO(data)) as image:
        seen = np.asarray(image)[TILE // 2, TILE // 2 :: TILE]
    error = middles(picture.frame, len(colours)) - formula(np.ascontiguousarray(seen[:, ::-1]))
    assert np.abs(error.mean(axis=0)).max() < 0.6
    assert np.abs(error).max() < 2.5
