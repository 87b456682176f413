"""How much each connection of a ROS 1 bag holds, told by its index records where they can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import LogError
from mediaref_tools.log import ChannelStats

from .file import BagFile, Chunk
from .format import INDEX, MESSAGE_HEADER_BYTES, Connection, number, walk
from .index import Index

__all__ = ["channel_stats"]

_Entries = NDArray[Any]
_ENTRY = np.dtype([("seconds", "<u4"), ("nanoseconds", "<u4"), ("offset", "<u4")])


@dataclass(slots=True)
class _Tally:
    messages: int = 0
    bytes: int = 0
    first_ns: int = 1 << 63
    last_ns: int = 0

    def add(self, messages: int, size: int, first_ns: int, last_ns: int) -> None:
        self.messages += messages
        self.bytes += size
        self.first_ns, self.last_ns = min(self.first_ns, first_ns), max(self.last_ns, last_ns)


def channel_stats(bag: BagFile, index: Index) -> dict[int, ChannelStats]:
    """Messages, payload bytes, first and last log time by connection id, the same as reading everything would find.

    A message's size is not in the index, but its record reaches to the next one's offset, unless a connection's record
    lies between. Those stand where a connection is first used: such chunks are read, the others not even decompressed.
    Where a bag does not keep to that, all of its chunks are read.
    """
    tallies = _from_index(bag, index)
    if tallies is None:
        tallies = {}
        for chunk in index.chunks:
            _read(bag, chunk, tallies)
    return {
        conn: ChannelStats(each.messages, each.bytes, each.first_ns, each.last_ns) for conn, each in tallies.items()
    }


def _from_index(bag: BagFile, index: Index) -> dict[int, _Tally] | None:
    tallies: dict[int, _Tally] = {}
    described: set[int] = set()
    for chunk in index.chunks:
        entries, size = _entries(bag, chunk)
        if entries and entries.keys() <= described and _add(entries, size, tallies):
            continue
        found = _read(bag, chunk, tallies)
        if found is None or not described.isdisjoint(found) or not entries.keys() <= described | found:
            return None
        described |= found
    # rosbags writes a connection's record where it is added: one that has not been met lies anywhere.
    return tallies if index.connections.keys() <= described else None


def _entries(bag: BagFile, chunk: Chunk) -> tuple[dict[int, _Entries], int]:
    """The index records behind a chunk, and the chunk's size; none if they don't agree with what they index."""
    entries: dict[int, _Entries] = {}
    if chunk.loose or chunk.cut:
        return {}, 0
    try:
        head = bag.chunk_head(chunk.pos)
        stored_plain = head.fields.get(b"compression") == b"none"
        size, pos = head.length if stored_plain else number(head.fields, "size", 4), head.stop
        for _ in chunk.counts:
            record = bag.head(pos)
            data = bag.read(record.pos, record.length)
            if record.op != INDEX or number(record.fields, "ver", 4) != 1 or len(data) % _ENTRY.itemsize:
                return {}, 0
            entries[number(record.fields, "conn", 4)] = np.frombuffer(data, _ENTRY)
            pos = record.stop
    except LogError:
        return {}, 0
    agree = {conn: len(each) for conn, each in entries.items()} == chunk.counts
    return (entries, size) if agree else ({}, 0)


def _add(entries: dict[int, _Entries], size: int, tallies: dict[int, _Tally]) -> bool:
    """Add what a chunk's index records tell; False if they can't be all that the chunk holds."""
    offsets = np.sort(np.concatenate([each["offset"] for each in entries.values()])).astype(np.int64)
    sizes = np.append(offsets[1:], size) - offsets - MESSAGE_HEADER_BYTES
    if offsets[0] != 0 or sizes.min() < 0:
        return False
    for conn, each in entries.items():
        times_ns = each["seconds"].astype(np.int64) * 1_000_000_000 + each["nanoseconds"]
        held = int(sizes[np.searchsorted(offsets, each["offset"])].sum())
        tallies.setdefault(conn, _Tally()).add(len(each), held, int(times_ns.min()), int(times_ns.max()))
    return True


def _read(bag: BagFile, chunk: Chunk, tallies: dict[int, _Tally]) -> set[int] | None:
    """Add what a chunk holds: the connections whose records are in it, or None if it isn't as other bags' are."""
    described: set[int] = set()
    regular = True
    try:
        for item in walk(bag.content(chunk)):
            if isinstance(item, Connection):
                regular = regular and item.id not in described
                described.add(item.id)
                continue
            held = item.stop - item.start
            tallies.setdefault(item.connection, _Tally()).add(1, held, item.time_ns, item.time_ns)
            regular = regular and item.start - item.offset == MESSAGE_HEADER_BYTES
    except LogError:  # `messages` enters it into the losses
        return None
    return described if regular else None
