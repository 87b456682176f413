"""Numbers and names as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools import plaintext as text
from mediaref_tools.plaintext import printable


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (22_800_000, "22.8 MB"),
        (10**10, "10.0 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_size(number: int, expected: str) -> None:
    assert text.size(number) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0, "0 %"), (0.0056, "0.56 %"), (0.0943, "9.4 %"), (0.0996, "10 %"), (0.182, "18 %"), (1.2, "120 %")],
)
def test_percent(ratio: float, expected: str) -> None:
    assert text.percent(ratio) == expected


@pytest.mark.parametrize(
    ("time_ns", "expected"),
    [
        (0, "0 ms"),
        (849_600_000, "850 ms"),
        (27_249_999_999, "27.2 s"),
        (59_949_999_999, "59.9 s"),
        (59_950_000_000, "1 min 00 s"),
        (245_000_000_000, "4 min 05 s"),
        (3_599_500_000_000, "1 h 00 min"),
        (7_380_000_000_000, "2 h 03 min"),
    ],
)
def test_duration(time_ns: int, expected: str) -> None:
    assert text.duration(time_ns) == expected


def test_change() -> None:
    assert text.change(23_800_000, 5_900_000, "→") == "23.8 → 5.9 MB"
    assert text.change(1_200_000_000, 240_000_000, "->") == "1.2 GB -> 240 MB"


def test_small_words() -> None:
    assert text.plural(1, "frame") == "1 frame"
    assert text.plural(0, "frame") == "0 frames"
    assert text.plural(1_234_567, "frame") == "1 234 567 frames"
    assert (text.rate(None), text.rate(24.96), text.rate(400.4)) == ("-", "25.0", "400")
    assert (text.psnr(43.52, 41.0), text.psnr(None, None)) == ("43.5 / 41.0", "-")
    assert (text.psnr(100.0, 100.0), text.psnr(100.0, 99.9)) == ("exact", "100.0 / 99.9")


@given(st.text())
def test_printable_is_one_line_that_steers_nothing(value: str) -> None:
    shown = text.one_line(value)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_printable_leaves_readable_text_alone(value: str) -> None:
    assert printable(value) == value
