"""Every frame of every odd video is the one that plain decoding from the start shows at that time."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError, MediaError
from mediaref_tools.media.clock import Clock
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.media.videobatch import VideoBatch
from mediaref_tools.pixels.raster import Raster
from tests.oddvideos import ODD, OddVideo, Shown, number, sequential

NS = 10**9
# What edit lists and starts leave: frames that carry these numbers, in this order.
LEFT_OUT = {
    "h264_negative.mp4": list(range(6, 60)),
    "h264_edit_mid.mp4": list(range(8, 60)),
    "h264_edit_out.mp4": list(range(21)),
    "h264_edit_twice.mp4": [*range(14), *range(14)],
    "h264_edit_pause.mp4": [*range(14), *range(14), *range(10, 24)],
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
            last = float(frames[-1].tick * base)
            assert last < decoder.metadata.end_stream_seconds < last + 1

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
        assert batch.data.shape == (len(frames), 3, height, width)
        assert batch.data.dtype == np.uint8
        assert batch.data.flags.c_contiguous
        assert batch.pts_seconds.tolist() == [seconds[at] for at in order]
        for row, at in zip(batch.data, order, strict=True):
            assert same(row.transpose(1, 2, 0), frames[at])


def test_an_entry_at_a_keyframe_is_faster_than_the_start(made: Made) -> None:
    """Far targets are not reached by decoding all that lies before: counted, not timed."""
    path, base, frames = made("h264.mp4")
    with VideoDecoder(path) as decoder:
        stream = decoder._stream
        pulled = 0
        original = stream._packets._decoded

        def counting(*args: Any) -> Iterator[Any]:
            nonlocal pulled
            for frame in original(*args):
                pulled += 1
                yield frame

        stream._packets._decoded = counting  # type: ignore[method-assign,assignment]
        decoder.frame_at(math.ceil(frames[-1].tick * base * NS))
    assert 1 <= pulled <= 13


CLOCKS = [Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 15_360), Fraction(1001, 30_000), Fraction(1, 10**6)]
CHEAP = [("mjpeg.mp4", "yuvj420p"), ("mjpeg.mkv", "yuvj420p"), ("ffv1.nut", "yuv420p"), ("ffv1.mkv", "gray")]


@st.composite
def irregular(draw: st.DrawFn, codecs: list[tuple[str, str]], options: st.SearchStrategy[dict[str, str]]) -> OddVideo:
    name, pixels = draw(st.sampled_from(codecs))
    gaps = draw(st.lists(st.one_of(st.integers(1, 3), st.integers(1, 100_000)), max_size=40))
    return OddVideo(
        name,
        name.partition(".")[0],
        [0, *accumulate(gaps)],
        draw(st.sampled_from([*CLOCKS, Fraction(1, 10**9)])),
        pixels=pixels,
        size=(32, 16),
        gop=draw(st.integers(1, 50)),
        options=draw(options),
    )


def check_against_oracle(video: OddVideo, ask: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = video.write(Path(folder))
        base, frames = sequential(path)
        assert len(frames) == len(video.ticks)
        begin = math.ceil(frames[0].tick * base * NS)
        with VideoDecoder(path) as decoder:
            end = decoder.frame_at(math.ceil(frames[-1].tick * base * NS)).until_ns
            times = [begin + at % (end - begin) for at in ask] + [frame[0] for frame in asked(base, frames)]
            random.Random(len(ask)).shuffle(times)
            for time in times:
                frame = decoder.frame_at(time)
                index = oracle(base, frames, time)
                assert (frame.pts_ns, number(frame.data)) == (
                    math.ceil(frames[index].tick * base * NS),
                    number(frames[index].rgb),
                )
            for position, frame in decoder.frames_at(times):
                assert number(frame.data) == number(frames[oracle(base, frames, times[position])].rgb)


ASK = st.lists(st.integers(0, 10**14), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(irregular(CHEAP, st.just({})), ASK)
def test_frame_choice_in_any_irregular_video(video: OddVideo, ask: list[int]) -> None:
    check_against_oracle(video, ask)


X264 = st.fixed_dictionaries(
    {
        "preset": st.just("ultrafast"),
        "bf": st.integers(0, 5).map(str),
        "x264-params": st.sampled_from(
            ["b-adapt=0", "b-adapt=0:b-pyramid=strict", "b-adapt=1:open-gop=1", "open-gop=1:b-adapt=0:b-pyramid=normal"]
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(irregular([("libx264.mp4", "yuv420p"), ("libx264.mkv", "yuv420p"), ("libx264.nut", "yuv420p")], X264), ASK)
def test_frame_choice_with_any_gop(video: OddVideo, ask: list[int]) -> None:
    check_against_oracle(video, ask)


class TestClock:
    ticks = st.integers(-(2**62), 2**62)
    clocks = st.builds(Fraction, st.integers(1, 5000), st.integers(1, 10**9)).filter(lambda f: f >= Fraction(1, 10**9))
    any_clock = st.one_of(st.sampled_from([*CLOCKS, Fraction(1, 10**9), Fraction(1, 2**20)]), clocks).map(Clock)

    @given(any_clock, ticks)
    def test_a_ticks_first_ns(self, clock: Clock, tick: int) -> None:
        time = clock.ns(tick)
        assert time >= tick * clock.tick_seconds * NS > time - 1
        assert clock.tick(time) == tick
        assert clock.tick(time - 1) < tick

    @given(any_clock, st.integers(-(2**80), 2**80))
    def test_the_tick_of_any_ns(self, clock: Clock, time: int) -> None:
        tick = clock.tick(time)
        assert tick * clock.tick_seconds * NS <= time < (tick + 1) * clock.tick_seconds * NS

    @given(any_clock, st.data())
    def test_float_seconds(self, clock: Clock, data: st.DataObject) -> None:
        exact = data.draw(st.one_of(self.ticks.map(clock.seconds), st.floats(-(2.0**62), 2.0**62)))
        exact = max(-(2.0**62), min(2.0**62, exact))
        seconds = data.draw(st.sampled_from([exact, math.nextafter(exact, 0), math.nextafter(exact, 2.0**62)]))
        last = clock.tick_at_seconds(seconds)
        assert clock.seconds(last) <= seconds < clock.seconds(last + 1)
        before = clock.tick_before_seconds(seconds)
        assert clock.seconds(before) < seconds <= clock.seconds(before + 1)

    def test_a_tie_between_two_floats(self) -> None:
        clock = Clock(Fraction(1))
        assert clock.tick_at_seconds(2.0**54) == 2**54 + 2  # which is rounded to the even neighbour below
        assert clock.tick_at_seconds(2.0**54 + 4) == 2**54 + 6 - 1
        assert clock.tick_before_seconds(2.0**54 + 4) == 2**54 + 2
        assert clock.tick_before_seconds(2.0**54) == 2**54 - 2  # its lower neighbour is nearer than its upper one

    @pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e300, -(2.0**63)])
    def test_no_time(self, seconds: float) -> None:
        with pytest.raises(FrameError, match="beyond any stream"):
            Clock(Fraction(1, 1000)).tick_at_seconds(seconds)
        with pytest.raises(FrameError, match="beyond any stream"):
            Clock(Fraction(1, 1000)).tick_before_seconds(seconds)


class TestPlayed:
    """The methods named after TorchCodec's."""

    @pytest.fixture
    def decoder(self, tmp_path: Path) -> Iterator[VideoDecoder]:
        # Frames at 1, 1.1, 1.3, 1.6 … s: each lasts 100 ms longer than the one before it; the last until 5.6 s or so.
        ticks = [1000, *accumulate(range(100, 900, 100), initial=1000)][1:]
        path = OddVideo("clip.mp4", "mjpeg", ticks, pixels="yuvj420p").write(tmp_path)
        with VideoDecoder(path) as decoder:
            yield decoder

    def numbers(self, batch: VideoBatch) -> list[int]:
        return [number(row.transpose(1, 2, 0)) for row in batch.data]

    def test_in_the_order_asked_with_repeats(self, decoder: VideoDecoder) -> None:
        batch = decoder.get_frames_played_at([1.35, 1.0, 2.7, 1.3, 1.59999, 1.6])
        assert self.numbers(batch) == [2, 0, 5, 2, 2, 3]
        assert batch.data.shape == (6, 3, 48, 64)
        assert batch.pts_ns.tolist() == [
            1_300_000_000,
            10**9,
            2_500_000_000,
            1_300_000_000,
            1_300_000_000,
            1_600_000_000,
        ]
        assert batch.pts_seconds.tolist() == [1.3, 1.0, 2.5, 1.3, 1.3, 1.6]
        assert np.allclose(batch.duration_seconds, [0.3, 0.1, 0.6, 0.3, 0.3, 0.4], atol=1e-12)
        assert len(batch) == 6
        assert "VideoBatch(shape=(6, 3, 48, 64)" in repr(batch)

    def test_one_time_and_none(self, decoder: VideoDecoder) -> None:
        assert self.numbers(decoder.get_frames_played_at(1.3)) == [2]
        assert decoder.get_frames_played_at([]).data.shape == (0, 3, 48, 64)

    @pytest.mark.parametrize("seconds", [0.0, 0.9999999, -1.0, 99.0, math.nan, math.inf])
    def test_outside(self, decoder: VideoDecoder, seconds: float) -> None:
        with pytest.raises(ValueError, match=r"beyond any stream|stream runs from 1000000000 to") as raised:
            decoder.get_frames_played_at([1.0, seconds])
        assert isinstance(raised.value, FrameError)

    @pytest.mark.parametrize(
        ("start", "stop", "expected"),
        [
            (1.0, 1.1, [0]),
            (1.0, 1.1000001, [0, 1]),
            (1.05, 1.7, [0, 1, 2, 3]),
            (1.1, 1.3, [1]),
            (1.1, 1.1, []),
            (1.0, 1.0, []),
            (1.29, 1.31, [1, 2]),
        ],
    )
    def test_range_is_half_open(self, decoder: VideoDecoder, start: float, stop: float, expected: list[int]) -> None:
        batch = decoder.get_frames_played_in_range(start, stop)
        assert self.numbers(batch) == expected
        assert batch.data.shape[1:] == (3, 48, 64)

    def test_the_whole_stream(self, decoder: VideoDecoder) -> None:
        metadata = decoder.metadata
        batch = decoder.get_frames_played_in_range(metadata.begin_stream_seconds, metadata.end_stream_seconds)
        assert self.numbers(batch) == list(range(9))
        assert batch.pts_seconds[-1] + batch.duration_seconds[-1] == pytest.approx(metadata.end_stream_seconds)
        assert (
            decoder.get_frames_played_in_range(metadata.end_stream_seconds, metadata.end_stream_seconds).data.size == 0
        )

    @pytest.mark.parametrize(
        ("start", "stop"), [(0.0, 1.2), (0.5, 0.5), (1.2, 1.0), (1.0, 99.0), (math.nan, 1.2), (1.0, math.inf)]
    )
    def test_range_refused(self, decoder: VideoDecoder, start: float, stop: float) -> None:
        with pytest.raises(FrameError, match=r"ends before it starts|runs from 1\.0 to"):
            decoder.get_frames_played_in_range(start, stop)

    def test_range_at_a_rate(self, decoder: VideoDecoder) -> None:
        assert self.numbers(decoder.get_frames_played_in_range(1.0, 1.5, fps=10)) == [0, 1, 1, 2, 2]
        assert self.numbers(decoder.get_frames_played_in_range(1.0, 1.3, fps=10)) == [0, 1, 1]
        assert self.numbers(decoder.get_frames_played_in_range(1.0, 1.05, fps=1)) == [0]
        assert self.numbers(decoder.get_frames_played_in_range(1.0, 2.0, fps=2)) == [0, 2]
        assert len(decoder.get_frames_played_in_range(1.0, decoder.metadata.end_stream_seconds, fps=30)) > 30
        for fps in (0, -1, math.nan, math.inf):
            with pytest.raises(FrameError, match="frames a second"):
                decoder.get_frames_played_in_range(1.0, 1.5, fps=fps)


