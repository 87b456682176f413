"""Image files made anew of the frames that they became: another file, whose pixels are the frame's."""

from __future__ import annotations

import io
from typing import Final

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.errors import EncodeError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.colour import full_range
from mediaref_tools.pixels.depth import is_depth, write_depth
from mediaref_tools.pixels.encodings import mosaic
from mediaref_tools.pixels.plane import cropped, plane
from mediaref_tools.pixels.raster import Raster
from mediaref_tools.pixels.rawdata import sampled
from mediaref_tools.pixels.transport import channels_are_swapped

__all__ = ["FileData"]

_QUANTISER: Final = 2
"""Of libavcodec's mjpeg encoder: 2 is the finest that it takes, about what others call quality 97."""

_QUALITY: Final = 97

_PNG: Final = {"gray16le": "gray16be", "rgb48le": "rgb48be", "gbrp16le": "rgb48be", "gbrap16le": "rgba64be",
               "rgba64le": "rgba64be", "bgra": "rgba", "rgba": "rgba", "gray": "gray"}  # fmt: skip


class FileData:
    """Turns frames into image files. Holds scalers: one object a thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._raster = Raster(exact=True)

    def of(self, frame: av.VideoFrame, image: ImageValue, framing: str, *, lossless: bool) -> bytes:
        """A file in the place of the one that became a frame.

        Args:
            frame: What was decoded.
            image: What the message said: its format; height and width of the picture, in the frame's upper left.
            framing: What its payload said beside the picture.
            lossless: Whether the frame holds the very pixels: it becomes a PNG then, else a JPEG unless the format
                says PNG.

        Raises:
            ImageError, EncodeError: No file can be made of it.
        """
        size = (image.width, image.height)
        if is_depth(image.encoding):
            values = np.ascontiguousarray(cropped(frame, 0, *size)).view("<u2")
            return write_depth(values, framing)
        swapped, colours = channels_are_swapped(image.encoding), mosaic(image.encoding)
        is_gray = frame.format.name in ("gray", "gray16le") or image.encoding.startswith("mono8")
        if colours is not None and not is_gray:
            frame = _frame(sampled(self._rgb(frame, size), colours), "gray")
            is_gray = True
        if lossless or "png" in image.encoding.lower():
            return self._png(frame, size, swapped=swapped and not is_gray)
        if is_gray:
            return _gray_jpeg(cropped(frame, 0, *size))
        if swapped or not frame.format.name.startswith("yuv"):
            rgb = self._rgb(frame, size)
            whole = _frame(rgb[..., ::-1] if swapped else rgb, "rgb24")
            return _encoded("mjpeg", _cut(full_range(whole, self._reformatter), size, "yuvj420p"))
        return _encoded("mjpeg", _cut(frame, size, "yuvj420p"))

    def _rgb(self, frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        return self._raster.array(frame, "rgb")[: size[1], : size[0]]

    def _png(self, frame: av.VideoFrame, size: tuple[int, int], *, swapped: bool) -> bytes:
        wanted = _PNG.get(frame.format.name, "rgb24")
        if wanted == "rgb24":
            frame = _frame(self._rgb(frame, size), "rgb24")
        elif wanted != frame.format.name:
            frame = self._reformatter.reformat(frame, format=wanted, threads=1)
        frame = _cut(frame, size, wanted)
        if swapped:
            frame = _swapped(frame)
        return _encoded("png", frame)


def _frame(values: NDArray[np.uint8], name: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.ascontiguousarray(values), format=name)


def _cut(frame: av.VideoFrame, size: tuple[int, int], name: str) -> av.VideoFrame:
    """The picture alone, under another name for the same planes; of gray, only the first."""
    cut = av.VideoFrame(*size, name)
    for index in range(len(cut.planes)):
        rows = cropped(frame, index, *size)
        plane(cut, index)[:, : rows.shape[1]] = rows
    return cut


def _swapped(frame: av.VideoFrame) -> av.VideoFrame:
    deep = frame.format.name.endswith("be")
    rows = plane(frame, 0)
    channels = len(frame.format.components)
    pixels = cropped(frame, 0, frame.width, frame.height).view("u2" if deep else "u1")
    pixels = pixels.reshape(frame.height, frame.width, channels)
    pixels = pixels[..., [2, 1, 0, 3][:channels]]
    rows[:, : frame.width * channels * (2 if deep else 1)] = (
        np.ascontiguousarray(pixels).reshape(frame.height, -1).view(np.uint8)
    )
    return frame


def _gray_jpeg(values: NDArray[np.uint8]) -> bytes:
    """By Pillow: libavcodec's encoder makes colour files only."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(values)).save(stream, "jpeg", quality=_QUALITY)
    return stream.getvalue()


def _encoded(codec: str, frame: av.VideoFrame) -> bytes:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
    context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
    context.thread_count = 1
    if codec == "mjpeg":
        context.qmin = context.qmax = _QUANTISER
        context.options = {"huffman": "optimal", "strict": "unofficial"}
    try:
        frame.pts = 0
        packets = [*context.encode(frame), *context.encode(None)]
    except (av.FFmpegError, ValueError) as error:
        raise EncodeError(f"a picture of {frame.width}x{frame.height} can't become a {codec} file: {error}") from error
    return b"".join(map(bytes, packets))
