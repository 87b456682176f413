"""Recorded logs, judged without this package: does each frame look like its own source picture and no other near it?

The source is read by rosbags or mcap and decoded by Pillow; frames come from our reader.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools import Settings, convert, open_dataset
from tests.reallogs import real_log
from tests.stocklogs import deserialized, records

ORDERS = {"bgr8": (2, 1, 0), "rgb8": (0, 1, 2), "mono8": (0, 0, 0)}
LOGS = {
    "mcap/so101_ros2_unchunked.mcap": ("mcap", "/wrist/image/compressed", "h264"),
    "mcap/so101_ros2_zstd.mcap": ("mcap", "/wrist/image_raw", "av1"),
    "ros1/wrist_bgr8_bz2.bag": ("rosbag1", "/wrist_cam/image_raw", "av1"),
    "ros1/multi_encoding_lz4.bag": ("rosbag1", "/cam/mono/image_raw", "h264"),
    "ros2/handheld_sqlite3_v9": ("rosbag2-sqlite3", "/camera/color/image_raw/compressed", "h264"),
}


def pixels(message: Any) -> NDArray[np.uint8]:
    data = np.frombuffer(bytes(message.data), np.uint8)
    if hasattr(message, "format"):
        with Image.open(io.BytesIO(data.tobytes())) as image:
            return np.asarray(image.convert("RGB"))
    order = ORDERS[message.encoding]
    rows = data.reshape(message.height, message.step)
    channels = max(order) + 1
    return rows[:, : message.width * channels].reshape(message.height, message.width, channels)[:, :, list(order)]


def pictures(log: Path, container: str, topic: str) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    for name, _, time_ns, _, message in deserialized(log, container):
        if name == topic:
            yield time_ns, pixels(message)


@pytest.mark.parametrize("name", LOGS)
def test_frames_look_like_their_own_pictures(name: str, tmp_path: Path) -> None:
    container, topic, codec = LOGS[name]
    source = real_log(name)
    settings = Settings.model_validate({"codec": codec, "topics": (topic,)})
    convert(source, tmp_path / "out", settings=settings)
    thumbs: list[NDArray[np.float32]] = []
    times: list[int] = []
    with open_dataset(tmp_path / "out") as dataset:
        frames = dataset[topic]
        shown = (frame for batch in frames.batches(16, format="rgb") for frame in batch)
        decoded: list[NDArray[np.float32]] = []
        for time_ns, rgb in pictures(source, container, topic):
            frame = next(shown)
            assert frame.log_time_ns == time_ns
            assert frame.data.shape == rgb.shape
            difference = np.abs(frame.data[::4, ::4].astype(np.int16) - rgb[::4, ::4])
            assert difference.mean() < 8, f"frame {frame.index}"
            times.append(time_ns)
            thumbs.append(small(rgb))
            decoded.append(small(frame.data))
        assert next(shown, None) is None
        uris = [(ref.uri, ref.pts_ns) for ref in frames.refs]
    stock = [record for record in records(tmp_path / "out" / source.name, container) if record.topic == topic]
    assert [(record.log_time_ns, record.uri, record.pts_ns) for record in stock] == [
        (time, *ref) for time, ref in zip(times, uris, strict=True)
    ]
    for index, picture in enumerate(decoded):
        near = range(max(0, index - 8), min(len(thumbs), index + 9))
        errors = {other: float(np.square(picture - thumbs[other]).mean()) for other in near}
        best = min(errors.values())
        assert errors[index] <= 1.25 * best + 0.5, f"frame {index} looks like {min(errors, key=lambda o: errors[o])}"


def small(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey means of 8x8 pixels."""
    height, width = rgb.shape[0] // 8 * 8, rgb.shape[1] // 8 * 8
    grey = rgb[:height, :width].astype(np.float32).mean(axis=2)
    means: NDArray[np.float32] = grey.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3), dtype=np.float32)
    return means
