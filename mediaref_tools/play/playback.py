"""What is on screen when: one clock in log time over any number of topics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil
from time import monotonic_ns
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError

__all__ = ["SPEEDS", "Playback", "Track"]

SPEEDS: Final = tuple(Fraction(text) for text in ("1/8", "1/4", "1/2", "1", "2", "4", "8"))
"""What `faster` and `slower` go through."""


class Track(Protocol):
    """What a clock needs of a topic: `mediaref_tools.dataset.dataset.Topic` is one."""

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, growing or equal."""
        ...

    def index_at(self, log_times_ns: Sequence[int]) -> NDArray[np.int64]:
        """The frame on screen at each time, (N,) int64; -1 before the first."""
        ...


class Playback:
    """A clock that runs in log time, pauses, jumps and steps, and what each topic shows by it.

    A topic shows `topic.index_at([time_ns])`, always. Only where frames of one topic share a log time does `step`
    stop at each of them too. Times are ints throughout: at any speed, for any length, nothing drifts.

    Args:
        topics: Some may be empty, not all.
        time_ns: Where to begin; None is the first frame.
        speed: Log time per time.
        loop: Go on from the first frame after the last one; otherwise the clock pauses at `stop_ns`.
        now_ns: Gives the time that passes, in ns.

    Raises:
        FrameError: No topic has a frame, or the speed is not positive.
    """

    def __init__(
        self,
        topics: Sequence[Track],
        *,
        time_ns: int | None = None,
        speed: Fraction = Fraction(1),
        loop: bool = False,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        if speed <= 0:
            raise FrameError(f"can't play at speed {float(speed)!r}: expected more than 0")
        self._topics = topics
        self._times = [topic.log_times_ns for topic in topics]
        shown = [times for times in self._times if len(times)]
        if not shown:
            raise FrameError(f"nothing to play: none of {len(topics)} topics has a frame")
        self.first_ns = min(int(times[0]) for times in shown)
        # The last frame is shown for as long as the quickest topic's usually are.
        usual_ns = min(int(np.median(np.diff(times))) if len(times) > 1 else 1_000_000_000 for times in shown)
        self.stop_ns = max(int(times[-1]) for times in shown) + max(1, usual_ns)
        self.loop = loop
        self._speed = speed
        self._now_ns = now_ns
        self._since_ns: int | None = None
        self._from_ns = self.first_ns if time_ns is None else time_ns
        # Which of a topic's frames of this very time; None is the last, as for any other time.
        self._repeat: int | None = 0

    @property
    def speed(self) -> Fraction:
        """Log time per time."""
        return self._speed

    @property
    def time_ns(self) -> int:
        """The log time now, in `[first_ns, stop_ns]` unless it was sent elsewhere."""
        return self._advance()

    @property
    def paused(self) -> bool:
        """Whether the clock stands, because it was told to or has come to the end."""
        self._advance()
        return self._since_ns is None

    def play(self) -> None:
        """Let the clock run, from the first frame if it was at the end."""
        if self.paused:
            self.seek(self.first_ns if self._from_ns >= self.stop_ns else self._from_ns)
            self._since_ns = self._now_ns()

    def pause(self) -> None:
        """Stop the clock where it is."""
        self._from_ns = self.time_ns
        self._since_ns = None

    def seek(self, time_ns: int) -> None:
        """Go to a log time, running or not."""
        self._from_ns, self._repeat = time_ns, None
        if self._since_ns is not None:
            self._since_ns = self._now_ns()

    def rewind(self) -> None:
        """Go to the very first frame."""
        self.seek(self.first_ns)
        self._repeat = 0 if self._since_ns is None else None

    def faster(self) -> None:
        """Take the next speed up."""
        self._set_speed(min((speed for speed in SPEEDS if speed > self._speed), default=self._speed))

    def slower(self) -> None:
        """Take the next speed down."""
        self._set_speed(max((speed for speed in SPEEDS if speed < self._speed), default=self._speed))

    def _set_speed(self, speed: Fraction) -> None:
        self._from_ns = self.time_ns
        if self._since_ns is not None:
            self._since_ns = self._now_ns()
        self._speed = speed

    def shown(self) -> tuple[int, list[int]]:
        """The log time now, and the frame of each topic then; -1 before its first."""
        time_ns = self.time_ns
        indices = [int(topic.index_at([time_ns])[0]) for topic in self._topics]
        if self._repeat is not None:
            for place, (first, stop) in enumerate(self._at(time_ns)):
                if stop > first:
                    indices[place] = min(first + self._repeat, stop - 1)
        return time_ns, indices

    def step(self, direction: int) -> bool:
        """Pause, and go to the next (1) or last (-1) time at which any topic has a frame.

        Returns:
            Whether there was one.
        """
        self.pause()
        time_ns = self._from_ns
        repeats = max(stop - first for first, stop in self._at(time_ns))
        repeat = repeats - 1 if self._repeat is None else self._repeat
        if repeats > 1 and 0 <= repeat + direction < repeats:
            self._repeat = repeat + direction
            return True
        if direction > 0:
            next_ns = self._next(time_ns)
            target = None if next_ns == self.stop_ns else next_ns
        else:
            # What is shown came at or before the clock: the step goes to what was shown before that.
            shown_ns = self._newest_before(time_ns + 1)
            target = None if shown_ns is None else self._newest_before(shown_ns)
        if target is None:
            return False
        self._from_ns, self._repeat = target, 0 if direction > 0 else None
        return True

    def next_change_ns(self) -> int | None:
        """How long in ns until a topic shows another frame, or the end comes; None where the clock stands."""
        if self.paused:
            return None
        time_ns = self.time_ns
        return ceil((min(self._next(time_ns), self.stop_ns) - time_ns) / self._speed)

    def _advance(self) -> int:
        if self._since_ns is None:
            return self._from_ns
        now_ns = self._now_ns()
        time_ns = self._from_ns + int((now_ns - self._since_ns) * self._speed)
        if time_ns < self.stop_ns:
            return time_ns
        if self.loop:
            self._from_ns = self.first_ns + (time_ns - self.first_ns) % (self.stop_ns - self.first_ns)
            self._since_ns = now_ns
        else:
            self._from_ns, self._since_ns = self.stop_ns, None
        return self._from_ns

    def _next(self, time_ns: int) -> int:
        """When the first frame after a time comes; `stop_ns` where none does."""
        places = [(times, int(np.searchsorted(times, time_ns, "right"))) for times in self._times]
        return min((int(times[place]) for times, place in places if place < len(times)), default=self.stop_ns)

    def _newest_before(self, time_ns: int) -> int | None:
        places = [(times, int(np.searchsorted(times, time_ns, "left"))) for times in self._times]
        return max((int(times[place - 1]) for times, place in places if place), default=None)

    def _at(self, time_ns: int) -> list[tuple[int, int]]:
        """Each topic's frames whose log time is exactly this, as a half-open range."""
        return [
            (int(np.searchsorted(times, time_ns, "left")), int(np.searchsorted(times, time_ns, "right")))
            for times in self._times
        ]
