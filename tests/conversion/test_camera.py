"""A camera's own video: remuxed packet by packet, whatever it was encoded with, and proved."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mediaref_tools import Settings, batch_decode, convert, open_dataset, verify
from mediaref_tools.camera.unit import payload
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.errors import FrameError, ProofError
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.proof.segmentframes import read_bytes
from mediaref_tools.sample import Container, SampleMessage, frame_number, header, numbered_topic, write_log
from mediaref_tools.segments.remux import RemuxWriter
from tests.camera.cameras import CAMERAS, Recording, log_time_ns, record, recording
from tests.smalllogs import SUFFIX, every_container

TOPIC = "/cam/video"


def packets_log(folder: Path, codecs: Sequence[str], packets: Sequence[bytes], container: Container = "mcap") -> Path:
    messages = []
    for index, (codec, data) in enumerate(zip(codecs, packets, strict=True)):
        time_ns = log_time_ns(index)
        body = SimpleNamespace(
            header=header(time_ns - 5_000_000, "cam", index), format=codec, data=np.frombuffer(data, np.uint8)
        )
        messages.append(SampleMessage(TOPIC, "sensor_msgs/msg/CompressedImage", time_ns, body))
    folder.mkdir(exist_ok=True)
    return write_log(folder / f"source{SUFFIX[container]}", container, messages)


def recording_log(folder: Path, found: Recording, container: Container = "mcap") -> Path:
    return packets_log(folder, [found.codec] * len(found.packets), found.packets, container)


def check_frames(dataset: Path, packets: Sequence[bytes], numbers: Sequence[int | None]) -> None:
    """Each packet comes back byte for byte, and shows its own number; None is embedded."""
    table = FramesTable(dataset)
    for row, data, number in zip(table.rows(TOPIC), packets, numbers, strict=True):
        if number is None:
            assert row.status == "embedded"
            assert DataURI.from_uri(row.uri).decoded_data == data
        else:
            assert row.status == "remuxed"
            assert payload(read_bytes(dataset, row), row.source_framing) == data
    table.close()
    wanted = [index for index, number in enumerate(numbers) if number is not None]
    with open_dataset(dataset) as opened:
        topic = opened[TOPIC]
        assert len(topic) == len(packets)
        for index in (number for number in range(len(packets)) if number not in wanted):
            with pytest.raises(FrameError, match="embedded as video/"):
                topic[index]
        random.Random(4).shuffle(wanted)
        sizes = {tuple(topic.sizes[index].tolist()) for index in wanted}
        for size in sizes:
            mine = [index for index in wanted if tuple(topic.sizes[index].tolist()) == size]
            batch = topic.batch(mine)
            assert [frame_number(frame) for frame in batch.data] == [numbers[index] for index in mine]
        assert [frame_number(topic[index].data) for index in wanted] == [numbers[index] for index in wanted]
        assert np.isinf(topic.psnr_db[wanted]).all()
        # As references alone, which any reader follows: nothing of the dataset's own is asked.
        refs = [topic.refs[index].model_copy(update={"uri": str(dataset / topic.refs[index].uri)}) for index in wanted]
        assert [frame_number(frame) for frame in batch_decode(refs)] == [numbers[index] for index in wanted]


@pytest.mark.parametrize("name", CAMERAS)
def test_every_packet_is_there_and_shows_its_own_picture(name: str, tmp_path: Path) -> None:
    found = recording(name)
    log = recording_log(tmp_path / "source", found)
    report = convert(log, tmp_path / "out", settings=Settings(segment_ns=700_000_000))
    assert (report.frames, report.wrong, report.missing, report.embedded) == (len(found.packets), 0, 0, 0)
    assert report.lossless
    assert report.topics[0].codec == found.codec
    # Where nothing but open groups of pictures comes, there is no place to part them.
    assert (report.topics[0].segments > 1) == (name not in ("h264 open", "h264 refresh", "h265 open"))
    check_frames(tmp_path / "out", found.packets, found.numbers)
    proof = verify(tmp_path / "out", against=log)
    assert proof.ok, proof
    assert verify(tmp_path / "out").ok


@every_container
def test_every_container_holds_it(container: Container, tmp_path: Path) -> None:
    found = recording("h264 pyramid")
    log = recording_log(tmp_path / "source", found, container)
    assert convert(log, tmp_path / "out").lossless
    check_frames(tmp_path / "out", found.packets, found.numbers)
    assert verify(tmp_path / "out", against=log).ok


@pytest.mark.parametrize("name", ["h264", "h265", "vp9", "av1"])
def test_a_start_in_the_middle_is_embedded_up_to_the_first_keyframe(name: str, tmp_path: Path) -> None:
    found = recording(name)
    packets, numbers = found.packets[3:], found.numbers[3:]
    log = packets_log(tmp_path / "source", [found.codec] * len(packets), packets)
    report = convert(log, tmp_path / "out")
    lost = report.embedded
    # Parameter sets are in the first packet of some: all is lost then.
    if not report.frames:
        assert "none of its packets can be decoded" in report.kept[0].reason
        return
    assert 0 < lost < 12
    assert not report.lossless
    assert report.topics[0].reason
    check_frames(tmp_path / "out", packets, [None] * lost + list(numbers[lost:]))
    assert verify(tmp_path / "out", against=log).ok


def test_a_missing_packet_costs_what_needs_it_and_shifts_nothing(tmp_path: Path) -> None:
    found = recording("h264 verbose")
    keyframes = [at for at, number in enumerate(found.numbers) if number % 8 == 0]
    gone = keyframes[1] + 3
    packets = found.packets[:gone] + found.packets[gone + 1 :]
    numbers: list[int | None] = [*found.numbers[:gone], *found.numbers[gone + 1 :]]
    numbers[gone : keyframes[2] - 1] = [None] * (keyframes[2] - 1 - gone)
    report = convert(packets_log(tmp_path / "source", ["h264"] * len(packets), packets), tmp_path / "out")
    assert report.embedded == numbers.count(None) > 0
    check_frames(tmp_path / "out", packets, numbers)


def test_a_topic_that_changes_codec_and_size(tmp_path: Path) -> None:
    small = record(CAMERAS["h264"], 12, (96, 64), 1000)
    parts = [recording("h264"), recording("h265"), small, recording("vp9")]
    codecs = [part.codec for part in parts for _ in part.packets]
    packets = [data for part in parts for data in part.packets]
    numbers = [number for part in parts for number in part.numbers]
    log = packets_log(tmp_path / "source", codecs, packets)
    report = convert(log, tmp_path / "out")
    assert (report.embedded, report.topics[0].codec) == (0, "h264+h265+vp9")
    assert report.topics[0].segments == 4
    check_frames(tmp_path / "out", packets, numbers)
    assert verify(tmp_path / "out", against=log).ok


def test_pictures_among_packets_are_embedded(tmp_path: Path) -> None:
    found = recording("h264 intra")
    jpeg = numbered_topic("/x", [0], size=(64, 96))[0].body.data.tobytes()
    packets = [*found.packets[:5], jpeg, *found.packets[5:]]
    codecs = ["h264"] * 5 + ["jpeg"] + ["h264"] * (len(found.packets) - 5)
    log = packets_log(tmp_path / "source", codecs, packets)
    report = convert(log, tmp_path / "out")
    assert (report.embedded, report.frames) == (1, len(packets))
    with open_dataset(tmp_path / "out") as dataset:
        topic = dataset[TOPIC]
        assert topic.status.tolist().index("embedded") == 5
        assert frame_number(topic[5].data) == 0  # a picture all the same
        assert [frame_number(topic[at].data) for at in (4, 6)] == [4, 5]
    assert verify(tmp_path / "out", against=log).ok


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_what_is_no_video_at_all_is_kept(codec: str, tmp_path: Path) -> None:
    log = packets_log(tmp_path / "source", [codec] * 4, [b"", b"garbage", b"\0\0\0\1\x09\x10", b"\0" * 50])
    report = convert(log, tmp_path / "out")
    assert report.frames == 0
    assert report.kept[0].reason.startswith("none of its packets can be decoded: the first ")
    assert report.messages_out == 4


Calls = list[tuple[Any, ...]]


def neighbours_swapped(calls: Calls) -> Calls:
    """Two packets, each at the other's time."""
    datas = [call[0] for call in calls]
    datas[1], datas[2] = datas[2], datas[1]
    return [(data, *rest) for data, (_, *rest) in zip(datas, calls, strict=True)]


