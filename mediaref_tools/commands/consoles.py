"""Where commands write: rich consoles that take every text as it is."""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

import click
from pydantic import BaseModel
from rich.console import Console

__all__ = ["echo_json", "error_console", "json_text", "output_console", "shows_bars"]

_UNFOLDED = 10_000


def output_console() -> Console:
    """Standard output: as wide as the terminal or COLUMNS, and without folding where it goes to a file or pipe."""
    return _console(sys.stdout)


def error_console() -> Console:
    """Standard error."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    # Lines that go to a program should stay whole: `mediaref info LOG | grep /camera` must find its topic.
    unfolded = not stream.isatty() and not os.environ.get("COLUMNS")
    # No markup and no emoji: a topic may be called "/[red]:smile:".
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=_UNFOLDED if unfolded else None)


def shows_bars() -> bool:
    """Whether standard error is a terminal that can redraw a line."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def json_text(model: BaseModel) -> str:
    """A model as JSON that ends in a newline: what `--json` prints and `--report` writes.

    ASCII alone, other characters escaped: a topic's name need not even be Unicode, and pydantic's own JSON refuses
    such names.
    """
    return json.dumps(model.model_dump(), indent=1) + "\n"


def echo_json(model: BaseModel) -> None:
    """Print a model as JSON."""
    click.echo(json_text(model), nl=False)
