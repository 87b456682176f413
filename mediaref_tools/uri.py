"""What a reference's `uri` is: an RFC 3986 URI, an RFC 2397 data URI, or a POSIX path.

Source: MediaRef Specification 1.0, sections 2 and 4; RFC 3986, sections 4.3 (absolute-URI) and 6.2.2 (normalisation);
RFC 8089 (the file scheme).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from uritools import urisplit, uriunsplit

from mediaref_tools.errors import RefError

__all__ = ["file_path", "is_relative", "joined", "normalised", "scheme", "shown"]

# Two letters at least, so that `C:/clip.mp4` is a path; a file called `a1:b.png` is `./a1:b.png` (RFC 3986, 4.2).
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SHOWN = 100


def scheme(uri: str) -> str:
    """The scheme in lower case, or "" for a path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def is_relative(uri: str) -> bool:
    """Whether it is a relative path, which a base must complete."""
    return not scheme(uri) and not uri.startswith("/")


def shown(uri: str) -> str:
    """The uri as messages show it: a long one is cut, an embedded picture is not spilled over the screen."""
    return uri if len(uri) <= _SHOWN else f"{uri[: _SHOWN // 2]}… ({len(uri)} characters)"


@lru_cache(maxsize=4096)
def _normalised(uri: str) -> str:
    if not scheme(uri):
        return _without_dots(uri)
    parts = urisplit(_ESCAPED.sub(_unescaped, uri))
    parts = parts.transform(uriunsplit(parts), strict=True)  # RFC 3986, 5.2.2: takes the dot segments out of the path
    user, at, host = (parts.authority or "").rpartition("@")
    authority = (
        None if parts.authority is None else user + at + _ESCAPED.sub(lambda match: match[0].upper(), host.lower())
    )
    return str(uriunsplit((scheme(uri), authority, parts.path, parts.query, parts.fragment)))


def normalised(uri: str) -> str:
    """The form in which two equivalent uris are equal, and which is safe to open in their place.

    Scheme and host are folded to lower case, escapes of unreserved characters undone, the other escapes' digits put in
    upper case, and dot segments removed. A path is no URI: it has no escapes, and only its dot segments go. A data URI
    stays as it is.
    """
    return uri if scheme(uri) == "data" else _normalised(uri)


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """A path without `.` and `..` segments, but for the `..` that a relative one begins with."""
    root = "/" if path.startswith("/") else ""
    kept: list[str] = []
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment != "..":
            kept += [segment] if segment != "." else []
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not root:
            kept.append(segment)
    if segments[-1] in (".", "..") and kept and kept[-1] != "..":
        kept.append("")  # it names a folder, and goes on to say so
    clean = root + "/".join(kept) or "."
    return f"./{clean}" if scheme(clean) else clean


def file_path(uri: str) -> str | None:
    """The local path that a path or a `file:` URI names, dot segments removed; None for any other scheme.

    Raises:
        RefError: A file URI of another host, with a query or a fragment, or not absolute; or a NUL in the path.
    """
    name = scheme(uri)
    if name not in ("", "file"):
        return None
    path = _normalised(uri) if not name else _file_uri_path(uri)
    if "\0" in path:
        raise RefError(f"path has a NUL character in it: {shown(uri)!r}")
    return path


def _file_uri_path(uri: str) -> str:
    parts = urisplit(_normalised(uri))
    if parts.authority not in (None, "", "localhost"):
        raise RefError(
            f"file URI names the host {parts.authority!r}: only this machine's files can be read, as file:///path: "
            f"{shown(uri)}"
        )
    if parts.query is not None or parts.fragment is not None:
        raise RefError(
            f"file URI has a query or fragment: '?' in a file's name is written %3F, '#' is written %23: {shown(uri)}"
        )
    if not parts.path.startswith("/"):
        raise RefError(f"file URI has no absolute path: write file:///path: {shown(uri)}")
    return unquote_to_bytes(parts.path).decode("utf-8", "surrogateescape")


def joined(base: str, uri: str) -> str:
    """A relative path, completed by a base folder: a path, or a URI of any scheme."""
    return f"{base.rstrip('/')}/{uri}" if base.rstrip("/") else f"/{uri}" if base else uri
