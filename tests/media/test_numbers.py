"""The promise: every reference decodes to the number of the very picture that it stands for.

Three readers look at every reference of every log: this package's own; plain PyAV, which decodes the whole file and
chooses by the specification's rule; and rosbags or mcap, which read the records out of the rewritten log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pyarrow.parquet as pq
import pytest

from mediaref_tools import Report, Settings, convert, open_dataset
from mediaref_tools.plugins import installed
from mediaref_tools.sample import (
    START_NS,
    Container,
    ImageEncoding,
    SampleMessage,
    frame_number,
    numbered_image,
    numbered_topic,
    write_log,
)
from tests.stocklogs import StockRecord, records, stock_video

START = START_NS + 123_456_789
MS, S = 1_000_000, 1_000_000_000
SUFFIX = {"rosbag1": ".bag", "mcap": ".mcap", "rosbag2-sqlite3": "", "rosbag2-mcap": ""}
CODECS = ("h264", "av1")


def at(*seconds: float) -> list[int]:
    return [START + round(second * S) for second in seconds]


def every(hertz: float, count: int) -> list[int]:
    return at(*(index / hertz for index in range(count)))


def irregular(count: int) -> list[int]:
    gaps = np.random.default_rng(5).integers(1 * MS, 180 * MS, count)
    return [START + gap for gap in accumulate(gaps.tolist())]


TIMES: dict[str, list[int]] = {
    "/cam/irregular": irregular(40),
    "/cam_irregular": every(14.7, 40),  # these two share a folder's name wherever a slash becomes an underscore
    "/hz30": every(30, 40),
    "/hz60": every(60, 40),
    "/three_equal": [time for time in every(20, 10) for _ in range(3)],
    "/one_us": [START + index * 1000 for index in range(20)],
    "/below_us": [START + index * 300 for index in range(20)],
    "/one_ns_and_on": [*(START + index for index in range(10)), *every(25, 10)[1:]],
    "/gap_3s": [*every(30, 10), *(time + 3 * S for time in every(30, 10))],
    "/gap_40min": [*every(30, 10), *(time + 2400 * S for time in every(30, 10))],
    "/gaps_999s": at(0, 999, 999.04, 1998, 2997),  # 2^31 µs are 2147 s
    "/one_frame": at(0.5),
    "/cam-irregular": irregular(12),
    "/Cam/irregular~": every(30, 12),
}
PLAIN: tuple[ImageEncoding, ...] = ("jpeg", "png", "rgb8", "bgr8", "rgba8", "bgra8", "mono8")
ENCODINGS: dict[str, tuple[ImageEncoding, int]] = {
    f"/{name}{'_padded' if padding else ''}": (name, padding)
    for name in PLAIN
    for padding in ((0,) if name in ("jpeg", "png") else (0, 5))
}
MIXED = ("/size_change", "/jpeg_and_png", "/encoding_change")


SIZE, ODD, OTHER = (128, 160), (129, 161), (144, 97)


@cache
def topics() -> dict[str, list[SampleMessage]]:
    """Image topics by name; the pictures of each begin at another number."""
    found: dict[str, list[SampleMessage]] = {}
    for name, times in TIMES.items():
        found[name] = numbered_topic(name, times, size=SIZE, first=97 * len(found))
    for name, (encoding, padding) in ENCODINGS.items():
        first = 97 * len(found)
        found[name] = numbered_topic(
            name, irregular(18), encoding=encoding, size=ODD, step_padding=padding, first=first
        )
    times = every(30, 18)
    name, first = MIXED[0], 97 * len(found)
    found[name] = numbered_topic(
        name, times, size=lambda index: OTHER if 5 <= index < 11 or index == 14 else SIZE, first=first
    )
    cycles: tuple[tuple[ImageEncoding, ...], ...] = (("jpeg", "png"), ("bgr8",) * 5 + ("rgb8",) * 4)
    for name, cycle in zip(MIXED[1:], cycles, strict=True):
        first = 97 * len(found)
        parts = {each: numbered_topic(name, times, encoding=each, size=SIZE, first=first) for each in set(cycle)}
        found[name] = [parts[cycle[index % len(cycle)]][index] for index in range(len(times))]
    return found


class Made(NamedTuple):
    container: Container
    messages: Mapping[str, list[SampleMessage]]
    dataset: Path
    report: Report

    def first(self, topic: str) -> int:
        return 97 * list(self.messages).index(topic)


Make = Callable[[Container, Any, int], Made]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Converts each log once."""

    @cache
    def made(container: Container, codec: Any, segment_ns: int) -> Made:
        if any(plugin.name == container and plugin.error for plugin in installed()):
            pytest.skip(f"the converter {container} can't be loaded here")
        folder = tmp_path_factory.mktemp(f"{container}-{codec}")
        messages = topics()
        if segment_ns < 10 * S:
            messages = {name: messages[name] for name in list(messages)[:6]}
        source = folder / f"source{SUFFIX[container]}"
        # Interleaved: the topics of one time come in turn, as they do from a recorder.
        write_log(source, container, [message for each in messages.values() for message in each])
        settings = Settings(codec=codec, segment_ns=segment_ns)
        return Made(container, messages, folder / "out", convert(source, folder / "out", settings=settings))

    return made


