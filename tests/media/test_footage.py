"""Every frame of the recorded footage is chosen as plain decoding from the start would: at its pts, before the next
frame's, and between.
"""

from __future__ import annotations

import hashlib
import random
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.media.video import VideoDecoder
from tests.reallogs import real_log

FOOTAGE = [
    "footage/karma.mp4",
    "footage/lerobot_wrist0.mp4",
    "footage/so101_wrist.mp4",
    "footage/udacity_yellow.mp4",
    "found/owamcap/0.5.1.mkv",
    "found/owamcap/example.mkv",
    "found/owamcap/example_video.mkv",
]
NS = 10**9
SAMPLE = 60


class Sequential(NamedTuple):
    """Each frame's first ns, and a digest of its own bytes in gray, which tells frames apart."""

    times: list[int]
    digests: list[bytes]


def digest(luma: NDArray[np.uint8]) -> bytes:
    return hashlib.sha256(luma.tobytes()).digest()


@pytest.fixture(scope="module", params=FOOTAGE)
def film(request: pytest.FixtureRequest) -> tuple[Path, Sequential]:
    path = real_log(request.param)
    times, digests = [], []
    with av.open(str(path)) as container, VideoDecoder(path) as ours:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        assert stream.time_base is not None
        for frame in container.decode(stream):
            assert frame.pts is not None
            times.append(ceil(frame.pts * Fraction(stream.time_base) * NS))
            digests.append(digest(ours._raster.array(frame, "gray")))
    assert times == sorted(set(times))
    assert len(times) > 10
    return path, Sequential(times, digests)


def questions(film: Sequential) -> list[tuple[int, int]]:
    """Three times of each frame: its first and its last ns, and one between; of the last, what the stream leaves it."""
    draw = random.Random(7)
    asked = []
    for index, begin in enumerate(film.times):
        end = film.times[index + 1] if index + 1 < len(film.times) else begin + 1
        asked += [(begin, index), (draw.randrange(begin, end), index), (end - 1, index)]
    return asked


def test_every_frame_in_one_batch(film: tuple[Path, Sequential]) -> None:
    path, sequential = film
    asked = questions(sequential)
    seen = 0
    last: NDArray[np.uint8] | None = None
    with VideoDecoder(path) as decoder:
        for position, frame in decoder.frames_at([time for time, _ in asked], "gray"):
            index = asked[position][1]
            assert frame.pts_ns == sequential.times[index]
            if frame.data is not last:
                assert digest(frame.data) == sequential.digests[index], f"frame {index} at {asked[position][0]} ns"
            last = frame.data
            seen += 1
    assert seen == len(asked)


def test_a_sample_in_random_order(film: tuple[Path, Sequential]) -> None:
    path, sequential = film
    asked = questions(sequential)
    sample = random.Random(8).sample(asked, min(SAMPLE, len(asked)))
    with VideoDecoder(path) as decoder:
        for time, index in sample:
            frame = decoder.frame_at(time, "gray")
            assert frame.pts_ns == sequential.times[index]
            assert digest(frame.data) == sequential.digests[index], f"frame {index} at {time} ns"


def test_times_and_counts(film: tuple[Path, Sequential]) -> None:
    path, sequential = film
    with VideoDecoder(path) as decoder:
        assert decoder.pts_ns.tolist() == sequential.times
        assert decoder.metadata.num_frames == len(sequential.times)
        assert decoder.metadata.begin_stream_seconds == pytest.approx(sequential.times[0] / NS, abs=1e-9)
        assert decoder.metadata.end_stream_seconds > sequential.times[-1] / NS
