"""How much a hostile picture or log may cost: what is above these is refused before it is decoded or held.

No real log comes near them. One that does is read after the number was raised: `mediaref_tools.limits.NAME = …`.
"""

from __future__ import annotations

__all__ = ["MAX_CHUNK_BYTES", "MAX_CHUNK_MESSAGES", "MAX_OVERLAP_BYTES", "MAX_PIXELS", "MAX_STILL_BYTES"]

MAX_PIXELS = 2**27
"""Pixels of one picture: a header that claims more is damaged, or a bomb."""

MAX_STILL_BYTES = 2**28
"""Bytes of one still image, in a file or inside a data URI."""

MAX_CHUNK_BYTES = 2**29
"""Bytes that one chunk of a bag or MCAP file may hold, decompressed: recorders make chunks of a few MiB."""

MAX_CHUNK_MESSAGES = 2**21
"""Messages in one chunk: a few KiB of zstd may stand for 34 million, each of which costs memory while it waits."""

MAX_OVERLAP_BYTES = 2**31
"""Bytes of chunks that are held at once because their times overlap: those of recorders do so for a few MiB."""
