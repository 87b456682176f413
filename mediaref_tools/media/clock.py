"""The clock of a video stream: between its ticks, nanoseconds and float seconds; no rounding moves a frame."""

from __future__ import annotations

import math
import operator
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from mediaref_tools.errors import FrameError

__all__ = ["Clock"]

_NS = 1_000_000_000
_FAR_SECONDS = 2.0**63


class Clock:
    """Ticks of one length, which need not be whole nanoseconds."""

    def __init__(self, tick_seconds: Fraction) -> None:
        """`tick_seconds` is the stream's time base."""
        self.tick_seconds = tick_seconds

    def tick(self, time_ns: int) -> int:
        """The last tick that is not after a time.

        Raises:
            FrameError: The time is no whole number.
        """
        return _whole(time_ns) * self.tick_seconds.denominator // (self.tick_seconds.numerator * _NS)

    def ticks(self, times_ns: ArrayLike) -> list[int]:
        """`tick` of each of some times, of whatever size.

        Raises:
            FrameError: One is no whole number.
        """
        # Of a list, NumPy would make floats where it holds more than 64 bits.
        times = times_ns if isinstance(times_ns, (list, tuple)) else np.atleast_1d(np.asarray(times_ns)).tolist()
        return [self.tick(time) for time in times]

    def ns(self, tick: int) -> int:
        """The first whole nanosecond that is not before a tick, so that `tick` gives the tick back."""
        return math.ceil(tick * self.tick_seconds * _NS)

    def seconds(self, tick: int) -> float:
        """The float nearest to a tick."""
        return float(tick * self.tick_seconds)

    def tick_at_seconds(self, seconds: float) -> int:
        """The last tick whose `seconds` are not above a time: a frame's own float time finds that frame.

        Raises:
            FrameError: The time is not finite, or beyond any stream.
        """
        tick = math.floor(_middle(seconds, math.inf) / self.tick_seconds)
        return tick if self.seconds(tick) <= seconds else tick - 1  # a tick right between two floats may go to either

    def tick_before_seconds(self, seconds: float) -> int:
        """The last tick whose `seconds` are below a time.

        Raises:
            FrameError: The time is not finite, or beyond any stream.
        """
        tick = math.floor(_middle(seconds, -math.inf) / self.tick_seconds)
        return tick if self.seconds(tick) < seconds else tick - 1


def _whole(time_ns: object) -> int:
    try:
        return operator.index(time_ns)  # type: ignore[arg-type]
    except TypeError as error:
        raise FrameError(f"time of {time_ns!r}: expected a whole number of nanoseconds") from error


def _middle(seconds: float, towards: float) -> Fraction:
    """Half way from a time to the next float: what lies between is rounded to the one or the other."""
    if not abs(seconds) < _FAR_SECONDS:
        raise FrameError(f"time of {seconds} s is beyond any stream: expected less than {_FAR_SECONDS:g} s")
    return (Fraction(seconds) + Fraction(math.nextafter(seconds, towards))) / 2
