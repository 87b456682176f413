"""From an image value to the planes that an encoder takes: YUV 4:2:0, full range, BT.601, even size.

A JPEG's planes go through untouched (no RGB round trip); raw colour is converted once; the picture lies in the upper
left corner of a coded size that encoders accept, its last row and column repeated to fill it.
"""

from __future__ import annotations

import io
import warnings
from typing import NamedTuple, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, sniff
from mediaref_tools.limits import MAX_PIXELS

__all__ = ["Picture", "PixelDecoder", "decoded", "file_size", "luma", "plane"]

_CODED_MIN = 16  # libsvtav1 takes no less than 4, h264 codes macroblocks of 16

_FILE_CODECS = {"image/jpeg": "mjpeg", "image/png": "png"}
_RAW = {"rgb8": ("rgb24", 3), "bgr8": ("bgr24", 3), "rgba8": ("rgba", 4), "bgra8": ("bgra", 4), "mono8": ("gray", 1)}


class Picture(NamedTuple):
    """A decoded image: `frame` is yuvj420p (full range, BT.601) of the coded size, of which the picture is the upper
    left `height` x `width`.
    """

    frame: av.VideoFrame
    width: int
    height: int


class PixelDecoder:
    """Turns image values into pictures. Holds a scaler: one object a thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def picture(self, image: ImageValue) -> Picture:
        """Decode one image.

        Raises:
            ImageError: It can't become 8-bit 4:2:0 video without losing more than video loses: undecodable, short
                of data, empty, 16-bit, transparent, or of an encoding that is not handled.
        """
        if image.kind == "packet":
            raise ImageError(
                f"a packet of video ({image.encoding!r}) is no picture by itself: it needs those before it"
            )
        return self._file(image) if image.kind == "file" else self._raw(image)

    def _file(self, image: ImageValue) -> Picture:
        if len(image.data) == 0:
            raise ImageError("image of 0 bytes")
        if "compressedDepth" in image.encoding:
            raise ImageError(f"depth in format {image.encoding!r} is not colour: kept exactly as it is")
        media_type = sniff(image.data)
        codec = _FILE_CODECS.get(media_type)
        if codec is None:
            raise ImageError(
                f"image file of type {media_type} (told by its first bytes; format says {image.encoding!r}) "
                "is not handled: JPEG and PNG are"
            )
        frame = self._decode(codec, image.data)
        name = frame.format.name
        if frame.width * frame.height > MAX_PIXELS:
            raise ImageError(f"image of {frame.width}x{frame.height} pixels is larger than {MAX_PIXELS} pixels")
        if any(component.bits > 8 for component in frame.format.components):
            raise ImageError(f"{media_type} of {frame.format.components[0].bits} bits a channel would lose its depth")
        if codec == "png" and (name == "pal8" or name.endswith("a") or name in ("rgba", "ya8")):
            frame = self._opaque(frame)
        elif codec == "mjpeg" and name == "gbrap":
            raise ImageError("CMYK JPEG is not handled")
        return self._finish(frame)

    def _decode(self, codec: str, data: bytes | memoryview) -> av.VideoFrame:
        if codec == "mjpeg" and _is_cut(data):
            raise ImageError(f"jpeg of {len(data)} bytes is cut: its last scan has no end marker")
        return decoded(codec, data)

    def _opaque(self, frame: av.VideoFrame) -> av.VideoFrame:
        rgba = self._reformatter.reformat(frame, format="rgba", threads=1)
        if (plane(rgba, 0)[:, 3 : 4 * rgba.width : 4] != 255).any():
            raise ImageError("PNG with transparency would lose it in video")
        return rgba

    def _raw(self, image: ImageValue) -> Picture:
        if image.encoding not in _RAW:
            raise ImageError(f"encoding {image.encoding!r} is not handled: {', '.join(_RAW)} are")
        name, channels = _RAW[image.encoding]
        height, width, step = image.height, image.width, image.step
        if height < 1 or width < 1 or height * width > MAX_PIXELS:
            raise ImageError(f"image of {width}x{height} pixels: between 1 and {MAX_PIXELS} pixels are handled")
        if step < width * channels:
            raise ImageError(f"step {step} is less than a row of {width} {image.encoding} pixels")
        if len(image.data) < step * height:
            raise ImageError(f"{len(image.data)} bytes of data are less than step {step} x height {height}")
        rows = np.frombuffer(image.data, np.uint8, step * height).reshape(height, step)[:, : width * channels]
        if channels == 4 and (rows[:, 3::4] != 255).any():
            raise ImageError(f"{image.encoding} with transparency would lose it in video")
        if channels == 1:
            return Picture(_gray(rows, width, height), width, height)
        frame = av.VideoFrame(_coded(width), _coded(height), name)
        _fill(plane(frame, 0), rows, channels)
        return Picture(self._yuv(frame), width, height)

    def _finish(self, frame: av.VideoFrame) -> Picture:
        width, height = frame.width, frame.height
        if frame.format.name in ("gray", "yuvj400p"):
            return Picture(_gray(plane(frame, 0)[:, :width], width, height), width, height)
        padded = (width, height) != (_coded(width), _coded(height))
        if padded and frame.format.is_rgb:
            whole = av.VideoFrame(_coded(width), _coded(height), "rgba" if frame.format.name == "rgba" else "rgb24")
            channels = len(whole.format.components)
            packed = self._reformatter.reformat(frame, format=whole.format.name, threads=1)
            _fill(plane(whole, 0), plane(packed, 0)[:, : width * channels], channels)
            return Picture(self._yuv(whole), width, height)
        if frame.format.name != "yuvj420p":
            frame = self._yuv(frame)
        if padded:
            whole = av.VideoFrame(_coded(width), _coded(height), "yuvj420p")
            for index in range(3):
                scale = 1 if index == 0 else 2
                rows = plane(frame, index)[:, : -(-width // scale)]
                _fill(plane(whole, index), rows, 1)
            frame = whole
        return Picture(frame, width, height)

    def _yuv(self, frame: av.VideoFrame) -> av.VideoFrame:
        return self._reformatter.reformat(
            frame,
            format="yuvj420p",
            src_color_range=ColorRange.JPEG,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )


def decoded(codec: str, data: bytes | memoryview, err_detect: str = "explode") -> av.VideoFrame:
    """The picture of an image file, by libavcodec's decoder of that name.

    Raises:
        ImageError: It can't be decoded, or has no whole picture.
    """
    # A new context each time (0.05 ms): libavcodec's PNG decoder leaks the last picture's bottom row into the top row
    # of the next one, and an abbreviated JPEG would take its tables from whatever came before.
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": err_detect}
    name = codec.replace("mjpeg", "jpeg")
    try:
        frames = context.decode(av.Packet(cast("bytes", data)))
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"{name} of {len(data)} bytes can't be decoded: {error}") from error
    if not frames or frames[0].is_corrupt:
        raise ImageError(f"{name} of {len(data)} bytes holds no whole picture")
    return frames[0]


def _is_cut(data: bytes | memoryview) -> bool:
    """Whether a JPEG lacks the end marker after its last scan: libavcodec would fill it up with grey, silently."""
    whole = bytes(data)
    return whole.rfind(b"\xff\xd9") < whole.rfind(b"\xff\xda")


def file_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height that an image file's header tells, without decoding it; (0, 0) where nothing does."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, 0


def plane(frame: av.VideoFrame, index: int) -> NDArray[np.uint8]:
    """A plane of a frame as it lies in memory: (rows, bytes a row with padding) uint8, writable, no copy."""
    view = frame.planes[index]
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(view), np.uint8).reshape(-1, view.line_size)
    return rows[: view.height]


def luma(picture: Picture) -> NDArray[np.uint8]:
    """The picture's luma: (height, width) uint8 view."""
    return plane(picture.frame, 0)[: picture.height, : picture.width]


def _coded(size: int) -> int:
    return max(_CODED_MIN, size + (size & 1))


def _fill(target: NDArray[np.uint8], rows: NDArray[np.uint8], channels: int) -> None:
    """Lay rows into the upper left of a plane and repeat their last column and row over what remains of it."""
    height, width = rows.shape
    target[:height, :width] = rows
    rest = target.shape[1] - width
    if rest > 0:
        last = rows[:, width - channels :]
        target[:height, width:] = np.tile(last, (1, -(-rest // channels)))[:, :rest]
    target[height:] = target[height - 1]


def _gray(rows: NDArray[np.uint8], width: int, height: int) -> av.VideoFrame:
    # Not the encoders' own gray formats: many players and all of AV1's hardware decoders lack 4:0:0.
    frame = av.VideoFrame(_coded(width), _coded(height), "yuvj420p")
    _fill(plane(frame, 0), rows, 1)
    for index in (1, 2):
        plane(frame, index)[:] = 128
    return frame