def test_times_are_whole_numbers(made: Made) -> None:
    path, _, frames = made("ffv1.mkv")
    with VideoDecoder(path) as decoder:
        assert same(decoder.frame_at(np.int64(20_000_000)).data, frames[1])  # type: ignore[arg-type]
        got = dict(decoder.frames_at(np.array([20_000_000, 0], np.uint64)))
        assert same(got[0].data, frames[1])
        assert list(decoder.frames_at([])) == []
        for time in (0.5, "0", None, math.nan):
            with pytest.raises(FrameError, match="whole number of nanoseconds"):
                decoder.frame_at(time)  # type: ignore[arg-type]
            with pytest.raises(FrameError, match="whole number of nanoseconds"):
                decoder.frames_at(cast("list[int]", [time]))
        with pytest.raises(FrameError, match="stream runs from"):
            list(decoder.frames_at([0, 2**63]))


def test_frames_of_one_picture_share_it(made: Made) -> None:
    path, _, _ = made("ffv1.mkv")
    with VideoDecoder(path) as decoder:
        got = list(decoder.frames_at([19_999_999, 20_000_000, 0, 21_000_000]))
    assert [position for position, _ in got] == [2, 0, 1, 3]
    assert got[0][1].data is got[1][1].data
    assert got[2][1].data is got[3][1].data
    assert got[0][1].data is not got[2][1].data


