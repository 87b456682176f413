"""The logs that are converted: image topics of recorded ones, and four cameras made of footage."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
from PIL import Image

from mediaref_tools import Settings
from mediaref_tools.image import ImageValue
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import START_NS, SampleMessage, header, write_log
from tests.bench.decode import footage
from tests.reallogs import ROOT

__all__ = ["LOGS", "BenchLog", "built", "sources"]

RECORDED = {
    "dashcam": ("mcap/dashcam_27s_ros2_zstd.mcap", "dashcam, JPEG 960x540"),
    "so101": ("mcap/so101_ros2_zstd.mcap", "robot arm, JPEG 640x360 and rgb8"),
    "wrist": ("ros1/wrist_bgr8_bz2.bag", "wrist camera, bgr8 640x480"),
}
SIZE, RATE, QUALITY = (640, 480), 20, 90
LOGS = ("dashcam", "four cameras", "so101", "wrist")


class BenchLog(NamedTuple):
    """A rosbag2 folder with MCAP storage, and what it is."""

    name: str
    title: str
    path: Path
    frames: int
    bytes: int


def built(name: str, folder: Path, seconds: int) -> BenchLog | None:
    """The log, made if it is not there yet; None where what it is made of is not there."""
    path = folder / name.replace(" ", "-")
    if name in RECORDED:
        relative, title = RECORDED[name]
        if not (ROOT / relative).exists():
            return None
        messages = _recorded(ROOT / relative)
    else:
        title = f"four cameras, JPEG 640x480, {seconds} s"
        messages = _cameras(seconds)
    if not path.exists():
        write_log(path, "rosbag2-mcap", list(messages))
    frames = sum(1 for _ in sources(path))
    return BenchLog(name, title, path, frames, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def sources(path: Path, topic: str | None = None) -> Iterator[tuple[str, int, ImageValue]]:
    """Topic, log time and image of each message with one."""
    with open_log(path, Settings().opening) as reader:
        for message in reader.messages(None if topic is None else [topic]):
            if message.channel.role == "image":
                yield message.channel.topic, message.log_time_ns, reader.image(message)


def _recorded(path: Path) -> Iterator[SampleMessage]:
    for topic, log_time_ns, image in sources(path):
        head = header(image.stamp_ns or log_time_ns, image.frame_id)
        data = np.frombuffer(bytes(image.data), np.uint8)
        if image.kind == "raw":
            body = SimpleNamespace(
                header=head, height=image.height, width=image.width, encoding=image.encoding,
                is_bigendian=int(image.is_bigendian), step=image.step, data=data,
            )  # fmt: skip
            yield SampleMessage(topic, "sensor_msgs/msg/Image", log_time_ns, body)
        else:
            body = SimpleNamespace(header=head, format=image.encoding, data=data)
            yield SampleMessage(topic, "sensor_msgs/msg/CompressedImage", log_time_ns, body)


def _cameras(seconds: int) -> Iterator[SampleMessage]:
    """Four cameras at irregular times; each picture carries its number."""
    chance = np.random.default_rng(8)
    count = seconds * RATE
    videos = [footage.frames(SIZE, count, seed) for seed in range(4)]
    for number in range(count):
        for camera, video in enumerate(videos):
            time_ns = START_NS + number * 10**9 // RATE + camera * 3_000_000 + int(chance.integers(0, 2_000_000))
            whole = io.BytesIO()
            Image.fromarray(next(video)).save(whole, "jpeg", quality=QUALITY)
            data = np.frombuffer(whole.getvalue(), np.uint8)
            body = SimpleNamespace(header=header(time_ns, f"camera{camera}"), format="jpeg", data=data)
            yield SampleMessage(f"/camera{camera}/compressed", "sensor_msgs/msg/CompressedImage", time_ns, body)
