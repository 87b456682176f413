"""`mediaref export`: frames of a dataset in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands import exits
from mediaref_tools.commands.params import PATH, allow_option, json_option, overwrite_option, quiet_option, topic_option
from mediaref_tools.plaintext import printable

if TYPE_CHECKING:
    from mediaref_tools.dataset.dataset import Dataset
    from mediaref_tools.export.export import ExportReport
    from mediaref_tools.export.playlog import McapReport

__all__ = ["command"]


@click.command(short_help="Write a dataset out as image files, or as MCAP with video.")
@click.argument("dataset", metavar="PATH", type=PATH)
@click.option(
    "--to",
    type=click.Choice(["frames", "mcap"]),
    required=True,
    help="frames: an image file each, and a table. mcap: one file for Foxglove or Rerun.",
)
@click.option("--out", metavar="OUT", type=PATH, required=True, help="Where it goes: made whole, or not at all.")
@topic_option("Export topics that match; may be given several times.")
@click.option("--start", metavar="TIME", help="Log time of the first frame.")
@click.option("--stop", metavar="TIME", help="Log time to stop before.")
@click.option("--every", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="Take each Nth frame.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["png", "jpeg"]),
    default="png",
    show_default=True,
    help="Of the image files.",
)
@click.option(
    "--quality", metavar="N", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG files."
)
@allow_option()
@json_option("Print what was written as JSON.")
@overwrite_option("Replace an earlier export at OUT.")
@quiet_option()
def command(
    dataset: Path,
    to: Literal["frames", "mcap"],
    out: Path,
    topics: tuple[str, ...],
    start: str | None,
    stop: str | None,
    every: int,
    format_: Literal["png", "jpeg"],
    quality: int,
    allow: tuple[str, ...],
    as_json: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write frames out: each a file named for its log time, or as video in an MCAP file beside all other topics.

    PATH is a dataset, or a log or table (parquet, CSV, JSON) that holds references.

    TIME is a log time in ns, seconds from the start of the log such as 12.5s, or ISO 8601 such as
    2024-05-01T12:00:00Z.

    MCAP takes video from the segments as it is; --every, --format and --quality are of frames alone.

    Exits with 3 where a frame was never video and has its original bytes, whatever they are, and where MCAP can't carry
    some.
    """
    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.consoles import echo_json
    from mediaref_tools.dataset.opening import open_dataset
    from mediaref_tools.export.export import export_frames
    from mediaref_tools.export.playlog import export_mcap

    if to == "mcap" and (every, format_, quality) != (1, "png", 95):
        raise click.UsageError("--every, --format and --quality are of --to frames alone")
    with open_dataset(dataset, allow=allow, exact_colours=True) as opened:
        asked: dict[str, Any] = {
            "topics": topics or ("*",),
            "start_ns": _time_ns(opened, start, "--start"),
            "stop_ns": _time_ns(opened, stop, "--stop"),
            "overwrite": overwrite,
        }
        with progress_bar(quiet=quiet) as on_progress:
            if to == "mcap":
                made = export_mcap(opened, out, on_progress=on_progress, **asked)
                _end_mcap(made, as_json=as_json, quiet=quiet)
                return
            report = export_frames(
                opened, out, format=format_, quality=quality, stride=every, on_progress=on_progress, **asked
            )
    if as_json:
        echo_json(report)
    elif not quiet:
        _show(report)
    if report.embedded:
        click.get_current_context().exit(exits.INCOMPLETE)


def _end_mcap(report: McapReport, *, as_json: bool, quiet: bool) -> None:
    from mediaref_tools.commands.consoles import echo_json, output_console
    from mediaref_tools.commands.tables import dot, notes

    if as_json:
        echo_json(report)
    elif not quiet:
        console = output_console()
        console.print(
            f"exported: {text.plural(report.frames, 'frame')}{dot(console)} "
            f"{text.plural(report.copied, 'other message')}{dot(console)} {text.size(report.bytes)} in "
            f"{text.duration(round(report.seconds * 1e9))}: {printable(report.out)}",
            soft_wrap=True,
        )
        left = (f"{one.topic}: {text.plural(one.frames, 'frame')} left out: {one.reason}" for one in report.left_out)
        notes(console, (printable(line) for line in left))
    if report.left_out:
        click.get_current_context().exit(exits.INCOMPLETE)


def _time_ns(dataset: Dataset, value: str | None, option: str) -> int | None:
    from mediaref_tools.errors import MediarefError
    from mediaref_tools.times import parse_time

    if value is None:
        return None
    try:
        return parse_time(value, start_ns=dataset.start_ns)
    except MediarefError as error:
        raise click.BadParameter(str(error), param_hint=f"'{option}'") from error


def _show(report: ExportReport) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import Column, dot, notes, show_table

    console = output_console()
    columns = [Column("topic", "name"), Column("folder", "name"), Column("frames"), Column("size")]
    rows = [[one.topic, one.folder, text.count(one.frames), text.size(one.bytes)] for one in report.topics]
    show_table(console, columns, rows)
    console.print()
    took = text.duration(round(report.seconds * 1e9))
    console.print(
        f"exported: {text.plural(report.frames, 'frame')}{dot(console)} {text.size(report.bytes)} in {took}: "
        f"{printable(report.out)}",
        soft_wrap=True,
    )
    kept = (one for one in report.topics if one.embedded)
    notes(console, (sentences.embedded_note(one.topic, one.embedded, one.frames, None) for one in kept))
