"""Times of a segment's packets: when each frame is shown, and when it is decoded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_GAP_NS", "packet_times"]

MAX_GAP_NS = 1_000 * 1_000_000_000
"""An MP4 file of this time base folds what is above 2147 s."""
_MAX_OFFSET_US = 2**31 - 1


def packet_times(
    log_times_ns: NDArray[np.int64], sequence: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """pts and dts of one segment's packets, in µs.

    The frames are shown by sequence, and by order within one. The k-th that is shown takes the k-th log time: the
    time from the first packet's, rounded to µs, later by at least 1 µs than the one before; where log times run
    backwards 1 µs later, after more than `MAX_GAP_NS` that much. The dts are the same times moved back until
    none is later than its pts.

    Args:
        log_times_ns, sequence, order: Of the packets as recorded: (N,) int64, N > 0.

    Returns:
        pts_us and dts_us, (N,) int64: the least pts is 0; equal where frames are shown in the order of packets.
    """
    place = np.empty(len(order), dtype=np.int64)
    place[np.lexsort((np.arange(len(order)), order, sequence))] = np.arange(len(order))
    gap_ns = MAX_GAP_NS
    while True:
        times_us = _rising(log_times_ns, gap_ns)
        pts_us = times_us[place]
        delay = int((times_us - pts_us).max())
        if int((pts_us - times_us).max()) + delay <= _MAX_OFFSET_US:
            return pts_us, times_us - delay
        gap_ns //= 2  # how far a pts lies behind its dts has 32 bits as well


def _rising(log_times_ns: NDArray[np.int64], gap_ns: int) -> NDArray[np.int64]:
    steps = np.diff(log_times_ns, prepend=log_times_ns[:1])
    skipped = np.cumsum(np.maximum(steps - gap_ns, 0))
    times = log_times_ns - log_times_ns[0] - skipped
    times_us = (times + 500) // 1000
    # Strictly rising: without its index, each at least as much as all before.
    index = np.arange(len(times_us), dtype=np.int64)
    return np.maximum.accumulate(times_us - index) + index
