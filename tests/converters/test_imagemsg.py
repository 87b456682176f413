"""Images of every kind in every serialisation and container: the values are those that were written."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import flatbuffers
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from mcap.reader import make_reader
from pydantic import TypeAdapter
from rosbags.highlevel import AnyReader

from converters.mcap.reader import McapConverter
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Converter, LogReader, Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.pixels.picture import PixelDecoder
from mediaref_tools.plugins import open_log
from mediaref_tools.published import published
from mediaref_tools.testing import ConverterContract
from tests.reallogs import real_log, truth

from .imagelogs import (
    BYTES,
    ENCODINGS,
    FRAME,
    KINDS,
    MESSAGES,
    PACKET,
    Channel,
    flatbuffer,
    foxglove,
    plain,
    ros,
    ros_value,
    store,
    write_bag,
    write_mcap,
)
from .samples import START_NS, STEP_NS

SERIALISATIONS = ("protobuf", "json", "flatbuffer")
FFMPEG = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
OLD = "old/msg/FFMPEGPacket"
FOXGLOVE_ROS = [name for name in MESSAGES if name.startswith("foxglove")]
VIDEO = "sensor_msgs/msg/CompressedImage"
BAGGED = [*FOXGLOVE_ROS, FFMPEG, VIDEO, "theora_image_transport/msg/Packet"]


def expected(channel_type: str, index: int) -> ImageValue:
    """What the message of that number holds."""
    base = channel_type.replace(".", "/").rpartition("/")[2]
    if base == "FFMPEGPacket" or channel_type.startswith("sensor"):
        stamp_ns = START_NS + index * STEP_NS - 5_000_000
        value = ImageValue(PACKET, "h264", kind="packet", stamp_ns=stamp_ns, frame_id="camera", type=channel_type)
        if base == "FFMPEGPacket":
            encoding = "hevc_nvenc;yuv420p;bgr8;bgr8"
            value = replace(value, encoding=encoding, width=640, height=480, counter=2**40 + index)
        return value
    stamp_ns, kind = START_NS + index, KINDS[base]
    value = ImageValue(BYTES[base], ENCODINGS[base], kind, stamp_ns=stamp_ns, frame_id=FRAME, type=channel_type)
    return replace(value, width=3, height=2, step=12) if base == "RawImage" else value


def equal(found: ImageValue, wanted: ImageValue) -> bool:
    return replace(found, data=bytes(found.data), is_bigendian=False) == wanted


def check_images(log: LogReader, images: int) -> None:
    counts: dict[int, int] = {}
    for message in log.messages():
        if message.channel.role == "image":
            index = counts[message.channel.id] = counts.get(message.channel.id, -1) + 1
            found = log.image(message)
            assert equal(found, expected(message.channel.type, index)), message.channel
    assert counts == {channel.id: 2 for channel in log.channels if channel.role == "image"}
    assert len(counts) == images


@pytest.mark.parametrize("encoding", SERIALISATIONS)
@pytest.mark.parametrize("base", BYTES)
def test_foxglove_images_are_what_was_written(tmp_path: Path, base: str, encoding: str) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove(base, encoding)])) as log:
        assert [channel.role for channel in log.channels] == ["image", "other"]
        check_images(log, 1)
        message = next(iter(log.messages()))
        assert isinstance(log.image(message).data, memoryview if encoding == "flatbuffer" else bytes)


@pytest.mark.parametrize("encoding", ["ros1", "cdr"])
@pytest.mark.parametrize("name", [*FOXGLOVE_ROS, FFMPEG, OLD, VIDEO])
@pytest.mark.parametrize("definition", ["its own", "none", "garbage"])
def test_ros_images_are_what_was_written(tmp_path: Path, name: str, encoding: str, definition: str) -> None:
    text = {"its own": None, "none": b"", "garbage": b"\xff\0 no definition {{{"}[definition]
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [ros(name, encoding, definition=text)])) as log:
        assert [channel.role for channel in log.channels] == ["image", "other"]
        check_images(log, 1)
        value = log.image(next(iter(log.messages())))
        assert isinstance(value.data, memoryview)
        if name == FFMPEG:
            assert value.is_bigendian


@pytest.mark.parametrize("container", ["rosbag1", "rosbag2-sqlite3", "rosbag2-mcap"])
def test_every_ros_container_reads_them(tmp_path: Path, container: str) -> None:
    path = write_bag(tmp_path / ("log.bag" if container == "rosbag1" else "log"), container, BAGGED)
    with open_log(path) as log:
        assert log.container == container
        roles = {channel.topic: channel.role for channel in log.channels}
        assert roles == {f"/{name}": "unsupported" if "theora" in name else "image" for name in BAGGED}
        check_images(log, len(BAGGED) - 1)


def test_the_definition_tells_the_layout_of_an_ffmpeg_packet(tmp_path: Path) -> None:
    """In CDR the old layout has a padding byte where the new one has its flag: the bytes alone can't tell."""
    old, new = ros(OLD, "cdr"), ros(FFMPEG, "cdr")
    swapped = old._replace(topic="/swapped", payload=new.payload)
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [old, new, swapped])) as log:
        found = {m.channel.topic: log.image(m) for m in log.messages() if m.channel.role == "image"}
        assert [found[each.topic].is_bigendian for each in (old, new, swapped)] == [False, True, False]
    wrong = ros(OLD, "ros1")._replace(payload=ros(FFMPEG, "ros1").payload)
    with McapConverter().open(write_mcap(tmp_path / "b.mcap", [wrong])) as log, pytest.raises(ImageError):
        log.image(next(iter(log.messages())))


