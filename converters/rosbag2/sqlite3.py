"""rosbag2 logs in sqlite3 storage: a folder of `.db3` files, or one such file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from mediaref_tools.errors import LogError, LogNotFound
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, Loss, Message, Record, RecordKind

from ..messages import imagemsg
from ..storage.packing import ZSTD, decompressor, head, packing
from ..storage.scratch import Scratch
from .author import Rosbag2Author
from .channels import channels_of, original_type
from .connection import MAGIC, companions, opened, recovered
from .database import Database, sound
from .folder import Folder, Part, in_time_order, miscounts, read, storage, total
from .sqlite3_writer import Rosbag2Sqlite3Writer, Split
from .zstd import inflated

__all__ = ["Rosbag2Sqlite3Converter", "Rosbag2Sqlite3Reader"]


class Rosbag2Sqlite3Converter:
    """rosbag2 logs in sqlite3 storage, with or without `metadata.yaml`, compressed or not."""

    name: ClassVar[str] = "rosbag2-sqlite3"

    def claims(self, path: Path) -> bool:
        """Whether the path is a folder of `.db3` files, or a SQLite database with rosbag2's tables."""
        try:
            if path.is_dir():
                return storage(path) == "sqlite3"
            return path.is_file() and head(path) == MAGIC and _has_tables(path)
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return False

    def open(self, path: Path) -> Rosbag2Sqlite3Reader:
        """Open a log.

        Raises:
            LogNotFound: There is nothing at the path.
            LogError: It can't be read: no storage file, a damaged one, none of rosbag2's.
        """
        return Rosbag2Sqlite3Reader(path)

    def author(self, out: Path, channels: Sequence[Channel]) -> Rosbag2Author:
        """Start a folder of another container's messages; see `mediaref_tools.restorable.AuthoringConverter`."""
        return Rosbag2Author(out, channels)


