"""What each setting comes to at the same quality: sizes interpolated between the crf that were tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

__all__ = ["Point", "points"]

REFERENCE, REFERENCE_CRF = "x264 veryfast", 23


class Size(NamedTuple):
    """Bytes at the reference's quality, to its own. A `bound` is that of the cheapest trial, which was better still."""

    ratio: float
    bound: bool = False


class Point(NamedTuple):
    """One setting and content, all to the reference's: None where no crf that was tried was good enough."""

    choice: str
    content: str
    psnr: Size | None
    ssim: Size | None
    encode: float
    random: float
    windows: float


def points(raw: Mapping[str, Any]) -> list[Point]:
    """All settings, content by content."""
    found = []
    for content in (each["name"] for each in raw["contents"]):
        rows = [row for row in raw["rows"] if row["content"] == content]
        base = next(row for row in rows if row["choice"] == REFERENCE and row["crf"] == REFERENCE_CRF)
        for choice in dict.fromkeys(row["choice"] for row in rows):
            mine = sorted((row for row in rows if row["choice"] == choice), key=lambda row: row["crf"])
            found.append(
                Point(
                    choice,
                    content,
                    _size(mine, base, _psnr),
                    _size(mine, base, _ssim),
                    *(_middle(mine, key) / base[key] for key in ("encode_ms", "random_ms", "windows_ms")),
                )
            )
    return found


def _psnr(row: Mapping[str, Any]) -> float:
    return float(row["psnr_p1_db"])


def _ssim(row: Mapping[str, Any]) -> float:
    return -10 * math.log10(1 - row["ssim_p1"])


def _middle(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    return float(rows[len(rows) // 2][key])


def _size(rows: Sequence[Mapping[str, Any]], base: Mapping[str, Any], quality: Any) -> Size | None:
    """By straight lines of log size over quality; rows from the best on."""
    wanted = quality(base)
    if quality(rows[-1]) >= wanted:
        return Size(rows[-1]["bytes"] / base["bytes"], bound=quality(rows[-1]) > wanted)
    for better, worse in pairwise(rows):
        high, low = quality(better), quality(worse)
        if low <= wanted <= high:
            part = (wanted - low) / (high - low)
            size = math.exp(part * math.log(better["bytes"]) + (1 - part) * math.log(worse["bytes"]))
            return Size(size / base["bytes"])
    return None
