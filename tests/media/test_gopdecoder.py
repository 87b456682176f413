"""Decoders left standing: what they decode and leave out, how many there are; and the threads that share work."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.errors import DatasetError, FrameError, MediaError
from mediaref_tools.media import gopdecoder
from mediaref_tools.media.crew import Crew, Tools
from mediaref_tools.media.gop import Coding, PacketTable
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.packetfile import PacketFile
from tests.oddvideos import number, numbered

COUNT, GOP = 48, 24


class Reader:
    """A video of COUNT numbered frames, GOP to a group, read through decoders that tell what they decode."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, b_frames: int, threads: int = 1) -> None:
        self.path = path
        with av.open(str(path), "w") as out:
            params = f"scenecut=0:b-pyramid=none:b-adapt=0:keyint={GOP}"
            stream = out.add_stream("libx264", rate=30, options={"bf": str(b_frames), "x264-params": params})
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.gop_size = GOP
            for index in range(COUNT):
                out.mux(stream.encode(numbered(index)))
            out.mux(stream.encode(None))
        with av.open(str(path)) as file:
            video = file.streams.video[0]
            packets = [packet for packet in file.demux(video) if packet.size]
            extradata = video.codec_context.extradata
            assert extradata is not None
            self.packets = [bytes(packet) for packet in packets]
            self.shown = np.array([packet.pts for packet in packets], np.int64)
            self.table = PacketTable(
                Coding("h264", extradata, 64, 48),
                np.array([packet.pos for packet in packets], np.int64),
                np.array([packet.size for packet in packets], np.int64),
                np.array([packet.is_keyframe for packet in packets]),
                self.shown,
            )
        self.decoders = GopDecoders(threads)
        self.fed: list[int] = []
        feed = gopdecoder._Decoder._feed

        def told(decoder: Any, at: int, *rest: Any) -> Any:
            self.fed.append(at)
            return feed(decoder, at, *rest)

        monkeypatch.setattr(gopdecoder._Decoder, "_feed", told)

    def read(self, *wanted: int, threads: int = 1) -> list[int]:
        """Packets that were decoded for some frames, which are checked."""
        self.fed.clear()
        order = np.argsort(np.argsort(self.shown))
        found: dict[int, int] = {}

        def put(at: int, frame: av.VideoFrame) -> None:
            found[at] = number(frame.to_ndarray(format="rgb24").astype(np.uint8))

        with PacketFile(self.path, "video", MediaError) as file:
            for group in self.table.groups(wanted):
                self.decoders.decode(file, self.table, group, threads, put)
        assert found == {at: int(order[at]) for at in wanted}
        return list(self.fed)


def test_a_decoder_goes_on_from_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0)
    assert reader.read(3) == [0, 1, 2, 3]
    assert reader.read(5, 8) == [4, 5, 6, 7, 8]
    assert reader.read(8) == []  # the frame that it stands at
    assert reader.read(8, 9) == [9]
    assert reader.read(7) == [*range(8)]  # behind it
    assert reader.read(7, GOP + 1) == [GOP, GOP + 1]
    assert reader.read(9) == [*range(10)]  # with one thread there is one decoder, which left the group


def test_one_decoder_a_thread_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0, threads=2)
    assert reader.read(3, GOP + 3) == [*range(4), *range(GOP, GOP + 4)]
    assert reader.read(4, GOP + 4) == [4, GOP + 4]
    for wanted in random.Random(1).choices(range(COUNT), k=50):
        reader.read(wanted)
    assert len(reader.decoders._idle) <= 2
    reader.decoders.close()
    assert not reader.decoders._idle


def test_decoders_of_many_videos_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0)
    tables = [pickle.loads(pickle.dumps(reader.table)) for _ in range(40)]
    for reader.table in tables:
        reader.read(3)
    assert len(reader.decoders._idle) == gopdecoder._IDLE
    for reader.table in tables[-20:]:
        assert reader.read(4) == [4]
    monkeypatch.setattr(gopdecoder, "_IDLE_PIXELS", 5 * 64 * 48)
    for reader.table in tables[:7]:
        reader.read(3)
    assert len(reader.decoders._idle) == 5


def test_frames_that_nobody_refers_to_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 3)
    spare = {at for at, data in enumerate(reader.packets) if reader.table.is_spare(data)}
    assert COUNT // 2 < len(spare) < COUNT
    for wanted in range(COUNT):
        first = wanted // GOP * GOP
        needed = [at for at in range(first, wanted) if at not in spare]
        assert reader.read(wanted)[: len(needed) + 1] == [*needed, wanted]
        reader.decoders.close()
    for wanted in random.Random(2).choices(range(COUNT), k=200):
        reader.read(wanted)


def test_who_goes_through_a_group_of_frames_out_of_order_has_each_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 3)
    reader.read(0, 1)
    reader.read(2, 3)  # from the keyframe once more: the first request had the decoder give out what it held
    counts = [len(reader.read(at, at + 1)) for at in range(4, GOP - 4, 2)]
    assert sum(counts[1:]) <= GOP
    reader.decoders.close()
    shown = np.argsort(reader.shown)[:GOP].tolist()
    counts = [len(reader.read(at)) for at in shown]
    assert sum(counts[3:]) <= GOP