class Rosbag2Sqlite3Reader:
    """One open log; see `mediaref_tools.log.LogReader`. A channel is a distinct row of `topics`, over all splits.

    Iterators of `messages` have connections of their own, so several may run at once, in several threads.

    Raises:
        LogNotFound: There is nothing at the path.
        LogError: It can't be read.
    """

    container: str = "rosbag2-sqlite3"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scratch = Scratch()
        self._closed = False
        self._known: list[Loss] = []
        self._miscounts: list[Loss] | None = None
        self._tallies: list[dict[int, ChannelStats]] | None = None
        try:
            if not path.exists():
                raise LogNotFound(f"no log found, expected a .db3 file or a rosbag2 folder: {path}")
            self._folder = read(path, "sqlite3") if path.is_dir() else None
            self._splits = self._open(self._folder)
        except OSError as error:
            self._scratch.close()
            if isinstance(error, LogNotFound):
                raise
            raise LogError(f"log can't be read: {error}") from error
        except BaseException:
            self._scratch.close()
            raise
        self._as_stored: list[set[int]] = [set() for _ in self._splits]
        self.channels: Sequence[Channel]
        self.channels, self._channels_of = channels_of(self._splits)

    @property
    def losses(self) -> Sequence[Loss]:
        """What is missing or damaged; complete once `messages` was read to its end."""
        losses = [*self._known, *(self._miscounts or ())]
        for split, as_stored in zip(self._splits, self._as_stored, strict=True):
            if (carving := split.database.carving) is not None:
                said = self._said(split.file)
                expected = carving.expected if said is None else max(said, carving.found)
                what = (
                    f"is cut off or damaged, so its pages were read one by one: {carving.found} messages of "
                    f"{'at least ' if said is None else ''}{expected} were found"
                )
                losses.append(Loss(split.file.name, what, expected - carving.found))
            if as_stored:
                what = f"{len(as_stored)} messages can't be decompressed and are given as they are stored"
                losses.append(Loss(split.file.name, what, 0))
        return losses

    def strangers(self) -> Iterator[Path]:
        """What of the folder is no part of the log."""
        return iter(()) if self._folder is None else self._folder.strangers()

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, payload bytes and times by channel id.

        SQLite counts them without reading payloads, unless messages are compressed.

        Raises:
            LogError: The log is closed, or damaged.
        """
        self._check_open()
        if self._tallies is None:
            self._tallies = [split.database.tally(sizes=True) for split in self._splits]
        found = {channel.id: ChannelStats(0, 0, None, None) for channel in self.channels}
        for channel_of, tally in zip(self._channels_of, self._tallies, strict=True):
            for topic_id, stats in tally.items():
                if (channel := channel_of.get(topic_id)) is not None:
                    found[channel.id] = total(found[channel.id], stats)
        self._count()
        return found

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Messages by (log time, split, row id); of all topics, or of some. Splits may overlap in time.

        Raises:
            LogError: The log is closed, or damaged so that nobody can tell which messages there are.
        """
        self._check_open()
        names = None if topics is None else frozenset(topics)
        parts = []
        for number, split in enumerate(self._splits):
            channel_of = self._channels_of[number]
            ids = None if names is None else [key for key, channel in channel_of.items() if channel.topic in names]
            if ids is None or ids:
                parts.append(Part(split.database.first_ns, partial(self._messages, number, ids, start_ns, stop_ns)))
        return self._all(parts, counted=topics is None and start_ns is None and stop_ns is None)

    def _all(self, parts: list[Part], *, counted: bool) -> Iterator[Message]:
        yield from in_time_order(parts)
        if counted:
            self._count()

    def _messages(
        self, number: int, topic_ids: Collection[int] | None, start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Message]:
        database, channel_of, count = self._splits[number].database, self._channels_of[number], len(self._splits)
        inflater = decompressor() if database.compressed else None
        for time_ns, key, topic_id, data in database.rows(topic_ids, start_ns, stop_ns):
            channel = channel_of.get(topic_id)
            if channel is None or not sound(time_ns, topic_id, data):
                continue
            if inflater is not None:
                stored, data = data, inflated(data, inflater)
                if data is stored and data[:4] == ZSTD:
                    self._as_stored[number].add(key)
            self._check_open()
            yield Message(channel, time_ns, None, None, data, key * count + number)

    def image(self, message: Message) -> ImageValue:
        """The image in a message of a channel whose role is "image".

        Raises:
            ImageError: The message can't be deserialised.
        """
        return imagemsg.image(message)

    def record(self, message: Message) -> Record | None:
        """The record in a message, typed or a string of JSON; None if it holds none.

        Raises:
            ImageError: A typed record can't be deserialised.
        """
        return imagemsg.record(message)

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> Rosbag2Sqlite3Writer:
        """Start the same log anew; see `mediaref_tools.log.LogReader.rewriter`. Commit it before this is closed.

        Raises:
            LogError: The log is closed, or its `metadata.yaml` can't be changed.
            OutputError: `out` exists, or is in the log's own folder.
        """
        self._check_open()
        record_type = imagemsg.record_type("cdr", kind)
        images = [channel for channel in self.channels if channel.role == "image" and channel.topic in topics]
        types = {channel.id: record_type for channel in images}
        return Rosbag2Sqlite3Writer(self._folder, self._splits, self._channels_of, out, types, kind)

    def serialized(self, channel: Channel, image: ImageValue) -> bytes:
        """The message that says what an image does; see `mediaref_tools.restorable.RestorableReader`.

        Raises:
            ImageError: It can't be made.
        """
        return imagemsg.serialized(channel, image)

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> Rosbag2Sqlite3Writer:
        """Start the same log anew with other messages on some channels; see `RestorableReader`. As for `rewriter`.

        Raises:
            LogError, OutputError: As for `rewriter`.
        """
        self._check_open()
        types = {number: original_type(channel) for number, channel in originals.items()}
        return Rosbag2Sqlite3Writer(self._folder, self._splits, self._channels_of, out, types)

    def close(self) -> None:
        """Let go of the files, and remove temporary ones."""
        self._closed = True
        self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LogError(f"log is closed, open it again to read it: {self.path}")

    def _open(self, folder: Folder | None) -> list[Split]:
        metadata = None if folder is None else folder.metadata
        compressed = None if metadata is None else metadata.compression_mode == "message"
        self._known += () if folder is None else folder.losses
        splits: list[Split] = []
        errors: list[LogError] = []
        for file in (self.path,) if folder is None else folder.files:
            try:
                unpacked = self._scratch.unpacked(file)
                readable = recovered(file, self._scratch) if unpacked is None else unpacked.path
                database = Database(readable, file, compressed, self._scratch)
            except LogError as error:
                errors.append(error)
                what = f"was not read, and a rewritten log has it as it stands: {error}"
                self._known.append(Loss(file.name, what, None if folder is None else folder.count(file)))
                continue
            splits.append(Split(database, file, unpacked and unpacked.kind))
            if unpacked is not None and unpacked.trouble is not None:
                self._known.append(Loss(file.name, unpacked.trouble))
            if database.unknown_topics:
                what = f"{database.unknown_topics} rows of the table 'topics' have no number, name or type"
                self._known.append(Loss(file.name, what, None))
        if not splits:
            raise errors[0]
        return splits

    def _said(self, file: Path) -> int | None:
        """How many messages `metadata.yaml` says that a storage file holds."""
        folder = self._folder
        if folder is None or folder.metadata is None:
            return None
        return folder.metadata.messages or None if len(folder.files) == 1 else folder.count(file)

    def _count(self) -> None:
        """Find out, once, whether the log holds as many messages as it says and as its topics claim."""
        if self._miscounts is not None:
            return
        losses = []
        topics: dict[str, int] = {}
        orphans = 0
        for number, split in enumerate(self._splits):
            tally = self._tallies[number] if self._tallies else split.database.tally(sizes=False)
            names = {topic.id: topic.name for topic in split.database.topics}
            of_nobody = sum(stats.messages for topic_id, stats in tally.items() if topic_id not in names)
            if of_nobody:
                what = f"{of_nobody} rows belong to topics that the table 'topics' does not have"
                losses.append(Loss(split.file.name, what, of_nobody))
            unsound = split.database.count() - sum(stats.messages for stats in tally.values())
            if unsound > 0:
                what = f"{unsound} rows hold something else than a topic's number, a time and bytes"
                losses.append(Loss(split.file.name, what, unsound))
            orphans += of_nobody + unsound
            for topic_id, name in names.items():
                topics[name] = topics.get(name, 0) + (tally[topic_id].messages if topic_id in tally else 0)
        if self._folder is not None:
            losses += miscounts(self._folder, self.losses, topics, orphans)
        self._miscounts = losses


def _has_tables(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if packing(file.read(4)) is not None or companions(path):
                return True
        with closing(opened(path)) as connection:
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return True  # damaged: opening it says so, and what to do
    return names >= {b"topics", b"messages"}
