"""The decode benchmark judges rightly: a wrong frame is seen, a right one counts, and a failure is told."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.sample import numbered_image
from tests.bench.decode import tables
from tests.bench.decode.chart import chart
from tests.bench.decode.clips import Clip, ClipSpec, built
from tests.bench.decode.contenders import CONTENDERS, NotInstalled, python_of, tidy
from tests.bench.decode.driver import Process
from tests.bench.decode.judge import judged, looks_of
from tests.bench.decode.remote import CountingFiles
from tests.bench.decode.results import Results
from tests.bench.decode.rounds import measured, run_calls
from tests.bench.decode.worker import LOOK_STEP, digest
from tests.bench.decode.workloads import WORKLOADS

BY_NAME = {contender.name: contender for contender in CONTENDERS}
NAIVE, LIMIT, OURS = BY_NAME["open + seek per frame"], BY_NAME["libavcodec's limit"], BY_NAME["ours, VideoDecoder"]


def pictures(*numbers: int) -> list[NDArray[np.uint8]]:
    return [numbered_image(number, 640, 480) for number in numbers]


def looks(count: int) -> NDArray[np.uint8]:
    return np.stack([picture[::LOOK_STEP, ::LOOK_STEP] for picture in pictures(*range(count))])


def test_right_frames_are_right_in_any_order() -> None:
    found = [digest(picture) for picture in pictures(5, 0, 5, 3)]
    assert judged([5, 0, 5, 3], found, looks(6)) == (0, "", 0.0)


def test_the_frame_before_is_wrong_however_much_alike() -> None:
    verdict = judged([3, 4, 5], [digest(picture) for picture in pictures(3, 3, 5)], looks(6))
    assert verdict.wrong == 1
    assert verdict.first == "frame 4 was asked for, 3 came"


def test_a_blend_of_two_frames_is_wrong() -> None:
    one, other = pictures(3, 4)
    blend = ((one.astype(np.uint16) + other) // 2).astype(np.uint8)
    assert judged([3], [digest(blend)], looks(6)).first == "frame 3 was asked for, no number came"


def test_frames_that_are_missing_or_of_another_size_are_wrong() -> None:
    assert judged([3, 4], [digest(pictures(3)[0])], looks(6)).wrong == 1
    small = numbered_image(3, 320, 240)
    assert judged([3], [digest(small)], looks(6)).first == "frame 3 came as [240, 320]"


def test_red_and_blue_swapped_are_told() -> None:
    picture = np.ascontiguousarray(pictures(3)[0][..., ::-1])
    verdict = judged([3], [digest(picture)], looks(6))
    assert verdict.wrong == 0
    assert verdict.colour_error > tables.COLOUR


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Four seconds with B-frames, which no dataset of ours has."""
    spec = ClipSpec("tiny", "tiny", (640, 360), 20, "h264", 10, b_frames=3)
    return built((spec,), tmp_path_factory.mktemp("clip"), 4)[0]


@pytest.fixture
def naive(clip: Clip, tmp_path: Path) -> Iterator[Process]:
    # In this very environment: it has PyAV.
    with Process(NAIVE, sys.executable, tmp_path / "log") as process:
        assert "error" not in process.ask("open", files=[{"path": clip.path, "dataset": "", "topic": ""}])
        yield process


def test_a_worker_is_asked_and_gives_the_right_frames(clip: Clip, naive: Process, tmp_path: Path) -> None:
    seen = looks_of(Path(clip.path), tmp_path / "looks.npy")
    row = run_calls(naive, [clip], [seen], [(0, [7, 60, 7]), (0, [33])], cold=False)
    assert (row["wrong"], row["frames"], row["calls"], row["colour_error"]) == (0, 4, 2, 0.0)
    assert row["seconds"] > 0
    assert row["cpu_seconds"] > 0
    assert row["peak_rss"] > 10_000_000


def test_one_that_gives_the_frame_before_is_caught(clip: Clip, naive: Process, tmp_path: Path) -> None:
    seen = looks_of(Path(clip.path), tmp_path / "looks.npy")
    late = replace(clip, pts_ns=[0, *clip.pts_ns[:-1]])
    row = run_calls(naive, [late], [seen], [(0, [7, 60])], cold=False)
    assert row["wrong"] == 2
    assert row["first_wrong"] == "frame 7 was asked for, 6 came"


