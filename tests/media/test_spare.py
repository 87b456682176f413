"""Packets that may be left out: no other picture changes without them, and of anything unclear none is left out."""

from __future__ import annotations

import io
import os
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, cast

os.environ.setdefault("SVT_LOG", "1")  # else the encoder greets on stderr

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from mediaref_tools.media.spare import spare_test
from mediaref_tools.segments.scheduling import leave_realtime

COUNT, HEIGHT, WIDTH = 60, 96, 128


class Stream(NamedTuple):
    codec: str
    extradata: bytes
    packets: list[bytes]


def video(encoder: str, gop: int, options: Mapping[str, str]) -> Stream:
    """A moving, noisy scene: what is left out shows in whatever was predicted from it."""
    file = io.BytesIO()
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    with av.open(file, "w", format="mp4") as out:
        stream = cast("VideoStream", out.add_stream(encoder, rate=25, options=dict(options)))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.thread_count = gop, 1
        for index in range(COUNT):
            waves = 128 + 60 * (np.sin((x + 5 * index) / 9) + np.cos((y - 3 * index) / 7))
            noise = np.random.default_rng(index).normal(0, 6, (HEIGHT, WIDTH, 3))
            picture = np.clip(waves[..., None] + noise, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
            if encoder == "libsvtav1" and index == 0:
                leave_realtime()
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as source:
        held = source.streams.video[0]
        extradata = held.codec_context.extradata or b""
        return Stream(held.codec_context.codec.name, extradata, [bytes(p) for p in source.demux(held) if p.size])


def decoded(stream: Stream, kept: Callable[[int], bool]) -> dict[int, bytes]:
    """Frames by the number of their packet."""
    context = cast("av.VideoCodecContext", av.CodecContext.create(stream.codec, "r"))
    context.extradata, context.thread_count = stream.extradata, 1
    frames: list[av.VideoFrame] = []
    for number, data in enumerate(stream.packets):
        if kept(number):
            packet: av.Packet[Any] = av.Packet(data)
            packet.pts = packet.dts = number
            frames += context.decode(packet)
    frames += context.decode(None)
    return {frame.pts or 0: frame.to_ndarray(format="yuv420p").tobytes() for frame in frames}


X265 = "log-level=none:b-adapt=0:bframes=4"
CASES = {
    "h264 without B-frames": ("libx264", 30, {"bf": "0"}, 0),
    "h264 with B-frames": ("libx264", 30, {"bf": "3", "x264-params": "b-pyramid=none:b-adapt=0"}, 40),
    "h264 pyramid": ("libx264", 30, {"bf": "7", "x264-params": "b-pyramid=normal:b-adapt=0"}, 30),
    "h264 open GOP": ("libx264", 12, {"bf": "3", "x264-params": "open-gop=1:b-adapt=0"}, 20),
    "h265": ("libx265", 30, {"x265-params": X265}, 30),
    "h265 open GOP": ("libx265", 12, {"x265-params": f"{X265}:open-gop=1"}, 20),
    "av1": ("libsvtav1", 15, {"preset": "9", "crf": "35", "svtav1-params": "lp=1"}, 5),
    "av1 low delay": ("libsvtav1", 15, {"preset": "9", "svtav1-params": "lp=1:pred-struct=1"}, 5),
    "vp9": ("libvpx-vp9", 30, {}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_no_other_picture_changes(name: str) -> None:
    encoder, gop, options, least = CASES[name]
    stream = video(encoder, gop, options)
    test = spare_test(stream.codec, stream.extradata)
    spare = {number for number, data in enumerate(stream.packets) if test(memoryview(data))}
    assert least <= len(spare) < COUNT
    assert bool(spare) == bool(least)
    whole = decoded(stream, lambda _: True)
    assert len(whole) == COUNT
    dice = random.Random(1)
    for left in (spare, {number for number in spare if dice.random() < 0.5}):
        rest = decoded(stream, lambda number, left=left: number not in left)  # type: ignore[misc]
        assert rest == {number: data for number, data in whole.items() if number not in left}


@pytest.mark.parametrize("name", ["h264 with B-frames", "h265", "av1"])
def test_what_is_damaged_or_brings_more_is_not_left_out(name: str) -> None:
    encoder, gop, options, _ = CASES[name]
    stream = video(encoder, gop, options)
    test = spare_test(stream.codec, stream.extradata)
    data = next(data for data in stream.packets if test(data))
    for cut in range(0, len(data), 7):
        assert not test(data[:cut])
    assert not test(data + data[:3])
    # Parameter sets with it: of H.264, H.265; a sequence header of AV1.
    more = {"h264": b"\0\0\0\4\x67\x64\0\x0a", "hevc": b"\0\0\0\4\x42\1\1\1", "libdav1d": b"\x0a\1\0"}
    assert not test(data + more[stream.codec])
    nothing = {"h264": b"\0\0\0\4\x06\x05\1\0", "hevc": b"\0\0\0\4\x4e\1\1\0", "libdav1d": b"\x12\0"}
    assert not test(nothing[stream.codec])  # no picture at all
    for _ in range(300):
        test(random.Random(_).randbytes(40))  # raises nothing


def test_where_nothing_can_be_told_nothing_is_left_out() -> None:
    stream = video("libx264", 30, CASES["h264 with B-frames"][2])
    data = next(data for data in stream.packets if spare_test("h264", stream.extradata)(data))
    assert not spare_test("h264", b"")(data)  # Annex B
    assert not spare_test("h264", b"\0" + stream.extradata[1:])(data)
    assert not spare_test("mpeg4", stream.extradata)(data)


def test_temporal_layers_of_h265_are_seen() -> None:
    stream = video("libx265", 30, CASES["h265"][2])
    data = next(data for data in stream.packets if spare_test("hevc", stream.extradata)(data))
    sps = stream.extradata.index(b"\x42\x01", 23)
    layered = bytearray(stream.extradata)
    layered[sps + 2] |= 1 << 1  # two sub-layers, whatever the record itself says
    assert not spare_test("hevc", bytes(layered))(data)
    assert not spare_test("hevc", stream.extradata[:22] + b"\0")(data)  # no parameter set
    for cut in range(23, len(stream.extradata), 3):
        spare_test("hevc", stream.extradata[:cut])  # raises nothing
    higher = bytearray(data)
    at = 4 if data[4] >> 1 & 63 < 16 else 0
    assert at  # the slice is its first NAL unit
    higher[at + 1] = higher[at + 1] & ~7 | 2  # TemporalId 1
    assert not spare_test("hevc", stream.extradata)(bytes(higher))


def nal(head: int, length: int = 5, width: int = 4) -> bytes:
    return length.to_bytes(width, "big") + bytes([head]) + bytes(length - 1)


@pytest.mark.parametrize(
    ("packet", "spare"),
    [
        (nal(1), True),
        (nal(9, 2) + nal(6) + nal(1) + nal(1) + nal(12), True),
        (nal(0x41), False),  # a reference
        (nal(0x21), False),
        (nal(1) + nal(0x41), False),  # its second field is one
        (nal(5), False),
        (nal(2), False),  # data partitioning
        (nal(0x68) + nal(1), False),  # parameter sets on the way
        (nal(0x67) + nal(1), False),
        (nal(14) + nal(1), False),
        (nal(6), False),
        (nal(1)[:-1], False),
        (nal(1) + b"\0", False),
        (b"", False),
    ],
)
def test_spare_packets_of_h264(packet: bytes, spare: bool) -> None:
    test = spare_test("h264", b"\1\x64\0\x1f\xff\xe1\0")
    assert test(packet) is spare
    assert test(memoryview(packet)) is spare


def test_lengths_are_as_wide_as_the_configuration_says() -> None:
    test = spare_test("h264", b"\1\x64\0\x1f\xfd\xe1\0")
    assert test(nal(1, width=2) + nal(1, width=2))
    assert not test(nal(1, width=2) + nal(0x41, width=2))
    assert not test(nal(1))
