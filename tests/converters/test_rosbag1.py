"""The ROS 1 converter against rosbags, and against bags made byte by byte."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Reader as StockReader

from converters.rosbag1.file import BagFile, Chunk
from converters.rosbag1.reader import Rosbag1Converter, Rosbag1Reader
from mediaref_tools.errors import ImageError, LogError, OutputError
from mediaref_tools.log import ChannelStats, Converter, LogReader, LogWriter, Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef

from .rawbag import RawBag, connection, string
from .samples import JPEG_TOPIC, RAW_TOPIC, START_NS, sample_rosbag1

SECOND_NS = 1_000_000_000


def open_bag(path: Path) -> Rosbag1Reader:
    return Rosbag1Converter().open(path)


def copied(path: Path, out: Path) -> Path:
    """The log at `path`, rewritten with nothing replaced."""
    with open_bag(path) as reader:
        writer = reader.rewriter(out, [], "typed")
        for message in reader.messages():
            writer.copy(message)
        writer.commit()
    return out


def stock(path: Path) -> Counter[Any]:
    """The messages of a bag as rosbags reads it."""
    with StockReader(path) as reader:
        return Counter(
            (each.topic, each.msgtype, each.msgdef, each.digest, each.ext, time_ns, bytes(data))
            for each, time_ns, data in reader.messages()
        )


def texts(messages: Iterable[Message]) -> list[str]:
    """What std_msgs/String messages say."""
    return [bytes(message.data[4:]).decode() for message in messages]


def counted_stats(reader: Rosbag1Reader) -> dict[int, ChannelStats]:
    found: dict[int, ChannelStats] = {channel.id: ChannelStats(0, 0, None, None) for channel in reader.channels}
    for message in reader.messages():
        count, size, first_ns, _ = found[message.channel.id]
        first_ns = message.log_time_ns if first_ns is None else first_ns
        found[message.channel.id] = ChannelStats(count + 1, size + len(message.data), first_ns, message.log_time_ns)
    return found


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by a chunk's place in the file whenever a chunk is decompressed."""
    chunks: list[int] = []
    original = BagFile.content

    def content(self: BagFile, chunk: Chunk) -> bytes:
        chunks.append(chunk.pos)
        return original(self, chunk)

    monkeypatch.setattr(BagFile, "content", content)
    return chunks


def test_keeps_to_the_protocol(tmp_path: Path) -> None:
    converter: Converter = Rosbag1Converter()
    reader: LogReader = converter.open(sample_rosbag1(tmp_path / "a.bag"))
    with reader:
        writer: LogWriter = reader.rewriter(tmp_path / "b.bag", [], "typed")
        writer.abort()


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_copy_is_the_same_to_rosbags_and_to_us(tmp_path: Path, compression: Any) -> None:
    path = sample_rosbag1(tmp_path / "in.bag", compression)
    out = copied(path, tmp_path / "out.bag")
    assert stock(path) == stock(out)
    assert sum(stock(path).values()) == 25
    assert b"compression=" + compression.encode() in out.read_bytes()
    with open_bag(path) as reader, open_bag(out) as copy:
        assert list(copy.channels) == list(reader.channels)
        assert [each._replace(position=0) for each in copy.messages()] == [
            each._replace(position=0) for each in reader.messages()
        ]
    with AnyReader([out]) as any_reader:
        assert len([any_reader.deserialize(data, each.msgtype) for each, _, data in any_reader.messages()]) == 25


def test_we_read_what_rosbags_reads(tmp_path: Path) -> None:
    path = sample_rosbag1(tmp_path / "in.bag", "lz4")
    with open_bag(path) as reader, StockReader(path) as other:
        ours = Counter((each.channel.topic, each.log_time_ns, bytes(each.data)) for each in reader.messages())
        assert ours == Counter((each.topic, time_ns, bytes(data)) for each, time_ns, data in other.messages())


ODD = {
    0: connection(0, b"/cam//x/", callerid=b"/a", latching=b"1"),
    1: connection(1, b"/cam//x/", callerid=b"/b", latching=b""),
    2: connection(2, b"/cam//x/", type=b"my_msgs/Thing", md5sum=b"*", message_definition=b""),
    3: connection(3, b"no_slash", topic=b"/published/as", callerid=b"\xff\xfe"),
    7: connection(7, b"/bare", topic=b"-", md5sum=b"-", message_definition=b"-", type=b"-", odd=b"a=b"),
    9: connection(9, b"/silent", latching=b"0"),
}


