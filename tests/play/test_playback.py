"""The clock: what is shown when, at any speed, and step by step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError
from mediaref_tools.play.playback import SPEEDS, Playback

START_NS = 1_700_000_000_000_000_000
TIMES = st.lists(st.integers(0, 60), max_size=12).map(sorted)


class Track:
    def __init__(self, times_ns: Sequence[int]) -> None:
        self.log_times_ns: NDArray[np.int64] = np.array(times_ns, np.int64)

    def index_at(self, log_times_ns: Sequence[int]) -> NDArray[np.int64]:
        return np.searchsorted(self.log_times_ns, np.asarray(log_times_ns), "right").astype(np.int64) - 1


class Clock:
    now_ns = 5_000

    def __call__(self) -> int:
        return self.now_ns


def playing(*times_ns: Sequence[int], **options: object) -> tuple[Playback, Clock]:
    clock = Clock()
    playback = Playback([Track(times) for times in times_ns], now_ns=clock, **options)  # type: ignore[arg-type]
    playback.play()
    return playback, clock


def test_frames_come_at_their_times() -> None:
    playback, clock = playing([100, 133, 200], [110, 160])
    seen = {}
    for clock.now_ns in range(5_000, 5_110):
        time_ns, indices = playback.shown()
        assert time_ns == clock.now_ns - 5_000 + 100
        seen[time_ns] = indices
    assert [seen[time_ns] for time_ns in (100, 109, 110, 132, 133, 159, 160, 199, 200)] == [
        *([0, -1], [0, -1], [0, 0], [0, 0], [1, 0], [1, 0], [1, 1], [1, 1], [2, 1]),
    ]


def test_how_long_until_the_next() -> None:
    playback, clock = playing([100, 133, 200], [110, 160], speed=Fraction(1, 2))
    assert playback.next_change_ns() == 20
    clock.now_ns += 20
    assert playback.next_change_ns() == 46
    clock.now_ns += 46
    assert playback.shown() == (133, [1, 0])
    playback.pause()
    assert playback.next_change_ns() is None


def test_the_end_pauses_and_play_begins_anew() -> None:
    playback, clock = playing([100, 110, 120, 160])
    clock.now_ns += 69
    assert not playback.paused
    assert playback.next_change_ns() == 1
    clock.now_ns += 1_000
    # The last frame was shown for as long as usual, 10 ns; the clock stands there.
    assert playback.paused
    assert playback.shown() == (170, [3])
    assert playback.next_change_ns() is None
    playback.play()
    assert playback.shown() == (100, [0])
    assert not playback.paused


def test_a_loop_never_drifts() -> None:
    playback, clock = playing([100, 110, 120, 130], loop=True, speed=Fraction(1))
    for clock.now_ns in range(5_000, 5_000 + 4_000, 7):
        assert playback.time_ns == 100 + (clock.now_ns - 5_000) % 40
        assert not playback.paused
    clock.now_ns += 10**15
    assert 100 <= playback.time_ns < 140


def test_no_time_is_lost_over_hours_and_changes_of_speed() -> None:
    """A float of seconds would be off by hundreds of ns in a Unix time."""
    hour_ns = 3_600_000_000_000
    playback, clock = playing([START_NS + 1, START_NS + 10 * hour_ns])
    clock.now_ns += 2 * hour_ns
    assert playback.time_ns == START_NS + 1 + 2 * hour_ns
    playback.faster()
    assert playback.speed == 2
    clock.now_ns += hour_ns + 3
    assert playback.time_ns == START_NS + 1 + 4 * hour_ns + 6
    playback.slower()
    playback.slower()
    assert playback.speed == Fraction(1, 2)
    clock.now_ns += 10
    assert playback.time_ns == START_NS + 1 + 4 * hour_ns + 11


def test_speeds_have_ends_and_a_speed_between_finds_its_neighbours() -> None:
    playback, _ = playing([1, 2], speed=Fraction(3, 2))
    playback.slower()
    assert playback.speed == 1
    for _ in range(20):
        playback.faster()
    assert playback.speed == SPEEDS[-1]
    for _ in range(20):
        playback.slower()
    assert playback.speed == SPEEDS[0]


def test_pausing_holds_the_clock() -> None:
    playback, clock = playing([100, 200])
    clock.now_ns += 30
    playback.pause()
    clock.now_ns += 10_000
    assert playback.shown() == (130, [0])
    playback.play()
    clock.now_ns += 70
    assert playback.shown() == (200, [1])


def test_stepping_goes_through_all_topics() -> None:
    playback, clock = playing([100, 133, 200], [110, 160, 200])
    clock.now_ns += 15
    steps = []
    while playback.step(1):
        steps.append(playback.shown())
    assert steps == [(133, [1, 0]), (160, [1, 1]), (200, [2, 2])]
    assert playback.paused
    steps = []
    while playback.step(-1):
        steps.append(playback.shown())
    assert steps == [(160, [1, 1]), (133, [1, 0]), (110, [0, 0]), (100, [0, -1])]


def test_stepping_back_from_between_frames_leaves_what_is_shown() -> None:
    playback, clock = playing([100, 133, 200])
    clock.now_ns += 50
    assert playback.shown() == (150, [1])
    assert playback.step(-1)
    assert playback.shown() == (100, [0])


def test_equal_times_are_stepped_through_one_by_one() -> None:
    playback = Playback([Track([5, 5, 5, 9]), Track([5, 9, 9])], now_ns=Clock())
    shown = [playback.shown()]
    while playback.step(1):
        shown.append(playback.shown())
    assert shown == [(5, [0, 0]), (5, [1, 0]), (5, [2, 0]), (9, [3, 1]), (9, [3, 2])]
    back = [playback.shown()]
    while playback.step(-1):
        back.append(playback.shown())
    assert back == shown[::-1]


@given(st.lists(TIMES, min_size=1, max_size=4).filter(any))
def test_steps_visit_every_frame_in_order(times: list[list[int]]) -> None:
    playback = Playback([Track(one) for one in times], now_ns=Clock())
    shown = [playback.shown()]
    while playback.step(1):
        shown.append(playback.shown())
    for place, one in enumerate(times):
        indices = [indices[place] for _, indices in shown]
        assert indices == sorted(indices)
        assert set(range(len(one))) <= set(indices)
    assert [time_ns for time_ns, _ in shown] == sorted(time_ns for time_ns, _ in shown)
    back = [playback.shown()]
    while playback.step(-1):
        back.append(playback.shown())
    assert back == shown[::-1]


@given(st.lists(TIMES, min_size=1, max_size=4).filter(any), st.integers(0, 70))
def test_the_frame_shown_is_the_one_at_the_time(times: list[list[int]], passed_ns: int) -> None:
    playback, clock = playing(*times)
    clock.now_ns += passed_ns
    time_ns, indices = playback.shown()
    assert indices == [sum(one <= time_ns for one in track) - 1 for track in times]


def test_seeking_and_rewinding() -> None:
    playback, clock = playing([100, 100, 200])
    playback.seek(180)
    clock.now_ns += 5
    assert playback.shown() == (185, [1])
    playback.rewind()
    assert playback.shown() == (100, [1])
    playback.pause()
    playback.rewind()
    assert playback.shown() == (100, [0])


def test_a_topic_may_be_empty_or_have_one_frame() -> None:
    playback = Playback([Track([]), Track([7])], now_ns=Clock())
    assert playback.shown() == (7, [-1, 0])
    assert (playback.first_ns, playback.stop_ns) == (7, 1_000_000_007)
    assert not playback.step(1)
    assert not playback.step(-1)


def test_what_cannot_be_played() -> None:
    with pytest.raises(FrameError, match="nothing to play: none of 2 topics"):
        Playback([Track([]), Track([])])
    with pytest.raises(FrameError, match=r"speed 0\.0"):
        Playback([Track([1])], speed=Fraction(0))
