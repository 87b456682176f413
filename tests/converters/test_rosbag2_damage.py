"""rosbag2 sqlite3 logs that are damaged, cut, or made to do harm: what is there is read, the rest is a loss."""

from __future__ import annotations

import random
import shutil
import sqlite3
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

import pytest
import zstandard
from mediaref_tools.converters.rosbag2.sqlite3 import Rosbag2Sqlite3Converter, Rosbag2Sqlite3Reader
from rosbags.rosbag2 import CompressionMode

from mediaref_tools.errors import ImageError, LogError, MediarefError, OutputError
from mediaref_tools.log import Loss, Record
from tests.converters.rosbag2logs import (
    CAMERA,
    CHATTER,
    START_NS,
    Row,
    by_rosbags,
    by_sqlite,
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


def opened(path: Path) -> Rosbag2Sqlite3Reader:
    return Rosbag2Sqlite3Converter().open(path)


def losses(path: Path) -> list[Loss]:
    """Those of a log that was read to its end, twice."""
    with opened(path) as reader:
        first = len(list(reader.messages()))
        assert sum(stats.messages for stats in reader.stats().values()) == first == len(list(reader.messages()))
        return list(reader.losses)


def folder(path: Path, parts: dict[str, list[Row]], listed: list[str] | None = None, text: str | None = None) -> Path:
    for name, rows in parts.items():
        by_sqlite(path / name, rows)
    rows = [row for part in parts.values() for row in part]
    (path / "metadata.yaml").write_text(text or metadata(rows, listed or list(parts)))
    return path


def big(count: int) -> list[Row]:
    """Messages of several pages each."""
    return [pixels(0, n)._replace(data=bytes([n]) * 9000) for n in range(count)]


@pytest.mark.parametrize("data", [b"", b"SQLite format 3\0", b"SQLite format 3\0" + bytes(5000), b"text" * 999])
def test_not_a_database(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "log.db3").write_bytes(data)
    with pytest.raises(LogError, match=r"log\.db3$"):
        opened(tmp_path / "log.db3")
    with pytest.raises(LogError):
        opened(tmp_path)


@pytest.mark.parametrize("version", [1, 2, 3, 4])
@pytest.mark.parametrize("indexed", [True, False])
def test_cut_anywhere(tmp_path: Path, version: Literal[1, 2, 3, 4], *, indexed: bool) -> None:
    """Every message whose pages are all there comes out, and the copy is sound."""
    rows = sorted([*mixed(20), *big(30)], key=lambda row: row.time_ns)
    path = by_sqlite(tmp_path / "log.db3", rows, version=version, index=indexed)
    whole, expected = path.read_bytes(), content_of(path)
    counts = []
    for size in range(0, len(whole), 7000):
        path.write_bytes(whole[:size])
        try:
            found = content_of(path)
        except LogError:  # its schema is gone
            assert size < 12 * 1024
            continue
        with opened(path) as reader:
            assert found == [row for row in expected if row in found]
            assert sum(stats.messages for stats in reader.stats().values()) == len(found)
            (loss,) = reader.losses
            assert loss.messages is not None
            assert len(found) + loss.messages <= len(rows)
            out = rewrite(reader, tmp_path / f"{size}.db3", {CAMERA})
        assert len(tables(out)["messages"]) == len(found)
        # what comes before them (definitions, above all) and the pages between; they are stored in the order of times
        stored = sum(len(row.data) for row in rows[: len(found)])
        assert size - stored < 40 * 1024
        counts.append(len(found))
    assert counts == sorted(counts)
    assert len(counts) > 30


def content_of(path: Path) -> list[tuple[str, int, bytes]]:
    with opened(path) as reader:
        return content(reader.messages())


def test_a_branch_that_leads_nowhere_costs_nothing(tmp_path: Path) -> None:
    """The page above all rows is gone: SQLite finds none of them."""
    rows = mixed(100)
    path = by_sqlite(tmp_path / "log.db3", rows)
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    data = bytearray(path.read_bytes())
    data[(root - 1) * 1024 : root * 1024] = bytes(1024)
    path.write_bytes(data)
    assert sorted(content_of(path)) == sorted((row.topic, row.time_ns, row.data) for row in rows)
    (loss,) = losses(path)
    assert loss.messages == 0
    assert "300 messages of at least 300" in loss.what


@pytest.mark.parametrize("indexed", [True, False])
def test_pages_of_zeros_in_the_middle(tmp_path: Path, *, indexed: bool) -> None:
    rows = big(60)
    path = by_sqlite(tmp_path / "log.db3", rows, index=indexed)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2048 * 1024
    data[middle : middle + 20 * 1024] = bytes(20 * 1024)
    path.write_bytes(data)
    found = content_of(path)
    assert set(found) < {(row.topic, row.time_ns, row.data) for row in rows}
    (loss,) = losses(path)
    assert loss.messages == 60 - len(found)
    assert 2 <= loss.messages <= 4


def test_metadata_says_how_many_a_damaged_file_has_lost(tmp_path: Path) -> None:
    rows = big(40)
    path = folder(tmp_path / "log", {"log.db3": rows})
    whole = (path / "log.db3").read_bytes()
    (path / "log.db3").write_bytes(whole[: len(whole) // 2])
    found = content_of(path)
    (loss,) = losses(path)
    assert (loss.where, loss.messages) == ("log.db3", 40 - len(found))
    assert "at least" not in loss.what


def overflow(data: bytearray, number: int) -> list[int]:
    """Where the pages lie that continue a message of `big`."""
    filling = bytes([number]) * 900
    return [at for at in range(0, len(data), 1024) if data[at] != 0x0D and data[at + 4 : at + 904] == filling]


def test_rows_that_share_a_page_are_not_read_twice(tmp_path: Path) -> None:
    """Pages that many rows claim to go on in would make reading quadratic, and mix messages up."""
    path = by_sqlite(tmp_path / "log.db3", big(20))
    data = bytearray(path.read_bytes())
    second = overflow(data, 4)[1] // 1024 + 1
    for number in range(5, 20):
        first = overflow(data, number)[0]
        data[first : first + 4] = second.to_bytes(4, "big")
    data[0:100] = data[0:28] + (1 << 20).to_bytes(4, "big") + data[32:100]  # SQLite refuses it at once
    path.write_bytes(data)
    with opened(path) as reader:
        assert [m.log_time_ns for m in reader.messages()] == [0, 1, 2, 3, 4]
        assert [loss.messages for loss in reader.losses] == [15]


def test_a_row_that_does_not_end_where_it_should_is_damaged(tmp_path: Path) -> None:
    path = by_sqlite(tmp_path / "log.db3", big(9))
    data = bytearray(path.read_bytes())
    last = overflow(data, 7)[-1]
    nxt = int.from_bytes(data[last : last + 4], "big")
    last = (nxt - 1) * 1024 if nxt else last
    data[last : last + 4] = (2).to_bytes(4, "big")
    data[0:100] = data[0:28] + (1 << 20).to_bytes(4, "big") + data[32:100]
    path.write_bytes(data)
    with opened(path) as reader:
        assert [m.log_time_ns for m in reader.messages()] == [0, 1, 2, 3, 4, 5, 6, 8]
        assert [loss.messages for loss in reader.losses] == [1]


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE topics",
        "DROP TABLE messages",
        "ALTER TABLE messages RENAME COLUMN data TO payload",
        "ALTER TABLE topics RENAME TO was; CREATE VIEW topics AS SELECT * FROM was",
    ],
)
def test_missing_tables(tmp_path: Path, change: str) -> None:
    path = by_sqlite(tmp_path / "log.db3", mixed())
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
    with pytest.raises(LogError, match="expected rosbag2's tables"):
        opened(path)


def test_values_of_other_types(tmp_path: Path) -> None:
    """Text is bytes as well; rows without bytes, time or topic are no messages, and stay as they are."""
    rows = [string(f"{n}", n) for n in range(6)]
    path = by_sqlite(tmp_path / "log.db3", rows)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE messages SET data = 'é' WHERE id = 1")
        db.execute("UPDATE messages SET data = 5 WHERE id = 2")
        db.execute("UPDATE messages SET timestamp = 'late' WHERE id = 3")
        db.execute("UPDATE messages SET timestamp = 3.5 WHERE id = 4")
        db.execute("UPDATE messages SET topic_id = 'one' WHERE id = 5")
    with opened(path) as reader:
        assert content(reader.messages()) == [(CHATTER, 0, "é".encode()), (CHATTER, 5, rows[5].data)]
        assert [tuple(stats)[:2] for stats in reader.stats().values()] == [(2, 2 + len(rows[5].data))]
        assert [loss.messages for loss in reader.losses] == [4]
        assert tables(rewrite(reader, tmp_path / "out.db3", [])) == tables(path)


def test_rows_of_topics_that_are_not_there(tmp_path: Path) -> None:
    path = by_sqlite(tmp_path / "log.db3", mixed(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM topics WHERE name = ?", (CHATTER,))
        db.execute("CREATE TABLE copy AS SELECT * FROM topics")
        db.execute("INSERT INTO topics VALUES (77, x'00ff', 'a/msg/B', 'cdr', ''), (78, '/t', x'ff', 'cdr', '')")
    found = losses(path)
    assert [loss.messages for loss in found] == [None, 3] or [loss.messages for loss in found] == [3]
    with opened(path) as reader:
        out = rewrite(reader, tmp_path / "out.db3", {CAMERA})
    assert [row[0:3] for row in tables(out)["messages"]] == [row[0:3] for row in tables(path)["messages"]]


def test_text_that_is_not_unicode(tmp_path: Path) -> None:
    path = by_sqlite(tmp_path / "log.db3", mixed(3), version=4)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE topics SET name = CAST(x'2fff' AS TEXT) WHERE name = ?", (CHATTER,))
        db.execute(
            "UPDATE topics SET offered_qos_profiles = CAST(x'ff' AS TEXT), type = CAST(x'fe' AS TEXT) WHERE id = 1"
        )
    with opened(path) as reader:
        assert len(list(reader.messages(["/�"]))) == 3
        assert tables(rewrite(reader, tmp_path / "out.db3", [])) == tables(path)


def test_a_damaged_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    """Its overflow page leads nowhere: SQLite ends the whole statement there."""
    rows = [*big(10), string("last", 100)]
    path = by_sqlite(tmp_path / "log.db3", rows)
    data = bytearray(path.read_bytes())
    inside = data.find(bytes([4]) * 900)  # a page of message 4, after its first
    page = inside // 1024 * 1024
    data[page : page + 4] = b"\x7f\xff\xff\xff"  # the number of the next page
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.DatabaseError):
        db.execute("SELECT * FROM messages ORDER BY timestamp").fetchall()
    with opened(path) as reader:
        for _ in range(2):
            assert content(reader.messages()) == [(r.topic, r.time_ns, r.data) for r in rows if r.time_ns != 4]
        assert [(loss.where, loss.messages) for loss in reader.losses] == [("log.db3", 1)]
        assert len(list(reader.messages([CHATTER]))) == 1
        out = rewrite(reader, tmp_path / "out.db3", [])
    assert [row[0] for row in tables(out)["messages"]] == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_a_damaged_image_does_not_stop_the_rest(tmp_path: Path) -> None:
    rows = [row._replace(topic=CAMERA) for row in big(6)]
    path = by_sqlite(tmp_path / "log.db3", rows)
    data = bytearray(path.read_bytes())
    page = data.find(bytes([4]) * 900) // 1024 * 1024
    data[page : page + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    with opened(path) as reader:
        writer = reader.rewriter(tmp_path / "out.db3", {CAMERA}, "string")
        for number, message in enumerate(reader.messages()):
            writer.record(message, Record(ref(number)))
        writer.commit()
    assert [row[0] for row in tables(tmp_path / "out.db3")["messages"]] == [1, 2, 3, 4, 6]


def test_noise(tmp_path: Path) -> None:
    """Whatever is in the file: our errors, or messages."""
    source = by_sqlite(tmp_path / "source.db3", [*mixed(20), *big(3)], version=4).read_bytes()
    path, seed = tmp_path / "log.db3", random.Random(7)
    for _ in range(300):
        data = bytearray(source)
        for _ in range(seed.choice((1, 4, 40))):
            data[seed.randrange(len(data) if seed.random() < 0.5 else 3000)] = seed.randrange(256)
        path.write_bytes(data)
        (tmp_path / "out.db3").unlink(missing_ok=True)
        try:
            Rosbag2Sqlite3Converter().claims(path)
            with opened(path) as reader:
                for message in reader.messages():
                    assert isinstance(message.data, bytes)
                    if message.channel.role == "image":
                        with suppress(ImageError):
                            reader.image(message)
                reader.stats()
                writer = reader.rewriter(tmp_path / "out.db3", [], "typed")
                for message in reader.messages():
                    writer.copy(message)
                writer.commit()
        except MediarefError:
            pass


def test_missing_splits(tmp_path: Path) -> None:
    parts = {f"log_{n}.db3": mixed(3, START_NS + n * 10**9) for n in range(3)}
    path = folder(tmp_path / "log", parts)
    (path / "log_1.db3").unlink()
    assert [(loss.where, loss.messages) for loss in losses(path)] == [("log_1.db3", None), ("metadata.yaml", 9)]
    counts = "  files:\n" + "".join(f"    - path: {name}\n      message_count: 9\n" for name in parts)
    with (path / "metadata.yaml").open("a") as file:
        file.write(counts)
    (loss,) = losses(path)
    assert (loss.where, loss.messages) == ("log_1.db3", 9)
    with opened(path) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert sorted(each.name for each in out.iterdir()) == ["log_0.db3", "log_2.db3", "metadata.yaml"]


def test_a_damaged_split_is_a_loss_and_comes_along_as_it_is(tmp_path: Path) -> None:
    path = folder(tmp_path / "log", {f"log_{n}.db3": mixed(3, START_NS + n * 10**9) for n in range(2)})
    data = (path / "log_1.db3").read_bytes()[:900]
    (path / "log_1.db3").write_bytes(data)
    assert [(loss.where, loss.messages) for loss in losses(path)] == [("log_1.db3", None), ("metadata.yaml", 9)]
    with opened(path) as reader:
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert (out / "log_1.db3").read_bytes() == data


def test_renamed_and_unlisted_files(tmp_path: Path) -> None:
    rows = mixed(3)
    path = folder(tmp_path / "log", {"new.db3": rows}, listed=["old.db3"])
    (loss,) = losses(path)
    assert (loss.where, loss.messages) == ("metadata.yaml", 0)
    path = folder(tmp_path / "more", {"log_0.db3": rows})
    by_sqlite(path / "log_1.db3", rows)
    (loss,) = losses(path)
    assert (loss.where, loss.messages) == ("log_1.db3", None)


@pytest.mark.parametrize(("said", "gone"), [(0, 0), (9, None), (8, 0), (12, 3)])
def test_counts_that_disagree(tmp_path: Path, said: int, gone: int | None) -> None:
    rows = mixed(3)
    text = metadata(rows, ["log.db3"]).replace("message_count: 9", f"message_count: {said}")
    found = losses(folder(tmp_path / "log", {"log.db3": rows}, text=text))
    assert [(loss.where, loss.messages) for loss in found] == ([] if gone is None else [("metadata.yaml", gone)])


def test_counts_of_topics_that_disagree(tmp_path: Path) -> None:
    rows = mixed(3)
    text = metadata(rows, ["log.db3"]).replace("message_count: 3\n", "message_count: 4\n", 1)
    (loss,) = losses(folder(tmp_path / "log", {"log.db3": rows}, text=text))
    assert "says 4 messages of '/cam/compressed', but the storage files hold 3" in loss.what


@pytest.mark.parametrize(
    "text",
    [
        "no: [yaml",
        "",
        "just text",
        "rosbag2_bagfile_information: 5",
        "a: " + "[" * 20_000,
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)),
        "x: " + "y" * (17 << 20),
    ],
)
def test_metadata_that_is_none(tmp_path: Path, text: str) -> None:
    rows = mixed(3)
    path = folder(tmp_path / "log", {"log.db3": rows})
    (path / "metadata.yaml").write_text(text)
    assert Rosbag2Sqlite3Converter().claims(path)
    with opened(path) as reader:
        assert len(list(reader.messages())) == 9
        assert {loss.where for loss in reader.losses} == {"metadata.yaml"}
        out = rewrite(reader, tmp_path / "out", {CAMERA})
    assert (out / "metadata.yaml").read_text() == text


@pytest.mark.parametrize("keys", ["relative_file_paths", "message_count", "topics_with_message_count", "storage"])
def test_metadata_without_a_key(tmp_path: Path, keys: str) -> None:
    rows = mixed(3)
    text = metadata(rows, ["log.db3"]).replace(f"  {keys}", f"  not_{keys}")
    path = folder(tmp_path / "log", {"log.db3": rows}, text=text)
    assert Rosbag2Sqlite3Converter().claims(path)
    with opened(path) as reader:
        assert len(list(reader.messages())) == 9


@pytest.mark.parametrize(
    "entry", ["../secret.db3", "/{}/secret.db3", "..", ".", "", "../secret", "x\\\\..\\\\secret.db3", '"\\0"']
)
def test_paths_do_not_lead_out_of_the_folder(tmp_path: Path, entry: str) -> None:
    by_sqlite(tmp_path / "secret.db3", [string("secret", 1)])
    shutil.copy(tmp_path / "secret.db3", tmp_path / "secret")
    rows = mixed(3)
    path = folder(tmp_path / "log", {"log.db3": rows}, listed=["log.db3", entry.format(tmp_path)])
    with opened(path) as reader:
        assert len(list(reader.messages())) == 9
        assert len(reader.losses) == 1
    (path / "log.db3").unlink()
    with pytest.raises(LogError, match="no storage file"):
        opened(path)


def test_one_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = folder(tmp_path / "log", {"log.db3": mixed(3)}, listed=["log.db3", "log/log.db3"])
    assert losses(path) == []


@pytest.mark.parametrize("mode", ["file", "message"])
def test_compression_that_can_not_be_read(tmp_path: Path, mode: str) -> None:
    rows = mixed(1)
    text = metadata(rows, ["log.db3"], compression_mode=mode, compression_format="lz4")
    with pytest.raises(LogError, match="'lz4'"):
        opened(folder(tmp_path / "log", {"log.db3": rows}, text=text))


def test_compressed_files_that_are_cut_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = by_rosbags(tmp_path / "log", mixed(50), mode=CompressionMode.FILE) / "log.db3.zstd"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(LogError):
        opened(path)
    path.write_bytes(data[:100] + bytes(1000))
    with pytest.raises(LogError, match="damaged"):
        opened(path)
    path.write_bytes(data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(LogError, match="TMPDIR"):
        opened(path)
    wal = by_sqlite(tmp_path / "wal" / "log.db3", mixed(), journal="wal")
    with pytest.raises(LogError, match="TMPDIR"):
        opened(wal)


def test_messages_that_can_not_be_decompressed(tmp_path: Path) -> None:
    rows = mixed(3)
    stored = [row._replace(data=zstandard.compress(row.data)) for row in rows]
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(300 << 20))
    stored[0] = stored[0]._replace(data=bomb)
    unsized = zstandard.ZstdCompressor(write_content_size=False)
    stored[1] = stored[1]._replace(data=unsized.compress(rows[1].data))
    stored[2] = stored[2]._replace(data=stored[2].data[:10])
    stored[3] = stored[3]._replace(data=b"plain")
    expected = [stored[0].data, rows[1].data, stored[2].data, b"plain", *(row.data for row in rows[4:])]
    text = metadata(rows, ["log.db3"], compression_mode="MESSAGE", compression_format="zstd")
    path = folder(tmp_path / "log", {"log.db3": stored}, text=text)
    tracemalloc.start()
    try:
        with opened(path) as reader:
            found = sorted((each.position, each.data) for each in reader.messages())
            assert [data for _, data in found] == expected
            assert sum(stats.bytes for stats in reader.stats().values()) == sum(map(len, expected))
            assert [(loss.where, loss.messages) for loss in reader.losses] == [("log.db3", 0)]
            assert tables(rewrite(reader, tmp_path / "out", []) / "log.db3") == tables(path / "log.db3")
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_a_bomb_without_a_size_is_given_up(tmp_path: Path) -> None:
    bomb = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(bytes(300 << 20))
    path = by_sqlite(tmp_path / "log.db3", [string("x", 1)._replace(data=bomb)])
    with opened(path) as reader:
        (message,) = reader.messages()
        assert message.data == bomb


def test_statements_of_a_stranger_do_nothing_else(tmp_path: Path) -> None:
    """A trigger that empties the table, a view without end, a check that nothing passes."""
    path = by_sqlite(tmp_path / "log.db3", mixed(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            """
            CREATE TRIGGER gone AFTER INSERT ON messages BEGIN DELETE FROM messages; END;
            CREATE TRIGGER renamed AFTER UPDATE ON topics BEGIN UPDATE topics SET name = 'x'; END;
            CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n;
            """
        )
    with opened(path) as reader:
        out = rewrite(reader, tmp_path / "out.db3", {CAMERA})
    assert len(tables(out)["messages"]) == 9
    assert [row[1] for row in tables(out)["topics"]] == [row[1] for row in tables(path)["topics"]]


def test_a_row_that_its_own_table_refuses_is_an_error_of_ours(tmp_path: Path) -> None:
    path = by_sqlite(tmp_path / "log.db3", [jpeg(n, n) for n in range(3)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = replace(sql, 'data BLOB NOT NULL', "
            "'data BLOB NOT NULL CHECK (length(data) < 5)') WHERE name = 'messages';"
        )
    with opened(path) as reader, pytest.raises(OutputError, match="CHECK"):
        rewrite(reader, tmp_path / "out.db3", {CAMERA})


def test_a_recorded_log_cut_anywhere(tmp_path: Path) -> None:
    data = real_log("ros2/handheld_sqlite3_v9/handheld_sqlite3_v9.db3").read_bytes()
    for size in range(0, len(data), len(data) // 9 + 1):
        (tmp_path / "log.db3").write_bytes(data[:size])
        if size == 0:
            with pytest.raises(LogError):
                opened(tmp_path / "log.db3")
            continue
        with opened(tmp_path / "log.db3") as reader:
            found = len(list(reader.messages()))
            assert abs(found - 120 * size / len(data)) < 3
            assert [loss.messages for loss in reader.losses] == [120 - found]  # its index is whole, and tells