def test_a_decoder_of_several_threads_is_for_long_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0, threads=2)
    reader.read(2, threads=2)
    reader.read(GOP + 20, threads=2)
    assert [one.threads for one in reader.decoders._idle] == [1, 2]


def test_a_group_that_fails_is_decoded_once_more_with_nothing_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 3)
    reader.table.is_spare = lambda _: True  # wrongly
    assert reader.read(20)[-21:] == [*range(21)]


def test_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0)
    data = bytearray(reader.path.read_bytes())
    data[reader.table.offset[0] : reader.table.offset[5]] = bytes(int(reader.table.offset[5] - reader.table.offset[0]))
    reader.path.write_bytes(data)
    with pytest.raises(MediaError, match=r"video is damaged.*a\.mp4"):
        reader.read(4)
    assert not reader.decoders._idle
    with pytest.raises(DatasetError, match="ends at byte"), PacketFile(reader.path, "segment", DatasetError) as file:
        file.read(len(data) - 3, 4)


def groups(keyframes: Sequence[int], shown: Sequence[int], wanted: Sequence[int]) -> list[tuple[int, tuple[int, ...]]]:
    flags: NDArray[np.bool_] = np.isin(np.arange(len(shown)), keyframes)
    zeros = np.zeros(len(shown), np.int64)
    return list(PacketTable(Coding("h264", b"", 1, 1), zeros, zeros, flags, np.array(shown)).groups(wanted))


def test_frames_before_their_keyframe_go_to_the_group_before() -> None:
    assert groups([0, 3], [0, 1, 2, 3, 4], [0, 2, 3, 4]) == [(0, (0, 2)), (3, (3, 4))]
    assert groups([0, 3], [0, 1, 2, 5, 3, 4, 6], [3, 4, 6]) == [(0, (4,)), (3, (3, 6))]
    assert groups([0, 2, 3], [0, 1, 5, 6, 3, 7], [4, 5]) == [(0, (4,)), (3, (5,))]
    assert groups([0], [0], []) == []


def test_packets_are_read_in_few_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 1000)
    offset, size = np.array([10, 30, 50, 100_000, 100_010]), np.array([5, 20, 3, 10, 200])
    table = PacketTable(Coding("h264", b"", 1, 1), offset, size, np.ones(5, bool), offset)
    reads: list[tuple[int, int]] = []
    read = PacketFile.read

    def told(self: PacketFile, begin: int, length: int) -> bytes:
        reads.append((begin, length))
        return read(self, begin, length)

    monkeypatch.setattr(PacketFile, "read", told)
    with PacketFile(path, "file", MediaError) as file:
        found = {at: bytes(data) for at, data in file.packets(table, 0, 5)}
        assert found == {at: read(file, int(offset[at]), int(size[at])) for at in range(5)}
        assert reads == [(10, 43), (100_000, 210)]
        assert [at for at, _ in file.packets(table, 2, 4)] == [2, 3]
        assert list(file.packets(table, 4, 2)) == []
        monkeypatch.setattr("mediaref_tools.media.packetfile._READ_BYTES", 30)
        reads.clear()
        assert {at: bytes(data) for at, data in file.packets(table, 0, 5)} == found
        assert reads == [(10, 5), (30, 23), (100_000, 10), (100_010, 200)]


def test_a_crew_runs_everything_once_side_by_side() -> None:
    crew = Crew(3)
    together = threading.Barrier(3, timeout=20)
    crew.run([together.wait] * 3)
    done: list[int] = []
    crew.run([partial(done.append, at) for at in range(100)])
    assert sorted(done) == list(range(100))
    crew.run([])
    crew.close()
    crew.close()
    crew.run([lambda: done.append(-1)] * 3)  # in this thread
    assert done[-3:] == [-1] * 3


def test_a_crew_that_fails_says_why_and_ends() -> None:
    crew, done = Crew(2), list[float]()
    calls = [partial(lambda at: done.append(1 / (at - 3)), at) for at in range(1000)]
    with pytest.raises(ZeroDivisionError):
        crew.run(calls)
    assert len(done) < 900
    crew.run([lambda: done.append(0)])
    crew.close()


def test_what_crews_are_made_of() -> None:
    assert Crew().threads >= 1
    with pytest.raises(FrameError, match="0 threads: expected at least 1"):
        Crew(0)
    again = pickle.loads(pickle.dumps(Crew(3)))
    assert again.threads == 3
    tools = pickle.loads(pickle.dumps(Tools(list)))
    with tools.one() as one, tools.one() as other:
        assert one is not other
    with tools.one() as again:
        assert again is other or again is one


_ENDING = """
import pickle, sys
from mediaref_tools.errors import MediaError
from mediaref_tools.media.gop import Group
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.packetfile import PacketFile

path, table = pickle.load(sys.stdin.buffer)
def put(at, frame):
    raise KeyError  # with frames on their way

with PacketFile(path, "video", MediaError) as opened:
    for _ in range(300):
        try:
            GopDecoders(4).decode(opened, table, Group(0, tuple(range(24))), 4, put)
        except KeyError:
            pass
"""


def test_decoders_of_several_threads_end_while_they_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To end, it waits for its threads, which must not wait for Python's lock: PyAV's packets around bytes do."""
    reader = Reader(tmp_path / "a.mp4", monkeypatch, 0)
    given = pickle.dumps((reader.path, reader.table))
    subprocess.run([sys.executable, "-c", _ENDING], input=given, check=True, timeout=60)
