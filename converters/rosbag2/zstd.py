"""Zstandard as rosbag2's message compression mode uses it: every payload is a frame of its own."""

from __future__ import annotations

import zstandard

from mediaref_tools.log import Message

from ..storage.packing import DAMAGE, ZSTD, content, decompressor

__all__ = ["deflated", "inflated", "inflated_message"]

_PAYLOAD = 1 << 28
"""Bytes that one message may decompress to."""


def inflated(data: bytes, inflater: zstandard.ZstdDecompressor) -> bytes:
    """A message of message compression mode, decompressed; itself where it is not zstd, damaged or too large.

    Whoever reads a message that stayed as it was can tell by its first bytes.
    """
    if data[:4] != ZSTD:
        return data
    try:
        size = zstandard.frame_content_size(data)
        if size > _PAYLOAD:
            return data
        if size >= 0:
            return inflater.decompress(data)
        pieces, left = [], _PAYLOAD
        for piece in content((data,), "zstd"):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                return data
    except (MemoryError, *DAMAGE):
        return data
    return b"".join(pieces)


def inflated_message(message: Message) -> Message:
    """A message whose payload is decompressed where it is zstd, which no CDR message looks like; for any thread."""
    if message.channel.encoding != "cdr" or message.data[:4] != ZSTD:
        return message
    return message._replace(data=inflated(bytes(message.data), decompressor()))


def deflated(data: bytes) -> bytes:
    """A message as message compression mode stores it."""
    return zstandard.ZstdCompressor().compress(data)
