"""What a uri names is opened, read in ranges and explained when it can't be."""

from __future__ import annotations

import io
import random
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.errors import ExtraError, MediaError, MediaNotFound, RefError
from mediaref_tools.media import ranges, storage
from mediaref_tools.media.guard import GuardedFile
from mediaref_tools.media.ranges import RangedFile
from mediaref_tools.media.uri import redacted, shown
from tests.servers import FileServer
from tests.smallvideos import MS, frame_number, picture, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still of number 9, a video of numbers 0 to 19 at 40 ms each, and both in a zip."""
    folder = tmp_path_factory.mktemp("media") / "a b%20c"
    folder.mkdir()
    Image.fromarray(picture(9)).save(folder / "still.png")
    write_video(folder / "clip.mp4", [40 * at for at in range(20)])
    for name, how in (("stored.zip", zipfile.ZIP_STORED), ("small.zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / name, "w", how) as archive:
            for each in ("still.png", "clip.mp4"):
                archive.write(folder / each, f"in/{each}")
    return folder


@pytest.fixture
def memory(folder: Path) -> Iterator[str]:
    """The same files in fsspec's memory."""
    filesystem = fsspec.filesystem("memory")
    for path in folder.iterdir():
        filesystem.pipe(f"/here/{path.name}", path.read_bytes())
    yield "memory://here"
    filesystem.rm("/here", recursive=True)


def shows(base: str, **options: Any) -> tuple[int, int]:
    """Numbers of the still and of a middle frame of the video, under an address with a place for the name."""
    still = mrt.MediaRef(uri=base.format("still.png")).to_ndarray(**options)
    frame = mrt.MediaRef(uri=base.format("clip.mp4"), pts_ns=13 * 40 * MS + 1).to_ndarray(**options)
    return frame_number(still), frame_number(frame)


# --- every kind of address


