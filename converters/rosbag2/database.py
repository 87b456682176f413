"""One rosbag2 sqlite3 file (`.db3`), read only: its schema as it is found, its rows in time order.

Schema versions 1 to 4 differ in tables and columns, which `PRAGMA table_info` tells; distributions differ more than
their numbers, so those are never asked. Source: ros2/rosbag2 `rosbag2_storage_sqlite3/sqlite_storage.cpp`.
"""

# ruff: noqa: S608 -- names and numbers of the schema can't be parameters; values are

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import ChannelStats

from ..storage.packing import ZSTD, decompressor
from ..storage.scratch import Scratch
from .carving import Carving, carve
from .connection import columns as table_columns
from .connection import opened
from .metadata import parse
from .zstd import inflated

__all__ = ["SOUND", "Database", "Definition", "Topic", "sound"]

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


class Database:
    """A `.db3` file's topics, definitions and rows.

    Args:
        path: The file to open: a copy where the log's own file is compressed or has a `-wal`.
        name: What to call it in errors.
        compressed: Whether messages are compressed, None where the log does not say.
        scratch: Where to put a sound copy of a file that turns out to be damaged.

    Raises:
        LogError: It is no SQLite database, none of rosbag2's, or one of which nothing can be read.
    """

    def __init__(self, path: Path, name: Path, compressed: bool | None, scratch: Scratch) -> None:
        self.path = path
        """What is read: the file, or a copy once it was carved."""
        self.name = name
        self.carving: Carving | None = None
        """What was found in the file, page by page, if it is damaged."""
        self._scratch = scratch
        self._lock = threading.Lock()
        try:
            self._open(compressed)
        except (sqlite3.DatabaseError, OverflowError, ValueError) as error:
            if isinstance(error, LogError):
                raise
            self.carve(error)
            try:
                self._open(compressed)
            except (sqlite3.Error, OverflowError, ValueError) as again:
                raise self.damaged(again) from error

    def damaged(self, error: Exception) -> LogError:
        """The error for what SQLite says of the file."""
        return LogError(f"SQLite database can't be read ({error}): is it one, and of rosbag2? {self.name}")

    def carve(self, error: Exception) -> None:
        """Read from a sound copy from now on, in which everything is that can be found; any thread may ask for it.

        Raises:
            LogError: It was carved already, or can't be.
        """
        with self._lock:
            if self.carving is not None:
                raise self.damaged(error) from error
            self.carving = carve(self.path, self.name, self._scratch)
            self.path = self.carving.path

    def _open(self, compressed: bool | None) -> None:
        with closing(opened(self.path)) as connection:
            self._read(connection, compressed)

    def _read(self, connection: sqlite3.Connection, compressed: bool | None) -> None:
        tables = {
            name.decode("utf-8", "replace")
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        columns = {table: table_columns(connection, table) for table in tables}
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

        A file that turns out to be damaged is carved, and its copy read from there on.

        Raises:
            LogError: The database is damaged so that nothing can be read.
        """
        last: tuple[int, int] | None = None
        while True:
            path = self.path
            try:
                with closing(opened(path)) as connection:
                    for row in self._rows(connection, topic_ids, _between(start_ns, stop_ns), last):
                        last = row[:2]
                        yield row
                return
            except sqlite3.DatabaseError as error:
                if path == self.path:
                    self.carve(error)

    def _statement(self, where: str) -> str:
        columns = f"timestamp, {self.key}, topic_id, data"
        return f"SELECT {columns} FROM messages WHERE {where} ORDER BY timestamp, {self.key}"

    def _rows(
        self,
        connection: sqlite3.Connection,
        topic_ids: Collection[int] | None,
        between: str,
        last: tuple[int, int] | None,
    ) -> Iterator[tuple[int, int, int, bytes]]:
        # the plus keeps an index on topic_id, should there be one, from taking over: the order comes from timestamp's
        of_topics = "1" if topic_ids is None else f"+topic_id IN ({', '.join(map(str, topic_ids))})"
        after = "1" if last is None else f"(timestamp, {self.key}) > (?, ?)"
        if self._indexed:
            yield from connection.execute(self._statement(f"{between} AND {of_topics} AND {after}"), last or ())
            return
        # Without an index SQLite would sort whole messages, payload and all; here it sorts keys.
        keys = f"SELECT timestamp, {self.key} FROM messages WHERE {between} AND {after} ORDER BY timestamp, {self.key}"
        one = f"SELECT timestamp, {self.key}, topic_id, data FROM messages WHERE {self.key} = ? AND {of_topics}"
        for _, key in connection.execute(keys, last or ()):
            found = connection.execute(one, (key,)).fetchone()
            if found is not None:
                yield found

    def tally(self, *, sizes: bool) -> dict[int, ChannelStats]:
        """Messages, payload bytes and times by topic id, of rows that are messages.

        Args:
            sizes: Whether bytes matter: those of compressed messages are known by reading them.

        Raises:
            LogError: The database is damaged so that nothing can be read.
        """
        if not (self.compressed and sizes):
            # length() of a blob is in the row's header; of a text it counts characters
            size = "CASE typeof(data) WHEN 'blob' THEN length(data) ELSE length(CAST(data AS BLOB)) END"
            # LIMIT keeps the two queries apart: in one, SQLite would sort payloads by their topic
            inner = f"SELECT topic_id, timestamp, {size if sizes else 0} AS size FROM messages WHERE {SOUND} LIMIT -1"
            columns = "topic_id, count(*), sum(size), min(timestamp), max(timestamp)"
            statement = f"SELECT {columns} FROM ({inner}) GROUP BY topic_id"
            return {row[0]: ChannelStats(*row[1:]) for row in self._all(statement)}
        tally: dict[int, ChannelStats] = {}
        inflater = decompressor()
        for time_ns, _, topic_id, data in self.rows(None, None, None):
            if sound(time_ns, topic_id, data):
                size_of = len(inflated(data, inflater))
                count, total, first_ns, _ = tally.get(topic_id, (0, 0, time_ns, time_ns))
                tally[topic_id] = ChannelStats(count + 1, total + size_of, first_ns, time_ns)
        return tally

    def count(self) -> int:
        """All rows of `messages`, whatever they hold.

        Raises:
            LogError: The database is damaged so that nothing can be read.
        """
        ((count,),) = self._all("SELECT count(*) FROM messages")
        return int(count)

    def _all(self, statement: str) -> list[Any]:
        """All rows of a short answer; from the carved copy where the file turns out to be damaged."""
        path = self.path
        try:
            with closing(opened(path)) as connection:
                return connection.execute(statement).fetchall()
        except sqlite3.DatabaseError as error:
            if path == self.path:
                self.carve(error)
            return self._all(statement)


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


def _key(connection: sqlite3.Connection) -> str:
    """The column that tells rows apart: `id` is the rowid in every database that rosbag2 makes."""
    try:
        connection.execute("SELECT rowid FROM messages LIMIT 0")
    except sqlite3.OperationalError:
        return "id"
    return "rowid"


def _str(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
