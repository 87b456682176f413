"""Plots: few points, and none of the lowest is lost."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mediaref_tools.webreport.plot import Mark, decimated, gaps, psnr_plot

SECOND = 1_000_000_000


@given(
    arrays.arrays(np.float32, st.integers(1, 5000), elements=st.floats(0, 100, width=32) | st.just(np.inf)),
    st.data(),
)
def test_few_points_hold_the_extremes(
    values: np.ndarray[tuple[int], np.dtype[np.float32]], data: st.DataObject
) -> None:
    unknown = data.draw(st.sets(st.integers(0, len(values) - 1), max_size=len(values) - 1))
    values[list(unknown)] = np.nan
    chosen = decimated(values, 100)
    assert len(chosen) <= 100
    assert (np.diff(chosen) > 0).all()
    assert not np.isnan(values[chosen]).any()
    assert values[chosen].min() == np.nanmin(values)
    assert values[chosen].max() == np.nanmax(values)
    if np.count_nonzero(~np.isnan(values)) <= 100:
        assert len(chosen) == np.count_nonzero(~np.isnan(values))


def test_ten_hours_are_a_thousand_points_and_show_one_bad_frame() -> None:
    times = np.arange(1_080_000, dtype=np.int64) * SECOND // 30
    psnr = np.full(len(times), 42, np.float32) + np.sin(times / 1e12).astype(np.float32)
    psnr[654_321] = 20
    plot = psnr_plot(times, psnr, floor_db=40, p1_db=41.0, marks=[Mark(654_321, "1", "here")])
    assert len(plot) < 25_000
    points = re.findall(r"[ML](\d+) (\d+)", re.findall(r'class="curve" d="([^"]+)"', plot)[0])
    assert len(points) <= 1000
    lowest = max(points, key=lambda point: int(point[1]))  # y counts from above
    assert int(lowest[0]) == round(1000 * 654_321 / len(times))
    assert f'href="#here" style="left:{int(lowest[0]) / 10}%;bottom:{(1000 - int(lowest[1])) / 10}%"' in plot
    assert "floor 40" in plot
    assert "p1 41.0" in plot
    assert re.findall(r">(\d+:\d\d h)<", plot)


def test_gaps_break_the_line_and_are_told() -> None:
    times = np.concatenate([np.arange(50), np.arange(150, 200)]) * (SECOND // 10)
    psnr = np.full(100, 40, np.float32)
    psnr[::2] += 1
    assert gaps(times).tolist() == [49]
    plot = psnr_plot(times, psnr)
    curve = re.findall(r'class="curve" d="([^"]+)"', plot)[0]
    assert curve.count("M") == 2
    assert plot.count('class="gap"') == 1
    assert "1 gap in the recording, the longest of 10.1 s" in plot
    psnr[20] = np.nan
    embedded = psnr_plot(times, psnr)
    assert re.findall(r'class="curve" d="([^"]+)"', embedded)[0].count("M") == 3
    assert "1 embedded" in embedded


def test_exact_frames_run_along_the_top() -> None:
    psnr = np.array([40, np.inf, 41], np.float32)
    plot = psnr_plot(np.arange(3) * SECOND, psnr)
    assert "L500 0" in plot
    assert "1 frame exact" in plot
    with pytest.raises(ValueError, match="nothing to draw"):
        psnr_plot(np.arange(1), np.array([np.inf], np.float32))


def test_a_single_frame_is_a_dot() -> None:
    plot = psnr_plot(np.array([7]), np.array([40], np.float32), marks=[Mark(0, "1", "a")])
    assert re.findall(r'class="curve" d="M0 \d+h0"', plot)
