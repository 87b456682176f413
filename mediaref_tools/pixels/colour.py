"""RGB as YUV of full range, as JPEG has it, each value rounded to the nearest."""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.pixels.plane import plane

__all__ = ["ACCURATE", "EXACT", "full_range"]

ACCURATE: Final = 0x02 | 0x40000
"""libswscale's bilinear filter with accurate rounding: without that, white is coded as 253, and grey has a tint."""

EXACT: Final = ACCURATE | 0x2000
"""And with chroma for each pixel, which makes RGB of YUV right within half a level: else it is up to 3 off."""


def full_range(frame: av.VideoFrame, reformatter: VideoReformatter) -> av.VideoFrame:
    """RGB of 8 bits as yuvj420p, BT.601 (ITU-T T.871): luma within half a level, chroma of flat colour likewise.

    Args:
        frame: rgb24, bgr24, or rgba and bgra, whose alpha is left out.
        reformatter: The caller's, which is for one thread at a time.
    """
    # libswscale's own full range (9.5) has its chroma half a level too low, since 0 to 255 has its middle at 127.5: all
    # colours would be greener. Its limited range is exact, and with 16 bits has room for what the wider range needs.
    deep = reformatter.reformat(
        frame,
        format="yuv420p16le",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        interpolation=ACCURATE,
        threads=1,
    )
    full = av.VideoFrame(frame.width, frame.height, "yuvj420p")
    for index, levels in enumerate((_LUMA, _CHROMA, _CHROMA)):
        width = full.planes[index].width
        plane(full, index)[:, :width] = np.take(levels, plane(deep, index).view("<u2")[:, :width], mode="clip")
    return full


def _levels(middle: float, limited: float, steps: int) -> NDArray[np.uint8]:
    """The level in full range of each 16-bit value in limited range, where 8 bits have `steps` for 255."""
    values = np.arange(2**16) / 2**8
    return np.rint(np.clip((values - limited) * 255 / steps + middle, 0, 255)).astype(np.uint8)


_LUMA: Final = _levels(0, 16, 219)
_CHROMA: Final = _levels(128, 128, 224)
