"""The planes of a frame as arrays, and pictures laid into frames of the size that is coded."""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["CODED_MIN", "coded_size", "cropped", "lay", "plane", "same_pixels"]

CODED_MIN = 16
"""Encoders take no less: libsvtav1 4, FFV1 a few pixels a slice, and h264 codes macroblocks of 16."""


def coded_size(width: int, height: int) -> tuple[int, int]:
    """The size that a picture is coded at: even, since chroma has half of it, and not below what encoders take."""
    return max(CODED_MIN, width + (width & 1)), max(CODED_MIN, height + (height & 1))


def plane(frame: av.VideoFrame, index: int) -> NDArray[np.uint8]:
    """A plane of a frame as it lies in memory: (rows, bytes a row with padding) uint8, writable, no copy."""
    view = frame.planes[index]
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(view), np.uint8).reshape(-1, view.line_size)
    return rows[: view.height]


def cropped(frame: av.VideoFrame, index: int, width: int, height: int) -> NDArray[np.uint8]:
    """The part of a plane that a picture in the frame's upper left corner takes: (rows, bytes a row) uint8 view."""
    view = frame.planes[index]
    # A plane is the frame's own size, or half of it rounded up.
    columns = width if view.width == frame.width else -(-width // 2)
    rows = height if view.height == frame.height else -(-height // 2)
    return plane(frame, index)[:rows, : columns * _pixel_bytes(frame, index)]


def same_pixels(one: av.VideoFrame, other: av.VideoFrame, width: int, height: int) -> bool:
    """Whether two frames hold the very same values in a picture's part of every plane."""
    if one.format.name != other.format.name:
        return False
    for index in range(len(one.planes)):
        mine, theirs = (cropped(frame, index, width, height) for frame in (one, other))
        if one.format.name == "bgr0":  # whose fourth byte means nothing
            mine, theirs = (rows.reshape(height, width, 4)[..., :3] for rows in (mine, theirs))
        if not np.array_equal(mine, theirs):
            return False
    return True


def _pixel_bytes(frame: av.VideoFrame, index: int) -> int:
    components = [part for part in frame.format.components if part.plane == index]
    size = 2 if components[0].bits > 8 else 1
    return 4 if frame.format.name == "bgr0" else size * len(components)


def lay(target: NDArray[np.uint8], rows: NDArray[np.uint8], pixel: int) -> None:
    """Lay rows into the upper left of a plane and repeat their last column and row over what remains of it.

    Args:
        target: The plane, (rows, bytes a row).
        rows: (rows, bytes a row), no larger.
        pixel: Bytes of one pixel.
    """
    height, width = rows.shape
    target[:height, :width] = rows
    rest = target.shape[1] - width
    if rest > 0:
        last = rows[:, width - pixel :]
        target[:height, width:] = np.tile(last, (1, -(-rest // pixel)))[:, :rest]
    target[height:] = target[height - 1]
