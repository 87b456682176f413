"""Conditions on reports: each that does not hold is told, and none that does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mediaref_tools.conversion.batch import BatchEntry, BatchReport
from mediaref_tools.errors import ReportError
from mediaref_tools.gate import Check, Conditions, gate, junit, markdown, read_report
from mediaref_tools.report import KeptTopic, LossReport, Report, TopicReport


def topic(name: str = "/cam", **changes: Any) -> TopicReport:
    facts: dict[str, Any] = {
        "topic": name, "frames": 10, "embedded": 0, "codec": "h264", "segments": 1, "width": 64, "height": 48,
        "bytes_in": 100, "bytes_out": 30, "psnr_mean_db": 42.0, "psnr_p1_db": 40.0,
    }  # fmt: skip
    return TopicReport(**{**facts, **changes})


def report(**changes: Any) -> Report:
    facts: dict[str, Any] = {
        "source": "drive.mcap", "container": "mcap", "out": "drive", "frames": 10, "wrong": 0, "missing": 0,
        "embedded": 0, "kept": (), "losses": (), "messages_in": 20, "messages_out": 20, "bytes_in": 1000,
        "bytes_out": 300, "ratio": 0.3, "seconds": 1.0, "topics": (topic(),), "warnings": (),
    }  # fmt: skip
    return Report(**{**facts, **changes})


def entry(log: str, state: str = "converted", **changes: Any) -> BatchEntry:
    facts: dict[str, Any] = {"log": log, "out": log, "state": state, "lossless": True, "report": None, "error": None}
    return BatchEntry(**{**facts, **changes})


def batch(*entries: BatchEntry) -> BatchReport:
    return BatchReport(
        source="logs", out="out", logs=entries, converted=1, present=0, failed=0, frames=1, bytes_in=1, bytes_out=1,
        seconds=1.0,
    )  # fmt: skip


def broken(checks: list[Check]) -> list[tuple[str, str]]:
    return [(check.condition, check.broken) for check in checks if check.broken]


ALL = Conditions(max_ratio=0.3, min_psnr_db=40.0, no_loss=True)


def test_all_hold_at_their_very_values() -> None:
    checks = gate(report(), ALL)
    assert [check.condition for check in checks] == [
        "every reference shows its frame",
        "ratio at most 0.3",
        "/cam: PSNR at least 40 dB",
        "no loss",
    ]
    assert broken(checks) == []
    assert {check.log for check in checks} == {"drive.mcap"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"wrong": 1, "missing": 2}, ("every reference shows its frame", "1 wrong, 2 missing of 10")),
        ({"ratio": 0.301, "bytes_out": 301}, ("ratio at most 0.3", "301 of 1000 bytes are 0.301")),
        # rounded, it would hold
        (
            {"bytes_in": 1_000_000, "bytes_out": 300_001},
            ("ratio at most 0.3", "300001 of 1000000 bytes are 0.3"),
        ),
        (
            {"topics": (topic("/a"), topic("/b", psnr_p1_db=39.99))},
            ("/b: PSNR at least 40 dB", "its first percentile is 39.99 dB"),
        ),
        (
            {"kept": (KeptTopic(topic="/f", reason="floats", messages=3),)},
            ("no loss", "/f was kept (floats)"),
        ),
        (
            {"topics": (topic(embedded=2, reason="cut"),)},
            ("no loss", "2 of 10 frames of /cam were embedded (cut)"),
        ),
        (
            {"losses": (LossReport(where="chunk 3", what="bad crc", messages=None),)},
            ("no loss", "chunk 3: bad crc"),
        ),
    ],
)
def test_each_that_does_not_hold_is_told(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert broken(gate(report(**changes), ALL)) == [expected]


def test_what_is_not_demanded_is_not_checked() -> None:
    worst = report(
        ratio=9.0,
        bytes_out=9000,
        topics=(topic(psnr_p1_db=1.0, embedded=1),),
        kept=(KeptTopic(topic="/f", reason="floats", messages=3),),
    )
    assert broken(gate(worst, Conditions())) == []


def test_what_was_asked_to_be_kept_is_no_loss() -> None:
    kept = KeptTopic(topic="/f", reason="excluded", messages=3, asked=True)
    assert broken(gate(report(kept=(kept,)), ALL)) == []


def test_topics_without_video_have_no_psnr() -> None:
    assert broken(gate(report(topics=(topic(psnr_p1_db=None, psnr_mean_db=None),)), ALL)) == []


def test_each_log_of_a_batch_is_checked() -> None:
    several = batch(
        entry("a.bag", report=report()),
        entry("b.bag", report=report(ratio=0.5, bytes_out=500)),
        entry("c.bag", "failed", error="cut"),
        entry("d.bag", "present", report=report(topics=(topic(embedded=1, reason="cut"),))),
    )
    told = [(check.log, check.condition) for check in gate(several, ALL) if check.broken]
    assert told == [("b.bag", "ratio at most 0.3"), ("c.bag", "converted"), ("d.bag", "no loss")]
    assert broken(gate(several, Conditions())) == [("converted", "it failed: cut")]
    assert len(gate(several, ALL)) == 3 * 5 + 1


def test_reports_are_read(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for told in (report(), batch(entry("a.bag", report=report()))):
        path.write_text(told.model_dump_json())
        assert read_report(path) == told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "can't be read"),
        ("{", "no JSON"),
        ("[]", "no report"),
        ("{}", "no report"),
        (json.dumps({**report().model_dump(), "frames": "many"}), "frames: "),
        ('{"logs": 3}', "no report"),
    ],
)
def test_what_is_no_report(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "report.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ReportError, match=message):
        read_report(path)


def test_junit_has_a_case_for_each_check() -> None:
    odd = report(topics=(topic("/a\0<&\ud800"),), ratio=0.5, bytes_out=500)
    suites = ET.fromstring(junit(gate(odd, ALL)))
    suite = suites[0]
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    failed = [(case.get("name"), case[0].get("message")) for case in suite if len(case)]
    assert failed == [("ratio at most 0.3", "500 of 1000 bytes are 0.5")]
    assert [case.get("name") for case in suite][2] == "/a\ufffd<&\ufffd: PSNR at least 40 dB"


def test_markdown_tells_of_each_topic_and_of_what_is_broken() -> None:
    odd = report(topics=(topic("/a|b`<i>\n"), topic("/dark", psnr_p1_db=None, bytes_in=0)), ratio=0.5)
    text = markdown([odd, batch(entry("x/one.bag", report=report()))], gate(odd, Conditions(max_ratio=0.1)))
    table, broken_lines = text.split("\n\n")
    rows = [line.split(" | ") for line in table.splitlines()]
    assert [len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()] == [9] * len(rows)
    assert rows[3][1] == r"/a\|b\`\<i\>" + "\ufffd"
    assert rows[3][2:] == ["10", "100", "30", "30.0%", "40.0 dB |"]
    assert rows[4][5:] == ["-", "- |"]
    assert rows[5][0] == "| x/one.bag"
    assert broken_lines.startswith("- drive.mcap\\: ratio at most 0.1")
    assert "holds" in markdown([odd], gate(odd, Conditions()))