@pytest.mark.parametrize("name", [*FOXGLOVE_ROS, FFMPEG])
def test_a_layout_that_is_not_known_is_unsupported(tmp_path: Path, name: str) -> None:
    longer = MESSAGES[name].encode() + b"string added_later\n"
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [ros(name, "cdr", definition=longer)])) as log:
        assert [channel.role for channel in log.channels] == ["unsupported", "other"]


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("theora_image_transport/msg/Packet", "cdr"),
        ("theora_image_transport/Packet", "ros1"),
        ("foxglove.RawImage", "cdr"),
        ("foxglove.CompressedVideo", "cbor"),
        ("foxglove_msgs/msg/CompressedImage", "json"),
        ("sensor_msgs/msg/Image", "json"),
        (FFMPEG, "protobuf"),
    ],
)
def test_serialisations_that_nothing_reads_are_named(tmp_path: Path, name: str, encoding: str) -> None:
    channel = Channel("/cam", name, encoding, "", b"", lambda i: b"x")
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel])) as log:
        assert [channel.role for channel in log.channels] == ["unsupported", "other"]
        with pytest.raises(ImageError, match="expected an image"):
            log.image(next(iter(log.messages())))


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_video_in_a_compressed_image_is_a_packet(tmp_path: Path, encoding: str) -> None:
    channel = foxglove("CompressedImage", encoding)
    video = channel._replace(payload=lambda i: channel.payload(i).replace(b"jpeg", b"H265"))
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [video])) as log:
        value = log.image(next(iter(log.messages())))
        assert (value.kind, value.encoding, value.media_type) == ("packet", "H265", "video/h265")
        with pytest.raises(ImageError, match="packet of video"):
            PixelDecoder().take(value)


def test_members_that_json_may_have_besides_are_none_of_ours(tmp_path: Path) -> None:
    value = plain("RawImage", 0) | {"pts": 5, "is_bigendian": 1, "counter": 7, "format": None}
    channel = foxglove("RawImage", "json")._replace(payload=lambda i: json.dumps(value).encode())
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel])) as log:
        found = log.image(next(iter(log.messages())))
        assert equal(found, expected("foxglove.RawImage", 0))
        assert not found.is_bigendian


def test_flatbuffers_without_bytes(tmp_path: Path) -> None:
    builder = flatbuffers.Builder(0)
    builder.StartObject(7)
    builder.Finish(builder.EndObject())
    channel = foxglove("RawImage", "flatbuffer")._replace(payload=lambda i: bytes(builder.Output()))
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel])) as log:
        wanted = ImageValue(b"", "", "raw", type="foxglove.RawImage")
        assert log.image(next(iter(log.messages()))) == wanted


