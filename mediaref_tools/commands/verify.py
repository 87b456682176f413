"""`mediaref verify`: the proof, again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands import exits
from mediaref_tools.commands.files import check_place, write
from mediaref_tools.commands.params import PATH, html_option, json_option, quiet_option

if TYPE_CHECKING:
    from mediaref_tools.report import VerifyReport

__all__ = ["command"]

_SHOWN_PROBLEMS = 10


@click.command(short_help="Prove that every reference of a dataset shows its frame.")
@click.argument("dataset", metavar="DIR", type=PATH)
@click.option(
    "--against",
    metavar="LOG",
    type=PATH,
    help="The log that DIR was made from: compare every picture and every message with it.",
)
@html_option("Write what was found to FILE, as one page of HTML with plots and the worst frames.")
@json_option("Print what was found as JSON.")
@quiet_option()
def command(dataset: Path, against: Path | None, html_file: Path | None, as_json: bool, quiet: bool) -> None:
    """Prove that every reference of a dataset shows the frame that it stands for.

    Exits with 1 where a frame is wrong or missing, or a message differs from the log given with --against.
    """
    check_place(html_file, "--html")

    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.consoles import echo_json
    from mediaref_tools.proof.verification import verify

    with progress_bar(quiet=quiet) as on_progress:
        report = verify(dataset, against=against, on_progress=on_progress)
    if html_file is not None:
        from mediaref_tools.webreport.page import html_report

        write("page", html_file, html_report(report))
    if as_json:
        echo_json(report)
    elif not quiet:
        _show(report)
    if not report.ok:
        click.get_current_context().exit(exits.FAILED)


def _show(report: VerifyReport) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import fields, notes

    console = output_console()
    rows = [
        ("result", f"{sentences.verified(report)} ({text.duration(round(report.seconds * 1e9))})"),
        ("references", f"{text.count(report.frames)}: {report.wrong} wrong, {report.missing} missing"),
    ]
    if report.embedded:
        rows.append(("embedded", f"{text.plural(report.embedded, 'frame')} with the original bytes"))
    if report.psnr_p1_db is not None:
        quality = text.psnr(report.psnr_mean_db, report.psnr_p1_db)
        rows.append(("PSNR", quality if quality == "exact" else f"{quality} dB (mean / first percentile)"))
    compared = sentences.messages_compared(report)
    if compared is not None:
        rows.append(("messages", compared))
    fields(console, rows)
    notes(console, report.problems[:_SHOWN_PROBLEMS])
    if len(report.problems) > _SHOWN_PROBLEMS:
        notes(console, [f"and {len(report.problems) - _SHOWN_PROBLEMS} more: --json lists the first hundred"])
