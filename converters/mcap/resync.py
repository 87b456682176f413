"""Finding the next record of an MCAP file behind bytes that are none: a lost sector, a length that lies.

Records carry no mark to look for. A place is taken for one if its opcode and length can be, if what its fields say
agrees with its length, and if the records that follow it do so too.
"""

from __future__ import annotations

import re
from itertools import islice

from mcap.opcode import Opcode

from mediaref_tools.errors import LogError

from .chunk import MESSAGE, chunk_head
from .source import MAGIC, RECORD, Head, Source

__all__ = ["agrees", "resync"]

_WINDOW = 1 << 20
# Every record that a file may go on with, no longer than 2^40 bytes; overlapping candidates, hence the lookahead.
_CANDIDATE = re.compile(rb"(?=[\x03-\x07\x09\x0c\x0f].{5}\0\0\0)", re.DOTALL)
_KNOWN = frozenset(int(opcode) for opcode in Opcode)
_IN_A_ROW = 4
_DATA_END, _FOOTER = 4, 20
"""Bytes of records that always have as many."""


def resync(source: Source, start: int) -> int | None:
    """Where the next records begin at `start` or behind it; None if there are none.

    Raises:
        LogError: The file can't be read.
    """
    while start + RECORD.size <= source.size:
        window = source.peek(start, _WINDOW + RECORD.size - 1)
        zeros = len(window) - len(window.lstrip(b"\0"))  # quicker than candidates, and most of what disks leave
        for match in _CANDIDATE.finditer(window, zeros):
            if _plausible(source, start + match.start()):
                return start + match.start()
        start += _WINDOW
    return None


def _plausible(source: Source, start: int) -> bool:
    end = start
    for head in islice(source.walk(start, source.size), _IN_A_ROW):
        if not agrees(head):
            return False
        end = head.end
        if head.opcode == Opcode.FOOTER:
            return source.peek(end, len(MAGIC)) == MAGIC
    # fewer than asked for: the file ends here, between two records or inside of one
    return end > start and (end == source.size or _goes_on(source, end))


def _goes_on(source: Source, start: int) -> bool:
    lead = source.peek(start, RECORD.size)
    return len(lead) < RECORD.size or (lead[0] in _KNOWN and RECORD.unpack(lead)[1] < 1 << 40)


def agrees(head: Head) -> bool:
    """Whether a record's fields say what its opcode and length do."""
    if head.opcode == Opcode.MESSAGE:
        return head.length >= MESSAGE.size
    if head.opcode == Opcode.CHUNK:
        try:
            chunk = chunk_head(head.lead, head.length)
        except LogError:
            return False
        return chunk.compression in ("", "lz4", "zstd") and chunk.data_offset + chunk.data_length == head.length
    if head.opcode == Opcode.MESSAGE_INDEX:
        return head.length >= 6 and int.from_bytes(head.lead[2:6], "little") == head.length - 6
    if head.opcode in (Opcode.DATA_END, Opcode.FOOTER):
        return head.length == (_DATA_END if head.opcode == Opcode.DATA_END else _FOOTER)
    return head.opcode in _KNOWN and head.length >= 8  # a schema, channel, attachment … or a part of the summary
