"""What a reference's `uri` is: an RFC 3986 URI, an RFC 2397 data URI, or a POSIX path.

Source: MediaRef Specification 1.0, sections 2 and 4; RFC 3986, sections 4.3 (absolute-URI) and 6.2.2 (normalisation);
RFC 8089 (the file scheme).
"""

from __future__ import annotations

import re
from functools import lru_cache
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote, unquote_to_bytes

from uritools import urisplit, uriunsplit

from mediaref_tools.errors import RefError

__all__ = ["address", "file_path", "is_relative", "joined", "member", "normalised", "redacted", "scheme", "shown"]

# Two letters at least, so that `C:/clip.mp4` is a path; a file called `a1:b.png` is `./a1:b.png` (RFC 3986, 4.2).
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)  # not `lower`, which makes a k of the Kelvin sign
_PLAIN = re.compile(r"[a-z][a-z0-9+.-]+://[^A-Z%/?#]*(?:[/?#][^%]*)?\Z", re.DOTALL)
_BRACKETED = re.compile(r"\[[^\]]*\]")
_USER = re.compile(r"(?<=:)//[^/?#\s]*@")
_QUERY = re.compile(r"(:/[^?#\s]*)\?(?:(?!::)[^\s'\"])+")
_SHOWN = 100
_KEPT = 4096  # characters: no path is longer, and no cache is filled with more


def scheme(uri: str) -> str:
    """The scheme in lower case, or "" for a path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else ""


def is_relative(uri: str) -> bool:
    """Whether it is a relative path, which a base must complete."""
    return not scheme(uri) and not uri.startswith("/")


def shown(uri: str) -> str:
    """The uri as messages show it: without secrets, and cut, so that no embedded picture is spilled over the screen."""
    uri = uri if scheme(uri) in ("", "file", "data") else redacted(uri)
    return uri if len(uri) <= _SHOWN else f"{uri[: _SHOWN // 2]}… ({len(uri)} characters)"


def redacted(text: str) -> str:
    """A text in which the addresses lack what may be secret: user and password, and the query, as signed ones have."""
    return _QUERY.sub(r"\1?…", _USER.sub("//…@", text))


def normalised(uri: str) -> str:
    """The form in which two equivalent uris are equal.

    Scheme and host are folded to lower case, escapes of unreserved characters undone, the other escapes' digits put in
    upper case, and dot segments removed. A path is no URI: it has no escapes, and only its dot segments go. A data URI
    stays as it is.
    """
    return uri if scheme(uri) == "data" else _form(uri, True)


def address(uri: str) -> str:
    """The form in which a storage is asked for a uri, so that equivalent ones open one file.

    It is `normalised` but for the case of the host: many storages keep buckets or folders there, and tell their case
    apart. Chained addresses (`zip://a.png::s3://bucket/b.zip`) are no URIs, and stay as they are.
    """
    return uri if scheme(uri) == "data" or "::" in _BRACKETED.sub("", uri) else _form(uri, False)


def _form(uri: str, fold_host: bool) -> str:
    # Most are as they should be: told in a microsecond, which counts where references are put into sets.
    if "/." not in uri and (_PLAIN.match(uri) if "://" in uri else not scheme(uri) and uri[:1] != "."):
        return uri
    return (_kept_form if len(uri) <= _KEPT else _new_form)(uri, fold_host)


def _new_form(uri: str, fold_host: bool) -> str:
    if not scheme(uri):
        return _without_dots(uri)
    parts = urisplit(_ESCAPED.sub(_unescaped, uri))
    parts = parts.transform(uriunsplit(parts), strict=True)  # RFC 3986, 5.2.2: takes the dot segments out of the path
    authority, path = parts.authority, parts.path
    if authority is None:
        path = f"/.{path}" if path.startswith("//") else path  # else its first segment would become a host
    elif fold_host:
        user, at, host = authority.rpartition("@")
        authority = user + at + _ESCAPED.sub(lambda match: match[0].upper(), host.translate(_LOWER))
    return str(uriunsplit((scheme(uri), authority, path, parts.query, parts.fragment)))


_kept_form = lru_cache(maxsize=4096)(_new_form)


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    """A path without `.` and `..` segments, but for the `..` that a relative one begins with.

    Several slashes are one to a file system: `a//..` is the folder that `a` is in.
    """
    root = "/" if path.startswith("/") else ""
    kept: list[str] = []
    segments = path.removeprefix("/").split("/")
    for segment in segments:
        if segment == ".":
            continue
        if segment == "..":
            while kept and not kept[-1]:
                kept.pop()
            if kept and kept[-1] != "..":
                kept.pop()
            elif not root:
                kept.append(segment)
        elif segment or kept or root:  # a relative path that began with an empty segment would be an absolute one
            kept.append(segment)
    if segments[-1] in (".", "..") and kept and kept[-1] not in ("", ".."):
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
    path = normalised(uri) if not name else _file_uri_path(uri)
    if "\0" in path:
        raise RefError(f"path has a NUL character in it: {shown(uri)!r}")
    return path


def _file_uri_path(uri: str) -> str:
    parts = urisplit(normalised(uri))
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
    """A relative path, completed by a base folder: a path, or a URI of any scheme.

    A path's `%`, `?` and `#` are letters like others: they are escaped where a `file:` or `http:` URI gets them.
    """
    if scheme(base) in ("file", "http", "https"):
        uri = quote(uri, safe="/:@!$&'()*+,;=")
    slash = "" if not base or base.endswith("/") else "/"
    return f"{base}{slash}{uri}"


def member(folder: str, name: str) -> str:
    """The uri of a file in a folder that a uri names: before the query, and in the part of a chain that has a path."""
    at = _BRACKETED.sub(lambda match: "x" * len(match[0]), folder).find("::")
    head, chain = (folder, "") if at < 0 else (folder[:at], folder[at:])
    if chain and "://" not in head:
        return f"{head}::{member(chain[2:], name)}"
    path, query, secret = head.partition("?") if scheme(head) in ("http", "https") else (head, "", "")
    return f"{joined(path, name)}{query}{secret}{chain}"
