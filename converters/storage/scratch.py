"""Temporary files of a reader, and files that have to reach the disk."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path

from mediaref_tools.errors import LogError, OutputError

from .packing import Unpacked, packing, plain, unpack

__all__ = ["Scratch", "flush"]

_SPARE = 256 << 20
"""Bytes that are left free on the disk of temporary files."""


class Scratch:
    """A folder for temporary files, made when first used and removed on `close`, or when nobody holds it any more."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._remove: weakref.finalize[..., Scratch] | None = None

    def path(self, name: str, size: int) -> Path:
        """A path for a new file in a new folder.

        Raises:
            LogError: `size` bytes don't fit.
        """
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="mediaref-"))
                self._remove = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            free = shutil.disk_usage(self._folder).free - _SPARE
            if size > free:
                raise LogError(
                    f"{size} bytes of temporary files are needed, but only {max(free, 0)} are free on the disk of "
                    f"{tempfile.gettempdir()}: free some, or set TMPDIR to a larger disk"
                )
            return Path(tempfile.mkdtemp(dir=self._folder)) / name
        except OSError as error:
            raise LogError(f"no temporary folder can be made: {error}") from error

    def copy(self, path: Path, companions: Mapping[str, Path]) -> Path:
        """A copy of a file, with what belongs beside it: `companions` by what their names add to the file's.

        Raises:
            LogError: There is not enough room, or a file can't be read.
        """
        try:
            target = self.path(path.name, sum(each.stat().st_size for each in (path, *companions.values())))
            shutil.copyfile(path, target)
            for suffix, companion in companions.items():
                shutil.copyfile(companion, target.with_name(target.name + suffix))
        except OSError as error:
            raise LogError(f"file can't be copied for reading: {error}: {path}") from error
        return target

    def unpacked(self, path: Path) -> Unpacked | None:
        """The content of a file that is compressed as a whole, as far as it can be read; None where it isn't.

        Raises:
            LogError: It can't be read, nothing of it can, or there is not enough room.
        """
        try:
            with path.open("rb") as file:
                kind = packing(file.read(4))
        except OSError as error:
            raise LogError(f"file can't be read: {error.strerror}: {path}") from error
        if kind is None:
            return None
        target = self.path(plain(path.name), 0)
        return Unpacked(target, kind, unpack(path, target, kind, _SPARE))

    def close(self) -> None:
        """Remove the files."""
        self._folder = None
        if self._remove is not None:
            self._remove()


def flush(path: Path) -> None:
    """Have the system put a file or folder on the disk.

    Raises:
        OutputError: It can't.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise OutputError(f"file can't be flushed to the disk: {error.strerror}: {path}") from error
