"""A local file of packets, read at places that are known: no container is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mediaref_tools.errors import MediarefError
from mediaref_tools.media.gop import PacketTable

__all__ = ["PacketFile"]

_READ_BYTES = 2**22  # at once, more only for a packet that is larger
_GAP_BYTES = 2**14  # between packets, of sound say: to read over it is cheaper than to read once more


class PacketFile:
    """An open file. A context manager; any thread may read."""

    def __init__(self, path: Path, noun: str, error: type[MediarefError]) -> None:
        """Open it.

        Args:
            path: The file.
            noun, error: What messages call it, and what they are raised as.
        """
        self._path, self._noun, self._error = path, noun, error
        try:
            self._descriptor = os.open(path, os.O_RDONLY)
        except OSError as cause:
            raise error(f"{noun} can't be opened: {cause.strerror}: {path}") from cause

    def read(self, begin: int, length: int) -> bytes:
        """Bytes at a place.

        Raises:
            MediarefError: The file ends before, or can't be read.
        """
        held = os.fstat(self._descriptor).st_size
        try:
            data = os.pread(self._descriptor, length, begin) if begin + length <= held else b""
        except OSError as cause:
            raise self._error(f"{self._noun} can't be read: {cause.strerror}: {self._path}") from cause
        if len(data) != length:
            raise self._error(f"{self._noun} ends at byte {held} of {begin + length}: copy it again: {self._path}")
        return data

    def packets(self, table: PacketTable, begin: int, end: int) -> Iterator[tuple[int, memoryview]]:
        """Packets by number, `[begin, end)`, in as few reads as can be.

        Raises:
            MediarefError: As `read`.
        """
        offset, size = table.offset[begin:end].tolist(), table.size[begin:end].tolist()
        at = 0
        while at < len(offset):
            start, stop, until = offset[at], offset[at] + size[at], at + 1
            while (
                until < len(offset)
                and stop <= offset[until] <= stop + _GAP_BYTES
                and offset[until] + size[until] - start <= _READ_BYTES
            ):
                stop, until = offset[until] + size[until], until + 1
            data = memoryview(self.read(start, stop - start))
            for number in range(at, until):
                yield begin + number, data[offset[number] - start : offset[number] - start + size[number]]
            at = until

    def damaged(self, what: str) -> MediarefError:
        """The error for packets that don't decode."""
        return self._error(f"{self._noun} is damaged{what}: {self._path}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
