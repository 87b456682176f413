"""One rosbag2 sqlite3 file (`.db3`), read only: its schema as it is found, its rows in time order.

Schema versions 1 to 4 differ in tables and columns, which `PRAGMA table_info` tells; distributions differ more than
their numbers, so those are never asked. Source: ros2/rosbag2 `rosbag2_storage_sqlite3/sqlite_storage.cpp`.
"""

# ruff: noqa: S608 -- names and numbers of the schema can't be parameters; values are

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import ChannelStats

from .packing import ZSTD, decompressor
from .rosbag2_metadata import parse
from .rosbag2_zstd import inflated
from .scratch import Scratch

__all__ = ["MAGIC", "SOUND", "Database", "Definition", "Topic", "companions", "opened", "recovered", "sound", "uri"]

MAGIC = b"SQLite format 3\0"
SOUND = "typeof(topic_id) = 'integer' AND typeof(timestamp) = 'integer' AND typeof(data) IN ('blob', 'text')"
"""Rows that are messages. SQLite stores any type in any column; these checks don't load the payload."""

_INT64 = 1 << 63


class Topic(NamedTuple):
    """A row of `topics`; what its columns don't tell is None."""

    id: int
    name: str
    type: str
    serialization_format: str
    offered_qos_profiles: str | None
    type_description_hash: str | None


class Definition(NamedTuple):
    """A row of `message_definitions`."""

    encoding: str
    text: bytes
    type_description_hash: str


def uri(path: Path, options: str) -> str:
    """What SQLite calls a file: percent-encoded, for `?`, `#` and `%` would end the path or mean something else."""
    return f"{path.absolute().as_uri()}?{options}"


def opened(path: Path) -> sqlite3.Connection:
    """A connection that only reads, takes no lock and writes no file beside the database; text comes as bytes.

    Raises:
        sqlite3.Error: It can't be opened.
    """
    address = uri(path, "mode=ro&immutable=1")
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
    connection.text_factory = bytes
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def companions(path: Path) -> dict[str, Path]:
    """The logs beside a database that SQLite would read with it, by what their names add to the file's."""
    found = {}
    for suffix in ("-wal", "-journal"):
        for real in (path, path.resolve()):
            companion = real.with_name(real.name + suffix)
            if suffix not in found and companion.is_file() and companion.stat().st_size:
                found[suffix] = companion
    return found


def recovered(path: Path, scratch: Scratch) -> Path:
    """The path of a database that holds what the recorder committed but left in a log beside the file.

    A file without such a log is returned itself; else a copy that SQLite has put in order. `immutable` reads only
    the file (100 of 200 messages), and everything else would write into the source's folder.

    Raises:
        LogError: The copy can't be made, or SQLite can't make sense of it.
    """
    beside = companions(path)
    if not beside:
        return path
    copy = scratch.copy(path, beside)
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
    except sqlite3.Error as error:
        raise LogError(f"database and the {', '.join(beside)} beside it can't be joined ({error}): {path}") from error
    return copy


