"""The result of converting several logs: one table, one line, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediaref_tools.commands import text
from mediaref_tools.commands.consoles import error_console, output_console
from mediaref_tools.commands.tables import Column, arrow, dot, notes, reused_note, show_table

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchEntry, BatchReport
    from mediaref_tools.report import Report

__all__ = ["show_batch", "show_stays"]


def show_batch(report: BatchReport, *, quiet: bool) -> None:
    """Show what became of each log. Those that failed go to standard error, one line each, and are never silent."""
    if not quiet:
        console = output_console()
        columns = [
            Column("log", "name"),
            Column("result", "word"),
            Column("topics"),
            Column("frames"),
            Column("size"),
            Column("ratio"),
            Column("PSNR p1"),
        ]
        show_table(console, columns, [_row(entry, arrow(console)) for entry in report.logs])
        console.print()
        counts = [f"{report.converted} converted", f"{report.present} present before", f"{report.failed} failed"]
        ratio = f" ({text.percent(report.bytes_out / report.bytes_in)})" if report.bytes_in else ""
        sizes = f"{text.change(report.bytes_in, report.bytes_out, arrow(console))}{ratio}"
        took = text.duration(round(report.seconds * 1e9))
        parts = [", ".join(counts), f"{text.plural(report.frames, 'reference')} proved", f"{sizes} in {took}"]
        console.print(f"{dot(console)} ".join(parts), soft_wrap=True)
        notes(console, (f"{entry.log}: {_reasons(entry)}" for entry in report.logs if _reasons(entry)))
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


def _row(entry: BatchEntry, to: str) -> list[str]:
    report = entry.report
    if report is None:
        return [entry.log, entry.state, "-", "-", "-", "-", "-"]
    lowest = min((topic.psnr_p1_db for topic in report.topics if topic.psnr_p1_db is not None), default=None)
    return [
        entry.log,
        entry.state,
        text.count(len(report.topics)),
        text.count(report.frames),
        text.change(report.bytes_in, report.bytes_out, to),
        text.percent(report.ratio),
        "-" if lowest is None else f"{lowest:.1f}",
    ]


def _reasons(entry: BatchEntry) -> str:
    """What was kept, embedded or lost, in short: `convert` of the one log says more."""
    report = entry.report
    if report is None:
        return ""
    parts = [reused_note(report.segments_reused)] if report.segments_reused else []
    parts += ["deleted, once its dataset was proved against it again"] if entry.source_deleted else []
    parts += [f"kept {topic.topic} ({topic.reason})" for topic in report.kept]
    parts += [f"embedded {report.embedded} of {text.plural(report.frames, 'frame')}"] if report.embedded else []
    parts += [f"missed: {line}" for line in report.missed]
    parts += [f"loss: {loss.where}: {loss.what}" for loss in report.losses[:3]]
    parts += [f"and {len(report.losses) - 3} more losses"] if len(report.losses) > 3 else []
    return "; ".join(parts)
