"""One segment: frames in, an MP4 file and its packet table out."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.plane import plane
from mediaref_tools.pixels.raster import Raster
from mediaref_tools.sample import frame_number, numbered_image
from mediaref_tools.segments import file as segment_file
from mediaref_tools.segments.file import Packets, SegmentFile, read_packets, read_shown
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape
from tests.pictures import taken

WIDTH, HEIGHT = 96, 64
H264, AV1 = Encoding("h264", 23, 5), Encoding("av1", 30, 5)
BOTH = pytest.mark.parametrize("encoding", [H264, AV1], ids=["h264", "av1"])

# 0, 1 µs apart, irregular, a pause of 3 s (2^31 ticks of 1/1e9 are 2.1 s) and one of 999 s, and on.
TIMES_US = [
    0,
    1,
    2,
    33_333,
    66_667,
    99_999,
    3_100_001,
    3_100_002,
    3_233_335,
    1_002_233_335,
    1_002_233_336,
    1_002_300_001,
]


def frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    rgb = numbered_image(number, width, height)
    return taken(ImageValue(rgb.tobytes(), "rgb8", "raw", height, width, 3 * width)).frame


def write(path: Path, encoding: Encoding, times_us: Sequence[int]) -> SegmentFile:
    writer = SegmentWriter(path, encoding, Shape(WIDTH, HEIGHT))
    for number, time_us in enumerate(times_us):
        writer.add(frame(number), time_us)
    assert len(writer) == len(times_us)
    return writer.close()


def rgb_of(decoded: av.VideoFrame, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    out = np.empty((height, width, 3), np.uint8)
    Raster().into(decoded, out)
    return out


def boxes(path: Path) -> list[str]:
    """Names of an MP4's outermost boxes, in order."""
    data, at, names = path.read_bytes(), 0, []
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        names.append(name.decode("ascii"))
        at += size if size > 1 else struct.unpack_from(">Q", data, at + 8)[0]
    return names


