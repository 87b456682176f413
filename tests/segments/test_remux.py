"""Packets that others encoded, in an MP4 file byte for byte."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.container import InputContainer
from PIL import Image

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.sample import frame_number, numbered_image
from mediaref_tools.segments import remux
from mediaref_tools.segments.file import SegmentFile, read_packets
from mediaref_tools.segments.remux import RemuxWriter, TrackCodec
from tests.camera.cameras import CAMERAS, Camera, planned, record, recording, units
from tests.segments.test_segment import TIMES_US, boxes

SIZE = (96, 64)


def still(number: int, codec: TrackCodec, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(numbered_image(number, *SIZE)).save(stream, "jpeg" if codec == "mjpeg" else "png", **options)
    return stream.getvalue()


def number_of(frame: av.VideoFrame) -> int:
    return frame_number(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))


def open_input(path: Path) -> InputContainer:
    container = av.open(str(path))
    assert isinstance(container, InputContainer)
    return container


def write(path: Path, name: str) -> tuple[SegmentFile, list[bytes], list[int], list[int]]:
    """Remux a camera's stream into one file: file, samples, pts and dts."""
    found = recording(name)
    plan = planned(found.codec, found.packets)
    segment = plan.segments[0]
    writer = RemuxWriter(path, segment.codec, segment.config, segment.width, segment.height)
    samples = []
    for at, unit in enumerate(units(found.codec, found.packets)):
        assert unit is not None
        writer.add(unit.data, int(plan.pts_us[at]), int(plan.dts_us[at]), bool(plan.keyframe[at]))
        samples.append(unit.data)
    assert len(writer) == len(samples)
    assert writer.bytes_out == sum(map(len, samples))
    return writer.close(), samples, plan.pts_us.tolist(), plan.dts_us.tolist()


