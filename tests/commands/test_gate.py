"""`mediaref gate`."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from mediaref_tools.commands.consoles import json_text
from mediaref_tools.conversion.conversion import convert
from mediaref_tools.report import KeptTopic

from .conftest import Run


@pytest.fixture(scope="module")
def report(sample_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gate")
    made = convert(sample_log, folder / "set")
    kept = KeptTopic(topic="/thermal", reason="floats", messages=3)
    (folder / "report.json").write_text(json_text(made.model_copy(update={"kept": (kept,)})))
    return folder / "report.json"


def test_conditions_that_hold(mediaref: Run, report: Path) -> None:
    done = mediaref("gate", report, "--max-ratio", "2", "--min-psnr", "20")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith("all hold")
    assert mediaref("gate", report, "--quiet").stdout == ""


def test_a_line_for_each_that_does_not(mediaref: Run, report: Path, tmp_path: Path) -> None:
    junit = tmp_path / "gate.xml"
    done = mediaref("gate", report, report, "--max-ratio", "0.0001", "--min-psnr", "99", "--no-loss", "--junit", junit)
    assert (done.returncode, done.stderr) == (3, "")
    lines = done.stdout.splitlines()
    assert len(lines) % 2 == 0
    assert sum("ratio at most 0.0001" in line for line in lines) == 2
    assert any("PSNR at least 99 dB: its first percentile is" in line for line in lines)
    assert any(line.endswith("no loss: /thermal was kept (floats)") for line in lines)
    suite = ET.fromstring(junit.read_text())[0]
    assert suite.get("failures") == str(len(lines))


def test_what_is_no_report(mediaref: Run, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")
    done = mediaref("gate", tmp_path / "report.json")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert mediaref("gate").returncode == 2
    assert mediaref("gate", tmp_path / "report.json", "--max-ratio", "-1").returncode == 2


def test_convert_checks_its_own_report(mediaref: Run, sample_log: Path, tmp_path: Path) -> None:
    told, junit = tmp_path / "report.json", tmp_path / "gate.xml"
    options = ["--max-ratio", "0.0001", "--no-loss", "--junit", junit, "--report", told]
    done = mediaref("convert", sample_log, "--out", tmp_path / "set", *options, "-q")
    assert (done.returncode, done.stderr) == (3, "")
    assert (tmp_path / "set" / "manifest.json").is_file(), "the dataset is made all the same"
    gated = mediaref("gate", told, *options[:3], "--junit", tmp_path / "again.xml")
    assert (gated.returncode, gated.stdout) == (3, done.stdout)
    assert (tmp_path / "again.xml").read_text() == junit.read_text()
    jsonic = mediaref("convert", sample_log, "--out", tmp_path / "other", *options[:2], "--json")
    assert (jsonic.returncode, json.loads(jsonic.stdout)["frames"]) == (3, 44)
    assert "ratio at most 0.0001" in jsonic.stderr
    held = mediaref("convert", sample_log, "--out", tmp_path / "held", "--max-ratio", "2", "--no-loss", "-q")
    assert (held.returncode, held.stdout, held.stderr) == (0, "", "")


def test_a_number_that_is_none_demands_nothing_and_is_refused(mediaref: Run, report: Path) -> None:
    for option in ("--max-ratio", "--min-psnr"):
        assert mediaref("gate", report, option, "nan").returncode == 2
    assert mediaref("convert", "x.mcap", "--dry-run", "--max-ratio", "1").returncode == 2
