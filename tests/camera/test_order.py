"""Times of a segment's packets."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.camera.order import MAX_GAP_NS, packet_times


def times(
    log_times_ns: list[int], order: list[int] | None = None, sequence: list[int] | None = None
) -> tuple[list[int], list[int]]:
    count = len(log_times_ns)
    pts_us, dts_us = packet_times(
        np.array(log_times_ns, dtype=np.int64),
        np.array(sequence or [0] * count, dtype=np.int64),
        np.array(order or list(range(count)), dtype=np.int64),
    )
    return pts_us.tolist(), dts_us.tolist()


def test_without_b_frames_they_are_the_log_times_rounded() -> None:
    base = 1_700_000_000_123_456_789
    pts_us, dts_us = times([base, base + 1_499, base + 1_500, base + 33_000_500])
    assert pts_us == dts_us == [0, 1, 2, 33_001]


def test_those_that_collide_and_those_that_run_backwards_are_1_us_apart() -> None:
    assert times([0, 0, 400, 5_000, 2_000, 2_500, 9_000])[0] == [0, 1, 2, 5, 6, 7, 9]


def test_gaps_are_no_longer_than_the_container_can_say() -> None:
    assert times([0, MAX_GAP_NS, MAX_GAP_NS + 1000, 5 * MAX_GAP_NS])[0] == [0, 10**9, 10**9 + 1, 2 * 10**9 + 1]


def test_the_kth_frame_that_is_shown_takes_the_kth_log_time() -> None:
    # I P B b b, and another sequence whose orders begin anew.
    pts_us, dts_us = times(
        [0, 10_000, 20_000, 30_000, 41_000, 50_000, 60_000], [0, 8, 4, 2, 6, 0, 2], [0, 0, 0, 0, 0, 1, 1]
    )
    assert pts_us == [0, 41, 20, 10, 30, 50, 60]
    assert dts_us == [-20, -10, 0, 10, 21, 30, 40]  # b, shown fourth of all, is the one that had to wait longest: 20


def test_slow_topics_with_b_frames_keep_within_what_a_file_can_say() -> None:
    step = 999 * 10**9
    pts_us, dts_us = times([step * n for n in range(6)], [0, 10, 4, 2, 6, 12])
    assert max(pts - dts for pts, dts in zip(pts_us, dts_us, strict=True)) < 2**31
    assert sorted(pts_us)[0] == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * MAX_GAP_NS), st.integers(0, 2), st.integers(-40, 40)), min_size=1, max_size=40
    )
)
def test_any_order_gives_times_that_a_file_can_hold(rows: list[tuple[int, int, int]]) -> None:
    log_times_ns = [time for time, _, _ in rows]
    sequence, order = sorted(number for _, number, _ in rows), [place for _, _, place in rows]
    pts_us, dts_us = times(log_times_ns, order, sequence)
    assert min(pts_us) == 0
    assert len(set(pts_us)) == len(pts_us)
    assert all(after > before for before, after in pairwise(dts_us))
    assert all(0 <= pts - dts < 2**31 for pts, dts in zip(pts_us, dts_us, strict=True))
    shown = sorted(range(len(rows)), key=lambda at: (sequence[at], order[at], at))
    assert sorted(range(len(rows)), key=pts_us.__getitem__) == shown