LONG, SHORT = 10_000 * S, 1 * S
ALL = [*TIMES, *ENCODINGS, *MIXED]
CASES = [(LONG, topic) for topic in ALL] + [(SHORT, topic) for topic in ALL[:6]]
LOGS = [(container, codec) for container in get_args(Container) for codec in CODECS]
everywhere = pytest.mark.parametrize(("container", "codec"), LOGS)


@cache
def numbers_in(segment: Path) -> tuple[tuple[int, ...], Callable[[int], int]]:
    """Frame numbers of a segment as PyAV decodes it, and the specification's choice among them."""
    video = stock_video(segment)
    return tuple(frame_number(rgb) for rgb in video.rgb), video._replace(rgb=[]).chosen


@cache
def stock_records(log: Path, container: Container) -> dict[str, list[StockRecord]]:
    found: dict[str, list[StockRecord]] = {}
    for record in records(log, container):
        found.setdefault(record.topic, []).append(record)
    return found


@cache
def table(dataset: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(dataset / "frames.parquet").to_pylist())


def shown(dataset: Path, uri: str, pts_ns: int) -> int:
    numbers, chosen = numbers_in(dataset / uri)
    return numbers[chosen(pts_ns)]


@pytest.mark.parametrize(
    ("container", "codec", "segment_ns", "topic"),
    [
        pytest.param(*log, segment_ns, topic, id=f"{'-'.join(log)}-{topic[1:]}-{segment_ns // S}s")
        for log in LOGS
        for segment_ns, topic in CASES
        if segment_ns == LONG or log[0] == "mcap" or log[1] == "h264"
    ],
)
def test_every_reference_shows_its_own_number(
    make: Make, container: Container, codec: str, segment_ns: int, topic: str
) -> None:
    made = make(container, codec, segment_ns)
    source, first = made.messages[topic], made.first(topic)
    expected = [first + index for index in range(len(source))]
    with open_dataset(made.dataset) as dataset:
        ours = dataset[topic]
        refs = list(ours.refs)
        assert [frame_number(frame.data) for batch in ours.batches(7) for frame in batch] == expected
        assert [frame_number(ours[index].data) for index in (0, -1)] == [expected[0], expected[-1]]
        log = made.dataset / dataset.manifest.log
    stock = stock_records(log, container)[topic]
    assert [shown(made.dataset, record.uri, record.pts_ns) for record in stock] == expected
    assert [shown(made.dataset, ref.uri, ref.pts_ns or 0) for ref in refs] == expected
    assert [(record.uri, record.pts_ns) for record in stock] == [(ref.uri, ref.pts_ns) for ref in refs]
    assert all(record.pts_ns % 1000 == 0 for record in stock)
    assert len({(record.uri, record.pts_ns) for record in stock}) == len(stock), "two frames share a reference"


