"""Names inside a dataset folder: made by one function, followed by another, which trusts nobody."""

from __future__ import annotations

import re
import string
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urljoin

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from mediaref_tools.dataset.layout import segment_uri, topic_folder
from mediaref_tools.errors import DatasetError
from mediaref_tools.media.trust import inside

# RFC 3986's unreserved characters: they mean themselves in paths and URIs alike.
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")
# What a container can hold: any bytes, those that are not UTF-8 as surrogates.
NAMES = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=40).map(lambda name: name.decode("utf-8", "surrogateescape")),
    st.text(alphabet="/~-_.aA2FfEeD ", max_size=8),
)


def unfolded(name: str) -> str:
    """The topic of a folder, by the docstring's rules read backwards: what can be undone is injective."""
    if name == "~":
        return "/"
    slash, body = ("", name[2:]) if name.startswith("~~") else ("/", name)
    parts = re.findall(r"~[0-9A-F]{2}|.", body)
    codes = bytes(int(part[1:], 16) if len(part) == 3 else ord("/" if part == "-" else part) for part in parts)
    return slash + codes.decode("utf-8", "surrogateescape")


@given(NAMES)
@example("/")
@example("/.")
@example("/~2F")
@example("//-_.~")
@example("~~/.")
def test_a_folder_tells_its_topic(topic: str) -> None:
    folder = topic_folder(topic)
    assert len(folder) <= 200
    if not re.search(r"~~[0-9a-f]{32}$", folder):  # too long to be spelled out
        assert unfolded(folder) == topic


@given(NAMES, NAMES)
@example("/a/b", "/a_b")
@example("/a/b", "/a-b")
@example("/a/b", "a/b")
@example("/", "/~2F")
@example("/", "")
@example("//", "/")
@example("/.", "/~2E")
@example(".a", "/.a")
@example("/~~a", "a")
@example("/é", "/e\u0301")
@example("/\udcff", "/ÿ")
@example("/a\n", "/a")
def test_different_topics_have_different_folders(one: str, other: str) -> None:
    assert (topic_folder(one) == topic_folder(other)) == (one == other)


@given(NAMES)
@example("")
@example("/")
@example("/.")
@example("/..")
@example("..")
@example("//")
@example("//a")
@example("/../../etc")
@example("\0")
@example("/C:\\x")
def test_a_folder_is_one_plain_visible_name(topic: str) -> None:
    name = topic_folder(topic)
    assert name
    assert set(name) <= UNRESERVED
    assert not name.startswith((".", "-"))
    assert PurePosixPath(name).parts == (name,)
    assert quote(name, safe="") == unquote(name) == name


@given(st.text(alphabet="abc/_.é ", max_size=12), st.text(alphabet="abc/_.é ", max_size=12))
def test_a_topic_below_another_does_not_get_a_folder_below_it(one: str, other: str) -> None:
    assume(one != other)
    assert topic_folder(one) not in PurePosixPath(segment_uri(other, 0)).parts


def test_names_people_see() -> None:
    assert topic_folder("/camera/image_raw") == "camera-image_raw"
    assert topic_folder("camera/image_raw") == "~~camera-image_raw"
    assert topic_folder("/a b") == "a~20b"
    assert topic_folder("/é") == "~C3~A9"
    assert topic_folder("/") == "~"
    assert topic_folder("/.x") == "~2Ex"
    assert segment_uri("/camera/image_raw", 7) == "media/camera-image_raw/000007.mp4"
    assert segment_uri("/c", 1_000_000) == "media/c/1000000.mp4"


@pytest.mark.parametrize("topic", ["/" + "a" * 300, "/" + "é" * 60, "/" + "/".join(["camera"] * 60)])
def test_long_topics_get_names_that_file_systems_take(topic: str, tmp_path: Path) -> None:
    (tmp_path / topic_folder(topic)).mkdir()
    (tmp_path / topic_folder(topic + "b")).mkdir()


@given(NAMES, st.integers(0, 10**7))
def test_uris_of_segments_are_inside_and_resolve_as_uris_too(topic: str, number: int) -> None:
    uri = segment_uri(topic, number)
    assert inside(Path("/somewhere/set"), uri) == Path("/somewhere/set") / uri
    assert urljoin("http://host/set/", uri) == f"http://host/set/{uri}"


@pytest.mark.parametrize(
    "uri",
    [
        *("/etc/passwd", "//host/share", "/"),
        *("../x.mp4", "media/../../x.mp4", "media/..", "..", "media/a/../b.mp4"),
        *("file:///etc/passwd", "http://host/x.mp4", "data:image/png;base64,AAAA", "C:/x.mp4", "c:x.mp4", "a:b/c"),
        *("..\\x.mp4", "media\\x.mp4", "C:\\x.mp4", "\\\\host\\x"),
        *("media/x.mp4\0", "\0", "a\0/../b"),
    ],
)
def test_uris_that_lead_out_are_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=re.escape("leads out of the folder")) as caught:
        inside(tmp_path, uri)
    assert str(caught.value).endswith(str(tmp_path))
    assert repr(uri)[:200] in str(caught.value)


def test_links_out_are_refused_and_links_within_are_not(tmp_path: Path) -> None:
    dataset, outside = tmp_path / "set", tmp_path / "set-outside"
    (dataset / "media").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.mp4").touch()
    (dataset / "media" / "real.mp4").touch()
    (dataset / "file.mp4").symlink_to(outside / "secret.mp4")
    (dataset / "media" / "folder").symlink_to(outside)
    (dataset / "chain").symlink_to(dataset / "media" / "folder")
    (dataset / "dangling.mp4").symlink_to(outside / "not there.mp4")
    (dataset / "up").symlink_to("..")
    for uri in ("file.mp4", "media/folder/secret.mp4", "chain/secret.mp4", "dangling.mp4", "up/set-outside/secret.mp4"):
        with pytest.raises(DatasetError, match="through a link"):
            inside(dataset, uri)
    (dataset / "link.mp4").symlink_to("media/real.mp4")
    assert inside(dataset, "link.mp4").samefile(dataset / "media" / "real.mp4")
    (tmp_path / "alias").symlink_to(dataset)
    assert inside(tmp_path / "alias", "media/real.mp4").exists()


@pytest.mark.parametrize(
    "uri", ["media/c/000000.mp4", "log.bag", "a/b:c.mp4", "~root/x", "media/./x.mp4", "..x/...", "é", "media//x", " "]
)
def test_uris_within_are_followed_whether_the_file_is_there_or_not(uri: str, tmp_path: Path) -> None:
    assert inside(tmp_path, uri) == tmp_path / uri


def test_absolute_uris_are_refused_even_inside(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        inside(tmp_path, f"{tmp_path}/media/x.mp4")


def test_relative_dataset_folders_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert inside(Path(), "media/x.mp4") == Path("media/x.mp4")
    with pytest.raises(DatasetError):
        inside(Path(), f"../{tmp_path.name}/x.mp4")


@pytest.mark.parametrize("uri", ["", ".", "./", "./."])
def test_uris_that_name_nothing_are_refused(uri: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        inside(tmp_path, uri)


def test_loops_of_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DatasetError):
        inside(tmp_path, "loop/x.mp4")


def test_uris_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        inside(tmp_path, "media/\ud800.mp4")
