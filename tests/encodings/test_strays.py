"""A topic whose pictures are not all alike: damaged ones, and ones of another size, kind or encoding."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.report import Report
from mediaref_tools.sample import (
    Container,
    ImageEncoding,
    SampleMessage,
    frame_number,
    numbered_pixels,
    numbered_topic,
    viewable,
)
from tests.encodings.matrix import same
from tests.smalllogs import every_container, log_of, rows_of, times
from tests.stocklogs import records

COUNT = 20
SMALL, LARGE = (72, 96), (88, 120)


def pictures(encoding: ImageEncoding, size: Any = SMALL, **settings: Any) -> list[SampleMessage]:
    return numbered_topic("/camera", times(COUNT), encoding=encoding, size=size, **settings)


def data_of(messages: list[SampleMessage], index: int) -> bytes:
    return bytes(messages[index].body.data)


def with_data(messages: list[SampleMessage], index: int, data: bytes) -> list[SampleMessage]:
    body = SimpleNamespace(**{**vars(messages[index].body), "data": np.frombuffer(data, np.uint8)})
    return [*messages[:index], messages[index]._replace(body=body), *messages[index + 1 :]]


def of_kinds(kinds: dict[int, list[SampleMessage]], default: list[SampleMessage]) -> list[SampleMessage]:
    return [kinds.get(index, default)[index] for index in range(COUNT)]


def converted(
    folder: Path, messages: list[SampleMessage], container: Container = "mcap", **settings: Any
) -> tuple[Path, Report]:
    source = log_of(folder, container, messages)
    report = convert(source, folder / "out", settings=Settings(**settings))
    found = verify(folder / "out", against=source)
    assert found.ok, found.problems
    assert (report.frames, report.wrong, report.missing) == (COUNT, 0, 0)
    rows = rows_of(folder / "out")
    assert [row["index"] for row in rows] == list(range(COUNT))
    assert [row["log_time_ns"] for row in rows] == times(COUNT)
    assert [(r.uri, r.pts_ns) for r in records(folder / "out" / source.name, container)] == [
        (row["media"]["uri"], -1 if row["media"]["pts_ns"] is None else row["media"]["pts_ns"]) for row in rows
    ]
    return folder / "out", report


def check_embedded(dataset: Path, report: Report, messages: list[SampleMessage], strays: set[int], why: str) -> None:
    """Those, and no others, are embedded with their own bytes; all else shows its number in its place."""
    rows = rows_of(dataset)
    assert {row["index"] for row in rows if row["status"] == "embedded"} == strays
    assert report.embedded == len(strays) == report.topics[0].embedded
    assert report.topics[0].frames == COUNT
    assert report.lossless == (not strays)
    if strays:
        assert why in (report.topics[0].reason or "")
    else:
        assert report.topics[0].reason is None
    for index in strays:
        assert DataURI.from_uri(rows[index]["media"]["uri"]).decoded_data == data_of(messages, index)
        assert rows[index]["psnr_db"] is None


def check_numbers(topic: Topic, indices: set[int]) -> None:
    assert {index: frame_number(viewable(topic[index].data)) for index in indices} == {i: i for i in indices}


ALL = set(range(COUNT))
SHORT = "bytes of data are less than"

DAMAGE: list[tuple[ImageEncoding, str, Any, str]] = [
    ("jpeg", "undecodable", lambda data: b"\xff\xd8\xff\xe0" + bytes(400), "jpeg of 404 bytes"),
    ("jpeg", "zero length", lambda data: b"", "image of 0 bytes"),
    ("jpeg", "cut", lambda data: data[:-200], "is cut"),
    ("jpeg", "no image", lambda data: b"not an image at all", "application/octet-stream"),
    ("png", "cut", lambda data: data[: len(data) // 2], "png of"),
    ("png", "a flipped bit", lambda data: data[:300] + bytes([data[300] ^ 4]) + data[301:], "png of"),
    ("rgb8", "short", lambda data: data[:-1], SHORT),
    ("rgb8", "zero length", lambda data: b"", "0 bytes of data are less than"),
    ("mono16", "short", lambda data: data[:-1], SHORT),
    ("bayer_rggb8", "short", lambda data: data[:-1], SHORT),
    ("uyvy", "short", lambda data: data[:-1], SHORT),
    ("nv12", "short", lambda data: data[:-1], SHORT),
    ("i420", "no chroma", lambda data: data[: 72 * 96], SHORT),
    ("nv24", "half of its chroma", lambda data: data[: 2 * 72 * 96], SHORT),
    ("compressedDepth-rvl-16UC1", "cut", lambda data: data[:60], ""),
    ("compressedDepth-png-32FC1", "cut", lambda data: data[:60], "png of"),
    ("zstd-frame", "cut", lambda data: data[:-30], "zstd image"),
    ("zstd-gzip", "no header", lambda data: data[:9], "zstd image of 9 bytes"),
]


@pytest.mark.parametrize(("encoding", "name", "damage", "why"), DAMAGE, ids=[f"{e} {n}" for e, n, _, _ in DAMAGE])
def test_one_bad_frame_among_many(tmp_path: Path, encoding: Any, name: str, damage: Any, why: str) -> None:
    """Two of them, one at the very start: the first one's reason is told."""
    messages = pictures(encoding)
    for index in (0, 7):
        messages = with_data(messages, index, damage(data_of(messages, index)))
    dataset, report = converted(tmp_path, messages, depth="ffv1")
    assert report.kept == ()
    check_embedded(dataset, report, messages, {0, 7}, why)
    assert report.topics[0].segments == 1
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        check_numbers(topic, ALL - {0, 7})
        with pytest.raises(FrameError, match="frame 7"):
            topic.batch([7], "rgb")


