"""Progress as a value: the library pushes it out, whoever calls decides how to show it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["Meter", "OnProgress", "Progress", "Stage", "no_progress"]


Stage = Literal["encode", "prove", "verify", "export", "restore", "batch", "rerun"]


class Progress(NamedTuple):
    """How far a long piece of work has come.

    Attributes:
        stage: "encode" (the log is read and written), "prove" (references are decoded and compared),
            "verify", "export", "restore", "batch" (logs, one after the other).
        done, total: Messages, frames or logs; total is None while nobody knows.
        bytes_in, bytes_out: Image bytes read, and bytes of media written for them, so far; 0 where no media
            is written.
    """

    stage: Stage
    done: int
    total: int | None
    bytes_in: int = 0
    bytes_out: int = 0


OnProgress = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """Ignore progress: the default."""


class Meter:
    """Counts, and tells how far it has come at most twenty times a second."""

    def __init__(self, on_progress: OnProgress, stage: Stage, total: int | None) -> None:
        self._on_progress, self._stage, self._total = on_progress, stage, total
        self._done = self._bytes_in = self._bytes_out = 0
        self._told = 0.0

    def step(self, count: int = 1, *, bytes_in: int = 0, bytes_out: int = 0) -> None:
        """Count some more."""
        self._done += count
        self._bytes_in += bytes_in
        self._bytes_out += bytes_out
        now = time.monotonic()
        if now - self._told >= 0.05:
            self._told = now
            self._tell()

    def end(self) -> None:
        """Tell the last count."""
        self._tell()

    def _tell(self) -> None:
        self._on_progress(Progress(self._stage, self._done, self._total, self._bytes_in, self._bytes_out))
