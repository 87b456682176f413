"""Recordings of Rerun's, read back by Rerun: which frames, when, and what their bytes show."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings, TopicCodec
from mediaref_tools.dataset.playable import open_playable
from mediaref_tools.errors import ExtraError, MediarefError, OutputError, TopicError
from mediaref_tools.rerunlog.app import environment, show_recording
from mediaref_tools.rerunlog.recording import TIMELINE, save_rerun
from mediaref_tools.sample import START_NS, SampleMessage, frame_number, make_sample

from ..camera.cameras import recording
from ..conversion.test_camera import TOPIC, packets_log, recording_log
from ..smalllogs import CONTAINERS, SUFFIX, camera, log_of, times

IMU = "/imu/data"


def rerun_is_needed() -> None:
    pytest.importorskip("rerun", reason="rerun-sdk, 170 MB, is not installed: pip install -e '.[rerun]'")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    depth = camera("/depth", 6, encoding="16UC1")
    still = camera("/still", 8, encoding="jpeg")
    speed = [SampleMessage("/speed", "std_msgs/msg/Float64", at, SimpleNamespace(data=at / 7)) for at in times(5)]
    messages = [*camera("/front", 20, encoding="bgr8"), *depth, *still, *speed]
    return log_of(tmp_path_factory.mktemp("log"), "mcap", sorted(messages, key=lambda message: message.log_time_ns))


@pytest.fixture(scope="module")
def dataset(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "dataset"
    copied = TopicCodec(glob="/still", codec="copy")
    convert(log, out, settings=Settings(gop=5, depth="ffv1", topic_codecs=(copied,)))
    return out


def read(path: Path) -> dict[str, list[tuple[int, Any]]]:
    """What Rerun's reader gives of each component, by entity: log times and values."""
    import rerun.chunk

    found: dict[str, list[tuple[int, Any]]] = {}
    for chunk in rerun.chunk.RrdReader(path).stream():
        batch = chunk.to_record_batch()
        if TIMELINE not in batch.schema.names:
            continue
        at = batch.column(TIMELINE).cast("int64").to_pylist()
        for name in batch.schema.names:
            if ":" in name:
                rows = zip(at, batch.column(name).to_pylist(), strict=True)
                found.setdefault(f"{chunk.entity_path} {name}", []).extend((time, row[0]) for time, row in rows if row)
    return {name: sorted(rows, key=lambda row: row[0]) for name, rows in found.items()}


def shown(data: Any) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(bytes(data))).convert("RGB"), np.uint8)


