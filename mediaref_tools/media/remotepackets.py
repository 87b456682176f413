"""Packets of a remote file, fetched in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mediaref_tools.errors import MediarefError
from mediaref_tools.media.gop import Group, PacketTable
from mediaref_tools.media.packetfile import PacketReader, group_spans
from mediaref_tools.media.pieces import Pieces, Wanted
from mediaref_tools.media.uri import shown

__all__ = ["RemotePackets", "wanted_packets"]


class RemotePackets(PacketReader):
    """A remote file of packets; nothing is opened before it is read."""

    def __init__(self, pieces: Pieces, name: str, noun: str, error: type[MediarefError], uri: str) -> None:
        """Take where to read.

        Args:
            pieces: Who fetches.
            name: What they call the file.
            noun, error: What messages call it, and what they are raised as where packets are damaged.
            uri: Of the file, for messages.
        """
        super().__init__(shown(uri), noun, error)
        self._pieces, self._name = pieces, name

    def read(self, begin: int, length: int) -> bytes:
        """Bytes at a place.

        Raises:
            MediarefError: As `Pieces.read`.
        """
        return self._pieces.read(Wanted(self._name, begin, begin + length))

    def is_near(self, table: PacketTable, begin: int, end: int) -> bool:
        """Whether packets by number, `[begin, end)`, are held or on their way."""
        return begin >= end or self._pieces.is_near(
            wanted_packets(self._name, table, [Group(begin, (end - 1,))]),
        )


def wanted_packets(name: str, table: PacketTable, groups: Iterable[Group]) -> Iterator[Wanted]:
    """The bytes of a file that decoding some groups reads."""
    return (Wanted(name, span.begin, span.stop) for span in group_spans(table, groups))
