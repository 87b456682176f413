"""Raw pixels of a message as a frame that holds the very same values."""

from __future__ import annotations

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.pixels.encodings import Layout
from mediaref_tools.pixels.plane import coded_size, lay, plane

__all__ = ["raw_frame"]


def raw_frame(image: ImageValue, layout: Layout) -> av.VideoFrame:
    """Lay an image's pixels into a new frame of `layout.pixel_format` and the coded size, edges repeated.

    Args:
        image: Raw pixels. Bytes after each row and after the last one are passed over; 16 bits are turned to
            little-endian where the message says that they are not.
        layout: Its encoding's.

    Raises:
        ImageError: It is empty, too large, short of data, or of a size that its layout can't have.
    """
    width, height = image.width, image.height
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ImageError(
            f"image of {width}x{height} pixels: between 1 and {MAX_PIXELS} pixels are handled (MEDIAREF_MAX_PIXELS)"
        )
    frame = av.VideoFrame(*coded_size(width, height), layout.pixel_format)
    if layout.kind == "yuv":
        # Limited range BT.601, which is how ROS shows these encodings, whatever a camera meant.
        frame.color_range, frame.colorspace = ColorRange.MPEG, Colorspace.ITU601
    if layout.order == "packed":
        rows = _rows(image, layout.pixel * width)
        if layout.deep and image.is_bigendian:
            rows = np.ascontiguousarray(rows).view(">u2").astype("<u2").view(np.uint8)
        lay(plane(frame, 0), rows, layout.pixel)
    elif layout.order in ("uyvy", "yuyv"):
        if width % 2:
            raise ImageError(f"{image.encoding} of {width} columns: two pixels share their colour, so it can't be odd")
        rows = _rows(image, layout.pixel * width)
        first = 1 if layout.order == "uyvy" else 0
        for index, start, step in ((0, first, 2), (1, 1 - first, 4), (2, 3 - first, 4)):
            lay(plane(frame, index), rows[:, start::step], 1)
    else:
        for index, rows in enumerate(_planes(image, layout)):
            lay(plane(frame, index), rows, 1)
    return frame


def _rows(image: ImageValue, length: int) -> NDArray[np.uint8]:
    """(height, length) uint8 view of packed rows."""
    if image.step < length:
        raise ImageError(
            f"step {image.step} is less than a row of {image.width} {image.encoding} pixels, which has {length} bytes"
        )
    if len(image.data) < image.step * image.height:
        raise ImageError(f"{len(image.data)} bytes of data are less than step {image.step} x height {image.height}")
    whole = np.frombuffer(image.data, np.uint8, image.step * image.height)
    return whole.reshape(image.height, image.step)[:, :length]


def _planes(image: ImageValue, layout: Layout) -> list[NDArray[np.uint8]]:
    """Luma and the two chroma planes of an image whose planes lie one after the other."""
    halved = 2 if layout.pixel_format == "yuv420p" else 1
    width, height = image.width, image.height
    if halved == 2 and (width % 2 or height % 2):
        raise ImageError(f"{image.encoding} of {width}x{height}: four pixels share their colour, so it can't be odd")
    whole = np.frombuffer(image.data, np.uint8)
    # `step` is a row of luma; drivers that count all planes' bytes in it leave no padding.
    for stride in dict.fromkeys((image.step, width)):
        lengths = (stride * height, 2 * stride * height // halved**2)
        if stride >= width and stride % halved == 0 and sum(lengths) <= len(whole):
            break
    else:
        raise ImageError(
            f"{len(whole)} bytes of data are less than {image.encoding} of {width}x{height} and step {image.step} has"
        )
    luma, chroma = whole[: lengths[0]].reshape(height, stride), whole[lengths[0] : sum(lengths)]
    if layout.order == "planar":
        blue, red = chroma.reshape(2, height // halved, stride // halved)
    else:
        pairs = chroma.reshape(height // halved, -1)
        blue, red = (pairs[:, 1::2], pairs[:, 0::2]) if layout.order == "nv21" else (pairs[:, 0::2], pairs[:, 1::2])
    return [luma[:, :width], blue[:, : width // halved], red[:, : width // halved]]
