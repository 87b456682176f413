"""Which uris are one, and which file they name: by example, by property, and against another RFC 3986 library."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pytest
import rfc3986
from hypothesis import assume, given
from hypothesis import strategies as st

from mediaref_tools import MediaRef
from mediaref_tools.errors import RefError
from mediaref_tools.media.uri import _new_form, address, file_path, is_relative, joined, normalised, scheme, shown

SCHEMES = st.sampled_from(["http", "HTTPS", "s3", "file", "x-y+1.z", "Memory"])
SEGMENTS = st.one_of(
    st.sampled_from(
        ["", ".", "..", "a", "A", "%41", "%2e", "%2E%2e", "%2f", "%C3%bc", "a:b", "~", "%7E", "b%20c", "..."]
    ),
    st.text("abAB.%:@-_~!$&'()*+,;=", max_size=6).map(lambda text: text.replace("%", "%25")),
)
HOSTS = st.sampled_from(
    ["", "h", "H", "Ex.Com", "ex%41m", "1.2.3.4", "[2001:DB8::1]", "u@H", "U:p%41@Ex.com:80", "bucket", "ex\u212a.com"]
)
TAILS = st.sampled_from(["", "?", "?q=%41/../B", "#", "#F%7e", "?a=A#b=%2f"])


@st.composite
def uris(draw: st.DrawFn) -> str:
    """URIs with a host, and paths full of dots and escapes."""
    path = "/".join(["", *draw(st.lists(SEGMENTS, max_size=6))])
    return f"{draw(SCHEMES)}://{draw(HOSTS)}{path}{draw(TAILS)}"


PATHS = st.builds(
    lambda root, parts: root + "/".join(parts), st.sampled_from(["", "/", "./", "//"]), st.lists(SEGMENTS)
)
REFERENCES = st.one_of(uris(), PATHS, st.text(min_size=1)).filter(bool)
"""What may stand in a reference's uri: sense and nonsense."""


def encodable(text: str) -> bool:
    return not re.search("[\ud800-\udfff]", text)


# Schemes and paths


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://h", "http"),
        ("HTTP://h", "http"),
        ("data:,x", "data"),
        ("urn:a", "urn"),
        ("x-1+2.3:y", "x-1+2.3"),
        ("a.png", ""),
        ("/a:b", ""),
        ("./a1:b.png", ""),
        ("C:/clip.mp4", ""),
        ("1a:b", ""),
        (":x", ""),
        ("", ""),
        ("é:x", ""),
        ("a b:c", ""),
    ],
)
def test_scheme(uri: str, name: str) -> None:
    assert scheme(uri) == name


@pytest.mark.parametrize("uri", ["a", "./a", "../a", "", "C:/a", "~/a"])
def test_is_relative(uri: str) -> None:
    assert is_relative(uri)


@pytest.mark.parametrize("uri", ["/a", "//a", "file:a", "s3://a", "data:,"])
def test_is_not_relative(uri: str) -> None:
    assert not is_relative(uri)


# Normalisation


@pytest.mark.parametrize(
    ("uri", "form"),
    [
        ("HTTP://User@EX.com:80/%7ea?Q=%41#%2f", "http://User@ex.com:80/~a?Q=A#%2F"),
        ("http://ex%41m%2F.com/", "http://exam%2F.com/"),
        ("http://h/a/./b/../../c/..", "http://h/"),
        ("http://h/..//x/", "http://h//x/"),
        ("http://h/%2e%2E/a", "http://h/a"),
        ("http://h?/../x", "http://h?/../x"),
        ("http://h#/../x", "http://h#/../x"),
        ("file:///a/../b", "file:///b"),
        ("http://[2001:DB8::A]/", "http://[2001:db8::a]/"),
        ("HTTP://\u212aELVIN/", "http://\u212aelvin/"),  # whose lower case is a plain k: another host
        ("x1:/.//h/a", "x1:/.//h/a"),
        ("x1:/a/..//h", "x1:/.//h"),
        ("urn:Isbn:%41", "urn:Isbn:A"),
        ("data:image/PNG;base64,%41", "data:image/PNG;base64,%41"),
        ("DATA:,%41/../b", "DATA:,%41/../b"),
        ("a/./b/../c", "a/c"),
        ("%41/a", "%41/a"),
        (".//a", "a"),
        ("a/..//b", "b"),
        (".//../a", "../a"),
        ("a//../b", "b"),
        ("a//b", "a//b"),
        ("../../a/..", "../.."),
        ("a/..", "."),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("a/.", "a/"),
        ("x/../a1:b", "./a1:b"),
        ("./a1:b", "./a1:b"),
    ],
)
def test_normalised(uri: str, form: str) -> None:
    assert normalised(uri) == form


@given(REFERENCES)
def test_normalised_is_idempotent(uri: str) -> None:
    once = normalised(uri)
    assert normalised(once) == once
    assert scheme(once) == scheme(uri)
    assert is_relative(once) == is_relative(uri)
    assert address(address(uri)) == address(uri)
    assert normalised(address(uri)) == once


