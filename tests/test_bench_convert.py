"""The benchmark of conversions: it measures what it says, and sees wrong references."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.convert import judge, tables
from tests.bench.convert.__main__ import measured
from tests.bench.convert.judge import judged, shown_by_references, times
from tests.bench.convert.logs import BenchLog, built


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> BenchLog:
    found = built("four cameras", tmp_path_factory.mktemp("logs"), 1)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def rows(log: BenchLog, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("made")
    found = []
    for name in ("ours", "decode + encode alone"):
        row = {"round": 0, **measured(name, log, folder)}
        found.append(row | judged("ours", log.path, Path(row["out"])).as_json() if name == "ours" else row)
    return found


def test_a_conversion_is_measured_and_judged(log: BenchLog, rows: list[dict[str, Any]]) -> None:
    ours, bare = rows
    assert (ours["frames"], ours["references"], ours["wrong"]) == (80, 80, 0) == (log.frames, 80, 0)
    assert ours["psnr_p1_db"] > 30
    assert 0.8 < ours["ssim_p1"] <= 1
    assert 0 < ours["proof_cpu"] < ours["cpu"]
    assert 0 < ours["proof_wall"] < ours["wall"]
    assert 20e6 < bare["peak_bytes"] < 2e9
    assert 0.5 < bare["bytes"] / ours["bytes"] < 1


def test_references_just_before_their_frames_are_wrong(
    rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(rows[0]["out"])
    monkeypatch.setattr(judge, "times", lambda path: times(path) + 1)
    assert shown_by_references("ours", out) == (80, 80)
    monkeypatch.setattr(judge, "times", lambda path: times(path) - 1)
    assert shown_by_references("ours", out) == (80, 0)


def test_tables_and_chart(log: BenchLog, rows: list[dict[str, Any]]) -> None:
    failed = {"round": 0, "log": log.name, "contender": "pymcap-cli roscompress", "kind": "pymcap", "error": "no such"}
    raw = {
        "machine": {"cores": 2, "processor": "x"}, "rounds": 1,
        "logs": [{"name": log.name, "title": log.title, "frames": log.frames, "bytes": log.bytes}],
        "rows": [*rows, failed],
    }  # fmt: skip
    page = tables.everything(raw)
    assert "| pymcap-cli roscompress | fails |" in page
    assert "- pymcap-cli roscompress: no such" in page
    assert "0 of 80" in page
    ratio = rows[0]["wall"] / rows[1]["wall"]
    assert f"{ratio:.2f} " in next(line for line in page.splitlines() if "wall with the proof, h264" in line)
    assert "- |" in next(line for line in page.splitlines() if "size, h264" in line)
    assert len(ET.fromstring(tables.chart(raw)).findall("{*}rect")) == 6