class Database:
    """A `.db3` file's topics, definitions and rows.

    Args:
        path: The file to open: a copy where the log's own file is compressed or has a `-wal`.
        name: What to call it in errors.
        compressed: Whether messages are compressed, None where the log does not say.

    Raises:
        LogError: It is no SQLite database, a damaged one, or none of rosbag2's.
    """

    def __init__(self, path: Path, name: Path, compressed: bool | None) -> None:
        self.path = path
        self.name = name
        self.unreadable: set[int] = set()
        """Keys of rows that could not be read, once they were asked for."""
        try:
            with closing(opened(path)) as connection:
                self._read(connection, compressed)
        except (sqlite3.Error, OverflowError, ValueError) as error:
            if isinstance(error, LogError):
                raise
            raise self.damaged(error) from error

    def damaged(self, error: Exception) -> LogError:
        """The error for what SQLite says of the file."""
        return LogError(
            f"SQLite database can't be read ({error}); if it was cut off or damaged, try `sqlite3 FILE .recover`, or "
            f"`ros2 bag reindex`: {self.name}"
        )

    def _read(self, connection: sqlite3.Connection, compressed: bool | None) -> None:
        tables = {
            name.decode("utf-8", "replace")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        columns = {table: _columns(connection, table) for table in tables}
        for table, needed in (
            ("topics", ("id", "name", "type")),
            ("messages", ("id", "topic_id", "timestamp", "data")),
        ):
            if missing := [each for each in needed if each not in columns.get(table, ())]:
                raise LogError(
                    f"SQLite database has no {table}.{missing[0]}, expected rosbag2's tables 'topics' and 'messages': "
                    f"{self.name}"
                )
        self.columns: Mapping[str, tuple[str, ...]] = columns
        self.key = _key(connection)
        self.encoding: str = _str(connection.execute("PRAGMA encoding").fetchone()[0]) or "UTF-8"
        optional = ("serialization_format", "offered_qos_profiles", "type_description_hash")
        wanted = ", ".join(each if each in columns["topics"] else "NULL" for each in optional)
        self.topics: list[Topic] = []
        self.unknown_topics = 0
        for row in connection.execute(f"SELECT id, name, type, {wanted} FROM topics ORDER BY id"):
            if isinstance(row[0], int) and isinstance(row[1], bytes) and isinstance(row[2], bytes):
                name, kind, encoding, *rest = (_str(each) for each in row[1:])
                self.topics.append(
                    Topic(row[0], name or "", kind or "", "cdr" if encoding is None else encoding, *rest)
                )
            else:
                self.unknown_topics += 1
        self._definitions(connection)
        self.metadata_texts: dict[int, str] = {}
        """Copies of `metadata.yaml` that the database keeps, by rowid."""
        if "metadata" in columns.get("metadata", ()):
            rows = connection.execute("SELECT rowid, metadata FROM metadata ORDER BY rowid")
            self.metadata_texts = {key: text for key, value in rows if (text := _str(value)) is not None}
        if compressed is None:
            compressed = self._says_compressed()
        if compressed is None:  # a file without any metadata: no CDR message starts with these bytes
            found = connection.execute("SELECT data FROM messages LIMIT 1").fetchone()
            compressed = found is not None and isinstance(found[0], bytes) and found[0][:4] == ZSTD
        self.compressed = compressed
        plan = connection.execute("EXPLAIN QUERY PLAN " + self._statement("1")).fetchall()
        self._indexed = not any(b"TEMP B-TREE" in row[-1] for row in plan)
        (first_ns,) = connection.execute("SELECT min(timestamp) FROM messages").fetchone()
        self.first_ns: int | None = first_ns if isinstance(first_ns, int) else None

    def _says_compressed(self) -> bool | None:
        for text in reversed(self.metadata_texts.values()):
            try:
                return parse(text).compression_mode == "message"
            except LogError:
                continue
        return None

    def _definitions(self, connection: sqlite3.Connection) -> None:
        self.definitions: dict[str, list[Definition]] = {}
        columns = self.columns.get("message_definitions", ())
        if not {"topic_type", "encoding", "encoded_message_definition"} <= set(columns):
            return
        digest = "type_description_hash" if "type_description_hash" in columns else "NULL"
        for kind, encoding, text, value in connection.execute(
            f"SELECT topic_type, encoding, encoded_message_definition, {digest} FROM message_definitions"
        ):
            if isinstance(text, bytes):
                definition = Definition(_str(encoding) or "", text, _str(value) or "")
                self.definitions.setdefault(_str(kind) or "", []).append(definition)

    def definition(self, topic: Topic) -> Definition | None:
        """The definition of a topic's type: that of its hash where several go by the type's name."""
        found = self.definitions.get(topic.type, [])
        same = [each for each in found if each.type_description_hash == topic.type_description_hash]
        return next(iter(same or found), None)

    def rows(
        self, topic_ids: Collection[int] | None, start_ns: int | None, stop_ns: int | None
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Messages as (timestamp, key, topic id, data as stored), by timestamp, then key.

        A row that can't be read is left out, and its key added to `unreadable`.

        Raises:
            LogError: The database is damaged in a way that hides which rows there are.
        """
        try:
            with closing(opened(self.path)) as connection:
                yield from self._rows(connection, topic_ids, _between(start_ns, stop_ns))
        except sqlite3.Error as error:
            raise self.damaged(error) from error

    def _statement(self, where: str) -> str:
        columns = f"timestamp, {self.key}, topic_id, data"
        return f"SELECT {columns} FROM messages WHERE {where} ORDER BY timestamp, {self.key}"

    def _rows(
        self, connection: sqlite3.Connection, topic_ids: Collection[int] | None, between: str
    ) -> Iterator[tuple[int, int, int, bytes]]:
        # the plus keeps an index on topic_id, should there be one, from taking over: the order comes from timestamp's
        of_topics = "1" if topic_ids is None else f"+topic_id IN ({', '.join(map(str, topic_ids))})"
        last: tuple[int, int] | None = None
        if self._indexed:
            try:
                for row in connection.execute(self._statement(f"{between} AND {of_topics}")):
                    last = row[:2]
                    yield row
                return
            except sqlite3.DatabaseError:
                pass  # one damaged row ends a statement: go on behind the last good one, row by row
        # Without an index SQLite would sort whole messages, payload and all; here it sorts keys.
        after = "1" if last is None else f"(timestamp, {self.key}) > (?, ?)"
        keys = f"SELECT timestamp, {self.key} FROM messages WHERE {between} AND {after} ORDER BY timestamp, {self.key}"
        one = f"SELECT timestamp, {self.key}, topic_id, data FROM messages WHERE {self.key} = ? AND {of_topics}"
        for _, key in connection.execute(keys, last or ()):
            try:
                found = connection.execute(one, (key,)).fetchone()
            except sqlite3.DatabaseError:
                self.unreadable.add(key)
                continue
            if found is not None:
                yield found

    def tally(self, *, sizes: bool) -> dict[int, ChannelStats]:
        """Messages, payload bytes and times by topic id, of rows that are messages.

        Args:
            sizes: Whether bytes matter: those of compressed messages are known by reading them.

        Raises:
            LogError: The database is damaged in a way that hides which rows there are.
        """
        if not (self.compressed and sizes):
            # length() of a blob is in the row's header; of a text it counts characters
            size = "CASE typeof(data) WHEN 'blob' THEN length(data) ELSE length(CAST(data AS BLOB)) END"
            columns = f"topic_id, count(*), sum({size}), min(timestamp), max(timestamp)"
            statement = f"SELECT {columns} FROM messages WHERE {SOUND} GROUP BY topic_id"
            try:
                with closing(opened(self.path)) as connection:
                    return {row[0]: ChannelStats(*row[1:]) for row in connection.execute(statement)}
            except sqlite3.DatabaseError:
                pass  # a damaged row: count what can be read
        tally: dict[int, ChannelStats] = {}
        inflater = decompressor()
        for time_ns, _, topic_id, data in self.rows(None, None, None):
            if sound(time_ns, topic_id, data):
                size_of = len(inflated(data, inflater)) if self.compressed else len(data)
                count, total, first_ns, _ = tally.get(topic_id, (0, 0, time_ns, time_ns))
                tally[topic_id] = ChannelStats(count + 1, total + size_of, first_ns, time_ns)
        return tally

    def count(self) -> int | None:
        """All rows of `messages`, whatever they hold; None where damage hides some."""
        try:
            with closing(opened(self.path)) as connection:
                return int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])
        except sqlite3.DatabaseError:
            return None


def sound(time_ns: object, topic_id: object, data: object) -> bool:
    """What `SOUND` says in SQL, of a row as it was read."""
    return type(time_ns) is int and type(topic_id) is int and type(data) is bytes


def _between(start_ns: int | None, stop_ns: int | None) -> str:
    # bounds outside of 64 bits would not be integers to SQLite
    if (start_ns is not None and start_ns >= _INT64) or (stop_ns is not None and stop_ns < -_INT64):
        return "0"
    conditions = ["1"]
    if start_ns is not None and start_ns >= -_INT64:
        conditions.append(f"timestamp >= {start_ns:d}")
    if stop_ns is not None and stop_ns < _INT64:
        conditions.append(f"timestamp < {stop_ns:d}")
    return " AND ".join(conditions)


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Names of a table's columns, without hidden and generated ones."""
    quoted = table.replace('"', '""')
    return tuple(row[1].decode("utf-8", "replace") for row in connection.execute(f'PRAGMA table_info("{quoted}")'))


def _key(connection: sqlite3.Connection) -> str:
    """The column that tells rows apart: `id` is the rowid in every database that rosbag2 makes."""
    try:
        connection.execute("SELECT rowid FROM messages LIMIT 0")
    except sqlite3.OperationalError:
        return "id"
    return "rowid"


def _str(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
