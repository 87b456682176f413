"""Opening what a uri names: local files by path, everything else through fsspec, in ranges.

No file is downloaded whole to read a part of it, unless its server can't serve parts.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from mediaref_tools.errors import ExtraError, MediaError, MediaNotFound, MediarefError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.uri import address, file_path, scheme, shown

__all__ = ["StorageOptions", "exists", "explained", "local_file", "open_remote", "read_bytes"]

StorageOptions = Mapping[str, Any]

_HEAD_BYTES = 512
_BLOCK_BYTES = 2**18  # about one GOP of camera video, so that a far frame costs a few requests
_BLOCKS = 32  # kept for each open file
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
    with explained(uri), cast("BinaryIO", path.open("rb")) if path else _opened(uri, storage_options) as stream:
        data = stream.read(_HEAD_BYTES)
        kind = sniff(data)
        if kind.startswith("video/") and kind != "video/annexb":  # whose magic is an icon's too
            raise RefError(f"this is a video ({kind}): a reference to one of its frames has pts_ns: {shown(uri)}")
        data += stream.read(MAX_STILL_BYTES + 1 - len(data))
    if len(data) > MAX_STILL_BYTES:
        raise MediaError(f"file is larger than {MAX_STILL_BYTES} bytes, too large for a still image: {shown(uri)}")
    return data


def exists(uri: str, storage_options: StorageOptions | None = None) -> bool:
    """Whether there is something where a uri points. What is embedded exists."""
    if scheme(uri) == "data":
        return True
    path = file_path(uri)
    if path is not None:
        try:
            return Path(path).exists()
        except OSError:
            return False
    with explained(uri):
        filesystem, name = _filesystem(uri, storage_options)
        return bool(filesystem.exists(name))


def open_remote(uri: str, storage_options: StorageOptions | None = None) -> IO[bytes]:
    """Open a file of any scheme that fsspec knows, for reading and seeking; parts are fetched as they are read.

    Raises:
        RefError: fsspec knows no such scheme.
        ExtraError: The scheme's package is not installed.
        MediaNotFound: There is no such file.
        MediaError: It can't be read.
    """
    with explained(uri):
        return _opened(uri, storage_options)


def _filesystem(uri: str, storage_options: StorageOptions | None) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # 0.1 s: local files do without it

    return cast("tuple[Any, str]", url_to_fs(address(uri), **(storage_options or {})))


def _opened(uri: str, storage_options: StorageOptions | None) -> IO[bytes]:
    filesystem, name = _filesystem(uri, storage_options)
    options = {"block_size": _BLOCK_BYTES, "cache_type": "blockcache", "cache_options": {"maxblocks": _BLOCKS}}
    stream = filesystem.open(name, "rb", **options)
    if stream.seekable():
        return cast("IO[bytes]", stream)
    # A server without ranges: the file comes whole, to disk, as nothing else lets a decoder seek in it.
    with stream:
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller, who closes it
        shutil.copyfileobj(stream, copy)
    copy.seek(0)
    return cast("IO[bytes]", copy)


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn whatever a storage backend raises into our errors, which name the uri.

    Backends raise what they like: OSError, ValueError, and their libraries' own exceptions.
    """
    try:
        yield
    except MediarefError:
        raise
    except FileNotFoundError as error:
        raise MediaNotFound(f"there is nothing at this address: {shown(uri)}") from error
    except ImportError as error:
        name = scheme(uri)
        extra = (
            f"pip install 'mediaref-tools[{_EXTRAS[name]}]'" if name in _EXTRAS else f"install its package ({error})"
        )
        raise ExtraError(f"reading {name}:// needs a package that is not installed: {extra}: {shown(uri)}") from error
    except TimeoutError as error:
        raise MediaError(f"no answer in time: try again: {shown(uri)}") from error
    except Exception as error:
        if isinstance(error, ValueError) and "rotocol not known" in str(error):
            raise RefError(
                f"no storage is known for the scheme {scheme(uri)!r}: "
                f"a file of that name is written with ./ before it: "
                f"{shown(uri)}"
            ) from error
        raise MediaError(f"can't be read ({type(error).__name__}: {error}): {shown(uri)}") from error
