"""The ROS 1 bag format, version 2.0: records, their headers and chunks, as bytes.

A file is `#ROSBAG V2.0` and records `<header length><header><data length><data>`; a header is a run of fields
`<length>name=value`; every integer is little-endian (wiki.ros.org/Bags/Format/2.0, ros_comm's rosbag/bag.py).
"""

from __future__ import annotations

import bz2
import re
import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import lz4.frame

from mediaref_tools.errors import LogError

__all__ = [
    "CHUNK",
    "CHUNK_INFO",
    "CONNECTION",
    "FILE",
    "INDEX",
    "MAGIC",
    "MESSAGE",
    "Compression",
    "Connection",
    "Slot",
    "compress",
    "compression_name",
    "decompress",
    "fields",
    "number",
    "pack_header",
    "pack_record",
    "text",
    "time_ns",
    "time_pair",
    "walk",
]

MAGIC: Final = b"#ROSBAG V2.0\n"
MESSAGE, FILE, INDEX, CHUNK, CHUNK_INFO, CONNECTION = 2, 3, 4, 5, 6, 7

Compression = Literal["none", "bz2", "lz4"]

_U32 = struct.Struct("<I")
_SECOND_NS = 1_000_000_000
# All of a message's record but its data, as every known writer lays it out: the fields come in any order. Twice as
# fast as `fields`, and most of the time that a log of many small messages takes is spent here.
_MESSAGE_HEADER = re.compile(
    rb"\x26\0\0\0(?:\x04\0\0\0op=(\x02)|\x09\0\0\0conn=(.{4})|\x0d\0\0\0time=(.{8})){3}(.{4})", re.DOTALL
)
MESSAGE_HEADER_BYTES = 46


class Slot(NamedTuple):
    """Where a message lies in a chunk: its record begins at `offset`, its data are `[start, stop)`."""

    connection: int
    time_ns: int
    offset: int
    start: int
    stop: int


class Connection(NamedTuple):
    """A connection's record as it stands: `header` (conn, topic) and `data`, a header of its own."""

    id: int
    header: bytes
    data: bytes


def fields(data: bytes) -> dict[bytes, bytes]:
    """The fields of a header; of two that share a name the last counts, as in the ROS tools.

    Raises:
        LogError: A field reaches beyond the header, or has no name.
    """
    found: dict[bytes, bytes] = {}
    pos = 0
    while pos < len(data):
        length = _U32.unpack_from(data, pos)[0] if pos + 4 <= len(data) else 1 << 32
        pos += 4
        if pos + length > len(data):
            raise LogError(f"a header field of {length} bytes reaches beyond its header of {len(data)} bytes")
        name, equals, value = data[pos : pos + length].partition(b"=")
        if not equals:
            raise LogError(f"a header field is {name[:40]!r}, expected name=value")
        found[name] = value
        pos += length
    return found


def number(found: dict[bytes, bytes], name: str, size: int) -> int:
    """An unsigned integer field of `size` bytes.

    Raises:
        LogError: It is not there, or not of that size.
    """
    value = found.get(name.encode())
    if value is None or len(value) != size:
        raise LogError(f"header field {name!r} is {value!r:.60}, expected {size} bytes")
    return int.from_bytes(value, "little")


def time_ns(value: int) -> int:
    """A time field (u32 seconds, u32 nanoseconds, read as one integer) in nanoseconds."""
    return (value & 0xFFFFFFFF) * _SECOND_NS + (value >> 32)


