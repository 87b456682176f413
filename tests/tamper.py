"""A small dataset, and the means to tamper with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mediaref_tools import convert
from mediaref_tools.dataset.frames import SCHEMA
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.sample import SampleMessage, numbered_topic, write_log

__all__ = [
    "BROKEN",
    "CAM",
    "LEFT",
    "SETTINGS",
    "START_NS",
    "STEP_NS",
    "Row",
    "accept_segments",
    "edit_manifest",
    "edit_rows",
    "flipped",
    "make",
    "messages",
    "replaced",
    "rewritten",
    "segment",
]

START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
CAM, LEFT = 30, 10  # frames; /cam has three segments of ten
BROKEN = 25  # this one of /cam is no image, and is embedded
Row = dict[str, Any]
SETTINGS = Settings(segment_ns=10 * STEP_NS)


def messages() -> list[SampleMessage]:
    cam = numbered_topic("/cam", [START_NS + n * STEP_NS for n in range(CAM)], size=(48, 80))
    cam[BROKEN].body.data = np.frombuffer(b"no image at all", np.uint8)
    left = numbered_topic(
        "/left", [START_NS + 7 + n * STEP_NS for n in range(LEFT)], encoding="bgr8", size=(49, 81), first=300
    )
    talk = [
        SampleMessage("/talk", "std_msgs/msg/String", START_NS + n * STEP_NS, SimpleNamespace(data=f"hello-{n:03d}"))
        for n in range(20)
    ]
    return [*cam, *left, *talk]


def make(folder: Path) -> None:
    """Write `log.bag` into a folder, and convert it to `set`."""
    write_log(folder / "log.bag", "rosbag1", messages())
    report = convert(folder / "log.bag", folder / "set", settings=SETTINGS)
    assert (report.frames, report.embedded, len(report.topics)) == (CAM + LEFT, 1, 2)
    names = sorted(path.name for path in (folder / "set" / "media" / "cam").iterdir())
    assert names == [f"00000{number}.mp4" for number in range(3)]


def flipped(path: Path, at: int, count: int = 1) -> None:
    data = bytearray(path.read_bytes())
    for place in range(at, at + count):
        data[place] ^= 0xFF
    path.write_bytes(data)


def replaced(path: Path, old: bytes, new: bytes, which: int = 0) -> None:
    """Exchange one occurrence of some bytes for as many others."""
    parts = path.read_bytes().split(old)
    if len(old) != len(new) or len(parts) < which + 2:
        raise ValueError(f"{old!r} can't be replaced by {new!r}: found {len(parts) - 1} times")
    path.write_bytes(old.join(parts[: which + 1]) + new + old.join(parts[which + 1 :]))


def edit_manifest(dataset: Path, change: Callable[[Any], None]) -> None:
    path = dataset / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def edit_rows(dataset: Path, change: Callable[[list[Row]], None]) -> None:
    """Rows are those of /cam, then those of /left."""
    path = dataset / "frames.parquet"
    rows = pq.read_table(path).to_pylist()
    change(rows)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for _, group in groupby(rows, key=lambda row: row["topic"]):
            writer.write_table(pa.Table.from_pylist(list(group), schema=SCHEMA))


def accept_segments(dataset: Path) -> None:
    """Write the segments' checksums anew, as a bug in the encoder would."""

    def change(manifest: Any) -> None:
        for topic in manifest["topics"]:
            for segment in topic["segments"]:
                segment["sha256"] = hashlib.sha256((dataset / segment["uri"]).read_bytes()).hexdigest()

    edit_manifest(dataset, change)


def segment(dataset: Path, number: int = 0, topic: str = "cam") -> Path:
    return dataset / "media" / topic / f"{number:06d}.mp4"


def rewritten(
    path: Path, keep: Callable[[str, int], bool], time_ns: Callable[[int], int] = lambda time_ns: time_ns
) -> None:
    """Write a bag again with some of its messages, or at other times, by a third party's means."""
    from rosbags.rosbag1 import Reader, Writer

    old = path.rename(path.with_name("old"))
    counts: dict[str, int] = {}
    with Reader(old) as reader, Writer(path) as writer:
        made = {
            c.id: writer.add_connection(c.topic, c.msgtype, msgdef=c.msgdef.data, md5sum=c.digest, **c.ext._asdict())
            for c in reader.connections
        }
        for connection, log_time_ns, data in reader.messages():
            number = counts[connection.topic] = counts.get(connection.topic, -1) + 1
            if keep(connection.topic, number):
                writer.write(made[connection.id], time_ns(log_time_ns), data)
    old.unlink()
