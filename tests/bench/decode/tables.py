"""The tables of docs/decoding.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.bench.decode.contenders import CONTENDERS
from tests.bench.decode.results import LONG, Results, Spread
from tests.bench.decode.workloads import WORKLOADS

__all__ = ["about", "files", "profile", "remote", "targets", "training"]

LIMIT = "libavcodec's limit"
DEFAULT, TIMESTAMP = "mediaref 2.1.0", "mediaref 2.1.0, timestamp"
SPARSE = ("random", "windows")
BETWEEN = 0.05  # of the CPU time of calls
COLOUR = 3.0  # mean grey levels: more than rounding and other ways to scale chroma up


def about(raw: Mapping[str, Any]) -> str:
    """On what, with what, and who could not take part."""
    machine = raw["machine"]
    load = f"{machine['load_before']:.1f} and {machine['load_after']:.1f}"
    lines = [
        f"Rounds: {raw['rounds']}, on {machine['cores']} cores ({machine['processor']}), files of {raw['seconds']} s.",
        f"The machine's load before and after was {load}; the run itself makes up to {machine['cores']} of it.",
        "Every round's figures: [bench/decode.json](bench/decode.json).",
        "",
        "| contender | versions |",
        "|---|---|",
    ]
    same: dict[str, list[str]] = {}
    for note in raw["installed"]:
        there = note.get("error") or ", ".join(f"{name} {version}" for name, version in note["versions"].items())
        same.setdefault(there, []).append(note["contender"])
    return "\n".join([*lines, *(f"| {'; '.join(names)} | {there} |" for there, names in same.items())])


def targets(raw: Mapping[str, Any]) -> str:
    """What was aimed at beside what was measured."""
    results = Results(raw["rows"])
    lines = ["| aim | file | colours | 64 random | windows of 8, stride 5 |", "|---|---|---|--:|--:|"]
    own = [clip["name"] for clip in raw["files"] if clip["name"] != LONG]
    names = {clip["name"]: clip["title"] for clip in raw["files"]}

    def rows(aim: str, file: str, least: float, others: Mapping[str, str | None], say: bool = False) -> None:
        for exact in (False, True):
            ours = results.ours(file, exact=exact)
            cells = [
                _against(results.ratio(file, w, ours, other), least, other if say else "") if other else "-"
                for w, other in others.items()
            ]
            lines.append(f"| {aim} | {names[file]} | {'exact' if exact else 'as peers'} | {' | '.join(cells)} |")

    for file in own:
        rows("≥ 1.6 x mediaref 2.1.0", file, 1.6, dict.fromkeys(SPARSE, DEFAULT))
    for file in [*own, *(name for name in names if name == LONG)]:
        least = 1.0 if file == LONG else 1.25
        rows(f"≥ {least} x the best peer", file, least, {w: results.best_peer(file, w) for w in SPARSE}, say=True)
    for file in names:
        rows("≥ 0.85 of the limit", file, 0.85, dict.fromkeys(SPARSE, LIMIT))
    for file in names:
        cells = []
        for name in SPARSE:
            ratio = results.bytes_ratio(file, name, results.ours(file), LIMIT)
            cells.append("-" if ratio is None else f"{ratio.text()} {'✓' if ratio.median <= 1.1 else '✗'}")
        lines.append(f"| ≤ 1.1 x the bytes that frames need | {names[file]} | | {' | '.join(cells)} |")
    lines += ["", "| aim | file | time for one frame, cold |", "|---|---|--:|"]
    for clip in raw["files"]:
        file = clip["name"]
        if clip["dataset"] and (times := results.ratio(file, "cold", TIMESTAMP, results.ours(file))):
            mark = "✓" if times.median <= 0.75 else "✗"
            lines.append(f"| ≤ 0.75 x mediaref 2.1.0, timestamp | {clip['title']} | {times.text()} {mark} |")
    return "\n".join(lines)


def profile(raw: Mapping[str, Any]) -> str:
    """Where our CPU time goes: decoding, colours, and all else with them."""
    results = Results(raw["rows"])
    lines = [
        "| file | work | decoding alone | ours | of ours, decoding | ours, exact colours | mediaref 2.1.0 |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for clip in raw["files"]:
        for workload in WORKLOADS:
            if workload.name not in SPARSE:
                continue
            file, name = clip["name"], workload.name
            spent = [
                results.spread(file, name, who, lambda row: 1000 * row["cpu_seconds"] / row["frames"])
                for who in (LIMIT, results.ours(file), results.ours(file, exact=True), DEFAULT)
            ]
            alone, ours = spent[:2]
            share = "-" if alone is None or ours is None else f"{alone.median / ours.median:.0%}"
            cells = ["-" if one is None else f"{one.median:.1f}" for one in spent]
            lines.append(f"| {clip['title']} | {workload.title} | {' | '.join([*cells[:2], share, *cells[2:]])} |")
    return "\n".join(lines)


def _against(ratio: Spread | None, least: float, said: str) -> str:
    if ratio is None:
        return "-"
    return f"{ratio.text()} {'✓' if ratio.median >= least else '✗'}" + (f" {said}" if said else "")


def files(raw: Mapping[str, Any]) -> str:
    """A table of rates and one of costs for each file."""
    return "\n\n".join("\n".join(_file(raw, clip)) for clip in raw["files"])


def _file(raw: Mapping[str, Any], clip: Mapping[str, Any]) -> Iterator[str]:
    results, file = Results(raw["rows"]), clip["name"]
    made = "recorded footage" if clip["footage"] else "a generated scene"
    yield f"### {clip['title']}"
    yield ""
    yield (
        f"{clip['frames']} frames of {made}, {clip['bytes'] / clip['frames'] / 1024:.1f} KiB each. "
        "Frames a second, median of rounds; one frame, cold, in ms."
    )
    yield ""
    yield "| | " + " | ".join(workload.title for workload in WORKLOADS) + " |"
    yield "|---|" + "--:|" * len(WORKLOADS)
    notes: dict[str, list[str]] = {}
    for name in results.contenders(file):
        cells = []
        for workload in WORKLOADS:
            trouble = results.trouble(file, workload.name, name)
            if trouble is not None:
                cells.append(trouble[0])
                if trouble[1] and not any(name in names for names in notes.values()):
                    notes.setdefault(trouble[1], []).append(name)
                continue
            rate = results.rate(file, workload.name, name)
            assert rate is not None
            cells.append(f"{1000 / rate.median:.1f} ms" if workload.cold else _rate(rate.median))
        yield f"| {_name(name)} | {' | '.join(cells)} |"
    yield ""
    yield "| | KiB read a frame, random | windows | CPU ms a frame, random | windows | peak MB |"
    yield "|---|--:|--:|--:|--:|--:|"
    for name in results.contenders(file):
        cells = [
            _cell(results.spread(file, w, name, lambda row: row["bytes_read"] / row["frames"] / 1024)) for w in SPARSE
        ]
        cells += [
            _cell(results.spread(file, w, name, lambda row: 1000 * row["cpu_seconds"] / row["frames"])) for w in SPARSE
        ]
        mine = [row for row in raw["rows"] if row["file"] == file and row["contender"] == name]
        cells.append(_rate(max((row["peak_rss"] for row in mine if "peak_rss" in row), default=0) / 1e6))
        yield f"| {_name(name)} | {' | '.join(cells)} |"
        off = max((row.get("colour_error", 0.0) for row in mine), default=0.0)
        if off > COLOUR:
            notes.setdefault(f"colours are off by {off:.1f} grey levels in the mean", []).append(name)
        ahead = sum(row.get("cpu_seconds_between", 0.0) for row in mine)
        if ahead > BETWEEN * sum(row.get("cpu_seconds", 0.0) for row in mine):
            notes.setdefault("works on between its calls, which no figure counts", []).append(name)
    if notes:
        yield ""
        yield from (f"- {'; '.join(names)}: {note}" for note, names in notes.items())


def _name(name: str) -> str:
    role = next(contender.role for contender in CONTENDERS if contender.name == name)
    return f"**{name}**" if role == "ours" else f"*{name}*" if role == "limit" else name


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _cell(spread: Spread | None) -> str:
    return "-" if spread is None else _rate(spread.median)


def training(raw: Mapping[str, Any]) -> str:
    """The seed's shape of work."""
    results = Results(raw["training"]["rows"])
    kept, each = "training", "training, cold"
    lines = [
        "| | images/s | KB read an image | opened for each window: images/s | KB read an image | x open + seek |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    naive = "open + seek per frame"
    for name in results.contenders("episodes"):
        cells: list[str] = []
        for workload in (kept, each):
            trouble = results.trouble("episodes", workload, name)
            rate = results.rate("episodes", workload, name)
            read = results.spread("episodes", workload, name, lambda row: row["bytes_read"] / row["frames"] / 1000)
            if trouble is not None or rate is None or read is None:
                cells += [trouble[0] if trouble else "-", "-"]
            else:
                cells += [_rate(rate.median), _cell(read)]
        ratio = results.ratio("episodes", kept, name, naive)
        lines.append(f"| {_name(name)} | {' | '.join(cells)} | {'-' if ratio is None else ratio.text(1)} |")
    return "\n".join(lines)


def remote(raw: Mapping[str, Any]) -> str:
    """Requests and KiB over a network."""
    rows = raw["remote"]
    failed = next((row["error"] for row in rows if "error" in row), None)
    if failed is not None or not rows:
        return f"Not measured in this run{f': {failed}' if failed else ''}."
    titles = {workload.name: workload.title for workload in WORKLOADS}
    names = {clip["name"]: clip["title"] for clip in raw["files"]}
    lines = [
        "| file | frames | KiB a frame | requests a frame | on opening: KiB | requests |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        opening, frames = row["opening"], row["frames"]
        lines.append(
            f"| {names[row['file']]} | {titles[row['workload']]} | {row['bytes'] / frames / 1024:.1f} | "
            f"{row['requests'] / frames:.2f} | {opening['bytes'] / 1024:.0f} | {opening['requests']} |"
        )
    return "\n".join(lines)
