"""Small logs of numbered pictures: a sample to try things on, and the means to build logs for tests.

`python -m mediaref_tools.sample OUT` writes the sample. A test builds its own log in two calls::

    times_ns = [0, 33_000_000, 33_000_000, 5_000_000_000]
    messages = numbered_topic("/camera/image_raw", times_ns, encoding="bgr8", size=(121, 161), step_padding=5)
    write_log(tmp_path / "log.bag", "rosbag1", messages)

Every picture shows its place on its topic, which `frame_number` reads back. Nothing depends on the clock or on
chance: the same call writes the same log.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError, LogError, MediarefError
from mediaref_tools.recorder import Container, SampleMessage, header, write_log
from mediaref_tools.scene import MAX_NUMBER, frame_number, numbered_image

__all__ = [
    "START_NS",
    "Container",
    "ImageEncoding",
    "SampleMessage",
    "frame_number",
    "header",
    "make_sample",
    "numbered_image",
    "numbered_topic",
    "write_log",
]

ImageEncoding = Literal["jpeg", "png", "rgb8", "bgr8", "rgba8", "bgra8", "mono8"]

START_NS = 1_700_000_000_000_000_000
"""When the sample begins."""

_CHANNELS = {"rgb8": (0, 1, 2), "bgr8": (2, 1, 0), "rgba8": (0, 1, 2), "bgra8": (2, 1, 0)}


def numbered_topic(
    topic: str,
    times_ns: Iterable[int],
    *,
    encoding: ImageEncoding = "jpeg",
    size: tuple[int, int] | Callable[[int], tuple[int, int]] = (480, 640),
    step_padding: int = 0,
    first: int = 0,
    latency_ns: int = 4_000_000,
    frame_id: str = "camera",
    quality: int = 85,
) -> list[SampleMessage]:
    """One image topic: message i was received at `times_ns[i]` and shows number `first` + i.

    Args:
        topic: Its name.
        times_ns: Log times in any order, repeats allowed.
        encoding: "jpeg" (4:2:0) and "png" make a CompressedImage, the others an Image.
        size: (height, width), or what gives them for message i; odd ones too.
        step_padding: Bytes of 0xAA after each row of an Image, so that a reader that ignores `step` fails.
        first: The first number. Numbers wrap at 65536.
        latency_ns: How much earlier than its log time a picture is stamped; not below 0.
        frame_id: Of every header.
        quality: Of JPEG.

    Raises:
        ImageError: The encoding is unknown, or the size too small to be numbered.
    """
    messages = []
    for index, log_time_ns in enumerate(times_ns):
        height, width = size(index) if callable(size) else size
        rgb = numbered_image((first + index) % (MAX_NUMBER + 1), width, height)
        head = header(log_time_ns - latency_ns, frame_id, index)
        if encoding in ("jpeg", "png"):
            name = "CompressedImage"
            data = np.frombuffer(_image_file(rgb, encoding, quality), np.uint8)
            body = SimpleNamespace(header=head, format=f"rgb8; {encoding} compressed bgr8", data=data)
        else:
            name = "Image"
            rows = _rows(rgb, encoding)
            padding = np.full((height, step_padding), 0xAA, np.uint8)
            body = SimpleNamespace(
                header=head,
                height=height,
                width=width,
                encoding=encoding,
                is_bigendian=0,
                step=rows.shape[1] + step_padding,
                data=np.concatenate((rows, padding), axis=1).reshape(-1),
            )
        messages.append(SampleMessage(topic, f"sensor_msgs/msg/{name}", log_time_ns, body))
    return messages


def _image_file(rgb: NDArray[np.uint8], encoding: str, quality: int) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    if encoding == "jpeg":
        Image.fromarray(rgb).save(stream, "jpeg", quality=quality, subsampling="4:2:0")
    else:
        Image.fromarray(rgb).save(stream, "png", compress_level=1)
    return stream.getvalue()


def _rows(rgb: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    """Pixels as the encoding has them, (H, bytes a row) uint8."""
    if encoding == "mono8":
        weights = np.array([0.299, 0.587, 0.114], np.float32)
        return np.asarray(np.rint(rgb @ weights), np.uint8)
    if encoding not in _CHANNELS:
        raise ImageError(f"can't make an image of encoding {encoding!r}: one of {', '.join(get_args(ImageEncoding))}")
    pixels = rgb[:, :, list(_CHANNELS[encoding])]
    if len(encoding) == 5:
        pixels = np.concatenate((pixels, np.full((*rgb.shape[:2], 1), 255, np.uint8)), axis=2)
    return pixels.reshape(rgb.shape[0], -1)


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
    parser.add_argument("--seconds", type=float, default=4.0)
    options = parser.parse_args(arguments)
    try:
        path = make_sample(options.out, container=options.container, seconds=options.seconds)
    except (MediarefError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