def test_metadata(made: Made) -> None:
    path, _, _ = made("h264_start.mp4")
    with VideoDecoder(path) as decoder:
        metadata = decoder.metadata
        assert repr(decoder) == f"VideoDecoder({str(path)!r})"
    assert (metadata.num_frames, metadata.width, metadata.height) == (60, 64, 48)
    assert (metadata.codec, metadata.pixel_format, metadata.rotation_degrees) == ("h264", "yuv420p", 0)
    assert metadata.begin_stream_seconds == 5.0
    assert metadata.duration_seconds == pytest.approx(metadata.end_stream_seconds - 5.0)
    assert metadata.average_rate == pytest.approx(60 / 2.7, rel=0.05)


@pytest.mark.parametrize(("name", "degrees"), [("turned.mp4", 90), ("turned.mkv", -180), ("h264.mp4", 0)])
def test_rotation_is_told_and_not_applied(made: Made, name: str, degrees: int) -> None:
    path, _, frames = made(name)
    with VideoDecoder(path) as decoder:
        assert decoder.metadata.rotation_degrees in (degrees, -degrees if abs(degrees) == 180 else degrees)
        assert (decoder.metadata.width, decoder.metadata.height) == (64, 48)
        assert same(decoder.frame_at(0).data, frames[0])


