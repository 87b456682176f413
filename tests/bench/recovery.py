"""What stock readers and ours make of damaged logs; writes its part of docs/recovery.md.

`python -m tests.bench.recovery`; recorded logs are found through MEDIAREF_LOGS, and left out where they are not.
MEDIAREF_ROSBAG names a Python that has ROS 1's own `rosbag` (`rosbag-standalone`, say), for `rosbag reindex`.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from mediaref_tools.plugins import open_log
from tests.damagedlogs import COUNT, FAULTS, present
from tests.reallogs import ROOT

PAGE = Path(__file__).parents[2] / "docs" / "recovery.md"
RECORDED = {
    "ros1/unindexed_lz4.bag.active": 59,
    "mcap/truncated_zstd.mcap": 143,
    "found/tiryoh/test_truncated.bag": 3,
    "found/tiryoh/test_unindexed.bag": 14,
    "found/tiryoh/test_sample_truncated.mcap": None,
    "found/tiryoh/test_sample.mcap.zstd": None,
    "found/klintan_2019/sample_2019-03-22.db3": None,
    "found/rosbag2/multiple_files": None,
    "found/rosbag2/message_compression": None,
    "found/rosbag2/file_compression": None,
    "found/geocam_rosbags_rs/test_bag_mcap": None,
    "found/geocam_rosbags_rs/test_bag_sqlite3": None,
}
"""Recorded logs, and how many messages are there where somebody counted them without our reader."""


def replace_part(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of a part of a page."""
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, rest = page.read_text("utf-8").split(start)
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{rest.split(end)[1]}", "utf-8")


def by_rosbags(path: Path) -> str:
    """Messages that rosbags gives, or why it gives none; of the files of a folder that has no metadata.yaml."""
    found = 0
    bare = path.is_dir() and not (path / "metadata.yaml").exists()
    try:
        with AnyReader(
            sorted(path.iterdir()) if bare else [path], default_typestore=get_typestore(Stores.LATEST)
        ) as reader:
            for _ in reader.messages():
                found += 1
    except Exception as error:
        return f"{type(error).__name__}" + (f" after {found}" if found else "")
    return str(found)


_REINDEX = """
import shutil, sys, rosbag
shutil.copyfile(*sys.argv[1:3])
with rosbag.Bag(sys.argv[2], "a", allow_unindexed=True) as bag:
    list(bag.reindex())
with rosbag.Bag(sys.argv[2]) as bag:
    for found, _ in enumerate(bag.read_messages(raw=True), 1):
        print(found)
"""


def by_reindex(path: Path) -> str:
    """Messages of a ROS 1 bag that the reference gives once it has reindexed a copy, or why it gives none."""
    python = os.environ.get("MEDIAREF_ROSBAG")
    if python is None or path.is_dir() or not re.search(r"\.bag|\.orig", path.name):
        return "-"
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-W", "ignore", "-c", _REINDEX, str(path), str(Path(folder, "copy.bag"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = (done.stdout.split() or ["0"])[-1]
    if done.returncode == 0:
        return found
    error = done.stderr.strip().splitlines()[-1].split(":")[0].split(".")[-1]
    return error + (f" after {found}" if found != "0" else "")


def by_mcap(path: Path) -> str:
    """Messages that mcap's own reader gives, or why it gives none."""
    found = 0
    if path.suffix != ".mcap" and ".mcap" not in path.suffixes:
        return "-"
    try:
        with path.open("rb") as file:
            for _ in make_reader(file).iter_messages():
                found += 1
    except Exception as error:
        return f"{type(error).__name__}" + (f" after {found}" if found else "")
    return str(found)


def by_us(path: Path) -> tuple[int, str]:
    """Messages that we give, and what we say of the others."""
    with open_log(path) as reader:
        found = sum(1 for _ in reader.messages())
        losses = list(reader.losses)
    known = [loss.messages for loss in losses if loss.messages is not None]
    said = "nothing missing" if not losses else "recovered" if not sum(known) else f"{sum(known)} lost"
    return found, said


def ours(folder: Path) -> Iterator[tuple[str, str, int, int, str, Path]]:
    """For every fault: container, name, messages there, messages that we give, what we say, and the log."""
    for number, fault in enumerate(FAULTS):
        place = folder / str(number)
        place.mkdir()
        path = fault.make(place)
        there = present(path) if fault.present is None else fault.present
        yield fault.container, fault.name, there + fault.marred, *by_us(path), path


def table(folder: Path) -> Iterator[str]:
    yield f"| container | fault, of {COUNT} messages | there | rosbags | rosbag reindex | mcap | ours | and it says |"
    yield "|---|---|---:|---:|---:|---:|---:|---|"
    for container, name, there, found, said, path in ours(folder):
        stock = f"{by_rosbags(path)} | {by_reindex(path)} | {by_mcap(path)}"
        yield f"| {container} | {name} | {there} | {stock} | {found} | {said} |"


def recorded() -> Iterator[str]:
    yield "| recorded log | there | rosbags | rosbag reindex | mcap | ours | and it says |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    for name, there in RECORDED.items():
        path = ROOT / name
        if path.exists():
            found, said = by_us(path)
            stock = f"{by_rosbags(path)} | {by_reindex(path)} | {by_mcap(path)}"
            yield f"| {name} | {there or '?'} | {stock} | {found} | {said} |"
    conformance = sorted((ROOT / "found/mcap_conformance").glob("*.mcap"))
    if conformance:
        refused = sum(not by_mcap(path).isdecimal() for path in conformance)
        read = sum(by_us(path)[1] == "nothing missing" for path in conformance)
        count = len(conformance)
        yield f"| found/mcap_conformance, {count} files | {count} | | | {count - refused} | {read} | nothing missing |"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        text = "\n".join(table(Path(folder)))
    if ROOT.is_dir():
        text += "\n\n" + "\n".join(recorded())
    print(text)
    replace_part(PAGE, "faults", re.sub(r" +\n", "\n", text))


if __name__ == "__main__":
    main()
