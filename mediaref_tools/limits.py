"""How much a hostile picture or log may cost: what is above these is refused before it is decoded or held.

No real log comes near them. For one that does, an environment variable raises the number:
`MEDIAREF_MAX_PIXELS=1000000000`.
"""

from __future__ import annotations

import os

from mediaref_tools.errors import LimitError

__all__ = [
    "MAX_CHUNK_BYTES",
    "MAX_CHUNK_MESSAGES",
    "MAX_OVERLAP_BYTES",
    "MAX_PIXELS",
    "MAX_STILL_BYTES",
    "MAX_UNPACKED_BYTES",
]


def _limit(name: str, usual: int) -> int:
    said = os.environ.get(f"MEDIAREF_{name}", "").strip()
    if not said:
        return usual
    if not (said.isascii() and said.isdecimal() and int(said)):
        raise LimitError(f"MEDIAREF_{name} is {said!r}: expected a positive integer, such as {usual}")
    return int(said)


MAX_PIXELS = _limit("MAX_PIXELS", 2**27)
"""Pixels of one picture: a header that claims more is damaged, or a bomb."""

MAX_STILL_BYTES = _limit("MAX_STILL_BYTES", 2**28)
"""Bytes of one still image, in a file or inside a data URI."""

MAX_CHUNK_BYTES = _limit("MAX_CHUNK_BYTES", 2**29)
"""Bytes that one chunk of a bag or MCAP file may hold, decompressed: recorders make chunks of a few MiB."""

MAX_CHUNK_MESSAGES = _limit("MAX_CHUNK_MESSAGES", 2**21)
"""Messages in one chunk: a few KiB of zstd may stand for 34 million, each of which costs memory while it waits."""

MAX_OVERLAP_BYTES = _limit("MAX_OVERLAP_BYTES", 2**31)
"""Bytes of chunks that are held at once because their times overlap: those of recorders do so for a few MiB."""

MAX_UNPACKED_BYTES = _limit("MAX_UNPACKED_BYTES", 2**32)
"""Bytes that a file which is compressed as a whole may unpack to, if that is more than 200 times its own size."""
