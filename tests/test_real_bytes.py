"""Recorded logs: what is promised to be exact, judged without this package's own proof.

The bytes of packets lie in segments where the frames table says, and their SHA-1 is the one that whoever recorded the
log wrote down; the values of depth and mosaics are those that rosbags and Pillow read from the source.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.camera.framing import payload
from mediaref_tools.sample import Container
from tests.reallogs import real_log, truth
from tests.stocklogs import deserialized


@pytest.mark.parametrize(
    ("name", "codec", "statuses"),
    [
        ("mcap/foxglove_proto_zstd.mcap", "copy", {"video", "remuxed"}),
        ("mcap/so101_ros2_zstd.mcap", "copy", {"video"}),
        ("ros1/handheld_rgbd_jpeg_cdepth.bag", "copy", {"video"}),
        ("ros2/handheld_sqlite3_v9", "copy", {"video"}),
        ("ros2/gopro_nometa", "lossless", {"video"}),
    ],
)
def test_packets_are_the_source_s_bytes(
    name: str, codec: Literal["copy", "lossless"], statuses: set[str], tmp_path: Path
) -> None:
    report = convert(real_log(name), tmp_path / "out", settings=Settings(codec=codec))
    rows = pq.read_table(tmp_path / "out" / "frames.parquet").to_pylist()
    assert {row["status"] for row in rows} == statuses
    compared = 0
    for topic in report.topics:
        if topic.codec not in ("mjpeg", "h264"):
            continue
        digest = hashlib.sha1()
        for row in (row for row in rows if row["topic"] == topic.topic):
            with (tmp_path / "out" / row["media"]["uri"]).open("rb") as segment:
                segment.seek(row["byte_offset"])
                packet, framing = segment.read(row["byte_size"]), row["source_framing"]
                digest.update(payload(packet, framing) if framing else packet)
        assert digest.hexdigest() == truth()[name][topic.topic]["sha1"], topic.topic
        compared += 1
    assert compared > 0


def values(message: Any) -> NDArray[Any]:
    """Pixels as they are stored: of compressedDepth the PNG behind its 12 bytes."""
    data = bytes(message.data)
    if hasattr(message, "format"):
        with Image.open(io.BytesIO(data[12:])) as image:
            return np.asarray(image).astype(np.uint16)
    dtype = np.dtype("<u2" if "16" in message.encoding else "u1")
    rows = np.frombuffer(data, np.uint8)[: message.height * message.step].reshape(message.height, message.step)
    return np.ascontiguousarray(rows[:, : message.width * dtype.itemsize]).view(dtype)


@pytest.mark.parametrize(
    ("name", "container", "topics"),
    [
        ("ros1/handheld_rgbd_jpeg_cdepth.bag", "rosbag1", 1),
        ("ros2/handheld_filezstd", "rosbag2-sqlite3", 1),
        ("ros1/multi_encoding_lz4.bag", "rosbag1", 1),
    ],
)
def test_lossless_values_are_the_source_s(name: str, container: Container, topics: int, tmp_path: Path) -> None:
    log = real_log(name)
    report = convert(log, tmp_path / "out", settings=Settings(depth="ffv1"))
    exact = {topic.topic for topic in report.topics if topic.codec == "ffv1"}
    assert len(exact) == topics
    indices = dict.fromkeys(exact, 0)
    with open_dataset(tmp_path / "out") as dataset:
        for topic, _, _, _, message in deserialized(log, container):
            if topic in exact:
                found = dataset[topic].batch([indices[topic]], "native").data[0]
                assert np.array_equal(found, values(message)), (topic, indices[topic])
                indices[topic] += 1
        assert indices == {topic: len(dataset[topic]) for topic in exact}
