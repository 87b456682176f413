"""Decoded video frames as arrays of pixels."""

from __future__ import annotations

from typing import Literal, cast, get_args

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError, ImageError, MediaError, RefError
from mediaref_tools.pixels.colour import ACCURATE
from mediaref_tools.pixels.file import decoded
from mediaref_tools.pixels.plane import plane

__all__ = ["Format", "Raster", "check_format", "deep_array", "reordered"]

Format = Literal["rgb", "bgr", "rgba", "bgra", "gray", "native"]
"""The order of an array's channels; "native" keeps gray as (H, W), and more than 8 bits as uint16."""

_PACKED = {"rgb": ("rgb24", 3), "bgr": ("rgb24", 3), "rgba": ("rgba", 4), "bgra": ("rgba", 4), "gray": ("gray", 1)}
_DEEP = {"gray": ("gray16le", 1), "rgb": ("rgb48le", 3), "rgba": ("rgba64le", 4)}


def check_format(wanted: str) -> None:
    """Refuse what is no `Format`.

    Raises:
        RefError: It is none.
    """
    if wanted not in get_args(Format):
        raise RefError(f"format {wanted!r} is none of {', '.join(get_args(Format))}")


class Raster:
    """Turns frames into arrays. Holds a scaler: one object a thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def into(self, frame: av.VideoFrame, out: NDArray[np.uint8]) -> None:
        """Convert a frame into `out`, (H, W, 3) uint8 RGB, which may be smaller than the coded size.

        Raises:
            FrameError: The frame is smaller than `out`.
        """
        height, width, _ = out.shape
        if frame.height < height or frame.width < width:
            raise FrameError(f"frame of {frame.width}x{frame.height} where {width}x{height} is expected")
        out[:] = self._packed(frame, "rgb24", 3)[:height, :width]

    def array(self, frame: av.VideoFrame, wanted: Format = "rgb") -> NDArray[np.uint8]:
        """A frame as a new array: (H, W, 3), (H, W, 4) or (H, W) uint8; "native" may be uint16.

        Raises:
            RefError: There is no such format.
            MediaError: It has floats, and "native" is wanted.
        """
        check_format(wanted)
        if wanted != "native":
            # Not swscale's own bgr24, whose values are up to 22 away from those of its rgb24.
            return np.array(reordered(self._packed(frame, *_PACKED[wanted]), wanted), order="C")
        components = frame.format.components
        if frame.format.name.startswith("grayf"):
            raise MediaError(f"frames of {frame.format.name} are floats: ask for another format than native")
        if len(components) == 1 and components[0].bits > 8:
            # As stored: swscale would stretch 10 bits to 16.
            rows = plane(frame, 0).view(">u2" if frame.format.is_big_endian else "<u2")
            return cast("NDArray[np.uint8]", rows[: frame.height, : frame.width].astype(np.uint16))
        return self._packed(frame, *_native(frame)).copy()

    def _packed(self, frame: av.VideoFrame, name: str, channels: int) -> NDArray[np.uint8]:
        same = frame.format.name == name or (name == "gray" and frame.format.name == "yuvj400p")
        packed = frame if same else self._reformatter.reformat(frame, format=name, interpolation=ACCURATE, threads=1)
        rows: NDArray[np.uint8] = plane(packed, 0)
        if name.endswith("le"):
            rows = rows.view("<u2")
        rows = rows[: frame.height, : frame.width * channels]
        return rows if channels == 1 else rows.reshape(frame.height, frame.width, channels)


def _native(frame: av.VideoFrame) -> tuple[str, int]:
    components = frame.format.components
    if frame.format.has_palette:
        return _PACKED["rgba"]
    colours = "rgba" if any(part.is_alpha for part in components) else "gray" if len(components) < 3 else "rgb"
    return (_DEEP if components[0].bits > 8 else _PACKED)[colours]


def reordered(array: NDArray[np.uint8], order: Format) -> NDArray[np.uint8]:
    """Between RGB and the order that a format names (its own inverse): a view; others come back as they are."""
    if order == "bgr":
        return array[..., ::-1]
    return array[..., [2, 1, 0, 3]] if order == "bgra" else array


def deep_array(codec: str, data: bytes, name: str) -> NDArray[np.uint8]:
    """An image file of 16 bits a channel, natively: (H, W) or (H, W, 3 or 4) uint16. `name` is for messages.

    Raises:
        MediaError: It can't be decoded.
    """
    # To "explode" is to refuse damage; the TIFF decoder would refuse every tag that it has no use for, too.
    try:
        frame = decoded(codec, data, "crccheck" if codec == "tiff" else "explode")
    except ImageError as error:
        raise MediaError(f"{error}: {name}") from error
    return Raster().array(frame, "native")
