"""Depth and 16-bit gray in colour."""

from __future__ import annotations

import numpy as np
import pytest

from mediaref_tools.errors import FrameError
from mediaref_tools.viewer.colours import LARGEST, coloured, integers, usual_range


def rgb(yuv: np.ndarray) -> np.ndarray:
    """Of full range BT.601."""
    y, u, v = (plane.astype(float) for plane in yuv)
    parts = (y + 1.402 * (v - 128), y - 0.344136 * (u - 128) - 0.714136 * (v - 128), y + 1.772 * (u - 128))
    return np.stack([np.clip(part, 0, 255) for part in parts], axis=-1)


def test_colours_of_a_range() -> None:
    values = np.array([[0, 1, 500, 1000, 1500, 2000, LARGEST]], np.uint16)
    shown = rgb(coloured(values, 500, 1500, "turbo"))[0]
    assert (shown[0] < 2).all()  # nothing there: black, though it lies below the range
    assert np.abs(shown[1] - shown[2]).max() < 2  # below the range as its lower end
    assert np.abs(shown[4] - shown[6]).max() < 2
    assert shown[3][1] == shown[3].max()  # green in the middle
    assert shown[4][0] == shown[4].max()  # red at its end
    gray = rgb(coloured(values, 500, 1500, "gray"))[0]
    assert np.ptp(gray, axis=1).max() < 2
    assert (np.diff(gray[2:5, 0]) > 50).all()


@pytest.mark.parametrize(
    ("low", "high", "palette"), [(5, 5, "turbo"), (-1, 5, "gray"), (0, 70000, "gray"), (0, 1, "x")]
)
def test_what_is_no_range(low: int, high: int, palette: str) -> None:
    with pytest.raises(FrameError):
        coloured(np.zeros((1, 1), np.uint16), low, high, palette)  # type: ignore[arg-type]


def test_metres_are_mm() -> None:
    metres = np.array([[np.nan, 0.0, 0.0004, 1.2344, 65.5, 70.0, np.inf, -1.0]], np.float32)
    assert integers(metres).tolist() == [[0, 0, 0, 1234, 65500, 0, 0, 0]]
    deep = np.array([[3]], np.uint16)
    assert integers(deep) is deep


def test_usual_range() -> None:
    values = np.array([0] * 500 + list(range(1000, 2000)), np.uint16)
    low, high = usual_range(values)
    assert 1000 < low < 1030
    assert 1970 < high < 2000
    assert usual_range(np.zeros(9, np.uint16)) == (0, LARGEST)
    assert usual_range(np.full(9, 700, np.uint16)) == (699, 701)
