"""Restored logs against the logs that were converted, as stock readers have both."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import FileBytes, PixelDecoder
from mediaref_tools.pixels.plane import cropped, same_pixels
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import START_NS, Container, write_log
from tests.encodings.matrix import CASES, Case, messages, write_protobuf
from tests.smalllogs import SUFFIX, every_container, log_of, others, text
from tests.smalllogs import camera as camera_topic
from tests.stocklogs import stock_messages

DEPTH = [case for case in CASES if case.encoding.startswith("compressedDepth")]
COPIED = ("jpeg", "png")


def round_trip(log: Path, **settings: Any) -> tuple[mrt.RestoreReport, Path]:
    dataset, again = log.parent / "dataset", log.parent / f"again{log.suffix}"
    mrt.convert(log, dataset, settings=mrt.Settings(**settings))
    return mrt.restore(dataset, again, verify=True), again


def by_topic(path: Path, container: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for message in stock_messages(path, container):
        found.setdefault(message.topic, []).append(message)
    return found


def promised(case: Case, codec: str) -> str:
    """What becomes of a topic's messages."""
    is_file = case.is_file and not case.encoding.startswith(("compressedDepth", "zstd"))
    if is_file and codec == "copy" and case.encoding.startswith(COPIED):
        return "identical"
    if is_file and codec == "lossless" and case.encoding.startswith("jpeg"):
        return "identical"
    if case.fate == "kept":
        return "kept"
    if case.fate == "lossy" and codec == "h264":
        return "near"
    return "pixels" if case.is_file else "identical"


@every_container
@pytest.mark.parametrize("codec", ["h264", "lossless", "copy"])
def test_every_encoding(tmp_path: Path, container: Container, codec: str) -> None:
    cases = CASES if container == "mcap" else CASES[::6]  # what is in a message is the same everywhere
    log = write_log(tmp_path / f"log{SUFFIX[container]}", container, messages(cases))
    report, again = round_trip(log, codec=codec)
    assert report.problems == ()
    assert report.kept_its_word
    found = {topic.topic: topic for topic in report.topics}
    before, after = by_topic(log, container), by_topic(again, container)
    assert before.keys() == after.keys()
    for case in cases:
        wanted = promised(case, codec)
        same = [mine == theirs for mine, theirs in zip(before[case.topic], after[case.topic], strict=True)]
        if wanted in ("kept", "identical"):
            assert all(same), case
        if wanted == "kept":
            assert case.topic not in found
            continue
        topic = found[case.topic]
        counts = {name: getattr(topic, name) for name in ("identical", "pixels", "near")}
        assert counts == {"identical": 0, "pixels": 0, "near": 0, wanted: len(same)}, case
        assert (topic.different, topic.unproved) == (0, 0)
        if wanted in ("pixels", "near"):
            check_pictures(log, again, case, exact=wanted == "pixels")


def check_pictures(log: Path, again: Path, case: Case, *, exact: bool) -> None:
    """The pictures of messages made anew are those of their own messages, and not of the ones beside them."""
    decoder = PixelDecoder(Policy(lossless=True))
    with open_log(log) as one, open_log(again) as two:
        pairs = list(zip(one.messages([case.topic]), two.messages([case.topic]), strict=True))
        for number, (mine, theirs) in enumerate(pairs):
            source, made = one.image(mine), two.image(theirs)
            assert said(source) == said(made)
            frames = [decoder.take(image) for image in (source, made)]
            if exact:
                left, right = (as_picture(each) for each in frames)
                assert same_pixels(left, right, case.size[1], case.size[0])
            else:
                other = one.image(pairs[number - 1][0])
                own, next_ = error(source, made), error(other, made)
                assert own < next_ / 2, (case, number, own, next_)


def as_picture(taken: Any) -> Any:
    assert not isinstance(taken, FileBytes)
    return taken.frame


def said(image: ImageValue) -> tuple[Any, ...]:
    told = (image.encoding, image.height, image.width, image.step, image.is_bigendian, image.stamp_ns, image.frame_id)
    return (*told, len(image.data) if image.kind == "raw" else 0)


_LOSSY = PixelDecoder()


def error(one: ImageValue, other: ImageValue) -> float:
    """Mean square difference of luma."""
    planes = []
    for image in (one, other):
        taken = _LOSSY.take(image)
        assert not isinstance(taken, FileBytes)
        planes.append(cropped(taken.frame, 0, taken.width, taken.height).astype(float))
    return float(np.square(planes[0] - planes[1]).mean())


def test_foxglove_messages_in_protobuf(tmp_path: Path) -> None:
    chosen = [case for case in CASES if not case.settings.get("big_endian")]
    log = write_protobuf(tmp_path / "log.mcap", chosen)
    report, again = round_trip(log, codec="lossless", depth="ffv1")
    assert report.kept_its_word
    assert sum(topic.identical for topic in report.topics) > 400
    before, after = by_topic(log, "mcap"), by_topic(again, "mcap")
    for topic in report.topics:
        if topic.identical == topic.messages:
            assert before[topic.topic] == after[topic.topic]


