"""Proving a dataset: whatever was tampered with is noticed, and what is whole is left in peace."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediaref_tools import verify
from mediaref_tools.report import VerifyReport
from tests.tamper import (
    BROKEN,
    CAM,
    LEFT,
    START_NS,
    STEP_NS,
    Row,
    accept_segments,
    edit_rows,
    flipped,
    make,
    replaced,
    rewritten,
    segment,
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verification")
    make(folder)
    return folder


@pytest.fixture
def log(made: Path) -> Path:
    return made / "log.bag"


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "set", tmp_path / "set"))


def both(dataset: Path, log: Path) -> Iterator[VerifyReport]:
    yield verify(dataset)
    yield verify(dataset, against=log)


def test_an_untouched_dataset_is_whole(dataset: Path, log: Path) -> None:
    alone, against = both(dataset, log)
    for report in (alone, against):
        assert report.ok, report.problems
        assert (report.frames, report.wrong, report.missing, report.embedded) == (CAM + LEFT, 0, 0, 1)
        assert report.problems == ()
    assert (alone.messages_compared, alone.messages_different) == (None, None)
    assert (against.messages_compared, against.messages_different) == (20, 0)
    assert alone.psnr_mean_db == against.psnr_mean_db
    assert alone.psnr_p1_db == against.psnr_p1_db
    assert (alone.psnr_p1_db or 0) > 30


def test_a_moved_dataset_is_whole(dataset: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "else where").mkdir()
    dataset.rename(tmp_path / "else where" / "ünder")
    monkeypatch.chdir(tmp_path / "else where")
    for report in both(Path("ünder"), log):
        assert report.ok, report.problems


def test_nothing_in_the_dataset_is_changed_by_looking(dataset: Path, log: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in dataset.rglob("*")}
    list(both(dataset, log))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in dataset.rglob("*")} == before


def exchange(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


@pytest.mark.parametrize(("number", "topic"), [(1, "cam"), (0, "left")])
def test_exchanged_segments_are_noticed(dataset: Path, log: Path, number: int, topic: str) -> None:
    exchange(segment(dataset), segment(dataset, number, topic))
    for report in both(dataset, log):
        assert sum("its sha256 is" in line for line in report.problems) == 2


def test_exchanged_segments_are_noticed_by_their_pictures(dataset: Path, log: Path) -> None:
    exchange(segment(dataset), segment(dataset, 1))
    accept_segments(dataset)
    assert verify(dataset, against=log).wrong > 10


def test_flipped_bytes_in_a_segment_are_noticed(dataset: Path, log: Path) -> None:
    path = segment(dataset, 1)
    flipped(path, path.stat().st_size - 500)
    for report in both(dataset, log):
        assert not report.ok
        assert report.problems[0].startswith(
            "segment media/cam/000001.mp4 is not the file that was proved: its sha256 is "
        )


@pytest.mark.parametrize("accepted", [False, True])
def test_cut_segments_are_noticed(dataset: Path, log: Path, accepted: bool) -> None:
    path = segment(dataset, 1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    if accepted:
        accept_segments(dataset)
    for report in both(dataset, log):
        assert 0 < report.missing + report.wrong <= 10
        assert report.frames == CAM + LEFT


def test_missing_segments_are_noticed(dataset: Path, log: Path) -> None:
    segment(dataset, 2).unlink()
    for report in both(dataset, log):
        assert (report.missing, report.wrong) == (9, 0)  # of ten, one is embedded
        assert "segment media/cam/000002.mp4 can't be read: No such file or directory" in report.problems
        assert "/cam frame 20 is missing: nothing decodes at pts_ns 0: media/cam/000002.mp4" in report.problems


def later(rows: list[Row]) -> None:
    rows[3]["media"]["pts_ns"] += 1000


def as_before(rows: list[Row]) -> None:
    rows[3]["media"]["pts_ns"] = rows[2]["media"]["pts_ns"]


def off_by_one_ns(rows: list[Row]) -> None:
    rows[12]["media"]["pts_ns"] -= 1


def exchanged(rows: list[Row]) -> None:
    rows[3]["media"], rows[4]["media"] = rows[4]["media"], rows[3]["media"]


def another_segment(rows: list[Row]) -> None:
    rows[3]["media"]["uri"] = "media/cam/000001.mp4"


def no_pts(rows: list[Row]) -> None:
    rows[3]["media"]["pts_ns"] = None


def outside(rows: list[Row]) -> None:
    rows[3]["media"]["uri"] = "../set/media/cam/000000.mp4"


def fewer(rows: list[Row]) -> None:
    del rows[3]


def more(rows: list[Row]) -> None:
    rows.insert(3, rows[3])


def last_gone(rows: list[Row]) -> None:
    del rows[CAM - 1]


def renumbered(rows: list[Row]) -> None:
    rows[3]["index"], rows[4]["index"] = 4, 3


def another_time(rows: list[Row]) -> None:
    rows[3]["log_time_ns"] += 1


def other_bytes(rows: list[Row]) -> None:
    rows[BROKEN]["media"]["uri"] = "data:application/octet-stream;base64,bm8gaW1hZ2UgYXQgYWxM"


def no_frame(rows: list[Row]) -> None:
    rows[3]["status"], rows[3]["media"]["pts_ns"] = "embedded", None


@pytest.mark.parametrize(
    "change",
    [
        *(later, as_before, off_by_one_ns, exchanged, another_segment, no_pts, outside),
        *(fewer, more, last_gone, renumbered, another_time, other_bytes, no_frame),
    ],
)
def test_changed_rows_are_noticed(dataset: Path, log: Path, change: Callable[[list[Row]], None]) -> None:
    edit_rows(dataset, change)
    for report in both(dataset, log):
        assert report.wrong + report.missing > 0
        assert report.problems


@pytest.mark.parametrize("name", ["byte_offset", "byte_size", "keyframe"])
def test_changed_places_of_packets_are_noticed(dataset: Path, log: Path, name: str) -> None:
    def change(rows: list[Row]) -> None:
        rows[0][name], rows[4][name] = rows[4][name], rows[0][name]

    edit_rows(dataset, change)
    assert [report.ok for report in both(dataset, log)] == [False, False]


@pytest.mark.parametrize("name", ["stamp_ns", "frame_id", "source_format"])
def test_changed_facts_of_a_message_are_noticed(dataset: Path, log: Path, name: str) -> None:
    def change(rows: list[Row]) -> None:
        rows[3][name] = "other" if isinstance(rows[3][name], str) else rows[3][name] - 2

    edit_rows(dataset, change)
    assert not verify(dataset, against=log).ok


def test_a_changed_message_is_noticed(dataset: Path, log: Path) -> None:
    replaced(dataset / "log.bag", b"hello-007", b"hello-008")
    assert verify(dataset, against=log).messages_different == 2
    assert not verify(dataset, against=log).ok


def test_a_lost_message_is_noticed(dataset: Path, log: Path) -> None:
    rewritten(dataset / "log.bag", lambda topic, number: True)
    assert all(report.ok for report in both(dataset, log))  # or the next lines would prove nothing
    rewritten(dataset / "log.bag", lambda topic, number: (topic, number) != ("/talk", 7))
    alone, against = both(dataset, log)
    assert alone.problems == ("the log has 59 messages, the manifest says 60",)
    assert (against.messages_compared, against.messages_different) == (20, 1)
    assert not against.ok


def test_a_record_at_another_time_is_noticed_though_its_row_agrees(dataset: Path, log: Path) -> None:
    def change(rows: list[Row]) -> None:
        rows[3]["log_time_ns"] += 1

    edit_rows(dataset, change)
    moved = START_NS + 3 * STEP_NS
    rewritten(dataset / "log.bag", lambda topic, number: topic != "/talk" or number != 3)  # it has the same time
    rewritten(dataset / "log.bag", lambda *_: True, lambda time_ns: time_ns + (time_ns == moved))
    report = verify(dataset, against=log)
    assert (report.wrong, report.missing, report.messages_different) == (1, 0, 1)
    assert any(line.startswith("/cam frame 3 is wrong: ") for line in report.problems)


def test_embedded_bytes_that_differ_are_noticed_though_row_and_record_agree(dataset: Path, log: Path) -> None:
    edit_rows(dataset, other_bytes)
    replaced(dataset / "log.bag", b"bm8gaW1hZ2UgYXQgYWxs", b"bm8gaW1hZ2UgYXQgYWxM")
    assert verify(dataset).ok
    report = verify(dataset, against=log)
    assert (report.wrong, report.missing) == (1, 0)


def test_a_record_that_can_not_be_read_is_a_frames_fault_and_not_a_messages(dataset: Path, log: Path) -> None:
    replaced(dataset / "log.bag", b"media/cam/000000.mp4", b"\xff" * 20, which=4)
    for report in both(dataset, log):
        assert report.wrong + report.missing == 1
        assert not report.messages_different


def test_psnr_is_measured_where_there_is_a_source(dataset: Path, log: Path) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row["psnr_db"] = 99.0

    measured = verify(dataset, against=log).psnr_mean_db
    edit_rows(dataset, change)
    assert verify(dataset, against=log).psnr_mean_db == measured
    assert verify(dataset).psnr_mean_db == 99


@pytest.mark.parametrize("number", [0, 12, CAM - 1])
def test_a_lost_record_is_noticed(dataset: Path, log: Path, number: int) -> None:
    rewritten(dataset / "log.bag", lambda topic, at: (topic, at) != ("/cam", number))
    for report in both(dataset, log):
        assert report.wrong + report.missing > 0


@pytest.mark.parametrize("uri", [b"media/cam/000002.mp4", b"../ia/cam/000000.mp4", b"/tmp/x/cam/00000.mp4"])
def test_a_records_other_uri_is_noticed(dataset: Path, log: Path, uri: bytes) -> None:
    replaced(dataset / "log.bag", b"media/cam/000000.mp4", uri, which=4)
    for report in both(dataset, log):
        assert (report.wrong, report.missing) == (1, 0)


def test_a_records_other_pts_is_noticed(dataset: Path, log: Path) -> None:
    replaced(dataset / "log.bag", struct.pack("<q", 3 * STEP_NS), struct.pack("<q", 4 * STEP_NS))
    for report in both(dataset, log):
        assert report.wrong == 1


def test_a_records_other_header_is_noticed(dataset: Path, log: Path) -> None:
    seconds, nanoseconds = divmod(START_NS + 3 * STEP_NS - 4_000_000, 10**9)
    stamp = struct.pack("<II", seconds, nanoseconds)
    replaced(dataset / "log.bag", stamp, struct.pack("<II", seconds - 1, nanoseconds))
    assert not verify(dataset, against=log).ok
