"""Opening what a uri names: local files by path, everything else through fsspec, in ranges.

No file is downloaded whole to read a part of it, unless its server can't serve parts.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from mediaref_tools.errors import MediaError, MediaNotFound, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.media.crew import Tools
from mediaref_tools.media.failures import StorageOptions, explained
from mediaref_tools.media.ranges import RangedFile
from mediaref_tools.media.uri import address, file_path, scheme, shown

__all__ = [
    "Ranges",
    "StorageOptions",
    "exists",
    "local_file",
    "open_ranges",
    "open_remote",
    "ranged_file",
    "read_bytes",
]

_HEAD_BYTES = 512
_COPIED_BYTES = 2**20  # at a time
_CONNECT_SECONDS, _SILENT_SECONDS = 30.0, 60.0


def local_file(uri: str) -> Path | None:
    """The file that a path or `file:` URI names; None for another scheme.

    Raises:
        RefError: A malformed file URI.
        MediaNotFound: There is no such file.
        MediaError: It is a folder, a pipe or a device.
    """
    path = file_path(uri)
    if path is None:
        return None
    try:
        file = Path(path)
        is_file, is_there = file.is_file(), file.exists()
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise MediaError(f"file can't be read: {error.strerror}: {shown(path)}") from error
    if is_file:
        return file
    if is_there:
        raise MediaError(f"not a regular file: {path}")
    raise MediaNotFound(f"no such file: {path}")


def read_bytes(uri: str, storage_options: StorageOptions | None = None) -> bytes:
    """All bytes of a still image.

    Raises:
        RefError: It is a video.
        MediarefError: As `open_remote` and `local_file`; or it is larger than a still may be.
    """
    path = local_file(uri)
    with (
        explained(uri, storage_options),
        cast("BinaryIO", path.open("rb")) if path else _opened(uri, storage_options, MAX_STILL_BYTES) as stream,
    ):
        data = stream.read(_HEAD_BYTES)
        kind = sniff(data)
        if kind.startswith("video/") and kind != "video/annexb":  # whose magic is an icon's too
            raise RefError(f"this is a video ({kind}): a reference to one of its frames has pts_ns: {shown(uri)}")
        data += stream.read(MAX_STILL_BYTES + 1 - len(data))
    if len(data) > MAX_STILL_BYTES:
        raise MediaError(f"file is larger than {MAX_STILL_BYTES} bytes, too large for a still image: {shown(uri)}")
    return data


def exists(uri: str, storage_options: StorageOptions | None = None) -> bool:
    """Whether there is something where a uri points. What is embedded exists.

    Raises:
        MediarefError: A storage can't be asked, or does not say.
    """
    if scheme(uri) == "data":
        return True
    path = file_path(uri)
    if path is not None:
        try:
            return Path(path).exists()
        except OSError:
            return False
    try:
        with explained(uri, storage_options):
            filesystem, name = _filesystem(uri, storage_options)
            filesystem.info(name)  # not `exists`, which says no where a server is down
    except MediaNotFound:
        return False
    return True


def open_remote(uri: str, storage_options: StorageOptions | None = None) -> IO[bytes]:
    """Open a file of any scheme that fsspec knows, for reading and seeking; parts are fetched as they are read.

    Raises:
        RefError: fsspec knows no such scheme.
        ExtraError: The scheme's package is not installed.
        MediaNotFound: There is no such file.
        MediaError: It can't be read.
    """
    return _opened(uri, storage_options, None)


def _opened(uri: str, storage_options: StorageOptions | None, limit: int | None) -> IO[bytes]:
    return ranged_file(open_ranges(uri, storage_options, limit))


def ranged_file(ranges: Ranges) -> IO[bytes]:
    """A file that reads ranges, which it closes."""
    return cast("IO[bytes]", RangedFile(ranges.fetch, ranges.size, ranges.close))


def open_ranges(uri: str, storage_options: StorageOptions | None = None, limit: int | None = None) -> Ranges:
    """Open a file of any scheme that fsspec knows, whose size its storage tells.

    Args:
        uri, storage_options: As in `open_remote`.
        limit: How many bytes it may have where it must be copied, as nothing else gives parts of it.

    Raises:
        MediarefError: As `open_remote`.
    """
    from fsspec.spec import AbstractBufferedFile

    with explained(uri, storage_options):
        filesystem, name = _filesystem(uri, storage_options)
        stream = _stream(filesystem, name, block_size=_COPIED_BYTES, cache_type="none")
        if isinstance(stream, io.BytesIO):  # in memory: one object for all who open it, with one place to read from
            return Ranges(uri, storage_options, stream.getbuffer().nbytes, limit)
        if isinstance(stream, AbstractBufferedFile):
            size = stream.size
        else:
            size = stream.seek(0, io.SEEK_END) if stream.seekable() else None
        if size is not None:
            return Ranges(uri, storage_options, size, limit, stream=stream)
        copy = _copied(stream, uri, limit)
        return Ranges(uri, storage_options, os.fstat(copy.fileno()).st_size, limit, copy=copy)


def _filesystem(uri: str, storage_options: StorageOptions | None) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # 0.1 s: local files do without it

    options = dict(storage_options or {})
    if scheme(uri) in ("http", "https"):
        options["client_kwargs"] = {"timeout": _http_timeout(), **(options.get("client_kwargs") or {})}
    return cast("tuple[Any, str]", url_to_fs(address(uri), **options))


def _http_timeout() -> object:
    """For a server that falls silent; a long file may take as long as it takes."""
    from aiohttp import ClientTimeout

    return ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS)


def _stream(filesystem: Any, name: str, **options: object) -> Any:
    stream = filesystem.open(name, "rb", **options)
    with contextlib.suppress(AttributeError):
        stream.held = filesystem  # archives close themselves when nobody holds them
    return stream


def _gives_parts(filesystem: Any) -> bool:
    """Whether `cat_file` fetches a part and no more: others open a file, which reads on; HTTP may send all there is."""
    names = {filesystem.protocol} if isinstance(filesystem.protocol, str) else set(filesystem.protocol)
    return "memory" in names or (bool(filesystem.async_impl) and not names & {"http", "https"})


def _copied(stream: Any, uri: str, limit: int | None) -> IO[bytes]:
    """A file on disk with all that a stream has, as nothing else lets a decoder seek in it; the stream is closed."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller, who closes it
    try:
        with stream:
            while data := stream.read(_COPIED_BYTES):
                copy.write(data)
                if limit is not None and copy.tell() > limit:
                    raise MediaError(f"file is larger than {limit} bytes: {shown(uri)}")
        copy.flush()
    except BaseException:
        copy.close()
        raise
    return cast("IO[bytes]", copy)


