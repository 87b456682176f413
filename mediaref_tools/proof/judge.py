"""The proof: does each reference show the picture of the very message that it replaced?

Three things are asked of a frame. Its packet must lie at exactly the reference's `pts_ns`, where its row says; what
decodes there must resemble its own source picture; and that must be nearer than the pictures before and after it. The
last is judged on the luma means of 8x8 blocks, and only on blocks in which those sources differ clearly: on the others
they show the same, and noise would decide. A neighbour's picture is found if there it fits better by more than all that
coding costs the whole picture. PSNR is of luma over all pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Judge", "psnr_db"]

_BLOCK = 8
_CLEAR = 8.0  # grey levels between two block means that no noise and no slow fade explain
_MARGIN = 4.0  # times better: a small object that lags in a coarse video is no other picture
# Grey levels of block means' error: no coding is that coarse, and none that fails to follow a plain picture's contrast.
_FAR, _OFF = 16.0, 8.0
_RUN, _RUN_MIN = 60, 16  # frames that are judged together
_RUN_SHARE = 0.75  # of its own error: measured on still footage, right runs have 0.96 and more, shifted ones 0.64


def psnr_db(decoded: NDArray[np.uint8], source: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio of two 8-bit planes in dB; infinite if they are equal."""
    difference = decoded.astype(np.float32)
    difference -= source  # in place: two more arrays of this size cost more than the arithmetic
    flat = difference.ravel()
    square = float(np.dot(flat, flat))
    return float("inf") if square == 0.0 else float(10.0 * np.log10(255.0**2 * flat.size / square))


class _Pair(NamedTuple):
    """A frame waiting for its neighbours: block means of what was decoded and of its source."""

    frame: int
    decoded: NDArray[np.float32]
    source: NDArray[np.float32]


class Judge:
    """Compares each frame of a topic with its own source and with its neighbours' sources, as frames come in.

    A single frame is found wrong where its picture clearly is a neighbour's. Where pictures hardly change, noise hides
    that in each, but not in all: a run of frames is found wrong if one side's sources fit it better on the whole.
    """

    def __init__(self) -> None:
        self.wrong: set[int] = set()
        """Frames that show another picture than their own."""
        self._pairs: list[_Pair] = []
        self._run: list[int] = []
        self._run_errors = np.zeros(3)

    def add(self, frame: int, decoded: NDArray[np.uint8], source: NDArray[np.uint8]) -> None:
        """Take the next frame: luma planes of one size."""
        pair = _Pair(frame, _blocks(decoded), _blocks(source))
        if self._pairs and self._pairs[-1].source.shape != pair.source.shape:
            self.finish()
        self._pairs.append(pair)
        if len(self._pairs) > 1:
            self._judge(len(self._pairs) - 2)
        if len(self._pairs) > 2:
            self._follow(*self._pairs)
            del self._pairs[0]

    def finish(self) -> None:
        """Judge the last frame, and the run that it ends: nothing comes after it."""
        if self._pairs:
            self._judge(len(self._pairs) - 1)
        self._pairs.clear()
        self._end_run()

    def _judge(self, at: int) -> None:
        mine = self._pairs[at]
        own_error = np.square(mine.decoded - mine.source)
        error, contrast = float(own_error.mean()), float(np.var(mine.source))
        if error > _FAR**2 or (error > _OFF**2 and error > contrast / 2):
            self.wrong.add(mine.frame)  # nearer to no neighbour, perhaps, but it is not this picture
            return
        for other in (*self._pairs[max(at - 1, 0) : at], *self._pairs[at + 1 : at + 2]):
            changed = np.abs(mine.source - other.source)
            other_error = np.square(mine.decoded - other.source)
            # How coarsely this video is coded: the better match's error, over the whole picture.
            noise = min(float(own_error.sum()), float(other_error.sum()))
            where = changed > max(_CLEAR, 4.0 * (noise / own_error.size) ** 0.5)
            # Evidence must outweigh that: one block at the rim that lags behind is no wrong picture.
            if float((own_error[where] - _MARGIN * other_error[where]).sum()) > noise:
                self.wrong.add(mine.frame)
                return

    def _follow(self, before: _Pair, mine: _Pair, after: _Pair) -> None:
        # Variances, not squares: a video coded coarsely lags behind a fade, and that is a mean.
        errors = [float(np.var(mine.decoded - pair.source)) for pair in (before, mine, after)]
        self._run_errors += errors
        self._run.append(mine.frame)
        if len(self._run) == _RUN:
            self._end_run()

    def _end_run(self) -> None:
        before, own, after = self._run_errors.tolist()
        if len(self._run) >= _RUN_MIN and min(before, after) < _RUN_SHARE * own:
            self.wrong.update(self._run)
        self._run.clear()
        self._run_errors[:] = 0.0


def _blocks(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means of 8x8 blocks (of the whole, along a side shorter than 8), (H // 8, W // 8) float32."""
    height, width = min(_BLOCK, luma.shape[0]), min(_BLOCK, luma.shape[1])
    rows, columns = luma.shape[0] // height, luma.shape[1] // width
    whole = luma[: rows * height, : columns * width].reshape(rows, height, columns * width)
    sums = np.add.reduce(whole, axis=1, dtype=np.uint16).astype(np.float32)
    means: NDArray[np.float32] = sums.reshape(-1, width) @ np.full(width, 1 / (width * height), np.float32)
    return means.reshape(rows, columns)