def test_an_error_and_a_dead_worker_are_told(naive: Process, tmp_path: Path) -> None:
    missing = [{"path": "/no/such.mp4", "dataset": "", "topic": ""}]
    assert "error" not in naive.ask("open", files=missing)
    answer = naive.ask("run", calls=[[0, [[0, 0, 0]]]], cold=False)
    assert answer["error"].startswith("FileNotFoundError")
    assert "/no/such" not in answer["error"]
    os.mkfifo(tmp_path / "pipe")  # nobody ever writes to it
    naive.ask("open", files=[{"path": str(tmp_path / "pipe"), "dataset": "", "topic": ""}])
    assert "no answer" in naive.ask("run", patience=0.1, calls=[[0, [[0, 0, 0]]]], cold=False)["error"]
    assert "ended" in naive.ask("close")["error"]
    assert not naive.running


def test_a_run_of_some_contenders_makes_tables_and_a_chart(clip: Clip, tmp_path: Path) -> None:
    chosen = (OURS, NAIVE, LIMIT)
    pythons = {contender.name: sys.executable for contender in chosen}
    names = [workload.name for workload in WORKLOADS]
    rows = measured(chosen, pythons, clip, 2, tmp_path, quick=True, workloads=names, logs=tmp_path)
    # all of it: two rounds, three contenders, six workloads; the limit is never cold
    assert len(rows) == 2 * (3 * 6 - 1)
    assert [row for row in rows if "error" in row or row["wrong"]] == []
    assert all(row["bytes_read"] >= 0.5 * row["least_bytes"] for row in rows if row["contender"] == LIMIT.name)
    results = Results(rows)
    ratio = results.ratio("tiny", "random", OURS.name, NAIVE.name)
    assert ratio is not None
    assert 0 < ratio.least <= ratio.median <= ratio.most
    raw = {
        "machine": {"cores": 2, "processor": "x", "load_before": 0.0, "load_after": 0.0},
        "rounds": 2,
        "seconds": 4,
        "installed": [{"contender": "decord", "error": "did not install: no wheel"}],
        "files": [
            {"name": "tiny", "title": "tiny", "frames": 80, "bytes": clip.bytes, "footage": [], "dataset": False}
        ],
        "rows": rows,
        "remote": [],
    }
    assert "| decord | did not install: no wheel |" in tables.about(raw)
    assert "**ours, VideoDecoder**" in tables.files(raw)
    assert "≥ 0.85 of the limit" in tables.targets(raw)
    ET.fromstring(chart({**raw, "files": [{**raw["files"][0], "name": "h264-vga-g30"}]}))  # type: ignore[index]


def test_one_wrong_frame_in_one_round_takes_the_figure_away() -> None:
    right = {"file": "f", "workload": "random", "contender": NAIVE.name, "frames": 8, "seconds": 1.0, "wrong": 0}
    wrong = {**right, "wrong": 1, "first_wrong": "frame 4 was asked for, 3 came"}
    assert Results([right, right]).rate("f", "random", NAIVE.name) == (8.0, 8.0, 8.0)
    results = Results([right, wrong])
    assert results.rate("f", "random", NAIVE.name) is None
    assert results.trouble("f", "random", NAIVE.name) == ("wrong", "1 of 16 frames; frame 4 was asked for, 3 came")


def test_every_range_that_is_fetched_counts_once() -> None:
    files = CountingFiles()
    files.pipe_file("/counted", bytes(range(100)))
    CountingFiles.requests = CountingFiles.fetched = 0
    assert files.cat_file("/counted", 10, 13) == bytes([10, 11, 12])
    assert (CountingFiles.requests, CountingFiles.fetched) == (1, 3)
    files.cat_ranges(["/counted", "/counted"], [0, 50], [20, 60])
    assert (CountingFiles.requests, CountingFiles.fetched) == (3, 33)
    with files.open("/counted", "rb") as file:
        file.seek(90)
        assert file.read(20) == bytes(range(90, 100))
    assert (CountingFiles.requests, CountingFiles.fetched) == (4, 43)


def test_workloads_are_the_same_for_the_same_dice_and_within_the_file() -> None:
    import random

    for workload in WORKLOADS:
        for count in (150, 3000, 6000):
            calls = workload.draw(random.Random(1), count, count < 1000)
            assert calls == workload.draw(random.Random(1), count, count < 1000)
            assert all(0 <= place < count for call in calls for place in call)


def test_what_does_not_install_says_why_without_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(NotInstalled, match="No matching distribution found for no-such-thing"):
        python_of(("no-such-thing==1",), tmp_path)
    assert tidy("see https://example.org/x and /home/me/x.py:\n no") == "see … and …: no"
