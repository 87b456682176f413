"""Writing an MCAP file anew, with image messages replaced by records."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mcap import records
from mcap.opcode import Opcode
from mcap.writer import CompressionType, Writer

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Loss, Message, Record, RecordKind

from ..messages import imagemsg
from ..messages.recordtype import RecordType
from ..rosbag2.metadata import retyped
from ..rosbag2.zstd import deflated, inflated_message
from ..storage.packing import ZSTD
from .index import Index
from .source import Head, parse

__all__ = ["McapWriter"]

_COMPRESSIONS = {"": CompressionType.NONE, "lz4": CompressionType.LZ4, "zstd": CompressionType.ZSTD}
_CHUNK_SIZE_MAX = 4 << 20
_COPY_SIZE = 1 << 20


class McapWriter:
    """Writes an indexed MCAP file again; see `mediaref_tools.log.LogWriter`.

    Channels and schemas get new ids, in the order of their old ones; chunks get the source's compression and about
    its chunks' size.

    Args:
        index: The source.
        out: The file to write.
        types: What becomes of the channels whose messages are given to `record`, or to `put`, by id.
        kind: The form of the records; None where there are none, but what they stood for.

    Raises:
        OutputError: `out` exists, or can't be written.
    """

    def __init__(
        self, index: Index, out: Path, types: Mapping[int, RecordType], kind: RecordKind | None = None
    ) -> None:
        self.losses: Sequence[Loss] = ()
        self._index = index
        self._out = out
        self._replaced = types
        self._kind: RecordKind | None = kind
        self._ids: dict[int, int] = {}
        self._schemas: list[tuple[str, str, bytes]] = []
        self._types: dict[str, RecordType] = {}
        try:
            self._file = out.open("xb")
        except OSError as error:
            raise OutputError(
                f"log can't be written ({error.strerror}): expected a path with nothing there yet, in a folder "
                f"that is: {out}"
            ) from error
        try:
            self._writer = _writer(index, self._file)
            self._write(self._declare)
        except BaseException:
            self.abort()
            raise

    def copy(self, message: Message) -> None:
        """Take a message over unchanged.

        Raises:
            OutputError: It can't be written, or its channel holds records from now on.
        """
        if message.channel.id in self._replaced:
            raise OutputError(
                f"message of {message.channel.topic!r} can't be copied: its channel was declared to hold records; "
                f"leave the topic out of the rewriter's topics to keep its messages: {self._out}"
            )
        self._add(message, message.data)

    def record(self, message: Message, record: Record) -> None:
        """Write a record in the place of an image message.

        Raises:
            OutputError: It can't be written, or its channel was not declared to hold records.
        """
        self._check_replaced(message)
        assert self._kind is not None  # noqa: S101 - it was started for records
        self.put(message, imagemsg.record_bytes(inflated_message(message), record, self._kind))

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write data in the place of a message, compressed if that is.

        Raises:
            OutputError: It can't be written, or its channel keeps its own type.
        """
        self._check_replaced(message)
        whole = message.data[:4] != ZSTD or message.channel.encoding != "cdr" or data[:4] == ZSTD
        self._add(message, data if whole else deflated(bytes(data)))

    def _check_replaced(self, message: Message) -> None:
        if message.channel.id not in self._replaced:
            raise OutputError(
                f"message of {message.channel.topic!r} can't be replaced: its channel keeps its own type; name the "
                f"topic in the writer's topics: {self._out}"
            )

    def commit(self) -> None:
        """Copy attachments, metadata and records of unknown opcodes, then write the index, sync and close.

        Raises:
            LogError: The source can't be read any more.
            OutputError: The log can't be written.
        """
        self._write(self._copy_extras)
        self._write(self._writer.finish)
        self._write(self._sync)

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            self._file.close()
        except OSError:  # its last bytes can't be written: nobody wants them
            return

    def _add(self, message: Message, data: bytes | memoryview) -> None:
        try:
            self._writer.add_message(
                self._ids[message.channel.id],
                message.log_time_ns,
                data,
                message.log_time_ns if message.publish_time_ns is None else message.publish_time_ns,
                message.sequence or 0,
            )
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (OSError, struct.error) as error:  # struct.error: an id beyond 65535
            raise self._failed(error) from error

    def _failed(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or str(error)
        return OutputError(f"log can't be written ({reason}): is the disk full? {self._out}")

    def _declare(self) -> None:
        declarations = self._index.declarations
        schemas = sorted(declarations.schemas.items())
        schema_ids = {schema_id: self._schema(schema) for schema_id, schema in schemas if not self._is_over(schema_id)}
        for channel_id, channel in sorted(declarations.channels.items()):
            schema_id, metadata = schema_ids.get(channel.schema_id, 0), channel.metadata
            encoding = channel.message_encoding
            if channel_id in self._replaced:
                record_type = self._types[channel.topic] = self._replaced[channel_id]
                encoding, schema_id = record_type.encoding, self._schema(_schema(record_type), reuse=True)
                metadata = _metadata(channel.metadata, record_type)
            self._ids[channel_id] = self._writer.register_channel(channel.topic, encoding, schema_id, metadata)

    def _is_over(self, schema_id: int) -> bool:
        """Whether a schema is that of records alone, which are no more."""
        channels = self._index.declarations.channels.items()
        using = {channel_id for channel_id, channel in channels if channel.schema_id == schema_id}
        return self._kind is None and bool(using) and using <= self._replaced.keys()

    def _schema(self, schema: Any, *, reuse: bool = False) -> int:
        key = (schema.name, schema.encoding, schema.data)
        if not reuse or key not in self._schemas:
            self._schemas.append(key)
            return int(self._writer.register_schema(*key))
        return self._schemas.index(key) + 1

    def _copy_extras(self) -> None:
        for head in self._index.extras:
            if head.opcode == Opcode.ATTACHMENT:
                self._copy_attachment(head)
            elif head.opcode == Opcode.METADATA:
                record = self._index.metadata_at(head)
                if record is not None:
                    self._writer.add_metadata(record.name, self._metadata(head, record))
            else:
                self._copy_raw(head)

    def _metadata(self, head: Head, record: Any) -> dict[str, str]:
        # rosbag2 keeps a copy of its metadata.yaml here, which names the types of topics, replaced ones among them.
        metadata: dict[str, str] = record.metadata
        text = metadata.get("serialized_metadata")
        if record.name != "rosbag2" or text is None:
            return metadata
        try:
            return metadata | {"serialized_metadata": retyped(text, self._types, self._is_record)}
        except LogError as error:
            self._index.losses.note(head.where, f"{error}: it is copied as it is", 0)
            return metadata

    @property
    def _is_record(self) -> Callable[[str, str], bool] | None:
        """What tells the topics whose records are no more; None where records are written."""
        if self._kind is not None:
            return None
        declarations = self._index.declarations
        schemas = [declarations.schema(declarations.channels[channel_id]) for channel_id in self._replaced]
        names = {schema.name for schema in schemas if schema is not None}
        return lambda name, _: name in names

    def _copy_attachment(self, head: Head) -> None:
        losses = self._index.losses
        try:
            body = self._index.source.body(head, most=self._index.source.size)
            record = parse(records.Attachment, body)
        except LogError as error:
            losses.note(head.where, f"{error}: it is left out", 0)
            return
        checked = 32 + len(record.name.encode()) + len(record.media_type.encode()) + len(record.data)
        (crc,) = struct.unpack_from("<I", body, checked)
        if crc and zlib.crc32(memoryview(body)[:checked]) != crc:
            losses.note(head.where, f"the attachment {record.name!r} does not match its CRC: copied as it is", 0)
        self._writer.add_attachment(record.create_time, record.log_time, record.name, record.media_type, record.data)

    def _copy_raw(self, head: Head) -> None:
        # The writer has no call for records that it does not know, but it leaves the file between two records.
        source, start = self._index.source, head.offset
        while start < head.end:
            start += self._file.write(source.read(start, min(_COPY_SIZE, head.end - start)))

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _schema(record_type: RecordType) -> records.Schema:
    name, encoding = record_type.name, record_type.schema_encoding
    return records.Schema(id=0, name=name, encoding=encoding, data=record_type.definition)


def _metadata(metadata: dict[str, str], record_type: RecordType) -> dict[str, str]:
    """A channel's metadata, in which rosbag2 keeps the hash of its type."""
    return metadata | {"topic_type_hash": record_type.rihs01} if "topic_type_hash" in metadata else metadata


def _writer(index: Index, file: Any) -> Writer:
    chunks = [span for span in index.spans if span.compression is not None]
    sizes = sorted(span.size for span in chunks)
    first = chunks[0].compression if chunks else None
    writer = Writer(
        file,
        # Three quarters up the sizes: small last chunks, or one huge message, say nothing about a recorder's setting.
        chunk_size=min(sizes[len(sizes) * 3 // 4], _CHUNK_SIZE_MAX) if sizes else _CHUNK_SIZE_MAX,
        compression=_COMPRESSIONS.get(first or "", CompressionType.ZSTD),
        use_chunking=bool(chunks),
        enable_crcs=True,
    )
    writer.start(index.profile, index.library)
    return writer
