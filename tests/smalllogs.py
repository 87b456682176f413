"""Small logs for tests of `convert` and the reader."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest

from mediaref_tools.sample import START_NS, Container, SampleMessage, header, numbered_topic, write_log

__all__ = [
    "CONTAINERS",
    "SIZE",
    "STEP",
    "SUFFIX",
    "camera",
    "every_container",
    "log_of",
    "others",
    "rows_of",
    "text",
    "times",
]

STEP = 33_333_333
SIZE = (64, 96)
CONTAINERS = get_args(Container)
SUFFIX = {"rosbag1": ".bag", "mcap": ".mcap", "rosbag2-sqlite3": "", "rosbag2-mcap": ""}
every_container = pytest.mark.parametrize("container", CONTAINERS)


def times(count: int) -> list[int]:
    return [START_NS + index * STEP for index in range(count)]


def camera(topic: str = "/camera", count: int = 20, **settings: Any) -> list[SampleMessage]:
    return numbered_topic(topic, times(count), **{"size": SIZE, **settings})


def text(topic: str, time_ns: int, data: str, *, latched: bool = False) -> SampleMessage:
    body = SimpleNamespace(data=data)
    return SampleMessage(topic, "std_msgs/msg/String", time_ns, body, time_ns - 700_000, latched)


def raw(topic: str, time_ns: int, encoding: str, pixel: int) -> SampleMessage:
    height, width = SIZE
    data = np.frombuffer(struct.pack("<f", 1.5) * (height * width * pixel // 4), np.uint8)
    body = SimpleNamespace(
        header=header(time_ns, "depth"), height=height, width=width, encoding=encoding, is_bigendian=0,
        step=width * pixel, data=data,
    )  # fmt: skip
    return SampleMessage(topic, "sensor_msgs/msg/Image", time_ns, body)


def depth_file(topic: str, time_ns: int) -> SampleMessage:
    png = camera(count=1, encoding="png")[0].body.data.tobytes()
    data = np.frombuffer(struct.pack("<iff", 0, 100.0, 0.0) + png, np.uint8)
    body = SimpleNamespace(header=header(time_ns, "depth"), format="16UC1; compressedDepth png", data=data)
    return SampleMessage(topic, "sensor_msgs/msg/CompressedImage", time_ns, body)


def others() -> list[SampleMessage]:
    """Everything that is not to become video."""
    talk = [text("/talk", time, f"number {index}") for index, time in enumerate(times(30))]
    return [
        *talk,
        *[text("/talk", time, "from another publisher", latched=True) for time in times(5)],
        *[text("/twice", START_NS, "the same, at the same time")] * 2,
        text("/tf_static", START_NS - 5, "static", latched=True),
        text("/camera", START_NS + 1, "a string among pictures"),
        text("/empty", START_NS + 10**12, ""),
        *[raw("/depth", time, "32FC1", 4) for time in times(4)],
        *[raw("/flow", time, "32FC2", 8) for time in times(4)],
        *[depth_file("/camera/compressedDepth", time) for time in times(4)],
    ]


def log_of(folder: Path, container: Container, messages: list[SampleMessage]) -> Path:
    return write_log(folder / f"source{SUFFIX[container]}", container, messages)


def rows_of(dataset: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(dataset / "frames.parquet").to_pylist())
