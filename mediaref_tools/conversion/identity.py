"""What a conversion is of, so that a run only goes on with what an earlier one of the same kind has finished."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from pydantic import BaseModel, ConfigDict

from mediaref_tools.dataset.manifest import Settings, Tool
from mediaref_tools.errors import LogError
from mediaref_tools.plaintext import encodable

__all__ = ["Digest", "Identity", "SourceFile", "this_tool"]

_BLOCK = 2**20


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceFile(_Model):
    """One file of a log, as the file system has it: its name is relative to the log."""

    name: str
    bytes: int
    mtime_ns: int


class Identity(_Model):
    """What must be the same for one run's finished segments to be another's: all that their bytes depend on."""

    tool: Tool
    settings: Settings
    source: str
    files: tuple[SourceFile, ...]
    threads: int
    """That all encoders share: a run that goes on with another's segments has as many, whatever machine it is on."""

    @classmethod
    def of(cls, source: Path, settings: Settings, threads: int = 1) -> Self:
        """That of a conversion which begins now.

        Raises:
            LogError: The log can't be looked at.
        """
        return cls(
            tool=this_tool(),
            settings=settings,
            source=encodable(source.resolve().name),
            files=tuple(_listing(source)),
            threads=threads,
        )

    def differences(self, earlier: Identity) -> list[str]:
        """How an earlier run differs in what one must agree on, in words."""
        found = [
            f"its {name} is {getattr(earlier.settings, name)!r}, not {getattr(self.settings, name)!r}"
            for name in Settings.model_fields
            if getattr(earlier.settings, name) != getattr(self.settings, name)
        ]
        if earlier.tool != self.tool:
            found.append(f"it was made by {_version(earlier.tool)}, not {_version(self.tool)}")
        if self._sizes != earlier._sizes:
            found.append(f"it is of {earlier._described}, not {self._described}")
        return found

    def is_touched(self, earlier: Identity) -> bool:
        """Whether the log has the times of another one, so that only its content can tell whether it is the same."""
        return self.files != earlier.files

    @property
    def _sizes(self) -> tuple[str, list[tuple[str, int]]]:
        return self.source, [(file.name, file.bytes) for file in self.files]

    @property
    def _described(self) -> str:
        return f"the log {self.source} of {sum(file.bytes for file in self.files)} bytes"


def this_tool() -> Tool:
    """What this is that converts."""
    return Tool(
        version=version("mediaref-tools"),
        av=av.__version__,
        libavcodec=".".join(map(str, av.library_versions["libavcodec"])),
    )


def _version(tool: Tool) -> str:
    return f"{tool.name} {tool.version} with PyAV {tool.av} and libavcodec {tool.libavcodec}"


def _listing(source: Path) -> Iterator[SourceFile]:
    try:
        for path in _files(source):
            status = path.stat()
            name = "" if path == source else encodable(path.relative_to(source).as_posix())
            yield SourceFile(name=name, bytes=status.st_size, mtime_ns=status.st_mtime_ns)
    except OSError as error:
        raise LogError(f"log can't be read: {error.strerror or error}: {source}") from error


def _files(source: Path) -> list[Path]:
    if source.is_dir():
        return [path for path in sorted(source.rglob("*")) if path.is_file()]
    return [source]


class Digest:
    """The sha256 of a log, taken by a thread beside other work; leaving the block stops it.

    Of a folder, it is over the sorted lines of `sha256 size name` of its files.
    """

    def __init__(self, source: Path, note: Path | None = None) -> None:
        """`note` is a file to write it to as well, once it is known."""
        self._source, self._note = source, note
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="digest")

    def __enter__(self) -> Self:
        self._future = self._pool.submit(self._run)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def result(self) -> str:
        """Wait for it.

        Raises:
            LogError: The log can't be read.
        """
        try:
            return self._future.result()
        except OSError as error:
            raise LogError(f"log can't be read: {error.strerror or error}: {self._source}") from error

    def _run(self) -> str:
        if self._source.is_dir():
            lines = [
                f"{self._file(path)} {path.stat().st_size} {path.relative_to(self._source).as_posix()}\n"
                for path in _files(self._source)
            ]
            sha256 = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        else:
            sha256 = self._file(self._source)
        if self._note is not None and not self._stopped.is_set():
            with suppress(OSError):  # a help for the next run, no more
                self._note.write_text(sha256)
        return sha256

    def _file(self, path: Path) -> str:
        found = hashlib.sha256()
        block = memoryview(bytearray(_BLOCK))
        with path.open("rb", buffering=0) as stream:
            while (size := stream.readinto(block)) and not self._stopped.is_set():
                found.update(block[:size])
        return found.hexdigest()