def test_local_files_by_path_and_file_uri(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    escaped = str(folder).replace("%", "%25").replace(" ", "%20")
    monkeypatch.chdir(folder)
    for base in (f"{folder}/{{}}", "{}", "./{}", f"../{folder.name}/{{}}", f"file://{escaped}/{{}}"):
        assert shows(base) == (9, 13)
    assert shows(f"file://localhost{escaped}/{{}}") == (9, 13)
    assert shows(f"FILE:{escaped}/x/../%{{}}".replace("%{}", "{}")) == (9, 13)
    with pytest.raises(MediaNotFound, match="no such file"):
        mrt.MediaRef(uri=f"file://{folder}/still.png").to_ndarray()  # its %20 is an escape there


def test_files_in_memory(memory: str) -> None:
    assert shows(f"{memory}/{{}}") == (9, 13)


def test_a_file_in_memory_is_opened_apart_from_others(memory: str) -> None:
    one, two = (storage.open_remote(f"{memory}/clip.mp4") for _ in range(2))
    begin = one.read(10)
    assert two.read(10) == begin
    two.close()
    assert one.read(10) != begin
    assert shows(f"{memory}/{{}}") == (9, 13)


@pytest.mark.parametrize("archive", ["stored.zip", "small.zip"])
def test_members_of_an_archive(folder: Path, memory: str, archive: str) -> None:
    assert shows(f"zip://in/{{}}::{folder}/{archive}") == (9, 13)
    assert shows(f"zip://in/{{}}::file://{folder}/{archive}") == (9, 13)  # fsspec takes no escapes
    assert shows(f"zip://in/{{}}::{memory}/{archive}") == (9, 13)
    with pytest.raises(MediaNotFound, match=r"zip://in/none\.png"):
        mrt.MediaRef(uri=f"zip://in/none.png::{folder}/{archive}").to_ndarray()


def test_chains_over_http(folder: Path, tmp_path: Path) -> None:
    files = {f"/{path.name}": path.read_bytes() for path in folder.iterdir()}
    with FileServer(files) as server:
        assert shows(f"zip://in/{{}}::{server.url}/stored.zip") == (9, 13)
        options = {"simplecache": {"cache_storage": str(tmp_path / "cache")}}
        assert shows(f"simplecache::{server.url}/{{}}", storage_options=options) == (9, 13)
        server.forget()
        assert shows(f"simplecache::{server.url}/{{}}", storage_options=options) == (9, 13)
        assert not server.requests
        server.status = 403
        for uri in (f"zip://in/still.png::{server.url}/none.zip", f"simplecache::{server.url}/none.png"):
            with pytest.raises(MediaError) as error:
                mrt.MediaRef(uri=uri).to_ndarray(storage_options=options if uri.startswith("simple") else None)
            assert uri in str(error.value)


def test_options_reach_the_filesystem(folder: Path) -> None:
    options = {"fo": str(folder / "stored.zip")}
    assert shows("zip://in/{}", storage_options=options) == (9, 13)
    refs = [mrt.MediaRef(uri="zip://in/clip.mp4", pts_ns=at * 40 * MS) for at in (3, 17, 3)]
    assert [frame_number(frame) for frame in mrt.batch_decode(refs, storage_options=options)] == [3, 17, 3]
    with mrt.VideoDecoder("zip://in/clip.mp4", storage_options=options) as video:
        assert len(video.pts_ns) == 20


def test_validate_uri(folder: Path, memory: str) -> None:
    there = [f"{folder}/still.png", str(folder), f"{memory}/still.png", f"zip://in/still.png::{folder}/small.zip"]
    for uri in [*there, mrt.DataURI.from_file(folder / "still.png").uri]:
        assert mrt.MediaRef(uri=uri).validate_uri()
    for uri in (f"{folder}/none", f"{memory}/none", f"zip://none::{folder}/small.zip", "/" + "x" * 5000):
        assert not mrt.MediaRef(uri=uri).validate_uri()
    with pytest.raises(RefError, match="no storage is known"):
        mrt.MediaRef(uri="nosuch://a/b").validate_uri()


# --- errors


def test_what_is_no_file(folder: Path) -> None:
    for uri in (str(folder), f"{folder}/", "/dev/null"):
        with pytest.raises(MediaError, match="not a regular file"):
            mrt.MediaRef(uri=uri).to_ndarray()
    with pytest.raises(MediaError, match="can't be read: File name too long"):
        mrt.MediaRef(uri="/" + "x" * 5000).to_ndarray()
    with pytest.raises(MediaError, match="memory://"):
        mrt.MediaRef(uri="memory://").to_ndarray()


@pytest.mark.parametrize("pts_ns", [None, 0])
def test_what_is_not_there(folder: Path, memory: str, pts_ns: int | None) -> None:
    for uri in (f"{folder}/none.png", f"{memory}/none.png"):
        with pytest.raises(MediaNotFound, match=uri):
            mrt.MediaRef(uri=uri, pts_ns=pts_ns).to_ndarray()


@pytest.mark.parametrize("pts_ns", [None, 0])
def test_an_unknown_scheme(pts_ns: int | None) -> None:
    with pytest.raises(RefError, match=r"scheme 'nosuch'.*nosuch://a/b"):
        mrt.MediaRef(uri="nosuch://a/b", pts_ns=pts_ns).to_ndarray()


@pytest.mark.parametrize(
    ("uri", "scheme", "package", "says"),
    [
        ("s3://bucket/a.mp4", "s3", "s3fs", r"s3:// needs.*mediaref-tools\[s3\]"),
        ("gs://bucket/a.mp4", "gs", "gcsfs", r"gs:// needs.*mediaref-tools\[gcs\]"),
        ("gcs://bucket/a.mp4", "gcs", "gcsfs", r"mediaref-tools\[gcs\]"),
        ("simplecache::s3://bucket/a.mp4", "s3", "s3fs", r"mediaref-tools\[s3\]"),
        ("sftp://host/a.mp4", "sftp", "paramiko", "paramiko"),
    ],
)
@pytest.mark.parametrize("pts_ns", [None, 0])
def test_a_missing_package(
    monkeypatch: pytest.MonkeyPatch, uri: str, scheme: str, package: str, says: str, pts_ns: int | None
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "fsspec.implementations.sftp", raising=False)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(ExtraError, match=f"{says}.*{uri}"):
        mrt.MediaRef(uri=uri, pts_ns=pts_ns).to_ndarray()


def test_a_copy_has_all_of_its_stream() -> None:
    stream = io.BytesIO(b"0123456789")
    with storage._copied(stream, "http://h/a", 10) as copy:
        assert storage._part(copy, 0, 10) == b"0123456789"
        copy.seek(2)
        assert storage._part(copy, 7, 9) == b"78"
        assert copy.tell() == 2
    assert stream.closed
    with pytest.raises(MediaError, match="larger than 9 bytes: http://h/a"):
        storage._copied(io.BytesIO(b"0123456789"), "http://h/a", 9)


def test_a_stream_that_fails_half_way_leaves_no_copy_open(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError("gone")
            return super().read(5)

    copies: list[Any] = []
    temporary = tempfile.TemporaryFile

    def noted() -> Any:
        copies.append(temporary())
        return copies[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", noted)
    stream = Stream(b"0123456789")
    with pytest.raises(OSError, match="gone"):
        storage._copied(stream, "http://h/a", None)
    assert copies[0].closed
    assert stream.closed


# --- what messages show


@pytest.mark.parametrize(
    ("uri", "is_shown"),
    [
        ("s3://bucket/a.png", "s3://bucket/a.png"),
        ("https://user:pass@host:8/a", "https://…@host:8/a"),
        ("https://token@host/a", "https://…@host/a"),
        ("https://user:p@ss@host/a", "https://…@host/a"),
        ("https://host/a@b.png", "https://host/a@b.png"),
        ("https://host/a?sig=1&b=2", "https://host/a?…"),
        ("https://u:p@host?sig=1", "https://…@host?…"),
        ("zip://a.png::https://u:p@h/b.zip?sig=1", "zip://a.png::https://…@h/b.zip?…"),
        ("simplecache::https://u:p@h/b.png", "simplecache::https://…@h/b.png"),
        ("/tmp/what?/me@home.png", "/tmp/what?/me@home.png"),
        ("a//b@c?d", "a//b@c?d"),
        ("file:///tmp/me@home.png", "file:///tmp/me@home.png"),
    ],
)
def test_shown_keeps_secrets(uri: str, is_shown: str) -> None:
    assert shown(uri) == is_shown
    assert shown(shown(uri)) == is_shown


def test_redacted_finds_addresses_in_a_text() -> None:
    text = "GET 'https://u:p@h/a?s=1' failed; was http://x/y?z=2 asked? a://b@c"
    assert redacted(text) == "GET 'https://…@h/a?…' failed; was http://x/y?… asked? a://…@c"


# --- the file that is read in ranges


class Source:
    """Bytes that note which ranges of them were asked for."""

    def __init__(self, size: int) -> None:
        self.data = random.Random(size).randbytes(size)
        self.asked: list[tuple[int, int]] = []
        self.closed = 0

    def fetch(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return self.data[start:stop]

    def close(self) -> None:
        self.closed += 1

    def file(self) -> RangedFile:
        return RangedFile(self.fetch, len(self.data), self.close)


@pytest.fixture
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "_BLOCK_BYTES", 16)
    monkeypatch.setattr(ranges, "_BLOCKS", 8)
    monkeypatch.setattr(ranges, "_LONGEST_RUN", 4)


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 160, 1000])
def test_ranged_reads_are_those_of_a_file(size: int) -> None:
    source, draw = Source(size), random.Random(3)
    expected = io.BytesIO(source.data)
    with source.file() as file:
        for _ in range(500):
            whence = draw.choice((io.SEEK_SET, io.SEEK_CUR, io.SEEK_END))
            back = {io.SEEK_SET: 0, io.SEEK_CUR: expected.tell(), io.SEEK_END: size}[whence]
            offset = draw.randint(-back, size + 20 - back)
            assert file.seek(offset, whence) == expected.seek(offset, whence)
            amount = draw.choice((0, 1, 7, 40, 200, -1, None))
            assert file.read(amount) == expected.read(amount)
            assert file.tell() == expected.tell()
            assert len(file._blocks) <= 8 + 4
        file.seek(0)
        assert file.readall() == source.data
        file.seek(0)
        buffer = bytearray(40)
        assert file.readinto(buffer) == min(40, size)
        assert buffer.startswith(source.data[:40])
    assert all(0 <= start < stop <= size for start, stop in source.asked)
    assert all(stop - start <= 4 * 16 for start, stop in source.asked)


@pytest.mark.usefixtures("_small_blocks")
def test_a_run_of_reads_takes_ever_longer_ranges_and_a_jump_a_short_one() -> None:
    source = Source(1000)
    with source.file() as file:
        while file.read(5):
            pass
        assert [stop - start for start, stop in source.asked[:7]] == [16, 16, 16, 16, 32, 48, 64]
        assert [start for start, _ in source.asked[1:]] == [stop for _, stop in source.asked[:-1]]
        source.asked.clear()
        file.seek(101)
        file.read(3)
        assert source.asked == [(96, 112)]
        source.asked.clear()
        file.seek(101)
        file.read(11)  # it is held
        assert source.asked == []
        file.seek(80)
        file.read(40)  # on both sides of what is held
        assert source.asked == [(80, 96), (112, 128)]


@pytest.mark.usefixtures("_small_blocks")
def test_what_is_read_again_and_again_is_kept() -> None:
    source = Source(1000)
    with source.file() as file:
        for at in range(0, 1000, 100):
            file.seek(0)
            file.read(1)
            file.seek(at)
            file.read(1)
    assert source.asked.count((0, 16)) == 1
    assert len(source.asked) == 10


@pytest.mark.usefixtures("_small_blocks")
def test_a_long_read_takes_one_range() -> None:
    source = Source(1000)
    with source.file() as file:
        file.seek(33)
        file.read(45)
    assert source.asked == [(32, 80)]


def test_a_closed_ranged_file() -> None:
    source = Source(10)
    file = source.file()
    file.close()
    file.close()
    assert source.closed == 1
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
    with pytest.raises(ValueError, match="before the file's start"), source.file() as other:
        other.seek(-1)


# --- the file that raises nothing into libavformat


def test_a_guarded_file_tells_a_failure_when_asked_and_not_before() -> None:
    class Moody(io.BytesIO):
        fails = True

        def read(self, size: int | None = -1) -> bytes:
            if self.fails:
                raise MediaError("gone")
            return super().read(size)

    moody = Moody(b"0123")
    file = GuardedFile(moody)
    with pytest.raises(MediaError, match="gone"), file.checked():
        assert file.read(2) == b""
        moody.fails = False
        assert file.read(2) == b""  # until it was told
        raise RuntimeError("what came of it")
    with file.checked():
        assert file.read(2) == b"01"
        assert file.tell() == 2
    with pytest.raises(ValueError, match="negative"), file.checked():
        assert file.seek(-1) == -1
    file.close()
    assert moody.closed
