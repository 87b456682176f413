"""`mediaref play`: watch a dataset, a log or a video."""

from __future__ import annotations

import os
import sys
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mediaref_tools.commands.params import PATH, allow_option, overwrite_option, topic_option
from mediaref_tools.plaintext import printable

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


@click.command(short_help="Watch a dataset, a log or a video, frame by frame.")
@click.argument("path", metavar="PATH", type=PATH)
@click.option("--terminal", is_flag=True, help="Play in the terminal.")
@click.option(
    "--no-browser", is_flag=True, help="Print the page's address instead of opening it, and how to tunnel it."
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=None,
    help="Serve the page there. [default: a free one]",
)
@click.option("--host", metavar="ADDRESS", help="Serve it to others on the network, too. [default: 127.0.0.1]")
@click.option(
    "--against",
    metavar="LOG",
    type=PATH,
    help="The log that the dataset was made from, to compare frames with. [default: its name and size, beside it]",
)
@click.option("--rerun", is_flag=True, help="Show it in Rerun's viewer: pip install 'mediaref-tools[rerun]'.")
@click.option("--save", metavar="FILE", type=PATH, help="With --rerun: write a recording (.rrd), and open nothing.")
@overwrite_option("Replace the recording that is there.")
@topic_option("Play topics that match; may be given several times.")
@click.option("--at", "at", metavar="TIME", help="Begin there.")
@click.option(
    "--frames",
    metavar="N",
    type=click.IntRange(1),
    help="In the terminal: stop after N frames. [default: 1 if there is none]",
)
@click.option(
    "--speed", metavar="X", type=_Speed(), default="1", show_default=True, help="In the terminal: times as fast."
)
@click.option("--loop", is_flag=True, help="In the terminal: begin again after the last frame.")
@allow_option()
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="In the terminal.",
)
def command(
    path: Path,
    terminal: bool,
    no_browser: bool,
    port: int | None,
    host: str | None,
    against: Path | None,
    rerun: bool,
    save: Path | None,
    overwrite: bool,
    topics: tuple[str, ...],
    at: str | None,
    frames: int | None,
    speed: Fraction,
    loop: bool,
    allow: tuple[str, ...],
    color: Literal["auto", "always", "never"],
) -> None:
    """Play topics side by side, each frame at its real time, in a browser or in the terminal. Press ? for keys.

    PATH is a dataset; a log or table (parquet, CSV, JSON) that holds references; a log of pictures, which is not
    converted; a video file; or, in a browser, a folder of datasets or logs.

    A page in the browser is served on loopback until Ctrl-C. Where no browser can be opened, the terminal is used;
    where standard output is no terminal either, N frames are printed as text and nothing waits. NO_COLOR, FORCE_COLOR
    and CLICOLOR_FORCE are heeded.

    TIME is a log time in ns, seconds from the start of the log such as 12.5s, or ISO 8601 such as
    2024-05-01T12:00:00Z.
    """
    serve = no_browser or port is not None or host is not None or against is not None
    if terminal and serve:
        raise click.UsageError("--terminal serves no page: leave out --no-browser, --port, --host and --against.")
    if rerun and (terminal or serve or frames is not None or loop):
        raise click.UsageError("--rerun goes with --save, --overwrite, --topic, --at and --allow alone.")
    if not rerun and save is not None:
        raise click.UsageError("--save writes a recording of Rerun's: add --rerun.")
    if overwrite and save is None:
        raise click.UsageError("--overwrite replaces what --save FILE names: add that.")
    if rerun:
        _rerun(path, topics, at, allow, save, overwrite)
        return
    if not terminal and (serve or (frames is None and _browser_is_there())):
        _serve(path, topics, at, allow, against, host or "127.0.0.1", port or 0, browser=not no_browser)
        return
    from mediaref_tools.dataset.playable import open_playable
    from mediaref_tools.play.player import play
    from mediaref_tools.selection import select

    with open_playable(path, allow=allow) as opened:
        chosen = [opened[name] for name in select(set(opened), topics or ("*",), (), what="topic with frames")]
        # Times count from the start of the log, not of its pictures: the same whichever topics are chosen.
        start_ns = opened.start_ns
        time_ns = _time_ns(at, start_ns)
        play(chosen, start_ns=start_ns, time_ns=time_ns, frames=frames, speed=speed, loop=loop, color=color)


def _rerun(
    path: Path, topics: tuple[str, ...], at: str | None, allow: tuple[str, ...], save: Path | None, overwrite: bool
) -> None:
    """Write a recording, or show one that is thrown away after."""
    from tempfile import TemporaryDirectory

    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.dataset.playable import open_playable
    from mediaref_tools.rerunlog.app import show_recording
    from mediaref_tools.rerunlog.recording import save_rerun
    from mediaref_tools.viewer.browser import can_open

    with TemporaryDirectory(prefix="mediaref-") as folder:
        out = save or Path(folder) / "recording.rrd"
        with open_playable(path, allow=allow) as opened:
            start_ns = _time_ns(at, opened.start_ns)
            with progress_bar(quiet=False) as on_progress:
                report = save_rerun(
                    opened,
                    out,
                    topics=topics or ("*",),
                    start_ns=start_ns,
                    overwrite=overwrite,
                    on_progress=on_progress,
                )
        for topic, left_out, reason in report.left_out:
            click.echo(f"left out: {left_out} frames of {printable(topic)}: {printable(reason)}", err=True)
        if save is not None:
            click.echo(f"recorded: {report.frames} frames, {report.numbers} messages: {printable(str(save))}")
            return
        try:
            show_recording(out, window=can_open(os.environ))
        except KeyboardInterrupt:
            click.echo()


def _time_ns(at: str | None, start_ns: int) -> int | None:
    from mediaref_tools.errors import FrameError
    from mediaref_tools.times import parse_time

    try:
        return None if at is None else parse_time(at, start_ns=start_ns)
    except FrameError as error:
        raise click.BadParameter(str(error), param_hint="'--at'") from error


def _browser_is_there() -> bool:
    """Whether somebody sits at a terminal that has a browser beside it: a script gets text."""
    from mediaref_tools.viewer.browser import can_open

    return sys.stdout.isatty() and can_open(os.environ)


def _serve(
    path: Path,
    topics: tuple[str, ...],
    at: str | None,
    allow: tuple[str, ...],
    against: Path | None,
    host: str,
    port: int,
    *,
    browser: bool,
) -> None:
    """Serve the page until Ctrl-C."""
    from mediaref_tools.viewer.browser import can_open, open_browser
    from mediaref_tools.viewer.view import view

    with view(path, topics=topics or ("*",), host=host, port=port, allow=allow, against=against) as viewer:
        time_ns = _time_ns(at, viewer.start_ns)
        url = viewer.url + ("" if time_ns is None else f"#t={time_ns}")
        opened = browser and can_open(os.environ) and open_browser(url)
        click.echo(f"playing {printable(str(path))}: {url}")
        if not opened:
            click.echo(f"from another machine: ssh -L {viewer.port}:127.0.0.1:{viewer.port} {_here()}")
        click.echo("Ctrl-C ends it.")
        sys.stdout.flush()
        try:
            viewer.wait()
        except KeyboardInterrupt:
            click.echo()


def _here() -> str:
    """How this machine is called, as far as it knows."""
    import getpass
    import socket

    try:
        user = f"{getpass.getuser()}@"
    except (KeyError, OSError):
        user = ""
    return f"{user}{socket.gethostname()}"
