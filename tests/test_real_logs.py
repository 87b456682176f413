"""Recorded logs: converted, proved against the source, read back; counts as whoever recorded them says."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

import mediaref_tools as mrt
from mediaref_tools.plugins import open_log
from tests.reallogs import FOUND, ROOT, real_log, truth

RECORDED = (
    "mcap/so101_ros2_zstd.mcap",
    "mcap/so101_ros2_unchunked.mcap",
    "mcap/foxglove_proto_zstd.mcap",
    "ros1/wrist_bgr8_bz2.bag",
    "ros1/handheld_rgbd_jpeg_cdepth.bag",
    "ros1/multi_encoding_lz4.bag",
    "ros2/handheld_sqlite3_v9",
    "ros2/gopro_nometa",
    "ros2/handheld_filezstd",
)


def prove(log: Path, out: Path, codec: Literal["h264", "av1"] = "h264") -> mrt.Report:
    report = mrt.convert(log, out, settings=mrt.Settings(codec=codec))
    assert (report.wrong, report.missing) == (0, 0)
    assert report.messages_in == report.messages_out
    proof = mrt.verify(out, against=log)
    assert proof.ok, proof
    assert proof.messages_compared == report.messages_in - report.frames
    with mrt.open_dataset(out) as dataset:
        for topic in dataset.values():
            batches = list(topic.batches(16))
            assert sum(len(batch) for batch in batches) == len(topic)
    return report


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_log_has_the_counts_and_times_that_it_should(name: str, tmp_path: Path) -> None:
    log, out = real_log(name), tmp_path / "out"
    report = prove(log, out)
    expected = truth()[name]
    counts = {topic.topic: topic.frames for topic in report.topics} | {
        kept.topic: kept.messages for kept in report.kept
    }
    assert counts == {topic: entry["count"] for topic, entry in expected.items()}
    with mrt.open_dataset(out) as dataset:
        for topic in dataset.values():
            entry = expected[topic.name]
            assert [int(topic.log_times_ns[at]) for at in (0, -1)] == [entry["log_first"], entry["log_last"]]
            assert [int(topic.stamps_ns[at]) for at in (0, -1)] == [entry["stamp_first"], entry["stamp_last"]]


@pytest.mark.parametrize("name", ["mcap/so101_ros2_zstd.mcap", "ros2/handheld_sqlite3_v9"])
def test_recorded_log_in_av1(name: str, tmp_path: Path) -> None:
    report = prove(real_log(name), tmp_path / "out", "av1")
    assert report.frames == sum(topic.frames for topic in report.topics) > 0


@pytest.mark.parametrize("name", FOUND)
def test_found_log(name: str, tmp_path: Path) -> None:
    prove(real_log(f"found/{name}"), tmp_path / "out")


def test_every_twentieth_file_of_the_mcap_conformance_suite(tmp_path: Path) -> None:
    folder = real_log("found/mcap_conformance")
    for number, log in enumerate(sorted(folder.glob("*.mcap"))[::20]):
        prove(log, tmp_path / str(number))


def test_single_file_of_a_folder_is_a_log_too(tmp_path: Path) -> None:
    assert prove(real_log("ros2/gopro_nometa/gopro_0.db3"), tmp_path / "out").frames == 60


def test_nothing_is_written_beside_a_source(tmp_path: Path) -> None:
    log = real_log("ros2/handheld_sqlite3_v9")
    before = {path: path.stat().st_mtime_ns for path in log.rglob("*")}
    with open_log(log) as reader:
        assert sum(1 for _ in reader.messages()) == 120
    assert {path: path.stat().st_mtime_ns for path in log.rglob("*")} == before
    assert ROOT in log.parents
