"""Colour from Bayer mosaics."""

from __future__ import annotations

import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from mediaref_tools.pixels.encodings import MOSAICS
from mediaref_tools.pixels.mosaic import demosaic
from mediaref_tools.pixels.plane import plane
from mediaref_tools.sample import numbered_image
from mediaref_tools.samples.rawimages import raw_pixels
from tests.encodings.matrix import places


@pytest.mark.parametrize("colours", MOSAICS)
@pytest.mark.parametrize(("height", "width"), [(2, 2), (3, 3), (5, 17), (16, 16), (33, 18), (73, 97), (72, 96)])
def test_one_colour_comes_back_up_to_an_odd_edge(colours: str, height: int, width: int) -> None:
    rgb = np.full((height, width, 3), (200, 100, 50), np.uint8)
    for bits in (8, 16):
        frame = demosaic(raw_pixels(rgb, f"bayer_{colours}{bits}"), colours, VideoReformatter())
        assert np.array_equal(plane(frame, 0)[:height, : 3 * width].reshape(height, width, 3), rgb)


@pytest.mark.parametrize("colours", MOSAICS)
def test_no_size_ends_the_process(colours: str) -> None:
    """libswscale writes beyond the picture where a mosaic has an odd number of rows."""
    for height in range(1, 20):
        for width in range(1, 20):
            mosaic = np.full((height, width), 7, np.uint8)
            frame = demosaic(mosaic, colours, VideoReformatter())
            assert (plane(frame, 0)[:height, : 3 * width] == 7).all()


@pytest.mark.parametrize("colours", MOSAICS)
def test_a_pixel_s_own_colour_is_as_it_is(colours: str) -> None:
    rgb = numbered_image(5, 97, 73)
    mosaic = raw_pixels(rgb, f"bayer_{colours}8")
    shown = plane(demosaic(mosaic, colours, VideoReformatter()), 0)[:73, : 3 * 97].reshape(73, 97, 3)
    own = np.take_along_axis(shown, places(colours, (73, 97))[..., None], axis=2)[..., 0]
    assert np.array_equal(own, mosaic)
