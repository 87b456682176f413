"""Small MCAP files for tests, and what the stock linear reader finds in one."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lz4.frame
import numpy as np
import zstandard
from mcap.data_stream import RecordBuilder
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Message,
    MessageIndex,
    Schema,
    Statistics,
)
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.typesys import Stores, get_typestore

from converters.mcap.reader import SCHEMA_ENCODING, McapReader

MAGIC = b"\x89MCAP0\r\n"
FLAT = {"compression": CompressionType.NONE}
VARIANTS: dict[str, dict[str, Any]] = {
    "zstd": {"compression": CompressionType.ZSTD},
    "lz4": {"compression": CompressionType.LZ4},
    "none": FLAT,
    "none-no-crc": FLAT | {"enable_crcs": False},
    "unchunked": {"use_chunking": False},
    "no-index": {"index_types": IndexType.NONE},
    "no-repeats": {"repeat_channels": False, "repeat_schemas": False},
    "no-repeated-schemas": {"repeat_schemas": False},
    "no-statistics": {"use_statistics": False},
    "no-summary": {
        "index_types": IndexType.NONE,
        "repeat_channels": False,
        "repeat_schemas": False,
        "use_statistics": False,
        "use_summary_offsets": False,
    },
    "unchunked-no-summary": {
        "use_chunking": False,
        "repeat_channels": False,
        "repeat_schemas": False,
        "use_statistics": False,
        "use_summary_offsets": False,
    },
}
PROFILES = {"ros2": ("cdr", "ros2msg"), "ros1": ("ros1", "ros1msg"), "": ("json", "jsonschema")}


@cache
def _store(encoding: str) -> Any:
    return get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_HUMBLE)


def compressed_image(encoding: str, stamp_ns: int, data: bytes = b"\xff\xd8\xff jpeg", frame_id: str = "cam") -> bytes:
    """A serialised sensor_msgs CompressedImage."""
    store = _store(encoding)
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    seq = {"seq": 7} if encoding == "ros1" else {}
    value = types["sensor_msgs/msg/CompressedImage"](
        header=types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id, **seq),
        format="jpeg",
        data=np.frombuffer(data, "u1"),
    )
    serialize = store.serialize_ros1 if encoding == "ros1" else store.serialize_cdr
    return bytes(serialize(value, "sensor_msgs/msg/CompressedImage"))


def image_schema(encoding: str) -> tuple[str, str, bytes]:
    """Name, encoding and data of the schema of CompressedImage."""
    ros1 = encoding == "ros1"
    store = _store(encoding)
    name = "sensor_msgs/msg/CompressedImage"
    definition = store.generate_msgdef(name, ros_version=1 if ros1 else 2)[0].encode()
    return (name.replace("/msg/", "/"), "ros1msg", definition) if ros1 else (name, "ros2msg", definition)


def write_log(path: Path, *, profile: str = "ros2", messages: int = 60, chunk_size: int = 1500, **options: Any) -> None:
    """A log of `messages` on three channels (images, /imu, and /cam again), an idle one, attachments and metadata."""
    encoding, schema_encoding = PROFILES[profile]
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=chunk_size, **options)
        writer.start(profile, "a test")
        image = writer.register_schema(*image_schema(encoding))
        twin = writer.register_schema(image_schema(encoding)[0], schema_encoding, b"# says something else")
        imu = writer.register_schema("custom/msg/Imu", schema_encoding, b"int32 x\n")
        cam = writer.register_channel(
            "/cam", encoding, image, {"offered_qos_profiles": "- a", "topic_type_hash": "RIHS01_x"}
        )
        other = writer.register_channel("/imu", encoding, imu, {"k": "v"})
        odd = writer.register_channel("/cam", "whatever", twin, {})
        writer.register_channel("/idle", encoding, 0, {"nobody": "home"})
        writer.add_attachment(11, 12, "calib.yaml", "text/yaml", b"a: 1")
        writer.add_metadata("rosbag2", {"serialized_metadata": "rosbag2_bagfile_information:\n  version: 9\n"})
        for i in range(messages):
            channel = (cam, other, odd)[i % 3]
            time_ns = 10**18 + i * 10**6
            data = compressed_image(encoding, time_ns) if channel == cam and encoding != "json" else b"%d" % i * (i % 7)
            writer.add_message(channel, time_ns, data, time_ns - 5, sequence=i)
        writer.add_attachment(13, 14, "b", "", bytes(range(256)))
        writer.add_metadata("empty", {})
        writer.finish()


def chunk(
    messages: Sequence[Message],
    *,
    before: Iterable[McapRecord] = (),
    compression: str = "",
    index: bool = True,
    **lies: Any,
) -> list[McapRecord]:
    """A Chunk of messages and its MessageIndexes; `lies` replace the chunk's fields."""
    builder = RecordBuilder()
    for record in before:
        record.write(builder)
    indexes: dict[int, MessageIndex] = {}
    for message in messages:
        entry = indexes.setdefault(message.channel_id, MessageIndex(message.channel_id, []))
        entry.records.append((message.log_time, builder.count))
        message.write(builder)
    inside = builder.end()
    fields: dict[str, Any] = {
        "compression": compression,
        "data": {"zstd": zstandard.compress, "lz4": lz4.frame.compress}.get(compression, bytes)(inside),
        "message_start_time": min((message.log_time for message in messages), default=0),
        "message_end_time": max((message.log_time for message in messages), default=0),
        "uncompressed_crc": zlib.crc32(inside),
        "uncompressed_size": len(inside),
    }
    return [Chunk(**(fields | lies)), *(indexes.values() if index else ())]


