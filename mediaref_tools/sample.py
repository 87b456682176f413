"""Small logs of numbered pictures: a sample to try things on, and the means to build logs for tests.

`python -m mediaref_tools.sample OUT` writes the sample, and with `--encodings` a log of every encoding instead. A test
builds its own log in two calls::

    times_ns = [0, 33_000_000, 33_000_000, 5_000_000_000]
    messages = numbered_topic("/camera/image_raw", times_ns, encoding="bgr8", size=(121, 161), step_padding=5)
    write_log(tmp_path / "log.bag", "rosbag1", messages)

Every picture shows its place on its topic, which `frame_number` reads back. Nothing depends on the clock or on
chance: the same call writes the same log.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np

from mediaref_tools.errors import LogError, MediarefError
from mediaref_tools.samples.encodings import (
    ENCODINGS,
    START_NS,
    EncodingTopic,
    ImageEncoding,
    encoding_topics,
    make_encodings,
    numbered_pixels,
    numbered_topic,
)
from mediaref_tools.samples.rawimages import viewable
from mediaref_tools.samples.recorder import Container, SampleMessage, header, write_log
from mediaref_tools.samples.scene import frame_number, numbered_image

__all__ = [
    "ENCODINGS",
    "START_NS",
    "Container",
    "EncodingTopic",
    "ImageEncoding",
    "SampleMessage",
    "encoding_topics",
    "frame_number",
    "header",
    "make_encodings",
    "make_sample",
    "numbered_image",
    "numbered_pixels",
    "numbered_topic",
    "viewable",
    "write_log",
]


def make_sample(
    path: str | Path, *, container: Container = "rosbag2-sqlite3", seconds: float = 4, first: int = 0
) -> Path:
    """Write the sample: what a small robot with two cameras records.

    `/camera/left/image_raw/compressed` (JPEG 640x480 at 30 Hz with jitter), `/camera/right/image_raw` (rgb8 320x240
    at 14.7 Hz), `/imu/data` at 100 Hz, `/tf` at 20 Hz and `/tf_static` once, latched. Pictures and transforms are
    stamped a few ms before their log time.

    Args:
        path: Must not exist: a file, or a folder where the container is a rosbag2.
        container: Which kind of log.
        seconds: How long.
        first: The number of each camera's first picture.

    Returns:
        `path`.

    Raises:
        OutputError: Something is at `path`.
        LogError: The container is unknown, or the time not positive.
    """
    if not 0 < seconds <= 3600:
        raise LogError(f"can't make a sample of {seconds!r} seconds: expected more than 0, at most 3600: {path}")
    left = numbered_topic(
        "/camera/left/image_raw/compressed",
        _times_ns(30, seconds, 4_000_000, seed=1),
        first=first,
        latency_ns=6_000_000,
        frame_id="camera_left",
    )
    right = numbered_topic(
        "/camera/right/image_raw",
        _times_ns(14.7, seconds, 1_500_000, seed=2),
        encoding="rgb8",
        size=(240, 320),
        first=first,
        latency_ns=9_000_000,
        frame_id="camera_right",
    )
    imu = [_imu(log_time_ns) for log_time_ns in _times_ns(100, seconds, 300_000, seed=3)]
    moving = [_transform(log_time_ns) for log_time_ns in _times_ns(20, seconds, 800_000, seed=4)]
    still = _transforms(
        "/tf_static", START_NS, [("base", "camera_left", 0.1, 0.0), ("base", "camera_right", -0.1, 0.0)]
    )
    messages = [still._replace(latched=True), *left, *right, *imu, *moving]
    # What is sent is received a little later; only plain MCAP can tell.
    return write_log(
        path, container, [message._replace(publish_time_ns=message.log_time_ns - 700_000) for message in messages]
    )


def _times_ns(hertz: float, seconds: float, jitter_ns: int, *, seed: int) -> list[int]:
    """Log times from START_NS on, each off its period by less than `jitter_ns`."""
    count = max(1, math.floor(seconds * hertz))
    offsets = np.random.default_rng(seed).integers(0, jitter_ns, count)
    return [START_NS + 10_000_000 + round(i * 1_000_000_000 / hertz) + int(offset) for i, offset in enumerate(offsets)]


def _imu(log_time_ns: int) -> SampleMessage:
    angle = (log_time_ns - START_NS) / 1e9
    unknown = np.zeros(9)
    body = SimpleNamespace(
        header=header(log_time_ns - 1_200_000, "imu"),
        orientation=SimpleNamespace(x=0.0, y=0.0, z=math.sin(angle / 2), w=math.cos(angle / 2)),
        orientation_covariance=unknown,
        angular_velocity=SimpleNamespace(x=0.0, y=0.0, z=1.0),
        angular_velocity_covariance=unknown,
        linear_acceleration=SimpleNamespace(x=-math.cos(angle), y=-math.sin(angle), z=9.81),
        linear_acceleration_covariance=unknown,
    )
    return SampleMessage("/imu/data", "sensor_msgs/msg/Imu", log_time_ns, body)


def _transform(log_time_ns: int) -> SampleMessage:
    angle = (log_time_ns - START_NS) / 1e9
    return _transforms("/tf", log_time_ns, [("map", "base", math.cos(angle), angle)])


def _transforms(topic: str, log_time_ns: int, frames: Sequence[tuple[str, str, float, float]]) -> SampleMessage:
    """A TFMessage of (parent, child, metres along x, radians about z)."""
    transforms = [
        SimpleNamespace(
            header=header(log_time_ns - 2_500_000, parent),
            child_frame_id=child,
            transform=SimpleNamespace(
                translation=SimpleNamespace(x=x, y=0.0, z=0.0),
                rotation=SimpleNamespace(x=0.0, y=0.0, z=math.sin(angle / 2), w=math.cos(angle / 2)),
            ),
        )
        for parent, child, x, angle in frames
    ]
    return SampleMessage(topic, "tf2_msgs/msg/TFMessage", log_time_ns, SimpleNamespace(transforms=transforms))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program.

    Returns:
        The exit status: 0 done, 1 an error, told on stderr in one line.
    """
    parser = argparse.ArgumentParser(
        prog="python -m mediaref_tools.sample", description="Write a small ROS log of numbered pictures."
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="must not exist: a file, or a folder for a rosbag2")
    parser.add_argument("--container", choices=get_args(Container), default="rosbag2-sqlite3")
    parser.add_argument("--seconds", type=float, default=4.0, help="how long the sample is")
    parser.add_argument("--encodings", action="store_true", help="one topic of every encoding, of 10 pictures each")
    options = parser.parse_args(arguments)
    try:
        if options.encodings:
            path = make_encodings(options.out, container=options.container)
        else:
            path = make_sample(options.out, container=options.container, seconds=options.seconds)
    except (MediarefError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