def _part(copy: IO[bytes], start: int, stop: int) -> bytes:
    """Bytes of a copy, wherever it stands: threads and forked processes share that place."""
    return os.pread(copy.fileno(), stop - start, start)


class Ranges:
    """Ranges of a remote file, or of a copy of it where its server sends no ranges. Any thread may ask; forks too."""

    def __init__(
        self,
        uri: str,
        storage_options: StorageOptions | None,
        size: int,
        limit: int | None = None,
        *,
        stream: Any = None,
        copy: IO[bytes] | None = None,
    ) -> None:
        """Take what is known; nothing is opened or asked for yet.

        Args:
            uri, storage_options, limit: As in `open_ranges`.
            size: Of the file, in bytes.
            stream, copy: What is open already: one that can seek, or a file on disk with all of it.
        """
        self.size = size
        self._uri, self._options, self._limit, self._copy = uri, storage_options, limit, copy
        self._start(stream)

    def _start(self, stream: Any = None) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._place: tuple[Any, str] | None = None
        self._streams = Tools(self._open)
        if stream is not None:
            self._streams.put(stream)

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of `[start, stop)`, fetched in this thread.

        Raises:
            MediarefError: As `open_remote`; or there are fewer.
        """
        with explained(self._uri, self._options):
            if self._process != os.getpid():
                # fsspec's thread did not come along into the forked process: it would be waited for without end.
                self._start()
            data = self._read(start, stop)
            if len(data) != stop - start:
                raise MediaError(
                    f"server sent {len(data)} of the {stop - start} bytes from {start} on, of {self.size} that it "
                    f"promised: {shown(self._uri)}"
                )
        return data

    def close(self) -> None:
        """Close what is open; who asks afterwards opens it anew. Safe to call again."""
        if self._process == os.getpid():
            for stream in self._streams.taken():
                stream.close()
        with self._lock:
            copy, self._copy = self._copy, None
        if copy is not None:
            copy.close()

    def _read(self, start: int, stop: int) -> bytes:
        if self._copy is None:
            filesystem, name = self._found()
            if _gives_parts(filesystem):
                return cast("bytes", filesystem.cat_file(name, start=start, end=stop))
            try:
                with self._streams.one() as stream:
                    stream.seek(start)
                    return cast("bytes", stream.read(stop - start))
            except ValueError:
                if start == 0:
                    raise
        # The server answers with the whole file, whatever part it is asked for.
        with self._lock:
            if self._copy is None:
                self._copy = _copied(self._open(block_size=0), self._uri, self._limit)
            return _part(self._copy, start, stop)

    def _found(self) -> tuple[Any, str]:
        if self._place is None:
            self._place = _filesystem(self._uri, self._options)
        return self._place

    def _open(self, block_size: int = _COPIED_BYTES) -> Any:
        filesystem, name = self._found()
        # Who is told the size need not ask for it.
        told = {"size": self.size} if scheme(self._uri) in ("http", "https") else {}
        return _stream(filesystem, name, block_size=block_size, cache_type="none", **told)
