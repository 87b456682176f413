"""How much a hostile picture may cost: sizes above these are refused before anything is decoded."""

from __future__ import annotations

__all__ = ["MAX_PIXELS", "MAX_STILL_BYTES"]

MAX_PIXELS = 2**27
"""Pixels of one picture: a header that claims more is damaged, or a bomb."""

MAX_STILL_BYTES = 2**28
"""Bytes of one still image, in a file or inside a data URI."""
