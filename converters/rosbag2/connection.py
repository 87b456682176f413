"""Connections to a SQLite file that is a source: nothing writes to it, or beside it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from mediaref_tools.errors import LogError

from ..storage.scratch import Scratch

__all__ = ["MAGIC", "columns", "companions", "opened", "recovered", "uri"]

MAGIC = b"SQLite format 3\0"


def uri(path: Path, options: str) -> str:
    """What SQLite calls a file: percent-encoded, for `?`, `#` and `%` would end the path or mean something else."""
    return f"{path.absolute().as_uri()}?{options}"


def opened(path: Path, *, damaged: bool = False) -> sqlite3.Connection:
    """A connection that only reads, takes no lock and writes no file beside the database; text comes as bytes.

    Args:
        path: The database.
        damaged: Whether to open one that has fewer pages than it says, or odd statements in its schema.

    Raises:
        sqlite3.Error: It can't be opened.
    """
    address = uri(path, "mode=ro&immutable=1")
    connection = sqlite3.connect(address, uri=True, check_same_thread=False, isolation_level=None)
    connection.text_factory = bytes
    connection.execute("PRAGMA trusted_schema = OFF")
    if damaged:  # SQLite's own `.recover` does this (its btree.c: `lockBtree` takes the file's size for the count)
        connection.execute("PRAGMA writable_schema = ON")
    return connection


def columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Names of a table's columns, without hidden and generated ones."""
    quoted = table.replace('"', '""')
    return tuple(row[1].decode("utf-8", "replace") for row in connection.execute(f'PRAGMA table_info("{quoted}")'))


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
