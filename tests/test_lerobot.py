"""LeRobot's times in float seconds: every reference shows the frame that was meant."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mediaref_tools as mrt
from mediaref_tools.errors import FrameError, MediaError, MediaNotFound, RefError
from mediaref_tools.lerobot import from_videoframe, lerobot_episode_to_refs, to_videoframe
from mediaref_tools.samples.scene import frame_number, numbered_image
from tests.reallogs import real_log

COUNT = 90
FIRST = 30  # the episode begins in the middle of its video


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 90 numbered frames at 30 frames a second, in ticks of 1/15360 s, as LeRobot writes them."""
    path = tmp_path_factory.mktemp("shard") / "file-000.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"g": "2", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(numbered_image(number, 96, 64), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video[0].time_base == Fraction(1, 15360)
    return path


def numbers(refs: list[mrt.MediaRef]) -> list[int]:
    return [frame_number(picture) for picture in mrt.batch_decode(refs)]


@pytest.mark.parametrize(
    ("seconds", "pts_ns"),
    [
        (0.0, 0),
        (0, 0),
        (0.1, 100_000_000),
        (0.1 + 0.2, 300_000_000),  # 0.30000000000000004
        (0.7 + 0.1, 800_000_000),  # 0.7999999999999999
        (1 / 30, 33_333_334),
        (2 / 30, 66_666_667),
        (1.0 + 2 / 30, 1_066_666_667),
        (1001 / 30000, 33_366_667),
        (3600.1, 3_600_100_000_000),
        (86_399.999_999_999, 86_399_999_999_999),
        (np.float64(0.1), 100_000_000),
        (np.array(0.1), 100_000_000),
        (pa.scalar(0.1), 100_000_000),
    ],
)
def test_seconds_become_the_smallest_whole_ns_that_is_not_before_them(seconds: Any, pts_ns: int) -> None:
    assert from_videoframe({"path": "a.mp4", "timestamp": seconds}) == mrt.MediaRef(uri="a.mp4", pts_ns=pts_ns)


@settings(max_examples=400)
@given(
    st.sampled_from([Fraction(fps) for fps in (10, 12, 15, 24, 25, 29, 30, 50, 60)] + [Fraction(30000, 1001)]),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
)
def test_a_frame_s_time_is_never_before_the_frame_nor_a_whole_ns_after(fps: Fraction, begin: int, index: int) -> None:
    (ref,) = lerobot_episode_to_refs("a.mp4", float(begin / fps), [float(index / fps)], snap=False)
    exact = (begin + index) / fps * 10**9
    assert ref.pts_ns is not None
    assert exact <= ref.pts_ns
    assert ref.pts_ns - exact <= 1 or begin + index > 10**5  # float64 itself tells no more, some hours on
    assert ref.pts_ns - exact < 2


@given(st.integers(0, 10**15))
def test_a_reference_comes_back_from_its_videoframe(pts_ns: int) -> None:
    ref = mrt.MediaRef(uri="videos/a.mp4", pts_ns=pts_ns)
    frame = to_videoframe(ref)
    assert frame == {"path": "videos/a.mp4", "timestamp": pts_ns / 1e9}
    assert from_videoframe(frame) == ref


def test_a_still_is_no_videoframe() -> None:
    with pytest.raises(ValueError, match=r"still: a\.png"):
        to_videoframe(mrt.MediaRef(uri="a.png"))


def test_float64_times_show_their_frames_without_looking_at_the_video(shard: Path) -> None:
    times = [index / 30 for index in range(COUNT - FIRST)]
    refs = lerobot_episode_to_refs(shard, FIRST / 30, times, snap=False)
    assert numbers(refs) == list(range(FIRST, COUNT))
    alone = [from_videoframe({"path": str(shard), "timestamp": index / 30}) for index in range(COUNT)]
    assert numbers(alone) == list(range(COUNT))


@pytest.mark.parametrize("as_a", [np.asarray, list, pa.array, tuple], ids=["numpy", "list", "pyarrow", "tuple"])
def test_float32_times_are_moved_to_the_video_s_frames(shard: Path, as_a: Any) -> None:
    times = (np.arange(COUNT - FIRST) / 30).astype(np.float32)
    refs = lerobot_episode_to_refs(shard, FIRST / 30, as_a(times))
    assert numbers(refs) == list(range(FIRST, COUNT))
    with mrt.VideoDecoder(shard) as video:
        assert [ref.pts_ns for ref in refs] == video.pts_ns[FIRST:].tolist()
    # It takes the video: as they are, some of these times lie before their frame.
    assert numbers(lerobot_episode_to_refs(shard, FIRST / 30, times, snap=False)) != list(range(FIRST, COUNT))
    one = from_videoframe({"path": str(shard), "timestamp": np.float32(1.1)}, snap=True)
    assert numbers([one]) == [33]


