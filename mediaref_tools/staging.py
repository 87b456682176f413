"""Making a folder beside its place: locked while that goes on, and put in place by one rename."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mediaref_tools.errors import OutputError

__all__ = ["Staging", "folder_bytes", "remove", "sync"]

_MARK = ".mediaref-partial"


class Staging:
    """The folder `<out>.partial`: in it is `new`, which becomes `out` at `commit`; all else is on the way only.

    A mark in it says who makes it, and is locked while its process lives: the kernel lets go of it, however that ends.
    Killed at any moment, `out` is what it was, or whole, or (while it is replaced) back at the next run's start.
    """

    def __init__(self, out: Path, *, maker: str) -> None:
        """Touch nothing yet.

        Args:
            out: What is to be made.
            maker: What makes it: "conversion". Of what another kind has left, nothing is touched.
        """
        self.folder = out.with_name(f"{out.name}.partial")
        self.new = self.folder / "new"
        self.stays = False
        """Whether the folder is left for the next run where this one does not commit."""
        self._out, self._old = out, self.folder / "old"
        self._path, self._maker = self.folder / _MARK, maker
        self._mark: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Take the folder, and finish or undo what a run that was killed had begun to put in place.

        Raises:
            OutputError: Another process is at it, it is not ours, or it can't be made.
        """
        try:
            self._mark = self._claim()
            self._check_maker()
            self._put_back()
            if os.path.lexists(self._out) and not self.new.exists():  # killed after it was put in place
                self.clear()
        except OSError as error:
            self._release()
            if isinstance(error, OutputError):
                raise
            raise OutputError(f"output folder can't be made: {error.strerror or error}: {self.folder}") from error
        return self

    def _claim(self) -> IO[bytes]:
        while True:
            is_link = self.folder.is_symlink()
            if not is_link:
                self.folder.mkdir(parents=True, exist_ok=True)
            try:
                names = {path.name for path in self.folder.iterdir()}
                if is_link or (names and _MARK not in names):
                    raise OutputError(
                        "no conversion, export or restoration left this behind, so it is not touched; move it away: "
                        f"{self.folder}"
                    )
                mark = self._path.open("a+b")
            except FileNotFoundError:
                if is_link:
                    raise
                continue  # whoever had it has just removed the folder
            if not _lock(mark):
                mark.close()
                raise OutputError(
                    "another conversion, export or restoration is writing there right now: wait for its end, or choose "
                    f"another output: {self.folder}"
                )
            if self._path.exists() and os.path.samestat(os.fstat(mark.fileno()), self._path.stat()):
                return mark
            mark.close()  # it was another's, who has removed it meanwhile

    def _check_maker(self) -> None:
        maker = self._read()[0].decode(errors="replace")
        if maker not in ("", self._maker):
            raise OutputError(
                f"what an unfinished {maker} left is there, so no {self._maker} goes there: run that one again, or "
                f"remove it: {self.folder}"
            )

    def _put_back(self) -> None:
        if os.path.lexists(self._old):
            if os.path.lexists(self._out):
                remove(self._old)
            else:
                self._old.rename(self._out)

    @property
    def told(self) -> bytes:
        """What the mark says: what `tell` wrote, in this run or an earlier one; b"" in a fresh folder."""
        return self._read()[1]

    def _read(self) -> tuple[bytes, bytes]:
        """The mark's two lines: who makes it, and what was told."""
        assert self._mark is not None  # noqa: S101 - it is entered
        self._mark.seek(0)
        maker, end, text = self._mark.read().partition(b"\n")
        return (maker, text) if end else (b"", b"")  # a mark that was not written to its end says nothing

    def tell(self, text: bytes) -> None:
        """Write into the mark, for the next run."""
        assert self._mark is not None  # noqa: S101 - it is entered
        self._mark.truncate(0)
        self._mark.write(self._maker.encode() + b"\n" + text)
        self._mark.flush()
        os.fsync(self._mark.fileno())

    def clear(self) -> None:
        """Remove all that an earlier run left."""
        self.tell(b"")
        for path in self.folder.iterdir():
            if path != self._path:
                remove(path)

    def commit(self, *, replace: bool) -> None:
        """Put `new` at its place: where something is there, only to `replace` it.

        Raises:
            OutputError: Something is there, and may not be replaced.
            OSError: That failed. `out` is as it was.
        """
        try:
            if os.path.lexists(self._out):
                if not replace:
                    raise OutputError(
                        f"output has come into being meanwhile: choose another, or --overwrite it: {self._out}"
                    )
                self._out.rename(self._old)
            self.new.rename(self._out)
        except BaseException:
            self._put_back()
            raise
        self.stays = False
        sync(self._out.parent)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._put_back()  # where Ctrl-C came between two renames
            if not self.stays:
                self._vanish()
        except OSError:
            return  # the next run clears it
        finally:
            self._release()

    def _vanish(self) -> None:
        # The mark last, or nobody would know whose the rest is.
        self.clear()
        self._path.unlink()
        self.folder.rmdir()

    def _release(self) -> None:
        if self._mark is not None:
            self._mark.close()


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def folder_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _lock(mark: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False if another process has it."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True