def odd_bag(path: Path) -> Path:
    bag = RawBag(ODD)
    used = {conn: record for conn, record in ODD.items() if conn != 9}
    bag.chunk(*used.values(), *((conn, SECOND_NS, string(str(conn))) for conn in used), (0, SECOND_NS, string("last")))
    return bag.write(path)


def test_connections_are_told_as_they_stand(tmp_path: Path) -> None:
    with open_bag(odd_bag(tmp_path / "in.bag")) as reader:
        channels = {channel.id: channel for channel in reader.channels}
        assert channels.keys() == ODD.keys()
        assert [channels[conn].topic for conn in (0, 1, 2, 3)] == ["/cam//x/"] * 3 + ["no_slash"]
        md5sum = "992ce8a1687cec8c8bd883ec73ca41d1"
        assert channels[0].attributes == {"md5sum": md5sum, "callerid": "/a", "latching": "1"}
        assert channels[1].attributes == {"md5sum": md5sum, "callerid": "/b", "latching": ""}
        assert (channels[2].type, channels[2].definition) == ("my_msgs/Thing", b"")
        assert channels[2].attributes == {"md5sum": "*"}
        assert channels[3].attributes["topic"] == "/published/as"
        assert channels[3].attributes["callerid"].encode("utf-8", "surrogateescape") == b"\xff\xfe"
        assert (channels[7].type, channels[7].role, channels[7].attributes) == ("", "other", {"odd": "a=b"})
        assert reader.stats()[9] == ChannelStats(0, 0, None, None)
        assert texts(reader.messages(["/cam//x/"])) == ["0", "1", "2", "last"]
        assert reader.losses == []


def test_connections_are_written_byte_for_byte(tmp_path: Path) -> None:
    path = odd_bag(tmp_path / "in.bag")
    out = copied(path, tmp_path / "out.bag").read_bytes()
    for conn, record in ODD.items():
        assert out.count(record) == (1 if conn == 9 else 2), "in the chunk where it is first used, and in the index"
    with open_bag(path) as reader, open_bag(tmp_path / "out.bag") as copy:
        assert list(copy.channels) == list(reader.channels)
        assert texts(copy.messages()) == texts(reader.messages())


def overlapping(path: Path, compression: str = "none") -> Path:
    """Four chunks: three share their times, message by message; one lies later."""
    bag = RawBag({0: connection(0, b"/a"), 1: connection(1, b"/b")})
    for chunk in range(3):
        first = [connection(0, b"/a"), connection(1, b"/b")] if chunk == 0 else []
        rows = [(i % 2, (10 + 3 * i + chunk) * SECOND_NS, string(f"{3 * i + chunk:03}")) for i in range(20)]
        bag.chunk(*first, *rows, compression=compression)
    bag.chunk((1, 100 * SECOND_NS, string("060")), compression=compression)
    return bag.write(path)


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_overlapping_chunks_come_out_sorted_and_are_loaded_once(
    tmp_path: Path, compression: str, loads: list[int]
) -> None:
    with open_bag(overlapping(tmp_path / "in.bag", compression)) as reader:
        assert loads == []
        assert texts(reader.messages()) == [f"{number:03}" for number in range(61)]
        assert len(loads) == len(set(loads)) == 4
        assert reader.losses == []


def test_only_chunks_that_hold_what_is_asked_for_are_loaded(tmp_path: Path, loads: list[int]) -> None:
    with open_bag(overlapping(tmp_path / "in.bag")) as reader:
        assert len(texts(reader.messages(["/a"]))) == 30
        assert len(loads) == 3
        loads.clear()
        assert texts(reader.messages(start_ns=100 * SECOND_NS)) == ["060"]
        assert len(loads) == 1
        loads.clear()
        assert texts(reader.messages(start_ns=10 * SECOND_NS, stop_ns=11 * SECOND_NS)) == ["000"]
        assert len(loads) == 1
        loads.clear()
        assert texts(reader.messages(start_ns=11 * SECOND_NS, stop_ns=13 * SECOND_NS)) == ["001", "002"]
        loads.clear()
        assert texts(reader.messages(stop_ns=10 * SECOND_NS)) == []
        assert loads == []


def test_equal_times_keep_the_files_order(tmp_path: Path) -> None:
    bag = RawBag({conn: connection(conn, b"/same") for conn in range(3)})
    for chunk in range(3):
        bag.chunk(*((2 - i % 3, SECOND_NS, string(f"{10 * chunk + i}")) for i in range(10)))
    with open_bag(bag.write(tmp_path / "in.bag")) as reader:
        assert texts(reader.messages()) == [str(number) for number in range(30)]
    with open_bag(copied(tmp_path / "in.bag", tmp_path / "out.bag")) as copy:
        assert texts(copy.messages()) == [str(number) for number in range(30)]


