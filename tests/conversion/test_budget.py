"""`min_psnr_db`, `min_ssim` and `target_ratio`: the cheapest, or the best, that they allow, and what stands in."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from mediaref_tools import Manifest, Report, Settings, convert, open_dataset, verify
from mediaref_tools.conversion.budget import BudgetWriter
from mediaref_tools.conversion.preview import preview
from mediaref_tools.dataset.manifest import TopicCodec
from mediaref_tools.errors import OutputError
from mediaref_tools.progress import Progress
from mediaref_tools.report import quality
from mediaref_tools.sample import frame_number, numbered_image
from mediaref_tools.segments.file import SegmentFile
from mediaref_tools.segments.segment import SegmentWriter
from tests.conversion.mixedlog import fingerprint
from tests.smalllogs import camera, log_of, rows_of

COUNT = 70
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return log_of(tmp_path_factory.mktemp("jpeg"), "mcap", camera(count=COUNT))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return log_of(tmp_path_factory.mktemp("raw"), "mcap", camera(count=COUNT, encoding="rgb8"))


def converted(log: Path, out: Path, **settings: Any) -> Report:
    """Convert; every picture is the right one, and a proof by the source says so."""
    report = convert(log, out, settings=Settings(**settings))
    assert verify(out, against=log).ok
    with open_dataset(out) as dataset:
        for topic in dataset.values():
            numbers = [frame_number(frame) for frame in topic.batch(range(len(topic))).data]
            assert numbers == list(range(len(topic)))
    return report


def bytes_by(log: Path, out: Path, **settings: Any) -> int:
    return convert(log, out, settings=Settings(**settings)).topics[0].bytes_out


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("floor", [30, 36.5])
def test_a_floor_is_met_and_by_no_more_than_it_takes(tmp_path: Path, raw: Path, codec: str, floor: float) -> None:
    report = converted(raw, tmp_path / "out", codec=codec, min_psnr_db=floor)
    topic = report.topics[0]
    assert topic.codec == codec
    assert topic.psnr_p1_db is not None
    assert floor <= topic.psnr_p1_db < floor + 2
    assert not report.missed
    assert report.lossless
    assert Manifest.read(tmp_path / "out").settings.min_psnr_db == floor


def test_each_segment_meets_the_floor_with_a_setting_of_its_own(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(count=60))
    report = converted(log, tmp_path / "out", min_psnr_db=33, segment_ns=SECOND_NS)
    assert report.topics[0].segments == 2
    rows = rows_of(tmp_path / "out")
    for uri in {row["media"]["uri"] for row in rows}:
        psnr = np.array([row["psnr_db"] for row in rows if row["media"]["uri"] == uri], np.float32)
        lowest = quality([psnr])[1]
        assert lowest is not None
        assert lowest >= 33


def test_a_floor_of_ssim_is_met_and_told(tmp_path: Path, raw: Path) -> None:
    low = converted(raw, tmp_path / "low", min_ssim=0.9).topics[0]
    high = converted(raw, tmp_path / "high", min_ssim=0.98).topics[0]
    assert low.ssim_p1 is not None
    assert high.ssim_p1 is not None
    assert 0.9 <= low.ssim_p1 < 0.98 <= high.ssim_p1 <= 1
    assert low.bytes_out < high.bytes_out
    assert converted(raw, tmp_path / "none").topics[0].ssim_p1 is None


def test_both_floors_hold(tmp_path: Path, raw: Path) -> None:
    alone = converted(raw, tmp_path / "alone", min_psnr_db=30).topics[0]
    both = converted(raw, tmp_path / "both", min_psnr_db=30, min_ssim=0.98).topics[0]
    assert both.psnr_p1_db is not None
    assert alone.psnr_p1_db is not None
    assert both.psnr_p1_db > alone.psnr_p1_db
    assert both.ssim_p1 is not None
    assert both.ssim_p1 >= 0.98
    other = converted(raw, tmp_path / "other", min_psnr_db=44, min_ssim=0.5).topics[0]
    assert other.psnr_p1_db is not None
    assert other.psnr_p1_db >= 44


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_where_no_setting_is_good_enough_jpeg_files_go_in_as_they_are(tmp_path: Path, jpeg: Path, codec: str) -> None:
    report = converted(jpeg, tmp_path / "out", codec=codec, min_psnr_db=90)
    topic = report.topics[0]
    assert (topic.codec, topic.psnr_p1_db) == ("mjpeg", 100.0)
    assert topic.bytes_out < 1.05 * topic.bytes_in
    assert report.lossless
    with open_dataset(tmp_path / "out") as dataset:
        for place, message in enumerate(camera(count=COUNT)):
            row = rows_of(tmp_path / "out")[place]
            path = tmp_path / "out" / row["media"]["uri"]
            data = path.read_bytes()[row["byte_offset"] : row["byte_offset"] + row["byte_size"]]
            assert data == message.body.data.tobytes()
        assert len(dataset["/camera"]) == COUNT


def test_video_larger_than_the_files_gives_way_to_them(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(count=40, quality=20))
    larger = bytes_by(log, tmp_path / "crf", crf=5)
    report = converted(log, tmp_path / "out", min_psnr_db=46)
    assert larger > report.topics[0].bytes_in
    assert report.topics[0].codec == "mjpeg"
    assert report.topics[0].bytes_out < larger


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_where_no_setting_is_good_enough_other_pictures_lose_nothing(tmp_path: Path, raw: Path, codec: str) -> None:
    topic = converted(raw, tmp_path / "out", codec=codec, min_psnr_db=90).topics[0]
    assert (topic.codec, topic.psnr_p1_db) == ("h264", 100.0)
    assert topic.bytes_out < topic.bytes_in


@pytest.mark.parametrize("target", [0.01, 0.05])
def test_a_size_is_kept_and_used(tmp_path: Path, raw: Path, target: float) -> None:
    report = converted(raw, tmp_path / "out", target_ratio=target)
    topic = report.topics[0]
    assert 0.7 * target * topic.bytes_in < topic.bytes_out <= target * topic.bytes_in
    assert not report.missed


def test_a_size_that_can_not_be_kept_is_said(tmp_path: Path, raw: Path) -> None:
    report = converted(raw, tmp_path / "out", target_ratio=0.0005)
    least = bytes_by(raw, tmp_path / "least", crf=51)
    assert report.topics[0].bytes_out == least
    assert "/camera" in report.missed[0]
    assert "0.0005" in report.missed[0]
    assert not report.lossless


def test_a_topic_with_a_crf_of_its_own_has_no_budget(tmp_path: Path, raw: Path) -> None:
    own = (TopicCodec(glob="/cam*", codec="h264", crf=40),)
    report = converted(raw, tmp_path / "out", min_psnr_db=45, topic_codecs=own)
    assert report.topics[0].bytes_out == bytes_by(raw, tmp_path / "same", crf=40)
    assert not report.missed


def test_what_no_setting_can_be_chosen_for_is_as_ever(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(count=6, encoding="16UC1"))
    report = convert(log, tmp_path / "out", settings=Settings(min_psnr_db=60))
    assert (report.topics[0].codec, report.topics[0].psnr_p1_db) == ("ffv1", 100.0)


def test_the_same_files_come_of_a_run_that_goes_on(tmp_path: Path, raw: Path) -> None:
    settings = Settings(min_psnr_db=34, segment_ns=SECOND_NS // 2)
    convert(raw, tmp_path / "whole", settings=settings)

    def stop(progress: Progress) -> None:
        if progress.stage == "encode" and progress.done > COUNT // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(raw, tmp_path / "out", settings=settings, on_progress=stop)
    assert convert(raw, tmp_path / "out", settings=settings).segments_reused > 0
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole")
    assert not list((tmp_path / "out").rglob("*.spool"))
    assert not list((tmp_path / "out").rglob("*.try"))


def full(*_: object) -> bytes:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def short(_file: int, size: int, _offset: int) -> bytes:
    return bytes(size - 1)


@pytest.mark.parametrize("read", [full, short])
def test_a_disk_that_fails_is_our_error_and_leaves_nothing(
    tmp_path: Path, raw: Path, monkeypatch: pytest.MonkeyPatch, read: Any
) -> None:
    monkeypatch.setattr("mediaref_tools.conversion.spool.os.pread", read)
    with pytest.raises(OutputError, match="read back"):
        convert(raw, tmp_path / "out", settings=Settings(min_psnr_db=30))
    assert not (tmp_path / "out").exists()


def test_the_search_tries_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples of three windows of two groups, and the segment once or twice."""
    lengths: list[int] = []
    close = SegmentWriter.close

    def counted(self: SegmentWriter) -> SegmentFile:
        lengths.append(len(self))
        return close(self)

    monkeypatch.setattr(SegmentWriter, "close", counted)
    log = log_of(tmp_path, "mcap", camera(count=200, encoding="rgb8"))
    convert(log, tmp_path / "out", settings=Settings(min_psnr_db=36, gop=5))
    assert 1 <= lengths.count(30) <= 7
    assert 1 <= lengths.count(200) <= 2
    assert set(lengths) == {30, 200}


