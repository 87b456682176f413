"""Finding where everything lies in an MCAP file, by one walk over its top-level records.

The stock index reader trusts the summary section, which may be missing, cut, or silent about messages that lie
beside the chunks; this walk needs no summary. It reads a few bytes a record and never a chunk's or message's body.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from sys import intern

from mcap import records
from mcap.opcode import Opcode

from mediaref_tools.errors import LogError

from .chunk import MESSAGE, chunk_head
from .index import Declarations, Index, Losses, Span
from .resync import agrees, resync
from .source import LEAD, MAGIC, RECORD, Head, Source, parse

__all__ = ["scan"]

_RUN_SIZE = 1 << 20  # loose messages are read together up to this many bytes
_KNOWN = frozenset(int(opcode) for opcode in Opcode)
_DECLARATIONS = frozenset({int(Opcode.SCHEMA), int(Opcode.CHANNEL)})
_MESSAGE, _MESSAGE_INDEX = int(Opcode.MESSAGE), int(Opcode.MESSAGE_INDEX)


class _Run:
    """Adjacent loose messages, as they come by."""

    def __init__(self, offset: int, log_time_ns: int) -> None:
        self.offset = self.end = offset
        self.start_ns = self.end_ns = log_time_ns
        self.messages = 0
        self.channels: set[int] = set()

    def add(self, channel_id: int, log_time_ns: int, end: int) -> None:
        self.end = end
        if log_time_ns < self.start_ns:
            self.start_ns = log_time_ns
        elif log_time_ns > self.end_ns:
            self.end_ns = log_time_ns
        self.messages += 1
        self.channels.add(channel_id)


class _Scan:
    """The walk's state: the run of loose messages and the chunk that are still growing."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._run: _Run | None = None
        self._chunk: Span | None = None
        self._chunk_messages: dict[int, int] = {}
        self._shared: dict[frozenset[int], frozenset[int]] = {}

    def take(self, head: Head) -> None:
        """A record that is not the header, a footer or a part of the summary."""
        if head.opcode == _MESSAGE_INDEX:
            self._message_index(head)
            return
        self._end_chunk()
        if head.opcode == _MESSAGE:
            self._message(head)
        elif head.opcode in _DECLARATIONS:
            _declare(self._index, head)
        else:
            self._end_run()
            if head.opcode == Opcode.CHUNK:
                self._start_chunk(head)
            elif head.opcode in (Opcode.ATTACHMENT, Opcode.METADATA) or head.opcode not in _KNOWN:
                self._index.extras.append(head)

    def end(self) -> None:
        """Nothing comes any more."""
        self._end_chunk()
        self._end_run()

    def _message(self, head: Head) -> None:
        if head.length < MESSAGE.size:
            self._end_run()
            self._index.losses.note(head.where, f"message has {head.length} bytes: expected {MESSAGE.size} or more", 1)
            return
        channel_id, _, log_time_ns, _ = MESSAGE.unpack_from(head.lead)
        self._index.loose.add(channel_id, log_time_ns, head.length - MESSAGE.size)
        if self._run is not None and head.end - self._run.offset > _RUN_SIZE:
            self._end_run()
        if self._run is None:
            self._run = _Run(head.offset, log_time_ns)
        self._run.add(channel_id, log_time_ns, head.end)

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            channels = self._share(run.channels)
            span = Span(run.offset, run.end - run.offset, run.start_ns, run.end_ns, run.messages, channels)
            self._index.spans.append(span)

    def cut_chunk(self, head: Head, end: int) -> None:
        """A chunk whose record reaches beyond the file's end: some of its messages may be there."""
        self._start_chunk(head, head.end - end)
        self.end()

    def _start_chunk(self, head: Head, cut: int = 0) -> None:
        try:
            chunk = chunk_head(head.lead, head.length)
        except LogError as error:
            self._index.losses.note(head.where, str(error))
            return
        self._chunk = Span(
            head.offset,
            head.end - head.offset - cut,
            chunk.start_ns,
            chunk.end_ns,
            None,
            frozenset(),
            intern(chunk.compression),
            chunk.size,
            chunk.crc,
            cut,
        )

    def _message_index(self, head: Head) -> None:
        if self._chunk is None or head.length < 6:
            return
        channel_id = int.from_bytes(head.lead[:2], "little")
        size = min(int.from_bytes(head.lead[2:6], "little"), head.length - 6)
        self._chunk_messages[channel_id] = self._chunk_messages.get(channel_id, 0) + size // 16

    def _end_chunk(self) -> None:
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            return
        if self._chunk_messages:
            channels = {channel_id for channel_id, messages in self._chunk_messages.items() if messages}
            chunk = chunk._replace(messages=sum(self._chunk_messages.values()), channels=self._share(channels))
            self._chunk_messages = {}
        self._index.spans.append(chunk)

    def _share(self, channels: set[int]) -> frozenset[int]:
        # A log has many chunks and few distinct sets of channels in them.
        key = frozenset(channels)
        return self._shared.setdefault(key, key)


