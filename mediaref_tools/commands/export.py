"""`mediaref export`: frames of a dataset in another form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands import exits
from mediaref_tools.commands.params import PATH, allow_option, json_option, overwrite_option, quiet_option, topic_option
from mediaref_tools.plaintext import printable

if TYPE_CHECKING:
    from mediaref_tools.dataset.dataset import Dataset
    from mediaref_tools.export.export import ExportReport

__all__ = ["command"]


@click.command(short_help="Write a dataset's frames out as image files.")
@click.argument("dataset", metavar="PATH", type=PATH)
@click.option("--to", type=click.Choice(["frames"]), required=True, help="frames: an image file each, and a table.")
@click.option(
    "--out", metavar="FOLDER", type=PATH, required=True, help="Where the files go: made whole, or not at all."
)
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
@overwrite_option("Replace an earlier export at FOLDER.")
@quiet_option()
def command(
    dataset: Path,
    to: str,  # noqa: ARG001 - there is only one yet
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
    """Write frames out, each named for its log time.

    PATH is a dataset, or a log or table (parquet, CSV, JSON) that holds references.

    TIME is a log time in ns, seconds from the start of the log such as 12.5s, or ISO 8601 such as
    2024-05-01T12:00:00Z.

    Exits with 3 where a frame was never video and has its original bytes, whatever they are.
    """
    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.consoles import echo_json
    from mediaref_tools.dataset.opening import open_dataset
    from mediaref_tools.export.export import export_frames

    with open_dataset(dataset, allow=allow, exact_colours=True) as opened:
        start_ns, stop_ns = _time_ns(opened, start, "--start"), _time_ns(opened, stop, "--stop")
        with progress_bar(quiet=quiet) as on_progress:
            report = export_frames(
                opened,
                out,
                topics=topics or ("*",),
                format=format_,
                quality=quality,
                start_ns=start_ns,
                stop_ns=stop_ns,
                stride=every,
                overwrite=overwrite,
                on_progress=on_progress,
            )
    if as_json:
        echo_json(report)
    elif not quiet:
        _show(report)
    if report.embedded:
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
