"""Which references of others may be followed: those that stay in their own folder, and what the caller allows.

A log or dataset from a stranger may refer to any file of this machine and to any address in its network. Only relative
paths inside the folder of the log or dataset are followed, unless `allow` names more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from uritools import urisplit

from mediaref_tools.errors import TrustError
from mediaref_tools.media.uri import file_path, is_relative, joined, member, normalised, scheme, shown

__all__ = ["Trust", "inside", "inside_remote"]

_EVERYTHING = "*"


def inside(folder: Path, uri: str) -> Path:
    """The file that a relative path names, which must lie in a folder.

    Raises:
        TrustError: It leads out of it: absolute, with a scheme, by `..`, or through a symbolic link.
    """
    path = _inner(str(folder), uri)
    file = folder.joinpath(*path.parts)
    try:
        inner = file.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name that no file can have
        raise TrustError(f"uri {shown(uri)!r} names no file: {error}: {folder}") from error
    if not inner:
        raise TrustError(f"uri {shown(uri)!r} leads out of the folder through a link: {folder}")
    return file


def inside_remote(folder: str, uri: str) -> str:
    """The uri of what a relative path names, which must lie in a folder that a uri names.

    Raises:
        TrustError: It may lead out of it: as in `inside`, or by what means something in a uri, as an escaped `..`.
    """
    path = _inner(shown(folder), uri)
    if "::" in uri or not set(uri).isdisjoint("%?#"):
        raise TrustError(f"uri {shown(uri)!r} has an escape, a query or a chain in it: {shown(folder)}")
    return member(folder, str(path))


def _inner(folder: str, uri: str) -> PurePosixPath:
    path = PurePosixPath(uri)
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\\" in uri or "\0" in uri:
        raise TrustError(f"uri {shown(uri)!r} leads out of the folder: only paths inside of it are followed: {folder}")
    return path


class Trust:
    """Says which file or address a reference of others may open."""

    def __init__(self, base: Path, allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = ()) -> None:
        """Take what may be followed.

        Args:
            base: The folder that relative paths belong to; whatever really lies in it is allowed.
            allow: More that is: folders; schemes with their colon ("s3:"); beginnings of addresses that end at a
                slash or at the whole ("https://host/data"); "*" for everything, which alone allows fsspec's chains
                ("zip://a.png::https://host/b.zip").
        """
        self._base = base.absolute()
        entries = [os.fspath(entry) for entry in ([allow] if isinstance(allow, (str, os.PathLike)) else allow)]
        self._everything = _EVERYTHING in entries
        names = [(entry, scheme(entry)) for entry in entries if entry != _EVERYTHING]
        self._addresses = [normalised(entry) for entry, name in names if name not in ("", "file")]
        folders = [entry if not name else file_path(entry) or "" for entry, name in names if name in ("", "file")]
        self._folders = [Path(folder).resolve() for folder in folders]

    def resolved(self, uri: str, record: str) -> str:
        """What to open for a reference: an absolute path, an address, or the data URI that it is.

        Args:
            uri: Of the reference.
            record: What messages call the record that it stands in.

        Raises:
            TrustError: It may not be followed; the message names the record, and what would allow it.
            RefError: It is malformed.
        """
        kind = scheme(uri)
        if kind == "data":
            return uri
        if kind not in ("", "file"):
            if self._everything or ("::" not in uri and any(_begins(normalised(uri), one) for one in self._addresses)):
                return uri
            host = urisplit(uri).authority
            hint = _EVERYTHING if "::" in uri else f"{kind}://{host}/" if host and "@" not in host else f"{kind}:"
            raise self._refusal(uri, record, hint)
        if is_relative(uri):
            try:
                return str(inside(self._base, normalised(uri)))
            except TrustError:
                uri = joined(str(self._base), uri)
        path = Path(file_path(uri) or "")
        try:
            real = path.resolve()
        except (OSError, RuntimeError) as error:
            raise TrustError(f"{record} refers to {shown(uri)}, which names no file: {error}") from error
        if self._everything or any(real.is_relative_to(folder) for folder in (self._base.resolve(), *self._folders)):
            return str(path)
        raise self._refusal(uri, record, str(real.parent))

    def _refusal(self, uri: str, record: str, hint: str) -> TrustError:
        return TrustError(
            f"{record} refers to {shown(uri)}, which is not in its own folder {self._base}: the records of others are "
            f"followed no further, unless allow=[{hint!r}] (--allow {hint}) says so"
        )


def _begins(address: str, allowed: str) -> bool:
    """Whether an address lies under an allowed one; `https://host` allows nothing on `https://host.example`."""
    if allowed.rstrip("/").endswith(":"):
        return scheme(address) == scheme(allowed)
    begin = allowed.rstrip("/")
    return address == begin or address.startswith(f"{begin}/")
