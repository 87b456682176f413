"""Numbers, times and foreign names as people read them."""

from __future__ import annotations

__all__ = [
    "change",
    "count",
    "duration",
    "encodable",
    "one_line",
    "percent",
    "plural",
    "printable",
    "psnr",
    "rate",
    "seconds_text",
    "size",
]


def printable(text: str) -> str:
    """Text with every control, invisible or broken character escaped: names in a log must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def encodable(name: str) -> str:
    """A name as text that can be encoded: systems and containers give bytes that are not UTF-8 as surrogates."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    """Text as a single printable line."""
    return printable(" ".join(text.split("\n")))


def size(number: int) -> str:
    """Bytes in decimal units, to three digits or so: 512 B, 4.1 kB, 22.8 MB."""
    if number < 1000:
        return f"{number} B"
    value, unit = number / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if value >= 999.5:
            value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:.1f} {unit}"


def change(before: int, after: int, arrow: str) -> str:
    """Bytes before and after, the unit said once where it is the same: 23.8 → 5.9 MB, 1.2 GB → 240 MB."""
    first, last = size(before).split(" "), size(after).split(" ")
    return f"{first[0] if first[1] == last[1] else ' '.join(first)} {arrow} {' '.join(last)}"


def percent(ratio: float) -> str:
    """A ratio in percent: 18 %, 9.4 %, 0.31 %."""
    value = 100 * ratio
    digits = 0 if value >= 9.95 or value == 0 else 1 if value >= 0.995 else 2
    return f"{value:.{digits}f} %"


def duration(time_ns: int) -> str:
    """A length of time: 850 ms, 27.2 s, 4 min 05 s, 2 h 03 min."""
    tenths = (time_ns + 50_000_000) // 100_000_000
    if time_ns < 1_000_000_000:
        return f"{(time_ns + 500_000) // 1_000_000} ms"
    if tenths < 600:
        return f"{tenths // 10}.{tenths % 10} s"
    seconds = (time_ns + 500_000_000) // 1_000_000_000
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def count(number: int) -> str:
    """A whole number with thousands set apart."""
    return f"{number:,}".replace(",", " ") if number >= 10_000 else str(number)


def plural(number: int, noun: str) -> str:
    """A number of things: 1 frame, 2 frames."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


_IDENTICAL_DB = 100.0  # what `mediaref_tools.report.quality` counts identical frames as


def rate(per_second: float | None) -> str:
    """Messages a second: 25.0, 400; "-" where fewer than two messages leave it open."""
    if per_second is None:
        return "-"
    return f"{per_second:.0f}" if per_second >= 99.95 else f"{per_second:.1f}"


def psnr(mean_db: float | None, p1_db: float | None) -> str:
    """Mean and first percentile of PSNR in dB; "-" where no frame is in video, "exact" where all are identical."""
    if mean_db is None or p1_db is None:
        return "-"
    if min(mean_db, p1_db) >= _IDENTICAL_DB:
        return "exact"
    return f"{mean_db:.1f} / {p1_db:.1f}"


def seconds_text(time_ns: int) -> str:
    """A relative time to the millisecond, never later than it is: "+12.345 s"."""
    sign = "-" if time_ns < 0 else "+"
    ms = abs(time_ns) // 1_000_000
    return f"{sign}{ms // 1000}.{ms % 1000:03d} s"