@pytest.mark.parametrize(("segment_ns", "topic"), CASES, ids=[f"{topic[1:]}-{each // S}s" for each, topic in CASES])
@pytest.mark.parametrize("container", get_args(Container))
def test_records_and_rows_keep_what_the_messages_said(
    make: Make, container: Container, segment_ns: int, topic: str
) -> None:
    made = make(container, "h264", segment_ns)
    source = made.messages[topic]
    times = [message.log_time_ns for message in source]
    stamps = [message.body.header.stamp.sec * S + message.body.header.stamp.nanosec for message in source]
    assert stamps == [time - 4 * MS for time in times]
    published = times if container.endswith("mcap") else [None] * len(times)
    with open_dataset(made.dataset) as dataset:
        log = made.dataset / dataset.manifest.log
        assert dataset[topic].log_times_ns.tolist() == times
        assert dataset[topic].stamps_ns.tolist() == stamps
    stock = stock_records(log, container)[topic]
    assert [record.log_time_ns for record in stock] == times
    assert [record.publish_time_ns for record in stock] == published
    assert [record.stamp_ns for record in stock] == stamps
    assert {record.frame_id for record in stock} == {"camera"}
    for record, message in zip(stock, source, strict=True):
        body = message.body
        assert record.source_type.split("/")[-1] == message.type.split("/")[-1]
        assert record.source_encoding == (getattr(body, "format", None) or body.encoding)
    rows = [row for row in table(made.dataset) if row["topic"] == topic]
    assert [row["index"] for row in rows] == list(range(len(times)))
    assert [row["log_time_ns"] for row in rows] == times
    assert [row["publish_time_ns"] for row in rows] == published
    assert [row["stamp_ns"] for row in rows] == stamps
    assert [(row["media"]["uri"], row["media"]["pts_ns"]) for row in rows] == [(r.uri, r.pts_ns) for r in stock]
    assert {row["status"] for row in rows} == {"video"}


@everywhere
def test_segments_begin_where_they_must(make: Make, container: Container, codec: str) -> None:
    made = make(container, codec, LONG)
    report = {topic.topic: topic.segments for topic in made.report.topics}
    expected = dict.fromkeys(made.messages, 1)
    expected |= {"/gap_40min": 2, "/size_change": 2}
    assert report == expected
    assert (made.report.wrong, made.report.missing, made.report.embedded) == (0, 0, 0)
    assert made.report.lossless


@pytest.mark.parametrize(("container", "codec"), [("mcap", "av1"), ("rosbag1", "h264"), ("rosbag2-mcap", "h264")])
def test_segments_end_when_they_are_long_enough(make: Make, container: Container, codec: str) -> None:
    short = make(container, codec, SHORT)
    with open_dataset(short.dataset) as dataset:
        for name, topic in dataset.items():
            refs = [(ref.uri, time) for ref, time in zip(topic.refs, topic.log_times_ns.tolist(), strict=True)]
            for uri in {uri for uri, _ in refs}:
                times = [time for each, time in refs if each == uri]
                assert times[-1] - times[0] < SHORT, name
        assert len({ref.uri for ref in dataset["/cam/irregular"].refs}) >= 4


@everywhere
def test_times_of_a_segment_are_the_log_s(make: Make, container: Container, codec: str) -> None:
    """To the microsecond where log times are apart by one, and strictly later where they are not."""
    for name, messages in (made := make(container, codec, LONG)).messages.items():
        with open_dataset(made.dataset) as dataset:
            segments: dict[str, list[tuple[int, int]]] = {}
            for ref, message in zip(dataset[name].refs, messages, strict=True):
                segments.setdefault(ref.uri, []).append((ref.pts_ns or 0, message.log_time_ns))
        for pairs in segments.values():
            assert pairs[0][0] == 0
            assert all(early < late for (early, _), (late, _) in pairwise(pairs))
            if name not in ("/three_equal", "/below_us", "/one_ns_and_on"):
                assert max(abs(pts - (time - pairs[0][1])) for pts, time in pairs) <= 500, name


@everywhere
@pytest.mark.parametrize("topic", list(ENCODINGS))
def test_colours_are_the_source_s(make: Make, container: Container, codec: str, topic: str) -> None:
    """A number is black and white: channels in the wrong order, or levels of the wrong range, would not show in it."""
    made = make(container, codec, LONG)
    with open_dataset(made.dataset) as dataset:
        frame = dataset[topic].batch([9], "rgb")[0]
        height, width, _ = frame.data.shape
        plain = stock_video(made.dataset / frame.ref.uri).rgb[9][:height, :width]
    expected = numbered_image(made.first(topic) + 9, width, height).astype(np.float64)
    if topic.startswith("/mono8"):
        expected = (expected @ [0.299, 0.587, 0.114])[:, :, None].repeat(3, 2)
    for rgb in (frame.data, plain):
        assert (height, width) == ODD
        assert np.abs(rgb - expected).mean() < 6
        assert np.abs((rgb - expected).mean(axis=(0, 1))).max() < 2.5