def test_times_reach_to_the_end_of_the_format(tmp_path: Path) -> None:
    """Seconds and nanoseconds are u32 each; nanoseconds above 999 999 999 are not refused."""
    times_ns = [0, 1, (2**32 - 1) * SECOND_NS + 999_999_999]
    bag = RawBag({0: connection(0, b"/a")})
    bag.chunk(*((0, time_ns, string("")) for time_ns in times_ns))
    path = bag.write(tmp_path / "in.bag")
    with open_bag(copied(path, tmp_path / "out.bag")) as copy:
        assert [message.log_time_ns for message in copy.messages()] == times_ns
    raw = path.read_bytes().replace(b"\xff\xff\xff\xff\xff\xc9\x9a\x3b", b"\xff" * 8)
    (tmp_path / "odd.bag").write_bytes(raw)
    with open_bag(copied(tmp_path / "odd.bag", tmp_path / "odd_out.bag")) as copy:
        assert [message.log_time_ns for message in copy.messages()][-1] == (2**32 - 1) * (SECOND_NS + 1)
        assert copy.losses == []


@pytest.mark.parametrize("kind", ["typed", "string"])
def test_records_are_read_by_rosbags_with_the_bags_own_definitions(tmp_path: Path, kind: RecordKind) -> None:
    path, out = sample_rosbag1(tmp_path / "in.bag", "lz4"), tmp_path / "out.bag"
    with open_bag(path) as reader:
        writer = reader.rewriter(out, {JPEG_TOPIC}, kind)
        for index, message in enumerate(reader.messages()):
            if message.channel.topic == JPEG_TOPIC:
                record = Record(MediaRef(uri="media/a.mp4", pts_ns=index * 1000), source_encoding="jpeg")
                writer.record(message, record)
            else:
                writer.copy(message)
        writer.commit()
        with open_bag(out) as copy:
            (channel,) = (each for each in copy.channels if each.topic == JPEG_TOPIC)
            assert channel.type == ("mediaref_msgs/ImageRef" if kind == "typed" else "std_msgs/String")
            assert channel.attributes["callerid"] == "/node_0"
            assert channel.attributes["latching"] == "0"
            others = [each for each in reader.channels if each.topic != JPEG_TOPIC]
            assert [each for each in copy.channels if each.topic != JPEG_TOPIC] == others
    with AnyReader([out]) as any_reader:
        values = [
            any_reader.deserialize(data, each.msgtype)
            for each, _, data in any_reader.messages()
            if each.topic == JPEG_TOPIC
        ]
    assert len(values) == 5
    if kind == "typed":
        value: Any = values[2]
        assert (value.media_ref.uri, value.source_encoding) == ("media/a.mp4", "jpeg")
        assert (value.header.seq, value.header.frame_id) == (102, "camera")
    else:
        assert MediaRef.model_validate_json(values[0].data).uri == "media/a.mp4"


def test_only_image_connections_of_a_topic_are_replaced(tmp_path: Path) -> None:
    image = {"type": b"sensor_msgs/Image", "md5sum": b"*", "message_definition": b"-", "callerid": b"/driver"}
    connections = {0: connection(0, b"/cam"), 1: connection(1, b"/cam", **image)}
    bag = RawBag(connections)
    bag.chunk(*connections.values(), (0, 1, string("text")), (1, 2, b"no image"))
    out = tmp_path / "out.bag"
    with open_bag(bag.write(tmp_path / "in.bag")) as reader:
        writer = reader.rewriter(out, ["/cam"], "typed")
        text, broken = reader.messages()
        writer.copy(text)
        with pytest.raises(OutputError, match="can't be copied"):
            writer.copy(broken)
        with pytest.raises(OutputError, match="can't be replaced"):
            writer.record(text, Record(MediaRef(uri="a.mp4", pts_ns=0)))
        with pytest.raises(ImageError):
            reader.image(broken)
        with pytest.raises(ImageError, match="expected an image"):
            reader.image(text)
        writer.record(broken, Record(MediaRef(uri="data:,broken")))
        writer.commit()
    with open_bag(out) as copy:
        assert [channel.type for channel in copy.channels] == ["std_msgs/String", "mediaref_msgs/ImageRef"]
        assert copy.channels[1].attributes["callerid"] == "/driver"
        assert b"MediaRef media_ref" in copy.channels[1].definition
        text, record = copy.messages()
        assert texts([text]) == ["text"]
        assert copy.record(record) == Record(MediaRef(uri="data:,broken"), stamp_ns=0)


