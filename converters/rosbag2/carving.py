"""Rows of a SQLite file that is cut off or damaged, read page by page.

SQLite finds a row by way of the pages above it; where one of those is gone, whole branches are, though they lie in
the file. Here every page that holds rows is read by itself. The layout is that of sqlite.org/fileformat2.html.
"""

# ruff: noqa: S608 -- names of the schema can't be parameters; values are

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import LogError

from ..storage.scratch import Scratch
from .connection import MAGIC, columns, opened

__all__ = ["Carving", "carve"]

_LEAF = 0x0D
"""The first byte of a page of rows. The first 4 of one that continues a row are a page's number: never this large."""
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of an integer by its serial type; of 8 and 9 the type is the value, 0 or 1."""
_BATCH = 100

Value = int | bytes | str | None


class Carving(NamedTuple):
    """What came out: a sound database, how many messages it has, and how many it ought to have."""

    path: Path
    found: int
    expected: int


def carve(path: Path, name: Path, scratch: Scratch) -> Carving:
    """Make a sound database of all that can be found in a damaged one.

    Rows keep their ids. Messages are expected as the table's index counts them, or else up to the largest id that
    was met: rosbag2 numbers them from 1 and never removes one.

    Args:
        path: The damaged database.
        name: What to call it in errors.
        scratch: Where to put the other one.

    Raises:
        LogError: Its schema or its topics are gone, or there is no room for the other one.
    """
    try:
        target = scratch.path(name.name, path.stat().st_size)
        with closing(opened(path, damaged=True)) as source, closing(sqlite3.connect(target)) as out:
            out.isolation_level = None
            fields = columns(source, "messages")
            if not {"id", "topic_id", "timestamp", "data"} <= set(fields) or not columns(source, "topics"):
                raise LogError(f"SQLite database has lost rosbag2's tables 'topics' and 'messages': {name}")
            for pragma in ("page_size", "encoding", "user_version", "application_id"):
                (value,) = source.execute(f"PRAGMA {pragma}").fetchone()
                out.execute(f"PRAGMA {pragma} = {_literal(value)}")
            out.execute("PRAGMA journal_mode = OFF").fetchall()
            out.execute("PRAGMA synchronous = OFF")
            out.execute("BEGIN")
            _tables(source, out)
            highest = _messages(path, fields, out)
            for kind in ("index", "view", "trigger"):
                _run(source, out, f"type = '{kind}'")
            out.execute("COMMIT")
            (found,) = out.execute("SELECT count(*) FROM messages").fetchone()
            try:
                (expected,) = source.execute("SELECT count(*) FROM messages").fetchone()
            except sqlite3.DatabaseError:
                expected = highest
    except sqlite3.Error as error:
        raise LogError(f"SQLite database is damaged, and nothing can be read from it ({error}): {name}") from error
    except OSError as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"SQLite database can't be read ({error.strerror}): {name}") from error
    return Carving(target, found, max(found, expected))


def _literal(value: int | bytes) -> str:
    return str(value) if isinstance(value, int) else f"'{value.decode()}'"


def _run(source: sqlite3.Connection, out: sqlite3.Connection, where: str) -> None:
    others = "sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    for (statement,) in source.execute(f"SELECT sql FROM sqlite_master WHERE {others} AND {where}").fetchall():
        with suppress(sqlite3.Error):  # one that was damaged itself: an index, say, which reading does without
            out.execute(statement.decode("utf-8", "replace"))


def _tables(source: sqlite3.Connection, out: sqlite3.Connection) -> None:
    """All tables, and the rows of all but the messages, as far as SQLite can read them."""
    _run(source, out, "type = 'table'")
    for (table,) in out.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if table == "messages" or table.startswith("sqlite_"):
            continue
        fields = columns(source, table)
        names, quoted = ", ".join(map(_quoted, fields)), _quoted(table)
        insert = f"INSERT OR IGNORE INTO {quoted} ({names}) VALUES ({', '.join('?' * len(fields))})"
        with suppress(sqlite3.DatabaseError):
            texts = ", ".join(f"typeof({_quoted(each)})" for each in fields)
            for row in source.execute(f"SELECT {names}, {texts} FROM {quoted}"):
                half = len(fields)
                out.execute(insert, [_typed(*pair) for pair in zip(row[:half], row[half:], strict=True)])


def _typed(value: float | bytes | None, kind: bytes) -> int | float | bytes | str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) and kind == b"text" else value


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _messages(path: Path, fields: Sequence[str], out: sqlite3.Connection) -> int:
    """Insert all messages that are whole; the largest id of any, whole or not."""
    insert = (
        f"INSERT OR IGNORE INTO messages ({', '.join(map(_quoted, fields))}) VALUES ({', '.join('?' * len(fields))})"
    )
    topic, time, data = (fields.index(name) for name in ("topic_id", "timestamp", "data"))
    highest = 0
    with path.open("rb") as file:
        for row_id, row in _Pages(file.fileno()).rows(len(fields), (topic, time), data):
            highest = max(highest, row_id)
            if row is not None:
                row[fields.index("id")] = row_id
                out.execute(insert, row)
    return highest


class _Pages:
    """The pages of a file, found by their places."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        header = os.pread(descriptor, 100, 0)
        if not header.startswith(MAGIC) or len(header) < 100:
            raise LogError("SQLite database has lost its first bytes")
        size = int.from_bytes(header[16:18], "big")
        self.size = 65536 if size == 1 else size
        self.usable = self.size - header[20]
        self.count = os.fstat(descriptor).st_size // self.size
        self.utf = {2: "utf-16-le", 3: "utf-16-be"}.get(int.from_bytes(header[56:60], "big"), "utf-8")
        self._used = bytearray(self.count + 1)
        """Pages that continue a row: one that two rows claim would make reading quadratic."""

    def rows(self, width: int, integers: Sequence[int], data: int) -> Iterator[tuple[int, list[Value] | None]]:
        """Rows of `width` columns with integers and bytes in the given ones: (id, values), None where some are gone."""
        for first in range(1, self.count, _BATCH):
            pages = os.pread(self._descriptor, self.size * _BATCH, first * self.size)
            for start in range(0, len(pages) - self.size + 1, self.size):
                if pages[start] == _LEAF:
                    yield from self._leaf(pages[start : start + self.size], width, integers, data)

    def _leaf(
        self, page: bytes, width: int, integers: Sequence[int], data: int
    ) -> Iterator[tuple[int, list[Value] | None]]:
        cells = min(int.from_bytes(page[3:5], "big"), (self.usable - 8) // 2)
        # a row takes at least 4 bytes: pointers that overlap would make a page hold more than its size
        for cell in range(min(cells, self.usable // 6)):
            start = int.from_bytes(page[8 + 2 * cell : 10 + 2 * cell], "big")
            length, start = _varint(page, start)
            row_id, start = _varint(page, start)
            most = self.usable - 35
            least = (self.usable - 12) * 32 // 255 - 23
            local = length
            if length > most:
                local = least + (length - least) % (self.usable - 4)
                local = local if local <= most else least
            if start + local > self.usable or not 0 < row_id < 1 << 63:
                continue
            here = page[start : start + local]
            types = _types(here)
            if types is None or len(types) != width or types[data] < 12:
                continue
            if any(types[each] not in _INTEGERS for each in integers):
                continue
            if length > local:
                pointer = int.from_bytes(page[start + local : start + local + 4], "big")
                rest = self._chain(pointer, length - local)
                yield row_id, None if rest is None else _values(here + rest, types, self.utf)
            else:
                yield row_id, _values(here, types, self.utf)

    def _chain(self, page: int, length: int) -> bytes | None:
        """What continues a row from a page on; None if some of it is gone."""
        if length > self.count * self.size:
            return None
        parts = []
        while length > 0:
            if not 1 < page <= self.count or self._used[page]:
                return None
            self._used[page] = 1
            found = os.pread(self._descriptor, self.usable, (page - 1) * self.size)
            page = int.from_bytes(found[:4], "big")
            parts.append(found[4 : 4 + length])
            length -= self.usable - 4
        return b"".join(parts) if page == 0 else None


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends; beyond the data's end it is made of zeros."""
    value = 0
    for at in range(start, start + 8):
        byte = data[at] if at < len(data) else 0
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + 1
    return value << 8 | (data[start + 8] if start + 8 < len(data) else 0), start + 9


def _types(record: bytes) -> list[int] | None:
    """The serial types of a record's columns; None if its header is not whole."""
    stop, at = _varint(record, 0)
    if not 1 < stop <= len(record):
        return None
    types = []
    while at < stop:
        kind, at = _varint(record, at)
        types.append(kind)
    return types if at == stop else None


def _values(record: bytes, types: Sequence[int], utf: str) -> list[Value] | None:
    """The columns of a record; None if they don't fill it."""
    at, _ = _varint(record, 0)
    row: list[Value] = []
    for kind in types:
        if kind >= 12:
            size = (kind - 12) // 2
            found = record[at : at + size]
            row.append(found.decode(utf, "replace") if kind % 2 else found)
        else:
            size = _INTEGERS.get(kind, 8 if kind == 7 else 0)
            integer = int.from_bytes(record[at : at + size], "big", signed=True)
            row.append(None if kind in (0, 7, 10, 11) else integer if size else kind - 8)
        at += size
    return row if at == len(record) else None