@every_container
def test_bad_frames_in_every_container(tmp_path: Path, container: Container) -> None:
    encodings: tuple[ImageEncoding, ...] = ("jpeg", "mono16")
    for encoding in encodings:
        messages = pictures(encoding)
        messages = with_data(messages, 11, data_of(messages, 11)[:-300])
        dataset, report = converted(tmp_path / encoding, messages, container)
        check_embedded(dataset, report, messages, {11}, "")
        with open_dataset(dataset) as opened:
            check_numbers(opened["/camera"], ALL - {11})


def test_a_step_that_is_less_than_a_row(tmp_path: Path) -> None:
    messages = pictures("rgb8")
    body = SimpleNamespace(**{**vars(messages[3].body), "step": 3 * 96 - 1})
    messages[3] = messages[3]._replace(body=body)
    dataset, report = converted(tmp_path, messages)
    check_embedded(dataset, report, messages, {3}, "step 287 is less than a row of 96 rgb8 pixels")


STRAYS: list[tuple[ImageEncoding, bool]] = [
    ("jpeg", False), ("png", False), ("rgb8", False), ("mono8", False), ("rgb16", True), ("mono16", True),
    ("16UC1", True), ("png-gray16", True), ("png-rgb16", True), ("png-alpha", False), ("bayer_grbg8", False),
    ("yuyv", False), ("nv21", False), ("compressedDepth-rvl-16UC1", True), ("compressedDepth-png-32FC1", True),
    ("zstd-gzip", False),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "exact"), STRAYS, ids=[encoding for encoding, _ in STRAYS])
def test_one_picture_of_another_size(tmp_path: Path, encoding: ImageEncoding, exact: bool) -> None:
    messages = pictures(encoding, lambda index: LARGE if index == 9 else SMALL)
    dataset, report = converted(tmp_path, messages, depth="ffv1")
    check_embedded(dataset, report, messages, {9}, "a single picture of 120x88 among those of another size")
    assert report.topics[0].segments == 1
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        assert topic.sizes.tolist() == [list(LARGE if index == 9 else SMALL) for index in range(COUNT)]
        check_numbers(topic, ALL)
        assert topic[9].data.dtype == topic[8].data.dtype
        assert topic[9].data.shape == (*LARGE, *topic[8].data.shape[2:]), "it is given out as its neighbours are"
        if exact:
            assert same(topic[9].data, numbered_pixels(9, encoding, LARGE))
        assert [len(batch) for batch in topic.batches(COUNT)] == [9, 1, 10]


@pytest.mark.parametrize("encoding", ["jpeg", "rgb8", "mono16", "bayer_rggb8", "nv12", "compressedDepth-png-16UC1"])
@pytest.mark.parametrize("codec", ["h264", "copy"])
def test_a_lasting_change_of_size_begins_a_segment(tmp_path: Path, encoding: ImageEncoding, codec: Any) -> None:
    messages = pictures(encoding, lambda index: LARGE if 8 <= index < 14 else SMALL)
    dataset, report = converted(tmp_path, messages, depth="ffv1", codec=codec)
    check_embedded(dataset, report, messages, set(), "")
    assert report.topics[0].segments == 2
    uris = [row["media"]["uri"] for row in rows_of(dataset)]
    assert uris == [uris[8] if 8 <= index < 14 else uris[0] for index in range(COUNT)]
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        check_numbers(topic, ALL)
        assert [len(batch) for batch in topic.batches(COUNT)] == [8, 6, 6]
        with pytest.raises(FrameError, match="sizes 96x72, 120x88"):
            topic.batch(range(COUNT))


def test_the_last_picture_of_another_size(tmp_path: Path) -> None:
    """Nothing follows it that would tell a stray from a change."""
    messages = pictures("rgb8", lambda index: LARGE if index == COUNT - 1 else SMALL)
    dataset, report = converted(tmp_path, messages)
    check_embedded(dataset, report, messages, set(), "")
    assert report.topics[0].segments == 2


