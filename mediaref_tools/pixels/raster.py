"""Decoded video frames as arrays of pixels."""

from __future__ import annotations

import operator
from typing import Any, Literal, TypeAlias, cast, get_args

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError, ImageError, MediaError, RefError
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.pixels.colour import ACCURATE, EXACT
from mediaref_tools.pixels.file import decoded
from mediaref_tools.pixels.plane import cropped, plane

__all__ = ["Format", "Raster", "VideoFormat", "check_format", "check_size", "deep_array", "reordered"]

Format = Literal["rgb", "bgr", "rgba", "bgra", "gray", "native"]
"""The order of an array's channels; "native" keeps gray as (H, W), and more than 8 bits as uint16."""

VideoFormat: TypeAlias = Format | Literal["yuv"]
"""Of video besides: the planes of 8-bit 4:2:0, (H * 3 / 2, W), the rows of Y, then U, then V."""

# Not swscale's own bgr24, whose values are up to 22 away from those of its rgb24.
_PACKED = {"rgb": ("rgb24", 3), "bgr": ("rgb24", 3), "rgba": ("rgba", 4), "bgra": ("rgba", 4), "gray": ("gray", 1)}
_DEEP = {"gray": ("gray16le", 1), "rgb": ("rgb48le", 3), "rgba": ("rgba64le", 4)}
_ARRAYS = {(1, 1): "gray", (3, 1): "rgb24", (4, 1): "rgba", (3, 2): "rgb48le", (4, 2): "rgba64le"}
_SHORT = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p")
_BILINEAR = 0x02


def check_format(wanted: str) -> None:
    """Refuse what is no `Format`.

    Raises:
        RefError: It is none.
    """
    if wanted not in get_args(Format):
        raise RefError(f"format {wanted!r} is none of {', '.join(get_args(Format))}")


