"""Opening what a uri names: local files by path, everything else through fsspec, in ranges.

No file is downloaded whole to read a part of it, unless its server can't serve parts.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from mediaref_tools.errors import ExtraError, MediaError, MediaNotFound, MediarefError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.media.ranges import RangedFile
from mediaref_tools.media.uri import address, file_path, redacted, scheme, shown

__all__ = ["StorageOptions", "exists", "explained", "local_file", "open_remote", "read_bytes"]

StorageOptions = Mapping[str, Any]

_HEAD_BYTES = 512
_COPIED_BYTES = 2**20  # at a time
_CONNECT_SECONDS, _SILENT_SECONDS = 30.0, 60.0
_SECRET_LETTERS = 4  # fewer hide nothing, and are in too many words
_ABSENT = (404, 410)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hf"}


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
    with explained(uri, storage_options):
        return _opened(uri, storage_options, None)


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


def _opened(uri: str, storage_options: StorageOptions | None, limit: int | None) -> IO[bytes]:
    """Open a remote file; one that must be copied first may have `limit` bytes."""
    from fsspec.spec import AbstractBufferedFile

    def open_stream(**options: object) -> Any:
        filesystem, name = _filesystem(uri, storage_options)
        stream = filesystem.open(name, "rb", **options)
        with contextlib.suppress(AttributeError):
            stream.held = filesystem  # archives close themselves when nobody holds them
        return stream

    stream = open_stream(block_size=_COPIED_BYTES, cache_type="none")
    if isinstance(stream, AbstractBufferedFile) and stream.size is not None:
        ranges = _Ranges(stream, open_stream, uri, storage_options, limit)
        return cast("IO[bytes]", RangedFile(ranges.fetch, stream.size, ranges.close))
    if isinstance(stream, AbstractBufferedFile) or not stream.seekable():
        copy = _copied(stream, uri, limit)
        size = os.fstat(copy.fileno()).st_size
        return cast("IO[bytes]", RangedFile(lambda start, stop: _part(copy, start, stop), size, copy.close))
    # Files in memory are one object for all who open them, with one place to read from.
    return io.BytesIO(stream.getvalue()) if isinstance(stream, io.BytesIO) else cast("IO[bytes]", stream)


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
    """Bytes of a copy, wherever it stands: forked processes share that place."""
    return os.pread(copy.fileno(), stop - start, start)


class _Ranges:
    """Ranges of a remote file, or of a copy of it where its server sends no ranges."""

    def __init__(
        self,
        stream: Any,
        open_stream: Callable[..., Any],
        uri: str,
        storage_options: StorageOptions | None,
        limit: int | None,
    ) -> None:
        self._stream, self._open, self._uri, self._options = stream, open_stream, uri, storage_options
        self._limit, self._size = limit, stream.size
        self._is_copy = False
        self._process = os.getpid()

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes of `[start, stop)`."""
        with explained(self._uri, self._options):
            if self._process != os.getpid() and not self._is_copy:
                # fsspec's thread did not come along into the forked process: it would be waited for without end.
                self._stream = self._open(block_size=_COPIED_BYTES, cache_type="none", size=self._size)
                self._process = os.getpid()
            try:
                data = self._read(start, stop)
            except ValueError:
                if start == 0 or self._is_copy:
                    raise
                # The server answers with the whole file, whatever part it is asked for.
                self.close()
                self._stream = _copied(self._open(block_size=0, size=self._size), self._uri, self._limit)
                self._is_copy = True
                data = self._read(start, stop)
            if len(data) != stop - start:
                raise MediaError(
                    f"server sent {len(data)} of the {stop - start} bytes from {start} on, of {self._size} that it "
                    f"promised: {shown(self._uri)}"
                )
        return data

    def close(self) -> None:
        """Close what is open."""
        self._stream.close()

    def _read(self, start: int, stop: int) -> bytes:
        if self._is_copy:
            return _part(self._stream, start, stop)
        self._stream.seek(start)
        return cast("bytes", self._stream.read(stop - start))


@contextlib.contextmanager
def explained(uri: str, storage_options: StorageOptions | None = None) -> Iterator[None]:
    """Turn whatever a storage backend raises into our errors, which name the uri and tell no secrets.

    Backends raise what they like: OSError, ValueError, and their libraries' own exceptions.
    """
    try:
        yield
    except MediarefError:
        raise
    except Exception as error:
        reason = _reason(error)
        told = redacted(str(reason))
        for text in _texts(storage_options):
            if len(text) >= _SECRET_LETTERS and "://" not in text:
                told = told.replace(text, "…")
        # What a traceback shows of the cause is not redacted.
        hides = told != str(reason) or shown(uri) != uri
        raise _as_ours(uri, reason, told) from None if hides else error


def _as_ours(uri: str, error: BaseException, told: str) -> MediarefError:
    """Our error for a backend's, whose message is `told`."""
    status = getattr(error, "status", None)
    is_no_member = isinstance(error, KeyError) and scheme(uri) == "zip"  # as older fsspec tells it
    if isinstance(error, FileNotFoundError) or status in _ABSENT or is_no_member:
        return MediaNotFound(f"there is nothing at this address: {shown(uri)}")
    if isinstance(error, ImportError):
        # Of a chain, any of its schemes.
        extras = [_EXTRAS[name] for name in map(scheme, uri.split("::")) if name in _EXTRAS]
        how = f"pip install 'mediaref-tools[{extras[0]}]'" if extras else f"install its package ({told})"
        return ExtraError(f"reading {scheme(uri)}:// needs a package that is not installed: {how}: {shown(uri)}")
    if isinstance(error, TimeoutError):
        return MediaError(f"no answer in time: try again: {shown(uri)}")
    if isinstance(error, ValueError) and "rotocol not known" in told:
        return RefError(
            f"no storage is known for the scheme {scheme(uri)!r}: a file of that name is written with ./ before it: "
            f"{shown(uri)}"
        )
    if isinstance(status, int):
        return MediaError(f"server answers {status} {getattr(error, 'message', '')}: {shown(uri)}")
    return MediaError(f"can't be read ({type(error).__name__}: {told}): {shown(uri)}")


def _reason(error: Exception) -> BaseException:
    """What is behind an error: over HTTP, whatever goes wrong while a file is opened comes as FileNotFoundError."""
    cause = error.__cause__
    is_http = type(cause).__module__.startswith(("aiohttp", "yarl")) or isinstance(cause, (TimeoutError, ValueError))
    return cause if isinstance(error, FileNotFoundError) and cause is not None and is_http else error


def _texts(value: object) -> Iterator[str]:
    """The texts in nested options."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
