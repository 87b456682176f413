"""`mediaref info`: what a log or a dataset holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.commands import exits
from mediaref_tools.commands.params import PATH, json_option

if TYPE_CHECKING:
    from mediaref_tools.summary import DatasetSummary, LogSummary, TopicSummary

__all__ = ["command"]


@click.command(short_help="Show what a log or a dataset holds.")
@click.argument("path", metavar="PATH", type=PATH)
@json_option("Print it as JSON.")
def command(path: Path, as_json: bool) -> None:
    """Show what a log, or a dataset that convert made, holds.

    Exits with 3 where the log inside of a dataset can't be read.
    """
    from mediaref_tools.commands.consoles import echo_json
    from mediaref_tools.summary import LogSummary, inspect

    summary = inspect(path)
    if as_json:
        echo_json(summary)
    elif isinstance(summary, LogSummary):
        _show_log(summary)
    else:
        _show_dataset(summary)
    if not isinstance(summary, LogSummary) and summary.log_error:
        click.get_current_context().exit(exits.INCOMPLETE)


def _show_log(log: LogSummary) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import Column, fields, loss_notes, notes, show_table

    console = output_console()
    count = len({channel.topic for channel in log.channels})
    fields(
        console,
        [
            ("log", log.path),
            ("container", log.container),
            ("size", text.size(log.bytes)),
            ("messages", f"{text.count(log.messages)} on {text.plural(count, 'topic')}"),
            *_times(log.first_ns, log.last_ns),
            *([] if log.losses else [("losses", "none")]),
        ],
    )
    notes(console, loss_notes(log.losses))
    if not log.channels:
        return
    console.print()
    columns = [
        Column("topic", "name"),
        Column("type", "name"),
        Column("messages"),
        Column("Hz"),
        Column("size"),
        Column("role", "word"),
    ]
    rows = [
        [
            channel.topic,
            channel.type,
            text.count(channel.messages),
            text.rate(channel.rate_hz),
            text.size(channel.bytes),
            channel.role,
        ]
        for channel in log.channels
    ]
    show_table(console, columns, rows)
    told: dict[str, list[str]] = {}
    for channel in log.channels:
        for note in channel.notes:
            told.setdefault(note, []).append(channel.topic)
    if told:
        console.print()
        notes(console, (f"{topics[0]}{_and_more(topics)}: {note}" for note, topics in told.items()))
    if any(channel.role == "unsupported" for channel in log.channels):
        console.print()
        notes(console, ["unsupported: pictures that no converter can read yet; convert keeps these topics as they are"])


def _and_more(topics: list[str]) -> str:
    return "" if len(topics) == 1 else f" and {text.plural(len(topics) - 1, 'other')}"


def _times(first_ns: int | None, last_ns: int | None) -> list[tuple[str, str]]:

    from mediaref_tools.times import iso_time

    if first_ns is None or last_ns is None:
        return []
    return [
        ("first", f"{iso_time(first_ns)}  {first_ns}"),
        ("last", f"{iso_time(last_ns)}  {last_ns}"),
        ("duration", text.duration(last_ns - first_ns)),
    ]


def _show_dataset(dataset: DatasetSummary) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import (
        arrow,
        fields,
        loss_notes,
        notes,
        show_topics,
    )

    console = output_console()
    source = dataset.source
    rows = [
        ("dataset", dataset.path),
        ("source", f"{source.name} ({source.container}), {text.plural(source.messages, 'message')}"),
        ("size", sentences.sizes(source.bytes, dataset.bytes, arrow(console))),
        *_times(source.start_ns, source.end_ns),
        ("settings", sentences.settings_words(dataset.settings)),
        ("made by", f"{dataset.tool.name} {dataset.tool.version}"),
        ("log", f"{dataset.log}, {text.plural(dataset.messages, 'message')}"),
    ]
    if dataset.other_topics is not None and dataset.other_messages is not None:
        others = f"{text.plural(dataset.other_messages, 'message')} on {text.plural(dataset.other_topics, 'topic')}"
        rows.append(("others", others if dataset.other_topics else "none"))
    fields(console, rows)
    if dataset.topics:
        console.print()
        show_topics(console, ((topic, _video(topic)) for topic in dataset.topics), "video")
    if dataset.kept or dataset.losses or dataset.warnings or dataset.log_error:
        console.print()
    notes(console, map(sentences.kept_note, dataset.kept))
    notes(console, sentences.embedded_notes(dataset.topics))
    notes(console, loss_notes(dataset.losses))
    notes(console, (f"warning: {warning}" for warning in dataset.warnings))
    if dataset.log_error:
        notes(console, [f"the rewritten log can't be read: {dataset.log_error}"])


def _video(topic: TopicSummary) -> str:
    parts = [" ".join([topic.codec, *(f"{width}x{height}" for width, height in topic.sizes)])]
    if topic.rate_hz is not None:
        parts.append(f"{text.rate(topic.rate_hz)} Hz")
    if topic.segments > 1:
        parts.append(text.plural(topic.segments, "segment"))
    return ", ".join(parts)
