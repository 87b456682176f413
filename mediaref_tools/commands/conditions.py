"""Conditions on reports as options, and what becomes of their checks: for `gate`, and for `convert`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mediaref_tools import plaintext as text
from mediaref_tools.commands.params import PATH, amount

if TYPE_CHECKING:
    from rich.console import Console

    from mediaref_tools.gate import Check

__all__ = ["condition_options", "settle"]

_Command = TypeVar("_Command", bound=Callable[..., Any])


def condition_options() -> Callable[[_Command], _Command]:
    """`--max-ratio`, `--no-loss` and `--junit`."""
    options = (
        click.option(
            "--max-ratio",
            metavar="X",
            type=click.FloatRange(0),
            callback=amount,
            help="Demand at most X bytes for a byte of the log.",
        ),
        click.option(
            "--no-loss",
            is_flag=True,
            help="Demand that nothing was kept unasked, embedded, skipped or recovered with loss.",
        ),
        click.option(
            "--junit", "junit_file", metavar="FILE", type=PATH, help="Write what was demanded to FILE, as JUnit XML."
        ),
    )

    def add(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def settle(checks: Sequence[Check], junit_file: Path | None, console: Console) -> bool:
    """Write the JUnit file, if there is to be one, and a line for each condition that does not hold.

    Returns:
        Whether all hold.
    """
    from mediaref_tools.commands.files import write
    from mediaref_tools.gate import junit

    if junit_file is not None:
        write("checks", junit_file, junit(checks))
    broken = [check for check in checks if check.broken]
    for check in broken:
        console.print(text.one_line(f"{check.log}: {check.condition}: {check.broken}"), soft_wrap=True)
    return not broken
