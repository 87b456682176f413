"""Progress as a value: the library pushes it out, whoever calls decides how to show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

__all__ = ["OnProgress", "Progress", "no_progress"]


class Progress(NamedTuple):
    """How far a long piece of work has come.

    Attributes:
        stage: "encode" (the log is read and written), "prove" (references are decoded and compared),
            "verify", "export".
        done, total: Messages or frames; total is None while nobody knows.
        bytes_in, bytes_out: Image bytes read, and bytes of media written for them, so far; 0 where no media
            is written.
    """

    stage: Literal["encode", "prove", "verify", "export"]
    done: int
    total: int | None
    bytes_in: int = 0
    bytes_out: int = 0


OnProgress = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """Ignore progress: the default."""