def one_late(calls: Calls) -> Calls:
    return [(calls[max(at - 1, 0)][0], *rest) for at, (_, *rest) in enumerate(calls)]


def a_bit_flipped(calls: Calls) -> Calls:
    return [(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], *rest) for data, *rest in calls]


FAULTS = {function.__name__: function for function in (neighbours_swapped, one_late, a_bit_flipped)}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_proof_finds_what_a_muxer_might_do(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = recording_log(tmp_path / "source", recording("h264 intra"))
    add, close = RemuxWriter.add, RemuxWriter.close

    def held(self: Any, *call: Any) -> None:
        self.__dict__.setdefault("calls", []).append(call)

    def closing(self: Any) -> Any:
        for call in FAULTS[fault](self.__dict__["calls"]):
            add(self, *call)
        return close(self)

    monkeypatch.setattr(RemuxWriter, "add", held)
    monkeypatch.setattr(RemuxWriter, "close", closing)
    with pytest.raises(ProofError, match=r"references are wrong and \d+ missing"):
        convert(log, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_proof_finds_times_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a wrong picture order would have it: all bytes and times are there, under each other's packets."""
    from mediaref_tools.conversion import cameratrack

    log = recording_log(tmp_path / "source", recording("h264 pyramid"))
    plan = cameratrack.camera_plan

    def wrong(*arguments: Any) -> Any:
        found = plan(*arguments)
        pts_us = found.pts_us.copy()
        pts_us[[2, 3]] = pts_us[[3, 2]]
        return found._replace(pts_us=pts_us)

    monkeypatch.setattr("mediaref_tools.conversion.plan.camera_plan", wrong)
    with pytest.raises(ProofError, match=r"references are wrong and \d+ missing"):
        convert(log, tmp_path / "out")
