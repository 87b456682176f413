"""From an image value to what goes into a segment: planes for an encoder, or a file's bytes as they are.

What 8-bit video would lose is coded without loss instead: 16 bits, mosaics, transparency, tiny pictures. A JPEG's
planes go through untouched (no RGB round trip), raw YUV likewise, raw colour is converted once. The picture lies in the
upper left corner of a coded size that encoders accept, its last row and column repeated to fill it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, sniff
from mediaref_tools.pixels.colour import ACCURATE, EXACT, full_range
from mediaref_tools.pixels.depth import is_depth, read_depth
from mediaref_tools.pixels.encodings import layout, mosaic
from mediaref_tools.pixels.file import FILE_CODECS, file_frame
from mediaref_tools.pixels.mosaic import demosaic
from mediaref_tools.pixels.plane import coded_size, cropped, lay, plane
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.pixels.raw import raw_frame
from mediaref_tools.pixels.transport import channels_are_swapped, is_zstd, unpack_zstd

__all__ = ["FileBytes", "Picture", "PixelDecoder", "luma"]

# What FFV1 takes, by what holds the same values.
_LOSSLESS: Final = {
    "rgb24": "bgr0", "bgr24": "bgr0", "rgba": "bgra", "rgb48le": "gbrp16le", "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le", "bgra64le": "gbrap16le", "yuvj420p": "yuv420p", "yuvj422p": "yuv422p",
    "yuvj444p": "yuv444p",
}  # fmt: skip


_DEFAULT: Final = Policy()
_BLOCK: Final = 8
"""Pixels that a side must have at least for lossy video: its proof compares means of 8x8 blocks, and needs one."""


class Picture(NamedTuple):
    """A decoded image: a frame of the coded size, of which the picture is the upper left `height` x `width`.

    Where it is not `lossless`, the frame is yuvj420p, or yuv420p of limited range where the source is; BT.601.
    `framing` is what its payload said beside the pixels: see `DepthImage`; of the zstd transport, the encoding.
    """

    frame: av.VideoFrame
    width: int
    height: int
    lossless: bool = False
    framing: str = ""


class FileBytes(NamedTuple):
    """An image file that goes into a segment as it is. `codec` is libavcodec's; `pixel_format` is of its values."""

    data: bytes | memoryview
    codec: str
    width: int
    height: int
    pixel_format: str