def test_what_is_near_no_frame_is_refused_with_both_times(shard: Path) -> None:
    times = [0.0, 1 / 30, 2 / 30 + 0.01]
    with pytest.raises(
        FrameError, match=r"frame 2 is at 76666667 ns, .* at 66666667 ns, .*tolerance_s=0\.0001.*file-000"
    ):
        lerobot_episode_to_refs(shard, 0.0, times)
    assert numbers(lerobot_episode_to_refs(shard, 0.0, times, tolerance_s=0.011)) == [0, 1, 2]
    with pytest.raises(FrameError, match="frame 0 is at 1016666667 ns"):
        lerobot_episode_to_refs(shard, 1.0, [0.5 / 30])
    with pytest.raises(FrameError, match=r"frame 0 is at 3000000000 ns, .* at 2966666667 ns"):
        lerobot_episode_to_refs(shard, 0.0, [3.0])


def test_times_are_moved_where_the_video_is_there(tmp_path: Path, shard: Path) -> None:
    late = [33_333_350 / 1e9]
    assert lerobot_episode_to_refs(shard, 0.0, late)[0].pts_ns == 33_333_334
    assert lerobot_episode_to_refs(shard.as_uri(), 0.0, late)[0].pts_ns == 33_333_334
    assert lerobot_episode_to_refs(shard, 0.0, late, snap=False)[0].pts_ns == 33_333_350
    for absent in (tmp_path / "absent.mp4", "s3://bucket/file.mp4", "hf://datasets/a/b.mp4"):
        (ref,) = lerobot_episode_to_refs(absent, 0.0, late)
        assert ref == mrt.MediaRef(uri=str(absent), pts_ns=33_333_350)
    with pytest.raises(MediaNotFound, match=r"absent\.mp4"):
        lerobot_episode_to_refs(tmp_path / "absent.mp4", 0.0, late, snap=True)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"text\.mp4"):
        lerobot_episode_to_refs(tmp_path / "text.mp4", 0.0, late)
    assert lerobot_episode_to_refs(shard, 0.0, []) == []
    assert lerobot_episode_to_refs(shard, 1.0, [-1e-9])[0].pts_ns == 1_000_000_000


@pytest.mark.parametrize("time", [-0.01, float("nan"), float("inf"), 1e300, -1e300])
@pytest.mark.parametrize("snap", [False, True])
def test_times_that_are_none_are_refused(shard: Path, time: float, snap: bool) -> None:
    with pytest.raises((RefError, FrameError), match=r"frame 1 is at .*file-000\.mp4"):
        lerobot_episode_to_refs(shard, 0.0, [0.0, time], snap=snap)


@pytest.mark.parametrize("missing", ["path", "timestamp"])
def test_a_missing_key_is_a_key_error(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        from_videoframe({key: value for key, value in (("path", "a.mp4"), ("timestamp", 0.0)) if key != missing})


def texts() -> Iterator[float]:
    yield "0.1"  # type: ignore[misc]


@pytest.mark.parametrize(
    "call",
    [
        lambda: from_videoframe([("path", "a.mp4")]),  # type: ignore[arg-type]
        lambda: from_videoframe({"path": 3, "timestamp": 0.0}),
        lambda: from_videoframe({"path": b"a.mp4", "timestamp": 0.0}),
        lambda: from_videoframe({"path": "a.mp4", "timestamp": "0.1"}),
        lambda: from_videoframe({"path": "a.mp4", "timestamp": True}),
        lambda: from_videoframe({"path": "a.mp4", "timestamp": None}),
        lambda: from_videoframe({"path": "a.mp4", "timestamp": np.zeros(1)}),
        lambda: lerobot_episode_to_refs("a.mp4", "0", [0.0]),  # type: ignore[arg-type]
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, "0.1"),  # type: ignore[arg-type]
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, 0.1),  # type: ignore[arg-type]
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, texts()),
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, [None]),  # type: ignore[list-item]
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, np.zeros((2, 1))),
        lambda: lerobot_episode_to_refs("a.mp4", 0.0, [np.bool_(True)]),  # type: ignore[list-item]
    ],
)
def test_values_of_wrong_types_are_type_errors(call: Any) -> None:
    with pytest.raises(TypeError, match=r"expected|not a"):
        call()


def test_every_frame_of_lerobot_s_own_video(tmp_path: Path) -> None:
    path = real_log("footage/lerobot_wrist0.mp4")
    with mrt.VideoDecoder(path) as video:
        pts_ns = video.pts_ns.tolist()
    assert len(pts_ns) == 775
    begin = 200  # the second episode, say
    times = (np.arange(len(pts_ns) - begin) / 30).astype(np.float32)
    refs = lerobot_episode_to_refs(path, begin / 30, times)
    assert [ref.pts_ns for ref in refs] == pts_ns[begin:]
    plain = lerobot_episode_to_refs(path, 0.0, [index / 30 for index in range(len(pts_ns))], snap=False)
    assert [ref.pts_ns for ref in plain] == pts_ns
    wanted = list(range(begin, len(pts_ns), 61))
    sequential = {}
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                sequential[number] = frame.to_ndarray(format="gray")
    for number in wanted:
        gray = refs[number - begin].to_ndarray("gray")
        errors = {
            other: float(np.square(gray - picture.astype(np.float32)).mean()) for other, picture in sequential.items()
        }
        assert min(errors, key=errors.__getitem__) == number
