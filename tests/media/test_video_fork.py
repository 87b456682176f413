"""A decoder in a process and in its fork: each shows the right frames, whatever the other reads meanwhile."""

from __future__ import annotations

import multiprocessing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mediaref_tools import VideoDecoder
from mediaref_tools.sample import frame_number, numbered_image

COUNT, STEP = 80, 40_000_000
ORDER = [number * 37 % COUNT for number in range(2 * COUNT)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered frames with noise beside the number, so that each GOP is larger than any buffer."""
    path = tmp_path_factory.mktemp("fork") / "clip.mp4"
    noise = np.random.default_rng(1).integers(0, 255, (COUNT, 160, 320, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "18", "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 320, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.gop_size = 5
        for number in range(COUNT):
            picture = np.concatenate([numbered_image(number, 320, 160), noise[number]])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert path.stat().st_size > 2**20
    return path


def shown(video: VideoDecoder, numbers: list[int]) -> list[int]:
    return [frame_number(video.frame_at(number * STEP).data[:160]) for number in numbers]


def in_fork(video: VideoDecoder, answers: multiprocessing.Queue[list[int]]) -> None:
    answers.put(shown(video, ORDER[::-1]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_parent_and_child_share_no_place_in_the_file(clip: Path) -> None:
    context = multiprocessing.get_context("fork")
    with VideoDecoder(clip) as video:
        assert shown(video, [50, 3]) == [50, 3]
        answers: multiprocessing.Queue[list[int]] = context.Queue()
        child = context.Process(target=in_fork, args=(video, answers))
        child.start()
        mine = shown(video, ORDER)
        theirs = answers.get(timeout=60)
        child.join(60)
        assert (mine, theirs) == (ORDER, ORDER[::-1])
        assert child.exitcode == 0
        assert shown(video, [7]) == [7]
