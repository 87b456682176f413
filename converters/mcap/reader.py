"""MCAP files, of every profile and encoding (https://mcap.dev/spec)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, Loss, Message, Record, RecordKind

from ..messages import imagemsg
from ..messages.recordtype import RecordType
from ..rosbag2.zstd import inflated_message
from ..storage.packed_writer import PackedWriter
from ..storage.packing import head
from ..storage.scratch import Scratch
from ..storage.timeorder import Block, in_time_order
from .author import McapAuthor
from .extras import extras
from .index import Index, Span
from .scan import scan
from .source import MAGIC, Source
from .survey import survey
from .writer import McapWriter

__all__ = ["SCHEMA_ENCODING", "McapConverter", "McapReader", "original_type"]

SCHEMA_ENCODING = "mcap:schema_encoding"
"""The key of `Channel.attributes` that holds the schema's encoding; the others are the channel's own metadata.

Should a channel have metadata under this very key, the attributes do not show it; it is rewritten all the same.
"""


class McapConverter:
    """Opens MCAP files, compressed as a whole or not, which it knows by their first 8 bytes, whatever their names."""

    name: ClassVar[str] = "mcap"

    def claims(self, path: Path) -> bool:
        """Whether the path is a file that starts with MCAP's magic bytes, once it is decompressed."""
        return path.is_file() and head(path).startswith(MAGIC)

    def open(self, path: Path) -> McapReader:
        """Open an MCAP file.

        Raises:
            LogNotFound: There is no file.
            LogError: It is not an MCAP file. One that is damaged opens, with losses.
        """
        return McapReader(path)

    def author(self, out: Path, channels: Sequence[Channel]) -> McapAuthor:
        """Start a file of another container's messages; see `mediaref_tools.restorable.AuthoringConverter`."""
        return McapAuthor(out, channels)


