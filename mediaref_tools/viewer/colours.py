"""16-bit pictures in colour: a table from value to colour for a range of values."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError

__all__ = ["LARGEST", "Palette", "coloured", "integers", "usual_range"]

Palette = Literal["turbo", "gray"]

LARGEST: Final = 65535

# Polynomials by A. Mikhailov for Google's Turbo, from 0 to 1: red, green, blue, by power.
_TURBO: Final = np.array(
    [
        [0.13572138, 4.61539260, -42.66032258, 132.13108234, -152.94239396, 59.28637943],
        [0.09140261, 2.19418839, 4.84296658, -14.18503333, 4.27729857, 2.82956604],
        [0.10667330, 12.64194608, -60.58204836, 110.36276771, -89.90310912, 27.34824973],
    ]
)
# Full range BT.601, which is what a JPEG file holds.
_YUV: Final = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def integers(picture: NDArray[Any]) -> NDArray[np.uint16]:
    """(H, W) uint16 of a picture of 16-bit gray, as it is, or of metres, in mm: 0 for holes and what is too far."""
    if picture.dtype == np.uint16:
        return picture
    with np.errstate(invalid="ignore"):
        mm = np.nan_to_num(picture * np.float32(1000), nan=0, posinf=0, neginf=0)
    return np.where((mm < 0.5) | (mm > LARGEST), 0, np.rint(np.clip(mm, 0, LARGEST))).astype(np.uint16)


def usual_range(values: NDArray[np.uint16]) -> tuple[int, int]:
    """The range that nearly all values of a picture are in, holes (0) not counted: `low` < `high`."""
    known = values[values > 0]
    if not known.size:
        return 0, LARGEST
    low, high = (int(value) for value in np.percentile(known, (1, 99)))
    return (low, high) if low < high else (max(0, low - 1), min(LARGEST, low + 1))


def coloured(values: NDArray[np.uint16], low: int, high: int, palette: Palette) -> NDArray[np.uint8]:
    """A picture of 16 bits in colour.

    Args:
        values: (H, W) uint16; 0 is black, whatever the range.
        low, high: What the first and last colour stand for; what lies beyond has theirs.
        palette: The colours.

    Returns:
        (3, H, W) uint8: Y, U and V, full range BT.601.

    Raises:
        FrameError: The range is none, or there is no such palette.
    """
    if not 0 <= low < high <= LARGEST:
        raise FrameError(f"range from {low} to {high}: expected 0 <= low < high <= {LARGEST}")
    if palette not in get_args(Palette):
        raise FrameError(f"palette {palette!r} is none of {', '.join(get_args(Palette))}")
    found: NDArray[np.uint8] = np.empty((3, *values.shape), np.uint8)
    for plane, table in zip(found, _table(low, high, palette), strict=True):
        np.take(table, values, out=plane, mode="clip")  # a quarter of the time of table[values]
    return found


@lru_cache(maxsize=32)
def _table(low: int, high: int, palette: Palette) -> NDArray[np.uint8]:
    place = np.clip((np.arange(LARGEST + 1) - low) / (high - low), 0, 1)
    powers = place ** np.arange(6)[:, None]
    rgb = _TURBO @ powers if palette == "turbo" else np.repeat(0.08 + 0.92 * place[None], 3, axis=0)
    rgb = np.clip(rgb, 0, 1) * 255
    rgb[:, 0] = 0
    yuv = _YUV @ rgb
    yuv[1:] += 128
    return np.clip(np.rint(yuv), 0, 255).astype(np.uint8)
