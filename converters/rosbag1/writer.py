"""Writing a ROS 1 bag anew, version 2.0, with image messages replaced by records."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from mediaref_tools.errors import OutputError
from mediaref_tools.log import Loss, Message, Record, RecordKind

from ..messages.imagemsg import record_bytes
from ..messages.recordtype import RecordType
from .file import COUNT
from .format import (
    CHUNK,
    CHUNK_INFO,
    FILE,
    INDEX,
    MAGIC,
    MESSAGE,
    Compression,
    Connection,
    compress,
    fields,
    pack_header,
    pack_record,
    time_pair,
)

__all__ = ["Rosbag1Writer"]

_CHUNK_BYTES: Final = 768 * 1024
"""When a chunk is full: the ROS tools' own default."""

_FILE_HEADER_BYTES: Final = 4096
_MESSAGE = struct.Struct("<II3sBI5sII5sIII")
_ENTRY = struct.Struct("<III")


class Rosbag1Writer:
    """Writes the connections of a bag with their own ids and headers, byte for byte, and what it is given.

    Args:
        out: Must not exist.
        connections: The source's.
        compression: How chunks are compressed.
        types: What becomes of the connections whose messages are given to `record`, or to `put`, by id.
        kind: The form of the records; None where there are none, but what they stood for.

    Raises:
        OutputError: The file can't be made.
    """

    def __init__(
        self,
        out: Path,
        connections: Mapping[int, Connection],
        compression: Compression,
        types: Mapping[int, RecordType],
        kind: RecordKind | None = None,
    ) -> None:
        self.losses: Sequence[Loss] = ()
        self._path, self._compression, self._kind = out, compression, kind
        self._replaced = types
        self._connections: dict[int, bytes] = {
            conn: pack_record(head, _retyped(data, types[conn]) if conn in types else data)
            for conn, head, data in connections.values()
        }
        self._written: set[int] = set()
        self._infos = bytearray()  # the index section's chunk infos: about 200 bytes a chunk
        self._chunks = 0
        self._begin_chunk()
        try:
            self._file = out.open("xb")
        except OSError as error:
            raise OutputError(f"the log can't be written ({error.strerror}), expected a new file: {out}") from error
        self._write(MAGIC + self._file_header(0))

    def copy(self, message: Message) -> None:
        """Take a message over unchanged.

        Raises:
            OutputError: It can't be written, or its connection now holds records.
        """
        if message.channel.id in self._replaced:
            raise OutputError(
                f"an image of {message.channel.topic!r} can't be copied: the topic was given as one of records, "
                f"write a record: {self._path}"
            )
        self._add(message, message.data)

    def record(self, message: Message, record: Record) -> None:
        """Write a record in the place of an image message.

        Raises:
            OutputError: It can't be written, or its connection was not given as one of records.
        """
        self._check_replaced(message)
        assert self._kind is not None  # noqa: S101 - it was started for records
        self.put(message, record_bytes(message, record, self._kind))

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write data in the place of a message.

        Raises:
            OutputError: It can't be written, or its connection keeps its own type.
        """
        self._check_replaced(message)
        self._add(message, data)

    def _check_replaced(self, message: Message) -> None:
        if message.channel.id not in self._replaced:
            raise OutputError(
                f"message of {message.channel.topic!r} (channel {message.channel.id}) can't be replaced: give the "
                f"topic to the writer, or copy the message: {self._path}"
            )

    def commit(self) -> None:
        """Write the last chunk and the index, make them durable, and close.

        Raises:
            OutputError: They can't be written.
        """
        self._end_chunk()
        index_pos = self._tell()
        self._write(b"".join(self._connections.values()))
        self._write(self._infos)
        try:
            self._file.seek(len(MAGIC))
            self._write(self._file_header(index_pos))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise OutputError(f"the log can't be finished ({error.strerror}): {self._path}") from error

    def abort(self) -> None:
        """Close without an index; what was written stays for the caller to remove."""
        with suppress(OSError):  # a full disk, met again while closing
            self._file.close()

    def _begin_chunk(self) -> None:
        self._data = bytearray()
        self._entries: dict[int, list[tuple[int, int, int]]] = {}
        self._start_ns, self._end_ns = 1 << 63, 0

    def _add(self, message: Message, data: bytes | memoryview) -> None:
        conn, time_ns = message.channel.id, message.log_time_ns
        if conn not in self._written:
            if conn not in self._connections:
                raise OutputError(f"channel {conn} is not one of this log's {len(self._connections)}: {self._path}")
            self._data += self._connections[conn]
            self._written.add(conn)
        pair = time_pair(time_ns)
        self._entries.setdefault(conn, []).append((*pair, len(self._data)))
        self._data += _MESSAGE.pack(38, 4, b"op=", MESSAGE, 9, b"conn=", conn, 13, b"time=", *pair, len(data))
        self._data += data
        self._start_ns, self._end_ns = min(self._start_ns, time_ns), max(self._end_ns, time_ns)
        if len(self._data) > _CHUNK_BYTES:
            self._end_chunk()

    def _end_chunk(self) -> None:
        if not self._entries:
            return
        pos = self._tell()
        head = pack_header(
            (b"op", bytes([CHUNK])), (b"compression", self._compression.encode()), (b"size", _u32(len(self._data)))
        )
        self._write(pack_record(head, compress(self._compression, self._data)))
        for conn, entries in self._entries.items():
            head = pack_header(
                (b"op", bytes([INDEX])),
                (b"conn", _u32(conn)),
                (b"ver", _u32(1)),
                (b"count", _u32(len(entries))),
            )
            # In time order, whatever came first: the ROS tools merge them as they stand.
            self._write(pack_record(head, b"".join(_ENTRY.pack(*entry) for entry in sorted(entries))))
        info = pack_header(
            (b"op", bytes([CHUNK_INFO])),
            (b"ver", _u32(1)),
            (b"chunk_pos", _u64(pos)),
            (b"start_time", _time(self._start_ns)),
            (b"end_time", _time(self._end_ns)),
            (b"count", _u32(len(self._entries))),
        )
        counts = (COUNT.pack(conn, len(entries)) for conn, entries in self._entries.items())
        self._infos += pack_record(info, b"".join(counts))
        self._chunks += 1
        self._begin_chunk()

    def _file_header(self, index_pos: int) -> bytes:
        head = pack_header(
            (b"op", bytes([FILE])),
            (b"index_pos", _u64(index_pos)),
            (b"conn_count", _u32(len(self._connections))),
            (b"chunk_count", _u32(self._chunks)),
        )
        return pack_record(head, b" " * (_FILE_HEADER_BYTES - len(head)))

    def _tell(self) -> int:
        try:
            return self._file.tell()
        except ValueError as error:
            raise OutputError(
                f"the log was committed or aborted already: start a new rewriter: {self._path}"
            ) from error

    def _write(self, data: bytes | bytearray) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise OutputError(f"{len(data)} bytes can't be written ({error.strerror}): {self._path}") from error


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _u64(value: int) -> bytes:
    return value.to_bytes(8, "little")


def _time(value_ns: int) -> bytes:
    return COUNT.pack(*time_pair(value_ns))


def _retyped(data: bytes, declared: RecordType) -> bytes:
    """A connection's own header with another type; callerid, latching and the rest stay as they are."""
    found = fields(data) | {
        b"type": declared.name.encode(),
        b"md5sum": declared.md5sum.encode(),
        b"message_definition": declared.definition,
    }
    return pack_header(*found.items())
