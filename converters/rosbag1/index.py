"""What a ROS 1 bag holds: its connections and chunks, told by its index, or found by reading through the file."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import Loss

from .file import COUNT, BagFile, Chunk, Head
from .format import (
    CHUNK,
    CHUNK_INFO,
    CONNECTION,
    FILE,
    INDEX,
    MAGIC,
    MESSAGE,
    Connection,
    number,
    text,
    time_ns,
    walk,
)

__all__ = ["Index", "read_index"]

_RUN_BYTES = 1 << 20


class Index(NamedTuple):
    """Connections by id, chunks in the file's order, and what had to be recovered."""

    connections: dict[int, Connection]
    chunks: list[Chunk]
    losses: list[Loss]


def read_index(bag: BagFile) -> Index:
    """A bag's connections and chunks.

    Raises:
        LogError: It isn't a bag of version 2.0, or is encrypted.
    """
    _check_version(bag)
    try:
        head = bag.head(len(MAGIC))
        if head.op != FILE:
            raise LogError(f"the first record is of kind {head.op}, expected {FILE}")
        index_pos = number(head.fields, "index_pos", 8)
        expected = (number(head.fields, "conn_count", 4), number(head.fields, "chunk_count", 4))
    except LogError as error:
        index = _scan(bag, len(MAGIC), "the bag's file header is damaged")
        if not index.chunks:
            what = f"the bag's file header is damaged, and no message comes after it: {error}"
            raise LogError(f"{what}: {bag.path}") from error
        return index
    if encryptor := head.fields.get(b"encryptor"):
        raise LogError(
            f"the bag is encrypted with {text(encryptor)!r}, expected none: decrypt a copy with ROS 1's "
            f"`rosbag decrypt`: {bag.path}"
        )
    if index_pos == 0:
        return _scan(bag, head.stop, "the recorder never closed the bag, which has no index")
    try:
        return _from_index(bag, index_pos, expected)
    except LogError as error:
        return _scan(bag, head.stop, f"the bag's index is cut off or damaged ({error})")


def _check_version(bag: BagFile) -> None:
    start = bag.read(0, min(bag.size, 32))
    if start.startswith(MAGIC):
        return
    if version := re.match(rb"#ROS(?:BAG|RECORD) V(\d+\.\d+)", start):
        raise LogError(
            f"the bag's version is {version[1].decode()!r}, expected '2.0': convert a copy with ROS 1's "
            f"`rosbag fix`: {bag.path}"
        )
    raise LogError(f"the file begins with {start[:13]!r}, expected {MAGIC!r}: is it a ROS 1 bag? {bag.path}")


def _from_index(bag: BagFile, pos: int, expected: tuple[int, int]) -> Index:
    connections: dict[int, Connection] = {}
    chunks: dict[int, Chunk] = {}
    if pos > bag.size:
        raise LogError(f"it begins at byte {pos}, beyond the end of the file at {bag.size}")
    records = [0, 0]
    while pos < bag.size:
        head = bag.head(pos)
        if head.op == CONNECTION:
            connection = Connection(number(head.fields, "conn", 4), head.raw, bag.read(head.pos, head.length))
            connections.setdefault(connection.id, connection)
        elif head.op == CHUNK_INFO:
            chunk = _chunk(head, bag.read(head.pos, head.length))
            chunks.setdefault(chunk.pos, chunk)
        else:
            raise LogError(f"the record at byte {pos} of it is of kind {head.op}")
        records[head.op == CHUNK_INFO] += 1
        pos = head.stop
    if tuple(records) != expected:
        raise LogError("it holds {} connections and {} chunks, expected {} and {}".format(*records, *expected))
    return Index(connections, sorted(chunks.values()), [])


def _chunk(head: Head, tally: bytes) -> Chunk:
    version, count = number(head.fields, "ver", 4), number(head.fields, "count", 4)
    if version != 1 or len(tally) != count * COUNT.size:
        raise LogError(f"a chunk info of version {version} has {len(tally)} bytes for {count} connections")
    return Chunk(
        number(head.fields, "chunk_pos", 8),
        time_ns(number(head.fields, "start_time", 8)),
        time_ns(number(head.fields, "end_time", 8)),
        tally,
    )