@pytest.mark.parametrize("container", ["rosbag1", "mcap"])
def test_compressed_depth_as_ffv1(tmp_path: Path, container: Container) -> None:
    """Of 16 bits, RVL and PNG: integers and header are the payload's own; the file is as our own writer has it."""
    log = write_log(tmp_path / f"log{SUFFIX[container]}", container, messages(DEPTH))
    report, again = round_trip(log, depth="ffv1")
    assert report.kept_its_word
    with open_log(log) as one, open_log(again) as two:
        decoder = PixelDecoder(Policy(depth="ffv1"))
        for mine, theirs in zip(one.messages(), two.messages(), strict=True):
            left, right = (decoder.take(each.image(m)) for each, m in ((one, mine), (two, theirs)))
            assert not isinstance(left, FileBytes)
            assert not isinstance(right, FileBytes)
            assert left.framing == right.framing
            assert same_pixels(left.frame, right.frame, left.width, left.height)


@every_container
@pytest.mark.parametrize("record", ["typed", "string"])
def test_everything_else_is_the_same(tmp_path: Path, container: Container, record: str) -> None:
    rest = [one for one in others() if record == "typed" or one.topic != "/camera"]
    log = log_of(tmp_path, container, [*camera_topic(), *camera_topic("/right", encoding="bgr8"), *rest])
    report, again = round_trip(log, codec="copy", record=record)
    assert report.kept_its_word
    assert report.copied == len(rest)
    assert Counter(map(repr, stock_messages(log, container))) == Counter(map(repr, stock_messages(again, container)))
    with open_log(log) as one, open_log(again) as two:
        assert list(one.channels) == list(two.channels)
        assert two.losses == one.losses


@pytest.mark.parametrize("container", ["rosbag2-sqlite3", "rosbag2-mcap"])
def test_strings_among_records_that_are_strings_are_refused(tmp_path: Path, container: Container) -> None:
    """A rosbag2 declares both as one, so nobody can tell them apart."""
    log = log_of(tmp_path, container, [*camera_topic(), text("/camera", START_NS + 1, "no record")])
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(record="string"))
    with pytest.raises(mrt.MediarefError, match="which"):
        mrt.restore(tmp_path / "dataset", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", log.name]


def test_raw_pixels_with_something_between_their_rows(tmp_path: Path) -> None:
    found = camera_topic("/cam", encoding="bgr8", step_padding=7, trailing=5)
    rng = np.random.default_rng(1)
    for message in found[::2]:  # every other one: bytes that no pixel is
        data = message.body.data.copy()
        height, width, step = message.body.height, message.body.width, message.body.step
        data[: height * step].reshape(height, step)[:, 3 * width :] = rng.integers(0, 255, (height, 7))
        data[height * step :] = 9
        message.body.data = data
    log = log_of(tmp_path, "mcap", found)
    report, again = round_trip(log, codec="lossless")
    assert [topic.identical for topic in report.topics] == [len(found)]
    assert sorted(stock_messages(log, "mcap")) == sorted(stock_messages(again, "mcap"))


@every_container
def test_frames_that_are_embedded_come_back(tmp_path: Path, container: Container) -> None:
    """Cut, empty, no image at all, and bytes that are no message."""
    found = camera_topic("/cam", 20)
    found[11].body.data = np.frombuffer(b"no image at all", np.uint8)
    found[12].body.data = found[12].body.data[:100]
    found[13].body.data = np.empty(0, np.uint8)
    found[14] = found[14]._replace(body=b"\0\1\2 nothing that deserialises")
    log = log_of(tmp_path, container, found)
    report, again = round_trip(log, codec="copy")
    assert [(topic.identical, topic.different) for topic in report.topics] == [(20, 0)]
    assert sorted(map(repr, stock_messages(log, container))) == sorted(map(repr, stock_messages(again, container)))


def test_progress_is_told(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera_topic())
    mrt.convert(log, tmp_path / "dataset")
    told: list[mrt.Progress] = []
    mrt.restore(tmp_path / "dataset", tmp_path / "again.mcap", verify=True, on_progress=told.append)
    assert list(dict.fromkeys(state.stage for state in told)) == ["restore", "verify"]
    assert all(state.total == 20 for state in told)
    assert told[-1].done == 20


def test_report_adds_up(tmp_path: Path) -> None:
    log = log_of(tmp_path, "rosbag1", [*camera_topic(), *others()])
    report, again = round_trip(log)
    assert report.messages == report.copied + sum(topic.messages for topic in report.topics)
    assert report.bytes == again.stat().st_size
    assert mrt.RestoreReport.model_validate_json(report.model_dump_json()) == report
