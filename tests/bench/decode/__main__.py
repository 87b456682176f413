"""Run the benchmark: `python -m tests.bench.decode`, or `make bench-decode`.

A full run replaces docs/bench/decode.json, docs/img/decode.svg and the tables of docs/decoding.md; a part of one, or
a quick one, writes the same beside its files in build/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.decode import tables
from tests.bench.decode.chart import chart
from tests.bench.decode.clips import CLIPS, EPISODES, Clip, built
from tests.bench.decode.contenders import CONTENDERS, ROOT
from tests.bench.decode.remote import fetched
from tests.bench.decode.rounds import installed, measured
from tests.bench.decode.training import trained
from tests.bench.decode.workloads import WORKLOADS
from tests.bench.recovery import replace_part

BUILD = ROOT / "build" / "bench"
DOCS = ROOT / "docs"
SECONDS, QUICK_SECONDS = 300, 15


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decode", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="of each file: 5, quick 1")
    parser.add_argument("--quick", action="store_true", help="files of 15 s and fewer frames: to see that all works")
    parser.add_argument("--files", help=f"some of {','.join(spec.name for spec in CLIPS)}; '' for none")
    parser.add_argument("--workloads", help=f"some of {','.join(each.name for each in WORKLOADS)}")
    parser.add_argument("--contenders", help="those whose names hold one of these, comma-separated")
    parser.add_argument("--fresh", action="store_true", help="make the files anew, with the encoder as it is now")
    parser.add_argument("--no-training", action="store_true", help="leave the seed's shape of work out")
    parser.add_argument("--report", type=Path, help="measure nothing: write page and chart from such a JSON")
    return parser.parse_args()


def machine() -> dict[str, Any]:
    """What it ran on, as far as figures depend on it."""
    facts: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            facts.setdefault(name.strip(), value.strip())
    processor = facts.get("model name", platform.machine())
    family = f", family {facts['cpu family']}" if "cpu family" in facts else ""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "processor": processor + family,
        "system": platform.system(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def described(clip: Clip) -> dict[str, Any]:
    """Of a file, what tables need."""
    return {
        "name": clip.name,
        "title": clip.title,
        "bytes": clip.bytes,
        "frames": len(clip.pts_ns),
        "footage": clip.footage,
        "dataset": bool(clip.dataset),
    }


def is_whole(asked: argparse.Namespace) -> bool:
    """Whether nothing is left out, so that the page may show it."""
    some = (asked.files, asked.workloads, asked.contenders)
    return not asked.quick and not asked.no_training and all(each is None for each in some)


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Make what is missing, and measure; what is done is kept in `folder` after each file."""
    seconds = QUICK_SECONDS if asked.quick else SECONDS
    rounds = asked.rounds or (1 if asked.quick else 5)
    names = None if asked.files is None else asked.files.split(",")
    specs = tuple(spec for spec in CLIPS if names is None or spec.name in names)
    wanted = [each for each in (asked.contenders or "").split(",") if each]
    contenders = [each for each in CONTENDERS if not wanted or any(part in each.name for part in wanted)]
    workloads = asked.workloads.split(",") if asked.workloads else [each.name for each in WORKLOADS]
    pythons, notes = installed(contenders, BUILD / "environments", folder / "workers.log")
    clips = built(specs, folder, seconds)
    episodes = [] if asked.no_training else built(EPISODES, folder, seconds)
    raw: dict[str, Any] = {
        "machine": machine(),
        "installed": notes,
        "rounds": rounds,
        "seconds": seconds,
        "quick": asked.quick,
        "whole": is_whole(asked),
        "files": [described(clip) for clip in clips],
        "rows": [],
        "training": {"episodes": [described(clip) for clip in episodes], "rows": []},
        "remote": [],
    }
    begun = time.monotonic()
    for clip in clips:
        raw["rows"] += measured(
            contenders, pythons, clip, rounds, folder, quick=asked.quick, workloads=workloads, logs=folder
        )
        if clip.dataset:
            raw["remote"] += fetched(clip, quick=asked.quick)
        kept(raw, folder, begun)
    if episodes:
        raw["training"]["rows"] = trained(pythons, episodes, rounds, folder, quick=asked.quick, logs=folder)
    kept(raw, folder, begun)
    return raw


def kept(raw: dict[str, Any], folder: Path, begun: float) -> None:
    """Write down what there is so far."""
    raw["machine"]["load_after"] = os.getloadavg()[0]
    raw["measured_seconds"] = round(time.monotonic() - begun)
    (folder / "decode.json").write_text(as_json(raw), "utf-8")


def as_json(raw: dict[str, Any]) -> str:
    """One row a line, so that runs can be compared."""
    rest = json.dumps({**raw, "rows": [], "training": {**raw["training"], "rows": []}}, indent=1, sort_keys=True)
    for name, rows in (("rows", raw["rows"]), ("training", raw["training"]["rows"])):
        lines = ",\n  ".join(json.dumps(rounded(row), sort_keys=True) for row in rows)
        mark = '"rows": []'
        # The training's rows come last: keys are sorted.
        head, tail = rest.split(mark, 1) if name == "rows" else rest.rsplit(mark, 1)
        rest = f'{head}"rows": [\n  {lines}\n ]{tail}' if lines else rest
    return rest + "\n"


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Seconds to the microsecond."""
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in row.items()}


def report(raw: dict[str, Any], page: Path, picture: Path) -> None:
    """Write tables and chart."""
    replace_part(page, "run", tables.about(raw))
    replace_part(page, "targets", tables.targets(raw))
    replace_part(page, "profile", tables.profile(raw))
    replace_part(page, "files", tables.files(raw))
    replace_part(page, "training", tables.training(raw) if raw["training"]["rows"] else "Not measured in this run.")
    replace_part(page, "remote", tables.remote(raw))
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(chart(raw), "utf-8")


def main() -> None:
    """Measure, and write."""
    asked = options()
    folder = BUILD / "decode" / ("quick" if asked.quick else "full")
    folder.mkdir(parents=True, exist_ok=True)
    if asked.report:
        raw, folder = json.loads(asked.report.read_text("utf-8")), asked.report.resolve().parent
    else:
        if asked.fresh:
            shutil.rmtree(folder)
            folder.mkdir()
        raw = measure(asked, folder)
    page, picture = DOCS / "decoding.md", DOCS / "img" / "decode.svg"
    if raw["whole"]:
        (DOCS / "bench").mkdir(exist_ok=True)
        (DOCS / "bench" / "decode.json").write_text(as_json(raw), "utf-8")
    else:
        copy = folder / "decoding.md"
        copy.write_text(page.read_text("utf-8"), "utf-8")
        page, picture = copy, folder / "decode.svg"
    report(raw, page, picture)
    sys.stderr.write(f"wrote {page} and {picture}\n")


if __name__ == "__main__":
    main()
