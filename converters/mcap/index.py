"""What is known of an MCAP file once it is open: where its messages lie, its schemas and channels, its losses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mcap import records
from mcap.opcode import Opcode

from mediaref_tools.errors import LogError
from mediaref_tools.log import ChannelStats, Loss

from .chunk import MESSAGE, Entry, chunk_head, content, cut_content, split
from .source import RECORD, Head, Source, parse

__all__ = ["Declarations", "Index", "Losses", "Span", "Tally"]


class Losses(list[Loss]):
    """Losses, each noted once however often the log is read."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[Loss] = set()

    def note(self, where: str, what: str, messages: int | None = None) -> None:
        """Append a loss, unless it is there already."""
        loss = Loss(where, what, messages)
        if loss not in self._seen:
            self._seen.add(loss)
            self.append(loss)


class Span(NamedTuple):
    """Bytes of a file that are read together: a chunk record, or a run of adjacent loose records.

    Attributes:
        offset, length: Where, opcodes and lengths included.
        start_ns, end_ns: Log times of the first and last message, as far as the file says.
        messages: How many, None where no message index says; `channels`: on which channel ids.
        compression: A chunk's; None makes it a run of loose records.
        size: A chunk's decompressed bytes.
        crc: A chunk's CRC, 0 for none.
        cut: How many bytes of a chunk record lie beyond the file's end.
    """

    offset: int
    length: int
    start_ns: int
    end_ns: int
    messages: int | None
    channels: frozenset[int]
    compression: str | None = None
    size: int = 0
    crc: int = 0
    cut: int = 0

    @property
    def timeless(self) -> bool:
        """Whether a chunk does not say when its messages are: all such chunks would be held at once."""
        return self.end_ns == 2**64 - 1 and self.start_ns == 0

    @property
    def where(self) -> str:
        """The span's place, for a `Loss`."""
        return f"{'messages' if self.compression is None else 'chunk'} at byte {self.offset}"


class Tally:
    """Messages, payload bytes and log times by channel id, counted one message at a time."""

    def __init__(self) -> None:
        self._counts: dict[int, list[int]] = {}

    def add(self, channel_id: int, log_time_ns: int, size: int) -> None:
        """Count a message of `size` payload bytes."""
        count = self._counts.get(channel_id)
        if count is None:
            self._counts[channel_id] = [1, size, log_time_ns, log_time_ns]
            return
        count[0] += 1
        count[1] += size
        if log_time_ns < count[2]:
            count[2] = log_time_ns
        elif log_time_ns > count[3]:
            count[3] = log_time_ns

    def merge(self, other: Tally) -> None:
        """Count all that another tally counted."""
        for channel_id, (messages, size, first_ns, last_ns) in other._counts.items():
            mine = self._counts.setdefault(channel_id, [0, 0, first_ns, last_ns])
            mine[:] = mine[0] + messages, mine[1] + size, min(mine[2], first_ns), max(mine[3], last_ns)

    def of(self, channel_id: int) -> ChannelStats:
        """What was counted of a channel."""
        messages, size, first_ns, last_ns = self._counts.get(channel_id, (0, 0, None, None))
        return ChannelStats(messages or 0, size or 0, first_ns, last_ns)

    @property
    def channels(self) -> frozenset[int]:
        """Ids of the channels that have messages."""
        return frozenset(self._counts)


class Declarations:
    """The schemas and channels that a file declares, by id; the first of each id counts."""

    def __init__(self, losses: Losses) -> None:
        self.schemas: dict[int, Any] = {}
        self.channels: dict[int, Any] = {}
        self.closed = False
        self._losses = losses
        self._seen: set[tuple[int, bytes]] = set()

    def add(self, opcode: int, body: bytes, where: str) -> None:
        """Take up a schema or channel record; a broken one, or another of the same id, is a loss.

        Once `closed` is set, nothing new is taken up.
        """
        if (opcode, body) in self._seen:
            return
        try:
            record = parse(records.Schema if opcode == Opcode.SCHEMA else records.Channel, body)
        except LogError as error:
            self._losses.note(where, str(error))
            return
        kind, known = ("schema", self.schemas) if opcode == Opcode.SCHEMA else ("channel", self.channels)
        if not self.closed:
            known.setdefault(record.id, record)
        if known.get(record.id, record) != record:
            self._losses.note(where, f"{kind} {record.id} is declared again as something else: the first one is kept")
        elif record.id in known:
            self._seen.add((opcode, body))

    def lacks(self, channel_ids: Iterable[int]) -> bool:
        """Whether a channel, or a channel's schema, is not declared yet."""
        for channel_id in channel_ids:
            channel = self.channels.get(channel_id)
            if channel is None or (channel.schema_id and channel.schema_id not in self.schemas):
                return True
        return False

    def schema(self, channel: Any) -> Any:
        """A channel's schema, None where it has none."""
        return self.schemas.get(channel.schema_id) if channel.schema_id else None