def test_a_written_file_is_laid_out_like_the_ros_tools_do(tmp_path: Path) -> None:
    bag = RawBag({0: connection(0, b"/a")})
    rows = [(0, i, bytes(100_000)) for i in range(19)]
    bag.chunk(connection(0, b"/a"), *rows, (0, 19, bytes(2_000_000)), compression="lz4")
    out = copied(bag.write(tmp_path / "in.bag"), tmp_path / "out.bag")
    data = out.read_bytes()
    assert data[13:17] == (69).to_bytes(4, "little")
    assert data[86:90] == (4096 - 69).to_bytes(4, "little")
    assert data[90:4117] == b" " * 4027
    with open_bag(out) as copy, StockReader(out) as other:
        assert [info.connection_counts for info in other.chunk_infos] == [{0: 8}, {0: 8}, {0: 4}]
        assert len(list(copy.messages())) == 20
    # roslz4 refuses frames with linked blocks, a content size, or without a content checksum (lz4s.c).
    frames = [match.end() for match in re.finditer(rb"\x04\x22\x4d\x18", data)]
    assert [data[flags] for flags in frames] == [0b0110_0100] * 3


def test_a_mixed_bag_is_written_with_its_first_compression(tmp_path: Path) -> None:
    bag = RawBag({0: connection(0, b"/a")})
    bag.chunk(connection(0, b"/a"), (0, 1, string("1")), compression="bz2")
    bag.chunk((0, 2, string("2")), compression="lz4")
    out = copied(bag.write(tmp_path / "in.bag"), tmp_path / "out.bag")
    assert b"compression=bz2" in out.read_bytes()
    assert b"compression=lz4" not in out.read_bytes()


def test_index_records_are_sorted_whatever_the_order_of_writing(tmp_path: Path) -> None:
    with open_bag(overlapping(tmp_path / "in.bag")) as reader:
        writer = reader.rewriter(tmp_path / "out.bag", [], "typed")
        for message in reversed(list(reader.messages())):
            writer.copy(message)
        writer.commit()
        with open_bag(tmp_path / "out.bag") as copy, StockReader(tmp_path / "out.bag") as other:
            assert texts(copy.messages()) == texts(reader.messages())
            assert [bytes(data[4:]).decode() for _, _, data in other.messages()] == texts(reader.messages())
            assert copy.losses == []
    data = (tmp_path / "out.bag").read_bytes()
    heads = list(re.finditer(rb"op=\x04.{25}\x0a\0\0\0count=(.)\0\0\0.{4}", data, re.DOTALL))
    assert len(heads) == 2
    for head in heads:
        times = [data[pos : pos + 4] for pos in range(head.end(), head.end() + 12 * head[1][0], 12)]
        assert times == sorted(times)


def test_a_writer_is_finished_once(tmp_path: Path) -> None:
    with open_bag(sample_rosbag1(tmp_path / "in.bag")) as reader:
        writer = reader.rewriter(tmp_path / "out.bag", [], "typed")
        writer.commit()
        with pytest.raises(OutputError, match="already"):
            writer.commit()
        writer.abort()
        with pytest.raises(OutputError, match=r"new file.*out\.bag"):
            reader.rewriter(tmp_path / "out.bag", [], "typed")
        with pytest.raises(OutputError):
            reader.rewriter(tmp_path / "no folder" / "out.bag", [], "typed")


def test_closing_ends_an_iteration_with_a_log_error(tmp_path: Path) -> None:
    with open_bag(overlapping(tmp_path / "in.bag")) as reader:
        messages = reader.messages()
        next(messages)
    with pytest.raises(LogError, match="closed"):
        list(messages)
    with pytest.raises(LogError, match="closed"):
        reader.stats()
    with pytest.raises(LogError, match="closed"):
        reader.rewriter(tmp_path / "out.bag", [], "typed")
    assert reader.losses == []


def test_payloads_are_views_into_their_chunk(tmp_path: Path) -> None:
    with open_bag(sample_rosbag1(tmp_path / "in.bag", chunk_bytes=1 << 20)) as reader:
        messages = list(reader.messages())
        assert len({id(message.data.obj) for message in messages if isinstance(message.data, memoryview)}) == 1
        image = next(message for message in messages if message.channel.topic == RAW_TOPIC)
        assert reader.image(image).height == 12
        assert image.log_time_ns == START_NS - 1_000