@pytest.mark.parametrize("encoding", SERIALISATIONS)
def test_what_a_message_leaves_out_has_its_default(tmp_path: Path, encoding: str) -> None:
    """Protobuf and FlatBuffers write no field that has its default, and JSON may lack what it does not need."""
    payload = {
        "protobuf": b"\x12\x01\xff",
        "json": json.dumps({"data": "/w=="}).encode(),
        "flatbuffer": flatbuffer("CompressedImage", 0, time=False),
    }[encoding]
    channel = foxglove("CompressedImage", encoding)._replace(payload=lambda i: payload)
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel])) as log:
        value = log.image(next(iter(log.messages())))
        assert value.stamp_ns is None
        if encoding != "flatbuffer":
            assert (value.encoding, value.frame_id, bytes(value.data)) == ("", "", b"\xff")


def test_a_protobuf_time_before_1970_and_at_its_start(tmp_path: Path) -> None:
    """An empty timestamp is there, and is the epoch; seconds may be negative."""
    image = foxglove("CompressedImage", "protobuf")
    times = {0: b"\x0a\x00", -999_999_993: b"\x0a\x0d\x08" + b"\xff" * 9 + b"\x01\x10\x07"}
    for stamp_ns, written in times.items():
        channel = image._replace(payload=partial(lambda time, i: time + b"\x12\x01\xff", written))
        with McapConverter().open(write_mcap(tmp_path / f"{stamp_ns}.mcap", [channel])) as log:
            assert log.image(next(iter(log.messages()))).stamp_ns == stamp_ns


def test_files_of_a_schema_come_in_any_order_and_one_has_to_be_there(tmp_path: Path) -> None:
    channel = foxglove("RawImage", "protobuf")
    declared = FileDescriptorSet.FromString(channel.definition)
    turned = FileDescriptorSet(file=reversed(declared.file)).SerializeToString()
    alone = FileDescriptorSet(file=declared.file[1:]).SerializeToString()
    assert turned != channel.definition
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel._replace(definition=turned)])) as log:
        check_images(log, 1)
    path = write_mcap(tmp_path / "b.mcap", [channel._replace(definition=alone)])
    with McapConverter().open(path) as log, pytest.raises(ImageError, match="lacks a file that"):
        log.image(next(iter(log.messages())))


def test_any_thread_may_ask_at_once(tmp_path: Path) -> None:
    channels = [foxglove(base, encoding) for base in BYTES for encoding in SERIALISATIONS]
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", channels, messages=30)) as log:
        images = [message for message in log.messages() if message.channel.role == "image"]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(log.image, images))
    assert len(found) == 270
    for message, value in zip(images, found, strict=True):
        assert equal(value, expected(message.channel.type, (message.sequence or 0) - 100))


# Records


def written(log: LogReader, out: Path, kind: RecordKind) -> list[tuple[Message, Record]]:
    """Rewrite a log, every image of it."""
    done = []
    writer = log.rewriter(out, {channel.topic for channel in log.channels if channel.role == "image"}, kind)
    for number, message in enumerate(log.messages()):
        if message.channel.role != "image":
            writer.copy(message)
            continue
        image = log.image(message)
        record = Record(
            MediaRef(uri=f"media/{number}.mp4", pts_ns=number * 1000 or None),
            stamp_ns=image.stamp_ns,
            frame_id=image.frame_id,
            source_type=image.type,
            source_encoding=image.encoding,
            height=image.height,
            width=image.width,
            step=image.step,
            is_bigendian=image.is_bigendian,
        )
        writer.record(message, record)
        done.append((message, record))
    writer.commit()
    return done


MIXED = [
    *(foxglove(base, encoding) for base in BYTES for encoding in SERIALISATIONS),
    ros("sensor_msgs/msg/CompressedImage", "cdr"),
    ros(FFMPEG, "ros1"),
    ros("foxglove_msgs/msg/RawImage", "cdr"),
]


