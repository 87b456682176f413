"""Times as people write them, read exactly: text to int nanoseconds and back, without a float between."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from mediaref_tools.errors import FrameError

__all__ = ["iso_time", "parse_time"]

_SECOND_NS: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT64: Final = 2**63
# Long enough for every int64, short enough that a Decimal holds it all.
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_SECONDS: Final = re.compile(r"\+?[0-9]{0,10}\.?[0-9]{0,18}")
_ISO: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<clock>\d\d:\d\d(:\d\d(\.(?P<fraction>\d+))?)?)(?P<zone>Z|[+-]\d\d(:?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_time(text: str, *, start_ns: int) -> int:
    """The log time that a text says.

    Args:
        text: Unix time in ns ("1700000000123456789"), seconds from the start ("12.5s"), or ISO 8601 to at most nine
            decimals ("2023-11-14T22:13:20.5Z"; UTC where it names no zone).
        start_ns: Where "12.5s" counts from.

    Returns:
        Unix time in ns.

    Raises:
        FrameError: It is none of these, finer than 1 ns, or beyond int64.
    """
    stripped = text.strip()
    if _NUMBER.fullmatch(stripped):
        time_ns = int(stripped)
    elif stripped.endswith("s"):
        time_ns = start_ns + _seconds(stripped[:-1].rstrip(), text)
    elif match := _ISO.fullmatch(stripped):
        time_ns = _iso(match, text)
    else:
        raise _unreadable(text)
    if not -_INT64 <= time_ns < _INT64:
        raise FrameError(f"time {text!r} lies beyond 64 bits of nanoseconds (the years 1677 to 2262)")
    return time_ns


def iso_time(time_ns: int) -> str:
    """A Unix time in ns as ISO 8601 in UTC, to the nanosecond."""
    seconds, rest_ns = divmod(time_ns, _SECOND_NS)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def _unreadable(text: str, reason: str = "") -> FrameError:
    return FrameError(
        f"can't read {text!r} as a time{reason}: expected Unix time in ns (1700000000123456789), seconds from the "
        "start (12.5s), or ISO 8601 (2023-11-14T22:13:20.5Z)"
    )


def _seconds(number: str, text: str) -> int:
    if not _SECONDS.fullmatch(number):
        raise _unreadable(text)
    try:
        time_ns = Decimal(number) * _SECOND_NS
    except InvalidOperation:  # "s", ".s"
        raise _unreadable(text) from None
    if time_ns != int(time_ns):
        raise FrameError(f"time {text!r} is finer than 1 ns: expected at most nine decimals")
    return int(time_ns)


def _iso(match: re.Match[str], text: str) -> int:
    fraction, zone = match["fraction"] or "", (match["zone"] or "Z").upper()
    if len(fraction) > 9:
        raise FrameError(f"time {text!r} is finer than 1 ns: expected at most nine decimals")
    try:
        moment = datetime.fromisoformat(f"{match['date']}T{match['clock'].partition('.')[0]}{zone}")
        since = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise _unreadable(text, f" ({error})") from error
    return (since // timedelta(seconds=1)) * _SECOND_NS + int(fraction.ljust(9, "0"))
