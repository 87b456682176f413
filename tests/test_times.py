"""Times as people write them."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.errors import FrameError
from mediaref_tools.times import iso_time, parse_time

START_NS = 1_700_000_000_000_000_001
INT64 = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1700000000123456789", 1_700_000_000_123_456_789),
        ("0", 0),
        ("-5", -5),
        (" 7 ", 7),
        ("0s", START_NS),
        ("12.5s", START_NS + 12_500_000_000),
        ("12.5 s", START_NS + 12_500_000_000),
        ("+0.000000001s", START_NS + 1),
        (".5s", START_NS + 500_000_000),
        ("3.s", START_NS + 3_000_000_000),
        ("1.0000000000s", START_NS + 1_000_000_000),
        # A float would be off by 1 ns and more from here on.
        ("4503599.627370497s", START_NS + 4_503_599_627_370_497),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000_000),
        ("2023-11-14t22:13:20z", 1_700_000_000_000_000_000),
        ("2023-11-14 22:13", 1_699_999_980_000_000_000),
        ("2023-11-14T22:13:20.123456789Z", 1_700_000_000_123_456_789),
        ("2023-11-14T22:13:20.5+01:00", 1_699_996_400_500_000_000),
        ("2023-11-14T22:13:20-0530", 1_700_019_800_000_000_000),
        ("2023-11-14T22:13:20+01", 1_699_996_400_000_000_000),
        ("1969-12-31T23:59:59.999999999Z", -1),
    ],
)
def test_what_is_understood(text: str, time_ns: int) -> None:
    assert parse_time(text, start_ns=START_NS) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        *("", "s", ".s", "now", "nan", "nans", "1e9s", "-1s", "12.5", "1_000s", "١٢٣", "12:30", "2023-11-14", "1s2s"),
        *("2023-11-14T22:13.5", "2023-13-01T00:00:00", "2023-11-14T22:13:60Z", "2023-11-14T22:13:20+99:00"),
        *("2023-11-14T22:13:20 UTC", "9" * 4000, "9" * 4000 + "s"),
    ],
)
def test_what_is_not(text: str) -> None:
    with pytest.raises(FrameError, match=re.escape("(12.5s), or ISO 8601 (2023-11-14T22:13:20.5Z)")):
        parse_time(text, start_ns=START_NS)


@pytest.mark.parametrize("text", ["0.0000000001s", "9999999999.000000000000000001s", "2023-11-14T22:13:20.1234567890Z"])
def test_what_is_too_fine(text: str) -> None:
    with pytest.raises(FrameError, match="finer than 1 ns"):
        parse_time(text, start_ns=0)


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "9999999999s", "9999-12-31T00:00:00"])
def test_what_is_too_far(text: str) -> None:
    with pytest.raises(FrameError, match="beyond 64 bits"):
        parse_time(text, start_ns=START_NS)


@given(INT64)
def test_a_time_survives_its_text(time_ns: int) -> None:
    assert parse_time(str(time_ns), start_ns=START_NS) == time_ns
    assert parse_time(iso_time(time_ns), start_ns=START_NS) == time_ns


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_our_error(text: str) -> None:
    with suppress(FrameError):
        assert isinstance(parse_time(text, start_ns=START_NS), int)
