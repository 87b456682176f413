"""A dataset while it is being built: all of it, or none; and what a run that is stopped leaves for the next."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pydantic import ValidationError

from mediaref_tools.conversion.identity import Digest, Identity
from mediaref_tools.conversion.journal import Journal
from mediaref_tools.dataset.layout import FRAMES, MANIFEST, MEDIA
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.errors import LogError, MediarefError, OutputError
from mediaref_tools.staging import Staging, remove, sync

__all__ = ["Building", "log_name", "tidy"]

_MAKER: Final = "conversion"
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_OUTSIDE: Final = (OSError, LogError, MemoryError)
"""Errors of the disk, the log or the machine: what was finished before them is right. Of others, nobody knows."""


class Building:
    """The folder in `<out>.partial` that becomes `<out>` at `commit`.

    Where the block ends without it, by Ctrl-C or an error of the disk or the source, what is finished stays for the
    next run; after any other error nothing does, since what was made may be wrong.
    """

    def __init__(
        self, out: Path, source: Path, settings: Settings, *, overwrite: bool, resume: bool, threads: int = 1
    ) -> None:
        """Look whether `out` is free. `threads` is how many a conversion that begins anew has.

        Raises:
            OutputError: It exists and may not be overwritten, or it and the source lie in each other.
        """
        try:
            ours, theirs = out.resolve(), source.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise OutputError(f"output can't be a folder: {error}: {str(out)!r}") from error
        if not ours.name:
            raise OutputError(f"output must be a folder of its own, not the root of a disk: {out}")
        self.out = out if out.name not in ("", "..") else ours
        self.source = source
        self._identity = Identity.of(source, settings, threads)
        self._overwrite, self._resume = overwrite, resume
        self._staging = Staging(self.out, maker=_MAKER)
        self.folder = self._staging.new
        self.journal = Journal(self._staging.folder / "journal", self.folder)
        self.digest_note = self._staging.folder / "source.sha256"
        self._committed = False
        folders = (ours, ours.with_name(ours.name + ".partial"))
        if any(mine == theirs or mine in theirs.parents or theirs in mine.parents for mine in folders):
            raise OutputError(f"the output and the log may not lie in each other: {self.out} and {source}")
        if not os.path.lexists(self._staging.folder):  # one that was killed may have to put the old dataset back first
            self._check_out()

    def _check_out(self) -> None:
        if not os.path.lexists(self.out):  # unlike Path.exists, it raises nothing where a name is too long
            return
        if not self._overwrite:
            raise OutputError(f"output exists: choose another, or --overwrite it: {self.out}")
        if not (self.out / MANIFEST).is_file():
            raise OutputError(f"only a dataset may be overwritten, and this is none: {self.out}")

    def __enter__(self) -> Self:
        """Take the folder, with what an earlier run left in it.

        Raises:
            OutputError: Another run is at it, or it was left by one of another log, of other settings or by another
                version.
        """
        self._staging.__enter__()
        try:
            self._check_out()
            if not self._resume or not self._staging.told:
                self._staging.clear()
                self._staging.tell(self._identity.model_dump_json().encode())
            else:
                self._check_same(self._staging.told)
            self.folder.mkdir(exist_ok=True)
        except BaseException as error:
            self._staging.stays = bool(self._staging.told)
            self._staging.__exit__(None, None, None)
            if isinstance(error, OSError) and not isinstance(error, OutputError):
                raise OutputError(f"output folder can't be made: {error.strerror or error}: {self.folder}") from error
            raise
        return self

    def _check_same(self, told: bytes) -> None:
        try:
            earlier = Identity.model_validate_json(told)
        except ValidationError:
            differences = ["it was made by another version"]
        else:
            differences = self._identity.differences(earlier)
            self._identity = self._identity.model_copy(update={"threads": earlier.threads})
            if not differences and self._identity.is_touched(earlier) and not self._is_same_log():
                differences = [f"{self.source.name} has changed since"]
            elif not differences and self._identity.is_touched(earlier):
                self._staging.tell(self._identity.model_dump_json().encode())
        if differences:
            raise OutputError(
                f"there is an unfinished conversion, but {'; '.join(differences)}: run that one again, or give "
                f"--no-resume to throw it away: {self._staging.folder}"
            )

    def _is_same_log(self) -> bool:
        try:
            earlier = self.digest_note.read_text()
        except OSError:
            return False
        with Digest(self.source) as digest:
            return digest.result() == earlier

    @property
    def threads(self) -> int:
        """How many all encoders share: as many as when the conversion began."""
        return self._identity.threads

    @property
    def scratch(self) -> Path:
        """A folder for what is needed on the way only; gone at `commit`."""
        path = self._staging.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    def sweep(self, uris: Collection[str]) -> None:
        """Remove all that an earlier run left in the dataset's folder, except for these segments."""
        kept = {self.folder / uri for uri in uris}
        for path in self.folder.iterdir():
            if path.name != MEDIA:
                remove(path)
        for path in sorted((self.folder / MEDIA).rglob("*"), reverse=True):
            if path not in kept and not any(path in one.parents for one in kept):
                remove(path)

    def commit(self) -> None:
        """Sync everything to disk and put it in place, in one rename.

        Raises:
            LogError: The log has changed since it was begun with.
            OutputError: That failed; `out` is as it was.
        """
        if self._is_changed():
            raise LogError(self._changed)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            sync(path)
        sync(self.folder)
        self._staging.commit(replace=self._overwrite)
        self._committed = True

    def _is_changed(self) -> bool:
        """Whether somebody has written to the log meanwhile. One that is gone is not changed: all of it was read."""
        try:
            now = Identity.of(self.source, self._identity.settings)
        except LogError:
            return False
        return bool(now.differences(self._identity)) or (now.is_touched(self._identity) and not self._is_same_log())

    @property
    def _changed(self) -> str:
        return f"log changed while it was converted: convert it again once nothing writes to it: {self.source}"

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stopped = not self._committed and (isinstance(exc, _OUTSIDE) or not isinstance(exc, Exception))
        changed = exc is not None and not self._committed and self._is_changed()
        self._staging.stays = stopped and not changed and not self.journal.is_empty
        self._staging.__exit__(exc_type, exc, traceback)
        if changed and isinstance(exc, Exception):
            raise LogError(self._changed) from exc
        if isinstance(exc, OSError) and exc.errno in _FULL and not isinstance(exc, MediarefError):
            exc = OutputError(f"no space left: free some, or choose another place: {self.out}")
        if self._staging.stays and exc is not None:
            exc.add_note(
                f"what is finished stays in {self._staging.folder}: the same conversion goes on from there, or begins "
                "anew with --no-resume"
            )
        if isinstance(exc, OutputError) and exc_type is not type(exc):
            raise exc


def tidy(out: Path) -> None:
    """Remove what a conversion left beside its dataset that was killed just after it had put it in place."""
    staging = Staging(out, maker=_MAKER)
    if os.path.lexists(staging.folder):
        with suppress(OutputError), staging:
            staging.stays = staging.new.exists()


def log_name(source: Path) -> str:
    """What the rewritten log is called in the dataset: its own name, unless the dataset needs that for itself."""
    name = source.resolve().name
    return f"log-{name}" if name in (MANIFEST, FRAMES, MEDIA) or name.startswith(".") else name
