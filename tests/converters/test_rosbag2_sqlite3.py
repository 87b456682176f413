"""Reading rosbag2 sqlite3 logs, of all schema versions, splits and compression modes."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mediaref_tools.converters.rosbag2.sqlite3 import Rosbag2Sqlite3Converter, Rosbag2Sqlite3Reader
from rosbags.rosbag2 import CompressionMode, StoragePlugin

from mediaref_tools.contract import fingerprint
from mediaref_tools.errors import ImageError, LogError, LogNotFound
from mediaref_tools.log import ChannelStats, Converter, LogReader
from tests.converters.rosbag2logs import (
    CAMERA,
    CHATTER,
    COMPRESSED,
    IMAGE,
    QOS,
    RAW,
    START_NS,
    STORE,
    STRING,
    Row,
    by_rosbags,
    by_sqlite,
    by_stock,
    content,
    jpeg,
    metadata,
    mixed,
    pixels,
    string,
)
from tests.reallogs import real_log, truth

MODES = [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]


def opened(path: Path) -> Rosbag2Sqlite3Reader:
    converter: Converter = Rosbag2Sqlite3Converter()
    assert converter.claims(path)
    reader: LogReader = converter.open(path)
    assert isinstance(reader, Rosbag2Sqlite3Reader)
    return reader


def in_order(rows: list[Row]) -> list[tuple[str, int, bytes]]:
    """What a reader should give: by time, in file order among equals."""
    return [(row.topic, row.time_ns, row.data) for row in sorted(rows, key=lambda row: row.time_ns)]


def split(folder: Path, *parts: list[Row], text: bool = True, **more: Any) -> Path:
    """A folder of several files."""
    names = [f"log_{n}.db3" for n in range(len(parts))]
    for name, rows in zip(names, parts, strict=True):
        by_sqlite(folder / name, rows, topics=[(CHATTER, STRING), (CAMERA, COMPRESSED), (RAW, IMAGE)], **more)
    if text:
        (folder / "metadata.yaml").write_text(metadata([row for rows in parts for row in rows], names))
    return folder


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("mode", MODES)
def test_reads_what_rosbags_writes(tmp_path: Path, version: Any, mode: CompressionMode) -> None:
    rows = mixed()
    path = by_rosbags(tmp_path / "log", rows, version=version, mode=mode)
    before = fingerprint(tmp_path)
    with opened(path) as reader:
        assert reader.container == "rosbag2-sqlite3"
        assert [(c.topic, c.type, c.encoding, c.role) for c in reader.channels] == [
            (CAMERA, COMPRESSED, "cdr", "image"),
            (RAW, IMAGE, "cdr", "image"),
            (CHATTER, STRING, "cdr", "other"),
        ]
        for channel in reader.channels:
            assert channel.definition.decode() == STORE.generate_msgdef(channel.type, ros_version=2)[0]
            assert channel.attributes["type_description_hash"] == STORE.hash_rihs01(channel.type)
        messages = list(reader.messages())
        assert content(messages) == in_order(rows)
        assert {(each.publish_time_ns, each.sequence) for each in messages} == {(None, None)}
        assert len({each.position for each in messages}) == len(messages)
        assert reader.stats() == {
            channel.id: ChannelStats(
                10,
                sum(len(row.data) for row in rows if row.topic == channel.topic),
                min(row.time_ns for row in rows if row.topic == channel.topic),
                max(row.time_ns for row in rows if row.topic == channel.topic),
            )
            for channel in reader.channels
        }
        assert list(reader.losses) == []
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_schema_versions(tmp_path: Path, version: Any, index: bool, folder: bool) -> None:
    rows = mixed()
    rows.reverse()
    path = by_sqlite(tmp_path / "log" / "log.db3", rows, version=version, index=index)
    with opened(path.parent if folder else path) as reader:
        assert content(reader.messages()) == in_order(rows)
        attributes = reader.channels[0].attributes
        assert attributes.get("offered_qos_profiles") == (QOS if version > 1 else None)
        assert ("type_description_hash" in attributes) == (version > 3)
        assert bool(reader.channels[0].definition) == (version > 3)
        assert {s.messages for s in reader.stats().values()} == {10}
        assert content(reader.messages([RAW], start_ns=START_NS + 10, stop_ns=START_NS + 3_000_010)) == [
            each for each in in_order(rows) if each[0] == RAW and START_NS + 10 <= each[1] < START_NS + 3_000_010
        ]
        assert list(reader.losses) == []


def test_types_of_2019(tmp_path: Path) -> None:
    rows = [row._replace(type=row.type.replace("/msg/", "/")) for row in mixed()]
    with opened(by_sqlite(tmp_path / "old.db3", rows, version=1, index=False)) as reader:
        assert [(c.type, c.role) for c in reader.channels] == [
            ("sensor_msgs/CompressedImage", "image"),
            ("sensor_msgs/Image", "image"),
            ("std_msgs/String", "other"),
        ]
        image = reader.image(next(reader.messages([RAW])))
        assert (image.encoding, image.height, image.width, image.type) == ("bgr8", 4, 3, "sensor_msgs/Image")


def test_overlapping_splits_are_merged(tmp_path: Path) -> None:
    """Stock rosbags gives one file after the other."""
    early = [string(f"a{n}", START_NS + n * 10) for n in range(20)]
    late = [string(f"b{n}", START_NS + 95 + n * 5) for n in range(20)]
    inside = [string("c", START_NS + 96), string("c", START_NS + 100)]
    path = split(tmp_path / "log", late, early, inside)
    assert [each[1] for each in by_stock(path)] != sorted(each[1] for each in by_stock(path))
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(late + early + inside)
        assert len(reader.channels) == 3
        assert list(reader.losses) == []


def test_equal_times_keep_split_and_id_order(tmp_path: Path) -> None:
    rows = [string(f"{n}", START_NS) for n in range(30)]
    with opened(split(tmp_path / "log", rows[:10], rows[10:20], rows[20:])) as reader:
        assert content(reader.messages()) == in_order(rows)


def test_splits_are_opened_when_their_time_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [[string(f"{n}", START_NS + n)] for n in range(10)]
    with opened(split(tmp_path / "log", *parts)) as reader:
        paths = []
        connect = sqlite3.connect

        def counted(path: str, **options: Any) -> Any:
            paths.append(path)
            return connect(path, **options)

        monkeypatch.setattr(sqlite3, "connect", counted)
        messages = reader.messages()
        next(messages)
        assert len(paths) == 1


@pytest.mark.parametrize(
    ("files", "order"),
    [
        (["log_10.db3", "log_2.db3", "log_1.db3"], [2, 1, 0]),
        (["LOG_3.db3", "log_2.DB3", "log.db3"], [2, 1, 0]),
    ],
)
def test_without_metadata_names_tell_the_order(tmp_path: Path, files: list[str], order: list[int]) -> None:
    for n, name in enumerate(files):
        by_sqlite(tmp_path / "log" / name, [string(f"{n}", START_NS)])
    with opened(tmp_path / "log") as reader:
        assert content(reader.messages()) == in_order([string(f"{n}", START_NS) for n in order])


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (0, 1), (5, 6), (None, 7), (7, None), (-(2**70), 2**70)])
def test_ranges_are_half_open(tmp_path: Path, start: int | None, stop: int | None) -> None:
    rows = [string(f"{n}", n) for n in range(10)]
    with opened(by_sqlite(tmp_path / "log.db3", rows)) as reader:
        times = [each.log_time_ns for each in reader.messages(start_ns=start, stop_ns=stop)]
        assert times == [t for t in range(10) if (start is None or t >= start) and (stop is None or t < stop)]
        assert list(reader.messages(start_ns=2**63)) == []
        assert list(reader.messages(stop_ns=-(2**64))) == []


def test_negative_and_largest_times(tmp_path: Path) -> None:
    times = [-(2**63), -1, 0, 2**63 - 1]
    with opened(by_sqlite(tmp_path / "log.db3", [string("x", t) for t in times])) as reader:
        assert [each.log_time_ns for each in reader.messages()] == times
        assert [each.log_time_ns for each in reader.messages(start_ns=times[0], stop_ns=times[-1])] == times[:3]


@pytest.mark.parametrize("folder", [True, False])
def test_rows_in_a_wal_are_read_and_the_source_is_left_alone(tmp_path: Path, folder: bool) -> None:
    rows = [string(f"{n}", START_NS + n) for n in range(200)]
    path = by_sqlite(tmp_path / "log" / "log_0.db3", rows, journal="wal")
    assert (tmp_path / "log" / "log_0.db3-wal").stat().st_size
    assert len(by_stock(path)) == 100
    before = fingerprint(tmp_path)
    with opened(path.parent if folder else path) as reader:
        assert content(reader.messages()) == in_order(rows)
        assert fingerprint(tmp_path) == before
    assert fingerprint(tmp_path) == before


def test_a_database_in_wal_mode_without_a_wal(tmp_path: Path) -> None:
    path = by_sqlite(tmp_path / "log" / "log.db3", [string("x", 1)])
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
    assert path.read_bytes()[18] == 2
    path.parent.chmod(0o555)
    try:
        before = fingerprint(tmp_path)
        with opened(path) as reader:
            assert len(list(reader.messages())) == 1
        assert fingerprint(tmp_path) == before
    finally:
        path.parent.chmod(0o755)


def test_a_journal_is_rolled_back(tmp_path: Path) -> None:
    """The recorder died in a transaction: pages of it are in the file already."""
    rows = [string(f"{n}", n) for n in range(200)]
    path = by_sqlite(tmp_path / "log" / "log.db3", rows)
    (tmp_path / "died").mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN")
        db.execute("UPDATE messages SET data = data || zeroblob(500)")
        for suffix in ("", "-journal"):
            shutil.copyfile(f"{path}{suffix}", tmp_path / "died" / f"log.db3{suffix}")
        db.execute("ROLLBACK")
    shutil.copy(tmp_path / "died" / "log.db3", tmp_path / "alone.db3")
    with opened(tmp_path / "alone.db3") as reader:
        assert content(reader.messages()) != in_order(rows)
    before = fingerprint(tmp_path)
    with opened(tmp_path / "died") as reader:
        assert content(reader.messages()) == in_order(rows)
    assert fingerprint(tmp_path) == before


def test_names_that_mean_something_in_a_uri(tmp_path: Path) -> None:
    rows = mixed(2)
    path = by_sqlite(tmp_path / "a?b#c%20 é&mode=rw.db3", rows)
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)


def test_qos_of_the_metadata_does_not_matter(tmp_path: Path) -> None:
    """Stock rosbags gives no message of a topic whose QoS was edited."""
    rows = mixed()
    path = by_rosbags(tmp_path / "log", rows)
    text = (path / "metadata.yaml").read_text()
    edited = text.replace("offered_qos_profiles: []", f"offered_qos_profiles: {json.dumps(QOS)}")
    assert edited != text
    (path / "metadata.yaml").write_text(edited)
    assert by_stock(path) == []
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)
        assert list(reader.losses) == []


def test_paths_with_the_folder_in_front(tmp_path: Path) -> None:
    rows = mixed()
    by_sqlite(tmp_path / "renamed" / "log_0.db3", rows)
    (tmp_path / "renamed" / "metadata.yaml").write_text(metadata(rows, ["log/log_0.db3"], version=3))
    with opened(tmp_path / "renamed") as reader:
        assert content(reader.messages()) == in_order(rows)
        assert list(reader.losses) == []


def test_a_single_compressed_file(tmp_path: Path) -> None:
    rows = mixed()
    path = by_rosbags(tmp_path / "log", rows, mode=CompressionMode.FILE)
    with opened(path / "log.db3.zstd") as reader:
        assert content(reader.messages()) == in_order(rows)


def test_a_compressed_file_beside_what_the_metadata_names(tmp_path: Path) -> None:
    rows = mixed()
    path = split(tmp_path / "log", rows)
    (path / "log_0.db3.zstd").write_bytes(zstandard.compress((path / "log_0.db3").read_bytes()))
    (path / "log_0.db3").unlink()
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)
        assert list(reader.losses) == []


def test_compressed_without_metadata(tmp_path: Path) -> None:
    rows = mixed()
    path = by_rosbags(tmp_path / "log", rows, mode=CompressionMode.FILE)
    (path / "metadata.yaml").unlink()
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)
    # a recorder that died while it compressed leaves both
    (path / "log.db3").write_bytes(
        zstandard.ZstdDecompressor().decompressobj().decompress((path / "log.db3.zstd").read_bytes())
    )
    (path / "log.db3.zstd").write_bytes((path / "log.db3.zstd").read_bytes()[:100])
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)


@pytest.mark.parametrize("version", [2, 4])
def test_message_compression_without_metadata(tmp_path: Path, version: Any) -> None:
    rows = mixed()
    stored = [row._replace(data=zstandard.compress(row.data)) for row in rows]
    with opened(by_sqlite(tmp_path / "log.db3", stored, version=version)) as reader:
        assert content(reader.messages()) == in_order(rows)
        assert sum(stats.bytes for stats in reader.stats().values()) == sum(len(row.data) for row in rows)


def test_payloads_that_look_compressed_stay_when_the_metadata_says_none(tmp_path: Path) -> None:
    rows = [string("x", 1)._replace(data=zstandard.compress(b"payload"))]
    with opened(split(tmp_path / "log", rows)) as reader:
        assert content(reader.messages()) == in_order(rows)


def test_temporary_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    path = by_rosbags(tmp_path / "log", mixed(), mode=CompressionMode.FILE)
    with opened(path) as reader:
        assert list((tmp_path / "tmp").iterdir())
        writer = reader.rewriter(tmp_path / "out", [], "typed")
        writer.abort()
    assert not list((tmp_path / "tmp").iterdir())
    (path / "log.db3.zstd").write_bytes(zstandard.compress(b"SQLite format 3\0 but not really"))
    with pytest.raises(LogError):
        Rosbag2Sqlite3Converter().open(path)
    assert not list((tmp_path / "tmp").iterdir())


def test_a_closed_log_says_so_at_the_call(tmp_path: Path) -> None:
    reader = opened(by_sqlite(tmp_path / "log.db3", mixed()))
    running = reader.messages()
    message = next(running)
    reader.close()
    for call in (reader.messages, reader.stats, lambda: reader.rewriter(tmp_path / "out.db3", [], "typed")):
        with pytest.raises(LogError, match="closed"):
            call()
    with pytest.raises(LogError, match="closed"):
        list(running)
    assert reader.image(message).encoding == "jpeg"
    reader.close()


def test_image_in_threads_while_messages_run_in_two(tmp_path: Path) -> None:
    rows = [pixels(n, START_NS + n) for n in range(300)]
    with opened(by_sqlite(tmp_path / "log.db3", rows)) as reader, ThreadPoolExecutor(4) as pool:
        lists: list[list[Any]] = [[], []]
        threads = [threading.Thread(target=lambda each=each: each.extend(reader.messages())) for each in lists]
        for thread in threads:
            thread.start()
        frames = list(pool.map(lambda m: reader.image(m).frame_id, reader.messages()))
        for thread in threads:
            thread.join()
        assert frames == [f"frame{n}" for n in range(300)]
        assert [content(each) for each in lists] == [in_order(rows)] * 2


def test_an_image_of_something_else_is_an_image_error(tmp_path: Path) -> None:
    rows = [string("x", 1), jpeg(1, 2)._replace(data=b"\0\1\0\0")]
    with opened(by_sqlite(tmp_path / "log.db3", rows)) as reader:
        for message in reader.messages():
            with pytest.raises(ImageError):
                reader.image(message)
            assert reader.record(message) is None


def test_unknown_formats_and_definitions_block_nothing(tmp_path: Path) -> None:
    rows = mixed(2)
    path = by_sqlite(tmp_path / "log.db3", rows, version=4)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE topics SET serialization_format = 'xcdr9' WHERE name = ?", (RAW,))
        db.execute("UPDATE message_definitions SET encoding = 'unknown', encoded_message_definition = ''")
    with opened(path) as reader:
        assert content(reader.messages()) == in_order(rows)
        assert [c.role for c in reader.channels] == ["image", "unsupported", "other"]
        assert {c.definition for c in reader.channels} == {b""}


def test_a_channel_for_each_distinct_topic_row(tmp_path: Path) -> None:
    """Two publishers with different QoS are two; the same in another split is one."""
    paths = [by_sqlite(tmp_path / "log" / f"log_{n}.db3", [string("x", n), jpeg(n, n)]) for n in range(2)]
    with closing(sqlite3.connect(paths[1], isolation_level=None)) as db:
        db.execute("INSERT INTO topics SELECT 9, name, type, serialization_format, 'other' FROM topics WHERE id = 1")
        db.execute("INSERT INTO messages VALUES (NULL, 9, 5, x'00')")
    with opened(tmp_path / "log") as reader:
        assert [(c.topic, c.attributes["offered_qos_profiles"]) for c in reader.channels] == [
            (CHATTER, QOS),
            (CAMERA, QOS),
            (CHATTER, "other"),
        ]
        assert [s.messages for s in reader.stats().values()] == [2, 2, 1]
        assert len(list(reader.messages([CHATTER]))) == 3


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    for count in (100, 1000):
        rows = (pixels(n % 7, (n * 37) % count)._replace(data=bytes(20_000)) for n in range(count))
        path = by_sqlite(tmp_path / f"{count}.db3", rows, index=count > 100)
        with opened(path) as reader:
            tracemalloc.start()
            for _ in reader.messages():
                pass
            reader.stats()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 50_000


@pytest.mark.parametrize("index", [True, False])
def test_sqlite_never_sorts_payloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: bool) -> None:
    """Without an index it would put the whole log into temporary files before the first message."""
    path = by_sqlite(tmp_path / "log.db3", mixed(), index=index)
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(path: str, **options: Any) -> Any:
        connection = connect(path, **options)
        connection.set_trace_callback(statements.append)
        return connection

    with opened(path) as reader:
        monkeypatch.setattr(sqlite3, "connect", traced)
        assert len(list(reader.messages())) == len(list(reader.messages([CAMERA, RAW, CHATTER]))) == 30
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as db:
        for statement in {each for each in statements if "data FROM" in each and "typeof" not in each}:
            assert "TEMP B-TREE" not in str(db.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())
    assert statements


def test_claims(tmp_path: Path) -> None:
    claims = Rosbag2Sqlite3Converter().claims
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.db3").write_text("no database")
    with closing(sqlite3.connect(tmp_path / "other.db3")) as db:
        db.execute("CREATE TABLE photos(id)")
    path = by_rosbags(tmp_path / "x.bag", mixed(1))
    mcap = by_rosbags(tmp_path / "mcap", mixed(1), storage=StoragePlugin.MCAP)
    assert claims(path)
    assert claims(path / "x.bag.db3")
    for other in ("empty", "text.db3", "other.db3", "nothing", "x.bag/metadata.yaml", "a\0b", "a" * 5000):
        assert not claims(tmp_path / other), other
    assert not claims(mcap)
    assert not claims(mcap / "mcap.mcap")
    (mcap / "metadata.yaml").write_text("no: [yaml")
    assert not claims(mcap)
    (path / "metadata.yaml").write_bytes(b"\xff\xfe no: [yaml")
    assert claims(path)
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n  storage_identifier: another\n")
    assert not claims(path)


@pytest.mark.parametrize("name", ["nothing.db3", "a\0b", "a" * 5000])
def test_nothing_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(LogError) as caught:
        Rosbag2Sqlite3Converter().open(tmp_path / name)
    assert isinstance(caught.value, LogNotFound) or len(name) == 5000


@pytest.mark.parametrize("log", ["ros2/handheld_sqlite3_v9", "ros2/gopro_nometa", "ros2/handheld_filezstd"])
def test_recorded_images(log: str) -> None:
    path = real_log(log)
    before = fingerprint(path)
    with opened(path) as reader:
        digests = {topic: hashlib.sha1() for topic in truth()[log]}
        for message in reader.messages(digests):
            digests[message.channel.topic].update(reader.image(message).data)
        stats = {channel.topic: reader.stats()[channel.id] for channel in reader.channels}
        for topic, each in truth()[log].items():
            found = stats[topic]
            expected = (each["count"], each["log_first"], each["log_last"])
            assert (found.messages, found.first_ns, found.last_ns) == expected
            assert digests[topic].hexdigest() == each["sha1"]
        assert list(reader.losses) == []
    assert fingerprint(path) == before


@pytest.mark.parametrize(
    ("log", "messages"),
    [
        ("found/klintan_2019", 2),
        ("found/klintan_2019/sample_2019-03-22.db3", 2),
        ("found/geocam_rosbags_rs/test_bag_sqlite3", 188),
        ("found/rosbag2/multiple_files", 3177),
        ("found/rosbag2/wbag_sqlite3", 6074),
        ("found/rosbag2/message_compression", 1127),
        ("found/rosbag2/file_compression", 775),
    ],
)
def test_recorded_by_others(log: str, messages: int) -> None:
    """The counts are those of the metadata, or of SQLite itself."""
    path = real_log(log)
    before = fingerprint(path.parent)
    with opened(path) as reader:
        times = [message.log_time_ns for message in reader.messages()]
        assert len(times) == messages == sum(stats.messages for stats in reader.stats().values())
        assert times == sorted(times)
        assert list(reader.losses) == []
        for message in reader.messages():
            assert message.data[:1] == b"\0"
    assert fingerprint(path.parent) == before
