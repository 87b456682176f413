"""The result of converting one log, or of a look at what that would give: a table, a line, and what to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands.consoles import echo_json, output_console
from mediaref_tools.commands.tables import (
    Column,
    arrow,
    dot,
    loss_notes,
    notes,
    show_table,
    show_topics,
)

if TYPE_CHECKING:
    from mediaref_tools.conversion.preview import Preview
    from mediaref_tools.report import Report

__all__ = ["show_preview", "show_report"]


def show_report(report: Report) -> None:
    """Show what became of one log."""
    console = output_console()
    if report.topics:
        show_topics(console, ((topic, topic.codec) for topic in report.topics), "codec")
        console.print()
    took = text.duration(round(report.seconds * 1e9))
    sizes = f"{sentences.sizes(report.bytes_in, report.bytes_out, arrow(console))} in {took}"
    console.print(f"{sentences.proved(report)}{dot(console)} {sizes}", soft_wrap=True)
    notes(console, map(sentences.kept_note, report.kept))
    notes(console, sentences.embedded_notes(report.topics))
    notes(console, loss_notes(report.losses))
    if report.segments_reused:
        notes(console, [sentences.reused_note(report.segments_reused)])
    notes(console, (f"missed: {line}" for line in report.missed))
    notes(console, (f"warning: {warning}" for warning in report.warnings))


def show_preview(found: Preview, *, as_json: bool) -> None:
    """Show what would become of one log."""
    if as_json:
        echo_json(found)
        return
    console = output_console()
    if not found.topics:
        console.print(f"no image topics to convert among {text.plural(found.messages, 'message')}", soft_wrap=True)
        return
    columns = [
        Column("topic", "name"),
        Column("encoding", "name"),
        Column("frames"),
        Column("becomes", "word"),
        Column("size, about"),
    ]
    rows = [
        [
            topic.topic,
            topic.encoding,
            text.count(topic.messages),
            f"{topic.codec}, as it is" if topic.remuxed else topic.codec or "kept",
            text.change(topic.bytes_in, topic.bytes_out, arrow(console)) if topic.codec else text.size(topic.bytes_in),
        ]
        for topic in found.topics
    ]
    show_table(console, columns, rows)
    console.print()
    bytes_in, bytes_out = (sum(getattr(topic, name) for topic in found.topics) for name in ("bytes_in", "bytes_out"))
    console.print(f"images {text.change(bytes_in, bytes_out, arrow(console))}; nothing was written", soft_wrap=True)
    notes(console, (f"kept {topic.topic}: {topic.reason}" for topic in found.topics if topic.codec is None))
