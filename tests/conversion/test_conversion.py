"""What `convert` keeps, embeds and reports; that it shows the right frames is in test_numbers.py."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref_tools import Manifest, Settings, convert, open_dataset, verify
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import FrameParts
from mediaref_tools.errors import TopicError
from mediaref_tools.sample import Container, frame_number
from tests.smalllogs import camera, every_container, log_of, others, rows_of, text, times
from tests.stocklogs import deserialized, records, stock_messages, stock_video


@every_container
def test_what_is_no_image_is_byte_for_byte_the_same(tmp_path: Path, container: Container) -> None:
    images = camera(count=12, encoding="rgb8") + camera("/left", 9)
    source = log_of(tmp_path, container, images + others())
    report = convert(source, tmp_path / "out")
    before = stock_messages(source, container)
    after = stock_messages(tmp_path / "out" / source.name, container)
    assert len(before) == len(after) == report.messages_in == report.messages_out == len(images) + len(others())
    here = [message for message in before if message.topic not in ("/camera", "/left") or "String" in message.type]
    there = [message for message in after if "ImageRef" not in message.type]
    assert Counter(here) == Counter(there)
    assert len(here) == len(others())
    replaced = [
        message._replace(type="", definition="", about="", data=b"") for message in before if message not in here
    ]
    standing = [
        message._replace(type="", definition="", about="", data=b"") for message in after if "ImageRef" in message.type
    ]
    assert Counter(replaced) == Counter(standing), "records stand at other times, or with other sequence numbers"
    assert verify(tmp_path / "out", against=source).ok


@every_container
def test_topics_that_can_not_be_video_are_kept_and_reported(tmp_path: Path, container: Container) -> None:
    source = log_of(tmp_path, container, camera() + others())
    report = convert(source, tmp_path / "out")
    kept = {topic.topic: (topic.messages, topic.reason) for topic in report.kept}
    assert kept.keys() == {"/depth", "/flow", "/camera/compressedDepth"}
    assert {messages for messages, _ in kept.values()} == {4}
    assert "32FC1" in kept["/depth"][1]
    assert "32FC2" in kept["/flow"][1]
    assert "compressedDepth" in kept["/camera/compressedDepth"][1]
    assert not report.lossless
    assert [topic.topic for topic in report.topics] == ["/camera"]
    assert Manifest.read(tmp_path / "out").kept == report.kept


@every_container
def test_records_as_strings_are_the_specification_s_json(tmp_path: Path, container: Container) -> None:
    images = camera(encoding="bgr8")
    images[7].body.data = images[7].body.data[:30]
    source = log_of(tmp_path, container, images + camera("/left", 6, first=500))
    convert(source, tmp_path / "out", settings=Settings(record="string", topics=("/camera",)))
    found = [
        json.loads(value.data)
        for topic, kind, _, _, value in deserialized(tmp_path / "out" / source.name, container)
        if topic == "/camera" and kind == "std_msgs/msg/String"
    ]
    assert len(found) == 20
    assert found[7].keys() == {"uri"}, "a still has no pts_ns"
    for index, record in enumerate(found):
        if index != 7:
            assert record.keys() == {"uri", "pts_ns"}
            video = stock_video(tmp_path / "out" / record["uri"])
            assert frame_number(video.rgb[video.chosen(record["pts_ns"])]) == index
    left = [
        message for message in stock_messages(tmp_path / "out" / source.name, container) if message.topic == "/left"
    ]
    assert left == [message for message in stock_messages(source, container) if message.topic == "/left"]


def with_bad_frames(folder: Path, container: Container, encoding: Any) -> tuple[Path, dict[int, bytes]]:
    """A log whose frames 0, 3, 7, 11 and 19 of 20 are no images, and the bytes that must not be lost."""
    messages = camera(encoding=encoding)
    good = {m.log_time_ns: m.data for m in stock_messages(log_of(folder / "good", container, messages), container)}
    damaged = (
        b"\xff\xd8\xff\xe0 a JPEG, but for what comes after"
        if encoding == "jpeg"
        else b"thirty bytes instead of 18432."
    )
    bad = {0: damaged, 3: damaged, 7: b"", 19: damaged}
    for index, data in bad.items():
        messages[index].body.data = np.frombuffer(data, np.uint8)
    cut = good[messages[11].log_time_ns][:-400]
    messages[11] = messages[11]._replace(body=cut)
    return log_of(folder, container, messages), bad | {11: cut}


@every_container
@pytest.mark.parametrize("encoding", ["jpeg", "rgb8"])
def test_frames_that_are_no_images_are_embedded_in_their_place(
    tmp_path: Path, container: Container, encoding: str
) -> None:
    source, bad = with_bad_frames(tmp_path, container, encoding)
    report = convert(source, tmp_path / "out")
    assert (report.frames, report.embedded, report.wrong, report.missing, report.kept) == (20, 5, 0, 0, ())
    assert (report.topics[0].frames, report.topics[0].embedded, report.lossless) == (20, 5, False)
    assert report.topics[0].reason
    found = list(records(tmp_path / "out" / source.name, container))
    rows = rows_of(tmp_path / "out")
    assert [record.log_time_ns for record in found] == [row["log_time_ns"] for row in rows] == times(20)
    assert [row["index"] for row in rows] == list(range(20))
    for index, (record, row) in enumerate(zip(found, rows, strict=True)):
        assert row["media"] == {"uri": record.uri, "pts_ns": None if index in bad else record.pts_ns}
        if index in bad:
            assert (record.pts_ns, row["status"]) == (-1, "embedded")
            head, _, body = record.uri.partition(";base64,")
            assert head.startswith("data:")
            assert base64.b64decode(body, validate=True) == bad[index]
        else:
            assert row["status"] == "video"
            video = stock_video(tmp_path / "out" / record.uri)
            assert frame_number(video.rgb[video.chosen(record.pts_ns)]) == index
        if index != 11:  # that one's header is inside of what is embedded
            assert (record.stamp_ns, record.frame_id) == (times(20)[index] - 4_000_000, "camera")
    assert verify(tmp_path / "out", against=source).ok


@pytest.mark.parametrize("count", [1, 3, 40])
def test_topic_of_nothing_but_bad_frames_is_kept(tmp_path: Path, count: int) -> None:
    messages = camera("/bad", count)
    for message in messages:
        message.body.data = np.frombuffer(b"no image", np.uint8)
    source = log_of(tmp_path, "mcap", messages + camera())
    report = convert(source, tmp_path / "out")
    assert [(topic.topic, topic.messages) for topic in report.kept] == [("/bad", count)]
    assert [topic.topic for topic in report.topics] == ["/camera"]
    after = stock_messages(tmp_path / "out" / source.name, "mcap")
    before = stock_messages(source, "mcap")
    assert [m for m in after if m.topic == "/bad"] == [m for m in before if m.topic == "/bad"]


@pytest.mark.parametrize("neighbours", [0, 9])
def test_topic_that_begins_with_one_bad_frame_is_not_kept(tmp_path: Path, neighbours: int) -> None:
    """Cameras that are triggered together have messages at one log time."""
    messages = camera("/bad")
    messages[0].body.data = np.frombuffer(b"no image", np.uint8)
    for index in range(neighbours):
        messages += camera(f"/good{index}", 2)
    report = convert(log_of(tmp_path, "mcap", messages), tmp_path / "out")
    assert report.kept == ()
    assert report.embedded == 1


@every_container
def test_log_without_images_passes_through(tmp_path: Path, container: Container) -> None:
    source = log_of(tmp_path, container, [text("/talk", time, "word") for time in times(9)])
    report = convert(source, tmp_path / "out")
    assert report.lossless
    assert (report.frames, report.topics, report.kept, report.messages_in, report.messages_out) == (0, (), (), 9, 9)
    assert stock_messages(tmp_path / "out" / source.name, container) == stock_messages(source, container)
    assert rows_of(tmp_path / "out") == []
    with open_dataset(tmp_path / "out") as dataset:
        assert list(dataset) == []
    assert verify(tmp_path / "out", against=source).ok


def test_globs_choose_topics(tmp_path: Path) -> None:
    names = ("/front/left", "/front/right", "/rear")
    source = log_of(tmp_path, "rosbag1", [each for name in names for each in camera(name, 4)] + others())

    def chosen(number: int, **settings: Any) -> list[str]:
        report = convert(source, tmp_path / str(number), settings=Settings(**settings))
        after = stock_messages(tmp_path / str(number) / source.name, "rosbag1")
        left = {m.topic for m in after if m.topic in names and "ImageRef" not in m.type}
        assert left == set(names) - {topic.topic for topic in report.topics}
        assert not {topic.topic for topic in report.kept} & set(names)
        return [topic.topic for topic in report.topics]

    assert chosen(1, topics=("/front/*",)) == ["/front/left", "/front/right"]
    assert chosen(2, topics=("/rear", "/front/l*")) == ["/front/left", "/rear"]
    assert chosen(3, exclude=("*right", "/camera*")) == ["/front/left", "/rear"]
    assert chosen(4, topics=("/rear",), exclude=("/*",)) == []
    for glob in ("/FRONT/*", "/talk", "front", "/nothing"):
        with pytest.raises(TopicError, match=r"/front/left, /front/right.*/rear"):
            convert(source, tmp_path / "no", settings=Settings(topics=("/rear", glob)))
    assert not (tmp_path / "no").exists()


def test_rows_of_embedded_frames_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a camera breaks in the middle of a segment, whatever comes after is embedded."""
    limit = 64 * 1024
    monkeypatch.setattr("mediaref_tools.conversion.track._EMBEDDED_BYTES", limit)
    handed: list[int] = []
    add = FrameParts.add

    def spy(self: FrameParts, topic: str, rows: list[FrameRow]) -> Path:
        handed.append(sum(len(row.uri) for row in rows))
        return add(self, topic, rows)

    monkeypatch.setattr(FrameParts, "add", spy)
    messages = camera(count=200)
    for message in messages[1:]:
        message.body.data = np.zeros(8192, np.uint8)
    report = convert(log_of(tmp_path, "mcap", messages), tmp_path / "out")
    assert report.embedded == 199
    assert max(handed) < 2 * limit


def test_converting_a_rewritten_log_leaves_no_reference_without_its_video(tmp_path: Path) -> None:
    source = log_of(tmp_path, "mcap", camera("/one") + camera("/two"))
    convert(source, tmp_path / "first", settings=Settings(topics=("/one",)))
    report = convert(tmp_path / "first" / source.name, tmp_path / "second")
    broken = [
        record.uri
        for record in records(tmp_path / "second" / source.name, "mcap")
        if not (tmp_path / "second" / record.uri).exists()
    ]
    assert broken == [] or any("/one" in warning for warning in report.warnings)