def test_jpeg_files_of_several_kinds_are_no_one_track(tmp_path: Path) -> None:
    messages = camera(count=20)
    for number, message in enumerate(messages[10:], 10):
        whole = io.BytesIO()
        Image.fromarray(numbered_image(number, 96, 64)).save(whole, "jpeg", quality=95, subsampling=0)
        message.body.data = np.frombuffer(whole.getvalue(), np.uint8)
    log = log_of(tmp_path, "mcap", messages)
    assert converted(log, tmp_path / "out", min_psnr_db=90).topics[0].codec == "h264"


def test_a_sample_that_flatters_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole segment decides: the hard pictures here lie where no sample looks."""
    messages = camera(count=40, encoding="rgb8")
    for message in messages[:20]:
        message.body.data = np.full_like(message.body.data, 128)
    for place, message in enumerate(messages[20:]):
        message.body.data = np.random.default_rng(place).integers(0, 255, message.body.data.shape, np.uint8)
    log = log_of(tmp_path, "mcap", messages)
    monkeypatch.setattr(BudgetWriter, "_sample", lambda _: range(15))
    report = convert(log, tmp_path / "out", settings=Settings(min_psnr_db=36))
    psnr = report.topics[0].psnr_p1_db
    assert psnr is not None
    assert psnr >= 36
    assert not report.missed


def test_only_one_way_to_choose_quality(tmp_path: Path) -> None:
    for settings in ({"crf": 20, "min_psnr_db": 40}, {"min_ssim": 0.9, "target_ratio": 0.5}):
        with pytest.raises(ValidationError, match="only one"):
            Settings(**settings)
    Settings(min_psnr_db=40, min_ssim=0.9)


def test_a_preview_expects_what_the_budget_takes(raw: Path) -> None:
    low, high = (preview(raw, settings=Settings(min_psnr_db=db)).topics[0].bytes_out for db in (30, 45))
    assert 0 < low < high
