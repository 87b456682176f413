"""Writing a rosbag2 sqlite3 log anew, with image messages replaced by records.

Nothing is written at the output before `commit`: until then the records wait in a temporary database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Channel, Loss, Message, Record, RecordKind

from ..messages import imagemsg
from ..messages.recordtype import RecordType
from ..storage.packing import ZSTD, Packing, pack
from ..storage.scratch import Scratch, flush
from .database import Database
from .folder import Folder
from .metadata import parse, retyped
from .rebuild import Plan, check, failed, rebuild
from .zstd import deflated

__all__ = ["Rosbag2Sqlite3Writer", "Split"]


class Split(NamedTuple):
    """One storage file of a log: the database as it is read, the log's own file, how that one is compressed."""

    database: Database
    file: Path
    packing: Packing | None


class Rosbag2Sqlite3Writer:
    """Writes a log's folder or file again; see `mediaref_tools.log.LogWriter`.

    Args:
        folder: The source's folder, None where the log is a file.
        splits: The source's files.
        channels: Each split's channels by topic id.
        out: The folder or file to write.
        types: What becomes of the channels whose messages will be given to `record`, or to `put`, by id.
        kind: The form of the records; None where there are none, but what they stood for.

    Raises:
        LogError: The source holds something that can't be written again.
        OutputError: `out` exists, or is in the source's folder.
    """

    def __init__(
        self,
        folder: Folder | None,
        splits: Sequence[Split],
        channels: Sequence[Mapping[int, Channel]],
        out: Path,
        types: Mapping[int, RecordType],
        kind: RecordKind | None = None,
    ) -> None:
        if out.exists() or out.is_symlink() or not out.parent.is_dir():
            raise OutputError(
                f"log can't be written: expected a path with nothing there yet, in a folder that is: {out}"
            )
        if folder is not None and out.resolve().is_relative_to(folder.path.resolve()):
            raise OutputError(f"log can't be written into the folder that it is read from, {folder.path}: {out}")
        self.losses: Sequence[Loss] = ()
        self._folder, self._splits, self._out = folder, splits, out
        self._kind: RecordKind | None = kind
        self._replaced = types
        replaced = {channel.id: channel for each in channels for channel in each.values() if channel.id in types}
        by_topic = {channel.topic: types[channel.id] for channel in replaced.values()}
        names = {channel.type for channel in replaced.values()}
        is_record = None if kind is not None else lambda name, _: name in names
        text = None if folder is None else folder.text
        self._metadata = None if text is None else retyped(text, by_topic, is_record)
        self._plans = []
        for number, (split, channel_of) in enumerate(zip(splits, channels, strict=True)):
            check(split.database)
            ids = {topic_id: types[channel.id] for topic_id, channel in channel_of.items() if channel.id in types}
            texts = {
                key: retyped(text, by_topic, is_record)
                for key, text in split.database.metadata_texts.items()
                if _is_yaml(text)
            }
            self._plans.append(Plan(split.database, number, ids, frozenset(channel_of) - ids.keys(), texts))
        self._copied = [0] * len(splits)
        self._recorded = [0] * len(splits)
        self._scratch = Scratch()
        self._records_path = self._scratch.path("records.db3", 0)
        self._records: sqlite3.Connection | None = None
        try:
            self._records = _records(self._records_path, splits[0].database)
        except sqlite3.Error as error:
            self.abort()
            raise failed(error, self._records_path) from error

    def copy(self, message: Message) -> None:
        """Take a message over unchanged. It is counted here, and its row copied inside SQLite on `commit`.

        Raises:
            OutputError: Its channel holds records from now on.
        """
        if message.channel.id in self._replaced:
            raise OutputError(
                f"message of {message.channel.topic!r} can't be copied: its topic was declared to hold records; leave "
                f"it out of the rewriter's topics to keep its messages: {self._out}"
            )
        self._copied[message.position % len(self._splits)] += 1

    def record(self, message: Message, record: Record) -> None:
        """Write a record in the place of an image message: in its file and row, with its time.

        Raises:
            OutputError: It can't be written, its channel was not declared to hold records, or the message has one.
        """
        self._check_replaced(message)
        assert self._kind is not None  # noqa: S101 - it was started for records
        self.put(message, imagemsg.record_bytes(message, record, self._kind))

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write data in the place of a message: in its file and row, with its time.

        Raises:
            OutputError: As for `record`.
        """
        self._check_replaced(message)
        key, number = divmod(message.position, len(self._splits))
        if self._splits[number].database.compressed and data[:4] != ZSTD:
            data = deflated(bytes(data))
        try:
            self._open_records().execute("INSERT INTO records VALUES (?, ?, ?)", (number, key, data))
        except sqlite3.IntegrityError as error:
            raise OutputError(
                f"message of {message.channel.topic!r} at {message.log_time_ns} was replaced twice: {self._out}"
            ) from error
        except sqlite3.Error as error:
            raise failed(error, self._records_path) from error
        self._recorded[number] += 1

    def _check_replaced(self, message: Message) -> None:
        if message.channel.id not in self._replaced:
            raise OutputError(
                f"message of {message.channel.topic!r} can't be replaced: its topic keeps its own type; name it in the "
                f"writer's topics: {self._out}"
            )

    def commit(self) -> None:
        """Build the files, copy what else is in the folder, and have it all on the disk.

        Raises:
            LogError: The source can't be read.
            OutputError: The output can't be written, or messages were given to neither `copy` nor `record`.
        """
        try:
            self._open_records().execute("COMMIT")
            self._open_records().close()
            self._records = None
            if self._folder is None:
                self._build(0, self._out)
            else:
                self._out.mkdir()
                for number, split in enumerate(self._splits):
                    self._build(number, self._out / split.file.name)
                self._folder.copy_rest(self._out, [split.file for split in self._splits], self._metadata)
            flush(self._out.parent)
        except sqlite3.Error as error:
            raise failed(error, self._out) from error
        except (LogError, OutputError):
            raise
        except OSError as error:
            raise OutputError(f"log can't be written ({error.strerror}): is the disk full? {self._out}") from error
        finally:
            self.abort()

    def abort(self) -> None:
        """Let go of what was given so far. Never raises."""
        records, self._records = self._records, None
        if records is not None:
            records.close()
        self._scratch.close()

    def _open_records(self) -> sqlite3.Connection:
        if self._records is None:
            raise OutputError(f"log was written or given up already: start another rewriter: {self._out}")
        return self._records

    def _build(self, number: int, target: Path) -> None:
        packing = self._splits[number].packing
        database = target if packing is None else target.with_name(f"{target.name}.building")
        rebuild(self._plans[number], self._records_path, database, self._copied[number], self._recorded[number])
        if packing is not None:
            pack(database, target, packing)
        flush(target)


def _records(path: Path, like: Database) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # SQLite joins databases only if they spell text alike
    connection.execute(f"PRAGMA encoding = '{like.encoding}'")
    connection.execute("PRAGMA journal_mode = OFF").fetchall()
    connection.execute("PRAGMA synchronous = OFF")
    columns = "split INTEGER, key INTEGER, data BLOB, PRIMARY KEY (split, key)"
    connection.execute(f"CREATE TABLE records({columns}) WITHOUT ROWID")
    connection.execute("BEGIN")
    return connection


def _is_yaml(text: str) -> bool:
    try:
        parse(text)
    except LogError:
        return False
    return True