def test_a_cover_is_no_video(made: Made) -> None:
    path, _, _ = made("cover.mp4")
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic, "the cover must come first"
    with VideoDecoder(path) as decoder:
        assert (decoder.metadata.codec, decoder.metadata.width) == ("h264", 64)


class TestFormats:
    @pytest.mark.parametrize(
        "name", ["ffv1_odd.mkv", "vp9_odd.webm", "mjpeg_odd.mp4", "ffv1_bgra.mkv", "h264_10bit.mp4"]
    )
    def test_orders_of_channels(self, made: Made, name: str) -> None:
        path, _, frames = made(name)
        height, width, _ = frames[0].rgb.shape
        with VideoDecoder(path) as decoder:
            rgb = decoder.frame_at(0).data
            assert rgb.shape == (height, width, 3)
            rounding = name == "h264_10bit.mp4"
            assert np.abs(decoder.frame_at(0, "bgr").data[..., ::-1].astype(int) - rgb).max() <= rounding
            rgba = decoder.frame_at(0, "rgba").data
            assert np.abs(rgba[..., :3].astype(int) - rgb).max() <= rounding
            assert (rgba[..., 3] == 255).all()
            bgra = decoder.frame_at(0, "bgra").data
            assert np.abs(bgra[..., [2, 1, 0, 3]].astype(int) - rgba).max() <= rounding
            gray = decoder.frame_at(0, "gray").data
            assert gray.shape == (height, width)
            assert np.abs(gray.astype(int) - rgb.mean(axis=2)).max() < 6
            assert rgb.flags.writeable
            assert rgb.flags.c_contiguous

    @pytest.mark.parametrize(
        ("pixels", "codec", "dtype", "highest"),
        [
            ("gray", "ffv1", np.uint8, 255),
            ("gray10le", "ffv1", np.uint16, 1023),
            ("gray12le", "ffv1", np.uint16, 4095),
            ("gray12le", "libx265", np.uint16, 4095),
            ("gray14le", "ffv1", np.uint16, 16_383),
            ("gray16le", "ffv1", np.uint16, 65_535),
            ("gray16be", "rawvideo", np.uint16, 65_535),
        ],
    )
    def test_gray_as_it_is_stored(self, tmp_path: Path, pixels: str, codec: str, dtype: type, highest: int) -> None:
        wanted: NDArray[Any] = np.random.default_rng(5).integers(0, highest + 1, (46, 68)).astype(dtype)
        wanted[0, :2] = 0, highest
        path = written(tmp_path / ("deep.nut" if codec == "rawvideo" else "deep.mp4"), codec, pixels, wanted)
        with VideoDecoder(path) as decoder:
            native = decoder.frame_at(decoder.pts_ns[0], "native").data
            assert decoder.metadata.pixel_format == pixels
            assert decoder.frame_at(decoder.pts_ns[0], "gray").data.dtype == np.uint8
        assert native.dtype == dtype
        assert native.shape == (46, 68)
        assert native.dtype.isnative
        assert (native == wanted).all()

    @pytest.mark.parametrize("pixels", ["rgb48le", "rgba64le"])
    def test_deep_colour_as_it_is_stored(self, tmp_path: Path, pixels: str) -> None:
        channels = 4 if "a" in pixels else 3
        wanted = np.random.default_rng(5).integers(0, 65_536, (45, 67, channels)).astype(np.uint16)
        with VideoDecoder(written(tmp_path / "deep.nut", "rawvideo", pixels, wanted)) as decoder:
            native = decoder.frame_at(0, "native").data
        assert native.dtype == np.uint16
        assert native.shape == (45, 67, channels)
        assert (native == wanted).all()

    @pytest.mark.parametrize("name", ["h264_10bit.mp4", "hevc_10bit.mp4", "prores.mov"])
    def test_ten_bit_colour_fills_sixteen(self, made: Made, name: str) -> None:
        path, _, frames = made(name)
        with VideoDecoder(path) as decoder:
            native = decoder.frame_at(0, "native").data
        assert native.dtype == np.uint16
        assert native.shape == (48, 64, 3)
        assert np.abs(native.astype(int) / 257 - frames[0].rgb).max() < 4

    def test_eight_bit_native(self, made: Made) -> None:
        path, _, _ = made("ffv1_bgra.mkv")
        with VideoDecoder(path) as decoder:
            assert (decoder.frame_at(0, "native").data == decoder.frame_at(0, "rgba").data).all()
        path, _, _ = made("h264_b.mp4")
        with VideoDecoder(path) as decoder:
            assert (decoder.frame_at(0, "native").data == decoder.frame_at(0, "rgb").data).all()

    def test_floats_are_not_taken_for_integers(self) -> None:
        frame = av.VideoFrame.from_ndarray(np.ones((2, 8), np.float32), format="grayf32le")
        with pytest.raises(MediaError, match="floats"):
            Raster().array(frame, "native")
        assert Raster().array(frame, "gray").tolist() == [[255] * 8] * 2

    def test_a_palette_is_colour(self) -> None:
        frame = av.VideoFrame(4, 2, "pal8")
        indices = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(2, -1)
        indices[:, :4] = [[0, 1, 0, 1], [1, 0, 1, 0]]
        colours = np.frombuffer(memoryview(frame.planes[1]), np.uint8)
        colours[:8] = [40, 30, 200, 255, 230, 20, 10, 128]  # blue, green, red, alpha
        native = Raster().array(frame, "native")
        assert native[:, :2].tolist() == [
            [[200, 30, 40, 255], [10, 20, 230, 128]],
            [[10, 20, 230, 128], [200, 30, 40, 255]],
        ]