@pytest.mark.parametrize("kind", ["typed", "string"])
@pytest.mark.parametrize("profile", ["", "ros2"])
def test_records_where_there_are_no_ros_types(tmp_path: Path, profile: str, kind: RecordKind) -> None:
    """JSON by the published schema: same topic, times, sequence and metadata; ROS's own stay ROS's own."""
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", MIXED, profile=profile)) as log:
        before = written(log, tmp_path / "b.mcap", kind)
        sequences = {(m.channel.topic, m.log_time_ns): (m.publish_time_ns, m.sequence) for m in log.messages()}
    assert len(before) == 36
    with McapConverter().open(tmp_path / "b.mcap") as log:
        after = {(m.channel.topic, m.log_time_ns): m for m in log.messages()}
        assert {key: (m.publish_time_ns, m.sequence) for key, m in after.items()} == sequences
        for message, record in before:
            found = after[message.channel.topic, message.log_time_ns]
            wanted = record if kind == "typed" else Record(record.ref)
            if found.channel.encoding == "cdr" and kind == "typed":
                assert found.channel.type == "mediaref_msgs/msg/ImageRef"
            assert log.record(found) == wanted
            assert found.channel.attributes["of"] == message.channel.topic
            if kind == "typed" or found.channel.encoding == "json":
                assert found.channel.role == "record"
    file = "record.schema.json" if kind == "typed" else "mediaref.schema.json"
    with (tmp_path / "b.mcap").open("rb") as stream:
        jsons = [
            (schema, channel, message)
            for schema, channel, message in make_reader(stream).iter_messages()
            if channel.message_encoding == "json"
        ]
    assert len(jsons) == 27
    for schema, _, message in jsons:
        name = "mediaref.Record" if kind == "typed" else "mediaref.MediaRef"
        assert (schema.name, schema.encoding, schema.data.decode()) == (name, "jsonschema", published()[file])
        value = json.loads(message.data)
        properties = json.loads(schema.data)["properties"]
        assert value.keys() == properties.keys() if kind == "typed" else value.keys() <= properties.keys()
        TypeAdapter(Record if kind == "typed" else MediaRef).validate_json(message.data, strict=True)


@pytest.mark.parametrize("encoding", SERIALISATIONS)
def test_a_broken_image_becomes_a_record_of_what_is_known(tmp_path: Path, encoding: str) -> None:
    channel = foxglove("RawImage", encoding)._replace(payload=lambda i: b"\xff\xff")
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [channel], messages=1)) as log:
        message = next(iter(log.messages()))
        writer = log.rewriter(tmp_path / "b.mcap", [channel.topic], "typed")
        writer.record(message, Record(MediaRef(uri="data:,broken")))
        writer.commit()
    with McapConverter().open(tmp_path / "b.mcap") as log:
        assert log.record(next(iter(log.messages()))) == Record(MediaRef(uri="data:,broken"))


@pytest.mark.parametrize("container", ["rosbag1", "rosbag2-sqlite3", "rosbag2-mcap"])
def test_rosbags_reads_the_headers_of_records(tmp_path: Path, container: str) -> None:
    """A header made of timestamp and frame_id where the message has them, or the message's own."""
    suffix, encoding = (".bag", "ros1") if container == "rosbag1" else ("", "cdr")
    path, out = tmp_path / f"log{suffix}", tmp_path / f"out{suffix}"
    with open_log(write_bag(path, container, BAGGED)) as log:
        before = written(log, out, "typed")
    assert len(before) == 15
    with open_log(out) as log:
        assert sorted(channel.role for channel in log.channels) == ["record"] * 5 + ["unsupported"]
    with AnyReader([out], default_typestore=store(encoding)) as stock:
        read = {(c.topic, time_ns): stock.deserialize(raw, c.msgtype) for c, time_ns, raw in stock.messages()}
    for message, record in before:
        value = read[message.channel.topic, message.log_time_ns]
        assert value.media_ref.uri == record.ref.uri
        stamp = value.header.stamp
        assert (stamp.sec * 10**9 + stamp.nanosec, value.header.frame_id) == (record.stamp_ns, record.frame_id)
        assert (value.source_encoding, value.width, value.step) == (record.source_encoding, record.width, record.step)
        index = (message.log_time_ns - START_NS) // STEP_NS
        if container == "rosbag1":  # what only ROS 1's headers have
            original = ros_value(message.channel.topic[1:], "ros1", index)
            assert value.header.seq == (original.header.seq if hasattr(original, "header") else 0)


