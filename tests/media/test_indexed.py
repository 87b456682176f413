"""Videos whose packets are known from their headers: several frames of them are decoded group by group."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from mediaref_tools import VideoDecoder
from mediaref_tools.errors import FrameError, MediaError
from mediaref_tools.media.mp4index import mp4_table
from mediaref_tools.media.stream import FrameStream
from mediaref_tools.pixels.raster import Raster
from tests.oddvideos import ODD, sequential
from tests.smallvideos import MS, frame_number, write_video

INDEXED = [
    "h264.mp4", "h264_pyramid.mp4", "h264_open.mp4", "h264_refresh.mp4", "h264_long.mp4", "h264_edit_empty.mp4",
    "h264_noedit.mp4", "hevc.mp4", "vp9.mp4", "av1.mp4", "mjpeg.mp4", "h264.mov", "h264_gray.mp4", "h264_10bit.mp4",
    "audio.mp4", "cover.mp4", "ffv1_gray16.mp4",
]  # fmt: skip
OTHERS = [
    "h264_frag.mp4", "h264_edit_mid.mp4", "h264_edit_twice.mp4", "h264_negative.mp4", "h264.mkv", "h264.ts", "png.mov",
]  # fmt: skip


@pytest.mark.parametrize("name", INDEXED)
def test_the_index_tells_what_demuxing_does(name: str, tmp_path: Path) -> None:
    path = ODD[name].write(tmp_path)
    with FrameStream(path, name) as stream:
        table = stream.table()
        assert table is not None
        with av.open(str(path)) as file:
            packets = [packet for packet in file.demux(stream.stream.index) if packet.size]
        data = path.read_bytes()
        assert [data[at : at + size] for at, size in zip(table.offset, table.size, strict=True)] == [
            *map(bytes, packets)
        ]
        assert table.shown.tolist() == [packet.pts for packet in packets]
        _, frames = sequential(path)
        assert [stream.at(frame.tick).pts for frame in frames[-3:]] == [frame.tick for frame in frames[-3:]]


@pytest.mark.parametrize("name", ["h264_pyramid.mp4", "h264_open.mp4", "hevc.mp4", "h264_edit_empty.mp4", "h264.mov"])
def test_frames_out_of_order_are_told_by_the_headers(name: str, tmp_path: Path) -> None:
    path = ODD[name].write(tmp_path)
    with av.open(str(path)) as file:
        video = file.streams.video[0]
        table = mp4_table(path, video, None)  # which has no packets to look at
        assert table is not None
        assert table.shown.tolist() == [packet.pts for packet in file.demux(video) if packet.size]


@pytest.mark.parametrize("name", ["h264_pyramid.mp4", "hevc.mp4"])
def test_headers_that_are_not_plain_are_not_gone_by(name: str, tmp_path: Path) -> None:
    path = ODD[name].write(tmp_path)
    plain = path.read_bytes()
    at = plain.index(b"ctts")
    for place, wrong in ((at + 8, 99), (at + 12, 999), (at + 16, 2**32 - 5)):  # runs, frames of the first, its ticks
        path.write_bytes(plain[:place] + wrong.to_bytes(4, "big") + plain[place + 4 :])
        with av.open(str(path)) as file:
            assert mp4_table(path, file.streams.video[0], None) is None


@pytest.mark.parametrize("name", OTHERS)
def test_what_an_index_does_not_tell_is_left_alone(name: str, tmp_path: Path) -> None:
    with FrameStream(ODD[name].write(tmp_path), name) as stream:
        assert stream.table() is None


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("name", INDEXED)
def test_frames_equal_sequential_decoding(name: str, threads: int, tmp_path: Path) -> None:
    path = ODD[name].write(tmp_path)
    base, frames = sequential(path)
    clock = [-(-frame.tick * base.numerator * 10**9 // base.denominator) for frame in frames]
    dice = random.Random(name)
    with VideoDecoder(path, threads=threads) as video:
        for _ in range(12):
            some = dice.choices(range(len(frames)), k=dice.randrange(2, 20))
            for position, frame in video.frames_at([clock[each] for each in some]):
                assert np.array_equal(frame.data, Raster().array(decoded(path)[some[position]]))
                assert frame.pts_ns == clock[some[position]]
        assert (video._indexed is None) is False


_DECODED: dict[Path, list[av.VideoFrame]] = {}


def decoded(path: Path) -> list[av.VideoFrame]:
    if path not in _DECODED:
        _DECODED.clear()
        with av.open(str(path)) as file:
            stream = next(each for each in file.streams.video if not each.disposition & 1024)
            _DECODED[path] = list(file.decode(stream))
    return _DECODED[path]


def test_colours_that_only_the_container_tells(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w", options={"movflags": "write_colr"}) as out:
        stream = out.add_stream("ffv1", rate=25, options={"level": "3"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        context = stream.codec_context
        context.color_range, context.colorspace = ColorRange.JPEG, Colorspace.ITU709
        context.color_primaries = context.color_trc = 1
        for index in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((3, 48, 64), 20 + 20 * index, np.uint8), format="yuv444p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            frame.color_range, frame.colorspace = ColorRange.JPEG, Colorspace.ITU709
            frame.color_primaries = frame.color_trc = 1
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with VideoDecoder(path) as video:
        found = {at: frame.data for at, frame in video.frames_at([0, 40 * MS, 80 * MS])}
        assert video._indexed is not None
        assert video._indexed._table.coding.colours == (ColorRange.JPEG, Colorspace.ITU709, 1, 1)
        assert all(np.array_equal(found[at], video.frame_at(at * 40 * MS).data) for at in range(3))


def test_a_size_that_only_the_container_tells(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [at * 40 for at in range(12)])
    data = bytearray(path.read_bytes())
    at = data.index(b"avc1", data.index(b"stsd")) + 28  # ISO/IEC 14496-12, 12.1.3: width and height
    assert data[at : at + 2] == (96).to_bytes(2, "big")
    data[at : at + 2] = (90).to_bytes(2, "big")
    path.write_bytes(data)
    with VideoDecoder(path) as video:
        found = {at: frame.data for at, frame in video.frames_at([0, 80 * MS])}
        assert video._indexed is not None
        assert found[0].shape == (64, 90, 3)
        assert np.array_equal(found[1], video.frame_at(80 * MS).data)


def test_frames_that_do_not_decode_are_left_to_the_stream(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [at * 40 for at in range(30)], gop=10)
    with FrameStream(path, "clip") as stream:
        table = stream.table()
        assert table is not None
    data = bytearray(path.read_bytes())
    at, size = int(table.offset[15]), int(table.size[15])
    data[at : at + size] = bytes(size)
    path.write_bytes(data)
    with VideoDecoder(path) as video:
        good = [at * 40 * MS for at in (3, 12, 27)]
        assert [frame_number(frame.data) for _, frame in video.frames_at(good)] == [3, 12, 27]
        with pytest.raises(MediaError, match="damaged"):
            list(video.frames_at([good[0], 16 * 40 * MS]))
        with pytest.raises(FrameError, match="no frame is on screen"):
            list(video.frames_at([good[0], 99 * 40 * MS]))
    with pytest.raises(MediaError, match="closed"):
        list(video.frames_at(good))


@pytest.mark.parametrize("seed", range(10))
def test_damage_is_told_as_the_stream_tells_it(seed: int, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", [at * 40 for at in range(30)], gop=10)
    dice = random.Random(seed)
    data = bytearray(path.read_bytes())
    with FrameStream(path, "clip") as stream:
        table = stream.table()
        assert table is not None
        at = dice.randrange(1, 29)
    for _ in range(3):
        data[int(table.offset[at]) + dice.randrange(8, int(table.size[at]))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)

    def answer(*numbers: int) -> object:
        try:
            with VideoDecoder(path, threads=2) as video:
                if len(numbers) == 1:
                    return video.frame_at(numbers[0] * 40 * MS).data.tobytes()
                return dict(video.frames_at([number * 40 * MS for number in numbers]))[1].data.tobytes()
        except MediaError as error:
            return "damaged" in str(error)

    for number in range(1, 29):
        assert answer(0, number) == answer(number)
