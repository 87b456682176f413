"""A ROS 1 bag's file: its records and chunks by their places."""

from __future__ import annotations

import re
import struct
import threading
from pathlib import Path
from typing import NamedTuple

from mediaref_tools import limits
from mediaref_tools.errors import LogError, LogNotFound

from .format import CHUNK, Compression, compression_name, decompress, fields, number

__all__ = ["COUNT", "BagFile", "Chunk", "Head"]

COUNT = struct.Struct("<II")
"""An entry of a chunk info: a connection, and how many of its messages are in the chunk."""

_MAX_HEADER = 1 << 20
_WINDOW, _OVERLAP = 1 << 20, 128
_OP = re.compile(rb"\x04\0\0\0op=[\x02\x05\x07]")
# Lengths of what a chunk's (compression, size), a connection's or a message's header (conn, time) may begin with.
_BEFORE = tuple(4 + sum(fields) for fields in ((), (20,), (19,), (13,), (20, 13), (19, 13), (17,), (13, 17)))


class Head(NamedTuple):
    """A record without its data, which are `length` bytes at `pos`."""

    op: int
    fields: dict[bytes, bytes]
    raw: bytes
    pos: int
    length: int

    @property
    def stop(self) -> int:
        """Where the next record begins."""
        return self.pos + self.length


class Chunk(NamedTuple):
    """Messages that lie together.

    Attributes:
        pos: Where its record begins in the file.
        start_ns, end_ns: The least and the greatest log time in it.
        tally: Pairs of u32, a connection and how many of its messages are here: compact, as there is a chunk for
            every 768 KiB of a log.
        loose: Not a chunk but this many bytes of records that lie in the file itself; 0 for a chunk.
        cut: The file ends before its data do: what is there is read.
    """

    pos: int
    start_ns: int = 0
    end_ns: int = 0
    tally: bytes = b""
    loose: int = 0
    cut: bool = False

    @property
    def counts(self) -> dict[int, int]:
        """Messages by connection."""
        return dict(COUNT.iter_unpack(self.tally))


class BagFile:
    """A bag's bytes, for any thread.

    Args:
        path: The log's own, for messages.
        content: The file to open, where it is another.

    Raises:
        LogError: The file can't be opened.
    """

    def __init__(self, path: Path, content: Path | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file = (content or path).open("rb")
            self.size = self._file.seek(0, 2)
        except FileNotFoundError as error:
            raise LogNotFound(f"there is no file at the path: check it: {path}") from error
        except OSError as error:
            raise LogError(f"the file can't be opened ({error.strerror}): {path}") from error

    def check_open(self) -> None:
        """Raises LogError if the file is closed."""
        if self._file.closed:
            raise LogError(f"the log is closed: open it again: {self.path}")

    def read(self, pos: int, length: int) -> bytes:
        """Bytes `[pos, pos + length)`.

        Raises:
            LogError: They are not all there, or the file is closed.
        """
        if pos + length > self.size:
            raise LogError(f"{length} bytes at byte {pos} reach beyond the end of the file at {self.size}")
        with self._lock:
            self.check_open()
            try:
                self._file.seek(pos)
                data = self._file.read(length)
            except OSError as error:
                raise LogError(f"{length} bytes at byte {pos} can't be read: {error.strerror}") from error
        if len(data) != length:
            raise LogError(f"{len(data)} bytes are left at byte {pos}, expected {length}: is the file being changed?")
        return data

    def head(self, pos: int) -> Head:
        """The record at a place.

        Raises:
            LogError: There is none.
        """
        length = int.from_bytes(self.read(pos, 4), "little")
        if length > _MAX_HEADER:
            raise LogError(f"a record's header has {length} bytes at byte {pos}, expected {_MAX_HEADER} at most")
        raw = self.read(pos + 4, length + 4)
        found = fields(raw[:-4])
        return Head(number(found, "op", 1), found, raw[:-4], pos + 8 + length, int.from_bytes(raw[-4:], "little"))

    def find(self, pos: int) -> int | None:
        """Where the next chunk, connection or message lies, at `pos` or behind it, that is whole; None if none does.

        It is known by its header, as every known writer lays it out: a field `op`, and fields of a fixed length or
        none before it.

        Raises:
            LogError: The file can't be read.
        """
        while pos < self.size:
            window = self.read(pos, min(_WINDOW + _OVERLAP, self.size - pos))
            for match in _OP.finditer(window):
                for before in _BEFORE:
                    start = match.start() - before
                    if start >= 0 and self._is_record(pos + start, window[start : start + 8]):
                        return pos + start
            pos += _WINDOW
        return None

    def _is_record(self, pos: int, lead: bytes) -> bool:
        length, first = int.from_bytes(lead[:4], "little"), int.from_bytes(lead[4:], "little")
        if not first < length < _MAX_HEADER:  # quicker than to read it
            return False
        try:
            head = self.head(pos)
            if head.op == CHUNK:
                compression_name(head.fields.get(b"compression", b""))
                return len(head.fields) == 3
            return number(head.fields, "conn", 4) >= 0 and head.stop <= self.size
        except LogError:
            return False

    def content_size(self, chunk: Chunk) -> int:
        """How many bytes `content` gives, as far as the chunk says; 0 where it can't be read."""
        try:
            return chunk.loose or number(self.chunk_head(chunk.pos).fields, "size", 4)
        except LogError:
            return 0

    def content(self, chunk: Chunk) -> bytes:
        """What a chunk holds, not compressed any more.

        Raises:
            LogError: It is damaged, or holds more than 1 GiB.
        """
        if chunk.loose:
            return self.read(chunk.pos, _bounded(chunk.loose))
        head = self.chunk_head(chunk.pos)
        compression = compression_name(head.fields.get(b"compression", b"none"))
        length, size = head.length, number(head.fields, "size", 4)
        if chunk.cut:
            # A recorder writes a chunk's header with lengths of 0, and comes back to it when the chunk is full.
            length, size = min(length or self.size, self.size - head.pos), size or limits.MAX_CHUNK_BYTES
        data = self.read(head.pos, _bounded(length))
        return decompress(compression, data, _bounded(size), cut=chunk.cut)

    def compression(self, chunks: list[Chunk]) -> Compression:
        """How the first chunk that can be read is compressed; "none" if there is none."""
        for chunk in chunks:
            try:
                if not chunk.loose:
                    return compression_name(self.chunk_head(chunk.pos).fields.get(b"compression", b"none"))
            except LogError:
                continue
        return "none"

    def chunk_head(self, pos: int) -> Head:
        """The chunk record at a place.

        Raises:
            LogError: There is none.
        """
        head = self.head(pos)
        if head.op != CHUNK:
            raise LogError(f"the record at byte {pos} is of kind {head.op}, expected a chunk")
        return head

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def _bounded(size: int) -> int:
    if size > limits.MAX_CHUNK_BYTES:
        raise LogError(f"it holds {size} bytes, expected {limits.MAX_CHUNK_BYTES} at most")
    return size
