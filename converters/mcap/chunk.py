"""What is inside an MCAP chunk: checked against all that its record claims, and split into records."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import zstandard
from lz4.frame import LZ4FrameDecompressor
from mcap.opcode import Opcode

from mediaref_tools import limits
from mediaref_tools.errors import LogError

from .source import RECORD

__all__ = ["MESSAGE", "ChunkHead", "Entry", "Other", "chunk_head", "content", "cut_content", "split"]

MESSAGE = struct.Struct("<HIQQ")
"""What a message record starts with: channel id, sequence, log time, publish time."""

_CHUNK = struct.Struct("<QQQII")
_MESSAGE_OPCODE = int(Opcode.MESSAGE)


class ChunkHead(NamedTuple):
    """What a chunk record claims, and where in it its data lies."""

    start_ns: int
    end_ns: int
    size: int
    crc: int
    compression: str
    data_offset: int
    data_length: int


class Entry(NamedTuple):
    """A message in a chunk's content: its record starts at `offset`, its payload is `[start, stop)`."""

    channel_id: int
    sequence: int
    log_time_ns: int
    publish_time_ns: int
    offset: int
    start: int
    stop: int


class Other(NamedTuple):
    """A record in a chunk's content that is not a message; its body is `[start, stop)`."""

    opcode: int
    start: int
    stop: int


def chunk_head(lead: bytes | memoryview, length: int) -> ChunkHead:
    """What stands before the data of a chunk record.

    Args:
        lead: The record's first bytes, or all of them.
        length: How many bytes the whole record has.

    Raises:
        LogError: They are not a chunk's.
    """
    # mcap's own Chunk.read would copy the data.
    if len(lead) < _CHUNK.size:
        raise LogError(f"record has {length} bytes: expected at least {_CHUNK.size + 8} in a chunk")
    start_ns, end_ns, size, crc, name_length = _CHUNK.unpack_from(lead)
    data_offset = _CHUNK.size + name_length + 8
    if data_offset > len(lead):
        raise LogError(f"compression's name has {name_length} bytes: expected 'lz4', 'zstd' or none at all")
    try:
        compression = str(lead[_CHUNK.size : data_offset - 8], "utf-8")
    except UnicodeDecodeError as error:
        raise LogError(f"compression's name is not UTF-8: {error}") from error
    (data_length,) = struct.unpack_from("<Q", lead, data_offset - 8)
    if data_offset + data_length > length:
        raise LogError(f"data says that it has {data_length} bytes: its record has {length - data_offset} for it")
    if end_ns == 0 or start_ns > end_ns:  # some writers leave the times out: they must not hide messages
        start_ns, end_ns = 0, 2**64 - 1
    return ChunkHead(start_ns, end_ns, size, crc, compression, data_offset, data_length)


def content(record: memoryview) -> memoryview:
    """The decompressed records of a chunk record, of the size and CRC that it states; no copy if uncompressed.

    Raises:
        LogError: It is not what it claims. Nothing is inflated beyond what it claims, or beyond 1 GiB.
    """
    head = chunk_head(record, len(record))
    data = record[head.data_offset : head.data_offset + head.data_length]
    if head.size > limits.MAX_CHUNK_BYTES:
        raise LogError(f"content says that it has {head.size} bytes: expected at most {limits.MAX_CHUNK_BYTES}")
    if head.compression == "zstd":
        inflated = memoryview(_zstd(data, head.size))
    elif head.compression == "lz4":
        inflated = memoryview(_lz4(data, head.size))
    elif head.compression == "":
        inflated = data
    else:
        raise LogError(f"compression is {head.compression!r}: expected 'lz4', 'zstd' or none at all")
    if len(inflated) != head.size:
        more = "more" if len(inflated) > head.size else str(len(inflated))
        raise LogError(f"content says that it has {head.size} bytes: it has {more}")
    if head.crc and zlib.crc32(inflated) != head.crc:
        raise LogError(f"content's CRC is {zlib.crc32(inflated):#010x}: expected {head.crc:#010x}")
    return inflated


def cut_content(record: memoryview, length: int) -> memoryview:
    """The first records of a chunk record whose end is not there, as far as they can be decompressed.

    Args:
        record: What is there of it.
        length: How many bytes the whole record has.

    Raises:
        LogError: Not even its head is there.
    """
    head = chunk_head(record, length)
    data, size = record[head.data_offset :], min(head.size, limits.MAX_CHUNK_BYTES)
    try:
        if head.compression == "zstd":
            with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
                return memoryview(stream.read(size))
        if head.compression == "lz4":
            return memoryview(LZ4FrameDecompressor().decompress(data, size))
    except (zstandard.ZstdError, RuntimeError, MemoryError) as error:
        raise LogError(f"{head.compression} data can't be decompressed: {error}") from error
    return data if head.compression == "" else memoryview(b"")


def _zstd(data: memoryview, size: int) -> bytes:
    # zstandard.decompress believes the size in the frame, whatever bound it is given: this one does not.
    try:
        with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as stream:
            return stream.read(size + 1)
    except (zstandard.ZstdError, MemoryError) as error:
        raise LogError(f"zstd data can't be decompressed: {error}") from error


def _lz4(data: memoryview, size: int) -> bytes:
    parts: list[bytes] = []
    rest: bytes | memoryview = data
    left = size + 1
    try:
        while rest and left:
            frame = LZ4FrameDecompressor()
            parts.append(frame.decompress(rest, left))
            left -= len(parts[-1])
            rest = frame.unused_data or b""
    except (RuntimeError, MemoryError) as error:
        raise LogError(f"lz4 data can't be decompressed: {error}") from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def split(records: memoryview, *, cut: bool = False) -> tuple[list[Entry], list[Other]]:
    """The messages and the other records in a chunk's content, or in a run of records of a file.

    Args:
        records: The bytes.
        cut: Whether their end is missing: whole records are taken, up to the first that is not.

    Raises:
        LogError: A record is cut short.
    """
    entries: list[Entry] = []
    others: list[Other] = []
    offset, end = 0, len(records)
    lead = RECORD.size + MESSAGE.size
    while offset < end:
        if end - offset < RECORD.size:
            if cut:
                break
            raise LogError(f"{end - offset} bytes are left over: expected a record")
        opcode, length = RECORD.unpack_from(records, offset)
        stop = offset + RECORD.size + length
        if stop > end:
            if cut:
                break
            raise LogError(f"record at byte {offset} of the content says that it has {length} bytes: expected fewer")
        if len(entries) + len(others) == limits.MAX_CHUNK_MESSAGES:
            raise LogError(f"content has more than {limits.MAX_CHUNK_MESSAGES} records")
        if opcode != _MESSAGE_OPCODE:
            others.append(Other(opcode, offset + RECORD.size, stop))
        elif length < MESSAGE.size:
            raise LogError(
                f"message at byte {offset} of the content has {length} bytes: expected {MESSAGE.size} or more"
            )
        else:
            channel_id, sequence, log_ns, publish_ns = MESSAGE.unpack_from(records, offset + RECORD.size)
            entries.append(Entry(channel_id, sequence, log_ns, publish_ns, offset, offset + lead, stop))
        offset = stop
    return entries, others
