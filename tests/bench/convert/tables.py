"""The tables of docs/converting.md, and its chart."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from tests.bench.decode.chart import LOOK
from tests.bench.recovery import replace_part

__all__ = ["everything", "write"]

Row = Mapping[str, Any]
SEED, BARE = "mediaref 1.0.0's example", "decode + encode alone"
AIMS: tuple[tuple[str, float, str, str, Callable[[Row], float]], ...] = (
    ("CPU without the proof, h264, x the example", 0.45, "ours", SEED, lambda row: unproved(row, "cpu")),
    ("CPU without the proof, av1, x the example", 1.0, "ours, av1", SEED, lambda row: unproved(row, "cpu")),
    ("size, h264, x the example", 1.1, "ours", SEED, lambda row: float(row["bytes"])),
    ("size, av1, x the example", 0.7, "ours, av1", SEED, lambda row: float(row["bytes"])),
    ("size, for archive, x the example", 0.7, "ours, for archive", SEED, lambda row: float(row["bytes"])),
    ("wall without the proof, h264, x decode + encode", 1.15, "ours", BARE, lambda row: unproved(row, "wall")),
    ("wall with the proof, h264, x decode + encode", 1.5, "ours", BARE, lambda row: float(row["wall"])),
    (
        "wall without the proof, av1, x decode + encode",
        1.15,
        "ours, av1",
        f"{BARE}, av1",
        lambda r: unproved(r, "wall"),
    ),
    ("wall with the proof, av1, x decode + encode", 1.5, "ours, av1", f"{BARE}, av1", lambda r: float(r["wall"])),
)


def unproved(row: Row, what: str) -> float:
    """Seconds of a conversion but for its proof."""
    return float(row[what]) - float(row.get(f"proof_{what}", 0.0))


def rows_of(raw: Mapping[str, Any], log: str, contender: str) -> list[Row]:
    """One a round, if it came to an end in all."""
    found = [row for row in raw["rows"] if row["log"] == log and row["contender"] == contender]
    return [] if any("error" in row for row in found) else found


def aims(raw: Mapping[str, Any]) -> str:
    """What was aimed at beside what was measured: medians of ratios within rounds."""
    names = [log["name"] for log in raw["logs"]]
    frames = {log["name"]: log["frames"] for log in raw["logs"]}
    lines = ["| aim | at most | " + " | ".join(names) + " |", "|---|--:|" + "--:|" * len(names)]
    for title, most, one, other, value in AIMS:
        cells = []
        for name in names:
            pairs = list(zip(rows_of(raw, name, one), rows_of(raw, name, other), strict=False))
            if other == SEED and pairs and pairs[0][1].get("frames") != frames[name]:
                pairs = []  # it left out pictures
            ratio = statistics.median([value(a) / value(b) for a, b in pairs]) if pairs else None
            cells.append("-" if ratio is None else f"{ratio:.2f} {'✓' if ratio <= most else '✗'}")
        lines.append(f"| {title} | {most} | {' | '.join(cells)} |")
    return "\n".join(lines)


def logs(raw: Mapping[str, Any]) -> str:
    """A table for each log."""
    return "\n\n".join("\n".join(_log(raw, log)) for log in raw["logs"])


def _log(raw: Mapping[str, Any], log: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {log['title'][0].upper()}{log['title'][1:]}"
    yield ""
    yield f"{log['frames']} pictures, {log['bytes'] / 1e6:.1f} MB."
    yield ""
    yield "| | wall s | of it, proof | CPU s | of it, proof | peak MB | MB | PSNR p1 | SSIM p1 | wrong references |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    notes = []
    for name in dict.fromkeys(row["contender"] for row in raw["rows"]):
        mine = [row for row in raw["rows"] if row["log"] == log["name"] and row["contender"] == name]
        error = next((row["error"] for row in mine if "error" in row), None)
        if error is not None:
            yield f"| {name} | fails | | | | | | | | |"
            notes.append(f"- {name}: {error}")
            continue
        mid = {key: statistics.median([row[key] for row in mine if key in row] or [0]) for key in _KEYS}
        first = mine[0]
        quality = [f"{first['psnr_p1_db']:.1f} dB", f"{first['ssim_p1']:.3f}"] if "psnr_p1_db" in first else ["-", "-"]
        wrong = f"{first['wrong']} of {first['references']}" if first.get("references") else "-"
        if "unjudged" in first:
            notes.append(f"- {name}: what it made can't be judged: {first['unjudged']}")
        if "frames" in first and first["frames"] != log["frames"]:
            notes.append(f"- {name}: {first['frames']} of {log['frames']} pictures came out")
        proof = [f"{mid['proof_wall']:.1f}", f"{mid['proof_cpu']:.1f}"] if first["kind"] == "ours" else ["-", "-"]
        yield (
            f"| {_strong(name)} | {mid['wall']:.1f} | {proof[0]} | {mid['cpu']:.1f} | {proof[1]} | "
            f"{mid['peak_bytes'] / 1e6:.0f} | {mid['bytes'] / 1e6:.2f} | {' | '.join(quality)} | {wrong} |"
        )
    if notes:
        yield ""
        yield from notes


_KEYS = ("wall", "cpu", "peak_bytes", "bytes", "proof_wall", "proof_cpu")


def _strong(name: str) -> str:
    return f"**{name}**" if name.startswith("ours") else f"*{name}*" if name.startswith(BARE) else name


def about(raw: Mapping[str, Any]) -> str:
    """On what."""
    machine = raw["machine"]
    return (
        f"Rounds: {raw['rounds']}, on {machine['cores']} cores ({machine['processor']}). "
        "Every round's figures: [bench/convert.json](bench/convert.json)."
    )


def everything(raw: Mapping[str, Any]) -> str:
    """All tables."""
    return "\n\n".join((about(raw), aims(raw), logs(raw)))


def write(raw: Mapping[str, Any], page: Path, picture: Path) -> None:
    """Write tables and chart."""
    replace_part(page, "run", about(raw))
    replace_part(page, "aims", aims(raw))
    replace_part(page, "logs", logs(raw))
    picture.write_text(chart(raw), "utf-8")


WIDTH, LABEL, ROW, BAR, PANEL = 860, 200, 22, 15, 215
MEASURES = (("wall", "wall s"), ("cpu", "CPU s"), ("bytes", "MB"))


def chart(raw: Mapping[str, Any]) -> str:
    """Bars of seconds, CPU seconds and bytes for each log."""
    names = list(dict.fromkeys(row["contender"] for row in raw["rows"]))
    height = 30 + len(raw["logs"]) * (len(names) * ROW + 46)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        '<title id="title">What converting a log takes, and what comes of it, by converter</title>',
        f"<style>{LOOK}</style>",
    ]
    for place, log in enumerate(raw["logs"]):
        top = 10 + place * (len(names) * ROW + 46)
        parts.append(f'<text x="0" y="{top + 14}" class="head">{escape(log["title"])}</text>')
        for column, (key, title) in enumerate(MEASURES):
            left = LABEL + 10 + column * PANEL
            values = {name: [row[key] for row in rows_of(raw, log["name"], name) if key in row] for name in names}
            medians = {name: statistics.median(each) for name, each in values.items() if each}
            scale = (PANEL - 70) / max(medians.values(), default=1)
            parts.append(f'<text x="{left}" y="{top + 14}" class="soft">{"" if column == 0 else title}</text>')
            if column == 0:
                parts.append(
                    f'<text x="{left + PANEL - 60}" y="{top + 14}" text-anchor="end" class="soft">{title}</text>'
                )
            for line, name in enumerate(names):
                y = top + 24 + line * ROW
                if column == 0:
                    strong = ' class="strong"' if name.startswith("ours") else ""
                    parts.append(f'<text x="{LABEL}" y="{y + 12}" text-anchor="end"{strong}>{escape(name)}</text>')
                if name not in medians:
                    parts.append(f'<text x="{left + 4}" y="{y + 12}" class="soft">-</text>')
                    continue
                wide = max(1.0, medians[name] * scale)
                role = "ours" if name.startswith("ours") else "peer"
                shown = medians[name] / 1e6 if key == "bytes" else medians[name]
                parts.append(
                    f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="{BAR}" rx="2" class="{role}"/>'
                    f'<text x="{left + wide + 5:.1f}" y="{y + 12}">{shown:.1f}</text>'
                )
    return "\n".join([*parts, "</svg>", ""])