class PixelDecoder:
    """Turns image values into what segments take. Holds a scaler: one object a thread."""

    def __init__(self, policy: Policy = _DEFAULT) -> None:
        self.policy = policy
        self._reformatter = VideoReformatter()

    def take(self, image: ImageValue) -> Picture | FileBytes:
        """Decode one image.

        Raises:
            ImageError: It can't become video: undecodable, short of data, empty, of an encoding that is kept, or a
                packet of a camera's own video.
        """
        if image.kind == "packet":
            raise ImageError(f"{image.encoding!r} is a packet of video, no picture of its own")
        if is_zstd(image):
            raw = unpack_zstd(image)
            return self._raw(raw)._replace(framing=raw.encoding)
        if image.kind == "raw" and sniff(image.data) in FILE_CODECS and layout(image.encoding) is None:
            return self._file(image)  # drivers put "jpeg" into raw images
        return self._raw(image) if image.kind == "raw" else self._file(image)

    def _raw(self, image: ImageValue) -> Picture:
        known = layout(image.encoding)
        if known is None:
            raise ImageError(f"encoding {image.encoding!r} is kept exactly as it is: no video holds its values")
        if self.policy.depth == "keep" and known.pixel_format == "gray16le" and known.kind == "gray":
            raise ImageError(f"depth of encoding {image.encoding!r} is kept, as was asked for")
        frame = raw_frame(image, known)
        size = (image.width, image.height)
        if known.kind == "mosaic" and self.policy.debayer:
            return self._coloured(frame, image.encoding, size)
        opaque = known.pixel_format not in ("rgba", "bgra") or _is_opaque(frame, *size)
        if self.policy.lossless or known.deep or known.kind == "mosaic" or not opaque or min(size) < _BLOCK:
            return self._lossless(frame, size)
        return self._lossy(frame, size)

    def _file(self, image: ImageValue) -> Picture | FileBytes:
        if is_depth(image.encoding):
            return self._depth(image)
        frame = file_frame(image, self._reformatter)
        size = (frame.width, frame.height)
        media_type, colours = sniff(image.data), mosaic(image.encoding)
        is_mosaic = colours is not None and frame.format.name in ("gray", "yuvj400p", "gray16le")
        # A mosaic that became a JPEG has had its loss; colour subsampling, or another round of it, would ruin it.
        as_it_is = media_type in self.policy.copied or (is_mosaic and media_type == "image/jpeg")
        if as_it_is and media_type in FILE_CODECS and not (is_mosaic and self.policy.debayer):
            return FileBytes(image.data, FILE_CODECS[media_type], *size, frame.format.name)
        if channels_are_swapped(image.encoding) and frame.format.name not in ("gray", "yuvj400p", "gray16le"):
            frame = self._swapped(frame)
        frame = self._padded(frame)
        if is_mosaic and self.policy.debayer:
            return self._coloured(frame, image.encoding, size)
        deep = frame.format.name.endswith("le")
        if self.policy.lossless or deep or is_mosaic or frame.format.name == "rgba" or min(size) < _BLOCK:
            return self._lossless(frame, size)
        return self._lossy(frame, size)

    def _depth(self, image: ImageValue) -> Picture:
        if self.policy.depth != "ffv1":
            raise ImageError(
                f"depth in format {image.encoding!r} is kept exactly as it is: --depth ffv1 makes it video"
            )
        depth = read_depth(image.data, image.encoding)
        height, width = depth.stored.shape
        frame = av.VideoFrame(*coded_size(width, height), "gray16le")
        lay(plane(frame, 0), np.ascontiguousarray(depth.stored).view(np.uint8), 2)
        return Picture(frame, width, height, lossless=True, framing=depth.framing)

    def _coloured(self, frame: av.VideoFrame, encoding: str, size: tuple[int, int]) -> Picture:
        rows: NDArray[np.uint8] | NDArray[np.uint16] = cropped(frame, 0, *size)
        if frame.format.name == "gray16le":
            rows = rows.view(np.uint16)
        colours = mosaic(encoding)
        assert colours is not None  # noqa: S101 - it is a mosaic
        rgb = demosaic(rows, colours, self._reformatter)
        return self._lossless(rgb, size) if self.policy.lossless else self._lossy(rgb, size)

    def _lossless(self, frame: av.VideoFrame, size: tuple[int, int]) -> Picture:
        name = _LOSSLESS.get(frame.format.name, frame.format.name)
        if name != frame.format.name:
            # The same values in another order; of YUV, the same planes under the name that has no range in it.
            limited = frame.color_range == ColorRange.MPEG
            kind = ColorRange.MPEG if limited else ColorRange.JPEG
            frame = self._reformatter.reformat(
                frame, format=name, src_color_range=kind, dst_color_range=kind, threads=1
            )
        return Picture(frame, *size, lossless=True)

    def _lossy(self, frame: av.VideoFrame, size: tuple[int, int]) -> Picture:
        name = frame.format.name
        if name in ("gray", "yuvj400p"):
            return Picture(_gray(frame), *size)
        if not name.startswith("yuv"):
            return Picture(full_range(frame, self._reformatter), *size)
        limited = frame.color_range == ColorRange.MPEG
        if name != ("yuv420p" if limited else "yuvj420p"):
            kind = ColorRange.MPEG if limited else ColorRange.JPEG
            frame = self._reformatter.reformat(
                frame,
                format="yuv420p" if limited else "yuvj420p",
                src_color_range=kind,
                dst_colorspace=Colorspace.ITU601,
                dst_color_range=kind,
                interpolation=ACCURATE,
                threads=1,
            )
        return Picture(frame, *size)

    def _padded(self, frame: av.VideoFrame) -> av.VideoFrame:
        size = coded_size(frame.width, frame.height)
        if size == (frame.width, frame.height):
            return frame
        whole = av.VideoFrame(*size, frame.format.name)
        whole.color_range, whole.colorspace = frame.color_range, frame.colorspace
        for index in range(len(whole.planes)):
            rows = cropped(frame, index, frame.width, frame.height)
            lay(plane(whole, index), rows, rows.shape[1] // frame.planes[index].width)
        return whole

    def _swapped(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Red for blue and blue for red."""
        name = frame.format.name
        exact = {"rgb24": "bgr24", "bgr24": "rgb24", "rgba": "bgra", "rgb48le": "bgr48le", "rgba64le": "bgra64le"}
        if name not in exact:  # YUV
            frame = self._reformatter.reformat(
                frame, format="rgb24", src_color_range=ColorRange.JPEG, interpolation=EXACT, threads=1
            )
        whole = av.VideoFrame(frame.width, frame.height, exact.get(frame.format.name, "bgr24"))
        rows = cropped(frame, 0, frame.width, frame.height)
        plane(whole, 0)[:, : rows.shape[1]] = rows
        return whole


def _is_opaque(frame: av.VideoFrame, width: int, height: int) -> bool:
    return bool((plane(frame, 0)[:height, 3 : 4 * width : 4] == 255).all())


def luma(picture: Picture) -> NDArray[np.uint8]:
    """The luma of a picture that is not lossless: (height, width) uint8 view."""
    return plane(picture.frame, 0)[: picture.height, : picture.width]


def _gray(gray: av.VideoFrame) -> av.VideoFrame:
    # Not the encoders' own gray formats: many players and all of AV1's hardware decoders lack 4:0:0.
    frame = av.VideoFrame(gray.width, gray.height, "yuvj420p")
    plane(frame, 0)[:, : gray.width] = plane(gray, 0)[:, : gray.width]
    for index in (1, 2):
        plane(frame, index)[:] = 128
    return frame
