"""Rewriting rosbag2 sqlite3 logs: what is not an image stays, row for row; stock rosbags reads the result."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mediaref_tools.converters.messages.rosmsg import record_type
from mediaref_tools.converters.rosbag2.sqlite3 import Rosbag2Sqlite3Converter, Rosbag2Sqlite3Reader
from rosbags.rosbag2 import CompressionMode
from ruamel.yaml import YAML

from mediaref_tools.contract import fingerprint
from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Record, RecordKind
from tests.converters.rosbag2logs import (
    CAMERA,
    CHATTER,
    COMPRESSED,
    IMAGE,
    RAW,
    ROOT,
    START_NS,
    STRING,
    by_rosbags,
    by_sqlite,
    by_stock,
    content,
    jpeg,
    metadata,
    mixed,
    pixels,
    ref,
    rewrite,
    string,
    tables,
)
from tests.reallogs import real_log

MODES = [CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE]
TYPED = record_type("cdr", "typed")


def opened(path: Path) -> Rosbag2Sqlite3Reader:
    return Rosbag2Sqlite3Converter().open(path)


def loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def databases(log: Path) -> dict[str, Path]:
    files = [log] if log.is_file() else sorted(log.glob("*.db3*"))
    return {file.name: file for file in files}


def assert_equal_but(before: Path, after: Path, replaced: set[str]) -> int:
    """Every table is equal row for row, but the payloads and types of replaced topics. Returns their rows."""
    count = 0
    assert databases(before).keys() == databases(after).keys()
    for name, file in databases(before).items():
        old, new = tables(file), tables(databases(after)[name])
        assert old.keys() == new.keys()
        topics, columns = {}, len(old["topics"][0])
        for old_row, new_row in zip(old["topics"], new["topics"], strict=True):
            if old_row[1].decode() in replaced:
                topics[old_row[0]] = old_row[1].decode()
                digest = (TYPED.rihs01.encode(),) if columns > 5 else ()
                assert new_row == (*old_row[:2], TYPED.name.encode(), *old_row[3:5], *digest)
            else:
                assert new_row == old_row
        for old_row, new_row in zip(old["messages"], new["messages"], strict=True):
            assert old_row[:3] == new_row[:3]
            assert (old_row[3] == new_row[3]) == (old_row[1] not in topics)
            count += old_row[1] in topics
        if "message_definitions" in old:
            used = {row[2] for row in new["topics"]}
            kept = [row for row in old["message_definitions"] if row[1] in used]
            added = [row for row in new["message_definitions"] if row not in old["message_definitions"]]
            expected = (TYPED.name, "ros2msg", TYPED.definition.decode(), TYPED.rihs01)
            assert [row[1:] for row in added] == [tuple(each.encode() for each in expected)] * bool(topics)
            assert new["message_definitions"] == kept + added
        for table in old.keys() - {"topics", "messages", "message_definitions", "metadata", "journal"}:
            assert old[table] == new[table], table
        assert new["journal"] == b"\1\1"
    return count


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("mode", MODES)
def test_copying_everything(tmp_path: Path, version: Any, mode: CompressionMode) -> None:
    log = by_rosbags(tmp_path / "log", mixed(), version=version, mode=mode)
    before = fingerprint(log)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", [])
    assert fingerprint(log) == before
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in log.iterdir())
    for name, file in databases(log).items():
        assert tables(file) == tables(out / name)
    assert (out / "metadata.yaml").read_bytes() == (log / "metadata.yaml").read_bytes()


@pytest.mark.parametrize("version", [8, 9])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["typed", "string"])
def test_records_are_what_stock_rosbags_reads(
    tmp_path: Path, version: Any, mode: CompressionMode, kind: RecordKind
) -> None:
    log = by_rosbags(tmp_path / "log", mixed(), version=version, mode=mode)
    old = by_stock(log)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA, RAW}, kind)
    new = by_stock(out)
    assert [each[:2] for each in new] == [each[:2] for each in old]
    numbers = iter(range(20))
    for (topic, _, old_type, old_value), (_, _, new_type, value) in zip(old, new, strict=True):
        if topic == CHATTER:
            assert (new_type, repr(value)) == (old_type, repr(old_value))
        elif kind == "string":
            assert new_type == STRING
            assert json.loads(value.data) == ref(next(numbers)).model_dump()
        else:
            number = next(numbers)
            assert new_type == "mediaref_msgs/msg/ImageRef"
            assert repr(value.header) == repr(old_value.header)  # classes differ by reader
            assert (value.media_ref.uri, value.media_ref.pts_ns) == (ref(number).uri, ref(number).pts_ns)
            assert (value.source_type, value.source_encoding) == (
                old_type,
                "jpeg" if topic == CAMERA else "bgr8",
            )
    assert next(numbers, None) is None


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("index", [True, False])
def test_everything_else_is_equal(tmp_path: Path, version: Any, index: bool) -> None:
    log = by_sqlite(tmp_path / "log.db3", mixed(), version=version, index=index)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out.db3", {CAMERA})
    out.rename(tmp_path / "same.db3")
    (tmp_path / "new").mkdir()
    (tmp_path / "same.db3").rename(tmp_path / "new" / "log.db3")
    assert assert_equal_but(log, tmp_path / "new" / "log.db3", {CAMERA}) == 10
    assert [each[2] for each in by_stock(tmp_path / "new" / "log.db3") if each[0] == CAMERA] == [TYPED.name] * 10


def test_records_are_read_back(tmp_path: Path) -> None:
    with opened(by_sqlite(tmp_path / "log.db3", mixed())) as reader:
        out = rewrite(reader, tmp_path / "out.db3", {CAMERA})
    with opened(out) as reader:
        assert [c.role for c in reader.channels] == ["record", "image", "other"]
        records = [reader.record(message) for message in reader.messages([CAMERA])]
        assert [each.ref if each else None for each in records] == [ref(n) for n in range(10)]
        assert list(reader.losses) == []


def test_message_mode_keeps_payloads_as_stored(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(), mode=CompressionMode.MESSAGE)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert assert_equal_but(log, out, {CAMERA}) == 10
    for row in tables(out / "log.db3")["messages"]:
        assert row[3][:4] == b"\x28\xb5\x2f\xfd"
        assert zstandard.frame_content_size(row[3]) > 0  # rosbag2 refuses frames that do not say


def test_file_mode_says_its_size(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(), mode=CompressionMode.FILE)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert sorted(path.name for path in out.iterdir()) == ["log.db3.zstd", "metadata.yaml"]
    data = (out / "log.db3.zstd").read_bytes()
    assert zstandard.frame_content_size(data) == len(zstandard.decompress(data))
    with opened(log / "log.db3.zstd") as reader:
        alone = rewrite(reader, tmp_path / "log.db3.zstd", {CAMERA})
    assert alone.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    assert assert_equal_but(log / "log.db3.zstd", alone, {CAMERA}) == 10


@pytest.mark.parametrize("version", [8, 9])
def test_metadata_says_the_new_types(tmp_path: Path, version: Any) -> None:
    log = by_rosbags(tmp_path / "log", mixed(), version=version)
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", {RAW})
    new = loaded((out / "metadata.yaml").read_text())[ROOT]
    expected = loaded((log / "metadata.yaml").read_text())[ROOT]
    for entry in expected["topics_with_message_count"]:
        if entry["topic_metadata"]["name"] == RAW:
            entry["topic_metadata"] |= {"type": TYPED.name, "type_description_hash": TYPED.rihs01}
    assert new == expected
    (row,) = tables(out / "log.db3")["metadata"]
    (old_row,) = tables(log / "log.db3")["metadata"]
    assert row[:2] == old_row[:2]
    assert loaded(row[2].decode()) == {**expected, "ros_distro": loaded(old_row[2].decode())["ros_distro"]}


def test_messages_stay_in_their_split(tmp_path: Path) -> None:
    parts = [mixed(4, START_NS), mixed(5, START_NS + 1_500_000), [string("alone", START_NS)]]
    for number, rows in enumerate(parts):
        by_sqlite(tmp_path / "log" / f"log_{number}.db3", rows, version=4)
    text = metadata([row for rows in parts for row in rows], [f"log_{n}.db3" for n in range(3)], version=8)
    (tmp_path / "log" / "metadata.yaml").write_text(text)
    # rosbag2 keeps the metadata of the whole log in its last file
    with closing(sqlite3.connect(tmp_path / "log" / "log_2.db3", isolation_level=None)) as db:
        db.execute("INSERT INTO metadata VALUES (1, 8, ?)", (text,))
    with opened(tmp_path / "log") as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert assert_equal_but(tmp_path / "log", out, {CAMERA}) == 9
    assert tables(out / "log_2.db3")["metadata"][0][2].decode() == (out / "metadata.yaml").read_text()
    assert (out / "metadata.yaml").read_text().count(TYPED.name) == 1
    with opened(out) as reader:
        assert len(list(reader.messages())) == 28
        assert list(reader.losses) == []
    assert len(by_stock(out)) == 28


def test_a_wal_is_folded_in(tmp_path: Path) -> None:
    rows = [string(f"{n}", n) if n % 2 else jpeg(n, n) for n in range(100)]
    by_sqlite(tmp_path / "log" / "log.db3", rows, journal="wal")
    (tmp_path / "log" / "log.db3-shm").write_bytes(bytes(32768))
    before = fingerprint(tmp_path / "log")
    with opened(tmp_path / "log") as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert [path.name for path in out.iterdir()] == ["log.db3"]
    assert [each[2] for each in by_stock(out / "log.db3")] == [STRING if n % 2 else TYPED.name for n in range(100)]
    assert tables(out / "log.db3")["journal"] == b"\1\1"
    assert fingerprint(tmp_path / "log") == before


def test_what_else_a_database_holds_is_kept(tmp_path: Path) -> None:
    log = by_sqlite(tmp_path / "log.db3", mixed(3))
    with closing(sqlite3.connect(log, isolation_level=None)) as db:
        db.executescript(
            """
            CREATE TABLE 'odd "name"'(a, b REAL, c TEXT DEFAULT 'x', d AS (a + 1));
            INSERT INTO 'odd "name"'(a, b, c) VALUES (1, 2.5, NULL), ('1', NULL, x'00ff'), (-1, 1e300, 'é');
            CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, t);
            INSERT INTO counted VALUES (7, 'a'), (90, 'b');
            DELETE FROM counted WHERE id = 90;
            CREATE TABLE flat(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
            INSERT INTO flat VALUES ('z', 1), ('a', 2);
            CREATE INDEX by_topic ON messages (topic_id);
            CREATE VIEW images AS SELECT * FROM messages WHERE topic_id < 3;
            CREATE TRIGGER gone AFTER INSERT ON messages BEGIN DELETE FROM messages; END;
            ANALYZE;
            """
        )
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out.db3", [])
        assert tables(out) == tables(log)
        with_records = rewrite(reader, tmp_path / "records.db3", {CAMERA})
    with_records.rename(tmp_path / "x")
    (tmp_path / "records").mkdir()
    (tmp_path / "x").rename(tmp_path / "records" / "log.db3")
    assert assert_equal_but(log, tmp_path / "records" / "log.db3", {CAMERA}) == 3


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_other_text_encodings(tmp_path: Path, encoding: str) -> None:
    plain = by_sqlite(tmp_path / "plain.db3", mixed(3), version=4)
    with closing(sqlite3.connect(tmp_path / "log.db3", isolation_level=None)) as db:
        db.execute(f"PRAGMA encoding = '{encoding}'")
        with closing(sqlite3.connect(plain)) as source:
            db.executescript("\n".join(source.iterdump()))
    with opened(tmp_path / "log.db3") as reader, opened(plain) as same:
        assert content(reader.messages()) == content(same.messages())
        assert list(reader.channels) == list(same.channels)
        out = rewrite(reader, tmp_path / "out.db3", {CAMERA})
    assert tables(out)["encoding"] == (encoding.encode(),)
    assert [each[2] for each in by_stock(out) if each[0] == CAMERA] == [TYPED.name] * 3


def test_a_definition_that_another_topic_needs_is_kept(tmp_path: Path) -> None:
    rows = [jpeg(0, 1), jpeg(1, 2, "/other")]
    with opened(by_sqlite(tmp_path / "log.db3", rows, version=4)) as reader:
        some = rewrite(reader, tmp_path / "some.db3", {CAMERA})
        every = rewrite(reader, tmp_path / "every.db3", {CAMERA, "/other"})
    assert [row[1].decode() for row in tables(some)["message_definitions"]] == [COMPRESSED, TYPED.name]
    assert [row[1].decode() for row in tables(every)["message_definitions"]] == [TYPED.name]


def test_a_topic_of_two_types_changes_its_images_alone(tmp_path: Path) -> None:
    rows = [string("x", 1, "/both"), pixels(0, 2, "/both"), jpeg(1, 3, "/both")]
    log = by_sqlite(tmp_path / "log" / "log.db3", rows, version=4)
    (tmp_path / "log" / "metadata.yaml").write_text(metadata(rows, ["log.db3"], version=8))
    with opened(tmp_path / "log") as reader:
        out = rewrite(reader, tmp_path / "out", {"/both"})
    new = [each[2] for each in tables(out / "log.db3")["topics"]]
    assert new == [STRING.encode(), TYPED.name.encode(), TYPED.name.encode()]
    topics = loaded((out / "metadata.yaml").read_text())[ROOT]["topics_with_message_count"]
    assert [each["topic_metadata"]["type"] for each in topics] == [STRING, TYPED.name, TYPED.name]
    assert tables(out / "log.db3")["messages"][0] == tables(log)["messages"][0]


def test_the_rest_of_a_folder_comes_along(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(1))
    (log / "notes").mkdir()
    (log / "notes" / "calibration.yaml").write_bytes(b"\xff\0raw")
    (log / "empty").mkdir()
    (tmp_path / "secret").write_text("mine")
    (log / "link").symlink_to(tmp_path / "secret")
    with opened(log) as reader:
        assert [loss.where for loss in reader.losses] == ["link"]
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    found = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
    assert found == ["empty", "log.db3", "metadata.yaml", "notes", "notes/calibration.yaml"]
    assert (out / "notes" / "calibration.yaml").read_bytes() == b"\xff\0raw"


def test_broken_metadata_comes_along(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(1))
    (log / "metadata.yaml").write_bytes(b"\xffno: [yaml")
    with opened(log) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert (out / "metadata.yaml").read_bytes() == b"\xffno: [yaml"


def test_a_single_file_stays_one(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(1)) / "log.db3"
    (tmp_path / "out").mkdir()
    with opened(log) as reader:
        rewrite(reader, tmp_path / "out" / "log.db3", {CAMERA})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["log.db3"]


def test_nothing_is_written_before_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with opened(by_sqlite(tmp_path / "log.db3", mixed())) as reader:
        writer = reader.rewriter(tmp_path / "out.db3", {CAMERA}, "typed")
        for message in reader.messages([CAMERA]):
            writer.record(message, Record(ref(0)))
        assert not (tmp_path / "out.db3").exists()
        writer.abort()
        writer.abort()
        assert not (tmp_path / "out.db3").exists()
        assert not list((tmp_path / "tmp").iterdir())
        with pytest.raises(OutputError, match="given up"):
            writer.commit()


def test_a_writer_that_was_dropped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    with opened(by_sqlite(tmp_path / "log.db3", mixed())) as reader:
        writer = reader.rewriter(tmp_path / "out.db3", {CAMERA}, "typed")
        assert list((tmp_path / "tmp").iterdir())
        del writer
        assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("lost", ["copy", "record"])
def test_a_message_that_was_not_given_is_noticed(tmp_path: Path, lost: str) -> None:
    with opened(by_sqlite(tmp_path / "log.db3", mixed())) as reader:
        writer = reader.rewriter(tmp_path / "out.db3", {CAMERA}, "typed")
        skipped = CAMERA if lost == "record" else CHATTER
        for message in reader.messages():
            if message.channel.topic == skipped:
                skipped = ""
            elif message.channel.topic == CAMERA:
                writer.record(message, Record(ref(0)))
            else:
                writer.copy(message)
        with pytest.raises(OutputError, match="given to the writer"):
            writer.commit()


def test_messages_given_to_the_wrong_method(tmp_path: Path) -> None:
    with opened(by_sqlite(tmp_path / "log.db3", mixed())) as reader:
        writer = reader.rewriter(tmp_path / "out.db3", {CAMERA}, "typed")
        camera, raw = next(reader.messages([CAMERA])), next(reader.messages([RAW]))
        with pytest.raises(OutputError, match="can't be copied"):
            writer.copy(camera)
        with pytest.raises(OutputError, match="can't be replaced"):
            writer.record(raw, Record(ref(0)))
        writer.record(camera, Record(ref(0)))
        with pytest.raises(OutputError, match="replaced twice"):
            writer.record(camera, Record(ref(1)))
        writer.abort()


def test_where_it_can_not_be_written(tmp_path: Path) -> None:
    log = by_rosbags(tmp_path / "log", mixed(1))
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    with opened(log) as reader:
        for out in (log, log / "out", tmp_path / "no" / "out", tmp_path / "dangling", tmp_path / "log" / ".." / "log"):
            with pytest.raises(OutputError):
                reader.rewriter(out, [], "typed")
        writer = reader.rewriter(tmp_path / "out", [], "typed")
        (tmp_path / "out").write_text("somebody else was quicker")
        for message in reader.messages():
            writer.copy(message)
        with pytest.raises(OutputError):
            writer.commit()
    assert (tmp_path / "out").read_text() == "somebody else was quicker"


def test_a_virtual_table_is_refused_at_once(tmp_path: Path) -> None:
    log = by_sqlite(tmp_path / "log.db3", mixed(1))
    with closing(sqlite3.connect(log, isolation_level=None)) as db:
        db.execute("CREATE VIRTUAL TABLE boxes USING rtree(id, a, b)")
    with opened(log) as reader, pytest.raises(LogError, match="virtual table 'boxes'"):
        reader.rewriter(tmp_path / "out.db3", [], "typed")


@pytest.mark.parametrize(
    "log",
    [
        "ros2/handheld_sqlite3_v9",
        "ros2/gopro_nometa",
        "ros2/gopro_nometa/gopro_0.db3",
        "ros2/handheld_filezstd",
        "found/klintan_2019/sample_2019-03-22.db3",
        "found/geocam_rosbags_rs/test_bag_sqlite3",
        "found/rosbag2/multiple_files",
        "found/rosbag2/wbag_sqlite3",
        "found/rosbag2/message_compression",
        "found/rosbag2/file_compression",
    ],
)
@pytest.mark.parametrize("kind", ["copy", "typed"])
def test_recorded_logs(tmp_path: Path, log: str, kind: str) -> None:
    path = real_log(log)
    before = fingerprint(path.parent)
    with opened(path) as reader:
        images = {channel.topic for channel in reader.channels if channel.role == "image"}
        replaced = images if kind == "typed" else set()
        out = rewrite(reader, tmp_path / path.name, replaced)
        assert assert_equal_but(path, out, replaced) == len(list(reader.messages(replaced)))
        messages = len(list(reader.messages()))
    with opened(out) as reader:
        assert len(list(reader.messages())) == messages
        assert list(reader.losses) == []
    assert fingerprint(path.parent) == before
    try:
        old = by_stock(path)
    except Exception as error:
        print(f"stock rosbags does not open {log}: {error}")
    else:
        new = by_stock(out)
        assert [each[:2] for each in new] == [each[:2] for each in old]
        assert {each[2] for each in new if each[0] in replaced} <= {TYPED.name}
        kept = {each[2] for each in new} & {IMAGE, COMPRESSED}
        assert kept == (set() if replaced else {each[2] for each in old} & {IMAGE, COMPRESSED})
