"""The tables of docs/choices.md, and its chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tests.bench.choices.fronts import Point, Size, points
from tests.bench.decode.chart import LOOK
from tests.bench.recovery import replace_part

__all__ = ["everything", "write"]

CHOSEN = {
    "x264 veryfast, AQ 2 of 0.7": "play",
    "x264 veryfast, AQ, cheap, GOP 10": "train",
    "SVT-AV1 7, GOP 60": "archive",
}
"""What `--for` sets, by the names of tests/bench/choices/settings.py."""
OTHERS = {
    "x264 veryfast": "x264 veryfast",
    "x264 medium, GOP 30": "x264 medium, GOP 30",
    "x264 veryfast, AQ, GOP 16, 3 B": "3 B-frames",
    "SVT-AV1 9": "SVT-AV1 9",
}


def table(raw: Mapping[str, Any]) -> str:
    """A row a setting, with a figure for each content."""
    lines = [
        "| setting | size, same PSNR | size, same SSIM | encode | random frame | windows |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for choice, mine in _grouped(points(raw)).items():
        shown = f"**{choice}** (`{CHOSEN[choice]}`)" if choice in CHOSEN else choice
        cells = [
            " ".join(_size(point.psnr) for point in mine),
            " ".join(_size(point.ssim) for point in mine),
            *(_figures([getattr(point, what) for point in mine]) for what in ("encode", "random", "windows")),
        ]
        lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _grouped(found: Sequence[Point]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for point in found:
        groups.setdefault(point.choice, []).append(point)
    return groups


def _size(size: Size | None) -> str:
    if size is None:
        return "-"
    return f"{'<' if size.bound else ''}{size.ratio:.2f}"


def _figures(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in values)


def about(raw: Mapping[str, Any]) -> str:
    """On what."""
    machine = raw["machine"]
    contents = "; ".join(f"{each['title']} ({each['frames']} frames)" for each in raw["contents"])
    return (
        f"Figures in each cell: {contents}. {machine['processor']}, one thread. "
        "Every trial: [bench/choices.json](bench/choices.json)."
    )


def everything(raw: Mapping[str, Any]) -> str:
    """All tables."""
    return f"{about(raw)}\n\n{table(raw)}"


def write(raw: Mapping[str, Any], page: Path, picture: Path) -> None:
    """Write table and chart."""
    replace_part(page, "run", about(raw))
    replace_part(page, "settings", table(raw))
    picture.write_text(chart(raw), "utf-8")


WIDTH, HEIGHT, PANEL, TOP, LEFT = 900, 400, 440, 64, 46
PANELS = (("encode", "seconds of CPU to encode"), ("windows", "seconds of CPU to read windows of 8 frames"))
SPOTS = """
circle { fill: #9aa4b0; } .chosen { fill: #0a7d55; } .rule { stroke: #9aa4b0; stroke-width: 0.5; }
@media (prefers-color-scheme: dark) { .chosen { fill: #3fb98a; } }
"""
HEIGHTS = (0.25, 0.5, 1.0, 2.0)


def chart(raw: Mapping[str, Any]) -> str:
    """Size at the same PSNR over seconds, geometric means over contents; both axes are logarithmic."""
    groups = _grouped(points(raw))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '<title id="title">Size at the same quality, and what encoding and decoding take, by setting</title>',
        f"<style>{LOOK}{SPOTS}</style>",
        '<text x="0" y="18" class="head">Bytes at the same first percentile of PSNR, x264 veryfast = 1</text>',
    ]
    for column, (what, title) in enumerate(PANELS):
        parts += _panel(groups, what, title, LEFT + column * PANEL)
    return "\n".join([*parts, "</svg>", ""])


def _panel(groups: Mapping[str, Sequence[Point]], what: str, title: str, left: int) -> list[str]:
    spots = {}
    for choice, mine in groups.items():
        sizes = [point.psnr.ratio for point in mine if point.psnr is not None]
        if len(sizes) == len(mine):
            spots[choice] = _mean([getattr(point, what) for point in mine]), _mean(sizes)
    low, high = min(x for x, _ in spots.values()), max(x for x, _ in spots.values())
    wide, tall = PANEL - 110, HEIGHT - TOP - 40

    def across(value: float) -> float:
        return left + 20 + wide * math.log(value / low) / math.log(high / low)

    def down(value: float) -> float:
        return TOP + tall * math.log(HEIGHTS[-1] / value) / math.log(HEIGHTS[-1] / HEIGHTS[0])

    parts = [f'<text x="{left}" y="44" class="soft">{title}, x264 veryfast = 1</text>']
    for value in HEIGHTS:
        y = down(value)
        parts.append(f'<line x1="{left}" x2="{left + wide + 40}" y1="{y:.1f}" y2="{y:.1f}" class="rule"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end" class="soft">{value:g}</text>')
    for value in (0.25, 0.5, 1, 2, 4, 8):
        if low * 0.9 <= value <= high * 1.1:
            parts.append(
                f'<text x="{across(value):.1f}" y="{HEIGHT - 14}" text-anchor="middle" class="soft">{value:g}</text>'
            )
    for choice, (x, y) in spots.items():
        name = CHOSEN.get(choice) or (OTHERS.get(choice) if what == PANELS[0][0] else None)
        role = ' class="chosen"' if choice in CHOSEN else ""
        size = 6 if choice in CHOSEN else 3.5
        tip = f"{escape(choice)}: {x:.2f}, {y:.2f}"
        parts.append(f'<circle cx="{across(x):.1f}" cy="{down(y):.1f}" r="{size}"{role}><title>{tip}</title></circle>')
        if name:
            strong = "strong" if choice in CHOSEN else "soft"
            side, anchor = (9, "start") if across(x) < left + 0.7 * wide else (-9, "end")
            place = f'x="{across(x) + side:.1f}" y="{down(y) + 4:.1f}" text-anchor="{anchor}"'
            parts.append(f'<text {place} class="{strong}">{escape(name)}</text>')
    return parts


def _mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))
