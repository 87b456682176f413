"""What `convert` says of the dataset that it made: manifest, packet table, PSNR, progress."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from mediaref_tools import Manifest, Progress, Settings, convert, open_dataset, verify
from mediaref_tools.sample import Container, frame_number, numbered_image
from tests.smalllogs import camera, every_container, log_of, others, rows_of
from tests.stocklogs import stock_messages


@every_container
def test_manifest_says_what_is_there(tmp_path: Path, container: Container) -> None:
    source = log_of(tmp_path, container, camera(count=40) + camera("/left", 5, encoding="mono8") + others())
    settings = Settings(gop=7, segment_ns=500_000_000, topics=("/camera", "/left"))
    report = convert(source, tmp_path / "out", settings=settings)
    out = (tmp_path / "out").rename(tmp_path / "moved")
    manifest = Manifest.read(out)
    assert Manifest.model_validate_json((out / "manifest.json").read_bytes()) == manifest
    assert manifest.model_validate_json(manifest.model_dump_json()) == manifest
    assert manifest.settings == settings
    before = stock_messages(source, container)
    clock = [message.log_time_ns for message in before]
    assert (manifest.source.container, manifest.source.name) == (container, source.name)
    assert (manifest.source.messages, manifest.messages) == (len(before), len(before))
    assert (manifest.source.start_ns, manifest.source.end_ns) == (min(clock), max(clock))
    if source.is_file():
        assert manifest.source.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        assert manifest.source.bytes == source.stat().st_size
    rows = rows_of(out)
    for entry in manifest.topics:
        assert entry.frames == len([row for row in rows if row["topic"] == entry.topic])
        assert sum(segment.frames for segment in entry.segments) == entry.frames - entry.embedded
        images = [m for m in before if m.topic == entry.topic and "String" not in m.type]
        assert entry.bytes_in == sum(len(message.data) for message in images)
        for segment in entry.segments:
            data = (out / segment.uri).read_bytes()
            assert (segment.bytes, segment.sha256) == (len(data), hashlib.sha256(data).hexdigest())
            mine = [row for row in rows if row["media"]["uri"] == segment.uri]
            assert segment.frames == len(mine)
            assert segment.first_log_time_ns == mine[0]["log_time_ns"]
            assert segment.last_log_time_ns == mine[-1]["log_time_ns"]
            with av.open(str(out / segment.uri)) as video:
                packets = [packet for packet in video.demux(video=0) if packet.size]
            assert [(row["byte_offset"], row["byte_size"], row["keyframe"]) for row in mine] == [
                (packet.pos, packet.size, packet.is_keyframe) for packet in packets
            ]
            assert [row["keyframe"] for row in mine] == [number % 7 == 0 for number in range(len(mine))]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert report.bytes_out == sum(path.stat().st_size for path in files)
    assert {path.name for path in out.iterdir()} == {"manifest.json", "frames.parquet", "media", source.name}
    assert len([path for path in files if path.suffix == ".mp4"]) == sum(len(e.segments) for e in manifest.topics) == 4
    assert verify(out, against=source).ok
    with open_dataset(out) as dataset:
        assert [frame_number(frame.data) for frame in dataset["/camera"]] == list(range(40))


def test_psnr_is_that_of_each_frame_s_luma(tmp_path: Path) -> None:
    source = log_of(tmp_path, "mcap", camera(encoding="mono8", size=(65, 97), step_padding=3))
    convert(source, tmp_path / "out", settings=Settings(crf=35, segment_ns=150_000_000))
    rows = rows_of(tmp_path / "out")
    assert len({row["media"]["uri"] for row in rows}) == 4
    for index, row in enumerate(rows):
        with av.open(str(tmp_path / "out" / row["media"]["uri"])) as video:
            frame = next(each for each in video.decode(video=0) if (each.pts or 0) * 1000 == row["media"]["pts_ns"])
        luma = frame.to_ndarray()[:65, :97].astype(float)
        grey = np.rint(numbered_image(index, 97, 65) @ np.array([0.299, 0.587, 0.114], np.float32))
        expected = 10 * np.log10(255**2 / np.mean((luma - grey) ** 2))
        assert row["psnr_db"] == pytest.approx(expected, abs=0.01)


def test_progress_grows_to_its_end(tmp_path: Path) -> None:
    source = log_of(tmp_path, "rosbag1", camera(count=60) + others())
    told: list[Progress] = []
    report = convert(source, tmp_path / "out", on_progress=told.append)
    assert list(dict.fromkeys(progress.stage for progress in told)) == ["encode", "prove"]
    for stage in ("encode", "prove"):
        mine = [progress for progress in told if progress.stage == stage]
        assert [progress.done for progress in mine] == sorted(progress.done for progress in mine)
        assert {progress.total for progress in mine} == {report.messages_in}
        assert mine[-1].done == report.messages_in
    last = [progress for progress in told if progress.stage == "encode"][-1]
    assert last.bytes_in == report.topics[0].bytes_in
    assert 0 < last.bytes_out <= report.topics[0].bytes_out


def test_dataset_works_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = log_of(tmp_path, "rosbag2-sqlite3", camera())
    monkeypatch.chdir(tmp_path)
    convert(source.name, "out")
    shutil.copytree("out", tmp_path / "a b" / "ü#%")
    shutil.rmtree("out")
    with open_dataset(tmp_path / "a b" / "ü#%") as dataset:
        assert [frame_number(frame.data) for frame in dataset["/camera"]] == list(range(20))
    assert verify(tmp_path / "a b" / "ü#%", against=source).ok