def test_every_topic_at_its_times(dataset: Path, tmp_path: Path) -> None:
    rerun_is_needed()
    with open_playable(dataset) as opened:
        report = save_rerun(opened, tmp_path / "all.rrd")
        assert report[1:] == (34, 5, ())
        found = read(report.out)
        video, still = found["/front VideoStream:sample"], found["/still EncodedImage:blob"]
        depth, speed = found["/depth DepthImage:buffer"], found["/speed Scalars:scalars"]
        for rows, name in ((video, "/front"), (still, "/still"), (depth, "/depth")):
            assert [time for time, _ in rows] == opened[name].log_times_ns.tolist()
        assert speed == [(at, at / 7) for at in times(5)]
        decoder = av.CodecContext.create("h264", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        frames: list[Any] = [frame for _, data in video for frame in decoder.decode(av.Packet(bytes(data)))]
        frames += decoder.decode(None)
        assert [frame_number(frame.to_ndarray(format="rgb24")) for frame in frames] == list(range(20))
        numbers = [frame_number(shown(data)) for _, data in still]
        assert numbers == list(range(8))
        for index, (_, data) in enumerate(depth):
            assert bytes(data) == opened["/depth"][index].data.tobytes()
        assert {value for _, value in found["/depth DepthImage:meter"]} == {1000.0}
    assert [path.name for path in tmp_path.iterdir()] == ["all.rrd"]


def test_a_log_that_is_not_converted(log: Path, tmp_path: Path) -> None:
    rerun_is_needed()
    with open_playable(log) as opened:
        found = read(save_rerun(opened, tmp_path / "log.rrd", topics=["/front", "/still"]).out)
    assert {name.split()[0] for name in found} == {"/front", "/still"}  # neither depth nor numbers
    assert [frame_number(shown(data)) for _, data in found["/front EncodedImage:blob"]] == list(range(20))


def test_a_video_begins_with_the_keyframe_that_the_first_frame_needs(dataset: Path, tmp_path: Path) -> None:
    rerun_is_needed()
    with open_playable(dataset) as opened:
        start_ns = int(opened["/front"].log_times_ns[12]) + 1
        found = read(save_rerun(opened, tmp_path / "late.rrd", topics=["/front", "/speed"], start_ns=start_ns).out)
        key = int(np.flatnonzero(opened["/front"].keyframes[:13])[-1])
        assert 0 < key <= 12
        assert [at for at, _ in found["/front VideoStream:sample"]] == opened["/front"].log_times_ns[key:].tolist()
    assert "/speed Scalars:scalars" not in found  # all of them were before


def test_video_with_b_frames_goes_as_pictures(tmp_path: Path) -> None:
    rerun_is_needed()
    found = recording("h264 pyramid")
    assert list(found.numbers) != sorted(found.numbers)
    convert(recording_log(tmp_path / "source", found), tmp_path / "out")
    with open_playable(tmp_path / "out") as opened:
        rows = read(save_rerun(opened, tmp_path / "b.rrd").out)
        assert set(rows) == {f"{TOPIC} EncodedImage:blob", f"{TOPIC} EncodedImage:media_type"}
        pictures = rows[f"{TOPIC} EncodedImage:blob"]
        assert [at for at, _ in pictures] == opened[TOPIC].log_times_ns.tolist()
    assert [frame_number(shown(data)) for _, data in pictures] == list(found.numbers)


def test_what_can_t_be_decoded_is_left_out_and_counted(tmp_path: Path) -> None:
    rerun_is_needed()
    found = recording("h264 verbose")  # a keyframe in every 8 packets, with all that a decoder needs
    convert(packets_log(tmp_path / "source", [found.codec] * 29, found.packets[3:]), tmp_path / "out")
    with open_playable(tmp_path / "out") as opened:
        assert (opened[TOPIC].status == "embedded").sum() == 5
        report = save_rerun(opened, tmp_path / "x.rrd")
        assert [(one.topic, one.frames) for one in report.left_out] == [(TOPIC, 5)]
        assert report.frames == 24
        assert len(read(report.out)[f"{TOPIC} VideoStream:sample"]) == 24
    with open_playable(recording_log(tmp_path / "raw", found)) as opened, pytest.raises(MediarefError):
        save_rerun(opened, tmp_path / "none.rrd")
    assert not (tmp_path / "none.rrd").exists()


@pytest.mark.parametrize("container", CONTAINERS)
def test_numbers_of_every_container(tmp_path: Path, container: Any) -> None:
    rerun_is_needed()
    log = make_sample(tmp_path / f"sample{SUFFIX[container]}", container=container, seconds=1)
    with open_playable(log) as opened:
        found = read(save_rerun(opened, tmp_path / "imu.rrd").out)
    rows = found[f"{IMU}/linear_acceleration/z Scalars:scalars"]
    assert len(rows) == 100
    assert rows[0][0] >= START_NS
    assert all(8 < value < 11 for _, value in rows)


def test_what_is_there_stays(dataset: Path, tmp_path: Path) -> None:
    rerun_is_needed()
    out = tmp_path / "taken.rrd"
    out.write_text("mine")
    with open_playable(dataset) as opened:
        with pytest.raises(OutputError, match="--overwrite"):
            save_rerun(opened, out)
        assert out.read_text() == "mine"
        with pytest.raises(OutputError, match="no folder"):
            save_rerun(opened, tmp_path / "none" / "x.rrd")
        with pytest.raises(TopicError):
            save_rerun(opened, tmp_path / "x.rrd", topics=["/nothing"])
        save_rerun(opened, out, overwrite=True)
    assert read(out)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.rrd"]


def test_without_rerun_one_sentence_says_how_to_get_it(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with open_playable(dataset) as opened, pytest.raises(ExtraError, match=r"pip install 'mediaref-tools\[rerun\]'"):
        save_rerun(opened, tmp_path / "x.rrd")
    assert not list(tmp_path.iterdir())


def test_the_viewer_reports_nothing() -> None:
    assert environment({"FORCE_RERUN_ANALYTICS": "1", "HOME": "/x"}) == {"HOME": "/x", "CI": "true"}


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for the viewer is a shell script")
def test_the_viewer_listens_on_loopback_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = tmp_path / "rerun"
    viewer.write_text(f'#!/bin/sh\necho "$CI $*" > {tmp_path}/told\nexit $(cat {tmp_path}/code)\n')
    viewer.chmod(0o755)
    (tmp_path / "code").write_text("0")
    package = SimpleNamespace(__file__=str(tmp_path / "__init__.py"))
    monkeypatch.setitem(sys.modules, "rerun_cli", package)
    show_recording(tmp_path / "x.rrd", window=True)
    told = (tmp_path / "told").read_text()
    assert told == f"true --bind 127.0.0.1 --port 0 {tmp_path}/x.rrd\n"
    (tmp_path / "code").write_text("3")
    with pytest.raises(OutputError, match="exit code 3"):
        show_recording(tmp_path / "x.rrd", window=False)
    assert "--bind 127.0.0.1 --port 0 --web-viewer --web-viewer-port 0" in (tmp_path / "told").read_text()
