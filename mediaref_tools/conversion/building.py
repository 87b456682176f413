"""A dataset while it is being built: all of it, or none."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from mediaref_tools.dataset.layout import FRAMES, MANIFEST, MEDIA
from mediaref_tools.errors import MediarefError, OutputError

__all__ = ["Building", "folder_bytes", "log_name"]

_MARKER = ".mediaref-partial"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Building:
    """The folder `<out>.partial`, which becomes `<out>` at `commit` and vanishes at the end of the block without it."""

    def __init__(self, out: Path, source: Path, *, overwrite: bool) -> None:
        """Look whether `out` is free.

        Raises:
            OutputError: It exists and may not be overwritten, or it and the source lie in each other.
        """
        try:
            ours, theirs = out.resolve(), source.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise OutputError(f"output can't be a folder: {error}: {str(out)!r}") from error
        if not ours.name:
            raise OutputError(f"output must be a folder of its own, not the root of a disk: {out}")
        out = out if out.name not in ("", "..") else ours
        self.out, self.source = out, source
        self.folder = out.with_name(out.name + ".partial")
        self._old = out.with_name(out.name + ".old")
        self._committed = False
        folders = (ours, ours.with_name(ours.name + ".partial"))
        if any(mine == theirs or mine in theirs.parents or theirs in mine.parents for mine in folders):
            raise OutputError(f"the output and the log may not lie in each other: {out} and {source}")
        if out.exists():
            if not overwrite:
                raise OutputError(f"output exists: choose another, or --overwrite it: {out}")
            if not (out / MANIFEST).is_file():
                raise OutputError(f"only a dataset may be overwritten, and this is none: {out}")
            if self._old.exists():
                raise OutputError(f"in the way of the dataset that is overwritten; move it away: {self._old}")
        if self.folder.exists() and not (self.folder / _MARKER).exists():
            raise OutputError(f"not left behind by a conversion, so it is not touched; move it away: {self.folder}")

    def __enter__(self) -> Self:
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True)
            (self.folder / _MARKER).touch()
        except OSError as error:
            raise OutputError(f"output folder can't be made: {error.strerror or error}: {self.folder}") from error
        return self

    @property
    def scratch(self) -> Path:
        """A folder for what is needed on the way only; gone at `commit`."""
        path = self.folder / ".scratch"
        path.mkdir(exist_ok=True)
        return path

    def commit(self) -> None:
        """Sync everything to disk and put it in place, in one rename.

        Raises:
            OutputError: That failed; `out` is as it was.
        """
        shutil.rmtree(self.scratch)
        (self.folder / _MARKER).unlink()
        for path in sorted(self.folder.rglob("*"), reverse=True):
            _sync(path)
        _sync(self.folder)
        old: Path | None = None
        if self.out.exists():
            old = self._old
            self.out.rename(old)
        self.folder.rename(self.out)
        self._committed = True
        _sync(self.out.parent)
        if old is not None:
            shutil.rmtree(old)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._committed:
            shutil.rmtree(self.folder, ignore_errors=True)
        full = isinstance(exc, OSError) and exc.errno in _FULL
        if full and not isinstance(exc, MediarefError):
            raise OutputError(
                f"no space left: nothing was left behind; free some, or choose another place: {self.out}"
            ) from exc


def log_name(source: Path) -> str:
    """What the rewritten log is called in the dataset: its own name, unless the dataset needs that for itself."""
    name = source.resolve().name
    return f"log-{name}" if name in (MANIFEST, FRAMES, MEDIA) or name.startswith(".") else name


def folder_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
