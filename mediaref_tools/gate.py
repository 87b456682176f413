"""Whether a conversion is good enough for a pipeline to go on: conditions on its report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from pydantic import ValidationError

from mediaref_tools.conversion.batch import BatchReport
from mediaref_tools.errors import ReportError
from mediaref_tools.report import Report
from mediaref_tools.sentences import losses

__all__ = ["Check", "Conditions", "gate", "junit", "markdown", "read_report"]

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Conditions(NamedTuple):
    """What is demanded; None and False demand nothing. That no reference is wrong or missing is always demanded.

    Attributes:
        max_ratio: Bytes of the dataset to bytes of the log, at most.
        min_psnr_db: First percentile of each topic's luma PSNR, at least.
        no_loss: Nothing was kept that was not asked to be, embedded, skipped or recovered with loss.
    """

    max_ratio: float | None = None
    min_psnr_db: float | None = None
    no_loss: bool = False


class Check(NamedTuple):
    """One condition on one log: what it is, and why it does not hold; "" where it does."""

    log: str
    condition: str
    broken: str


def read_report(path: str | PathLike[str]) -> Report | BatchReport:
    """A report as `convert --report` wrote it.

    Raises:
        ReportError: There is none, or it is no report of this version.
    """
    try:
        told = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise ReportError(f"report can't be read: {error.strerror}: {path}") from error
    except ValueError as error:
        raise ReportError(f"report is no JSON: {error}: {path}") from error
    model = BatchReport if isinstance(told, dict) and "logs" in told else Report
    try:
        return model.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "all of it"
        raise ReportError(
            f"no report that `convert --report` of this version wrote: {where}: {first['msg']}: {path}"
        ) from error


def gate(report: Report | BatchReport, conditions: Conditions) -> list[Check]:
    """Check a report, that of each log where there are several.

    Returns:
        A check for each condition of each log, and for each topic where it is about topics, in the report's order. That
        of a dataset which was there before is of the dataset.
    """
    if isinstance(report, Report):
        return list(_checks(report.source, report, conditions))
    found: list[Check] = []
    for entry in report.logs:
        found.append(Check(entry.log, "converted", f"it failed: {entry.error}" if entry.state == "failed" else ""))
        if entry.report is not None:
            found += _checks(entry.log, entry.report, conditions)
    return found


def _checks(log: str, report: Report, conditions: Conditions) -> Iterator[Check]:
    bad = f"{report.wrong} wrong, {report.missing} missing of {report.frames}" if report.wrong or report.missing else ""
    yield Check(log, "every reference shows its frame", bad)
    if conditions.max_ratio is not None:
        # Of the bytes: the report's own ratio is rounded.
        above = report.bytes_out > conditions.max_ratio * max(report.bytes_in, 1)
        name, figures = f"ratio at most {conditions.max_ratio:g}", f"{report.bytes_out} of {report.bytes_in} bytes"
        yield Check(log, name, f"{figures} are {report.ratio:g}" if above else "")
    if conditions.min_psnr_db is not None:
        for topic in report.topics:
            p1 = topic.psnr_p1_db
            below = p1 is not None and p1 < conditions.min_psnr_db
            name = f"{topic.topic}: PSNR at least {conditions.min_psnr_db:g} dB"
            yield Check(log, name, f"its first percentile is {p1:.2f} dB" if below else "")
    if conditions.no_loss:
        yield Check(log, "no loss", "; ".join(losses(report)))


def junit(checks: Iterable[Check]) -> str:
    """Checks as JUnit XML, a test case each, as CI systems show them."""
    checks = list(checks)
    failures = str(sum(bool(check.broken) for check in checks))
    suite = ET.Element("testsuite", name="mediaref gate", tests=str(len(checks)), failures=failures)
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=_text(check.log), name=_text(check.condition))
        if check.broken:
            ET.SubElement(case, "failure", message=_text(check.broken))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, "unicode", xml_declaration=False) + "\n"


def markdown(reports: Iterable[Report | BatchReport], checks: Iterable[Check]) -> str:
    """What became of each log's topics and what does not hold, as GitHub's Markdown."""
    lines = [
        "| log | topic | frames | bytes before | after | ratio | PSNR p1 |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for report in reports:
        entries = [(report.source, report)] if isinstance(report, Report) else []
        if isinstance(report, BatchReport):
            entries = [(entry.log, entry.report) for entry in report.logs if entry.report is not None]
        for log, one in entries:
            lines.append(_cells(log, "all", one.frames, one.bytes_in, one.bytes_out, None))
            lines += (_cells("", t.topic, t.frames, t.bytes_in, t.bytes_out, t.psnr_p1_db) for t in one.topics)
    broken = [f"- {_literal(f'{check.log}: {check.condition}: {check.broken}')}" for check in checks if check.broken]
    return "\n".join([*lines, "", *(broken or ["Everything that was demanded holds."]), ""])


def _cells(log: str, topic: str, frames: int, before: int, after: int, p1: float | None) -> str:
    ratio = f"{after / before:.1%}" if before else "-"
    psnr = "-" if p1 is None else f"{p1:.1f} dB"
    return f"| {_literal(log)} | {_literal(topic)} | {frames} | {before:,} | {after:,} | {ratio} | {psnr} |"


def _literal(text: str) -> str:
    """Text as it is, in one line: nothing of it is markup."""
    printed = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return re.sub(r"([\\`*_{}\[\]<>()#+\-!|~&@:$])", r"\\\1", printed)


def _text(text: str) -> str:
    """What XML can hold: a topic's name may be anything."""
    return _NO_XML.sub("\ufffd", text)
