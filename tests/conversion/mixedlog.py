"""A small log of topics of all sorts: sizes that change, pictures that are damaged, a camera's video."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mediaref_tools.sample import START_NS, Container, SampleMessage, header
from tests.camera.cameras import recording
from tests.smalllogs import STEP, camera, log_of, others

__all__ = ["SEGMENT_NS", "fingerprint", "mixed_log"]

SEGMENT_NS = 400_000_000
"""A dozen pictures: a segment's length at which the log makes many."""

_ZEROS = np.zeros(64, np.uint8)


def mixed_log(folder: Path, container: Container = "mcap") -> Path:
    """Write it: 165 pictures of four topics, and all that is not to become video."""
    return log_of(folder, container, [*_changing(), *_raw(), *_video(), *others()])


def _changing() -> list[SampleMessage]:
    def size(index: int) -> tuple[int, int]:
        stray, turns, lasting = index in (17, 50), 30 <= index < 40 and index % 3 == 0, index >= 60
        return (48, 80) if stray or turns else (80, 112) if lasting else (64, 96)

    messages = camera("/camera", 75, size=size)
    for index in (5, 33, 34, 62, 74):
        messages[index].body.data = _ZEROS
    return messages


def _raw() -> list[SampleMessage]:
    return [
        *camera("/right", 30, encoding="rgb8", size=(63, 97)),
        *camera("/range", 20, encoding="mono16"),
    ]


def _video() -> list[SampleMessage]:
    """Parameter sets are in the first packet alone."""
    messages = []
    for index, data in enumerate(recording("h264").packets[:40]):
        time_ns = START_NS + index * STEP
        if index:
            data = re.sub(b"(?s)^.*?(?=\0\0\1\x65)", b"\0", data, count=1)
        content = _ZEROS if index in (11, 25) else np.frombuffer(data, np.uint8)
        body = SimpleNamespace(header=header(time_ns, "video", index), format="h264", data=content)
        messages.append(SampleMessage("/video", "sensor_msgs/msg/CompressedImage", time_ns, body))
    return messages


def fingerprint(folder: Path) -> dict[str, str]:
    """sha256 of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
