"""The promise: every reference decodes to the number of the very message that it replaced."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

import mediaref_tools as mrt
from mediaref_tools.sample import Container, SampleMessage, frame_number, numbered_topic, write_log

CONTAINERS: tuple[Container, ...] = ("rosbag1", "rosbag2-sqlite3", "rosbag2-mcap", "mcap")
START = 1_700_000_000_123_456_789
SIZE = (112, 160)
Codec = Literal["h264", "av1"]
Size = tuple[int, int] | Callable[[int], tuple[int, int]]


def irregular(count: int, mean_ns: int = 33_333_333) -> list[int]:
    steps = np.random.default_rng(7).integers(mean_ns // 4, mean_ns * 2, count)
    return [START + int(step) for step in np.cumsum(steps)]


def rate(hertz: float, count: int = 40) -> list[int]:
    return [START + round(number * 1e9 / hertz) for number in range(count)]


def gap(at: int, gap_ns: int, count: int = 30) -> list[int]:
    return [START + number * 40_000_000 + (gap_ns if number >= at else 0) for number in range(count)]


TIMES = {
    "irregular": irregular(45),
    "14.7 Hz": rate(14.7),
    "30 Hz": rate(30),
    "60 Hz": rate(60),
    "three equal stamps": sorted([*rate(30, 20), START + 200_000_000, START + 200_000_000, START + 200_000_000]),
    "1 us apart": [START + number * 1_000 for number in range(20)],
    "300 ns apart": [START + number * 300 for number in range(20)],
    "3 s gap": gap(11, 3_000_000_000),
    "40 min gap": gap(11, 2_400_000_000_000),
}


def path_of(folder: Path, container: Container) -> Path:
    return folder / ("log" + {"rosbag1": ".bag", "mcap": ".mcap"}.get(container, ""))


def stock_records(dataset: Path, topic: str, container: Container) -> Iterator[tuple[int, str, int, Any]]:
    """(log time, uri, pts_ns, header) by libraries that are not ours."""
    log = dataset / mrt.open_dataset(dataset).manifest.log
    if container == "mcap":
        with log.open("rb") as stream:
            reader = make_reader(stream, decoder_factories=[DecoderFactory()])
            for _, _, message, record in reader.iter_decoded_messages(topics=[topic]):
                yield message.log_time, record.media_ref.uri, record.media_ref.pts_ns, record.header
        return
    with AnyReader([log]) as bag:
        for connection, time_ns, data in bag.messages([each for each in bag.connections if each.topic == topic]):
            value: Any = bag.deserialize(data, connection.msgtype)
            yield time_ns, value.media_ref.uri, value.media_ref.pts_ns, value.header


def plain_frames(path: Path) -> tuple[list[int], list[NDArray[np.uint8]]]:
    """Times in ns and pictures of a file, by PyAV alone, decoded from start to end."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        times: list[int] = []
        pictures: list[NDArray[np.uint8]] = []
        for frame in container.decode(stream):
            assert frame.pts is not None
            times.append(round(frame.pts * stream.time_base * 10**9))
            pictures.append(frame.to_ndarray(format="rgb24").astype(np.uint8))
        return times, pictures


def prove(dataset: Path, topic: str, times_ns: list[int], container: Container) -> None:
    """Every reference, decoded in three ways, shows its own number."""
    expected = list(range(len(times_ns)))
    with mrt.open_dataset(dataset) as opened:
        frames = opened[topic]
        assert frames.log_times_ns.tolist() == times_ns
        by_reader = {frame.index: frame_number(frame.data) for frame in frames}
        assert [by_reader[index] for index in expected] == expected
        shuffled = np.random.default_rng(1).permutation(len(expected))
        sizes = frames.sizes
        same = [int(index) for index in shuffled if (sizes[index] == sizes[shuffled[0]]).all()]
        assert [frame_number(picture) for picture in frames.batch(same).data] == same
        by_table = list(zip(frames.refs, sizes.tolist(), strict=True))

    files: dict[str, tuple[list[int], list[NDArray[np.uint8]]]] = {}
    recorded = list(stock_records(dataset, topic, container))
    assert [record[0] for record in recorded] == times_ns
    for number, (_, uri, pts_ns, _) in enumerate(recorded):
        assert (by_table[number][0].uri, by_table[number][0].pts_ns) == (uri, pts_ns)
        assert pts_ns % 1000 == 0
        if uri not in files:
            files[uri] = plain_frames(dataset / uri)
        starts, pictures = files[uri]
        chosen = int(np.searchsorted(starts, pts_ns, side="right")) - 1
        height, width = by_table[number][1]
        assert starts[chosen] == pts_ns
        assert frame_number(pictures[chosen][:height, :width]) == number


