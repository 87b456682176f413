"""Raw pixels again, as an image's message had them, of the frame that they became."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.colour import ACCURATE
from mediaref_tools.pixels.encodings import MOSAICS, Layout, layout, mosaic
from mediaref_tools.pixels.plane import cropped, plane
from mediaref_tools.pixels.raster import Raster
from mediaref_tools.pixels.raw import fill_raw

__all__ = ["RawData", "sampled"]

_MOST_BYTES: Final = 2**31
_RANGES: Final = {"yuvj420p": ColorRange.JPEG}


class RawData:
    """Turns frames into raw pixels. Holds scalers: one object a thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._raster = Raster(exact=True)

    def of(self, frame: av.VideoFrame, image: ImageValue, size: int, rest: bytes = b"") -> bytes:
        """The data of an image message: its values the frame's own where that holds them, else as near as it gets.

        Args:
            frame: What was decoded, the picture in its upper left.
            image: What the message said of its pixels; without them.
            size: Bytes of data that there were.
            rest: What `rest_of` gave of them; b"" for zeros.

        Raises:
            ImageError: It is of an encoding that never became video, or its sizes contradict each other.
        """
        known = layout(image.encoding)
        if known is None or not 0 <= size < _MOST_BYTES or (rest and len(rest) != size):
            raise ImageError(f"{size} bytes of {image.encoding!r} can't be made of a frame of {frame.format.name}")
        data = bytearray(rest or size)
        fill_raw(self._in_layout(frame, image, known), replace(image, data=memoryview(data)), known)
        return bytes(data)

    def _in_layout(self, frame: av.VideoFrame, image: ImageValue, known: Layout) -> av.VideoFrame:
        name, wanted = frame.format.name, known.pixel_format
        if name == wanted:
            return frame
        if known.kind == "yuv":
            kind = _RANGES.get(name, ColorRange.MPEG)
            return self._reformatter.reformat(
                frame,
                format=wanted,
                src_color_range=kind,
                dst_color_range=ColorRange.MPEG,
                interpolation=ACCURATE,
                threads=1,
            )
        if known.kind == "mosaic":
            rgb = self._raster.array(frame, "rgb")[: image.height, : image.width]
            return _gray(sampled(rgb, mosaic(image.encoding) or MOSAICS[0]), known.deep)
        if known.kind == "gray":
            return _gray(cropped(frame, 0, image.width, image.height), known.deep)
        if name.startswith("yuv"):  # not by libswscale's shortcut, which is up to 3 levels off
            rgb = self._raster.array(frame, "rgb")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return frame if wanted == "rgb24" == frame.format.name else self._reordered(frame, wanted)

    def _reordered(self, frame: av.VideoFrame, wanted: str) -> av.VideoFrame:
        return self._reformatter.reformat(frame, format=wanted, threads=1)


def sampled(rgb: NDArray[np.uint8], colours: str) -> NDArray[np.uint8]:
    """The mosaic, (H, W), that a sensor behind filters of these colours would have made of (H, W, 3)."""
    found: Any = np.empty(rgb.shape[:2], np.uint8)
    for at, colour in enumerate(colours):
        rows, columns = slice(at // 2, None, 2), slice(at % 2, None, 2)
        found[rows, columns] = rgb[rows, columns, "rgb".index(colour)]
    return found  # type: ignore[no-any-return]


def _gray(values: NDArray[np.uint8], deep: bool) -> av.VideoFrame:
    height, width = values.shape
    frame = av.VideoFrame(width, height, "gray16le" if deep else "gray")
    if deep:
        plane(frame, 0).view("<u2")[:, :width] = values.astype(np.uint16) * 257
    else:
        plane(frame, 0)[:, :width] = values
    return frame
