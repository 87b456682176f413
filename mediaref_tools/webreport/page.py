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
from mediaref_tools.webreport.section import ARROW, Log, key_figures, section, sentence
from mediaref_tools.webreport.tables import Figure, bullets, figures, table

__all__ = ["html_report"]

_MOST_SEEN = 16  # topics with pictures, some hundred kB each
_MOST_LINES = 100
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
    log = Log(report, *_at_hand(report.source), "log-1")
    return _one_page(log, f"{_name(report.source)}: conversion", _verdict(report), key_figures(report))


def _verified_page(found: VerifyReport) -> str:
    dataset = Path(found.dataset)
    manifest = Manifest.read(dataset)
    counts = Findings(found.frames, found.wrong, found.missing, found.embedded, {}, {}, None, ())
    source = found.against or manifest.source.name
    report = report_of(manifest, counts, Path(source), dataset, 0, found.seconds)
    place = (None, _NOT_COMPARED) if found.against is None else _at_hand(found.against)
    words = sentence(sentences.verified(found))
    if found.ok:
        verdict = _box("good", words, [])
    else:
        problems = [sentence(line) for line in found.problems]
        verdict = _box("bad", words, problems or ["Messages differ from the log's."])
    numbers = key_figures(report, with_messages=False)
    compared = sentences.messages_compared(found)
    if compared is not None:
        number, _, rest = compared.partition(" compared, ")
        numbers.append(Figure("Messages compared", number, rest))
    return _one_page(Log(report, *place, "log-1"), f"{_name(found.dataset)}: verification", verdict, numbers)


def _one_page(log: Log, title: str, verdict: Markup, numbers: Sequence[Figure]) -> str:
    main = [
        element("h1", _name(log.report.source)),
        element("p", f"{log.report.source} {ARROW} {log.report.out}", class_="path"),
        verdict,
        figures(numbers),
        section(log, _to_see([log])[log.anchor]),
    ]
    return document(title, joined(main), _FOOTER)


def _batch_page(batch: BatchReport) -> str:
    logs = [
        (entry, Log(entry.report, *_place(entry), f"log-{number}"))
        for number, entry in enumerate(batch.logs, 1)
        if entry.report is not None
    ]
    seen = _to_see([log for _, log in logs])
    rows = [sentences.batch_cells(entry, ARROW) for entry in batch.logs]
    links = {entry.log: log.anchor for entry, log in logs}
    name = batch.source
    parts = [
        element("h1", text.plural(len(batch.logs), "log")),
        element("p", f"{name} {ARROW} {batch.out}", class_="path"),
        _batch_verdict(batch),
        figures(
            [
                Figure("Size", text.change(batch.bytes_in, batch.bytes_out, ARROW), _share(batch)),
                Figure("References proved", text.count(batch.frames)),
                Figure("Took", text.duration(round(batch.seconds * 1e9))),
            ]
        ),
        table(
            sentences.BATCH_HEADINGS,
            [[_linked(row[0], links.get(row[0])), *row[1:]] for row in rows],
            words=2,
        ),
    ]
    for entry, log in logs:
        parts += [
            element("h1", entry.log, id=log.anchor, class_="log"),
            element("p", f"{log.report.source} {ARROW} {log.report.out}", class_="path"),
            _verdict(log.report),
            figures(key_figures(log.report)),
            section(log, seen[log.anchor]),
        ]
    return document(f"{text.plural(len(batch.logs), 'log')}: conversion", joined(parts), _FOOTER)


def _linked(name: str, anchor: str | None) -> str:
    return name if anchor is None else element("a", name, href=f"#{anchor}")


def _share(batch: BatchReport) -> str:
    return f"{text.percent(batch.bytes_out / batch.bytes_in)} of the logs that were converted" if batch.bytes_in else ""


def _batch_verdict(batch: BatchReport) -> Markup:
    """What became of all, and of each that has anything to say."""
    kind = "bad" if batch.failed else "good" if batch.lossless else "warn"
    lines = [sentence(f"{entry.log} failed: {entry.error}") for entry in batch.logs if entry.error]
    told = ((entry, sentences.log_notes(entry)) for entry in batch.logs)
    lines += [sentence(f"{entry.log}: {'; '.join(notes)}") for entry, notes in told if notes]
    lines += [
        sentence(f"{entry.log} was not deleted: {entry.source_stays}") for entry in batch.logs if entry.source_stays
    ]
    if batch.lossless:
        lines.append(sentence(sentences.NOTHING_LOST))
    return _box(kind, sentence(sentences.batch_counts(batch)), lines)


def _verdict(report: Report) -> Markup:
    if report.lossless:
        return _box("good", sentence(sentences.proved(report)), [sentence(sentences.NOTHING_LOST)])
    return _box("warn", sentence(sentences.proved(report)), [sentence(line) for line in sentences.losses(report)])


def _box(kind: str, words: str, lines: Sequence[str]) -> Markup:
    shown = [*lines[:_MOST_LINES], *([f"And {len(lines) - _MOST_LINES} more."] if len(lines) > _MOST_LINES else [])]
    return element("div", element("p", words), bullets(shown, kind), class_=f"verdict {kind}")


def _name(path: str) -> str:
    return Path(path).resolve().name or path


def _place(entry: BatchEntry) -> tuple[Path | None, str]:
    assert entry.report is not None  # noqa: S101 - such logs alone are asked of
    return (None, _DELETED) if entry.source_deleted else _at_hand(entry.report.source)


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
