"""The chart, as SVG: readable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from tests.bench.decode.results import Results
from tests.bench.decode.workloads import WORKLOADS

__all__ = ["chart"]

FILES = ("h264-vga-g30", "av1-vga-g30")
SPARSE = ("random", "windows")
NAMES = (
    ("ours, dataset", "mediaref-tools", "ours"),
    ("ours, dataset, exact colours", "… with exact colours", "ours"),
    ("mediaref 2.1.0, 2 threads", "mediaref 2.1.0, 2 threads", "peer"),
    ("mediaref 2.1.0", "mediaref 2.1.0", "peer"),
    ("torchcodec, 2 threads", "TorchCodec, 2 threads", "peer"),
    ("decord, 2 threads", "decord, 2 threads", "peer"),
    ("OpenCV, by place", "OpenCV", "peer"),
    ("mediaref 1.0.0", "mediaref 1.0.0", "peer"),
    ("open + seek per frame", "open + seek per frame", "peer"),
)
LIMIT = "libavcodec's limit"
TITLE = "Sparse frames out of one video of {} s, frames a second on {} cores"
NOTE = "Median of interleaved rounds. Dashed: libavcodec alone, the same packets and threads, no pictures made."
WIDTH, LABEL, PANEL, BAR, ROW, HEAD = 860, 190, 335, 15, 22, 58
LOOK = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; }
text { fill: #1f2328; } .soft { fill: #59636e; } .head { font-weight: 600; }
.ours { fill: #0a7d55; } .peer { fill: #9aa4b0; } .limit { stroke: #1f2328; stroke-width: 1.5; stroke-dasharray: 3 3; }
.strong { font-weight: 600; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; } .soft { fill: #9198a1; }
  .ours { fill: #3fb98a; } .peer { fill: #5c6670; } .limit { stroke: #f0f6fc; }
}
"""


def chart(raw: Mapping[str, Any]) -> str:
    """Bars of frames a second, a panel for each file and workload; the limit is a line. One scale within a panel."""
    results = Results(raw["rows"])
    there = [clip for clip in raw["files"] if clip["name"] in FILES]
    height = HEAD + len(there) * (len(NAMES) * ROW + 62) + 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        '<title id="title">Frames a second that each library decodes out of one video file</title>',
        f"<style>{LOOK}</style>",
        f'<text x="0" y="18" class="head">{TITLE.format(raw["seconds"], raw["machine"]["cores"])}</text>',
        f'<text x="0" y="38" class="soft">{NOTE}</text>',
    ]
    for row, clip in enumerate(there):
        for column, workload in enumerate(SPARSE):
            top = HEAD + row * (len(NAMES) * ROW + 62)
            parts += _panel(results, clip, workload, LABEL + column * PANEL, top, labels=column == 0)
    return "\n".join([*parts, "</svg>", ""])


def _panel(
    results: Results, clip: Mapping[str, Any], workload: str, left: int, top: int, *, labels: bool
) -> Iterator[str]:
    file, title = clip["name"], next(each.title for each in WORKLOADS if each.name == workload)
    rates = {name: results.rate(file, workload, name) for name, _, _ in NAMES}
    limit = results.rate(file, workload, LIMIT)
    most = max([each.median for each in (*rates.values(), limit) if each is not None], default=1.0)
    scale = (PANEL - 66) / most
    yield f'<text x="{left}" y="{top + 16}" class="head">{escape(title)}</text>'
    if labels:
        yield f'<text x="0" y="{top + 16}" class="soft">{escape(clip["title"])}</text>'
    for place, (name, shown, role) in enumerate(NAMES):
        y = top + 30 + place * ROW
        strong = ' class="strong"' if role == "ours" else ""
        if labels:
            yield f'<text x="{LABEL - 10}" y="{y + 12}" text-anchor="end"{strong}>{escape(shown)}</text>'
        rate = rates[name]
        if rate is None:
            trouble = results.trouble(file, workload, name)
            word = {"wrong": "wrong frames", "fails": "can't read it"}.get(trouble[0] if trouble else "", "not there")
            yield f'<text x="{left + 4}" y="{y + 12}" class="soft">{word}</text>'
            continue
        wide = max(1.0, rate.median * scale)
        yield f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="{BAR}" rx="2" class="{role}"/>'
        # All at the edge: behind its bar a figure would stand upon the line of the limit.
        yield f'<text x="{left + PANEL - 24}" y="{y + 12}" text-anchor="end"{strong}>{rate.median:.0f}</text>'
    if limit is not None:
        x, bottom = left + limit.median * scale, top + 30 + len(NAMES) * ROW - 4
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top + 26}" y2="{bottom}" class="limit"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" class="soft">limit {limit.median:.0f}</text>'
