"""Progress on a terminal: one line that says how far, how fast, how much longer and how small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from mediaref_tools import progress
from mediaref_tools.commands.consoles import error_console, shows_bars
from mediaref_tools.plaintext import count, percent, size

__all__ = ["Pace", "progress_bar"]

_REDRAW_S: Final = 0.1


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[progress.OnProgress]:
    """Give a function that draws a bar on standard error, or one that does nothing where there is no terminal."""
    if quiet or not shows_bars():
        yield progress.no_progress
        return
    columns = (
        TextColumn("{task.description:<6}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[percent]:>5}", markup=False),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    # Gone at the end: the result says all that the last state of the bar could.
    with Progress(*columns, console=error_console(), transient=True, expand=True) as shown:
        yield _Bar(shown).update


class _Bar:
    """Feeds progress into a bar of rich, at most ten times a second."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._pace = Pace()
        self._task: TaskID | None = None
        self._stage: str | None = None
        self._drawn_s = 0.0

    def update(self, state: progress.Progress) -> None:
        now_s = monotonic()
        if state.stage == self._stage and state.done != state.total and now_s - self._drawn_s < _REDRAW_S:
            return
        self._drawn_s = now_s
        self._pace.update(state)
        if self._task is None or state.stage != self._stage:
            if self._task is not None:
                self._shown.remove_task(self._task)
            self._task = self._shown.add_task(state.stage, total=state.total, percent="", figures="")
            self._stage = state.stage
        done = f"{100 * state.done // state.total} %" if state.total else ""
        self._shown.update(
            self._task, total=state.total, completed=state.done, percent=done, figures=self._pace.figures()
        )


class Pace:
    """What can be told from progress and a clock: rates, time left, ratio. Means over the running stage."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        """Start at nothing; `clock` gives seconds that only grow."""
        self._clock = clock
        self._first: progress.Progress | None = None
        self._last: progress.Progress | None = None
        self._start_s = 0.0

    def update(self, state: progress.Progress) -> None:
        """Take the newest progress; one of another stage starts anew."""
        if self._first is None or state.stage != self._first.stage:
            self._first, self._start_s = state, self._clock()
        self._last = state

    def figures(self) -> str:
        """`812 msg/s  22.1 MB/s  0:07 left  -> 18 %`: those of them that are known by now."""
        if self._first is None or self._last is None:
            return ""
        first, last = self._first, self._last
        parts = []
        elapsed_s = self._clock() - self._start_s
        done = last.done - first.done
        if last.stage == "batch":
            parts.append(f"{count(last.done)} of {count(last.total or 0)} logs")
        if elapsed_s > 0 and done > 0:
            if last.stage != "batch":
                parts.append(
                    f"{count(round(done / elapsed_s))} {'frames' if last.stage in ('export', 'rerun') else 'msg'}/s"
                )
            if last.bytes_in > first.bytes_in:
                parts.append(f"{size(round((last.bytes_in - first.bytes_in) / elapsed_s))}/s")
            if last.total is not None and last.total > last.done:
                parts.append(f"{_clock_text(round(elapsed_s * (last.total - last.done) / done))} left")
        if last.bytes_in and last.bytes_out:
            parts.append(f"-> {percent(last.bytes_out / last.bytes_in)}")
        return "  ".join(parts)


def _clock_text(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