@given(uris())
def test_normalised_agrees_with_the_rfc(uri: str) -> None:
    """Section 6.2.2: the case by the library `rfc3986`, dot segments by the RFC's own pseudocode.

    Escapes of unreserved characters, which that library leaves alone, are undone first. It drops an empty host.
    """
    assume(uri.isascii() and not re.search("://([/?#]|$)", uri))
    parts = rfc3986.uri_reference(re.sub("%[0-9A-Fa-f]{2}", _unreserved, uri))
    wanted = (
        parts.copy_with(path=None).normalize().copy_with(path=_remove_dot_segments(_upper(parts.path or "")) or None)
    )
    assert normalised(uri) == wanted.unsplit()


def _remove_dot_segments(path: str) -> str:
    """RFC 3986, 5.2.4, step by step."""
    out = ""
    while path:
        if path.startswith(("../", "./")):
            path = path[path.index("/") + 1 :]
        elif path.startswith("/./") or path == "/.":
            path = "/" + path[3:]
        elif path.startswith("/../") or path == "/..":
            path, out = "/" + path[4:], out[: max(out.rfind("/"), 0)]
        elif path in (".", ".."):
            path = ""
        else:
            end = path.find("/", 1)
            end = len(path) if end < 0 else end
            path, out = path[end:], out + path[:end]
    return out


def _upper(path: str) -> str:
    return re.sub("%[0-9A-Fa-f]{2}", lambda match: match[0].upper(), path)


def _unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if re.fullmatch("[A-Za-z0-9._~-]", character) else match[0]


@given(REFERENCES)
def test_what_needs_no_change_is_told_right(uri: str) -> None:
    """The short way out gives what the long way gives."""
    if scheme(uri) != "data":
        assert normalised(uri) == _new_form(uri, True)
        assert "::" in uri or address(uri) == _new_form(uri, False)


@given(uris(), uris())
def test_normalised_never_merges_what_another_library_tells_apart(one: str, other: str) -> None:
    if normalised(one) == normalised(other):
        undone = (re.sub("%[0-9A-Fa-f]{2}", _unreserved, uri) for uri in (one, other))
        first, second = (rfc3986.uri_reference(uri).normalize() for uri in undone)
        assert (first.scheme, first.host, first.userinfo, first.port) == (
            second.scheme,
            second.host,
            second.userinfo,
            second.port,
        )
        assert (first.query, first.fragment) == (second.query, second.fragment)


@given(st.lists(st.text("aB%/?#:@é \\", min_size=1, max_size=8).filter(lambda name: "/" not in name), min_size=1))
def test_normalised_leaves_a_path_without_dots_alone(names: list[str]) -> None:
    for path in ("/" + "/".join(names), "./" + "/".join(names)):
        assert file_path(path) in (path, path.removeprefix("./"))


@given(PATHS.filter(bool))
def test_a_path_names_what_the_system_says(path: str) -> None:
    """As `os.path.normpath` has it, which knows what several slashes are, but not that a slash ends a folder's name."""
    assume("\0" not in path and not scheme(path))
    found = file_path(path)
    assert found is not None
    # normpath keeps two slashes at the beginning apart, as POSIX lets a system do; this one does not.
    assert re.sub("^//", "/", os.path.normpath(found)) == re.sub("^//", "/", os.path.normpath(path))
    assert ".." not in PurePosixPath(found).parts or not found.startswith("/")
    assert "." not in found.removeprefix("./").split("/") or found == "."


@given(uris())
def test_a_host_and_what_is_not_a_path_survive(uri: str) -> None:
    form = normalised(uri)
    assert form.partition("?")[1] == uri.partition("?")[1]
    assert form.partition("#")[1] == uri.partition("#")[1]
    assert form.split("/")[2].count("@") == uri.split("/")[2].count("@")
    if "::" not in uri.replace("[2001:DB8::1]", ""):
        assert address(uri).split("/")[2].lower() == form.split("/")[2].lower()


# Files


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///data/a.png", "/data/a.png"),
        ("file:/data/a.png", "/data/a.png"),
        ("file://localhost/a.png", "/a.png"),
        ("FILE://LOCALHOST/a.png", "/a.png"),
        ("file:///a%20b%25.png", "/a b%.png"),
        ("file:///%C3%BC.png", "/ü.png"),
        ("file:///ü.png", "/ü.png"),
        ("file:///a%3Fb%23c.png", "/a?b#c.png"),
        ("file:///a/%2E%2E/b", "/b"),
        ("file:///%FF.png", "/\udcff.png"),
        ("a%20b.png", "a%20b.png"),
        ("/a?b#c", "/a?b#c"),
        ("C:\\a.png", "C:\\a.png"),
    ],
)
def test_file_path(uri: str, path: str) -> None:
    assert file_path(uri) == path


