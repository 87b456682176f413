"""Writing a log whose source is compressed as a whole: as it was, the copy is too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from mediaref_tools.errors import OutputError
from mediaref_tools.log import LogWriter, Loss, Message, Record
from mediaref_tools.restorable import RestoringWriter

from .packing import Packing, pack
from .scratch import flush

__all__ = ["PackedWriter"]


class _Writer(LogWriter, RestoringWriter, Protocol):
    """Both, as the containers' own writers are."""


class PackedWriter:
    """Has a log written beside its place, and compressed into it at last; see `mediaref_tools.log.LogWriter`.

    Args:
        start: Makes the writer of the plain file.
        out: The file to write.
        kind: How it will be compressed.

    Raises:
        OutputError: `out` exists, or can't be written.
    """

    def __init__(self, start: Callable[[Path], _Writer], out: Path, kind: Packing) -> None:
        if out.exists() or out.is_symlink():
            raise OutputError(f"log can't be written: expected a path with nothing there yet: {out}")
        self.losses: Sequence[Loss] = ()
        self._out, self._kind = out, kind
        self._building = out.with_name(f"{out.name}.building")
        self._writer = start(self._building)

    def copy(self, message: Message) -> None:
        """Take a message over unchanged."""
        self._writer.copy(message)

    def record(self, message: Message, record: Record) -> None:
        """Write a record in the place of an image message."""
        self._writer.record(message, record)

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write data in the place of a message."""
        self._writer.put(message, data)

    def commit(self) -> None:
        """Finish the plain file, compress it, and have it on the disk.

        Raises:
            LogError: The source can't be read any more.
            OutputError: The log can't be written.
        """
        self._writer.commit()
        pack(self._building, self._out, self._kind)
        flush(self._out)

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        self._writer.abort()
