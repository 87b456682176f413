"""Raw pixels of a message as a frame that holds the very same values, and back."""

from __future__ import annotations

from dataclasses import replace

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.pixels.encodings import Layout
from mediaref_tools.pixels.plane import coded_size, cropped, lay, plane

__all__ = ["fill_raw", "raw_frame", "rest_of"]


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
    if width % 2 and layout.order in ("uyvy", "yuyv"):
        raise ImageError(f"{image.encoding} of {width} columns: two pixels share their colour, so it can't be odd")
    if layout.order == "packed":
        rows = _rows(image, layout.pixel * width)
        if layout.deep and image.is_bigendian:
            rows = np.ascontiguousarray(rows).view(">u2").astype("<u2").view(np.uint8)
        lay(plane(frame, 0), rows, layout.pixel)
    else:
        for index, rows in enumerate(_parts(image, layout)):
            lay(plane(frame, index), rows, 1)
    return frame


def fill_raw(frame: av.VideoFrame, image: ImageValue, layout: Layout) -> None:
    """Write a frame's values into an image's data, where `raw_frame` would take them from; no other byte is touched.

    Args:
        frame: Of `layout.pixel_format`, the picture in its upper left.
        image: Raw pixels; its data is a buffer that can be written to.
        layout: Its encoding's.

    Raises:
        ImageError: It is short of data, or of a size that its layout can't have.
    """
    parts = _parts(image, layout)
    for index, rows in enumerate(parts):
        values = cropped(frame, index, image.width, image.height)
        if layout.deep and image.is_bigendian:
            values = np.ascontiguousarray(values).view("<u2").byteswap().view(np.uint8)
        rows[:] = values


def rest_of(image: ImageValue, layout: Layout) -> bytes:
    """Raw data with zeros for pixels: what stands between and behind the rows. b"" where that is nothing but zeros.

    Raises:
        ImageError: As for `raw_frame`.
    """
    if sum(part.size for part in _parts(image, layout)) == len(image.data):
        return b""
    rest = bytearray(image.data)
    for part in _parts(replace(image, data=memoryview(rest)), layout):
        part[:] = 0
    return bytes(rest) if any(rest) else b""


def _parts(image: ImageValue, layout: Layout) -> list[NDArray[np.uint8]]:
    """Views of an image's data, one for each plane of a frame: (rows, bytes of values)."""
    if layout.order == "packed":
        return [_rows(image, layout.pixel * image.width)]
    if layout.order not in ("uyvy", "yuyv"):
        return _planes(image, layout)
    rows = _rows(image, layout.pixel * image.width)
    first = 1 if layout.order == "uyvy" else 0
    return [rows[:, first::2], rows[:, 1 - first :: 4], rows[:, 3 - first :: 4]]


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
