"""ROS 1 bags (`*.bag`), version 2.0.

rosbags' own reader and writer are not used: they normalise the names of topics and types for good, refuse two equal
connections, decompress chunks that overlap in time again and again, and keep a tuple for every message.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from mediaref_tools import limits
from mediaref_tools.errors import LogError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, LogWriter, Loss, Message, Record, RecordKind

from ..messages import imagemsg
from ..messages.recordtype import RecordType
from ..storage.packed_writer import PackedWriter
from ..storage.packing import head
from ..storage.scratch import Scratch
from ..storage.timeorder import Block, in_time_order
from .author import Rosbag1Author
from .file import BagFile, Chunk
from .format import Connection, fields, text, walk
from .index import read_index
from .stats import channel_stats
from .writer import Rosbag1Writer

__all__ = ["Rosbag1Converter", "Rosbag1Reader"]


class Rosbag1Converter:
    """ROS 1 bags; those of versions before 2.0 are claimed too, so that they are refused with a word of advice."""

    name: ClassVar[str] = "rosbag1"

    def claims(self, path: Path) -> bool:
        """Whether the file begins like a bag, compressed or not; its name says nothing (`.bag.active`, `.orig`)."""
        return path.is_file() and re.match(rb"#ROS(BAG|RECORD) V\d", head(path)) is not None

    def open(self, path: Path) -> Rosbag1Reader:
        """Open a bag. One without an index, or cut off, is read through first.

        Raises:
            LogError: It isn't a bag of version 2.0, is encrypted, or can't be read.
        """
        return Rosbag1Reader(path)

    def author(self, out: Path, channels: Sequence[Channel]) -> Rosbag1Author:
        """Start a bag of another container's messages; see `mediaref_tools.restorable.AuthoringConverter`."""
        return Rosbag1Author(out, channels)


