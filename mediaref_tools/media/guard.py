"""A file for libavformat that raises nothing into it: what went wrong is kept, and raised once libavformat is left.

libavformat takes errors for what it likes, tries again, and keeps some; PyAV writes to stderr what comes twice.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

__all__ = ["GuardedFile"]


class GuardedFile:
    """Passes reads on. After one that failed the file seems to be at its end, until `checked` told the failure."""

    def __init__(self, file: IO[bytes]) -> None:
        """Take over a file that can seek; `close` closes it."""
        self._file = file
        self._failure: Exception | None = None

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Around what reads: raises what a read raised meanwhile, in place of all that came of it."""
        try:
            yield
        finally:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none where they can't be read."""
        if self._failure is not None:
            return b""
        try:
            return self._file.read(size)
        except Exception as error:
            self._failure = error
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; -1 where that can't be done."""
        try:
            return self._file.seek(offset, whence)
        except Exception as error:
            self._failure = self._failure or error
            return -1

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
