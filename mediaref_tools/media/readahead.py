"""Foreseeing which frames are asked for next, by what was asked for before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReadAhead"]

_MOST = 256  # frames foreseen beyond the last that was asked for


class ReadAhead:
    """Tells what is asked for next of frames gone through in order: up to the end of the next group of pictures.

    Who asks now here, now there, is left alone. Several threads may ask; what each does hides what the others do.
    """

    def __init__(self, keyframes: NDArray[np.int64], count: int) -> None:
        """`keyframes` are numbers of frames, ascending, `count` is how many frames there are."""
        self._keyframes, self._count = keyframes, count
        self._before, self._step = np.empty(0, np.int64), 0
        self._again = -1  # from where on to look ahead once more

    def after(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The frames that are likely to be asked for after these, ascending, each once; both may be none.

        `numbers` are ascending, each once. Frames are foreseen some at a time: nothing is while enough is known.
        """
        before, self._before = self._before, numbers
        step, self._step = self._step, 0
        if len(numbers) and before.shape == numbers.shape and (numbers - before == numbers[0] - before[0]).all():
            self._step = int(numbers[0] - before[0])
        gap = int(numbers[1] - numbers[0]) if len(numbers) > 1 else 1
        if self._step < 1 or (step != self._step and int(numbers[0] - before[-1]) != gap):
            self._again = -1
            return np.empty(0, np.int64)
        last, following = int(numbers[-1]), int(numbers[-1]) + self._step
        if following <= self._again:
            return np.empty(0, np.int64)
        at = int(np.searchsorted(self._keyframes, last, side="right")) + 1
        end = int(self._keyframes[at]) if at < len(self._keyframes) else self._count
        reach = min(max(min(end, last + _MOST), following + 1), self._count)
        self._again = (last + reach) // 2
        times = np.arange(1, 1 + max(1, -(-(reach - last) // self._step)), dtype=np.int64)
        foreseen = np.unique(numbers[None, :] + self._step * times[:, None])
        return foreseen[foreseen < reach]
