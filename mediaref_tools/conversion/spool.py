"""Images that wait on the disk until their segment ends."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import OutputError
from mediaref_tools.image import ImageValue

__all__ = ["Spool"]


class _Entry(NamedTuple):
    image: ImageValue
    """Without its data."""
    pts_us: int
    offset: int
    size: int


class Spool:
    """Images in order, each with its time. For one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Make the file anew.

        Raises:
            OutputError: It can't be made.
        """
        self.bytes = 0
        self._path, self._entries = path, list[_Entry]()
        try:
            self._file = path.open("w+b")
        except OSError as error:
            raise OutputError(f"images can't be put aside: {error.strerror or error}: {path}") from error

    def __len__(self) -> int:
        return len(self._entries)

    def size(self, number: int) -> int:
        """Bytes of an image's data."""
        return self._entries[number].size

    def add(self, image: ImageValue, pts_us: int) -> None:
        """Put an image aside.

        Raises:
            OutputError: There is no room for it.
        """
        size = len(image.data)
        try:
            self._file.write(image.data)
        except OSError as error:
            raise OutputError(f"image can't be put aside: {error.strerror or error}: {self._path}") from error
        self._entries.append(_Entry(replace(image, data=b""), pts_us, self.bytes, size))
        self.bytes += size

    def read(self, number: int) -> tuple[ImageValue, int]:
        """An image and its time.

        Raises:
            OutputError: It can't be read back.
        """
        entry = self._entries[number]
        try:
            self._file.flush()
            data = os.pread(self._file.fileno(), entry.size, entry.offset)
        except OSError as error:
            raise OutputError(f"image can't be read back: {error.strerror or error}: {self._path}") from error
        if len(data) != entry.size:
            raise OutputError(f"image can't be read back: the file was cut: {self._path}")
        return replace(entry.image, data=data), entry.pts_us

    def close(self) -> None:
        """Remove the file. Safe to call again."""
        self._file.close()
        self._path.unlink(missing_ok=True)
