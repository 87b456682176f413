"""Which references of others are followed: in their own folder, and where the caller says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediaref_tools.errors import DatasetError, RefError, TrustError
from mediaref_tools.media.trust import Trust

OUT = ("/etc/passwd", "../x.png", "a/../../x.png", "..", "file:///etc/passwd", "link/x.png", "file.png", "chain.png")
ADDRESSES = (
    "http://127.0.0.1/x.png",
    "https://host/x.png",
    "s3://bucket/x.png",
    "memory://x.png",
    "simplecache::https://host/x.png",
    "zip://x.png::https://host/a.zip",
    "ftp://host/x",
    "gopher:x",
    "http://[bad/x.png",
    "https://user:secret@host/x.png",
)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder with a file, a link out of it to a folder, one to a file, one through another, and one within."""
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (base / "sub" / "x.png").touch()
    outside = tmp_path / "base-outside"  # its name begins as the folder's does
    outside.mkdir()
    (outside / "x.png").touch()
    (base / "link").symlink_to(outside)
    (base / "file.png").symlink_to(outside / "x.png")
    (base / "chain.png").symlink_to(base / "file.png")
    (base / "within.png").symlink_to("sub/x.png")
    return base


@pytest.mark.parametrize("uri", ["sub/x.png", "./sub/x.png", "sub/../sub/x.png", "within.png", "not-there.png"])
def test_paths_inside_are_followed(base: Path, uri: str) -> None:
    opened = Path(Trust(base).resolved(uri, "a record"))
    assert opened.is_absolute()
    assert opened.resolve().is_relative_to(base)


def test_whatever_lies_inside_is_allowed_however_it_is_written(base: Path) -> None:
    for uri in (str(base / "sub" / "x.png"), f"file://{base}/sub/x.png", f"file://localhost{base}/sub/x%2Epng"):
        assert Path(Trust(base).resolved(uri, "a record")) == base / "sub" / "x.png"


def test_base_may_be_relative(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base.parent)
    assert Path(Trust(Path("base")).resolved("sub/x.png", "a record")) == base / "sub" / "x.png"
    assert Path(Trust(Path()).resolved("base/sub/x.png", "a record")) == base / "sub" / "x.png"


@pytest.mark.parametrize("uri", OUT)
def test_paths_that_lead_out_are_refused(base: Path, uri: str) -> None:
    with pytest.raises(TrustError, match=r"/cam frame 3 refers to .*--allow") as caught:
        Trust(base).resolved(uri, "/cam frame 3")
    assert isinstance(caught.value, PermissionError)
    assert isinstance(caught.value, DatasetError)
    assert "allow=[" in str(caught.value)


@pytest.mark.parametrize("uri", ADDRESSES)
def test_addresses_are_refused(base: Path, uri: str) -> None:
    with pytest.raises(TrustError, match=r"/cam frame 3 refers to .*--allow"):
        Trust(base).resolved(uri, "/cam frame 3")


@pytest.mark.parametrize("uri", [*OUT, *ADDRESSES])
def test_star_allows_everything(base: Path, uri: str) -> None:
    assert Trust(base, allow="*").resolved(uri, "a record")


@pytest.mark.parametrize("uri", OUT)
def test_what_the_message_says_allows_it(base: Path, uri: str) -> None:
    with pytest.raises(TrustError) as caught:
        Trust(base).resolved(uri, "a record")
    hint = str(caught.value).partition("--allow ")[2].partition(")")[0]
    assert Trust(base, allow=[hint]).resolved(uri, "a record")


@pytest.mark.parametrize("uri", ADDRESSES)
def test_what_the_message_says_allows_an_address(base: Path, uri: str) -> None:
    with pytest.raises(TrustError) as caught:
        Trust(base).resolved(uri, "a record")
    hint = str(caught.value).partition("--allow ")[2].partition(")")[0]
    assert Trust(base, allow=[hint]).resolved(uri, "a record") == uri


@pytest.mark.parametrize(
    ("allow", "uri", "follows"),
    [
        ("https://host/data", "https://host/data/x.png", True),
        ("https://host/data", "https://HOST/data/./x.png", True),
        ("https://host/data", "https://host/data", True),
        ("https://host/data/", "https://host/data/x.png", True),
        ("https://host/data", "https://host/database/x.png", False),
        ("https://host/data", "https://host/data/../secret", False),
        ("https://host/data", "https://host/data/%2e%2e/secret", False),
        ("https://host/data", "http://host/data/x.png", False),
        ("https://host", "https://host.example/x.png", False),
        ("https://host", "https://host@example.org/x.png", False),
        ("https://host", "https://host:8443/x.png", False),
        ("https://host/", "https://user@host/x.png", False),
        ("https:", "https://anywhere/x.png", True),
        ("https://", "https://anywhere/x.png", True),
        ("https:", "http://anywhere/x.png", False),
        ("s3:", "s3://bucket/x.png", True),
        ("s3://bucket", "s3://bucket-2/x.png", False),
        ("https:", "simplecache::https://anywhere/x.png", False),
        ("simplecache:", "simplecache::https://anywhere/x.png", False),
        ("memory://x.png", "memory://x.png", True),
    ],
)
def test_allowed_addresses_end_where_they_say(base: Path, allow: str, uri: str, follows: bool) -> None:
    trust = Trust(base, allow=allow)
    if follows:
        assert trust.resolved(uri, "a record") == uri
    else:
        with pytest.raises(TrustError):
            trust.resolved(uri, "a record")


def test_allowed_folders_end_where_they_say(base: Path) -> None:
    outside = base.parent / "base-outside"
    for allow in (outside, str(outside), f"file://{outside}", [base / "sub", outside]):
        trust = Trust(base, allow=allow)
        for uri in ("../base-outside/x.png", str(outside / "x.png"), f"file://{outside}/x.png", "link/x.png"):
            assert Path(trust.resolved(uri, "a record")).resolve() == outside / "x.png"
        with pytest.raises(TrustError):
            trust.resolved("/etc/passwd", "a record")
    (base.parent / "base-outside-2").mkdir()
    with pytest.raises(TrustError):
        Trust(base, allow=outside).resolved("../base-outside-2/x.png", "a record")


def test_what_is_embedded_is_not_asked(base: Path) -> None:
    assert Trust(base).resolved("data:image/png;base64,AAAA", "a record") == "data:image/png;base64,AAAA"


def test_malformed_and_impossible_names_are_told(base: Path) -> None:
    with pytest.raises(RefError, match="host"):
        Trust(base).resolved("file://elsewhere/x.png", "a record")
    loop = base / "loop"
    loop.symlink_to(loop)
    for uri in ("loop/x.png", "a\0b"):
        with pytest.raises((TrustError, RefError)):
            Trust(base).resolved(uri, "a record")
