"""Proving what should not be trusted at all: verify tells, or raises one of our errors, and reads nothing outside."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mediaref_tools import verify
from mediaref_tools.errors import DatasetError, LogError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.progress import Progress
from mediaref_tools.sample import numbered_image, numbered_topic, write_log
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape
from tests.pictures import taken
from tests.tamper import (
    CAM,
    LEFT,
    SETTINGS,
    START_NS,
    STEP_NS,
    Row,
    accept_segments,
    edit_manifest,
    edit_rows,
    make,
    rewritten,
    segment,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    make(folder)
    return folder


@pytest.fixture
def log(made: Path) -> Path:
    return made / "log.bag"


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "set", tmp_path / "set"))


def frames_less(manifest: Any) -> None:
    manifest["topics"][0]["frames"] -= 1


def frames_more(manifest: Any) -> None:
    manifest["topics"][1]["frames"] += 1


def messages_more(manifest: Any) -> None:
    manifest["messages"] += 1


def other_sha256(manifest: Any) -> None:
    manifest["topics"][0]["segments"][1]["sha256"] = "0" * 64


@pytest.mark.parametrize("change", [frames_less, frames_more, messages_more, other_sha256])
def test_changed_counts_of_the_manifest_are_noticed(dataset: Path, log: Path, change: Callable[[Any], None]) -> None:
    edit_manifest(dataset, change)
    for against in (None, log):
        report = verify(dataset, against=against)
        assert not report.ok
        assert len(report.problems) == 1


def segment_frames(manifest: Any) -> None:
    manifest["topics"][0]["segments"][0]["frames"] -= 1


def segment_gone(manifest: Any) -> None:
    del manifest["topics"][0]["segments"][1]


def segment_size(manifest: Any) -> None:
    manifest["topics"][0]["segments"][0]["width"] += 2


def segment_extradata(manifest: Any) -> None:
    manifest["topics"][0]["segments"][0]["extradata"] = manifest["topics"][1]["segments"][0]["extradata"]


def embedded_more(manifest: Any) -> None:
    manifest["topics"][0]["embedded"] += 1


def topic_gone(manifest: Any) -> None:
    del manifest["topics"][0]


@pytest.mark.parametrize(
    "change", [segment_frames, segment_gone, segment_size, segment_extradata, embedded_more, topic_gone]
)
def test_other_changes_of_the_manifest_are_noticed(dataset: Path, change: Callable[[Any], None]) -> None:
    edit_manifest(dataset, change)
    assert not verify(dataset).ok


def test_a_segments_place_outside_is_refused(dataset: Path, log: Path, tmp_path: Path) -> None:
    def change(manifest: Any) -> None:
        manifest["topics"][0]["segments"][0]["uri"] = "../x.mp4"

    edit_manifest(dataset, change)
    with pytest.raises(DatasetError, match="leads out of the folder"):
        verify(dataset)


@pytest.mark.parametrize("name", ["../log.bag", "/etc/passwd", "file:///etc/passwd"])
def test_a_log_outside_is_refused(dataset: Path, made: Path, name: str) -> None:
    def change(manifest: Any) -> None:
        manifest["log"] = name

    edit_manifest(dataset, change)
    shutil.copy(made / "log.bag", dataset.parent / "log.bag")
    with pytest.raises(DatasetError, match="leads out of the folder"):
        verify(dataset)


def test_a_link_out_is_not_followed(dataset: Path, tmp_path: Path) -> None:
    shutil.move(segment(dataset), tmp_path / "secret.mp4")
    segment(dataset).symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(DatasetError, match="through a link"):
        verify(dataset)


@pytest.mark.parametrize("name", ["manifest.json", "frames.parquet", "log.bag"])
@pytest.mark.parametrize("how", ["missing", "empty", "cut", "junk", "folder"])
def test_a_file_that_can_not_be_read_is_one_of_our_errors(dataset: Path, log: Path, name: str, how: str) -> None:
    path = dataset / name
    data = path.read_bytes()
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how != "missing":
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "junk": b"\x93junk" * 500}[how])
    for against in (None, log):
        try:
            assert not verify(dataset, against=against).ok  # of a cut log, something may be left
        except (DatasetError, LogError):
            continue
        assert (name, how) == ("log.bag", "cut")


def test_what_is_no_dataset_or_no_log_is_refused(dataset: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, dataset / "manifest.json"):
        with pytest.raises(DatasetError):
            verify(path)
    for path in (tmp_path / "none", dataset / "manifest.json"):
        with pytest.raises(LogError):
            verify(dataset, against=path)


def uri_none(rows: list[Row]) -> None:
    rows[3]["media"]["uri"] = None


def uri_empty(rows: list[Row]) -> None:
    rows[3]["media"]["uri"] = ""


def uri_dot(rows: list[Row]) -> None:
    rows[3]["media"]["uri"] = "."


@pytest.mark.parametrize("change", [uri_none, uri_empty, uri_dot])
def test_rows_without_a_uri_are_noticed(dataset: Path, log: Path, change: Callable[[list[Row]], None]) -> None:
    edit_rows(dataset, change)
    for against in (None, log):
        try:
            assert not verify(dataset, against=against).ok
        except MediarefError:
            continue


def negative(rows: list[Row]) -> None:
    rows[3].update(width=-5, height=-5)


def huge(rows: list[Row]) -> None:
    rows[3].update(width=2**31 - 1, height=2**31 - 1, index=2**63 - 1)


def backward(rows: list[Row]) -> None:
    rows[3]["media"]["pts_ns"] = -(2**63)


@pytest.mark.parametrize("change", [negative, huge, backward])
def test_rows_of_absurd_numbers_are_noticed(dataset: Path, log: Path, change: Callable[[list[Row]], None]) -> None:
    edit_rows(dataset, change)
    assert not verify(dataset, against=log).ok


def test_a_segment_of_another_kind_is_noticed(dataset: Path, log: Path) -> None:
    """Sound without pictures, in an MP4 that opens well."""
    with av.open(str(segment(dataset)), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        assert isinstance(stream, av.AudioStream)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux([*stream.encode(sound), *stream.encode(None)])
    accept_segments(dataset)
    for against in (None, log):
        assert verify(dataset, against=against).missing == 10


def test_a_segment_of_another_size_is_noticed(dataset: Path, log: Path) -> None:
    shutil.copy(segment(dataset, 0, "left"), segment(dataset, 1))  # 82x50, with /cam 80x48
    accept_segments(dataset)
    for against in (None, log):
        assert verify(dataset, against=against).wrong == 10


@pytest.mark.parametrize("name", ["manifest.json", "frames.parquet", "log.bag", "media/cam/000000.mp4"])
def test_random_damage_gives_a_report_or_one_of_our_errors(dataset: Path, log: Path, name: str) -> None:
    path = dataset / name
    whole = path.read_bytes()
    rng = np.random.default_rng(11)
    others = set()
    for turn in range(16 if name != "frames.parquet" else 40):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), 1 + turn % 3):
            damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            report = verify(dataset, against=log if turn % 4 == 0 else None)
            assert name != "media/cam/000000.mp4" or not report.ok
        except MediarefError:
            pass
        except Exception as error:
            others.add(repr(error)[:200])
    assert not others


def test_another_log_is_not_the_one_it_was_made_from(dataset: Path, log: Path, tmp_path: Path) -> None:
    one_less, one_more = (shutil.copy(log, tmp_path / f"{n}.bag") for n in range(2))
    rewritten(Path(one_less), lambda topic, number: (topic, number) != ("/cam", 12))
    report = verify(dataset, against=one_less)
    assert report.wrong >= CAM - 13
    times_ns = [START_NS + n * STEP_NS for n in range(CAM + 1)]
    write_log(tmp_path / "more.bag", "rosbag1", numbered_topic("/cam", times_ns, size=(48, 80)))
    report = verify(dataset, against=tmp_path / "more.bag")
    assert report.missing == 1
    assert report.wrong >= LEFT
    assert verify(dataset, against=one_more).ok


def test_pictures_one_off_are_noticed_against_the_log_alone(dataset: Path, log: Path) -> None:
    """As a fault in the encoder would have it: all times, sums and records are right, the pictures are not."""
    segment(dataset).unlink()
    writer = SegmentWriter(segment(dataset), Encoding("h264", 23, SETTINGS.gop), Shape(80, 48))
    for number in range(10):
        pixels = numbered_image(max(number - 1, 0), 80, 48).tobytes()
        picture = taken(ImageValue(pixels, "rgb8", "raw", 48, 80, 240))
        writer.add(picture.frame, number * STEP_NS // 1000)
    writer.close()
    accept_segments(dataset)
    report = verify(dataset, against=log)
    assert report.wrong >= 9
    assert any("frame 9 is wrong: " in line for line in report.problems)


def test_progress_is_told_from_this_thread_up_to_the_end(dataset: Path, log: Path) -> None:
    told: list[Progress] = []
    threads = set()

    def tell(progress: Progress) -> None:
        told.append(progress)
        threads.add(threading.get_ident())

    verify(dataset, on_progress=tell)
    assert (told[-1].stage, told[-1].done, told[-1].total) == ("verify", 60, 60)
    verify(dataset, against=log, on_progress=tell)
    assert told[-1].done == 60
    assert threads == {threading.get_ident()}
    assert [progress.done for progress in told if progress.stage == "verify"] == sorted(
        progress.done for progress in told if progress.stage == "verify"
    )
