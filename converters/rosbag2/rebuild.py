"""Building a rosbag2 sqlite3 file like another one, with the payloads of some topics replaced.

The statements are the source's own, and rows are copied inside SQLite in the order in which they are stored: payloads
don't pass through Python, compressed ones stay as they are, and pages are written once.
"""

# ruff: noqa: S608 -- names and numbers of the schema can't be parameters; values are

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import LogError, OutputError

from ..messages.recordtype import RecordType
from .connection import opened, uri
from .database import SOUND, Database

__all__ = ["Plan", "check", "failed", "rebuild"]


class Plan(NamedTuple):
    """What to do to one file.

    Attributes:
        database: The source.
        split: Its number in the table of records.
        replaced: Ids of the topics whose messages are replaced, with their new types.
        kept: Ids of the other topics that the source knows.
        metadata: The rows of the table `metadata`, rewritten, by rowid.
    """

    database: Database
    split: int
    replaced: Mapping[int, RecordType]
    kept: frozenset[int]
    metadata: Mapping[int, str]


def check(database: Database) -> None:
    """Find out whether a database can be built again, before anybody works for it.

    Raises:
        LogError: It can't be read, or has virtual tables, whose content only their module knows.
    """
    try:
        with closing(opened(database.path)) as connection:
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'"):
                raise LogError(
                    f"SQLite database has the virtual table {name.decode('utf-8', 'replace')!r}, which can't be "
                    f"written again, expected rosbag2's own tables: drop it first: {database.name}"
                )
    except sqlite3.Error as error:
        raise database.damaged(error) from error


def failed(error: sqlite3.Error, path: Path) -> LogError | OutputError:
    """What an error of SQLite means while a file is built."""
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return LogError(f"database is damaged and could not be copied ({error}): {path}")
    return OutputError(f"log can't be written ({error}): is the disk full, or the source gone? {path}")


def rebuild(plan: Plan, records: Path, target: Path, copied: int, recorded: int) -> None:
    """Build the database file `target`.

    Args:
        plan: What to do.
        records: A database with a table `records` of (split, key, data).
        target: The file to write; there must be none.
        copied: How many messages of `plan.kept` are expected.
        recorded: How many records are expected.

    Raises:
        sqlite3.Error: It can't be read or written; see `failed`.
        OutputError: The messages are not those that were expected.
    """
    while True:
        path = plan.database.path
        try:
            with closing(_attached(plan.database, records, target)) as connection:
                connection.execute("BEGIN")
                _tables(connection, plan.database)
                _messages(connection, plan)
                if plan.replaced:
                    _retype(connection, plan)
                for key, text in plan.metadata.items():
                    connection.execute("UPDATE main.metadata SET metadata = ? WHERE rowid = ?", (text, key))
                _others(connection)
                _verify(connection, plan, copied, recorded)
                connection.execute("COMMIT")
            return
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_CORRUPT":
                raise
            if path == plan.database.path:
                plan.database.carve(error)
            target.unlink(missing_ok=True)


