"""Small logs with images, written by third-party writers: the independent side of the converters' tests.

Each holds five JPEG CompressedImage messages, five rgb8 Image messages (rows padded), and others: not in the order of
their times, with equal times among them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from mcap.writer import CompressionType
from mcap.writer import Writer as McapWriter
from PIL import Image
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_typestore

START_NS = 1_700_000_000_123_456_789
STEP_NS = 33_333_333
HEIGHT, WIDTH, STEP = 12, 16, 16 * 3 + 6

JPEG_TOPIC = "/cam/image_raw/compressed"
RAW_TOPIC = "/cam/image_raw"


class Sample(NamedTuple):
    """A message to write, in the order of writing; `publisher` tells channels of one topic apart."""

    topic: str
    type: str
    time_ns: int
    value: Any
    publisher: int = 0


def jpeg(index: int) -> bytes:
    """A JPEG file of 16x12 that is different for every index."""
    pixels = np.full((HEIGHT, WIDTH, 3), (index * 40 % 256, 128, 255 - index), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def typestore(ros: Literal[1, 2]) -> Any:
    """The message types of a ROS version."""
    return get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)


def header(ros: Literal[1, 2], index: int) -> Any:
    """A std_msgs/Header of frame "camera", stamped a little before the log time."""
    types = typestore(ros).types
    seconds, nanoseconds = divmod(START_NS + index * STEP_NS - 5_000_000, 1_000_000_000)
    stamp = types["builtin_interfaces/msg/Time"](seconds, nanoseconds)
    sequence = (100 + index,) if ros == 1 else ()
    return types["std_msgs/msg/Header"](*sequence, stamp, "camera")


def samples(ros: Literal[1, 2]) -> Iterator[Sample]:
    """What every sample log holds."""
    types = typestore(ros).types
    for index in range(5):
        time_ns = START_NS + index * STEP_NS
        data = np.frombuffer(jpeg(index), np.uint8)
        value: Any = types["sensor_msgs/msg/CompressedImage"](header(ros, index), "jpeg", data)
        yield Sample(JPEG_TOPIC, "sensor_msgs/msg/CompressedImage", time_ns, value)
        yield Sample("/chatter", "std_msgs/msg/String", time_ns, types["std_msgs/msg/String"](f"é {index}"))
        # The raw image was received before what was just written.
        pixels = np.arange(index, index + HEIGHT * STEP).astype(np.uint8)
        value = types["sensor_msgs/msg/Image"](header(ros, index), HEIGHT, WIDTH, "rgb8", 0, STEP, pixels)
        yield Sample(RAW_TOPIC, "sensor_msgs/msg/Image", time_ns - 1_000, value)
        value = types["sensor_msgs/msg/Temperature"](header(ros, index), 20.5 + index, 0.0)
        yield Sample("/temperature", "sensor_msgs/msg/Temperature", time_ns, value)
        yield Sample("/chatter", "std_msgs/msg/String", time_ns, types["std_msgs/msg/String"]("{}"), publisher=1)


def sample_rosbag1(path: Path, compression: Literal["none", "bz2", "lz4"] = "none", chunk_bytes: int = 2000) -> Path:
    """A bag of several chunks that overlap in time; two publishers on one topic."""
    store = typestore(1)
    writer = Rosbag1Writer(path)
    if compression != "none":
        writer.set_compression(Rosbag1Writer.CompressionFormat[compression.upper()])
    writer.chunk_threshold = chunk_bytes
    connections: dict[tuple[str, int], Any] = {}
    with writer:
        for sample in samples(1):
            key = sample.topic, sample.publisher
            if key not in connections:
                connections[key] = writer.add_connection(
                    sample.topic,
                    sample.type,
                    typestore=store,
                    callerid=f"/node_{sample.publisher}",
                    latching=sample.publisher,
                )
            writer.write(connections[key], sample.time_ns, store.serialize_ros1(sample.value, sample.type))
    return path


def _sample_rosbag2(path: Path, storage: StoragePlugin) -> Path:
    store = typestore(2)
    forever = QosTime(2147483647, 4294967295)
    connections: dict[tuple[str, int], Any] = {}
    with Rosbag2Writer(path, version=9, storage_plugin=storage) as writer:
        for sample in samples(2):
            key = sample.topic, sample.publisher
            if key not in connections:
                qos = Qos(
                    QosHistory.KEEP_LAST,
                    10,
                    QosReliability.RELIABLE,
                    QosDurability.TRANSIENT_LOCAL if sample.publisher else QosDurability.VOLATILE,
                    forever,
                    forever,
                    QosLiveliness.AUTOMATIC,
                    forever,
                    avoid_ros_namespace_conventions=False,
                )
                connections[key] = writer.add_connection(
                    sample.topic, sample.type, typestore=store, offered_qos_profiles=[qos]
                )
            writer.write(connections[key], sample.time_ns, store.serialize_cdr(sample.value, sample.type))
    return path


def sample_rosbag2_sqlite3(path: Path) -> Path:
    """A folder of metadata.yaml and one `.db3`."""
    return _sample_rosbag2(path, StoragePlugin.SQLITE3)


def sample_rosbag2_mcap(path: Path) -> Path:
    """A folder of metadata.yaml and one `.mcap`."""
    return _sample_rosbag2(path, StoragePlugin.MCAP)


def sample_mcap(path: Path) -> Path:
    """One file of profile "ros2" with several chunks, publish times, sequences, an attachment and metadata."""
    store = typestore(2)
    schemas: dict[str, int] = {}
    channels: dict[tuple[str, int], int] = {}
    with path.open("xb") as file:
        writer = McapWriter(file, chunk_size=2000, compression=CompressionType.ZSTD)
        writer.start(profile="ros2", library="sample")
        for sequence, sample in enumerate(samples(2)):
            if sample.type not in schemas:
                definition, _ = store.generate_msgdef(sample.type, ros_version=2)
                schemas[sample.type] = writer.register_schema(sample.type, "ros2msg", definition.encode())
            key = sample.topic, sample.publisher
            if key not in channels:
                qos = {"offered_qos_profiles": "", "publisher": str(sample.publisher)}
                channels[key] = writer.register_channel(sample.topic, "cdr", schemas[sample.type], qos)
            writer.add_message(
                channels[key],
                log_time=sample.time_ns,
                data=bytes(store.serialize_cdr(sample.value, sample.type)),
                publish_time=sample.time_ns - 700,
                sequence=sequence,
            )
        writer.add_attachment(START_NS, START_NS, "notes.txt", "text/plain", b"kept as it is")
        writer.add_metadata("operator", {"shift": "night"})
        writer.finish()
    return path