def raw_log(
    path: Path,
    data: Iterable[McapRecord | bytes],
    summary: Iterable[McapRecord] = (),
    *,
    profile: str = "",
    chunk_indexes: bool = False,
    closed: bool = True,
) -> None:
    """A log of just these records, be they right or wrong."""
    builder = RecordBuilder()
    builder.write(MAGIC)
    Header(profile, "by hand").write(builder)
    summary = list(summary)
    for record in data:
        start = builder.count
        if isinstance(record, bytes):
            builder.write(record)
            continue
        record.write(builder)
        if chunk_indexes and isinstance(record, Chunk):
            length = builder.count - start
            times = {"message_start_time": record.message_start_time, "message_end_time": record.message_end_time}
            sizes = {"compressed_size": len(record.data), "uncompressed_size": record.uncompressed_size}
            summary.append(
                ChunkIndex(
                    length,
                    start,
                    record.compression,
                    message_index_length=0,
                    message_index_offsets={},
                    **times,
                    **sizes,
                )
            )
    if closed:
        DataEnd(0).write(builder)
        start = builder.count if summary else 0
        for record in summary:
            record.write(builder)
        Footer(start, 0, 0).write(builder)
        builder.write(MAGIC)
    path.write_bytes(builder.end())


def message(channel_id: int, time_ns: int, data: bytes = b"payload", sequence: int = 0) -> Message:
    """A message record whose publish time is one off its log time."""
    return Message(channel_id, time_ns, data, time_ns + 1, sequence)


def declared(channel_id: int = 1, topic: str = "/a", schema_id: int = 1) -> list[McapRecord]:
    """The schema and channel of a topic of bytes."""
    schema = Schema(schema_id, b"int32 x\n", "ros2msg", "custom/msg/X")
    return [schema, Channel(channel_id, topic, "cdr", {}, schema_id)]


def statistics(messages: int, **fields: int) -> Statistics:
    """Statistics that claim so many messages on one channel."""
    counts = {"attachment_count": 0, "channel_count": 1, "chunk_count": 0, "metadata_count": 0, "schema_count": 1}
    return Statistics(
        message_count=messages, message_start_time=0, message_end_time=0, channel_message_counts={}, **(counts | fields)
    )


def contents(path: Path) -> SimpleNamespace:
    """All that the stock linear reader finds, comparable between a log and its copy."""
    schemas: dict[int, Any] = {}
    channels: dict[int, Any] = {}
    raw, attachments, metadata, header = [], [], [], None
    with path.open("rb") as file:
        for record in StreamReader(file, validate_crcs=True).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
            elif isinstance(record, Message):
                raw.append(record)
            elif type(record).__name__ == "Attachment":
                attachments.append(record)
            elif type(record).__name__ == "Metadata":
                metadata.append(record)
            elif isinstance(record, Header):
                header = (record.profile, record.library)

    def key(channel: Any) -> tuple[Any, ...]:
        schema = schemas.get(channel.schema_id)
        kind = (schema.name, schema.encoding, schema.data) if schema else ("", "", b"")
        return channel.topic, *kind, channel.message_encoding, tuple(channel.metadata.items())

    return SimpleNamespace(
        header=header,
        schemas=Counter((schema.name, schema.encoding, schema.data) for schema in schemas.values()),
        channels=Counter(key(channel) for channel in channels.values()),
        messages=Counter((*key(channels[m.channel_id]), m.log_time, m.publish_time, m.sequence, m.data) for m in raw),
        attachments=attachments,
        metadata=metadata,
    )


def copy(reader: McapReader, out: Path) -> None:
    """Write a log again without a change."""
    writer = reader.rewriter(out, (), "typed")
    for each in reader.messages():
        writer.copy(each)
    writer.commit()


def scanned(reader: McapReader) -> dict[int, tuple[int, int, int | None, int | None]]:
    """What `stats` must say, from all messages."""
    found: dict[int, list[Any]] = {channel.id: [] for channel in reader.channels}
    for each in reader.messages():
        found[each.channel.id].append(each)
    return {
        channel_id: (
            len(each),
            sum(len(m.data) for m in each),
            min((m.log_time_ns for m in each), default=None),
            max((m.log_time_ns for m in each), default=None),
        )
        for channel_id, each in found.items()
    }


def found(reader: McapReader) -> Counter[tuple[Any, ...]]:
    """A reader's messages, as `contents` has them."""
    metadata = {
        channel.id: tuple((k, v) for k, v in channel.attributes.items() if k != SCHEMA_ENCODING)
        for channel in reader.channels
    }
    return Counter(
        (
            m.channel.topic,
            m.channel.type,
            m.channel.attributes.get(SCHEMA_ENCODING, ""),
            m.channel.definition,
            m.channel.encoding,
            metadata[m.channel.id],
            m.log_time_ns,
            m.publish_time_ns,
            m.sequence,
            bytes(m.data),
        )
        for m in reader.messages()
    )


def assert_equal(source: Path, out: Path) -> None:
    """Fail unless the stock linear reader finds the same in both."""
    before, after = contents(source), contents(out)
    for part in ("header", "schemas", "channels", "messages", "attachments", "metadata"):
        assert getattr(before, part) == getattr(after, part), (source.name, part)
