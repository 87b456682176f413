"""What an MCAP file must be asked when it is opened: channels that only its chunks declare, and its statistics."""

from __future__ import annotations

from mcap.opcode import Opcode

from .index import Index, Tally

__all__ = ["survey"]


def survey(index: Index) -> None:
    """Make the declarations whole, and note as losses what the file claims and does not hold.

    Chunks are read for it only if something is unknown without: a channel or schema that a message index names, a
    chunk without message indexes or times, statistics that don't agree, or a file that neither has statistics nor
    repeats its channels, where any chunk may declare more.

    Raises:
        LogError: The file can't be read.
    """
    if index.statistics is None and not index.summarised:
        _visit_all(index)
    else:
        for place, span in enumerate(index.spans):
            if span.messages is None or span.timeless or index.declarations.lacks(span.channels):
                index.spans[place] = index.visit(span, Tally())
        if index.statistics is not None and not _agrees(index):
            _visit_all(index)
    index.complete = index.tally is not None or (index.statistics is not None and _agrees(index))
    index.declarations.closed = True
    _check_declarations(index)
    _check_statistics(index)


def _visit_all(index: Index) -> None:
    tally = Tally()
    tally.merge(index.loose)
    for place, span in enumerate(index.spans):
        if span.compression is not None:
            index.spans[place] = index.visit(span, tally)
    index.tally = tally


def _messages(index: Index) -> int:
    return sum(span.messages or 0 for span in index.spans)


def _agrees(index: Index) -> bool:
    claims = index.statistics
    return bool(
        claims.message_count == _messages(index)
        and claims.channel_count <= len(index.declarations.channels)
        and claims.schema_count <= len(index.declarations.schemas)
    )


def _check_declarations(index: Index) -> None:
    for channel_id in sorted(index.loose.channels - index.declarations.channels.keys()):
        messages = index.loose.of(channel_id).messages
        index.losses.note(f"channel {channel_id}", "its messages are left out: nothing declares it", messages)
    for channel in index.declarations.channels.values():
        if index.declarations.lacks([channel.id]):
            what = f"its schema {channel.schema_id} is nowhere: the channel is taken to have none"
            index.losses.note(f"channel {channel.id} ({channel.topic!r})", what, 0)


def _check_statistics(index: Index) -> None:
    claims = index.statistics
    if claims is None:
        return
    found = _messages(index)
    if claims.message_count != found:
        what = f"they claim {claims.message_count} messages: {found} were found"
        index.losses.note("statistics", what, max(0, claims.message_count - found))
    opcodes = [head.opcode for head in index.extras]
    for name, claimed, there in (
        ("attachments", claims.attachment_count, opcodes.count(Opcode.ATTACHMENT)),
        ("metadata records", claims.metadata_count, opcodes.count(Opcode.METADATA)),
        ("chunks", claims.chunk_count, sum(span.compression is not None for span in index.spans)),
        ("channels", claims.channel_count, len(index.declarations.channels)),
        ("schemas", claims.schema_count, len(index.declarations.schemas)),
    ):
        if claimed > there:
            index.losses.note("statistics", f"they claim {claimed} {name}: {there} were found", 0)
