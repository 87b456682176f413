"""Small rosbag2 logs for tests: by rosbags where it can write them, by plain sqlite3 where rosbag2 of old did."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import zstandard
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mediaref_tools.log import LogReader, Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef

IMAGE, COMPRESSED, STRING = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "std_msgs/msg/String"
CAMERA, RAW, CHATTER = "/cam/compressed", "/cam/raw", "/chatter"
START_NS = 1_700_000_000_000_000_000
QOS = (
    "- history: 3\n  depth: 0\n  reliability: 1\n  durability: 2\n  deadline: {sec: 1, nsec: 2}\n"
    "  lifespan: {sec: 1, nsec: 2}\n  liveliness: 1\n  liveliness_lease_duration: {sec: 1, nsec: 2}\n"
    "  avoid_ros_namespace_conventions: false"
)
ROOT = "rosbag2_bagfile_information"

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types


class Row(NamedTuple):
    """A message to write."""

    topic: str
    type: str
    time_ns: int
    data: bytes


def header(index: int) -> Any:
    stamp = TYPES["builtin_interfaces/msg/Time"](1_700_000_000 + index, 5)
    return TYPES["std_msgs/msg/Header"](stamp, f"frame{index}")


def string(text: str, time_ns: int, topic: str = CHATTER) -> Row:
    return Row(topic, STRING, time_ns, bytes(STORE.serialize_cdr(TYPES[STRING](text), STRING)))


def jpeg(index: int, time_ns: int, topic: str = CAMERA) -> Row:
    """No JPEG, but the first bytes of one: nobody decodes here."""
    data = np.frombuffer(b"\xff\xd8\xff" + bytes([index % 256]) * (50 + index), np.uint8)
    value = TYPES[COMPRESSED](header(index), "jpeg", data)
    return Row(topic, COMPRESSED, time_ns, bytes(STORE.serialize_cdr(value, COMPRESSED)))


def pixels(index: int, time_ns: int, topic: str = RAW) -> Row:
    data = np.arange(index, index + 4 * 9).astype(np.uint8)
    value = TYPES[IMAGE](header(index), 4, 3, "bgr8", 0, 9, data)
    return Row(topic, IMAGE, time_ns, bytes(STORE.serialize_cdr(value, IMAGE)))


def mixed(count: int = 10, start_ns: int = START_NS) -> list[Row]:
    """Rows of three topics, with equal times on two of them."""
    rows: list[Row] = []
    for index in range(count):
        time_ns = start_ns + index * 1_000_000
        rows += [jpeg(index, time_ns), pixels(index, time_ns + 10), string(f"é {index}", time_ns)]
    return rows


def by_rosbags(
    folder: Path,
    rows: Iterable[Row],
    *,
    version: Literal[8, 9] = 9,
    storage: StoragePlugin = StoragePlugin.SQLITE3,
    mode: CompressionMode = CompressionMode.NONE,
) -> Path:
    writer = Writer(folder, version=version, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connections: dict[tuple[str, str], Any] = {}
        for row in rows:
            key = row.topic, row.type
            if key not in connections:
                connections[key] = writer.add_connection(row.topic, row.type, typestore=STORE)
            writer.write(connections[key], row.time_ns, row.data)
    return folder


def by_sqlite(
    path: Path,
    rows: Iterable[Row],
    *,
    version: Literal[1, 2, 3, 4] = 2,
    index: bool = True,
    topics: Sequence[tuple[str, str]] = (),
    journal: str = "delete",
) -> Path:
    """A `.db3` as rosbag2 made them. The journal "wal" leaves half of the rows in the `-wal`."""
    rows = list(rows)
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 1024")
        db.execute("PRAGMA user_version = 7")
        db.execute("PRAGMA application_id = 77")
        qos = ", offered_qos_profiles TEXT NOT NULL" if version > 1 else ""
        digest = ", type_description_hash TEXT NOT NULL" if version > 3 else ""
        db.execute(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, "
            f"serialization_format TEXT NOT NULL{qos}{digest})"
        )
        db.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL, timestamp INTEGER NOT NULL, "
            "data BLOB NOT NULL)"
        )
        if index:
            db.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
        if version > 2:
            db.execute("CREATE TABLE schema(schema_version INTEGER PRIMARY KEY, ros_distro TEXT NOT NULL)")
            db.execute("INSERT INTO schema VALUES (?, 'rolling')", (version,))
            db.execute(
                "CREATE TABLE metadata(id INTEGER PRIMARY KEY, metadata_version INTEGER NOT NULL, "
                "metadata TEXT NOT NULL)"
            )
        if version > 3:
            db.execute(
                "CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT NOT NULL, encoding TEXT NOT "
                "NULL, encoded_message_definition TEXT NOT NULL, type_description_hash TEXT NOT NULL)"
            )
        ids: dict[tuple[str, str], int] = {}
        for name, kind in [*topics, *((row.topic, row.type) for row in rows)]:
            if (name, kind) in ids:
                continue
            if version > 3 and kind not in {each for _, each in ids}:
                text = STORE.generate_msgdef(kind, ros_version=2)[0]
                values = (kind, "ros2msg", text, STORE.hash_rihs01(kind))
                db.execute("INSERT INTO message_definitions VALUES (NULL, ?, ?, ?, ?)", values)
            ids[name, kind] = len(ids) + 1
            more = [QOS] * (version > 1) + ([STORE.hash_rihs01(kind)] if version > 3 else [])
            marks = ", ".join("?" * (4 + len(more)))
            db.execute(f"INSERT INTO topics VALUES ({marks})", (ids[name, kind], name, kind, "cdr", *more))
        db.execute(f"PRAGMA journal_mode = {journal}").fetchall()
        insert = "INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)"
        values_of = [(ids[row.topic, row.type], row.time_ns, row.data) for row in rows]
        if journal != "wal":
            db.executemany(insert, values_of)
            return path
        half = len(rows) // 2
        db.executemany(insert, values_of[:half])
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.executemany(insert, values_of[half:])
        kept = path.with_name("kept")
        kept.mkdir()
        for suffix in ("", "-wal"):  # the last connection that closes takes the -wal away
            shutil.copyfile(f"{path}{suffix}", kept / f"{path.name}{suffix}")
    for file in kept.iterdir():
        shutil.move(file, path.parent / file.name)
    kept.rmdir()
    return path


def metadata(rows: Iterable[Row], files: Iterable[str], *, version: int = 5, **more: Any) -> str:
    """The text of a metadata.yaml, laid out as rosbag2 does."""
    rows = list(rows)
    lines = [f"{ROOT}:", f"  version: {version}", "  storage_identifier: sqlite3", "  relative_file_paths:"]
    lines += [f"    - {file}" for file in files]
    first, last = min(row.time_ns for row in rows), max(row.time_ns for row in rows)
    lines += ["  duration:", f"    nanoseconds: {last - first}"]
    lines += ["  starting_time:", f"    nanoseconds_since_epoch: {first}", f"  message_count: {len(rows)}"]
    lines.append("  topics_with_message_count:")
    for name, kind in dict.fromkeys((row.topic, row.type) for row in rows):
        escaped = QOS.replace("\n", "\\n")
        lines += ["    - topic_metadata:", f"        name: {name}", f"        type: {kind}"]
        lines += ["        serialization_format: cdr", f'        offered_qos_profiles: "{escaped}"']
        lines += [f"        type_description_hash: {STORE.hash_rihs01(kind)}"] if version > 6 else []
        lines.append(f"      message_count: {sum((row.topic, row.type) == (name, kind) for row in rows)}")
    lines += [f'  compression_format: "{more.get("compression_format", "")}"']
    lines += [f'  compression_mode: "{more.get("compression_mode", "")}"']
    return "\n".join(lines) + "\n"


def tables(path: Path) -> dict[str, Any]:
    """All that a database holds: rows with their SQLite types, statements and header values."""
    data = path.read_bytes()
    if data[:4] == b"\x28\xb5\x2f\xfd":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    journal = data[18:20]
    with closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(data[:18] + b"\1\1" + data[20:])  # one in WAL mode can't be opened from memory
        db.text_factory = bytes
        master = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
        found: dict[str, Any] = {"sqlite_master": master, "journal": journal}
        for pragma in ("page_size", "user_version", "application_id", "encoding", "auto_vacuum"):
            found[pragma] = db.execute(f"PRAGMA {pragma}").fetchone()
        for kind, name, _ in master:
            if kind == b"table":
                quoted = name.decode().replace('"', '""')
                found[name.decode()] = db.execute(f'SELECT * FROM "{quoted}"').fetchall()
        assert db.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)]
    return found


def content(messages: Iterable[Message]) -> list[tuple[str, int, bytes]]:
    return [(each.channel.topic, each.log_time_ns, bytes(each.data)) for each in messages]


def ref(index: int) -> MediaRef:
    return MediaRef(uri=f"media/a%2Fb/{index:06}.mp4", pts_ns=index * 1000)


def rewrite(reader: LogReader, out: Path, topics: Collection[str], kind: RecordKind = "typed") -> Path:
    """Rewrite a log as `convert` does, with numbered references."""
    writer = reader.rewriter(out, topics, kind)
    index = 0
    for message in reader.messages():
        if message.channel.topic in topics and message.channel.role == "image":
            value = reader.image(message)
            assert value.stamp_ns is not None
            record = Record(ref(index), value.stamp_ns, value.frame_id, value.type, value.encoding)
            writer.record(message, record)
            index += 1
        else:
            writer.copy(message)
    writer.commit()
    return out


def by_stock(path: Path) -> list[tuple[str, int, str, Any]]:
    """Messages as (topic, time, type, deserialised value), in the order of stock rosbags."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    folder = Path(__file__).parents[2] / "schemas" / "msg"
    for name in ("MediaRef", "ImageRef"):
        store.register(get_types_from_msg((folder / f"{name}.msg").read_text(), f"mediaref_msgs/msg/{name}"))
    with AnyReader([path], default_typestore=store) as reader:
        return [
            (connection.topic, time_ns, connection.msgtype, reader.deserialize(data, connection.msgtype))
            for connection, time_ns, data in reader.messages()
        ]
