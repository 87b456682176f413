"""Every frame of every odd video is the one that plain decoding from the start shows at that time."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaref_tools.clock import Clock
from mediaref_tools.errors import FrameError
from mediaref_tools.video import VideoDecoder
from tests.oddvideos import ODD, OddVideo, Shown, number, numbered, sequential

NS = 10**9
# What edit lists and starts leave: frames that carry these numbers, in this order.
LEFT_OUT = {
    "h264_negative.mp4": list(range(6, 60)),
    "h264_edit_mid.mp4": list(range(8, 60)),
    "h264_edit_out.mp4": list(range(21)),
    "h264_edit_twice.mp4": [*range(14), *range(14)],
    "h264_edit_pause.mp4": [*range(14), *range(28)],
}


class Made:
    """Odd videos, each written and decoded from the start once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[Path, Fraction, list[Shown]]] = {}

    def __call__(self, name: str) -> tuple[Path, Fraction, list[Shown]]:
        if name not in self._known:
            path = ODD[name].write(self._folder)
            self._known[name] = path, *sequential(path)
        return self._known[name]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("odd"))


def oracle(base: Fraction, frames: list[Shown], time_ns: int) -> int:
    """The last frame whose time is not after another, by looking at all of them."""
    return max(i for i, frame in enumerate(frames) if frame.tick * base * NS <= time_ns)


def asked(base: Fraction, frames: list[Shown], seed: int = 0) -> list[tuple[int, int]]:
    """Times to ask for, with the frame that is on screen then: each frame's first and last ns, and one between."""
    draw = random.Random(seed)
    times = [math.ceil(frame.tick * base * NS) for frame in frames]
    edges = []
    for begin, end in zip(times, [*times[1:], times[-1] + 1], strict=True):
        edges += [begin, end - 1, draw.randint(begin, max(begin, end - 1))]
    edges = [time for time in edges if time >= times[0]]
    return [(time, oracle(base, frames, time)) for time in edges]


def same(got: NDArray[np.uint8], frame: Shown) -> bool:
    """Whether it is the same picture; our conversion rounds better than the oracle's."""
    return bool(got.shape == frame.rgb.shape and np.abs(got.astype(int) - frame.rgb).max() <= 4)


@pytest.mark.parametrize("name", ODD)
class TestFrameChoice:
    def test_the_recipe_makes_what_it_says(self, made: Made, name: str) -> None:
        _, _, frames = made(name)
        assert [number(frame.rgb) for frame in frames] == LEFT_OUT.get(name, list(range(60)))

    def test_frame_at_in_random_order(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        questions = asked(base, frames)
        random.Random(1).shuffle(questions)
        with VideoDecoder(path) as decoder:
            for time, index in questions:
                frame = decoder.frame_at(time)
                assert same(frame.data, frames[index]), (time, number(frame.data), index)
                assert frame.pts_ns == math.ceil(frames[index].tick * base * NS)
                if index + 1 < len(frames):
                    assert frame.until_ns == math.ceil(frames[index + 1].tick * base * NS)

    def test_each_first_thing_asked(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        for time, index in random.Random(2).sample(asked(base, frames), 12):
            with VideoDecoder(path) as decoder:
                assert same(decoder.frame_at(time).data, frames[index])

    def test_frames_at_in_one_batch(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        questions = asked(base, frames)
        random.Random(3).shuffle(questions)
        with VideoDecoder(path) as decoder:
            got = dict(decoder.frames_at([time for time, _ in questions]))
            assert sorted(got) == list(range(len(questions)))
            for position, (_, index) in enumerate(questions):
                assert same(got[position].data, frames[index])

    def test_ascending(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        with VideoDecoder(path) as decoder:
            for time, index in sorted(asked(base, frames)):
                assert same(decoder.frame_at(time).data, frames[index])

    def test_sparse_ascending_and_back(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        questions = sorted(asked(base, frames))[::17]
        with VideoDecoder(path) as decoder:
            for time, index in [*questions, *reversed(questions)]:
                assert same(decoder.frame_at(time).data, frames[index])

    def test_times_of_all_frames(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        with VideoDecoder(path) as decoder:
            assert decoder.pts_ns.tolist() == [math.ceil(frame.tick * base * NS) for frame in frames]
            assert decoder.pts_ns.dtype == np.int64
            assert decoder.metadata.num_frames == len(frames)
            assert decoder.metadata.begin_stream_seconds == float(frames[0].tick * base)
            assert decoder.metadata.end_stream_seconds > float(frames[-1].tick * base)

    def test_outside_of_the_stream(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        begin = math.ceil(frames[0].tick * base * NS)
        with VideoDecoder(path) as decoder:
            end = decoder.frame_at(math.ceil(frames[-1].tick * base * NS)).until_ns
            assert same(decoder.frame_at(end - 1).data, frames[-1])
            for time in (begin - 1, end, end + NS, 2**63 - 1, -(2**63), 2**80, -(2**80)):
                with pytest.raises(FrameError, match=f"stream runs from {begin} to {end} ns") as raised:
                    decoder.frame_at(time)
                assert str(raised.value).endswith(str(path))
                assert same(decoder.frame_at(begin).data, frames[0])

    def test_played_at_a_frames_own_seconds(self, made: Made, name: str) -> None:
        path, base, frames = made(name)
        seconds = [float(frame.tick * base) for frame in frames]
        order = random.Random(4).sample(range(len(frames)), len(frames))
        with VideoDecoder(path) as decoder:
            batch = decoder.get_frames_played_at([seconds[at] for at in order])
        height, width, _ = frames[0].rgb.shape
        assert (batch.data.shape, batch.data.dtype) == ((len(frames), 3, height, width), np.uint8)
        assert batch.data.flags.c_contiguous
        assert batch.pts_seconds.tolist() == [seconds[at] for at in order]
        for row, at in zip(batch.data, order, strict=True):
            assert same(row.transpose(1, 2, 0), frames[at])
