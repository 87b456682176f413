"""The page of a report: a verdict, then all that there is to know, in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mediaref_tools import plaintext as text
from mediaref_tools import sentences
from mediaref_tools.conversion.batch import BatchEntry, BatchReport
from mediaref_tools.conversion.conversion import report_of
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.proof.verification import Findings
from mediaref_tools.report import Report, VerifyReport
from mediaref_tools.webreport.markup import Markup, element, joined
from mediaref_tools.webreport.paper import document
from mediaref_tools.webreport.section import ARROW, Log, key_figures, section
from mediaref_tools.webreport.tables import bullets, figures, table

__all__ = ["html_report"]

_MOST_SEEN = 16  # topics with pictures, some hundred kB each
_NOT_COMPARED = "no log was given to compare with (--against LOG)"
_FOOTER = "This page needs nothing but itself: keep it, or send it to somebody."
_DELETED = "the log was deleted, once its dataset was proved against it again"


def html_report(report: Report | VerifyReport | BatchReport) -> str:
    """A report as one page of HTML that needs nothing but itself: no script, no style or picture from elsewhere.

    What was converted, what became smaller and by how much, what was kept, embedded or lost; PSNR over time, and the
    worst frames beside their sources. Datasets and logs are read where the report says that they are: of what is not
    there any more, the page says so and shows the rest. Pictures are shown of the 16 topics of lowest PSNR.

    Args:
        report: What `convert`, `convert_logs`, `convert_folder` or `verify` returned, or
            `mediaref convert --report` wrote.

    Returns:
        The page's text, to be written as UTF-8.

    Raises:
        DatasetError: What was verified is no dataset any more.

    Examples:
        >>> report = mrt.verify("drive/", against="drive.mcap")
        >>> with open("drive.html", "w", encoding="utf-8") as page:
        ...     _ = page.write(mrt.html_report(report))
    """
    if isinstance(report, BatchReport):
        return _batch_page(report)
    if isinstance(report, VerifyReport):
        return _verified_page(report)
    return _one_page(Log(report, *_at_hand(report.source), "log-1"), "conversion", _verdict(report))


def _verified_page(found: VerifyReport) -> str:
    dataset = Path(found.dataset)
    manifest = Manifest.read(dataset)
    counts = Findings(found.frames, found.wrong, found.missing, found.embedded, {}, {}, None, ())
    source = found.against or manifest.source.name
    report = report_of(manifest, counts, Path(source), dataset, 0, found.seconds)
    place = (None, _NOT_COMPARED) if found.against is None else _at_hand(found.against)
    done = [f"{text.plural(found.frames, 'reference')}: {found.wrong} wrong, {found.missing} missing"]
    compared = sentences.messages_compared(found)
    if compared is not None:
        done.append(f"messages: {compared}")
    done.append(f"verified in {text.duration(round(found.seconds * 1e9))}")
    verdict = _box("good" if found.ok else "bad", sentences.verified(found), done, found.problems)
    return _one_page(Log(report, *place, "log-1"), "verification", verdict)


def _one_page(log: Log, what: str, verdict: Markup) -> str:
    name = _name(log.report.source)
    main = [element("h1", name), *_told(log, verdict, _to_see([log])[log.anchor])]
    return document(f"{name}: {what}", joined(main), _FOOTER)


def _told(log: Log, verdict: Markup, seen: frozenset[str]) -> list[str]:
    """All of a log but its heading."""
    path = element("p", f"{log.report.source} {ARROW} {log.report.out}", class_="path")
    return [path, verdict, figures(key_figures(log.report)), section(log, seen)]


def _batch_page(batch: BatchReport) -> str:
    logs = {
        entry.log: Log(entry.report, *_place(entry, entry.report), f"log-{number}")
        for number, entry in enumerate(batch.logs, 1)
        if entry.report is not None
    }
    rows = []
    for entry in batch.logs:
        name, *cells = sentences.batch_cells(entry, ARROW)
        rows.append([element("a", name, href=f"#{logs[name].anchor}") if name in logs else name, *cells])
    main: list[str] = [
        element("h1", text.plural(len(batch.logs), "log")),
        element("p", f"{batch.source} {ARROW} {batch.out}", class_="path"),
        _batch_verdict(batch),
        table(sentences.BATCH_HEADINGS, rows, words=2),
    ]
    seen = _to_see(list(logs.values()))
    for name, log in logs.items():
        heading = element("h1", name, id=log.anchor, class_="log")
        main += [heading, *_told(log, _verdict(log.report), seen[log.anchor])]
    return document(f"{text.plural(len(batch.logs), 'log')}: conversion", joined(main), _FOOTER)


def _batch_verdict(batch: BatchReport) -> Markup:
    """What became of all, and of each that has anything to say."""
    done = [sentences.batch_counts(batch)]
    if batch.converted:
        done += [f"{text.plural(batch.frames, 'reference')} proved", _sizes(batch)]
    lines = [f"{entry.log} failed: {entry.error}" for entry in batch.logs if entry.error]
    told = ((entry.log, sentences.log_notes(entry)) for entry in batch.logs)
    lines += [f"{log}: {'; '.join(notes)}" for log, notes in told if notes]
    lines += [f"{entry.log} was not deleted: {entry.source_stays}" for entry in batch.logs if entry.source_stays]
    if batch.failed:
        return _box("bad", f"{batch.failed} of {text.plural(len(batch.logs), 'log')} failed", done, lines)
    if batch.lossless:
        return _box("good", sentences.NOTHING_LOST, done, lines)
    return _box("warn", sentences.SOMETHING_LOST, done, lines)


def _verdict(report: Report) -> Markup:
    done = [sentences.proved(report), _sizes(report)]
    if report.lossless:
        return _box("good", sentences.NOTHING_LOST, done, [])
    return _box("warn", sentences.SOMETHING_LOST, done, list(sentences.losses(report)))


def _sizes(report: Report | BatchReport) -> str:
    took = text.duration(round(report.seconds * 1e9))
    size = sentences.sizes(report.bytes_in, report.bytes_out, ARROW)
    return f"{size} in {took}" if report.seconds else size  # a dataset that was there before took none


def _box(kind: str, words: str, done: Sequence[str], lines: Sequence[str]) -> Markup:
    """A verdict: one sentence, what was done, and what is to be said of it."""
    headline, *rest = (f"{each[:1].upper()}{each[1:]}" for each in (words, *done))
    parts = [
        element("p", f"{headline}.", class_="headline"),
        element("p", " · ".join(rest)),
        bullets(lines, kind),
    ]
    return element("div", *parts, class_=f"verdict {kind}")


def _name(path: str) -> str:
    return Path(path).resolve().name or path


def _place(entry: BatchEntry, report: Report) -> tuple[Path | None, str]:
    return (None, _DELETED) if entry.source_deleted else _at_hand(report.source)


def _at_hand(log: str) -> tuple[Path | None, str]:
    path = Path(log)
    return (path, "") if path.exists() else (None, f"the log is not there any more: {log}")


def _to_see(logs: Sequence[Log]) -> dict[str, frozenset[str]]:
    """By each log's anchor the topics of which there is something to see: those of lowest PSNR on the page."""
    rated = [
        (float("inf") if topic.psnr_p1_db is None else topic.psnr_p1_db, number, topic.topic)
        for number, log in enumerate(logs)
        for topic in log.report.topics
    ]
    chosen = sorted(rated)[:_MOST_SEEN]
    return {log.anchor: frozenset(topic for _, at, topic in chosen if at == number) for number, log in enumerate(logs)}
