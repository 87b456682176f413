"""Colour from a Bayer mosaic, where somebody asks for it; what is stored is the mosaic."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.pixels.plane import coded_size, plane

__all__ = ["demosaic"]


def demosaic(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], colours: str, reformatter: VideoReformatter
) -> av.VideoFrame:
    """Interpolate a mosaic's missing colours.

    Args:
        pixels: (H, W) uint8, or uint16, of which the upper 8 bits are taken.
        colours: Of the upper left four pixels, row by row: "rggb", "bggr", "gbrg" or "grbg".
        reformatter: The caller's, which is for one thread at a time.

    Returns:
        An rgb24 frame of the coded size, the picture in its upper left corner.
    """
    shallow = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    height, width = pixels.shape
    coded_width, coded_height = coded_size(width, height)
    # Mirrored, so that what goes on beyond an odd edge is of the colours whose turn it is.
    whole = np.pad(shallow, ((0, coded_height - height), (0, coded_width - width)), mode="reflect")
    frame = av.VideoFrame(coded_width, coded_height, f"bayer_{colours}8")
    plane(frame, 0)[:, :coded_width] = whole
    return reformatter.reformat(frame, format="rgb24", threads=1)