@pytest.mark.parametrize("encoding", ["jpeg", "rgb8", "mono16"])
def test_sizes_that_take_turns_have_a_segment_each(tmp_path: Path, encoding: ImageEncoding) -> None:
    """The first of them may be taken for a stray, no more."""
    messages = pictures(encoding, lambda index: LARGE if index % 2 else SMALL)
    dataset, report = converted(tmp_path, messages)
    check_embedded(dataset, report, messages, {1}, "a single picture of 120x88")
    assert report.topics[0].segments == 2
    with open_dataset(dataset) as opened:
        check_numbers(opened["/camera"], ALL)


@pytest.mark.parametrize(
    ("kinds", "segments", "codecs"),
    [
        (("jpeg", "png"), 1, {"h264"}),
        (("jpeg", "png-gray16"), 2, {"h264", "ffv1"}),
        (("png", "png-alpha", "png-rgb16"), 3, {"h264", "ffv1"}),
        (("webp", "bmp", "tiff", "jpeg-gray"), 1, {"h264"}),
        (("compressedDepth-png-16UC1", "compressedDepth-rvl-16UC1"), 1, {"ffv1"}),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_files_that_take_turns(tmp_path: Path, kinds: Any, segments: int, codecs: set[str]) -> None:
    """No stray but the size makes one: a change of kind is a segment beside the other."""
    messages = of_kinds({}, pictures(kinds[0]))
    for at, kind in enumerate(kinds):
        other = pictures(kind)
        messages = [other[index] if index % len(kinds) == at else one for index, one in enumerate(messages)]
    dataset, report = converted(tmp_path, messages, depth="ffv1")
    check_embedded(dataset, report, messages, set(), "")
    assert report.topics[0].segments == segments
    assert set(report.topics[0].codec.split("+")) == codecs
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        check_numbers(topic, ALL)
        for index in range(COUNT):
            kind = kinds[index % len(kinds)]
            if kind in ("png-gray16", "png-rgb16", "compressedDepth-png-16UC1", "compressedDepth-rvl-16UC1"):
                assert same(topic[index].data, numbered_pixels(index, kind, SMALL))
            if kind == "png-alpha":
                assert same(topic.batch([index], "native").data[0], numbered_pixels(index, kind, SMALL))


@pytest.mark.parametrize(
    ("kinds", "segments"),
    [(("rgb8", "bgr8"), 1), (("rgb8", "mono16"), 2), (("bayer_rggb8", "mono8"), 2), (("uyvy", "rgb8"), 2),
     (("rgb16", "bgr16"), None), (("mono8", "nv12", "mono16", "rgb16"), 4)],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_encodings_that_take_turns(tmp_path: Path, kinds: Any, segments: int | None) -> None:
    made = [pictures(kind) for kind in kinds]
    messages = [made[index % len(kinds)][index] for index in range(COUNT)]
    dataset, report = converted(tmp_path, messages)
    check_embedded(dataset, report, messages, set(), "")
    assert segments is None or report.topics[0].segments == segments
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        check_numbers(topic, ALL)
        for index in range(COUNT):
            if kinds[index % len(kinds)] in ("mono16", "rgb16", "bgr16"):
                assert same(topic[index].data, numbered_pixels(index, kinds[index % len(kinds)], SMALL))


def test_copied_files_that_take_turns(tmp_path: Path) -> None:
    kinds: list[ImageEncoding] = ["jpeg", "png", "jpeg-gray", "png-gray16"]
    made = [pictures(kind) for kind in kinds]
    messages = [made[index % 4][index] for index in range(COUNT)]
    dataset, report = converted(tmp_path, messages, codec="copy")
    check_embedded(dataset, report, messages, set(), "")
    assert report.topics[0].codec == "mjpeg+png"
    with open_dataset(dataset) as opened:
        topic = opened["/camera"]
        check_numbers(topic, ALL)
        for index in (1, 3):
            assert same(topic[index].data, numbered_pixels(index, kinds[index], SMALL))
        rows = rows_of(dataset)
        for index, row in enumerate(rows):
            file = (dataset / row["media"]["uri"]).read_bytes()
            assert file[row["byte_offset"] :][: row["byte_size"]] == data_of(messages, index)


def test_more_kinds_than_are_kept_open(tmp_path: Path) -> None:
    """Five sizes one after the other, again and again: more segments, no frame less."""
    sizes = [(72, 96), (74, 96), (76, 96), (78, 96), (80, 96)]
    messages = pictures("mono16", lambda index: sizes[index // 2 % 5])
    dataset, report = converted(tmp_path, messages)
    assert report.embedded == 0
    with open_dataset(dataset) as opened:
        check_numbers(opened["/camera"], ALL)
