"""Streams of real cameras: remuxed bit for bit, every frame right."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from mcap.reader import make_reader

from mediaref_tools.camera.unit import payload
from mediaref_tools.image import VideoCodec
from tests.camera.cameras import decoded, planned, remuxed, units
from tests.reallogs import real_log, truth


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protobuf message that have a length (wire type 2); this one has no others."""
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        assert tag & 7 == 2
        length, at = varint(message, at)
        yield tag >> 3, message[at : at + length]
        at += length


def check(folder: Path, codec: VideoCodec, packets: list[bytes], times_ns: list[int]) -> None:
    plan = planned(codec, packets, times_ns)
    assert (plan.segment >= 0).all(), {plan.reasons[reason] for reason in plan.reason}
    frames = remuxed(folder, codec, packets, plan)
    alone = decoded(codec, packets)
    assert sorted(alone) == sorted(frames) == list(range(len(packets)))
    assert all(np.array_equal(frame, frames[index]) for index, frame in alone.items())


def test_compressed_video_of_foxglove(tmp_path: Path) -> None:
    log = real_log("mcap/foxglove_proto_zstd.mcap")
    packets, times_ns = [], []
    with log.open("rb") as stream:
        for schema, channel, message in make_reader(stream).iter_messages():
            if schema is not None and schema.name == "foxglove.CompressedVideo":
                content = dict(fields(message.data))
                assert content[4] == b"h264"
                packets.append(content[3])
                times_ns.append(message.log_time)
                topic = channel.topic
    assert len(packets) == 90
    check(tmp_path, "h264", packets, times_ns)
    said = truth()["mcap/foxglove_proto_zstd.mcap"][topic]["sha1"]
    again = [payload(unit.data, unit.framing) for unit in units("h264", packets) if unit is not None]
    assert hashlib.sha1(b"".join(again)).hexdigest() == said


FOOTAGE: list[tuple[str, VideoCodec, str | None]] = [
    ("udacity_yellow.mp4", "h264", "h264_mp4toannexb"),
    ("karma.mp4", "h264", "h264_mp4toannexb"),
    ("so101_wrist.mp4", "av1", None),
    ("lerobot_wrist0.mp4", "av1", None),
]


@pytest.mark.parametrize(("name", "codec", "filtered"), FOOTAGE)
def test_footage(name: str, codec: VideoCodec, filtered: str | None, tmp_path: Path) -> None:
    packets = list[bytes]()
    times_ns = []
    with av.open(str(real_log(f"footage/{name}"))) as container:
        stream = container.streams.video[0]
        annexb = None if filtered is None else BitStreamFilterContext(filtered, stream)
        for packet in container.demux(stream):
            if packet.size and len(packets) < 400:
                assert stream.time_base is not None
                assert packet.dts is not None
                times_ns.append(round(packet.dts * stream.time_base * 1_000_000_000))
                packets += [bytes(packet)] if annexb is None else [bytes(each) for each in annexb.filter(packet)]
    check(tmp_path, codec, packets, times_ns)