class McapReader:
    """One open MCAP file; see `mediaref_tools.log.LogReader`.

    A message's position is the place in the file of its chunk, or of the run of loose messages that it is in, shifted
    by 32 bits, plus its own place in there. Payloads are views into their chunk, which stays in memory as long as one
    of them does; those that were compressed one by one, as in rosbag2's message mode, are given as they are stored.

    Attributes:
        path: The file.
        profile, library: The header's.

    Raises:
        LogNotFound: There is no file.
        LogError: It is not an MCAP file.
    """

    container: str = "mcap"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scratch = Scratch()
        self._unpacked = self._scratch.unpacked(path) if path.is_file() else None
        source = Source(path, None if self._unpacked is None else self._unpacked.path)
        try:
            self._index = scan(source)
            if self._unpacked is not None and self._unpacked.trouble is not None:
                self._index.losses.note("file", self._unpacked.trouble)
            self.profile: str = self._index.profile
            self.library: str = self._index.library
            self.losses: Sequence[Loss] = self._index.losses
            survey(self._index)
            self.channels: Sequence[Channel] = _channels(self._index)
        except BaseException:
            source.close()
            self._scratch.close()
            raise

    @property
    def first_ns(self) -> int | None:
        """The earliest log time that the index names; None where there are no messages."""
        return min((span.start_ns for span in self._index.spans), default=None)

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, payload bytes and times by channel id.

        No index tells how long a message is, so chunks are read, save those that are neither compressed nor
        protected by a CRC. The answer is kept.
        """
        self._index.source.check_open()
        tally = self._index.count()
        return {channel.id: tally.of(channel.id) for channel in self.channels}

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Messages in log-time order, in file order among equals; of all topics, or of some.

        A chunk that fails its checks is left out, and a `Loss` says so.

        Raises:
            LogError: The log is closed, or can't be read on.
        """
        self._index.source.check_open()
        names = None if topics is None else frozenset(topics)
        wanted = {channel.id: channel for channel in self.channels if names is None or channel.topic in names}
        start = 0 if start_ns is None else start_ns
        stop = 2**64 if stop_ns is None else stop_ns
        blocks = [
            Block(max(span.start_ns, start), span.size or span.length, partial(self._load, span, wanted, start, stop))
            for span in self._index.spans
            if span.start_ns < stop
            and span.end_ns >= start
            and (names is None or not self._index.complete or not span.channels.isdisjoint(wanted))
        ]
        return in_time_order(blocks)

    def image(self, message: Message) -> ImageValue:
        """The image in a message of a channel whose role is "image".

        Raises:
            ImageError: The message can't be deserialised.
        """
        plain = inflated_message(message)
        found = imagemsg.image(plain)
        return found if plain is message else replace(found, serialized=plain.data)

    def serialized(self, channel: Channel, image: ImageValue) -> bytes:
        """The message that says what an image does; see `mediaref_tools.restorable.RestorableReader`.

        Raises:
            ImageError: It can't be made.
        """
        return imagemsg.serialized(channel, image)

    def record(self, message: Message) -> Record | None:
        """The record in a message: typed, a string of JSON, or a JSON message; None if it holds none.

        Raises:
            ImageError: A typed record can't be deserialised.
        """
        return imagemsg.record(inflated_message(message))

    def metadata(self) -> Iterator[Any]:
        """The metadata records (`mcap.records.Metadata`) in file order; a broken one is a `Loss`."""
        self._index.source.check_open()
        return self._index.metadata()

    def extras(self, replaced: Collection[str]) -> Iterator[tuple[str, bytes]]:  # noqa: ARG002 - none is a topic's
        """Attachments, metadata and records of unknown opcodes: see `mediaref_tools.log.WholeReader`.

        Raises:
            LogError: The log is closed.
        """
        self._index.source.check_open()
        return extras(self._index)

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> McapWriter | PackedWriter:
        """Start the same log anew in the file `out`, compressed as a whole if the source is.

        Raises:
            OutputError: `out` exists, or can't be written.
        """
        self._index.source.check_open()
        names = frozenset(topics)
        types = {
            channel.id: imagemsg.record_type(channel.encoding, kind)
            for channel in self.channels
            if channel.role == "image" and channel.topic in names
        }
        return self._writer(out, types, kind)

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> McapWriter | PackedWriter:
        """Start the file anew in `out` with other messages on some channels; see `RestorableReader`.

        Raises:
            OutputError: `out` exists, or can't be written.
        """
        self._index.source.check_open()
        return self._writer(out, {channel_id: original_type(channel) for channel_id, channel in originals.items()})

    def _writer(
        self, out: Path, types: Mapping[int, RecordType], kind: RecordKind | None = None
    ) -> McapWriter | PackedWriter:
        if self._unpacked is None:
            return McapWriter(self._index, out, types, kind)
        return PackedWriter(lambda plain: McapWriter(self._index, plain, types, kind), out, self._unpacked.kind)

    def close(self) -> None:
        """Let go of the file."""
        self._index.source.close()
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

    def _load(self, span: Span, wanted: Mapping[int, Channel], start_ns: int, stop_ns: int) -> list[Message]:
        content, entries = self._index.read(span)
        place = span.offset << 32
        return [
            Message(channel, log_time_ns, publish_time_ns, sequence, content[start:stop], place + offset)
            for channel_id, sequence, log_time_ns, publish_time_ns, offset, start, stop in entries
            if start_ns <= log_time_ns < stop_ns and (channel := wanted.get(channel_id)) is not None
        ]


def original_type(channel: Channel) -> RecordType:
    """What a channel's schema was, of the attributes that this reader gave it."""
    return imagemsg.original_type(
        channel,
        schema_encoding=channel.attributes.get(SCHEMA_ENCODING, ""),
        rihs01=channel.attributes.get("topic_type_hash", ""),
    )


def _channels(index: Index) -> tuple[Channel, ...]:
    channels = []
    for channel_id, channel in sorted(index.declarations.channels.items()):
        schema = index.declarations.schema(channel)
        attributes = dict(channel.metadata)
        if schema is not None:
            attributes[SCHEMA_ENCODING] = schema.encoding
        type_name, definition = ("", b"") if schema is None else (schema.name, schema.data)
        channels.append(
            Channel(
                channel_id,
                channel.topic,
                type_name,
                channel.message_encoding,
                definition,
                attributes,
                imagemsg.role(type_name, channel.message_encoding, definition),
            )
        )
    return tuple(channels)