def written(path: Path, codec: str, pixels: str, values: NDArray[Any]) -> Path:
    """A video of one frame of exactly these values."""
    height, width = values.shape[:2]
    options = {"x265-params": "log-level=none:lossless=1:bframes=0"} if codec == "libx265" else {}
    with av.open(str(path), "w") as out:
        stream = cast("VideoStream", out.add_stream(codec, rate=30, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        frame = av.VideoFrame(width, height, pixels)
        frame.pts, frame.time_base = 0, Fraction(1, 30)
        stored = values.astype(values.dtype.newbyteorder(">" if pixels.endswith("be") else "<"))
        rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(height, -1)
        data = np.ascontiguousarray(stored).view(np.uint8).reshape(height, -1)
        rows[:, : data.shape[1]] = data
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def packed(source: Path, target: Path) -> Path:
    """A transport stream with three frames under each time."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        packets = [packet for packet in given.demux(video=0) if packet.size]
        for at in range(0, len(packets), 3):
            packet = av.Packet(b"".join(bytes(p) for p in packets[at : at + 3]))
            packet.stream, packet.pts, packet.dts = stream, packets[at].pts, packets[at].dts
            packet.is_keyframe = packets[at].is_keyframe
            out.mux(packet)
    return target


def test_several_frames_under_one_time(tmp_path: Path, made: Made) -> None:
    """libavformat counts up the times of those between: that is only the same from the start on."""
    path = packed(made("mpeg2.ts")[0], tmp_path / "packed.ts")
    base, frames = sequential(path)
    questions = asked(base, frames)
    random.Random(6).shuffle(questions)
    with VideoDecoder(path) as decoder:
        for time, index in questions:
            assert same(decoder.frame_at(time).data, frames[index])
        assert not decoder._stream._packets.resumable, "each time it was decoded from the start"


def test_frames_without_times(tmp_path: Path, made: Made) -> None:
    path = packed(made("h264_long.ts")[0], tmp_path / "packed.ts")  # of H.264 it does not count
    with VideoDecoder(path) as decoder, pytest.raises(MediaError, match="several frames under one time"):
        decoder.frame_at(10**9)
    raw = OddVideo("raw.h264", "libx264", range(20), Fraction(1, 30)).write(tmp_path)
    with VideoDecoder(raw) as decoder:
        for ask in (lambda: decoder.frame_at(0), lambda: decoder.metadata):
            with pytest.raises(MediaError, match="a raw stream") as raised:
                ask()
            assert str(raised.value).endswith(str(raw))


def test_a_closed_decoder_says_so(made: Made) -> None:
    path, _, _ = made("h264.mp4")
    decoder = VideoDecoder(path)
    decoder.frame_at(0)
    decoder.close()
    decoder.close()
    with pytest.raises(MediaError, match="closed"):
        decoder.frame_at(0)