def test_a_rosbag2_folder_with_a_channel_that_is_not_ros(tmp_path: Path) -> None:
    """Its metadata says what was written, the serialisation too."""
    channels = [foxglove("RawImage", "protobuf"), ros(VIDEO, "cdr")]
    entries = "".join(
        f"    - topic_metadata:\n        name: {each.topic}\n        type: {each.type}\n"
        f"        serialization_format: {each.encoding}\n        type_description_hash: RIHS01_x\n"
        "      message_count: 3\n"
        for each in channels
    )
    (tmp_path / "log").mkdir()
    write_mcap(tmp_path / "log" / "log_0.mcap", channels, profile="ros2")
    (tmp_path / "log" / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  version: 9\n  storage_identifier: mcap\n  message_count: 9\n"
        f"  relative_file_paths: [log_0.mcap]\n  topics_with_message_count:\n{entries}"
    )
    with open_log(tmp_path / "log") as log:
        assert log.container == "rosbag2-mcap"
        check_images(log, 2)
        before = written(log, tmp_path / "out", "typed")
    with open_log(tmp_path / "out") as log:
        assert [channel.role for channel in log.channels] == ["record", "record", "other"]
        found = [log.record(message) for message in log.messages() if message.channel.role == "record"]
        assert found == [record for _, record in before]
        types = [channel.type for channel in log.channels]
    entry = "- topic_metadata:\n        name: {}\n        type: {}\n        serialization_format: {}\n"
    text = (tmp_path / "out" / "metadata.yaml").read_text()
    assert types[:2] == ["mediaref.Record", "mediaref_msgs/msg/ImageRef"]
    assert entry.format(channels[0].topic, types[0], "json") + '        type_description_hash: ""\n' in text
    assert entry.format(channels[1].topic, types[1], "cdr") in text
    assert "RIHS01_x" not in text


def test_a_database_keeps_images_that_are_not_ros(tmp_path: Path) -> None:
    """Nothing that plays a rosbag2 database could read records of JSON in it."""
    path = write_bag(tmp_path / "log", "rosbag2-sqlite3", [VIDEO])
    with closing(sqlite3.connect(next(path.glob("*.db3")))) as database, database:
        database.execute("UPDATE topics SET type = 'foxglove.RawImage', serialization_format = 'json'")
    with open_log(path) as log:
        assert [channel.role for channel in log.channels] == ["unsupported"]


# The contract, on logs without ROS types, and on one of all serialisations


def _contract(channels: list[Channel], profile: str) -> type[ConverterContract]:
    class TestContract(ConverterContract):
        def converter(self) -> Converter:
            return McapConverter()

        def log(self, folder: Path) -> Path:
            return write_mcap(folder / "log.mcap", channels, profile=profile, messages=5)

    return TestContract


for _name in SERIALISATIONS:
    globals()[f"Test_{_name}"] = _contract([foxglove(base, _name) for base in BYTES], "")
Test_mixed = _contract(MIXED, "ros2")


# Recorded logs


def test_a_recorded_foxglove_log_reads_as_its_recorder_says() -> None:
    wanted = truth()["mcap/foxglove_proto_zstd.mcap"]
    sums = {topic: hashlib.sha1() for topic in wanted}
    stamps: dict[str, list[int | None]] = {topic: [] for topic in wanted}
    kinds = {}
    with open_log(real_log("mcap/foxglove_proto_zstd.mcap")) as log:
        for message in log.messages():
            value = log.image(message)
            sums[message.channel.topic].update(value.data)
            stamps[message.channel.topic].append(value.stamp_ns)
            kinds[message.channel.topic] = (value.kind, value.encoding, value.width, value.height, value.step)
    assert {topic: found.hexdigest() for topic, found in sums.items()} == {t: wanted[t]["sha1"] for t in wanted}
    for topic, found in stamps.items():
        says = wanted[topic]
        assert (len(found), found[0], found[-1]) == (says["count"], says["stamp_first"], says["stamp_last"])
    assert kinds == {
        "/cam/h264": ("packet", "h264", 0, 0, 0),
        "/cam/jpeg": ("file", "jpeg", 0, 0, 0),
        "/cam/raw": ("raw", "rgb8", 848, 480, 2544),
    }