@dataclass
class Index:
    """What is known of an open file, and how to read on from there.

    Attributes:
        spans: In file order.
        extras: Attachments, metadata and records of unknown opcodes, in file order.
        statistics: The Statistics record, None where there is none.
        summarised: Whether the summary repeats channels, and so (by the specification) all of them.
        loose: Counts of the messages that are in no chunk.
        tally: Counts of all messages, once every chunk was read for them.
        complete: Whether `Span.channels` are proved to name every channel of their spans.
    """

    source: Source
    losses: Losses
    declarations: Declarations
    profile: str = ""
    library: str = ""
    spans: list[Span] = field(default_factory=list)
    extras: list[Head] = field(default_factory=list)
    statistics: Any = None
    summarised: bool = False
    loose: Tally = field(default_factory=Tally)
    tally: Tally | None = None
    complete: bool = False

    def read(self, span: Span) -> tuple[memoryview, list[Entry]]:
        """A span's records and the messages among them; what is wrong with them is noted as a loss.

        Raises:
            LogError: The file is closed or can't be read.
        """
        if span.compression is None:
            run = memoryview(self.source.read(span.offset, span.length))
            return run, split(run)[0]
        chunk = memoryview(self.source.read(span.offset, span.length))[RECORD.size :]
        try:
            inside = cut_content(chunk, len(chunk) + span.cut) if span.cut else content(chunk)
            entries, others = split(inside, cut=span.cut > 0)
        except LogError as error:
            self.losses.note(span.where, f"{error}: the chunk is left out", span.messages)
            return memoryview(b""), []
        for opcode, start, stop in others:
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self.declarations.add(opcode, bytes(inside[start:stop]), span.where)
            else:
                self.losses.note(span.where, f"a record of opcode {opcode:#04x} in the chunk is left out", 0)
        self._check(span, entries)
        return inside, entries

    def _check(self, span: Span, entries: list[Entry]) -> None:
        if span.messages is not None and len(entries) < span.messages:
            gone = span.messages - len(entries)
            what = f"the chunk holds {len(entries)} messages, its message indexes list {span.messages}"
            self.losses.note(span.where, what, gone)
        if entries:
            first_ns = min(entry.log_time_ns for entry in entries)
            last_ns = max(entry.log_time_ns for entry in entries)
            if first_ns < span.start_ns or last_ns > span.end_ns:
                what = (
                    f"the chunk's messages are from {first_ns} to {last_ns}, it says from {span.start_ns} to "
                    f"{span.end_ns}: their order in time and ranges of time can't be relied on"
                )
                self.losses.note(span.where, what, 0)
        if self.declarations.closed:
            strange = [entry.channel_id for entry in entries if entry.channel_id not in self.declarations.channels]
            if strange:
                what = f"messages of the channels {sorted(set(strange))}, which nothing declares, are left out"
                self.losses.note(span.where, what, len(strange))

    def visit(self, span: Span, tally: Tally) -> Span:
        """Read a chunk for what it declares, and count its messages; the span, with what is true of it."""
        _, entries = self.read(span)
        if not entries:
            return span
        for entry in entries:
            tally.add(entry.channel_id, entry.log_time_ns, entry.stop - entry.start)
        return span._replace(
            start_ns=min(entry.log_time_ns for entry in entries),
            end_ns=max(entry.log_time_ns for entry in entries),
            messages=len(entries),
            channels=frozenset(entry.channel_id for entry in entries),
        )

    def count(self) -> Tally:
        """Counts of all messages: chunks are read for it, once, where their message heads can't be reached without."""
        if self.tally is None:
            tally = Tally()
            tally.merge(self.loose)
            for span in self.spans:
                if span.compression is not None and not self._glance(span, tally):
                    self.visit(span, tally)
            self.tally = tally
        return self.tally

    def _glance(self, span: Span, tally: Tally) -> bool:
        # Counts the messages of a chunk that is neither compressed nor has a CRC, and reads no payloads; False, and
        # nothing counted, where it has to be read.
        if span.compression != "" or span.crc or span.cut or span.size < 4096 * (span.messages or span.size):
            return False  # messages that are small are read faster than they are skipped
        start = span.offset + RECORD.size
        head = chunk_head(self.source.peek(start, 64), span.length - RECORD.size)
        start, stop = start + head.data_offset, start + head.data_offset + head.data_length
        mine = Tally()
        for record in self.source.walk(start, stop):
            start = record.end
            if record.opcode == Opcode.MESSAGE:
                if record.length < MESSAGE.size:
                    return False
                channel_id, _, log_time_ns, _ = MESSAGE.unpack_from(record.lead)
                mine.add(channel_id, log_time_ns, record.length - MESSAGE.size)
        if start != stop or head.data_length != span.size:
            return False
        tally.merge(mine)
        return True

    def metadata(self) -> Iterator[Any]:
        """The metadata records in file order, parsed one at a time; one that is broken is a loss."""
        for head in self.extras:
            if head.opcode == Opcode.METADATA and (record := self.metadata_at(head)) is not None:
                yield record

    def metadata_at(self, head: Head) -> Any:
        """One metadata record, parsed; None, and a loss, if it is broken."""
        try:
            return parse(records.Metadata, self.source.body(head))
        except LogError as error:
            self.losses.note(head.where, f"{error}: it is left out", 0)
            return None
