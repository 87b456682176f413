"""`mediaref restore`: the log that a dataset was made of, again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mediaref_tools import plaintext as text
from mediaref_tools.commands import exits
from mediaref_tools.commands.params import PATH, json_option, quiet_option
from mediaref_tools.plaintext import printable

if TYPE_CHECKING:
    from mediaref_tools.restoring.report import RestoreReport

__all__ = ["command"]

_SHOWN_PROBLEMS = 10


@click.command(short_help="Make the log again that a dataset was made of.")
@click.argument("dataset", metavar="DIR", type=PATH)
@click.option("--out", metavar="LOG", type=PATH, required=True, help="The log: made whole, or not at all.")
@click.option(
    "--to",
    type=click.Choice(["mcap", "rosbag1", "rosbag2"]),
    help="Another container than the log's own: messages become those of its generation of ROS.",
)
@click.option("--verify", is_flag=True, help="Read LOG back and compare every message with what it is to be.")
@click.option("--report", "report_file", metavar="FILE", type=PATH, help="Write what was done to FILE, as JSON.")
@json_option("Print what was done as JSON.")
@quiet_option()
def command(
    dataset: Path, out: Path, to: str | None, verify: bool, report_file: Path | None, as_json: bool, quiet: bool
) -> None:
    """Make the log again that a dataset was made of.

    Messages that were no images are copied; images come back as the very messages where nothing was lost, which the
    hashes prove that the conversion took. Those of lossy video are made anew, and counted as such: that is no failure.

    Exits with 3 where a message is not what it was though nothing was to be lost; where the container given with --to
    has no place for something; and with --verify where the dataset has no hashes to tell by.
    """
    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.consoles import echo_json, json_text
    from mediaref_tools.commands.files import write
    from mediaref_tools.restoring.restoration import restore

    if report_file is not None and not report_file.parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(report_file.parent)!r}.", param_hint="'--report'")
    with progress_bar(quiet=quiet) as on_progress:
        report = restore(dataset, out, to=to, verify=verify, on_progress=on_progress)
    if report_file is not None:
        write("the log is made, but its report", report_file, json_text(report))
    if as_json:
        echo_json(report)
    elif not quiet:
        _show(report)
    if not report.kept_its_word:
        click.get_current_context().exit(exits.INCOMPLETE)


def _show(report: RestoreReport) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import Column, dot, notes, show_table

    console = output_console()
    names = {
        "identical": "identical",
        "unproved": "not proved",
        "pixels": "same pixels",
        "near": "re-encoded",
        "different": "DIFFERENT",
    }
    shown = [name for name in names if name == "identical" or any(getattr(one, name) for one in report.topics)]
    columns = [Column("topic", "name"), Column("codec", "name"), *(Column(names[name]) for name in shown)]
    rows = [
        [one.topic, one.codec, *(text.count(getattr(one, name)) for name in shown), text.size(one.bytes)]
        for one in report.topics
    ]
    if rows:
        show_table(console, [*columns, Column("size")], rows)
        console.print()
    took = text.duration(round(report.seconds * 1e9))
    console.print(
        f"restored: {text.plural(report.messages, 'message')}, {text.count(report.copied)} copied{dot(console)} "
        f"{text.size(report.bytes)} in {took}{', read back and compared' if report.verified else ''}: "
        f"{printable(report.out)}",
        soft_wrap=True,
    )
    told = [f"{loss.where}: {loss.what}" for loss in report.losses]
    told += report.problems[:_SHOWN_PROBLEMS]
    if len(report.problems) > _SHOWN_PROBLEMS:
        told.append(f"and {len(report.problems) - _SHOWN_PROBLEMS} more: --json lists the first hundred")
    if any(one.unproved for one in report.topics):
        told.append(
            "the dataset is of an earlier format, which has no hashes: that messages are what they were is not proved"
        )
    notes(console, told)
