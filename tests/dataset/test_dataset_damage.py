"""A dataset that is not whole, or that somebody made up: the reader says so in our errors, and stays inside of it."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediaref_tools import Dataset, convert, open_dataset
from mediaref_tools.dataset.frames import SCHEMA
from mediaref_tools.errors import DatasetError, FrameError, MediarefError
from mediaref_tools.sample import frame_number
from tests.smalllogs import camera, log_of

BAD = 7  # this frame of 20 is embedded


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    messages = camera(count=20)
    messages[BAD].body.data = np.frombuffer(b"no image", np.uint8)
    convert(log_of(folder, "rosbag1", messages), folder / "set")
    return folder / "set"


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "set"))


def edit_manifest(dataset: Path, change: Callable[[Any], None]) -> None:
    content = json.loads((dataset / "manifest.json").read_text())
    change(content)
    (dataset / "manifest.json").write_text(json.dumps(content))


def edit_rows(dataset: Path, change: Callable[[dict[str, Any]], None]) -> None:
    rows = pq.read_table(dataset / "frames.parquet").to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), dataset / "frames.parquet")


def segment(dataset: Path) -> Path:
    return dataset / "media" / "camera" / "000000.mp4"


def read_everything(dataset: Dataset) -> None:
    topic = dataset["/camera"]
    _ = (topic.stamps_ns, topic.psnr_db, topic.sizes, topic.status, topic.keyframes, list(topic.refs))
    topic.at([int(topic.log_times_ns[3])])
    topic.batch([1])
    topic.batch([12, 19])
    list(topic.batches(4))


@pytest.mark.parametrize("what", ["empty folder", "folder of files"])
def test_what_is_no_dataset_is_told(made: Path, tmp_path: Path, what: str) -> None:
    path = tmp_path / "it"
    path.mkdir()
    if what == "folder of files":
        (path / "frames.parquet").write_bytes((made / "frames.parquet").read_bytes())
    with pytest.raises(DatasetError, match=r"manifest\.json") as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


MANIFESTS: dict[str, Callable[[str], bytes]] = {
    "empty": lambda text: b"",
    "cut": lambda text: text[: len(text) // 2].encode(),
    "no JSON": lambda text: b"format_version = 1",
    "not UTF-8": lambda text: text.encode("utf-16"),
    "an array": lambda text: b"[]",
    "nested deeply": lambda text: b"[" * 100_000,
    "somebody else's": lambda text: b'{"name": "web app", "icons": []}',
    "later version": lambda text: text.replace('"format_version": 3', '"format_version": 4').encode(),
    "no version": lambda text: text.replace('"format_version": 3', '"format_version": null').encode(),
    "field too many": lambda text: text.replace('"format_version": 3', '"format_version": 3, "extra": 1').encode(),
    "topic of another kind": lambda text: text.replace('"topics": [', '"topics": ["/cam", ').encode(),
    "frames in words": lambda text: text.replace('"frames": 20', '"frames": "many"').encode(),
    "unknown codec": lambda text: text.replace('"codec": "h264"', '"codec": "vhs"').encode(),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifest_that_is_none_of_ours_is_told(copy: Path, name: str) -> None:
    path = copy / "manifest.json"
    text = path.read_text()
    path.write_bytes(MANIFESTS[name](text))
    assert path.read_bytes() != text.encode()
    with pytest.raises(DatasetError, match=r"manifest\.json") as caught:
        open_dataset(copy)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    if name == "later version":
        assert "format_version" in str(caught.value)


@pytest.mark.parametrize("what", ["missing", "empty", "cut", "text", "folder", "other columns"])
def test_table_that_is_not_whole_is_told(copy: Path, what: str) -> None:
    path = copy / "frames.parquet"
    data = path.read_bytes()
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "other columns":
        pq.write_table(pa.table({"topic": ["/camera"]}), path)
    elif what != "missing":
        path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "text": b"PAR1 is not PAR1"}[what])
    with pytest.raises(DatasetError, match=r"frames\.parquet"), open_dataset(copy) as dataset:
        read_everything(dataset)


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_table_with_flipped_bytes_is_told_or_does_no_harm(copy: Path, share: float) -> None:
    path = copy / "frames.parquet"
    data = bytearray(path.read_bytes())
    for at in range(int(len(data) * share), int(len(data) * share) + 24):
        data[at] ^= 0x55
    path.write_bytes(data)
    try:
        with open_dataset(copy) as dataset:
            read_everything(dataset)
    except MediarefError:
        return


@pytest.mark.parametrize("what", ["missing", "empty", "half", "last byte", "folder"])
def test_segment_that_is_cut_is_named(copy: Path, what: str) -> None:
    path = segment(copy)
    data = path.read_bytes()
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what != "missing":
        path.write_bytes(data[: {"empty": 0, "half": len(data) // 2, "last byte": len(data) - 1}[what]])
    with open_dataset(copy) as dataset:
        with pytest.raises(DatasetError, match=r"media/camera/000000\.mp4") as caught:
            dataset["/camera"].batch([19])
        assert "\n" not in str(caught.value)
        if what == "last byte":
            assert frame_number(dataset["/camera"][3].data) == 3


def open_files() -> list[str]:
    return sorted(str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted through /proc")
def test_nothing_stays_open(copy: Path) -> None:
    gc.collect()
    before = open_files()
    with open_dataset(copy) as dataset:
        dataset["/camera"].batch([0, 19])
        half = dataset["/camera"].batches(2)
        next(half)
        assert len(open_files()) <= len(before) + 2
        segment(copy).write_bytes(segment(copy).read_bytes()[:900])
        with pytest.raises(DatasetError):
            dataset["/camera"].batch([18])  # not the last, whose decoder still holds it
    assert open_files() == before


def test_segment_of_rubbish_is_told(copy: Path) -> None:
    path = segment(copy)
    path.write_bytes(bytes(range(256)) * (path.stat().st_size // 256 + 1))
    with open_dataset(copy) as dataset, pytest.raises(DatasetError, match=r"000000\.mp4"):
        dataset["/camera"].batch([0, 3])


OUTSIDE = (
    "../secret.mp4",
    "/secret.mp4",
    "file:///secret.mp4",
    "media/../../secret.mp4",
    "media/link/secret.mp4",
)


@pytest.mark.parametrize("uri", [*OUTSIDE, "", ".", "absolute"])
def test_nothing_outside_of_the_dataset_is_read(copy: Path, uri: str) -> None:
    secret = copy.parent / "secret.mp4"
    shutil.move(segment(copy), secret)
    (copy / "media" / "link").symlink_to(copy.parent)
    uri = str(secret) if uri == "absolute" else uri

    def manifest(content: Any) -> None:
        content["topics"][0]["segments"][0]["uri"] = uri

    def row(row: dict[str, Any]) -> None:
        if row["media"]["pts_ns"] is not None:
            row["media"]["uri"] = uri

    edit_manifest(copy, manifest)
    edit_rows(copy, row)
    with pytest.raises(MediarefError), open_dataset(copy) as dataset:
        dataset["/camera"].batch([0])


SEGMENTS: dict[str, Any] = {
    "extradata": ["A", "!", "", "AAAA", "////" * 99],
    "codec": ["av1"],
    "width": [0, -1, 10**9],
    "uri": ["media/camera/000001.mp4"],
}


def cases(table: dict[str, list[Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "value"), [(name, value) for name in table for value in table[name]])


@cases(SEGMENTS)
def test_segment_entry_that_is_made_up_is_told_or_does_no_harm(copy: Path, name: str, value: Any) -> None:
    edit_manifest(copy, lambda content: content["topics"][0]["segments"][0].update({name: value}))
    try:
        with open_dataset(copy) as dataset:
            read_everything(dataset)
    except MediarefError:
        return
    pytest.fail("the embedded frame alone is an error")


ROWS: dict[str, list[Any]] = {
    "byte_offset": [None, -1, 0, 2**62],
    "byte_size": [None, -1, 0, 2**40, 2**62],
    "keyframe": [False, True],
    "width": [0, -1, 10_000, 2**31 - 1],
    "height": [0, -1, 10_000, 2**31 - 1],
    "log_time_ns": [0],
    "index": [0, 99],
    "status": ["embedded", "elsewhere"],
}


@cases(ROWS)
def test_rows_that_are_made_up_are_told_or_do_no_harm(copy: Path, name: str, value: Any) -> None:
    edit_rows(copy, lambda row: row.update({name: value}))
    with pytest.raises(MediarefError), open_dataset(copy) as dataset:  # of the embedded frame, if of nothing else
        read_everything(dataset)


NO_URI = ({"uri": None, "pts_ns": 0}, {"uri": None, "pts_ns": None})
DATA = ("data:,", "data:image/png;base64,A", "data:image/png;base64,ü")


@pytest.mark.parametrize(
    "media",
    [
        *NO_URI,
        *({"uri": uri, "pts_ns": None} for uri in DATA),
        {"uri": "x", "pts_ns": 0},
        None,
    ],
    ids=str,
)
def test_references_that_are_made_up_are_told(copy: Path, media: Any) -> None:
    edit_rows(copy, lambda row: row.update(media=media or {"uri": row["media"]["uri"], "pts_ns": -5}))
    with pytest.raises(MediarefError), open_dataset(copy) as dataset:
        read_everything(dataset)


def test_table_that_is_shorter_than_the_manifest_says_is_told(copy: Path) -> None:
    table = pq.read_table(copy / "frames.parquet")
    pq.write_table(table.slice(0, 12), copy / "frames.parquet")
    with pytest.raises(DatasetError), open_dataset(copy) as dataset:
        dataset["/camera"].batch([15])


def test_embedded_rubbish_is_told_by_its_frame(copy: Path) -> None:
    with open_dataset(copy) as dataset:
        with pytest.raises(FrameError, match=f"/camera frame {BAD}"):
            dataset["/camera"][BAD]
        assert frame_number(dataset["/camera"][BAD + 1].data) == BAD + 1