def time_pair(value_ns: int) -> tuple[int, int]:
    """Seconds and nanoseconds as two u32: exact for all that `time_ns` gives, nanoseconds beyond 1e9 included."""
    seconds = min(value_ns // _SECOND_NS, 0xFFFFFFFF)
    return seconds, value_ns - seconds * _SECOND_NS


def text(value: bytes) -> str:
    """A name as str: UTF-8, and what isn't comes back as it was through `surrogateescape`."""
    return value.decode("utf-8", "surrogateescape")


def pack_header(*pairs: tuple[bytes, bytes]) -> bytes:
    """A header of these fields, in this order."""
    return b"".join(_U32.pack(len(name) + 1 + len(value)) + name + b"=" + value for name, value in pairs)


def pack_record(head: bytes, data: bytes | bytearray) -> bytes:
    """A record of a header and data."""
    return b"".join((_U32.pack(len(head)), head, _U32.pack(len(data)), data))


def walk(data: bytes) -> Iterator[Slot | Connection]:
    """The records inside of a chunk, in their order. Behind one that is damaged they go on with the next message.

    Raises:
        LogError: A record is not one of a chunk, or reaches beyond it; all that could be read was given before.
    """
    offset, end = 0, len(data)
    trouble: LogError | None = None
    while offset < end:
        match = _MESSAGE_HEADER.match(data, offset)
        if match and match.end() - offset == MESSAGE_HEADER_BYTES:
            _, connection, time, length = (int.from_bytes(group, "little") for group in match.groups())
            start = match.end()
            if start + length <= end:
                yield Slot(connection, time_ns(time), offset, start, start + length)
                offset = start + length
                continue
        try:
            item, offset = _record(data, offset)
            yield item
        except LogError as error:
            trouble = trouble or error
            offset = _next_message(data, offset + 1)
    if trouble:
        raise trouble


def _record(data: bytes, offset: int) -> tuple[Slot | Connection, int]:
    """The record at a place of a chunk, and where it ends."""
    end = len(data)
    # Lengths are checked as Python integers: a u32 that lies can't wrap around.
    start = offset + 8 + (_U32.unpack_from(data, offset)[0] if offset + 4 <= end else 1 << 32)
    if start > end:
        raise LogError(f"the record at byte {offset} of the chunk reaches beyond its {end} bytes")
    head = data[offset + 4 : start - 4]
    found, (length,) = fields(head), _U32.unpack_from(data, start - 4)
    op, connection = number(found, "op", 1), number(found, "conn", 4)
    stop = start + length
    if stop > end:
        raise LogError(f"the record at byte {offset} of the chunk reaches beyond its {end} bytes")
    if op == MESSAGE:
        return Slot(connection, time_ns(number(found, "time", 8)), offset, start, stop), stop
    if op == CONNECTION:
        return Connection(connection, head, data[start:stop]), stop
    raise LogError(f"the record at byte {offset} of the chunk is of kind {op}, expected 2 or 7")


def _next_message(data: bytes, offset: int) -> int:
    """Where the next message lies that is whole, laid out as every known writer does; the end if there is none."""
    for match in _MESSAGE_HEADER.finditer(data, offset):
        start = match.start() + MESSAGE_HEADER_BYTES
        if match.end() == start and start + int.from_bytes(match[4], "little") <= len(data):
            return match.start()
    return len(data)


def compression_name(value: bytes) -> Compression:
    """A chunk's compression.

    Raises:
        LogError: It is none that the format knows.
    """
    names: dict[bytes, Compression] = {b"none": "none", b"bz2": "bz2", b"lz4": "lz4"}
    if value not in names:
        raise LogError(f"a chunk's compression is {value!r:.60}, expected none, bz2 or lz4")
    return names[value]


def decompress(compression: Compression, data: bytes, size: int, *, cut: bool = False) -> bytes:
    """A chunk's content of `size` bytes; never more than that is held, whatever the data would grow to.

    Args:
        compression: How `data` are compressed.
        data: As they are stored.
        size: How many bytes the chunk's header says that it holds.
        cut: Whether the end of `data` is missing: what is there is given, and `size` is an upper bound.

    Raises:
        LogError: The data are damaged, or hold more or fewer bytes than `size`.
    """
    if compression == "none":
        return data  # `size` is said twice then: the length of the data is what the ROS tools go by
    decompressor = bz2.BZ2Decompressor() if compression == "bz2" else lz4.frame.LZ4FrameDecompressor()
    try:
        content: bytes = decompressor.decompress(data, max_length=size + 1)
    except (OSError, RuntimeError, EOFError, ValueError, MemoryError) as error:
        raise LogError(f"its {compression} data are damaged: {error}") from error
    if not cut and (len(content) != size or not decompressor.eof):
        held = f"more than {size}" if len(content) > size else f"only {len(content)}"
        raise LogError(f"its {compression} data hold {held} whole bytes, expected {size}")
    return content


def compress(compression: Compression, data: bytearray) -> bytes | bytearray:
    """A chunk's content as it is stored."""
    if compression == "bz2":
        return bz2.compress(data)
    if compression == "lz4":
        # roslz4 reads no other frames: independent blocks, a content checksum, no content size (its lz4s.c,
        # processHeader).
        frame: bytes = lz4.frame.compress(
            data,
            block_size=lz4.frame.BLOCKSIZE_MAX1MB,
            block_linked=False,
            content_checksum=True,
            store_size=False,
        )
        return frame
    return data
