"""`mediaref play`: watch a dataset."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mediaref_tools.commands.params import PATH, allow_option, topic_option

__all__ = ["command"]


if TYPE_CHECKING:
    _ParamType = click.ParamType[Fraction]
else:  # not generic before click 8.4
    _ParamType = click.ParamType


class _Speed(_ParamType):
    """A factor, read exactly."""

    name = "factor"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        try:
            speed = Decimal(str(value).removesuffix("x"))
        except InvalidOperation:
            speed = Decimal("NaN")
        if not speed.is_finite() or not Decimal("0.001") <= speed <= 1000:
            self.fail(f"{value!r} is not a factor from 0.001 to 1000, such as 2 or 0.5", param, ctx)
        return Fraction(speed)


@click.command(short_help="Watch a dataset at its real times.")
@click.argument("dataset", metavar="PATH", type=PATH)
@click.option("--terminal", is_flag=True, help="Play in the terminal. (For now there is nothing else: always on.)")
@topic_option("Play topics that match; may be given several times.")
@click.option("--at", "at", metavar="TIME", help="Begin there.")
@click.option(
    "--frames", metavar="N", type=click.IntRange(1), help="Stop after N frames. [default: 1 without a terminal]"
)
@click.option("--speed", metavar="X", type=_Speed(), default="1", show_default=True, help="Times as fast.")
@click.option("--loop", is_flag=True, help="Begin again after the last frame.")
@allow_option()
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True)
def command(
    dataset: Path,
    terminal: bool,  # noqa: ARG001 - the only view there is
    topics: tuple[str, ...],
    at: str | None,
    frames: int | None,
    speed: Fraction,
    loop: bool,
    allow: tuple[str, ...],
    color: Literal["auto", "always", "never"],
) -> None:
    """Play topics side by side, each frame at its real time. Press ? for keys.

    PATH is a dataset, or a log or table (parquet, CSV, JSON) that holds references.

    TIME is a log time in ns, seconds from the start of the log such as 12.5s, or ISO 8601 such as
    2024-05-01T12:00:00Z.

    Where standard output is no terminal, N frames are printed as text and nothing waits. NO_COLOR, FORCE_COLOR and
    CLICOLOR_FORCE are heeded.
    """
    from mediaref_tools.dataset.opening import open_dataset
    from mediaref_tools.errors import FrameError
    from mediaref_tools.play.player import play
    from mediaref_tools.selection import select
    from mediaref_tools.times import parse_time

    with open_dataset(dataset, allow=allow) as opened:
        chosen = [opened[name] for name in select(set(opened), topics or ("*",), (), what="topic with frames")]
        # Times count from the start of the log, not of its pictures: the same whichever topics are chosen.
        start_ns = opened.start_ns
        try:
            time_ns = None if at is None else parse_time(at, start_ns=start_ns)
        except FrameError as error:
            raise click.BadParameter(str(error), param_hint="'--at'") from error
        play(chosen, start_ns=start_ns, time_ns=time_ns, frames=frames, speed=speed, loop=loop, color=color)
