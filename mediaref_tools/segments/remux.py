"""Stub until the camera room lands."""

from __future__ import annotations

from pathlib import Path

from mediaref_tools.errors import EncodeError
from mediaref_tools.segments.segment import SegmentFile

__all__ = ["RemuxWriter"]


class RemuxWriter:
    """Stub."""

    bytes_out = 0

    def __init__(self, path: Path, codec: str, config: bytes, width: int, height: int) -> None:
        raise EncodeError("not here yet")

    def add(self, data: bytes | memoryview, pts_us: int, dts_us: int, keyframe: bool) -> None:
        """Stub."""

    def close(self) -> SegmentFile:
        """Stub."""
        raise EncodeError("not here yet")

    def abort(self) -> None:
        """Stub."""
