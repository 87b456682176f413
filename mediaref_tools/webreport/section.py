"""One log of a page: what became of it, in numbers, sentences, tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.conversion.coding import coding
from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.kept import KeptLog, KeptSource
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import MediarefError
from mediaref_tools.report import KeptTopic, Report, TopicReport
from mediaref_tools.times import iso_time
from mediaref_tools.webreport.markup import Markup, element, joined
from mediaref_tools.webreport.sheet import topic_sheet
from mediaref_tools.webreport.tables import Figure, bars, bullets, facts, sentence, table

__all__ = ["ARROW", "Log", "key_figures", "section"]

ARROW = "→"


class Log(NamedTuple):
    """A log that a page tells of.

    Attributes:
        report: What became of it.
        path: Where its pictures can be read; None where they can't.
        why_not: Says why.
        anchor: Begins its ids on the page; unique.
    """

    report: Report
    path: Path | None
    why_not: str
    anchor: str


def key_figures(report: Report) -> list[Figure]:
    """What people look for first."""
    rated = [(topic.psnr_p1_db, topic) for topic in report.topics if topic.psnr_p1_db is not None]
    lowest = min(rated, key=lambda each: each[0], default=None)
    found = [
        Figure(
            "Size",
            text.change(report.bytes_in, report.bytes_out, ARROW),
            f"{text.percent(report.bytes_out / report.bytes_in)} of the log" if report.bytes_in else "",
        ),
        Figure("References", text.count(report.frames), f"{report.wrong} wrong, {report.missing} missing"),
    ]
    if lowest is not None:
        quality = text.psnr(lowest[1].psnr_mean_db, lowest[1].psnr_p1_db)
        unit = "" if quality == "exact" else " dB"
        which = "mean / first percentile" + (", lowest topic" if len(rated) > 1 else "")
        found.append(Figure("PSNR", f"{quality}{unit}", which if unit else "every frame is identical"))
    found.append(
        Figure("Not video", text.plural(len(report.kept), "topic"), f"{text.plural(report.embedded, 'frame')} embedded")
    )
    found.append(Figure("Messages", text.count(report.messages_out), f"of {text.count(report.messages_in)} in the log"))
    return found


def section(log: Log, seen: frozenset[str]) -> Markup:
    """All that a page says of a log but the verdict. Never raises for what its files hold.

    Args:
        log: Which.
        seen: Topics of which pictures and plots are shown.
    """
    report = log.report
    parts: list[str] = []
    if report.topics:
        parts += [element("h2", "Topics"), _topics(report.topics), bars(report.topics)]
    if report.kept:
        parts += [element("h2", "Kept as they were"), _kept(report.kept)]
    embedded = [topic for topic in report.topics if topic.embedded]
    if embedded:
        headings = ("topic", "why", "frames")
        rows = [(each.topic, each.reason or "", sentences.count_of(each.embedded, each.frames)) for each in embedded]
        parts += [element("h2", "Embedded with the original bytes"), table(headings, rows, words=2)]
    if report.losses:
        lines = [sentences.lost(loss) for loss in report.losses]
        parts += [element("h2", "Lost before the conversion"), bullets(lines, "warn")]
    notes = [*report.warnings, *([sentences.reused_note(report.segments_reused)] if report.segments_reused else [])]
    if notes:
        parts += [element("h2", "Good to know"), bullets(notes, "warn")]
    try:
        with open_dataset(Path(report.out), exact_colours=True) as dataset:
            parts += _seen(log, dataset, seen)
            parts += [element("h2", "How it was made"), facts(_made(dataset.manifest, report))]
    except (MediarefError, OSError) as error:
        parts.append(element("p", sentence(f"No pictures: the dataset can't be read: {error}"), class_="soft"))
    return joined(parts)


def _topics(topics: tuple[TopicReport, ...]) -> Markup:
    has_ssim = any(topic.ssim_p1 is not None for topic in topics)
    headings = ["topic", "video", *sentences.TOPIC_HEADINGS, *(["SSIM p1"] if has_ssim else [])]
    rows = []
    for topic in topics:
        segments = f", {text.plural(topic.segments, 'segment')}"
        row = [
            topic.topic,
            f"{topic.codec} {topic.width}x{topic.height}{segments}",
            *sentences.topic_cells(topic, ARROW),
        ]
        if has_ssim:
            row.append("-" if topic.ssim_p1 is None else f"{topic.ssim_p1:.4f}")
        rows.append(row)
    return table(headings, rows, words=2)


def _kept(kept: tuple[KeptTopic, ...]) -> Markup:
    headings = ("topic", "why", "messages")
    rows = [
        (each.topic, f"{each.reason} (as was asked)" if each.asked else each.reason, text.count(each.messages))
        for each in kept
    ]
    return table(headings, rows, words=2)


def _seen(log: Log, dataset: Dataset, seen: frozenset[str]) -> Iterator[str]:
    """A heading, a plot and pictures of each topic that is to be seen."""
    topics: Mapping[str, TopicReport] = {topic.topic: topic for topic in log.report.topics}
    shown = [entry for entry in dataset.manifest.topics if entry.topic in seen]
    if not dataset.manifest.topics:
        return
    yield element("h2", "Quality")
    if shown and log.path is None:
        yield element("p", sentence(f"Only what the dataset shows: {log.why_not}"), class_="soft")
    settings = dataset.manifest.settings
    with closing(KeptLog(log.path or Path(), settings.opening)) as original:
        for number, entry in enumerate(shown):
            topic, report = dataset[entry.topic], topics.get(entry.topic)
            budget = coding(settings, entry.topic).budget
            yield element("h3", entry.topic)
            try:
                yield topic_sheet(
                    topic,
                    dataset.start_ns,
                    original=None if log.path is None else KeptSource(original, entry.topic, topic),
                    anchor=f"{log.anchor}-topic-{number + 1}-frame",
                    floor_db=None if budget is None else budget.min_psnr_db,
                    p1_db=None if report is None else report.psnr_p1_db,
                )
            except MediarefError as error:
                yield element("p", sentence(f"Nothing to see: {error}"), class_="soft")
    left_out = len(dataset.manifest.topics) - len(shown)
    if left_out:
        words = f"{text.plural(left_out, 'topic')} of better quality not shown."
        yield element("p", words, class_="soft")


def _made(manifest: Manifest, report: Report) -> Iterator[tuple[str, str]]:
    source, tool = manifest.source, manifest.tool
    yield "Settings", sentences.settings_words(manifest.settings)
    messages = text.plural(source.messages, "message")
    yield "Log", f"{report.source}, {report.container}, {text.count(source.bytes)} bytes, {messages}"
    if source.start_ns is not None and source.end_ns is not None:
        length = text.duration(source.end_ns - source.start_ns)
        yield "Recorded", f"{iso_time(source.start_ns)} to {iso_time(source.end_ns)}, {length}"
    yield "SHA-256 of the log", source.sha256
    yield "Dataset", f"{report.out}, {text.count(report.bytes_out)} bytes"
    yield "Made by", f"{tool.name} {tool.version}, PyAV {tool.av}, libavcodec {tool.libavcodec}"
