"""Files of packets, read at places that are known: no container is opened."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from mediaref_tools.errors import MediarefError
from mediaref_tools.media.gop import Group, PacketTable

__all__ = ["PacketFile", "PacketReader", "Span", "group_spans"]

_READ_BYTES = 2**22  # at once, more only for a packet that is larger
_GAP_BYTES = 2**14  # between packets, of sound say: to read over it is cheaper than to read once more


class Span(NamedTuple):
    """Packets `[first, end)` by number that are read at once, and their bytes `[begin, stop)`."""

    first: int
    end: int
    begin: int
    stop: int


class PacketReader(ABC):
    """An open file. A context manager; any thread may read."""

    def __init__(self, place: str, noun: str, error: type[MediarefError]) -> None:
        """`place` is where it lies, `noun` what messages call it, `error` what they are raised as."""
        self._place, self._noun, self._error = place, noun, error

    @abstractmethod
    def read(self, begin: int, length: int) -> bytes:
        """Bytes at a place.

        Raises:
            MediarefError: The file ends before, or can't be read.
        """

    def is_near(self, table: PacketTable, begin: int, end: int) -> bool:  # noqa: ARG002 - for those who fetch
        """Whether packets by number, `[begin, end)`, can be had without asking anybody for them."""
        return True

    def packets(self, table: PacketTable, begin: int, end: int) -> Iterator[tuple[int, memoryview]]:
        """Packets by number, `[begin, end)`, in as few reads as can be.

        Raises:
            MediarefError: As `read`.
        """
        for span in _spans(table, begin, end):
            data = memoryview(self.read(span.begin, span.stop - span.begin))
            offset, size = table.offset[span.first : span.end].tolist(), table.size[span.first : span.end].tolist()
            for at in range(span.end - span.first):
                start = offset[at] - span.begin
                yield span.first + at, data[start : start + size[at]]

    def damaged(self, what: str) -> MediarefError:
        """The error for packets that don't decode."""
        return self._error(f"{self._noun} is damaged{what}: {self._place}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return


class PacketFile(PacketReader):
    """A local one."""

    def __init__(self, path: Path, noun: str, error: type[MediarefError]) -> None:
        """Open it.

        Args:
            path: The file.
            noun, error: What messages call it, and what they are raised as.
        """
        super().__init__(str(path), noun, error)
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
            raise self._error(f"{self._noun} can't be read: {cause.strerror}: {self._place}") from cause
        if len(data) != length:
            raise self._error(f"{self._noun} ends at byte {held} of {begin + length}: copy it again: {self._place}")
        return data

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def group_spans(table: PacketTable, groups: Iterable[Group]) -> Iterator[Span]:
    """What decoding some groups reads: packets from each one's keyframe to its last wanted frame."""
    for group in groups:
        yield from _spans(table, group.first, group.wanted[-1] + 1)


def _spans(table: PacketTable, begin: int, end: int) -> Iterator[Span]:
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
        yield Span(begin + at, begin + until, start, stop)
        at = until
