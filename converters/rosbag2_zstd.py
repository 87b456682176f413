"""Zstandard as rosbag2 uses it: whole files in file compression mode, payloads in message compression mode."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import zstandard

from mediaref_tools.errors import LogError, OutputError

__all__ = ["ZSTD", "compress", "decompress", "decompressor", "deflated", "head", "inflated", "is_compressed", "plain"]

ZSTD = b"\x28\xb5\x2f\xfd"
"""The first bytes of a frame."""

_WINDOW = 1 << 27
"""Bytes of history that a frame may ask for: what zstd's own command grants."""
_PAYLOAD = 1 << 28
"""Bytes that one message may decompress to."""
_STEP = 1 << 20
_SLICE = 1 << 11
"""Compressed bytes that are taken at a time: few enough, for 4 of them may stand for 128 KiB."""
_ASK = 64 << 20
"""Bytes after which to ask again how much room there is."""


def decompressor() -> zstandard.ZstdDecompressor:
    """A decompressor with bounded memory, for one thread."""
    return zstandard.ZstdDecompressor(max_window_size=_WINDOW)


def plain(name: str) -> str:
    """The name of a storage file without `.zstd`."""
    return name.removesuffix(".zstd")


def is_compressed(path: Path) -> bool:
    """Whether a file is zstd, told by its first bytes.

    Raises:
        LogError: It can't be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(4) == ZSTD
    except OSError as error:
        raise LogError(f"file can't be read: {error.strerror}: {path}") from error


def head(path: Path) -> bytes:
    """The first 16 bytes of a file, of its content where it is compressed; b"" where it can't be read."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
            if start[:4] != ZSTD:
                return start
            file.seek(0)
            with decompressor().stream_reader(file) as content:
                return content.read(16)
    except (OSError, zstandard.ZstdError):
        return b""


def inflated(data: bytes, inflater: zstandard.ZstdDecompressor) -> bytes:
    """A message of message compression mode, decompressed; itself where it is not zstd, damaged or too large.

    Whoever reads a message that stayed as it was can tell by its first bytes.
    """
    if data[:4] != ZSTD:
        return data
    try:
        size = zstandard.frame_content_size(data)
        if size > _PAYLOAD:
            return data
        if size >= 0:
            return inflater.decompress(data)
        pieces, left = [], _PAYLOAD
        for piece in _content(iter((data,))):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                return data
    except (zstandard.ZstdError, MemoryError):
        return data
    return b"".join(pieces)


def deflated(data: bytes) -> bytes:
    """A message as message compression mode stores it."""
    return zstandard.ZstdCompressor().compress(data)


def decompress(path: Path, target: Path, spare: int) -> None:
    """Decompress a file.

    Args:
        path: What `compress` writes.
        target: The file to write.
        spare: Bytes to leave free on the target's disk: a small file may hold an endless run of zeros.

    Raises:
        LogError: It is no zstd file, a damaged one, or there is not enough room.
    """
    done = asked = 0
    try:
        with path.open("rb") as file, target.open("wb") as out:
            for piece in _content(iter(partial(file.read, _STEP), b"")):
                if done >= asked and shutil.disk_usage(target.parent).free < spare:
                    raise LogError(
                        f"compressed file did not fit on the disk of {tempfile.gettempdir()} after {done} bytes: "
                        f"free some, or set TMPDIR to a larger disk: {path}"
                    )
                asked = max(asked, done + _ASK)
                out.write(piece)
                done += len(piece)
    except zstandard.ZstdError as error:
        raise LogError(f"compressed file is damaged after {done} bytes of content ({error}): {path}") from error
    except OSError as error:
        raise LogError(f"file can't be decompressed: {error}: {path}") from error


def _content(data: Iterator[bytes]) -> Iterator[bytes]:
    """The content of some frames, piece by piece; zstd's own stream reader takes a cut frame for a whole one."""
    frame = decompressor().decompressobj()
    for large in data:
        view = memoryview(large)
        for start in range(0, len(view), _SLICE):
            rest: bytes | memoryview = view[start : start + _SLICE]
            while len(rest):
                if frame.eof:
                    frame = decompressor().decompressobj()
                yield frame.decompress(rest)
                rest = frame.unused_data
    if not frame.eof:
        raise zstandard.ZstdError("it is cut off")


def compress(path: Path, target: Path) -> None:
    """Compress a file as rosbag2's file mode does, and remove it.

    Raises:
        OutputError: The disk is full or the like.
    """
    try:
        with path.open("rb") as source, target.open("xb") as out:
            # rosbag2 refuses a frame that does not say how long its content is
            zstandard.ZstdCompressor().copy_stream(source, out, size=path.stat().st_size)
        path.unlink()
    except OSError as error:
        raise OutputError(f"file can't be compressed: {error.strerror}: {target}") from error
