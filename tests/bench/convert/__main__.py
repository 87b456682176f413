"""Run the benchmark: `python -m tests.bench.convert`, or `make bench-convert`.

A full run replaces docs/bench/convert.json, docs/img/convert.svg and the tables of docs/converting.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from tests.bench.convert import tables
from tests.bench.convert.judge import judged
from tests.bench.convert.logs import LOGS, BenchLog, built
from tests.bench.decode.__main__ import machine
from tests.bench.decode.contenders import ROOT, NotInstalled, python_of, tidy

BUILD = ROOT / "build" / "bench"
DOCS = ROOT / "docs"
SEED = ("mediaref[video]==1.0.0", "rosbags", "opencv-python-headless==5.0.0.93", "tqdm", "numpy")
PYMCAP = ("pymcap-cli[video,pointcloud]==0.34.0",)
SECONDS = 20
# A process's peak memory is no less than that of the one that started it: so a small one does.
LAUNCHER = """
import json, os, sys, time
begun = time.monotonic()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, 2, 1)])
_, status, usage = os.wait4(child, 0)
print(json.dumps({
    "wall": time.monotonic() - begun, "cpu": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024,
    "code": os.waitstatus_to_exitcode(status),
}))
"""
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours": ("ours", {}),
    "ours, to train": ("ours", {"purpose": "train"}),
    "ours, av1": ("ours", {"codec": "av1"}),
    "ours, for archive": ("ours", {"purpose": "archive"}),
    "decode + encode alone": ("bare", {}),
    "decode + encode alone, av1": ("bare", {"codec": "av1"}),
    "mediaref 1.0.0's example": ("seed", {}),
    "pymcap-cli roscompress": ("pymcap", {}),
}


def command(kind: str, log: BenchLog, out: Path, settings: dict[str, Any], told: Path) -> list[str]:
    """What runs a contender.

    Raises:
        NotInstalled: Its environment can't be had.
    """
    text = json.dumps(settings)
    if kind == "ours":
        return [sys.executable, "-m", "tests.bench.convert.ours", str(log.path), str(out), text, str(told)]
    if kind == "bare":
        return [sys.executable, "-m", "tests.bench.convert.bare", str(log.path), str(out), text]
    if kind == "seed":
        return [python_of(SEED, BUILD / "environments"), str(example()), str(log.path), "-o", str(out)]
    tool = Path(python_of(PYMCAP, BUILD / "environments")).with_name("pymcap-cli")
    (inner,) = log.path.glob("*.mcap")
    return [str(tool), "roscompress", str(inner), "-o", str(out), "--quality", "23"]


def example() -> Path:
    """The seed's own converter, out of its source distribution.

    Raises:
        NotInstalled: There is none to be had.
    """
    folder = BUILD / "convert" / "seed"
    script = folder / "mediaref-1.0.0" / "examples" / "ros" / "bag_to_mediaref.py"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ask = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "mediaref"]
        done = subprocess.run([*ask, "--dest", str(folder), "mediaref==1.0.0"], capture_output=True, check=False)
        if done.returncode:
            raise NotInstalled("its source distribution can't be downloaded")
        with tarfile.open(folder / "mediaref-1.0.0.tar.gz") as archive:
            archive.extractall(folder, filter="data")
    return script


def measured(name: str, log: BenchLog, folder: Path) -> dict[str, Any]:
    """Run a contender once: seconds, peak memory, sizes; or why there are none."""
    kind, settings = CONTENDERS[name]
    out = folder / f"{kind}.out"
    for old in (out, out.with_name(f"{out.name}.media"), folder / "told.json"):
        shutil.rmtree(old, ignore_errors=True)
        old.unlink(missing_ok=True)
    if kind == "pymcap":
        out.mkdir()
        out = out / "out.mcap"
    row: dict[str, Any] = {"log": log.name, "contender": name, "kind": kind, "out": str(out)}
    try:
        asked = command(kind, log, out, settings, folder / "told.json")
    except NotInstalled as error:
        return {**row, "error": str(error)}
    with (folder / "said.log").open("wb") as said:
        launcher = [sys.executable, "-S", "-c", LAUNCHER, *asked]
        done = subprocess.run(launcher, cwd=ROOT, stdin=None, stdout=subprocess.PIPE, stderr=said, check=True)
    row |= json.loads(done.stdout)
    if row.pop("code"):
        lines = (folder / "said.log").read_text("utf-8", "replace").strip().splitlines() or ["nothing"]
        return {**row, "error": tidy(next((line for line in lines if "rror" in line), lines[-1]))}
    if kind == "ours":
        row |= json.loads((folder / "told.json").read_text())
    row["bytes"] = sum(file.stat().st_size for file in produced(kind, out))
    return row


def produced(kind: str, out: Path) -> list[Path]:
    """The files that a contender made."""
    places = [out, out.with_name(f"{out.name}.media")] if kind == "seed" else [out]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*"))]
    return [file for file in files if file.is_file()]


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.convert", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logs", default=",".join(LOGS), help="comma-separated")
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of the four cameras")
    parser.add_argument("--report", type=Path, help="measure nothing: write page and chart from such a JSON")
    asked = parser.parse_args()
    if asked.report:
        raw = json.loads(asked.report.read_text("utf-8"))
    else:
        raw = run(asked.logs.split(","), asked.rounds, asked.seconds)
    whole = {log["name"] for log in raw["logs"]} == set(LOGS) and raw["seconds"] == SECONDS
    if whole:
        (DOCS / "bench").mkdir(exist_ok=True)
        (DOCS / "bench" / "convert.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
        tables.write(raw, DOCS / "converting.md", DOCS / "img" / "convert.svg")
    else:
        (BUILD / "convert" / "convert.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
    sys.stdout.write(tables.everything(raw) + "\n")


def run(names: list[str], rounds: int, seconds: int) -> dict[str, Any]:
    """All rounds of all logs, contenders interleaved; what they made is judged in the first."""
    folder = BUILD / "convert"
    folder.mkdir(parents=True, exist_ok=True)
    raw: dict[str, Any] = {"machine": machine(), "rounds": rounds, "seconds": seconds, "logs": [], "rows": []}
    for name in names:
        log = built(name, folder / f"logs-{seconds}", seconds)
        if log is None:
            continue
        raw["logs"].append({"name": log.name, "title": log.title, "frames": log.frames, "bytes": log.bytes})
        for number in range(rounds):
            for contender in CONTENDERS:
                row = {"round": number, **measured(contender, log, folder)}
                if number == 0 and "error" not in row and row["kind"] != "bare":
                    try:
                        row |= judged(row["kind"], log.path, Path(row["out"])).as_json()
                    except Exception as error:  # of what others made: it is a figure like others
                        row["unjudged"] = tidy(f"{type(error).__name__}: {error}")
                del row["out"]
                raw["rows"].append(row)
                sys.stderr.write(f"{log.name}, {number + 1} of {rounds}, {contender}: {row.get('wall', 0):.1f} s\n")
    return raw


if __name__ == "__main__":
    main()
