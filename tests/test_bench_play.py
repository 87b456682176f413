"""The benchmark of the viewer: it measures what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mediaref_tools as mrt
from tests.bench.play.__main__ import WAYS, cameras, latencies, tables, visits


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cameras(tmp_path_factory.mktemp("cameras"), 2, 1)


def test_cameras(dataset: Path) -> None:
    with mrt.open_dataset(dataset) as opened:
        assert {name: len(topic) for name, topic in opened.items()} == {"/camera0": 30, "/camera1": 30}
        assert set(opened["/camera0"].log_times_ns) & set(opened["/camera1"].log_times_ns) == set()


@pytest.mark.parametrize("way", WAYS)
def test_no_frame_is_asked_for_twice(way: str) -> None:
    found = visits(way, 300, 120)
    assert len(found) == len(set(found)) == (43 if way == "scrub" else 120)
    assert found != sorted(found) or way in ("scrub", "step on")


def test_latencies_and_tables(dataset: Path) -> None:
    found = latencies(dataset, "/camera1", rounds=1, asked=5)
    assert {way: len(ms) for way, ms in found.items()} == dict.fromkeys(WAYS, 5)
    assert all(one > 0 for ms in found.values() for one in ms)
    raw: dict[str, Any] = {
        "machine": {"cores": 2, "processor": "one", "load_before": 0.5},
        "latencies": [{"title": "camera", "ms": {way: [1.0, 3.0] for way in WAYS}}],
        "played": [{"topics": 2, "shown": 45, "due": 60, "server_cpu": 0.5, "seconds": 2}],
    }
    made = tables(raw)
    assert "| camera | 2.0 / 2.9 |" in made["latency"]
    assert "| 2 | 60 | 45 | 75 % | 0.25 |" in made["played"]
    assert "2 cores (one), load 0.5" in made["machine"]
