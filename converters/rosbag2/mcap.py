"""ROS 2 bags in MCAP storage: a folder of MCAP files, with or without `metadata.yaml`.

Each file is read and written by the MCAP converter; here they become one log. A single `.mcap` file is that
converter's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from mediaref_tools.errors import LogError, LogNotFound
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, Loss, Message, Record, RecordKind

from ..mcap.reader import McapReader, original_type
from ..mcap.writer import McapWriter
from ..messages import imagemsg
from ..storage.packed_writer import PackedWriter
from .folder import Part, in_time_order, miscounts, read, storage, total
from .mcap_writer import Rosbag2McapWriter, Split
from .metadata import retyped
from .zstd import inflated_message

__all__ = ["Rosbag2McapConverter", "Rosbag2McapReader"]


class Rosbag2McapConverter:
    """Knows rosbag2 folders in MCAP storage."""

    name: ClassVar[str] = "rosbag2-mcap"

    def claims(self, path: Path) -> bool:
        """Whether the path is a folder whose metadata or files say MCAP."""
        return path.is_dir() and storage(path) == "mcap"

    def open(self, path: Path) -> Rosbag2McapReader:
        """Open a log.

        Raises:
            LogNotFound: There is nothing at the path.
            LogError: No file of it can be read.
        """
        return Rosbag2McapReader(path)


class Rosbag2McapReader:
    """One open log; see `mediaref_tools.log.LogReader`. Equal channels of several files are one.

    A message's position is its own in its file, times the number of files, plus its file's number.
    """

    container: str = "rosbag2-mcap"

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise LogNotFound(f"no log found, expected a rosbag2 folder: {path}")
        self.path = path
        self._closed = False
        self._known: list[Loss] = []
        self._miscounts: list[Loss] | None = None
        self._splits: list[Split] = []
        try:
            self._folder = read(path, "mcap")
            self._known += self._folder.losses
            self.channels: Sequence[Channel] = self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> tuple[Channel, ...]:
        channels: dict[object, Channel] = {}
        errors: list[LogError] = []
        for file in self._folder.files:
            try:
                reader = McapReader(file)
            except LogError as error:
                errors.append(error)
                self._known.append(Loss(file.name, f"can't be read: {error}", self._folder.count(file)))
                continue
            channel_of = {}
            twins: Counter[object] = Counter()
            for channel in reader.channels:
                rest = (channel.encoding, channel.definition, tuple(sorted(channel.attributes.items())), channel.role)
                like = (channel.topic, channel.type, *rest)
                # two that are equal in one file are two publishers: each goes with the one of its rank elsewhere
                key = (like, twins[like])
                twins[like] += 1
                if key not in channels:
                    channels[key] = replace(channel, id=len(channels) + 1)
                channel_of[channel.id] = channels[key]
            self._splits.append(Split(reader, channel_of))
        if not self._splits:
            raise errors[0]
        return tuple(channels.values())

    @property
    def losses(self) -> Sequence[Loss]:
        """What is missing or damaged; complete once `messages` was read to its end."""
        own = [
            loss._replace(where=f"{split.reader.path.name}: {loss.where}")
            for split in self._splits
            for loss in split.reader.losses
        ]
        return [*self._known, *own, *(self._miscounts or ())]

    def strangers(self) -> Iterator[Path]:
        """What of the folder is no part of the log."""
        return self._folder.strangers()

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, payload bytes and times by channel id.

        Raises:
            LogError: The log is closed, or can't be read.
        """
        self._check_open()
        found = {channel.id: ChannelStats(0, 0, None, None) for channel in self.channels}
        for split in self._splits:
            for channel_id, stats in split.reader.stats().items():
                key = split.channel_of[channel_id].id
                found[key] = total(found[key], stats)
        return found

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Messages by (log time, file, place in it); of all topics, or of some. Files may overlap in time.

        Raises:
            LogError: The log is closed, or can't be read on.
        """
        self._check_open()
        names = None if topics is None else frozenset(topics)
        parts = [
            Part(split.reader.first_ns, partial(self._messages, number, names, start_ns, stop_ns))
            for number, split in enumerate(self._splits)
        ]
        return self._all(parts, counted=topics is None and start_ns is None and stop_ns is None)

    def _all(self, parts: list[Part], *, counted: bool) -> Iterator[Message]:
        counts: dict[str, int] = {}
        for message in in_time_order(parts):
            counts[message.channel.topic] = counts.get(message.channel.topic, 0) + 1
            yield message
        if counted and self._miscounts is None:
            self._miscounts = []
            self._miscounts = list(miscounts(self._folder, self.losses, counts, 0))

    def _messages(
        self, number: int, topics: Collection[str] | None, start_ns: int | None, stop_ns: int | None
    ) -> Iterator[Message]:
        split, count = self._splits[number], len(self._splits)
        for message in split.reader.messages(topics, start_ns=start_ns, stop_ns=stop_ns):
            yield message._replace(
                channel=split.channel_of[message.channel.id], position=message.position * count + number
            )

    def image(self, message: Message) -> ImageValue:
        """The image in a message of a channel whose role is "image".

        Raises:
            ImageError: The message can't be deserialised.
        """
        return imagemsg.image(inflated_message(message))

    def record(self, message: Message) -> Record | None:
        """The record in a message, typed or a string of JSON; None if it holds none.

        Raises:
            ImageError: A typed record can't be deserialised.
        """
        return imagemsg.record(inflated_message(message))

    def extras(self, replaced: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """What its files hold beside messages: see `mediaref_tools.log.WholeReader`.

        Raises:
            LogError: The log is closed.
        """
        self._check_open()
        for split in self._splits:
            yield from split.reader.extras(replaced)

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> Rosbag2McapWriter:
        """Start the same log anew in the folder `out`; see `mediaref_tools.log.LogReader.rewriter`.

        Raises:
            LogError: The log is closed, or its `metadata.yaml` can't be changed.
            OutputError: `out` exists, or is in the log's own folder, or can't be written.
        """
        self._check_open()
        types = {
            channel.topic: imagemsg.record_type(channel.encoding, kind)
            for channel in self.channels
            if channel.role == "image" and channel.topic in topics
        }
        text = self._folder.text
        metadata = None if text is None else retyped(text, types)

        def start(split: Split, path: Path) -> McapWriter | PackedWriter:
            return split.reader.rewriter(path, topics, kind)

        return Rosbag2McapWriter(self._folder, self._splits, out, metadata, start)

    def serialized(self, channel: Channel, image: ImageValue) -> bytes:
        """The message that says what an image does; see `mediaref_tools.restorable.RestorableReader`.

        Raises:
            ImageError: It can't be made.
        """
        return imagemsg.serialized(channel, image)

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> Rosbag2McapWriter:
        """Start the same log anew with other messages on some channels; see `RestorableReader`.

        Raises:
            LogError: The log is closed, or its `metadata.yaml` can't be changed.
            OutputError: `out` exists, or is in the log's own folder, or can't be written.
        """
        self._check_open()
        types = {channel.topic: original_type(channel) for channel in originals.values()}
        names = {channel.type for channel in self.channels if channel.id in originals}
        for channel in self.channels:
            if channel.id not in originals and channel.topic in types and channel.type in names:
                raise LogError(
                    f"{channel.topic} holds messages of {channel.type} that are no records, and metadata.yaml does not "
                    f"tell which are: convert it with typed records to restore it: {self.path}"
                )
        text = self._folder.text
        metadata = None if text is None else retyped(text, types, lambda name, _: name in names)

        def start(split: Split, path: Path) -> McapWriter | PackedWriter:
            own = {own: originals[channel.id] for own, channel in split.channel_of.items() if channel.id in originals}
            return split.reader.restorer(path, own)

        return Rosbag2McapWriter(self._folder, self._splits, out, metadata, start)

    def close(self) -> None:
        """Let go of the files."""
        self._closed = True
        for split in self._splits:
            split.reader.close()

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