def scan(source: Source) -> Index:
    """Walk over a file's records.

    Raises:
        LogError: It does not start with MCAP's magic bytes. Whatever else is wrong becomes a `Loss`.
    """
    magic = source.peek(0, len(MAGIC))
    if magic != MAGIC:
        raise LogError(
            f"file of {source.size} bytes starts with {magic!r}: expected {MAGIC!r}, as every MCAP file; "
            f"is it another container, or not a log at all? {source.path}"
        )
    losses = Losses()
    index = Index(source, losses, Declarations(losses))
    state = _Scan(index)
    summary: list[Head] = []
    header = data_end = footer = None
    start: int | None = len(MAGIC)
    end = len(MAGIC)
    while start is not None:
        end = start
        for head in source.walk(start, source.size):
            end = head.end
            if head.opcode == _MESSAGE:  # a log without chunks has millions of them
                state.take(head)
            elif head.opcode == Opcode.FOOTER:
                footer = head
                break
            elif head.opcode == Opcode.STATISTICS or (data_end and head.opcode in _DECLARATIONS):
                summary.append(head)
            elif head.opcode == Opcode.DATA_END:
                data_end = head
            elif head.opcode == Opcode.HEADER:
                header = header or head
            else:
                state.take(head)
        state.end()
        start = None if footer else _further(index, end)
    _read_header(index, header)
    _check_end(index, footer, end, state)
    if footer is None:  # nothing vouches for what is left of the summary: its claims count, its repetitions don't
        summary = [head for head in summary if head.opcode == Opcode.STATISTICS]
    if footer is None or _is_sound(index, footer):
        _read_summary(index, summary)
    return index


def _further(index: Index, end: int) -> int | None:
    """Where records go on behind something that is none."""
    lead = index.source.peek(end, RECORD.size + LEAD)
    if len(lead) < RECORD.size:
        return None
    opcode, length = RECORD.unpack_from(lead)
    if opcode == Opcode.CHUNK and agrees(Head(opcode, end, end + RECORD.size + length, length, lead[RECORD.size :])):
        return None  # the last one, cut off: what is there of it is not a run of records
    start = resync(index.source, end + 1)
    if start is not None:
        what = f"{start - end} bytes are no records: the first would be of opcode {opcode:#04x} and {length} bytes"
        index.losses.note(f"byte {end}", what)
    return start


def _declare(index: Index, head: Head) -> None:
    try:
        index.declarations.add(head.opcode, index.source.body(head), head.where)
    except LogError as error:
        index.losses.note(head.where, str(error), 0)


def _read_header(index: Index, head: Head | None) -> None:
    if head is None:
        index.losses.note("header", "there is no header record: the profile and library are not known", 0)
        return
    try:
        header = parse(records.Header, index.source.body(head))
    except LogError as error:
        index.losses.note(head.where, str(error), 0)
        return
    index.profile, index.library = header.profile, header.library


def _check_end(index: Index, footer: Head | None, end: int, state: _Scan) -> None:
    source, where = index.source, f"byte {end}"
    rest = source.peek(end, RECORD.size)
    if footer is not None:
        if not rest.startswith(MAGIC):
            index.losses.note(where, f"the footer is followed by {rest[:8]!r}: expected {MAGIC!r}", 0)
        elif source.size > end + len(MAGIC):
            more = source.size - end - len(MAGIC)
            index.losses.note(where, f"{more} bytes behind the log's end are not read")
    elif not rest:
        index.losses.note(where, "the log ends without a footer: its recorder did not close it")
    elif rest[0] == 0:
        index.losses.note(where, f"the log's last {source.size - end} bytes are no records, and there is no footer")
    elif len(rest) < RECORD.size:
        index.losses.note(where, f"the log is cut inside a record: {len(rest)} bytes are left")
    else:
        opcode, length = RECORD.unpack(rest)
        left = source.size - end - RECORD.size
        what = f"the log is cut inside a record: it says that it has {length} bytes, {left} are left"
        head = Head(opcode, end, end + RECORD.size + length, length, source.peek(end + RECORD.size, LEAD))
        index.losses.note(head.where, what)
        if opcode == Opcode.CHUNK:
            state.cut_chunk(head, source.size)


def _is_sound(index: Index, footer: Head) -> bool:
    source = index.source
    try:
        fields = parse(records.Footer, source.body(footer))
    except LogError as error:
        index.losses.note(footer.where, f"{error}; the summary is not used", 0)
        return False
    if fields.summary_crc == 0:
        return True
    start, stop, crc = fields.summary_start or footer.offset, footer.offset + RECORD.size + 16, 0
    while start < stop:
        data = source.read(start, min(1 << 20, stop - start))
        start, crc = start + len(data), zlib.crc32(data, crc)
    if crc != fields.summary_crc:
        what = f"the summary's CRC is {crc:#010x}: expected {fields.summary_crc:#010x}; it is not used"
        index.losses.note(footer.where, what, 0)
        return False
    return True


def _read_summary(index: Index, summary: Iterable[Head]) -> None:
    for head in summary:
        if head.opcode in _DECLARATIONS:
            _declare(index, head)
            index.summarised = index.summarised or head.opcode == Opcode.CHANNEL
            continue
        try:
            index.statistics = parse(records.Statistics, index.source.body(head))
        except LogError as error:
            index.losses.note(head.where, str(error), 0)
