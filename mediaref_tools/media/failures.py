"""What storage backends raise, turned into our errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from mediaref_tools.errors import ExtraError, MediaError, MediaNotFound, MediarefError, RefError
from mediaref_tools.media.uri import redacted, scheme, shown

__all__ = ["StorageOptions", "explained"]

StorageOptions = Mapping[str, Any]

_SECRET_LETTERS = 4  # fewer hide nothing, and are in too many words
_ABSENT = (404, 410)
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "hf": "hf"}


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