def _scan(bag: BagFile, pos: int, why: str) -> Index:
    """Read through the file from `pos` on. Every chunk is decompressed, as connections are told inside of them."""
    index = Index({}, [], [])
    chunk: _Survey | None = None
    back = bag.size  # bytes that are read twice at most, for chunks in chunks would be read again and again
    while pos < bag.size:
        try:
            head = bag.head(pos)
            if head.stop > bag.size and head.op not in (CHUNK, MESSAGE, CONNECTION):
                raise LogError(f"{head.length} bytes at byte {head.pos} reach beyond the end of the file at {bag.size}")
        except LogError as error:
            if chunk is not None and chunk.may_be_shorter and pos - chunk.head.pos <= back:
                back -= pos - chunk.head.pos
                pos = chunk.head.pos
            pos = _skip(bag, pos, error, index)
            _end(chunk, index)
            chunk = None
            continue
        if head.op == INDEX and chunk is not None:
            chunk.claimed += int.from_bytes(head.fields.get(b"count", b"")[:4], "little")
        else:
            _end(chunk, index)
            chunk = None
        stop = head.stop
        if head.op == CHUNK and head.length == 0:
            stop = _open_chunk(bag, head, pos, index)
        elif head.op == CHUNK:
            chunk = _survey(bag, Chunk(pos, cut=stop > bag.size), head, index)
        elif head.op in (MESSAGE, CONNECTION):
            stop = _loose_stop(bag, pos)
            _end(_survey(bag, Chunk(pos, loose=stop - pos), head, index), index)
        pos = stop
    _end(chunk, index)
    found = sum(sum(chunk.counts.values()) for chunk in index.chunks)
    index.losses.insert(0, Loss("index", f"{why}: the file was read from end to end, which found {found} messages"))
    return index


def _open_chunk(bag: BagFile, head: Head, pos: int, index: Index) -> int:
    """A chunk as a recorder begins it, with lengths of 0: what it had written of it when it died may follow."""
    try:
        bag.head(head.stop)
        return head.stop  # a record, then the chunk is empty, or its messages lie there by themselves
    except LogError:
        _end(_survey(bag, Chunk(pos, cut=True), head, index), index)
        return bag.size


def _skip(bag: BagFile, pos: int, error: LogError, index: Index) -> int:
    """Go on behind something that is no record."""
    further = bag.find(pos + 1)
    rest = "nothing can be read from here on" if further is None else f"{further - pos} bytes are skipped"
    index.losses.append(Loss(f"byte {pos}", f"{rest}: {error}"))
    return bag.size if further is None else further


def _loose_stop(bag: BagFile, pos: int) -> int:
    """Where a run of records outside of chunks ends: about 1 MiB of them, or the last that is whole.

    They are what a recorder without compression leaves of the chunk that it was writing when it died.
    """
    stop = pos
    while stop - pos < _RUN_BYTES:
        try:
            head = bag.head(stop)
        except LogError:
            break
        if head.op not in (MESSAGE, CONNECTION) or head.stop > bag.size:
            break
        stop = head.stop
    return stop if stop > pos else bag.size  # the only one of the run is cut off


@dataclass
class _Survey:
    """What was found in a chunk, and what the index records behind it claim."""

    chunk: Chunk
    head: Head
    found: int
    trouble: str
    claimed: int = 0

    @property
    def may_be_shorter(self) -> bool:
        """Whether records inside of it can't be its own: compressed data don't look like records."""
        return self.found == 0 or self.head.fields.get(b"compression") != b"none"


def _survey(bag: BagFile, chunk: Chunk, head: Head, index: Index) -> _Survey:
    """Enter what a chunk holds into `index`."""
    counts: Counter[int] = Counter()
    start_ns, end_ns, trouble = 1 << 63, 0, ""
    try:
        for item in walk(bag.content(chunk)):
            if isinstance(item, Connection):
                index.connections.setdefault(item.id, item)
            else:
                counts[item.connection] += 1
                start_ns, end_ns = min(start_ns, item.time_ns), max(end_ns, item.time_ns)
    except LogError as error:
        trouble = "the file ends before it does" if chunk.cut else str(error)
    if counts:
        tally = b"".join(COUNT.pack(*pair) for pair in counts.items())
        index.chunks.append(chunk._replace(start_ns=start_ns, end_ns=end_ns, tally=tally))
    return _Survey(chunk, head, counts.total(), trouble)


def _end(survey: _Survey | None, index: Index) -> None:
    """Say what is missing of a chunk, once the index records behind it were seen."""
    if survey is None or not (survey.trouble or survey.claimed > survey.found):
        return
    trouble = survey.trouble or f"its index records list {survey.claimed} messages"
    gone = max(survey.claimed - survey.found, 0) if survey.claimed else None
    what = f"{trouble}: {survey.found} messages of it are there"
    index.losses.append(Loss(f"chunk at byte {survey.chunk.pos}", what, gone))