class Rosbag1Reader:
    """An open bag: see `mediaref_tools.log.LogReader`.

    A channel is a connection. Its topic is the one that the connection's record names, which is where the messages are
    stored; where the publisher's connection header names another, `attributes["topic"]` has it.

    Raises:
        LogError: It isn't a bag of version 2.0, is encrypted, or can't be read.
    """

    container: str = "rosbag1"

    def __init__(self, path: Path) -> None:
        self._scratch = Scratch()
        self._unpacked = self._scratch.unpacked(path) if path.is_file() else None
        self._bag = BagFile(path, None if self._unpacked is None else self._unpacked.path)
        try:
            self._index = read_index(self._bag)
        except BaseException:
            self.close()
            raise
        self._losses = self._index.losses
        if self._unpacked is not None and self._unpacked.trouble is not None:
            self._losses.append(Loss("file", self._unpacked.trouble))
        self._told: set[int] = set()
        self._channels = {conn: self._channel(connection) for conn, connection in self._index.connections.items()}
        self._stats: dict[int, ChannelStats] | None = None
        self.channels: Sequence[Channel] = tuple(self._channels.values())
        self.losses: Sequence[Loss] = self._losses

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, payload bytes and times by channel id.

        Raises:
            LogError: The log is closed.
        """
        self._bag.check_open()
        if self._stats is None:
            found = channel_stats(self._bag, self._index)
            self._stats = {conn: found.get(conn, ChannelStats(0, 0, None, None)) for conn in self._channels}
        return self._stats

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Messages in log-time order, in file order among equals. Payloads are views into their chunk.

        Only chunks that hold messages of the topics and times are read. A chunk that can't be read is skipped and
        entered into `losses`.

        Raises:
            LogError: The log is closed.
        """
        self._bag.check_open()
        names = None if topics is None else frozenset(topics)
        wanted = {conn for conn, channel in self._channels.items() if names is None or channel.topic in names}
        start_ns = 0 if start_ns is None else start_ns
        stop_ns = 1 << 64 if stop_ns is None else stop_ns
        return in_time_order(
            Block(chunk.start_ns, self._bag.content_size(chunk), partial(self._load, chunk, wanted, start_ns, stop_ns))
            for chunk in self._index.chunks
            if chunk.end_ns >= start_ns
            and chunk.start_ns < stop_ns
            and (names is None or not wanted.isdisjoint(chunk.counts))
        )

    def _channel(self, connection: Connection) -> Channel:
        topic = text(fields(connection.header).get(b"topic", b""))
        try:
            found = fields(connection.data)
        except LogError as error:  # its messages are bytes like all others
            found = {}
            self._losses.append(Loss(f"connection {connection.id} of {topic!r}", f"its type can't be read: {error}"))
        definition, type_name = found.pop(b"message_definition", b""), text(found.pop(b"type", b""))
        attributes = {text(name): text(value) for name, value in found.items()}
        if attributes.get("topic") == topic:
            del attributes["topic"]
        role = imagemsg.role(type_name, "ros1", definition)
        return Channel(connection.id, topic, type_name, "ros1", definition, attributes, role)

    def _load(self, chunk: Chunk, wanted: set[int], start_ns: int, stop_ns: int) -> list[Message]:
        messages: list[Message] = []
        channels, found, strangers, strays, trouble = self._channels, 0, 0, 0, "it ends too early"
        try:
            content = self._bag.content(chunk)
            view = memoryview(content)
            for item in walk(content):
                if isinstance(item, Connection):
                    continue
                conn, time_ns, offset, start, stop = item
                found += 1
                strangers += conn not in channels
                strays += not chunk.start_ns <= time_ns <= chunk.end_ns
                if len(messages) == limits.MAX_CHUNK_MESSAGES:
                    raise LogError(f"it holds more than {len(messages)} messages")
                if conn in wanted and start_ns <= time_ns < stop_ns:
                    data, position = view[start:stop], chunk.pos << 32 | offset
                    messages.append(Message(channels[conn], time_ns, None, None, data, position))
        except LogError as error:
            self._bag.check_open()  # closed while its messages were being read: that is no damage
            trouble = str(error)
        if chunk.pos not in self._told:
            missing = sum(chunk.counts.values()) - found
            self._tell(chunk, missing, f"of {found + missing} messages {missing} can't be read: {trouble}")
            self._tell(chunk, strangers, f"{strangers} messages are of connections that the bag does not describe")
            if strays:
                what = f"{strays} messages lie outside of its stated times: expect them out of order, or not in a range"
                self._losses.append(Loss(f"chunk at byte {chunk.pos}", what, 0))
            self._told.add(chunk.pos)
        return messages

    def _tell(self, chunk: Chunk, messages: int, what: str) -> None:
        if messages > 0:
            self._losses.append(Loss(f"chunk at byte {chunk.pos}", what, messages))

    def image(self, message: Message) -> ImageValue:
        """The image in a message of a channel whose role is "image"; `data` is a view. For any thread.

        Raises:
            ImageError: The message can't be deserialised, or is not an image.
        """
        return imagemsg.image(message)

    def record(self, message: Message) -> Record | None:
        """The record in a message, typed or a string of JSON; None if it holds none."""
        return imagemsg.record(message)

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> LogWriter:
        """Start the same bag anew at `out`, compressed like the source's first chunk, and as a whole if the source is.

        Raises:
            LogError: The log is closed.
            OutputError: The file is there already, or can't be made.
        """
        record_type = imagemsg.record_type("ros1", kind)
        images = [channel for channel in self.channels if channel.role == "image" and channel.topic in topics]
        return self._writer(out, {channel.id: record_type for channel in images}, kind)

    def serialized(self, channel: Channel, image: ImageValue) -> bytes:
        """The message that says what an image does; see `mediaref_tools.restorable.RestorableReader`.

        Raises:
            ImageError: It can't be made.
        """
        return imagemsg.serialized(channel, image)

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> Rosbag1Writer | PackedWriter:
        """Start the same bag anew with other messages on some connections; see `RestorableReader`. As for `rewriter`.

        Raises:
            LogError, OutputError: As for `rewriter`.
        """
        types = {
            number: imagemsg.original_type(channel, md5sum=channel.attributes.get("md5sum", ""))
            for number, channel in originals.items()
        }
        return self._writer(out, types)

    def _writer(
        self, out: Path, types: Mapping[int, RecordType], kind: RecordKind | None = None
    ) -> Rosbag1Writer | PackedWriter:
        self._bag.check_open()
        compression = self._bag.compression(self._index.chunks)

        def start(plain: Path) -> Rosbag1Writer:
            return Rosbag1Writer(plain, self._index.connections, compression, types, kind)

        return start(out) if self._unpacked is None else PackedWriter(start, out, self._unpacked.kind)

    def close(self) -> None:
        """Let go of the file, and remove a temporary one."""
        self._bag.close()
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