@pytest.mark.parametrize("uri", ["http://h/a", "s3://b/a", "data:,x", "memory://a"])
def test_file_path_of_no_file(uri: str) -> None:
    assert file_path(uri) is None


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("file://server/share/a.png", "names the host 'server'"),
        ("file://127.0.0.1/a.png", "names the host"),
        ("file://user@localhost/a.png", "names the host"),
        ("file:///a.png?x=1", "query or fragment.*%3F"),
        ("file:///a.png?", "query or fragment"),
        ("file:///a.png#1", "query or fragment.*%23"),
        ("file:a.png", "no absolute path"),
        ("file:", "no absolute path"),
        ("file://", "no absolute path"),
        ("file:///a%00b.png", "NUL"),
        ("a\0b.png", "NUL"),
    ],
)
def test_file_path_refuses(uri: str, said: str) -> None:
    with pytest.raises(RefError, match=said) as error:
        file_path(uri)
    assert shown(uri).replace("\0", "\\x00") in str(error.value)


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")))
def test_every_file_name_has_a_uri(name: bytes) -> None:
    path = Path("/data") / os.fsdecode(name)
    assert file_path(path.as_uri()) == str(path)


# Bases


@pytest.mark.parametrize(
    ("base", "uri", "whole"),
    [
        ("/data", "a/b.mp4", "/data/a/b.mp4"),
        ("/data/", "b.mp4", "/data/b.mp4"),
        ("/", "b.mp4", "/b.mp4"),
        ("", "b.mp4", "b.mp4"),
        ("rel", "b.mp4", "rel/b.mp4"),
        ("s3://bucket/run", "a b%.mp4", "s3://bucket/run/a b%.mp4"),
        ("memory://", "a.png", "memory://a.png"),
        ("file:///data", "a b%41?#.png", "file:///data/a%20b%2541%3F%23.png"),
        ("file:///", "ü:1.png", "file:///%C3%BC:1.png"),
        ("https://h/run/", "a%20b.png", "https://h/run/a%2520b.png"),
    ],
)
def test_joined(base: str, uri: str, whole: str) -> None:
    assert joined(base, uri) == whole


@given(st.text(min_size=1, max_size=20).filter(lambda name: encodable(name) and "\0" not in name and "/" not in name))
def test_a_file_base_means_the_folder_that_it_names(name: str) -> None:
    assume(name not in (".", "..") and not scheme(name))
    assert file_path(joined("file:///data", name)) == file_path(joined("/data", name))


def test_an_address_keeps_the_case_of_its_host() -> None:
    assert address("S3://Bucket/%61/../b") == "s3://Bucket/b"
    assert address("http://[2001:DB8::1]/a/../b") == "http://[2001:DB8::1]/b"


@pytest.mark.parametrize("uri", ["zip://A/../b.png::file:///x/../y.zip", "simplecache::s3://B/a/../%61", "data:,%61"])
def test_an_address_of_several_is_left_alone(uri: str) -> None:
    assert address(uri) == uri


def test_shown_is_short() -> None:
    assert shown("a.png") == "a.png"
    assert shown("data:image/png;base64," + "A" * 10_000).endswith("… (10022 characters)")
    assert len(shown("a" * 10**6)) < 100


# References


@given(REFERENCES.filter(encodable), st.none() | st.integers(0, 2**63 - 1))
def test_json_round_trip(uri: str, pts_ns: int | None) -> None:
    ref = MediaRef(uri=uri, pts_ns=pts_ns)
    for text in (ref.to_json(), ref.model_dump_json(), ref.to_json().encode()):
        back = MediaRef.model_validate_json(text)
        assert (back.uri, back.pts_ns) == (uri, pts_ns)
        assert back == ref
        assert hash(back) == hash(ref)


@given(st.lists(st.tuples(REFERENCES.filter(encodable), st.none() | st.integers(0, 2**63 - 1))))
def test_arrow_round_trip(rows: list[tuple[str, int | None]]) -> None:
    refs = [MediaRef(uri=uri, pts_ns=pts_ns) for uri, pts_ns in rows]
    media = pa.struct([("uri", pa.string()), ("pts_ns", pa.int64())])
    table = pa.table({"media": pa.array([ref.model_dump() for ref in refs], media)})
    with pa.BufferOutputStream() as out:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table)
        read = pa.ipc.open_file(out.getvalue()).read_all()
    assert read.schema.field("media").type == media
    back = [MediaRef.model_validate(row) for row in read["media"].to_pylist()]
    assert [(ref.uri, ref.pts_ns) for ref in back] == rows
    assert back == refs


@given(REFERENCES.filter(encodable), REFERENCES.filter(encodable))
def test_equal_references_have_one_hash(one: str, other: str) -> None:
    first, second = MediaRef(uri=one), MediaRef(uri=other)
    assert (first == second) == (second == first) == (normalised(one) == normalised(other))
    assert first != second or hash(first) == hash(second)
    assert MediaRef(uri=normalised(one)) == first
