"""What commands, the gate and the HTML page say of reports: each thing in one way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mediaref_tools.plaintext import change, count, duration, percent, plural, psnr

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchEntry, BatchReport
    from mediaref_tools.dataset.manifest import Settings
    from mediaref_tools.report import KeptTopic, LossReport, Report, TopicReport, VerifyReport
    from mediaref_tools.summary import TopicSummary

__all__ = [
    "BATCH_HEADINGS",
    "NOTHING_LOST",
    "SOMETHING_LOST",
    "TOPIC_HEADINGS",
    "batch_cells",
    "batch_counts",
    "count_of",
    "embedded_note",
    "embedded_notes",
    "kept_note",
    "log_notes",
    "loss_note",
    "losses",
    "lost",
    "messages_compared",
    "proved",
    "reused_note",
    "settings_words",
    "sizes",
    "topic_cells",
    "verified",
]

NOTHING_LOST = "nothing was kept, embedded or lost"
"""Of a conversion without loss: what stays as its settings say is none."""

SOMETHING_LOST = "done, but something was kept, embedded or lost"
"""Of any other."""

TOPIC_HEADINGS = ("frames", "size", "ratio", "PSNR / p1")
"""Of `topic_cells`."""

BATCH_HEADINGS = ("log", "result", "topics", "frames", "size", "ratio", "PSNR p1")
"""Of `batch_cells`."""


def proved(report: Report) -> str:
    """What a conversion proved, or that there was nothing to prove."""
    if report.topics:
        return f"proved: {plural(report.frames, 'reference')}, {report.wrong} wrong, {report.missing} missing"
    if report.kept:
        return f"no topic became video: all {plural(report.messages_out, 'message')} are as they were"
    return f"no image topics to convert: {plural(report.messages_out, 'message')} copied as they are"


def verified(report: VerifyReport) -> str:
    """What `verify` found, in one sentence."""
    return "every reference shows its frame" if report.ok else "NOT as it should be"


def messages_compared(report: VerifyReport) -> str | None:
    """How many messages were compared with the log's; None where there was no log."""
    if report.messages_compared is None:
        return None
    return f"{count(report.messages_compared)} compared, {report.messages_different or 0} different"


def sizes(bytes_in: int, bytes_out: int, to: str) -> str:
    """Bytes before and after, and how much that is: 22.8 → 6.0 MB (26 %). `to` stands between them."""
    ratio = f" ({percent(bytes_out / bytes_in)})" if bytes_in else ""
    return f"{change(bytes_in, bytes_out, to)}{ratio}"


def topic_cells(topic: TopicReport | TopicSummary, to: str) -> list[str]:
    """Frames, sizes and quality of a topic that became video, below `TOPIC_HEADINGS`."""
    return [
        count(topic.frames),
        change(topic.bytes_in, topic.bytes_out, to),
        percent(topic.bytes_out / topic.bytes_in) if topic.bytes_in else "-",
        psnr(topic.psnr_mean_db, topic.psnr_p1_db),
    ]


def losses(report: Report) -> Iterator[str]:
    """What a conversion did not carry over as it should, a sentence each: nothing, exactly where it was lossless."""
    for kept in report.kept:
        if not kept.asked:
            yield f"{kept.topic} was kept ({kept.reason})"
    for topic in report.topics:
        if topic.embedded:
            yield f"{topic.embedded} of {topic.frames} frames of {topic.topic} were embedded ({topic.reason})"
    for loss in report.losses:
        yield f"{loss.where}: {loss.what}"
    yield from report.missed


def kept_note(topic: KeptTopic) -> str:
    """A topic that stays as it was, with its reason."""
    return f"kept {topic.topic} ({plural(topic.messages, 'message')}): {topic.reason}"


def embedded_note(topic: str, embedded: int, frames: int, reason: str | None) -> str:
    """Frames of a topic that stay as they were, with the first one's reason."""
    why = f": {reason}" if reason else ""
    return f"embedded {count_of(embedded, frames)} of {topic} with the original bytes{why}"


def embedded_notes(topics: Iterable[TopicReport | TopicSummary]) -> list[str]:
    """`embedded_note` of each topic that has embedded frames."""
    return [embedded_note(t.topic, t.embedded, t.frames, t.reason) for t in topics if t.embedded]


def lost(loss: LossReport) -> str:
    """Something that a source claims and does not hold."""
    gone = "" if loss.messages is None else f" ({plural(loss.messages, 'message')} gone)"
    return f"{loss.where}: {loss.what}{gone}"


def loss_note(loss: LossReport) -> str:
    """The same, as one note among others."""
    return f"loss: {lost(loss)}"


def reused_note(segments: int) -> str:
    """What a conversion did not have to do, since an earlier run had done it."""
    return f"resumed: an earlier run, which was stopped, had finished {plural(segments, 'segment')}"


def count_of(part: int, whole: int) -> str:
    """`3 of 60 frames`."""
    return f"{part} of {plural(whole, 'frame')}"


def settings_words(settings: Settings) -> str:
    """How a log was converted: codec, purpose, quality, distance of keyframes, records, and what is not the default."""
    floor = []
    if settings.min_psnr_db is not None:
        floor.append(f"PSNR at least {settings.min_psnr_db:g} dB")
    if settings.min_ssim is not None:
        floor.append(f"SSIM at least {settings.min_ssim:g}")
    if settings.target_ratio is not None:
        floor.append(f"at most {percent(settings.target_ratio)} of the pictures' bytes")
    crf = "default crf" if settings.crf is None else f"crf {settings.crf}"
    words = [
        f"{settings.codec} to {settings.purpose}",
        *(floor or [crf]),
        f"gop {settings.gop}",
        f"{settings.record} records",
        f"segments of {duration(settings.segment_ns)}",
        *(f"{one.glob} {one.codec}" for one in settings.topic_codecs),
    ]
    if settings.depth:
        words.append(f"depth {settings.depth}")
    if settings.debayer:
        words.append("debayered")
    return ", ".join(words)


def batch_counts(report: BatchReport) -> str:
    """How many logs became what."""
    return f"{report.converted} converted, {report.present} present before, {report.failed} failed"


def batch_cells(entry: BatchEntry, to: str) -> list[str]:
    """One log of several, below `BATCH_HEADINGS`."""
    report = entry.report
    if report is None:
        return [entry.log, entry.state, "-", "-", "-", "-", "-"]
    lowest = min((topic.psnr_p1_db for topic in report.topics if topic.psnr_p1_db is not None), default=None)
    return [
        entry.log,
        entry.state,
        count(len(report.topics)),
        count(report.frames),
        change(report.bytes_in, report.bytes_out, to),
        percent(report.ratio),
        "-" if lowest is None else f"{lowest:.1f}",
    ]


def log_notes(entry: BatchEntry) -> list[str]:
    """What was kept, embedded or lost of one log of several, in short: `convert` of the one log says more."""
    report = entry.report
    if report is None:
        return []
    notes = [reused_note(report.segments_reused)] if report.segments_reused else []
    notes += ["deleted, once its dataset was proved against it again"] if entry.source_deleted else []
    notes += [f"kept {topic.topic} ({topic.reason})" for topic in report.kept]
    notes += [f"embedded {report.embedded} of {plural(report.frames, 'frame')}"] if report.embedded else []
    notes += [f"missed: {line}" for line in report.missed]
    notes += [f"loss: {loss.where}: {loss.what}" for loss in report.losses[:3]]
    notes += [f"and {len(report.losses) - 3} more losses"] if len(report.losses) > 3 else []
    return notes
