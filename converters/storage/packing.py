"""Files that were compressed as a whole, gzip or zstd: told by their first bytes, whatever they are called.

`.mcap.zstd`, `.bag.gz`, and the files of rosbag2's file compression mode. What is left of one that was cut off is read.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol, cast

import zstandard

from mediaref_tools import limits
from mediaref_tools.errors import LogError, OutputError

__all__ = [
    "DAMAGE",
    "ENDINGS",
    "ZSTD",
    "Packing",
    "Unpacked",
    "content",
    "decompressor",
    "head",
    "pack",
    "packing",
    "plain",
    "unpack",
]

Packing = Literal["gzip", "zstd"]

ENDINGS: Final = (".zstd", ".zst", ".gz")
"""What the names of such files end with, beside the plain file's own ending."""

GZIP: Final = b"\x1f\x8b\x08"
"""The first bytes of a member, deflate being the only method that there is."""
ZSTD: Final = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame."""
DAMAGE: Final = (EOFError, zlib.error, zstandard.ZstdError)
"""What `content` raises."""

_WINDOW = 1 << 27
"""Bytes of history that a zstd frame may ask for: what zstd's own command grants."""
_STEP = 1 << 20
_SLICE = 1 << 9
"""Compressed bytes that are taken at a time: few enough, for 4 of them may stand for 128 KiB."""
_ASK = 64 << 20
"""Bytes after which to ask again how much room there is."""
_RATIO = 200
"""What a file may unpack to: so many times its own size, and `MAX_UNPACKED_BYTES` in any case."""


class Unpacked(NamedTuple):
    """A file's content, and what was wrong with the rest of it, if anything."""

    path: Path
    kind: Packing
    trouble: str | None


class _Stream(Protocol):
    """One gzip member or zstd frame."""

    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes | memoryview, /) -> bytes: ...


def decompressor() -> zstandard.ZstdDecompressor:
    """A zstd decompressor with bounded memory, for one thread."""
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW)


def plain(name: str) -> str:
    """The name of a file without the ending of its compression."""
    return next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)


def packing(start: bytes) -> Packing | None:
    """How a file with these first bytes is compressed; None if it isn't."""
    if start.startswith(GZIP):
        return "gzip"
    return "zstd" if start.startswith(ZSTD) else None


def head(path: Path) -> bytes:
    """The first 16 bytes of a file, of its content where it is compressed; b"" where it can't be read."""
    start = b""
    try:
        with path.open("rb") as file:
            first = file.read(_SLICE)
            kind = packing(first)
            if kind is None:
                return first[:16]
            file.seek(0)
            for piece in content(iter(partial(file.read, _SLICE), b""), kind):
                start += piece
                if len(start) >= 16:
                    break
    except (OSError, ValueError, *DAMAGE):  # ValueError: a NUL in the path
        pass
    return start[:16]


def unpack(path: Path, target: Path, kind: Packing, spare: int) -> str | None:
    """Decompress a file, as far as it can be.

    Args:
        path: What `pack` writes.
        target: The file to write.
        kind: How it is compressed.
        spare: Bytes to leave free on the target's disk.

    Returns:
        What is wrong with the part that could not be read, None if there is none.

    Raises:
        LogError: It holds nothing, or there is not enough room, or it unpacks to so much that it must be a bomb.
    """
    done, asked, trouble = 0, 0, None
    try:
        most = max(limits.MAX_UNPACKED_BYTES, _RATIO * path.stat().st_size)
        with path.open("rb") as file, target.open("wb") as out:
            try:
                for piece in content(iter(partial(file.read, _STEP), b""), kind):
                    if done >= asked and shutil.disk_usage(target.parent).free < spare:
                        raise LogError(
                            f"compressed file did not fit on the disk of {tempfile.gettempdir()} after {done} bytes: "
                            f"free some, or set TMPDIR to a larger disk: {path}"
                        )
                    asked = max(asked, done + _ASK)
                    out.write(piece)
                    done += len(piece)
                    if done > most:
                        raise LogError(
                            f"compressed file holds more than {most} bytes, expected at most {_RATIO} times its own "
                            f"size: it looks like a bomb; if it is none, raise MEDIAREF_MAX_UNPACKED_BYTES: {path}"
                        )
            except DAMAGE as error:
                trouble = f"compressed file is damaged after {done} bytes of content ({error})"
    except OSError as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"file can't be decompressed: {error}: {path}") from error
    if trouble and not done:
        raise LogError(f"{trouble}: {path}")
    return trouble


def _stream(kind: Packing) -> _Stream:
    return cast("_Stream", zlib.decompressobj(wbits=31) if kind == "gzip" else decompressor().decompressobj())


def content(data: Iterable[bytes], kind: Packing) -> Iterator[bytes]:
    """The content of some members or frames, piece by piece; zstd's own stream reader takes a cut frame for whole.

    Zeros behind the last one are none of it: files are padded, or were preallocated.

    Raises:
        One of `DAMAGE`, after all that could be read.
    """
    stream = _stream(kind)
    for large in data:
        view = memoryview(large)
        for start in range(0, len(view), _SLICE):
            rest: bytes | memoryview = view[start : start + _SLICE]
            while len(rest):
                if stream.eof:
                    if not any(rest):
                        break
                    stream = _stream(kind)
                yield stream.decompress(rest)
                rest = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError("it is cut off")


def pack(path: Path, target: Path, kind: Packing) -> None:
    """Compress a file, and remove it.

    Raises:
        OutputError: The disk is full or the like.
    """
    try:
        with path.open("rb") as source, target.open("xb") as out:
            if kind == "gzip":
                with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, filename="", mtime=0) as packed:
                    shutil.copyfileobj(source, packed, _STEP)
            else:
                # rosbag2 refuses a frame that does not say how long its content is
                zstandard.ZstdCompressor().copy_stream(source, out, size=path.stat().st_size)
        path.unlink()
    except OSError as error:
        raise OutputError(f"file can't be compressed: {error.strerror}: {target}") from error
