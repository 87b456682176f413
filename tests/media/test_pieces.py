"""Pieces of remote files: fetched once, side by side, held up to a bound; and foreseeing what is read next."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest

from mediaref_tools.errors import MediaError, TrustError
from mediaref_tools.media import pieces
from mediaref_tools.media.pieces import Fetched, Pieces, Wanted
from mediaref_tools.media.readahead import ReadAhead
from mediaref_tools.media.storage import Ranges
from mediaref_tools.media.trust import inside_remote
from mediaref_tools.media.uri import member

SIZE = 50_000


class Source(Ranges):
    """Bytes in memory that note what is fetched of them, and can hold their answers back."""

    def __init__(self, name: str) -> None:
        super().__init__(name, None, SIZE)
        self.data = random.Random(name).randbytes(SIZE)
        self.asked: list[tuple[int, int]] = []
        self.open = threading.Event()
        self.open.set()
        self.fails = self.closed = False

    def fetch(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        assert self.open.wait(20)
        if self.fails:
            raise MediaError("gone")
        return self.data[start:stop]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def source() -> Source:
    return Source("a")


@pytest.fixture
def held(source: Source) -> Iterator[Pieces]:
    made = Pieces(lambda name: source if name == "a" else Source(name))
    yield made
    source.open.set()
    made.close()
    assert source.closed or not source.asked


def at(*ranges: tuple[int, int]) -> list[Wanted]:
    return [Wanted("a", begin, stop) for begin, stop in ranges]


def test_any_reads_are_those_of_the_file_and_no_byte_comes_twice(source: Source, held: Pieces) -> None:
    dice = random.Random(1)
    for _ in range(300):
        begin = dice.randrange(SIZE)
        stop = min(SIZE, begin + dice.choice([1, 30, 900, 20_000]))
        if dice.random() < 0.3:
            held.ask(at((begin, stop)))
        assert held.read(Wanted("a", begin, stop)) == source.data[begin:stop]
    spans = sorted(source.asked)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert held.fetched == Fetched(len(spans), sum(stop - start for start, stop in spans))


def test_neighbours_are_one_request_where_that_costs_little(
    source: Source, held: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held.held(at((1000, 1100), (0, 400), (425, 800), (1105, 1180), (790, 810))):
        held.read(Wanted("a", 1000, 1100))
    assert sorted(source.asked) == [(0, 810), (1000, 1180)]
    source.asked.clear()
    monkeypatch.setattr(pieces, "_PIECE_BYTES", 1000)
    with held.held(at((5000, 5600), (5600, 6000), (6000, 6100), (6100, 8000))):
        held.read(Wanted("a", 5000, 8000))
    assert sorted(source.asked) == [(5000, 6000), (6000, 6100), (6100, 8000)]


def test_what_is_on_its_way_is_waited_for_not_fetched_again(source: Source, held: Pieces) -> None:
    source.open.clear()
    held.ask(at((0, 100), (5000, 5100)))
    assert held.is_near(at((0, 50), (5050, 5100)))
    assert not held.is_near(at((0, 101)))
    found: list[bytes] = []
    readers = [threading.Thread(target=lambda: found.append(held.read(Wanted("a", 20, 120)))) for _ in range(4)]
    for reader in readers:
        reader.start()
    source.open.set()
    for reader in readers:
        reader.join()
    assert found == [source.data[20:120]] * 4
    assert sorted(source.asked) == [(0, 100), (100, 120), (5000, 5100)]


def test_what_was_not_used_for_longest_is_let_go_of_but_nothing_that_a_call_needs(
    source: Source, held: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "KEPT_BYTES", 2500)
    with held.held(at((0, 1000), (2000, 3000), (4000, 5000))):
        for begin in (6000, 8000, 10_000):
            held.read(Wanted("a", begin, begin + 1000))
        assert held.is_near(at((0, 1000), (2000, 3000), (4000, 5000), (10_000, 11_000)))
        assert not held.is_near(at((6000, 6001)))
    held.read(Wanted("a", 2000, 2001))
    held.read(Wanted("a", 20_000, 20_100))
    assert held.is_near(at((2000, 3000), (10_000, 11_000), (20_000, 20_100)))
    assert not held.is_near(at((0, 1)))
    assert held._bytes == 2100


def test_what_failed_is_asked_for_again(source: Source, held: Pieces) -> None:
    source.fails = True
    for _ in range(2):
        with held.held(at((0, 10))), pytest.raises(MediaError, match="gone"):
            held.read(Wanted("a", 0, 10))
    assert held._bytes == 0
    source.fails = False
    assert held.read(Wanted("a", 0, 10)) == source.data[:10]
    assert held.fetched.requests == 1


def test_a_fork_waits_for_nothing_of_its_parent_s(
    source: Source, held: Pieces, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.open.clear()
    held.ask(at((0, 10)))
    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        assert not held.is_near(at((0, 10)))
        source.open.set()
        assert held.read(Wanted("a", 0, 10)) == source.data[:10]
        held.close()
    held._process = os.getpid()


def test_once_closed_nothing_is_fetched_ahead(source: Source, held: Pieces) -> None:
    held.read(Wanted("a", 0, 10))
    held.close()
    held.ask(at((20, 30)))
    assert source.asked == [(0, 10)]
    assert held.read(Wanted("a", 20, 30)) == source.data[20:30]


# --- what is read next


def foreseen(ahead: ReadAhead, *calls: Sequence[int]) -> list[list[int]]:
    return [ahead.after(np.array(call, np.int64)).tolist() for call in calls]


def test_who_goes_frame_by_frame_needs_the_next_group() -> None:
    ahead = ReadAhead(np.arange(0, 100, 10), 100)
    found = foreseen(ahead, *[[index] for index in range(100)])
    assert found[0] == []
    assert found[1] == list(range(2, 20))  # to the end of the next group
    told = {frame for each in found for frame in each}
    assert told == set(range(2, 100))
    assert all(index + 1 in {frame for each in found[: index + 1] for frame in each} for index in range(1, 99))
    assert sum(map(bool, found)) <= 14  # some at a time


def test_batches_and_strides_are_followed() -> None:
    ahead = ReadAhead(np.arange(0, 100, 10), 100)
    assert foreseen(ahead, range(8), range(8, 16))[1][:8] == list(range(16, 24))
    ahead = ReadAhead(np.arange(0, 1000, 10), 1000)
    assert foreseen(ahead, [0], [20], [40], [60]) == [[], [], [60], [80]]
    ahead = ReadAhead(np.arange(0, 1000, 10), 1000)
    assert foreseen(ahead, [0, 5, 10], [15, 20, 25])[1][:3] == [30, 35, 40]
    ahead = ReadAhead(np.arange(0, 1), 10_000)
    assert max(foreseen(ahead, [0], [1])[1]) == 256  # no keyframe for long


def test_who_jumps_is_left_alone() -> None:
    dice = random.Random(2)
    ahead = ReadAhead(np.arange(0, 10_000, 10), 10_000)
    for _ in range(200):
        begin = dice.randrange(9000)
        assert foreseen(ahead, range(begin, begin + 40, 5)) == [[]]
    assert foreseen(ahead, [9998], [9999], [], [3]) == [[], [], [], []]
    assert foreseen(ahead, [0], [1])[1]  # and begins anew
    assert foreseen(ahead, [2], [0], [1])[2]


# --- names of files in a folder elsewhere


@pytest.mark.parametrize(
    ("folder", "is_named"),
    [
        ("s3://bucket/drive", "s3://bucket/drive/a/b.mp4"),
        ("s3://bucket/drive/", "s3://bucket/drive/a/b.mp4"),
        ("https://u:p@host/drive/?sig=1&b=2", "https://u:p@host/drive/a/b.mp4?sig=1&b=2"),
        ("http://[::1]:80/drive", "http://[::1]:80/drive/a/b.mp4"),
        ("zip://drive::https://host/b.zip?sig=1", "zip://drive/a/b.mp4::https://host/b.zip?sig=1"),
        ("zip://::s3://bucket/b.zip", "zip://a/b.mp4::s3://bucket/b.zip"),
        ("simplecache::s3://bucket/drive", "simplecache::s3://bucket/drive/a/b.mp4"),
    ],
)
def test_a_file_in_a_folder(folder: str, is_named: str) -> None:
    assert member(folder, "a/b.mp4") == is_named
    assert inside_remote(folder, "./a//b.mp4") == is_named


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "s3://b/a", "a%2e", "a?b", "a#b", "a::b", "a\\b", "", "."])
def test_what_may_lead_out_of_a_folder_is_refused(name: str) -> None:
    with pytest.raises(TrustError, match="uri"):
        inside_remote("s3://bucket/drive", name)
