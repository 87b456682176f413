"""What is physically in a damaged log comes out, what is not is told, and both can be converted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mediaref_tools as mrt
from mediaref_tools.errors import LogNotFound
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import frame_number, make_sample, numbered_topic, write_log
from tests.bench.recovery import PAGE, ours
from tests.damagedlogs import COUNT, FAULTS, TEXTS, Fault, present
from tests.reallogs import real_log


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.container}: {fault.name}")
def test_all_that_is_there_comes_out(tmp_path: Path, fault: Fault) -> None:
    path = fault.make(tmp_path)
    there = present(path) if fault.present is None else fault.present
    assert 20 < there <= COUNT
    with open_log(path) as reader:
        messages = list(reader.messages())
        if "zstd (message" not in fault.name:
            found = [any(text.encode() in bytes(each.data) for each in messages) for text in TEXTS]
            assert sum(found) == there
        assert len(messages) == there + fault.marred
        assert [m.log_time_ns for m in messages] == sorted(m.log_time_ns for m in messages)
        assert (not reader.losses) == fault.silent, list(reader.losses)
        known = [loss.messages for loss in reader.losses if loss.messages is not None]
        claimed = COUNT + 20 if "20 more" in fault.name else COUNT
        assert sum(known) in (0, claimed - there - fault.marred)
    assert mrt.convert(path, tmp_path / "dataset").messages_in == there + fault.marred
    assert mrt.verify(tmp_path / "dataset", against=path).ok


def test_the_page_says_what_we_do(tmp_path: Path) -> None:
    """What stock readers do is theirs, and changes with their versions."""
    marks = ("| rosbag1 |", "| rosbag2 |", "| mcap |")
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith(marks)]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [[*row[:3], *row[6:]] for row in cells] == [
        [container, name, str(there), str(found), said] for container, name, there, found, said, _ in ours(tmp_path)
    ], "run python -m tests.bench.recovery"


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


CUT: dict[str, tuple[Any, str]] = {
    "rosbag1": ("rosbag1", "x.bag"),
    "mcap": ("mcap", "x.mcap"),
    "db3": ("rosbag2-sqlite3", "x"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_log_is_converted_with_exit_code_3_and_every_frame_is_the_right_one(tmp_path: Path, name: str) -> None:
    container, file = CUT[name]
    times = range(10**18, 10**18 + 150 * 10**8, 10**8)  # more than one zstd block of 128 KiB
    path = write_log(tmp_path / file, container, numbered_topic("/cam", times, size=(120, 160)))
    if path.is_dir():
        (path / "metadata.yaml").unlink()
        path = next(path.iterdir())
    cut(path, 0.6)
    out = tmp_path / "dataset"
    arguments = [sys.executable, "-m", "mediaref_tools", "convert", str(path), "--out", str(out), "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert report["losses"]
    assert 40 <= report["frames"] == report["messages_in"] <= 95
    assert mrt.verify(out, against=path).ok
    with mrt.open_dataset(out) as dataset:
        frames = dataset["/cam"].batch(range(report["frames"])).data
        assert [frame_number(frame) for frame in frames] == list(range(report["frames"]))


LONG = "/" + "x" * 300
NAMES = ["/../../etc/passwd", "..", "/nul\0inside", LONG, "/📷/🤖", "", "/a/b", "/a_b", "~/%2e%2e/\\..\\x", "//"]


@pytest.mark.parametrize("container", ["mcap", "rosbag1", "rosbag2-sqlite3"])
def test_topic_names_stay_in_the_dataset(tmp_path: Path, container: Any) -> None:
    names = NAMES if container == "mcap" else [name for name in NAMES if name and "\0" not in name]
    messages = [
        message
        for number, name in enumerate(names)
        for message in numbered_topic(name, [10**18, 10**18 + 1], size=(64, 96), first=number)
    ]
    path = write_log(tmp_path / "log", container, messages)
    (tmp_path / "place").mkdir()
    report = mrt.convert(path, tmp_path / "place" / "dataset")
    assert {topic.topic for topic in report.topics} == set(names)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "place"]
    assert [each.name for each in (tmp_path / "place").iterdir()] == ["dataset"]
    assert mrt.verify(tmp_path / "place" / "dataset", against=path).ok
    with mrt.open_dataset(tmp_path / "place" / "dataset") as dataset:
        for number, name in enumerate(names):
            assert [frame_number(frame) for frame in dataset[name].batch([0, 1]).data] == [number, number + 1]


@pytest.mark.parametrize("container", ["rosbag2-sqlite3", "rosbag2-mcap"])
def test_links_and_pipes_in_a_folder_are_not_followed(tmp_path: Path, container: Any) -> None:
    path = make_sample(tmp_path / "log", container=container, seconds=0.5)
    (path / "again").symlink_to(path)
    (path / "itself").symlink_to("itself")
    (path / "itself.db3").symlink_to("itself.db3")
    (path / "secret").symlink_to("/etc")
    os.mkfifo(path / "pipe")
    os.mkfifo(path / "pipe.db3")
    (path / "folder.mcap").mkdir()
    report = mrt.convert(path, tmp_path / "dataset")
    assert {loss.where for loss in report.losses} == {"again", "itself", "itself.db3", "secret"}
    copied = {each.relative_to(tmp_path / "dataset" / "log").name for each in (tmp_path / "dataset" / "log").rglob("*")}
    assert copied.isdisjoint({"again", "itself", "secret", "pipe", "passwd"})
    assert mrt.verify(tmp_path / "dataset", against=path).ok


def test_paths_that_lead_nowhere_are_our_errors(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    nowhere = [tmp_path / name for name in ("loop", "pipe", "no/one", "x" * 300)]
    for path in (*nowhere, Path("/dev/null")):
        with pytest.raises(LogNotFound):
            open_log(path)


def test_recorded_logs_that_stock_readers_refuse(tmp_path: Path) -> None:
    counts = {
        "ros1/unindexed_lz4.bag.active": 59,
        "mcap/truncated_zstd.mcap": 143,
        "found/tiryoh/test_sample.mcap.zstd": 14,
        "found/tiryoh/test_truncated.bag": 3,
    }
    for number, (name, count) in enumerate(counts.items()):
        path, out = real_log(name), tmp_path / str(number)
        report = mrt.convert(path, out)
        assert report.messages_in == count
        assert mrt.verify(out, against=path).ok
        shutil.rmtree(out)