def convert(
    folder: Path, container: Container, messages: list[SampleMessage], codec: Codec = "h264", **settings: Any
) -> tuple[Path, mrt.Report]:
    log = write_log(path_of(folder, container), container, messages)
    out = folder / "dataset"
    report = mrt.convert(log, out, settings=mrt.Settings(codec=codec, **settings))
    assert (report.wrong, report.missing, report.embedded, report.kept) == (0, 0, 0, ())
    return out, report


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("name", TIMES)
def test_times(tmp_path: Path, container: Container, codec: Codec, name: str) -> None:
    times_ns = TIMES[name]
    messages = numbered_topic("/camera", times_ns, encoding="bgr8", size=SIZE)
    out, report = convert(tmp_path, container, messages, codec)
    assert report.frames == len(times_ns)
    assert report.topics[0].segments == (2 if name == "40 min gap" else 1)
    prove(out, "/camera", times_ns, container)


@pytest.mark.parametrize("encoding", ["jpeg", "png", "rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
@pytest.mark.parametrize("size", [(120, 160), (121, 161), (128, 97), (111, 250)])
def test_encodings_and_odd_sizes(tmp_path: Path, encoding: Any, size: tuple[int, int]) -> None:
    times_ns = irregular(18)
    padding = 7 if encoding not in ("jpeg", "png") else 0
    messages = numbered_topic("/camera", times_ns, encoding=encoding, size=size, step_padding=padding)
    out, _ = convert(tmp_path, "mcap", messages)
    with mrt.open_dataset(out) as dataset:
        assert dataset["/camera"].batch([0]).data.shape[1:3] == size
    prove(out, "/camera", times_ns, "mcap")


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_size_changes_midway(tmp_path: Path, container: Container, codec: Codec) -> None:
    times_ns = irregular(40)
    sizes: Size = lambda number: (112, 160) if number < 13 or number == 30 else (144, 201)  # noqa: E731
    messages = numbered_topic("/camera", times_ns, encoding="jpeg", size=sizes)
    out, report = convert(tmp_path, container, messages, codec)
    assert report.topics[0].segments == 4
    prove(out, "/camera", times_ns, container)


@pytest.mark.parametrize("container", CONTAINERS)
def test_topics_side_by_side_in_many_segments(tmp_path: Path, container: Container) -> None:
    topics = {"/a/b": irregular(60), "/a_b": rate(14.7, 50), "/a-b": rate(60, 70), "/A/b~": irregular(30, 70_000_000)}
    messages = [
        message
        for number, (topic, times_ns) in enumerate(topics.items())
        for message in numbered_topic(topic, times_ns, encoding=("jpeg", "rgb8")[number % 2], size=SIZE)
    ]
    out, report = convert(tmp_path, container, messages, segment_ns=500_000_000)
    assert sum(topic.segments for topic in report.topics) > 8
    for topic, times_ns in topics.items():
        prove(out, topic, times_ns, container)


def test_topic_that_alternates_jpeg_and_png_stays_in_one_segment(tmp_path: Path) -> None:
    times_ns = irregular(30)
    as_jpeg = numbered_topic("/camera", times_ns, encoding="jpeg", size=SIZE)
    as_png = numbered_topic("/camera", times_ns, encoding="png", size=SIZE)
    mixed = [(as_jpeg, as_png)[number % 2][number] for number in range(len(times_ns))]
    out, report = convert(tmp_path, "mcap", mixed)
    assert report.topics[0].segments == 1
    prove(out, "/camera", times_ns, "mcap")


@pytest.mark.parametrize("container", CONTAINERS)
def test_record_keeps_header_and_what_the_image_said(tmp_path: Path, container: Container) -> None:
    times_ns = irregular(8)
    messages = numbered_topic("/camera", times_ns, encoding="rgb8", size=(121, 161), step_padding=3)
    out, _ = convert(tmp_path, container, messages)
    rows = pq.read_table(out / "frames.parquet").to_pylist()
    for message, row, (_, _, _, header) in zip(messages, rows, stock_records(out, "/camera", container), strict=True):
        stamp = message.body.header.stamp
        theirs = header.stamp
        nanosec = theirs.nanosec if hasattr(theirs, "nanosec") else theirs.nsecs
        assert (theirs.sec, nanosec, header.frame_id) == (stamp.sec, stamp.nanosec, message.body.header.frame_id)
        assert row["stamp_ns"] == stamp.sec * 10**9 + stamp.nanosec
        assert (row["frame_id"], row["source_encoding"], row["source_format"]) == (header.frame_id, "rgb8", "")
        assert (row["width"], row["height"], row["log_time_ns"]) == (161, 121, message.log_time_ns)


@pytest.mark.parametrize("container", CONTAINERS)
def test_string_records_are_json_that_the_seed_reads(tmp_path: Path, container: Container) -> None:
    times_ns = irregular(12)
    messages = numbered_topic("/camera", times_ns, encoding="jpeg", size=SIZE)
    out, _ = convert(tmp_path, container, messages, record="string")
    with mrt.open_dataset(out) as dataset:
        log, refs = out / dataset.manifest.log, list(dataset["/camera"].refs)
    with AnyReader([log]) as bag:
        texts = [getattr(bag.deserialize(data, each.msgtype), "data") for each, _, data in bag.messages()]  # noqa: B009
    assert [json.loads(text) for text in texts] == [{"uri": ref.uri, "pts_ns": ref.pts_ns} for ref in refs]