def _attached(database: Database, records: Path, target: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(uri(target, "mode=rwc"), uri=True, isolation_level=None)
    try:
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema = OFF")
        # a file that was not finished is thrown away: no need to be able to go back, or to wait for the disk
        connection.execute("PRAGMA journal_mode = MEMORY").fetchall()
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA encoding = '{database.encoding}'")
        connection.execute("ATTACH ? AS source", (uri(database.path, "mode=ro&immutable=1"),))
        connection.execute("ATTACH ? AS records", (uri(records, "mode=ro"),))
        for pragma in ("page_size", "auto_vacuum", "user_version", "application_id"):
            (value,) = connection.execute(f"PRAGMA source.{pragma}").fetchone()
            connection.execute(f"PRAGMA main.{pragma} = {value}")
    except BaseException:
        connection.close()
        raise
    return connection


def _run(connection: sqlite3.Connection, where: str) -> None:
    """Run the source's own statements."""
    query = f"SELECT name, sql FROM source.sqlite_master WHERE sql IS NOT NULL AND {where}"
    for _, statement in connection.execute(query).fetchall():
        connection.execute(statement.decode("utf-8", "replace"))


def _tables(connection: sqlite3.Connection, database: Database) -> None:
    own = "name LIKE 'sqlite\\_%' ESCAPE '\\'"
    _run(connection, f"type = 'table' AND NOT {own} ORDER BY rowid")
    there = {name for (name,) in connection.execute(f"SELECT name FROM source.sqlite_master WHERE {own}")}
    if b"sqlite_stat1" in there:
        connection.execute("ANALYZE main.sqlite_master")  # makes the table, which can't be made by its statement
    for table, columns in database.columns.items():
        if table == "messages" or (table.startswith("sqlite_") and table not in ("sqlite_sequence", "sqlite_stat1")):
            continue
        if table.startswith("sqlite_"):
            connection.execute(f"DELETE FROM main.{_quoted(table)}")
        _copy(connection, table, columns)


def _copy(connection: sqlite3.Connection, table: str, columns: Iterable[str]) -> None:
    names = ", ".join(map(_quoted, columns))
    connection.execute(f"INSERT INTO main.{_quoted(table)} ({names}) SELECT {names} FROM source.{_quoted(table)}")


def _messages(connection: sqlite3.Connection, plan: Plan) -> None:
    """Copy rows, those of replaced topics with their record's payload; such a row without a record is left out."""
    columns, key = plan.database.columns["messages"], plan.database.key
    ids = ", ".join(map(str, plan.replaced))
    values = ", ".join(
        "CASE WHEN r.key IS NULL THEN m.data ELSE r.data END" if column == "data" else f"m.{_quoted(column)}"
        for column in columns
    )
    connection.execute(
        f"INSERT INTO main.messages ({', '.join(map(_quoted, columns))}) SELECT {values} FROM source.messages AS m "
        f"LEFT JOIN records.records AS r ON m.topic_id IN ({ids}) AND r.split = {plan.split} AND r.key = m.{key} "
        f"WHERE NOT (m.topic_id IN ({ids}) AND r.key IS NULL) ORDER BY m.{key}"
    )


def _retype(connection: sqlite3.Connection, plan: Plan) -> None:
    columns = plan.database.columns
    for topic_id, new in plan.replaced.items():
        changes = {"type": new.name, "type_description_hash": new.rihs01}
        changes = {column: value for column, value in changes.items() if column in columns["topics"]}
        assignments = ", ".join(f"{column} = ?" for column in changes)
        connection.execute(f"UPDATE main.topics SET {assignments} WHERE id = ?", (*changes.values(), topic_id))
    if "message_definitions" not in columns:
        return
    ids = ", ".join(map(str, plan.replaced))
    connection.execute(
        "DELETE FROM main.message_definitions WHERE topic_type NOT IN (SELECT type FROM main.topics) "
        f"AND topic_type IN (SELECT type FROM source.topics WHERE id IN ({ids}))"
    )
    for new in dict.fromkeys(plan.replaced.values()):
        if new.definition:
            _define(connection, new, columns["message_definitions"])


def _define(connection: sqlite3.Connection, new: RecordType, columns: tuple[str, ...]) -> None:
    """Add a type's definition, unless it is there."""
    row = {
        "topic_type": new.name,
        "encoding": new.schema_encoding,
        "encoded_message_definition": new.definition.decode("utf-8", "replace"),
        "type_description_hash": new.rihs01,
    }
    row = {column: value for column, value in row.items() if column in columns}
    same = {name: row[name] for name in ("topic_type", "type_description_hash") if name in row}
    where = " AND ".join(f"{name} = ?" for name in same)
    there = connection.execute(f"SELECT 1 FROM main.message_definitions WHERE {where}", tuple(same.values()))
    if there.fetchone() is None:
        connection.execute(
            f"INSERT INTO main.message_definitions ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
            tuple(row.values()),
        )


def _others(connection: sqlite3.Connection) -> None:
    # after all rows are in: indexes are built faster, and triggers don't fire at copied rows
    for kind in ("index", "view", "trigger"):
        _run(connection, f"type = '{kind}' ORDER BY rowid")


def _verify(connection: sqlite3.Connection, plan: Plan, copied: int, recorded: int) -> None:
    kept, placed = _count(connection, "main", plan.kept), _count(connection, "main", plan.replaced)
    if kept != copied:
        raise OutputError(
            f"{copied} messages were given to the writer to copy, but {kept} rows are theirs: give it every message "
            f"once: {plan.database.name}"
        )
    wanted = _count(connection, "source", plan.replaced)
    if placed != recorded or placed < wanted:
        raise OutputError(
            f"{recorded} records were given to the writer, and {placed} found their message, expected {wanted}: give "
            f"it a record for every image: {plan.database.name}"
        )


def _count(connection: sqlite3.Connection, schema: str, ids: Iterable[int]) -> int:
    query = f"SELECT count(*) FROM {schema}.messages WHERE {SOUND} AND topic_id IN ({', '.join(map(str, ids))})"
    return int(connection.execute(query).fetchone()[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
