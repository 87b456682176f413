"""What the bar says."""

from __future__ import annotations

from mediaref_tools.commands.bars import Pace
from mediaref_tools.progress import Progress


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_figures() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert pace.figures() == ""
    pace.update(Progress("encode", 0, 1000))
    assert pace.figures() == ""
    clock.now_s += 2
    pace.update(Progress("encode", 500, 1000, bytes_in=50_000_000, bytes_out=9_000_000))
    assert pace.figures() == "250 msg/s  25.0 MB/s  0:02 left  -> 18 %"
    clock.now_s += 2
    pace.update(Progress("encode", 1000, 1000, bytes_in=100_000_000, bytes_out=9_000_000))
    assert pace.figures() == "250 msg/s  25.0 MB/s  -> 9.0 %"


def test_each_stage_has_its_own_rate() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.update(Progress("encode", 0, 10))
    clock.now_s += 100
    pace.update(Progress("encode", 10, 10))
    pace.update(Progress("prove", 0, 100_000))
    assert pace.figures() == ""
    clock.now_s += 1
    pace.update(Progress("prove", 10, 100_000))
    assert pace.figures() == "10 msg/s  2:46:39 left"


def test_total_may_be_unknown() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.update(Progress("export", 5, None))
    clock.now_s += 1
    pace.update(Progress("export", 15, None, bytes_out=5))
    assert pace.figures() == "10 frames/s"