def check_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width that a picture can be resized to, as ints.

    Raises:
        FrameError: They are none.
    """
    try:
        height, width = (operator.index(length) for length in size)
    except (TypeError, ValueError):
        raise FrameError(f"size {size!r}: expected height and width, such as (240, 320)") from None
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise FrameError(f"size {size!r}: expected height and width of at least 1, and {MAX_PIXELS} pixels at most")
    return height, width


class Raster:
    """Turns frames into arrays. Holds scalers: one object a thread."""

    def __init__(self, *, exact: bool = False) -> None:
        """Make one.

        Args:
            exact: RGB of video right within half a level, chroma interpolated. Else that of 4:2:0 and 4:2:2 of 8 bits
                which is not resized is made by libswscale's own shortcut, as most readers have it: in a fifth of the
                time, up to 2 levels off where the range is full, 3 where it is not, chroma of the nearest sample.
        """
        self._exact = exact
        self._reformatter, self._packer = VideoReformatter(), VideoReformatter()

    def into(self, frame: av.VideoFrame, out: NDArray[np.uint8], size: tuple[int, int] | None = None) -> None:
        """Convert a frame, or its upper left part, into `out`, (H, W, 3) uint8 RGB, of any strides.

        Args:
            frame: What was decoded.
            out: Written to.
            size: Height and width of the picture in the frame, where `out` has other ones: it is resized, by a
                triangle filter as wide as what becomes one pixel.

        Raises:
            FrameError: The frame is smaller than the picture.
        """
        target = (out.shape[0], out.shape[1])
        height, width = target if size is None else size
        if frame.height < height or frame.width < width:
            raise FrameError(f"frame of {frame.width}x{frame.height} where {width}x{height} is expected")
        if (height, width) != target and (height, width) != (frame.height, frame.width):
            frame = self._cut(frame, height, width)
        target = target if (height, width) != target else (frame.height, frame.width)
        if not _is_yuv(frame):
            out[:] = self._packed(frame, "rgb24", 3, target)[: out.shape[0], : out.shape[1]]
        elif not self._exact and frame.format.name in _SHORT and target == (frame.height, frame.width):
            packed = self._reformatter.reformat(frame, format="rgb24", interpolation=_BILINEAR, threads=1)
            out[:] = _pixels(packed, "rgb24", 3)[: out.shape[0], : out.shape[1]]
        else:
            # By planes, which is as exact as packed pixels of full chroma, in half of the time.
            colours = self._reformatter.reformat(
                frame, target[1], target[0], format="gbrp", interpolation=EXACT, threads=1
            )
            if out.strides[-1] == 1:
                packed = self._packer.reformat(colours, format="rgb24", threads=1)
                out[:] = _pixels(packed, "rgb24", 3)[: out.shape[0], : out.shape[1]]
                return
            for channel, index in enumerate((2, 0, 1)):
                out[..., channel] = plane(colours, index)[: out.shape[0], : out.shape[1]]

    def array(
        self, frame: av.VideoFrame, wanted: VideoFormat = "rgb", size: tuple[int, int] | None = None
    ) -> NDArray[np.uint8]:
        """A frame as a new array: (H, W, 3), (H, W, 4) or (H, W) uint8; "native" may be uint16.

        Args:
            frame: What was decoded.
            wanted: The order of channels.
            size: Height and width, where it is to be resized.

        Raises:
            RefError: There is no such format.
            MediaError: It has floats, and "native" is wanted.
        """
        frame_size = (frame.height, frame.width)
        target = size or frame_size
        if wanted == "yuv":
            planes: NDArray[np.uint8] = np.empty((target[0] * 3 // 2, target[1]), np.uint8)
            self.yuv(frame, planes, frame_size)
            return planes
        check_format(wanted)
        if wanted in ("rgb", "bgr") or (_is_opaque_yuv(frame) and wanted != "gray"):
            channels = 4 if wanted in ("rgba", "bgra") else 3
            out: NDArray[np.uint8] = np.full((*target, channels), 255, np.uint8)
            self.into(frame, out[..., 2::-1] if wanted in ("bgr", "bgra") else out[..., :3], frame_size)
            return out
        if wanted != "native":
            return np.array(reordered(self._packed(frame, *_PACKED[wanted], target), wanted), order="C")
        components = frame.format.components
        if frame.format.name.startswith("grayf"):
            raise MediaError(f"frames of {frame.format.name} are floats: ask for another format than native")
        if len(components) == 1 and components[0].bits > 8 and target == (frame.height, frame.width):
            # As stored: swscale would stretch 10 bits to 16.
            rows = plane(frame, 0).view(">u2" if frame.format.is_big_endian else "<u2")
            return cast("NDArray[np.uint8]", rows[: frame.height, : frame.width].astype(np.uint16))
        return self._packed(frame, *_native(frame), target).copy()

    def yuv(self, frame: av.VideoFrame, out: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """The planes of a frame's upper left part in `out`, (H * 3 / 2, W) uint8, resized where `size` is another.

        Raises:
            FrameError: It is no 8-bit 4:2:0, or has an odd number of rows or columns.
        """
        target = (out.shape[0] * 2 // 3, out.shape[1])
        padded = size != (frame.height, frame.width) and size != target
        if frame.format.name not in _SHORT[:2] or any(length % 2 for length in (*size, *target)) or padded:
            raise FrameError(
                f"no yuv of {size[1]}x{size[0]} {frame.format.name} at {target[1]}x{target[0]}: it is given of 8-bit "
                "4:2:0 video of even sizes; ask for rgb"
            )
        if size != target:
            frame = self._reformatter.reformat(
                frame, target[1], target[0], format=frame.format.name, interpolation=ACCURATE, threads=1
            )
        planes = [cropped(frame, index, target[1], target[0]) for index in range(3)]
        out[: target[0]] = planes[0]
        out[target[0] :] = np.concatenate([each.reshape(-1) for each in planes[1:]]).reshape(-1, target[1])

    def resize(self, picture: NDArray[Any], out: NDArray[Any]) -> None:
        """Resize an array, (H, W) or (H, W, 3 or 4), to that of `out`, as `into` does.

        Gray of 16 bits and floats are taken from the nearest pixel: what lies between two distances is none.
        """
        if picture.ndim == 2 and picture.dtype != np.uint8:
            rows, columns = (
                (2 * np.arange(new) + 1) * old // (2 * new) for old, new in zip(picture.shape, out.shape, strict=True)
            )
            out[:] = picture[np.ix_(rows, columns)]
            return
        channels = picture.shape[2] if picture.ndim == 3 else 1
        name = _ARRAYS[channels, picture.dtype.itemsize]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=name)
        out[:] = self._packed(frame, name, channels, (out.shape[0], out.shape[1]))

    def _cut(self, frame: av.VideoFrame, height: int, width: int) -> av.VideoFrame:
        """The picture in the upper left of a frame alone, as RGB: what lies around it is not to be mixed into it."""
        picture: NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        self.into(frame, picture)
        return av.VideoFrame.from_ndarray(picture, format="rgb24")

    def _packed(self, frame: av.VideoFrame, name: str, channels: int, target: tuple[int, int]) -> NDArray[np.uint8]:
        same = frame.format.name == name or (name == "gray" and frame.format.name == "yuvj400p")
        if not same or target != (frame.height, frame.width):
            frame = self._reformatter.reformat(frame, target[1], target[0], format=name, interpolation=EXACT, threads=1)
        return _pixels(frame, name, channels)


def _is_yuv(frame: av.VideoFrame) -> bool:
    return not frame.format.is_rgb and not frame.format.has_palette and len(frame.format.components) > 2


def _is_opaque_yuv(frame: av.VideoFrame) -> bool:
    """Of 8 bits: what all colour orders, and "native", are made of in one way."""
    parts = frame.format.components
    return _is_yuv(frame) and parts[0].bits == 8 and not any(part.is_alpha for part in parts)


def _pixels(packed: av.VideoFrame, name: str, channels: int) -> NDArray[np.uint8]:
    rows: NDArray[np.uint8] = plane(packed, 0)
    if name.endswith("le"):
        rows = rows.view("<u2")
    rows = rows[: packed.height, : packed.width * channels]
    return rows if channels == 1 else rows.reshape(packed.height, packed.width, channels)


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
