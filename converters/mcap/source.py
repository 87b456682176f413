"""An MCAP file as bytes at offsets, and the records in it (https://mcap.dev/spec)."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from mcap.data_stream import ReadDataStream
from mcap.exceptions import EndOfFile, McapError
from mcap.opcode import Opcode

from mediaref_tools.errors import LogError, LogNotFound

__all__ = ["LEAD", "MAGIC", "RECORD", "Head", "Source", "parse"]

MAGIC = b"\x89MCAP0\r\n"
"""What an MCAP file starts and ends with."""

RECORD = struct.Struct("<BQ")
"""What every record starts with: its opcode and how many bytes follow."""

LEAD = 64
"""Bytes that are enough of a message, message index or chunk to know it by."""

_BODY_MAX = 1 << 28  # no schema, metadata … is as long as this, and a broken length must not fill the memory
_NAMES = {int(opcode): opcode.name.lower().replace("_", " ") for opcode in Opcode}


class Head(NamedTuple):
    """Where a record lies: from `offset`, its opcode's, to `end`; `length` counts what follows its first 9 bytes.

    `lead` is the first bytes of what follows, at most 64.
    """

    opcode: int
    offset: int
    end: int
    length: int
    lead: bytes

    @property
    def where(self) -> str:
        """The record's place, for a `Loss`."""
        name = _NAMES.get(self.opcode, f"record of opcode {self.opcode:#04x}")
        return f"{name} at byte {self.offset}"


class Source:
    """An open file, read at offsets; from several threads, if need be.

    Args:
        path: The log's own, for messages.
        content: The file to open, where it is another.

    Raises:
        LogNotFound: There is no file.
        LogError: It can't be opened.
    """

    def __init__(self, path: Path, content: Path | None = None) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            self._file = (content or path).open("rb")
        except FileNotFoundError as error:
            raise LogNotFound(f"no log to read: expected an MCAP file here; check the path: {path}") from error
        except OSError as error:
            raise LogError(
                f"log can't be opened ({error.strerror}): expected a readable MCAP file; check its rights: {path}"
            ) from error
        self.size = os.fstat(self._file.fileno()).st_size

    def check_open(self) -> None:
        """Raise LogError if `close` was called."""
        if self._file.closed:
            raise LogError(f"log is closed: expected it to be open; open it anew to read on: {self.path}")

    def peek(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on; fewer at the file's end."""
        self.check_open()
        try:
            with self._lock:
                self._file.seek(offset)
                return self._file.read(size)
        except OSError as error:
            raise LogError(
                f"{size} bytes at byte {offset} can't be read ({error.strerror}): "
                f"check the disk or the network share: {self.path}"
            ) from error

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset` on.

        Raises:
            LogError: They are not there, or not any more.
        """
        data = self.peek(offset, size)
        if len(data) != size:
            raise LogError(
                f"{size} bytes at byte {offset} are cut short to {len(data)}: "
                f"expected a file that nothing writes to; close its recorder first: {self.path}"
            )
        return data

    def body(self, head: Head, *, most: int = _BODY_MAX) -> bytes:
        """What follows a record's opcode and length.

        Raises:
            LogError: It is not there any more, or has more than `most` bytes.
        """
        if head.length > most:
            raise LogError(f"{head.where} has {head.length} bytes: expected at most {most}: {self.path}")
        return self.read(head.offset + RECORD.size, head.length)

    def walk(self, start: int, stop: int) -> Iterator[Head]:
        """The whole records in `[start, stop)`, up to the first that is cut or has the impossible opcode 0."""
        while start + RECORD.size <= stop:
            data = self.peek(start, min(RECORD.size + LEAD, stop - start))
            if len(data) < RECORD.size:
                return
            opcode, length = RECORD.unpack_from(data)
            end = start + RECORD.size + length
            if opcode == 0 or end > stop:
                return
            yield Head(opcode, start, end, length, data[RECORD.size : RECORD.size + length])
            start = end

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Exact(BytesIO):
    """Bytes that never give less than they were asked for: mcap's own stream parses what is cut as if whole."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > len(self.getbuffer()) - self.tell():
            raise EndOfFile
        return super().read(size)


def parse(record: Any, body: bytes) -> Any:
    """A record of one of `mcap.records`' classes, from what follows its opcode and length.

    Raises:
        LogError: The bytes are not such a record.
    """
    try:
        return record.read(ReadDataStream(_Exact(body)))
    except (McapError, struct.error, UnicodeDecodeError) as error:
        reason = str(error) or "it says that it is longer than it is"
        raise LogError(f"{record.__name__} record of {len(body)} bytes can't be parsed: {reason}") from error
