"""The MCAP reader, against the stock linear reader and what the specification allows."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mcap.records import Channel, Schema

from converters.mcap.reader import SCHEMA_ENCODING, McapConverter, McapReader
from mediaref_tools.errors import LogError, LogNotFound
from mediaref_tools.log import Converter, LogReader
from tests.converters.mcaplogs import (
    PROFILES,
    VARIANTS,
    chunk,
    contents,
    declared,
    found,
    message,
    raw_log,
    scanned,
    statistics,
    write_log,
)


def test_the_converter_fits_its_protocols(tmp_path: Path) -> None:
    converter: Converter = McapConverter()
    write_log(tmp_path / "a.bin")
    assert converter.name == "mcap"
    assert converter.claims(tmp_path / "a.bin")
    with converter.open(tmp_path / "a.bin") as reader:
        log: LogReader = reader
        assert log.container == "mcap"


def test_claims_by_magic_bytes_only(tmp_path: Path) -> None:
    (tmp_path / "empty.mcap").touch()
    (tmp_path / "text.mcap").write_text("not a log")
    (tmp_path / "folder.mcap").mkdir()
    for name in ("empty.mcap", "text.mcap", "folder.mcap", "absent.mcap"):
        assert not McapConverter().claims(tmp_path / name)


def test_what_is_no_mcap_file_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("not a log")
    for name in ("empty", "text", "."):
        with pytest.raises(LogError, match=str(tmp_path)):
            McapReader(tmp_path / name)
    with pytest.raises(LogNotFound):
        McapReader(tmp_path / "absent")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_write_a_log_reads_the_same(tmp_path: Path, variant: str, profile: str) -> None:
    path = tmp_path / "a.mcap"
    write_log(path, profile=profile, **VARIANTS[variant])
    stock = contents(path)
    with McapReader(path) as reader:
        assert found(reader) == stock.messages
        assert reader.stats() == scanned(reader)
        assert sum(stats.messages for stats in reader.stats().values()) == 60
        assert not reader.losses
        assert (reader.profile, reader.library) == (profile, "a test")
        assert [channel.topic for channel in reader.channels] == ["/cam", "/imu", "/cam", "/idle"]
        assert [channel.id for channel in reader.channels] == [1, 2, 3, 4]
        assert [record.name for record in reader.metadata()] == ["rosbag2", "empty"]
        roles = ("unsupported" if profile == "" else "image", "other", "unsupported", "other")
        assert tuple(channel.role for channel in reader.channels) == roles


def test_loose_messages_beside_chunks_are_not_lost(tmp_path: Path) -> None:
    messages = [message(1, 10 * i, b"%d" % i) for i in range(30)]
    data = [*declared(), *chunk(messages[:10]), *messages[10:15], *chunk(messages[15:25]), *messages[25:]]
    summary = [*declared(), statistics(30, chunk_count=2)]
    raw_log(tmp_path / "a", data, summary, chunk_indexes=True)
    with McapReader(tmp_path / "a") as reader:
        assert [bytes(m.data) for m in reader.messages()] == [b"%d" % i for i in range(30)]
        assert [bytes(m.data) for m in reader.messages({"/a"}, start_ns=120, stop_ns=140)] == [b"12", b"13"]
        assert reader.stats()[1] == (30, 50, 0, 290)
        assert not reader.losses


def test_time_order_across_chunks_and_file_order_among_equals(tmp_path: Path) -> None:
    times = [50, 10, 30, 30, 20, 60, 0, 30, 5, 30, 40, 30]
    messages = [message(1, time, bytes([i])) for i, time in enumerate(times)]
    data = [*declared(), *chunk(messages[:4]), *chunk(messages[4:8]), *messages[8:10], *chunk(messages[10:])]
    raw_log(tmp_path / "a", data)
    with McapReader(tmp_path / "a") as reader:
        read = list(reader.messages())
        expected = sorted(range(len(times)), key=lambda i: (times[i], i))
        assert [m.data[0] for m in read] == expected
        in_file_order = sorted(read, key=lambda m: m.position)
        assert [m.data[0] for m in in_file_order] == list(range(len(times)))


def test_unchunked_runs_that_overlap_are_sorted(tmp_path: Path) -> None:
    times = [(7919 * i) % 1000 for i in range(1000)]
    raw_log(tmp_path / "a", [*declared(), *(message(1, time, bytes(5000)) for time in times)])
    with McapReader(tmp_path / "a") as reader:
        assert len(reader._index.spans) > 3
        assert [m.log_time_ns for m in reader.messages()] == sorted(times)
        assert [m.log_time_ns for m in reader.messages(start_ns=3, stop_ns=6)] == [3, 4, 5]


@pytest.mark.parametrize("variant", ["zstd", "unchunked", "no-index"])
def test_filters_are_half_open_and_take_any_collection(tmp_path: Path, variant: str) -> None:
    write_log(tmp_path / "a", **VARIANTS[variant])
    with McapReader(tmp_path / "a") as reader:
        every = list(reader.messages())
        start_ns, stop_ns = every[7].log_time_ns, every[31].log_time_ns
        assert list(reader.messages(start_ns=start_ns, stop_ns=stop_ns)) == every[7:31]
        for i, each in enumerate(every):  # the last message of a chunk is one of them
            assert list(reader.messages(start_ns=each.log_time_ns)) == every[i:]
            assert list(reader.messages(stop_ns=each.log_time_ns)) == every[:i]
        assert list(reader.messages(start_ns=stop_ns, stop_ns=start_ns)) == []
        imu = [m for m in every if m.channel.topic == "/imu"]
        for topics in (["/imu"], {"/imu"}, {"/imu": 1}.keys(), ("/imu", "/nothing")):
            assert list(reader.messages(topics)) == imu
        assert list(reader.messages(["/cam"], start_ns=start_ns, stop_ns=stop_ns)) == [
            m for m in every[7:31] if m.channel.topic == "/cam"
        ]
        assert list(reader.messages([])) == list(reader.messages(["/nothing"])) == []


def test_a_filter_does_not_read_chunks_without_its_topics(tmp_path: Path) -> None:
    second = declared(2, "/b")
    damaged = chunk([message(2, 5)], uncompressed_crc=1)
    data = [*declared(), *second, *damaged, *chunk([message(1, 6)])]
    raw_log(tmp_path / "proved", data, [*declared(), *second, statistics(2, channel_count=2, chunk_count=2)])
    with McapReader(tmp_path / "proved") as reader:
        assert len(list(reader.messages({"/a"}))) == 1
        assert not reader.losses
        assert len(list(reader.messages())) == 1
        assert len(reader.losses) == 1


def test_an_index_that_leaves_a_channel_out_hides_nothing(tmp_path: Path) -> None:
    channels = [*declared(), *declared(2, "/b")]
    parts = chunk([message(1, 5), message(2, 6)])
    for name, summary in (
        ("silent", channels),
        ("disagrees", [*channels, statistics(2, channel_count=2, chunk_count=1)]),
    ):
        raw_log(tmp_path / name, [*channels, *parts[:2]], summary)  # the message index of /b is not written
        with McapReader(tmp_path / name) as reader:
            assert [m.log_time_ns for m in reader.messages({"/b"})] == [6]
            assert reader.stats() == scanned(reader)
            assert not reader.losses


def test_channels_that_only_chunks_declare(tmp_path: Path) -> None:
    first = chunk([message(1, 5)], before=declared(), compression="zstd")
    second = chunk([message(1, 7), message(9, 8)], before=[*declared(), *declared(9, "/late", 2)], compression="lz4")
    idle = chunk([message(1, 9)], before=declared(10, "/idle", 2))
    for name, summary in (("bare", []), ("counted", [statistics(4, channel_count=3, schema_count=2, chunk_count=3)])):
        raw_log(tmp_path / name, [*first, *second, *idle], summary)
        with McapReader(tmp_path / name) as reader:
            assert [channel.topic for channel in reader.channels] == ["/a", "/late", "/idle"]
            assert [m.channel.topic for m in reader.messages()] == ["/a", "/a", "/late", "/a"]
            assert not reader.losses


def test_the_same_declaration_again_is_fine_and_another_is_a_loss(tmp_path: Path) -> None:
    schema, channel = declared()
    other = Channel(1, "/other", "cdr", {}, 1)
    raw_log(
        tmp_path / "same", [schema, channel, schema, channel, message(1, 5), *chunk([message(1, 6)], before=declared())]
    )
    raw_log(
        tmp_path / "other", [schema, channel, *chunk([message(1, 5)], before=[other])], [schema, channel, statistics(1)]
    )
    with McapReader(tmp_path / "same") as reader:
        assert len(list(reader.messages())) == 2
        assert not reader.losses
    with McapReader(tmp_path / "other") as reader:
        assert [m.channel.topic for m in reader.messages()] == ["/a"]
        assert ["declared again" in loss.what for loss in reader.losses] == [True]


def test_attributes_hold_metadata_and_the_schemas_encoding(tmp_path: Path) -> None:
    channel = Channel(0, "/a", "protobuf", {"callerid": "/n", SCHEMA_ENCODING: "mine"}, 5)
    raw_log(tmp_path / "a", [Schema(5, b"\x00\x01", "protobuf", "pkg.T"), channel, Channel(65535, "/b", "", {}, 0)])
    with McapReader(tmp_path / "a") as reader:
        first, second = reader.channels
        assert (first.id, first.type, first.definition, first.encoding) == (0, "pkg.T", b"\x00\x01", "protobuf")
        assert first.attributes == {"callerid": "/n", SCHEMA_ENCODING: "protobuf"}
        assert (second.id, second.type, second.definition, second.attributes) == (65535, "", b"", {})


def test_images_and_records_only_where_they_are(tmp_path: Path) -> None:
    write_log(tmp_path / "a", profile="ros1")
    with McapReader(tmp_path / "a") as reader:
        messages = list(reader.messages())
        value = reader.image(messages[0])
        assert (bytes(value.data), value.stamp_ns, value.frame_id) == (b"\xff\xd8\xff jpeg", 10**18, "cam")
        assert [reader.record(m) for m in messages[:3]] == [None, None, None]


def test_images_from_several_threads_while_messages_run(tmp_path: Path) -> None:
    write_log(tmp_path / "a", messages=600)
    with McapReader(tmp_path / "a") as reader, ThreadPoolExecutor(4) as pool:
        images = [m for m in reader.messages() if m.channel.role == "image"]
        futures = [pool.submit(reader.image, m) for m in reader.messages() if m.channel.role == "image"]
        again = pool.submit(lambda: Counter(bytes(m.data) for m in reader.messages()))
        stamps = [future.result().stamp_ns for future in futures]
        assert stamps == [m.log_time_ns for m in images]
        assert again.result() == Counter(bytes(m.data) for m in reader.messages())
        assert threading.active_count() > 1


def test_a_closed_log_says_so_at_the_call(tmp_path: Path) -> None:
    write_log(tmp_path / "a")
    with McapReader(tmp_path / "a") as reader:
        begun = reader.messages()
        next(begun)
    for call in (reader.messages, reader.stats, reader.metadata, lambda: reader.rewriter(tmp_path / "b", (), "typed")):
        with pytest.raises(LogError, match="closed"):
            call()
    with pytest.raises(LogError, match="closed"):
        list(begun)
    assert not (tmp_path / "b").exists()