@BOTH
def test_irregular_times_and_numbers_come_back_exactly(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "000000.mp4"
    file = write(path, encoding, TIMES_US)
    assert file.packets.pts_us.tolist() == TIMES_US
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base == Fraction(1, 1_000_000)
        assert stream.start_time in (0, None)
        frames = [(f.pts, f.time_base, frame_number(rgb_of(f))) for f in container.decode(stream)]
    assert frames == [(time_us, Fraction(1, 1_000_000), n) for n, time_us in enumerate(TIMES_US)]


@BOTH
def test_packets_are_where_the_table_says(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    file = write(path, encoding, TIMES_US)
    data = path.read_bytes()
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert [packet.pts for packet in packets] == [packet.dts for packet in packets] == TIMES_US
        for at, packet in enumerate(packets):
            offset, size = int(file.packets.offset[at]), int(file.packets.size[at])
            assert (packet.pos, packet.size) == (offset, size)
            assert bytes(packet) == data[offset : offset + size]
        assert [packet.is_keyframe for packet in packets] == file.packets.keyframe.tolist()
        codec = container.streams.video[0].codec_context
        assert base64.b64decode(file.extradata) == codec.extradata
        assert len(base64.b64decode(file.extradata)) > 4
    assert [array.dtype for array in file.packets] == [np.int64, np.int64, np.int64, np.bool_]


@BOTH
def test_any_frame_decodes_alone_from_its_keyframe(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    file = write(path, encoding, [n * 40_000 for n in range(17)])
    keys = np.flatnonzero(file.packets.keyframe)
    data = path.read_bytes()
    for wanted in (0, 3, 4, 5, 11, 16):
        codec = av.CodecContext.create("h264" if encoding.codec == "h264" else "libdav1d", "r")
        assert isinstance(codec, av.VideoCodecContext)
        codec.extradata = base64.b64decode(file.extradata)
        frames = []
        for at in range(int(keys[keys <= wanted].max()), wanted + 1):
            offset = int(file.packets.offset[at])
            frames += codec.decode(av.Packet(data[offset : offset + int(file.packets.size[at])]))
        frames += codec.decode(None)
        assert frame_number(rgb_of(frames[-1])) == wanted


@BOTH
@pytest.mark.parametrize("gop", [1, 4, 15])
def test_keyframes_are_one_gop_apart(encoding: Encoding, gop: int, tmp_path: Path) -> None:
    # Jumps between pictures would tempt an encoder into keyframes of its own.
    writer = SegmentWriter(tmp_path / "s.mp4", encoding._replace(gop=gop), Shape(WIDTH, HEIGHT))
    for number in range(32):
        writer.add(frame(number * 997 % 5000), number * 100_000)
    keyframes = np.flatnonzero(writer.close().packets.keyframe)
    assert keyframes.tolist() == list(range(0, 32, gop))


@BOTH
def test_file_is_fast_to_start_and_tagged_as_full_range_bt601(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    file = write(path, encoding, [0, 10])
    order = boxes(path)
    assert order.index("moov") < order.index("mdat")
    assert (file.color_range, file.color_space) == ("full", "bt601")
    assert (file.bytes, file.sha256) == (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    assert (file.coded_width, file.coded_height) == (WIDTH, HEIGHT)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoded = next(container.decode(stream))
        assert stream.codec_context.color_range == decoded.color_range == ColorRange.JPEG
        assert stream.codec_context.colorspace == decoded.colorspace == 5
        assert (stream.codec_context.color_primaries, stream.codec_context.color_trc) == (1, 13)
        assert not stream.codec_context.has_b_frames
        assert stream.codec_context.pix_fmt == file.pixel_format
        assert len(container.streams) == 1


@BOTH
def test_levels_and_colours_survive(encoding: Encoding, tmp_path: Path) -> None:
    """Black, white and flat colours come back within the codec's error: a range conversion would be off by 16."""
    colours = np.array([[0, 0, 0], [255, 255, 255], [200, 40, 40], [40, 60, 200]], np.uint8)
    rgb = np.ascontiguousarray(colours.reshape(1, 4, 3).repeat(64, 0).repeat(32, 1))
    picture = taken(ImageValue(rgb.tobytes(), "rgb8", "raw", 64, 128, 384))
    sent = [plane(picture.frame, at)[:, : 128 // (1 + (at > 0))].copy() for at in range(3)]
    writer = SegmentWriter(tmp_path / "s.mp4", encoding._replace(crf=10), Shape(128, 64))
    writer.add(picture.frame, 0)
    writer.close()
    with av.open(str(tmp_path / "s.mp4")) as container:
        decoded = next(container.decode(video=0))
    for at, expected in enumerate(sent):
        got = plane(decoded, at)[:, : expected.shape[1]].astype(int)
        inner = np.abs(got - expected)[4:-4].reshape(-1, 4, expected.shape[1] // 4)[:, :, 4:-4]
        assert inner.max() <= 3
    middle = rgb_of(decoded, 128, 64)[16:48].reshape(32, 4, 32, 3)[:, :, 10:22].astype(int)
    assert np.abs(middle - colours[:, None]).max() <= 5


def test_only_the_first_frame_of_jpegs_is_a_keyframe(tmp_path: Path) -> None:
    """A JPEG decoder marks every frame as I, which an encoder obeys."""
    writer = SegmentWriter(tmp_path / "s.mp4", H264._replace(gop=100), Shape(WIDTH, HEIGHT))
    for number in range(4):
        marked = frame(number)
        marked.pict_type = 1
        writer.add(marked, number)
    assert writer.close().packets.keyframe.tolist() == [True, False, False, False]


@BOTH
def test_a_file_that_is_there_is_not_overwritten(encoding: Encoding, tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(OutputError, match="already there"):
        SegmentWriter(path, encoding, Shape(WIDTH, HEIGHT))
    assert path.read_bytes() == b"mine"
    with pytest.raises(OutputError):  # at the first packet: libavformat makes the file then
        write(tmp_path / "no" / "folder.mp4", encoding, [0, 1])


@BOTH
@pytest.mark.parametrize("times_us", [[0, 3_000_000_000, 3_000_000_001], [5, 6, 7], [700, 800]])
def test_times_that_the_container_changes_are_an_error(encoding: Encoding, times_us: list[int], tmp_path: Path) -> None:
    # MP4 folds a gap above 2147 s and says nothing; and it moves a stream that does not begin at 0.
    with pytest.raises(EncodeError, match=f"times are not those of the {len(times_us)} frames"):
        write(tmp_path / "s.mp4", encoding, times_us)


@BOTH
@pytest.mark.parametrize("times_us", [[0, 10, 10], [0, 10, 5]])
def test_times_that_do_not_rise_are_an_error(encoding: Encoding, times_us: list[int], tmp_path: Path) -> None:
    with pytest.raises(EncodeError):
        write(tmp_path / "s.mp4", encoding, times_us)


def _late(packets: Packets) -> Packets:
    return packets._replace(pts_us=packets.pts_us + np.eye(1, len(packets.pts_us), 2, dtype=np.int64)[0])


def _short(packets: Packets) -> Packets:
    return Packets(packets.pts_us[:-1], packets.offset[:-1], packets.size[:-1], packets.keyframe[:-1])


def _headless(packets: Packets) -> Packets:
    return packets._replace(keyframe=np.zeros_like(packets.keyframe))


@pytest.mark.parametrize("change", [_late, _short, _headless])
def test_what_is_read_back_is_compared(change: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(change)
    monkeypatch.setattr(segment_file, "read_packets", lambda stream: change(read_packets(stream)))
    with pytest.raises(EncodeError):
        write(tmp_path / "s.mp4", H264, [0, 10, 20, 30])


def test_another_time_base_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path / "s.mp4", H264, Shape(WIDTH, HEIGHT))
    writer.add(frame(0), 0)
    monkeypatch.setattr(segment_file, "TIME_BASE", Fraction(1, 90_000))
    with pytest.raises(EncodeError, match="time base 1/1000000 instead of 1/90000"):
        writer.close()


def test_a_file_that_vanishes_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s.mp4"
    writer = SegmentWriter(path, H264, Shape(WIDTH, HEIGHT))
    for number in range(100):  # until x264 gives out the first packet
        writer.add(frame(number), number)
    path.unlink()
    with pytest.raises((EncodeError, OutputError)):
        writer.close()


@pytest.mark.parametrize(
    "encoding", [H264._replace(crf=-5), AV1._replace(crf=-5), AV1._replace(crf=64)], ids=lambda e: f"{e.codec} {e.crf}"
)
def test_what_the_encoder_refuses_is_named(encoding: Encoding, tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match=f"refuses 96x64 crf={encoding.crf} gop=5"):
        SegmentWriter(tmp_path / "s.mp4", encoding, Shape(WIDTH, HEIGHT))


def test_odd_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="refuses 97x65"):
        SegmentWriter(tmp_path / "s.mp4", H264, Shape(97, 65))


@BOTH
def test_the_smallest_coded_size_is_accepted(encoding: Encoding, tmp_path: Path) -> None:
    pixel = taken(ImageValue(b"\xc8", "mono8", "raw", 1, 1, 1)).frame
    writer = SegmentWriter(tmp_path / "s.mp4", encoding, Shape(pixel.width, pixel.height))
    writer.add(pixel, 0)
    writer.close()
    with av.open(str(tmp_path / "s.mp4")) as container:
        assert abs(int(plane(next(container.decode(video=0)), 0)[0, 0]) - 0xC8) <= 3


@BOTH
def test_an_aborted_writer_lets_go_and_says_nothing(encoding: Encoding, tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s.mp4", encoding, Shape(WIDTH, HEIGHT))
    writer.add(frame(0), 0)
    writer.abort()
    writer.abort()
    SegmentWriter(tmp_path / "t.mp4", encoding, Shape(WIDTH, HEIGHT)).abort()


def test_bytes_out_counts_all_packets(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "s.mp4", H264, Shape(WIDTH, HEIGHT))
    for number in range(8):
        writer.add(frame(number), number)
    file = writer.close()
    # The muxer rewrites start codes as lengths: a byte or so a packet.
    assert abs(writer.bytes_out - int(file.packets.size.sum())) <= 2 * 8


@BOTH
def test_stderr_and_stdout_stay_silent(encoding: Encoding, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.segments import test_segment as t;"
        f"t.write(Path(sys.argv[1]), t.Encoding({encoding.codec!r}, 30, 5), [0, 1, 2])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.mp4")], cwd=root, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no such priorities")
@BOTH
def test_encoders_leave_the_machine_to_others(tmp_path: Path, encoding: Encoding) -> None:
    """As root, libsvtav1 makes the caller's thread and its own realtime, which then starve everybody else."""
    writer = SegmentWriter(tmp_path / "a.mp4", encoding, Shape(64, 64))
    policies = set()
    for number in range(40):
        frame = av.VideoFrame(64, 64, "yuvj420p")
        for at in range(3):
            plane(frame, at)[:] = number
        writer.add(frame, 1000 * number)
        policies |= {
            os.sched_getscheduler(int(thread)) for thread in (path.name for path in Path("/proc/self/task").iterdir())
        }
    writer.close()
    assert policies == {os.SCHED_OTHER}


def test_b_frames_are_read_back_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    times_us = [0, 1, 33_333, 66_667, 250_066_667, 250_066_668, *range(251_000_000, 252_000_000, 40_000)]
    path = tmp_path / "b.mp4"
    found = write(path, Encoding("h264", 23, 8, b_frames=3, params="b-adapt=0"), times_us)
    assert found.packets.pts_us.tolist() == times_us
    places = found.packets.offset.tolist()
    assert places != sorted(places)  # else there were none
    assert np.flatnonzero(found.packets.keyframe).tolist() == list(range(0, len(times_us), 8))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert all(np.array_equal(a, b) for a, b in zip(read_shown(container, stream), found.packets, strict=True))
        decoded = list(container.decode(stream))
    assert [each.pts for each in decoded] == times_us
    assert [frame_number(rgb_of(each)) for each in decoded] == list(range(len(times_us)))
