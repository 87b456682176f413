"""What the rows of a run say: rates, ratios within rounds, and who may not be compared at all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tests.bench.decode.contenders import CONTENDERS

__all__ = ["LONG", "Results", "Spread"]

Row = dict[str, Any]
LONG = "h264-vga-g250"
"""The file of long groups, which is read as anybody's file would be."""
PEERS = tuple(contender.name for contender in CONTENDERS if contender.role == "peer")


class Spread(NamedTuple):
    """Median, least and most over rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None of no values."""
        return cls(statistics.median(values), min(values), max(values)) if values else None

    def text(self, digits: int = 2) -> str:
        """Median, and the range where there is one."""
        if self.least == self.most:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}–{self.most:.{digits}f})"  # noqa: RUF001


class Results:
    """The rows of a run by file, workload and contender."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows: dict[tuple[str, str, str], list[Row]] = {}
        for row in rows:
            self._rows.setdefault((row["file"], row["workload"], row["contender"]), []).append(row)

    def contenders(self, file: str) -> list[str]:
        """Those that took part, in the order of tables."""
        there = {name for at, _, name in self._rows if at == file}
        return [contender.name for contender in CONTENDERS if contender.name in there]

    def ours(self, file: str, *, exact: bool = False) -> str:
        """Our path for a file: the dataset's, but where the file stands for others'; with exact colours or not."""
        there = self.contenders(file)
        path = "dataset" if "ours, dataset" in there and file != LONG else "VideoDecoder"
        return f"ours, {path}{', exact colours' if exact else ''}"

    def rows(self, file: str, workload: str, contender: str) -> list[Row]:
        """One a round."""
        return self._rows.get((file, workload, contender), [])

    def trouble(self, file: str, workload: str, contender: str) -> tuple[str, str] | None:
        """What stands in place of a figure, and why. One wrong frame in one round is enough."""
        rows = self.rows(file, workload, contender)
        if not rows:
            return "-", ""
        error = next((row["error"] for row in rows if "error" in row), None)
        if error is not None:
            return "fails", error
        wrong = sum(row["wrong"] for row in rows)
        if wrong:
            first = next(row["first_wrong"] for row in rows if row["wrong"])
            return "wrong", f"{wrong} of {sum(row['frames'] for row in rows)} frames; {first}"
        return None

    def spread(self, file: str, workload: str, contender: str, value: Callable[[Row], float]) -> Spread | None:
        """Of a value of each round; None where a figure would not count."""
        if self.trouble(file, workload, contender):
            return None
        return Spread.of([value(row) for row in self.rows(file, workload, contender)])

    def rate(self, file: str, workload: str, contender: str) -> Spread | None:
        """Frames a second."""
        return self.spread(file, workload, contender, lambda row: row["frames"] / row["seconds"])

    def ratio(self, file: str, workload: str, one: str, other: str) -> Spread | None:
        """How many times as fast one is as another, in the same round."""
        if self.trouble(file, workload, one) or self.trouble(file, workload, other):
            return None
        pairs = zip(self.rows(file, workload, one), self.rows(file, workload, other), strict=True)
        return Spread.of([(a["frames"] / a["seconds"]) / (b["frames"] / b["seconds"]) for a, b in pairs])

    def bytes_ratio(self, file: str, workload: str, one: str, limit: str) -> Spread | None:
        """Bytes that one read, to those of the packets that had to be read."""
        if self.trouble(file, workload, one) or self.trouble(file, workload, limit):
            return None
        pairs = zip(self.rows(file, workload, one), self.rows(file, workload, limit), strict=True)
        return Spread.of([a["bytes_read"] / b["least_bytes"] for a, b in pairs])

    def best_peer(self, file: str, workload: str) -> str | None:
        """The peer of the highest median rate, of those that gave the right frames."""
        rates = {name: self.rate(file, workload, name) for name in PEERS}
        there = {name: rate.median for name, rate in rates.items() if rate is not None}
        return max(there, key=lambda name: there[name]) if there else None
