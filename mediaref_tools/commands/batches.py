"""The result of converting several logs: one table, one line, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands.consoles import error_console, output_console
from mediaref_tools.commands.tables import Column, arrow, dot, notes, show_table

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchReport
    from mediaref_tools.report import Report

__all__ = ["show_batch", "show_stays"]


def show_batch(report: BatchReport, *, quiet: bool) -> None:
    """Show what became of each log. Those that failed go to standard error, one line each, and are never silent."""
    if not quiet:
        console = output_console()
        kinds: dict[str, Literal["name", "word"]] = {"log": "name", "result": "word"}
        columns = [Column(heading, kinds.get(heading, "figure")) for heading in sentences.BATCH_HEADINGS]
        show_table(console, columns, [sentences.batch_cells(entry, arrow(console)) for entry in report.logs])
        console.print()
        took = text.duration(round(report.seconds * 1e9))
        sizes = sentences.sizes(report.bytes_in, report.bytes_out, arrow(console))
        parts = [
            sentences.batch_counts(report),
            f"{text.plural(report.frames, 'reference')} proved",
            f"{sizes} in {took}",
        ]
        console.print(f"{dot(console)} ".join(parts), soft_wrap=True)
        told = ((entry.log, sentences.log_notes(entry)) for entry in report.logs)
        notes(console, (f"{log}: {'; '.join(lines)}" for log, lines in told if lines))
    notes(
        error_console(), (f"failed: {entry.log}: {text.one_line(entry.error)}" for entry in report.logs if entry.error)
    )


def show_stays(report: Report | BatchReport, stays: str | None) -> bool:
    """Say on standard error which logs were to be deleted and stay, a line each.

    Args:
        report: Of one log or of several.
        stays: Why the one stays; None or "" where it does not, or nobody wanted it gone.
    """
    logs = getattr(report, "logs", None)
    if logs is None:
        told = [(report.source, stays)]
    else:
        told = [(entry.log, entry.source_stays) for entry in logs]
    lines = [f"not deleted: {log}: {text.one_line(why)}" for log, why in told if why]
    notes(error_console(), lines)
    return bool(lines)
