"""What callers hand in, checked: indices and times, and arrays to decode into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref_tools.errors import FrameError

__all__ = ["fitting", "integers"]


def fitting(out: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array of a caller's, if a batch fits into it.

    Raises:
        FrameError: It does not.
    """
    found: object = out
    if not isinstance(found, np.ndarray) or out.shape != shape or out.dtype != dtype or not out.flags.writeable:
        told = f"{out.dtype} {out.shape}" if isinstance(found, np.ndarray) else type(out).__name__
        raise FrameError(f"out is {told}, or can't be written to: expected a writable {dtype} array of {shape}")
    return out


def integers(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """Integers as int64. Floats are refused: nanoseconds do not fit into them, and an index of 1.5 is a mistake.

    Raises:
        FrameError: They are none, do not fit, or are in more than one dimension.
    """
    array = np.asarray(values)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max):
        raise FrameError(f"{what} of dtype {array.dtype}: expected integers that fit int64, such as np.int64")
    if array.ndim > 1:
        raise FrameError(f"{what} of shape {array.shape}: expected one number or a flat list of them")
    return array.astype(np.int64)