@pytest.mark.parametrize("name", CAMERAS)
def test_packets_are_in_the_file_byte_for_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / "000000.mp4"
    file, samples, pts_us, dts_us = write(path, name)
    data = path.read_bytes()
    table = file.packets
    assert [data[at : at + size] for at, size in zip(table.offset, table.size, strict=True)] == samples
    assert table.pts_us.tolist() == pts_us
    assert [array.dtype for array in table] == [np.int64, np.int64, np.int64, np.bool_]
    with open_input(path) as container:
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, 1_000_000)
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [bytes(packet) for packet in packets] == samples
    assert [(packet.pts, packet.dts) for packet in packets] == list(zip(pts_us, dts_us, strict=True))
    assert (file.bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    order = boxes(path)
    assert order.index("moov") < order.index("mdat")


@pytest.mark.parametrize("name", CAMERAS)
def test_frames_carry_their_numbers_in_the_order_of_their_times(name: str, tmp_path: Path) -> None:
    path = tmp_path / "000000.mp4"
    _, _, pts_us, _ = write(path, name)
    with open_input(path) as container:
        frames = list(container.decode(video=0))
    shown = {frame.pts: number_of(frame) for frame in frames}
    assert shown == dict(zip(pts_us, recording(name).numbers, strict=True))
    assert [frame.pts for frame in frames] == sorted(pts_us)


@pytest.mark.parametrize("name", CAMERAS)
def test_any_frame_can_be_sought(name: str, tmp_path: Path) -> None:
    """As an ordinary player does: back to a keyframe, then on to the time."""
    path = tmp_path / "000000.mp4"
    file, _, pts_us, _ = write(path, name)
    keyframes = [pts for pts, key in zip(pts_us, file.packets.keyframe, strict=True) if key]
    with open_input(path) as container:
        stream = container.streams.video[0]
        for pts, number in zip(pts_us, recording(name).numbers, strict=True):
            start = max(key for key in keyframes if key <= pts)
            container.seek(start, stream=stream)
            frame = next(frame for frame in container.decode(stream) if frame.pts is not None and frame.pts >= pts)
            assert (frame.pts, number_of(frame)) == (pts, number)


ENTRIES = {"h264": b"avc1", "h265": b"hvc1", "vp9": b"vp09", "av1": b"av01"}
RECORDS = {"h264": b"avcC", "h265": b"hvcC", "vp9": b"vpcC", "av1": b"av1C"}


@pytest.mark.parametrize("name", ["h264 pyramid", "h265 open", "vp9", "av1"])
def test_the_sample_entry_is_what_players_want(name: str, tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    file, *_ = write(path, name)
    codec = recording(name).codec
    config = planned(codec, recording(name).packets).segments[0].config
    head = path.read_bytes()[32 : path.read_bytes().index(b"mdat")]  # from behind the brands on
    assert head.count(ENTRIES[codec]) == 1
    at = head.index(ENTRIES[codec])
    assert struct.unpack_from(">HH", head, at + 28) == SIZE
    record = head.index(RECORDS[codec])
    size = struct.unpack_from(">I", head, record - 4)[0]
    body = head[record + 4 : record - 4 + size]
    if codec == "vp9":
        body = body[4:]  # version and flags; the level is the muxer's own
        assert (body[:1], body[2:]) == (config[:1], config[2:])
    else:
        assert body == config
        assert base64.b64decode(file.extradata) == config
    assert (file.coded_width, file.coded_height, file.pixel_format) == (*SIZE, "yuv420p")


def test_colours_are_those_that_the_stream_says(tmp_path: Path) -> None:
    params = "keyint=10:colormatrix=bt709:colorprim=bt709:transfer=bt709:fullrange=on"
    found = record(Camera("h264", "libx264", {"x264-params": params}), 3)
    plan = planned("h264", found.packets)
    writer = RemuxWriter(tmp_path / "s.mp4", "h264", plan.segments[0].config, *SIZE)
    for at, unit in enumerate(units("h264", found.packets)):
        assert unit is not None
        writer.add(unit.data, int(plan.pts_us[at]), int(plan.dts_us[at]), bool(plan.keyframe[at]))
    file = writer.close()
    assert (file.color_range, file.color_space) == ("full", "bt709")


@pytest.mark.parametrize("codec", ["mjpeg", "png"])
def test_still_images_are_a_track(codec: TrackCodec, tmp_path: Path) -> None:
    path = tmp_path / "000000.mp4"
    writer = RemuxWriter(path, codec, b"", *SIZE)
    samples = [still(number, codec) for number in range(len(TIMES_US))]
    for data, time_us in zip(samples, TIMES_US, strict=True):
        writer.add(memoryview(data), time_us, time_us, True)
    file = writer.close()
    assert file.packets.pts_us.tolist() == TIMES_US
    assert file.packets.keyframe.all()
    data = path.read_bytes()
    table = file.packets
    assert [data[at : at + size] for at, size in zip(table.offset, table.size, strict=True)] == samples
    with open_input(path) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        assert (stream.codec_context.width, stream.codec_context.height) == SIZE
        frames = [(frame.pts, number_of(frame)) for frame in container.decode(stream)]
    assert frames == list(zip(TIMES_US, range(len(TIMES_US)), strict=True))
    if codec == "mjpeg":
        assert (file.pixel_format, file.color_range, file.color_space) == ("yuvj420p", "full", "bt601")
    else:
        assert file.pixel_format == "rgb24"


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("size", [(97, 65), (96, 64), (1, 1), (5000, 3)])
def test_jpegs_of_any_kind_and_size(subsampling: str, size: tuple[int, int], tmp_path: Path) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).save(stream, "jpeg", subsampling=subsampling, progressive=size[0] == 97)
    writer = RemuxWriter(tmp_path / "s.mp4", "mjpeg", b"", *size)
    writer.add(stream.getvalue(), 0, 0, True)
    file = writer.close()
    assert (file.coded_width, file.coded_height) == size


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already there"):
        RemuxWriter(path, "mjpeg", b"", *SIZE)
    assert path.read_bytes() == b"mine"
    writer = RemuxWriter(tmp_path / "no" / "folder.mp4", "mjpeg", b"", *SIZE)
    with pytest.raises(OutputError):
        writer.add(still(0, "mjpeg"), 0, 0, True)
        writer.close()


@pytest.mark.parametrize(
    "times_us",
    [
        [(0, 0), (3_000_000_000, 3_000_000_000), (3_000_000_001, 3_000_000_001)],  # a gap above 2147 s
        [(5, 5), (6, 6)],  # not from 0 on
        [(0, 0), (10, 10), (10, 10)],
        [(0, 0), (10, 10), (5, 5)],
        [(0, 0), (5, 10)],  # shown before it is decoded
    ],
)
def test_times_that_no_file_can_hold_are_an_error(times_us: list[tuple[int, int]], tmp_path: Path) -> None:
    writer = RemuxWriter(tmp_path / "s.mp4", "mjpeg", b"", *SIZE)
    with pytest.raises(EncodeError):
        for number, (pts_us, dts_us) in enumerate(times_us):
            writer.add(still(number, "mjpeg"), pts_us, dts_us, True)
        writer.close()


def test_a_stream_that_does_not_begin_with_a_keyframe_is_an_error(tmp_path: Path) -> None:
    writer = RemuxWriter(tmp_path / "s.mp4", "mjpeg", b"", *SIZE)
    for number in range(2):
        writer.add(still(number, "mjpeg"), number, number, number == 1)
    with pytest.raises(EncodeError, match="begin with a keyframe"):
        writer.close()


def test_an_empty_segment_is_an_error(tmp_path: Path) -> None:
    writer = RemuxWriter(tmp_path / "s.mp4", "mjpeg", b"", *SIZE)
    with pytest.raises((EncodeError, OutputError)):
        writer.close()


def test_bytes_that_the_muxer_changes_are_an_error(tmp_path: Path) -> None:
    """libavformat drops the padding of AV1."""
    config = planned("av1", recording("av1").packets).segments[0].config
    writer = RemuxWriter(tmp_path / "s.mp4", "av1", config, *SIZE)
    writer.add(recording("av1").packets[0] + b"\x7a\1\x80", 0, 0, True)
    with pytest.raises(EncodeError, match="does not hold the bytes of the 1 packets"):
        writer.close()


@pytest.mark.parametrize("size", [(0, 64), (-1, 64), (2**31, 2**31), (70_000, 70_000)])
def test_sizes_that_no_track_has_are_refused(size: tuple[int, int], tmp_path: Path) -> None:
    with pytest.raises(EncodeError):
        writer = RemuxWriter(tmp_path / "s.mp4", "mjpeg", b"", *size)
        writer.add(still(0, "mjpeg"), 0, 0, True)
        writer.close()


def test_an_aborted_writer_lets_go_and_says_nothing(tmp_path: Path) -> None:
    for count in range(2):
        writer = RemuxWriter(tmp_path / f"{count}.mp4", "png", b"", *SIZE)
        for number in range(count):
            writer.add(still(number, "png"), number, number, True)
        writer.abort()
        writer.abort()


def test_what_is_read_back_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = read_packets
    changes = {
        "does not hold the bytes": lambda table: table._replace(size=table.size + 1),
        "when its 2 packets are decoded": lambda table: table._replace(keyframe=~table.keyframe),
    }
    for at, (said, change) in enumerate(changes.items()):
        monkeypatch.setattr(remux, "read_packets", lambda stream, change=change: change(real(stream)))
        writer = RemuxWriter(tmp_path / f"{at}.mp4", "mjpeg", b"", *SIZE)
        for number in range(2):
            writer.add(still(number, "mjpeg"), number, number, True)
        with pytest.raises(EncodeError, match=said):
            writer.close()
