"""MCAP files written anew: what is copied is equal, and what is replaced is read by stock readers."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mcap.reader import make_reader
from mcap.records import Attachment, Channel, Chunk, Metadata, Schema
from mcap.stream_reader import StreamReader
from mcap.writer import Writer
from mcap_ros1.decoder import DecoderFactory as Ros1Decoder
from mcap_ros2.decoder import DecoderFactory as Ros2Decoder
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from converters.mcap.reader import McapReader
from converters.mcap.writer import McapWriter
from converters.messages.rosmsg import record_type
from mediaref_tools.errors import ImageError, OutputError
from mediaref_tools.log import LogWriter, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef
from tests.converters.mcaplogs import (
    PROFILES,
    VARIANTS,
    assert_equal,
    chunk,
    compressed_image,
    contents,
    copy,
    declared,
    image_schema,
    message,
    raw_log,
    write_log,
)
from tests.reallogs import real_log

REPLACED = 20  # every third message of write_log's 60 is an image


def rewrite(source: Path, out: Path, kind: RecordKind) -> list[Record]:
    """Replace the images on /cam; the records that were written."""
    records: list[Record] = []
    with McapReader(source) as reader:
        writer: LogWriter = reader.rewriter(out, ["/cam"], kind)
        for each in reader.messages():
            if each.channel.role != "image":
                writer.copy(each)
                continue
            value = reader.image(each)
            ref = MediaRef(uri="media/cam/0.mp4", pts_ns=1000 * len(records))
            records.append(Record(ref, value.stamp_ns, value.frame_id, each.channel.type, value.encoding, 480, 640))
            writer.record(each, records[-1])
        writer.commit()
    return records


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_copy_is_equal(tmp_path: Path, variant: str, profile: str) -> None:
    source, out = tmp_path / "a", tmp_path / "b"
    write_log(source, profile=profile, **VARIANTS[variant])
    before = source.read_bytes()
    with McapReader(source) as reader:
        copy(reader, out)
    assert_equal(source, out)
    assert source.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}
    with McapReader(out) as reader:
        assert not reader.losses


def test_the_stock_index_reader_finds_all_that_is_written(tmp_path: Path) -> None:
    write_log(tmp_path / "a", **VARIANTS["no-summary"])
    with McapReader(tmp_path / "a") as reader:
        copy(reader, tmp_path / "b")
    with (tmp_path / "b").open("rb") as file:
        stock = make_reader(file, validate_crcs=True)
        assert len(list(stock.iter_messages())) == 60
        assert [each.name for each in stock.iter_attachments()] == ["calib.yaml", "b"]
        assert [each.name for each in stock.iter_metadata()] == ["rosbag2", "empty"]


@pytest.mark.parametrize("kind", ["typed", "string"])
@pytest.mark.parametrize("profile", ["ros1", "ros2"])
@pytest.mark.parametrize("variant", ["zstd", "unchunked", "no-summary"])
def test_only_the_images_are_replaced(tmp_path: Path, variant: str, profile: str, kind: RecordKind) -> None:
    write_log(tmp_path / "a", profile=profile, **VARIANTS[variant])
    records = rewrite(tmp_path / "a", tmp_path / "b", kind)
    assert len(records) == REPLACED
    before, after = contents(tmp_path / "a"), contents(tmp_path / "b")
    image = image_schema(PROFILES[profile][0])
    kept = Counter({key: n for key, n in before.messages.items() if key[1:4] != image})
    assert kept.total() == 60 - REPLACED
    assert kept - after.messages == Counter()
    replaced = after.messages - kept
    encoding, schema_encoding = PROFILES[profile]
    declares = record_type("ros1" if encoding == "ros1" else "cdr", kind)
    metadata = (("offered_qos_profiles", "- a"), ("topic_type_hash", declares.rihs01))
    head = ("/cam", declares.name, schema_encoding, declares.definition, encoding, metadata)
    assert {key[:6] for key in replaced} == {head}
    times = {key[6:9] for key in before.messages - kept}
    assert {key[6:9] for key in replaced} == times
    assert before.schemas - after.schemas == Counter()
    assert (before.attachments, before.header) == (after.attachments, after.header)
    with McapReader(tmp_path / "b") as reader:
        assert not reader.losses
        found = [reader.record(m) for m in reader.messages() if m.channel.id == 1]
    assert found == (records if kind == "typed" else [Record(record.ref) for record in records])


@pytest.mark.parametrize("kind", ["typed", "string"])
def test_stock_readers_read_the_records(tmp_path: Path, kind: RecordKind) -> None:
    decoders: tuple[tuple[str, Any], ...] = (("ros1", Ros1Decoder()), ("ros2", Ros2Decoder()))
    for profile, decoder in decoders:
        source, out = tmp_path / profile, tmp_path / f"{profile}.mcap"
        write_log(source, profile=profile)
        records = rewrite(source, out, kind)
        with out.open("rb") as file:
            read = [
                decoder.decoder_for(channel.message_encoding, schema)(each.data)
                for schema, channel, each in make_reader(file).iter_messages(["/cam"])
                if channel.id == 1
            ]
        assert len(read) == REPLACED
        for value, record in zip(read, records, strict=True):
            if kind == "string":
                assert json.loads(value.data) == {"uri": record.ref.uri, "pts_ns": record.ref.pts_ns}
                continue
            assert (value.media_ref.uri, value.media_ref.pts_ns) == (record.ref.uri, record.ref.pts_ns)
            stamp = value.header.stamp
            nanoseconds = stamp.nsecs if profile == "ros1" else stamp.nanosec
            seconds = stamp.secs if profile == "ros1" else stamp.sec
            assert (seconds * 10**9 + nanoseconds, value.header.frame_id) == (record.stamp_ns, "cam")
            assert (value.source_encoding, value.height, value.width) == ("jpeg", 480, 640)
            if profile == "ros1":
                assert value.header.seq == 7


@pytest.mark.parametrize("kind", ["typed", "string"])
def test_rosbags_reads_the_records(tmp_path: Path, kind: RecordKind) -> None:
    source = real_log("mcap/so101_ros2_zstd.mcap")
    out, uris = tmp_path / "out.mcap", {}
    topics = {"/wrist/image/compressed", "/wrist/image_raw"}
    with McapReader(source) as reader:
        writer = reader.rewriter(out, topics, kind)
        for i, each in enumerate(reader.messages()):
            uris[each.channel.topic, each.log_time_ns] = uri = f"media/{i}.mp4"
            writer.record(each, Record(MediaRef(uri=uri, pts_ns=0), source_type=each.channel.type))
        writer.commit()
    with AnyReader([out]) as stock, AnyReader([source]) as original:
        headers = {
            (connection.topic, time_ns): original.deserialize(raw, connection.msgtype).header
            for connection, time_ns, raw in original.messages()
        }
        seen = 0
        for connection, time_ns, raw in stock.messages():
            value: Any = stock.deserialize(raw, connection.msgtype)
            key = connection.topic, time_ns
            if kind == "string":
                assert json.loads(value.data)["uri"] == uris[key]
            else:
                assert (value.media_ref.uri, repr(value.header)) == (uris[key], repr(headers[key]))
            seen += 1
    assert seen == len(uris) == 320
    assert out.stat().st_size < source.stat().st_size / 20


def test_rosbag2s_copy_of_its_metadata_names_the_new_type(tmp_path: Path) -> None:
    yaml = (
        "rosbag2_bagfile_information:\n  version: 9\n  topics_with_message_count:\n    - topic_metadata:\n"
        "        name: /cam\n        type: sensor_msgs/msg/CompressedImage\n        serialization_format: cdr\n"
        "        type_description_hash: RIHS01_x\n      message_count: 20\n"
    )
    for text, losses in ((yaml, 0), ("{{{ no yaml", 1)):
        schema = Schema(1, image_schema("cdr")[2], "ros2msg", image_schema("cdr")[0])
        data = [schema, Channel(1, "/cam", "cdr", {}, 1), Metadata("rosbag2", {"serialized_metadata": text, "a": "b"})]
        raw_log(tmp_path / "a", data, profile="ros2")
        (tmp_path / "b").unlink(missing_ok=True)
        with McapReader(tmp_path / "a") as reader:
            reader.rewriter(tmp_path / "b", ["/cam"], "typed").commit()
            assert len(reader.losses) == losses
        (written,) = contents(tmp_path / "b").metadata
        assert written.metadata["a"] == "b"
        rewritten = written.metadata["serialized_metadata"]
        declares = record_type("cdr", "typed")
        new = text.replace("sensor_msgs/msg/CompressedImage", declares.name).replace("RIHS01_x", declares.rihs01)
        assert rewritten == new


def test_an_image_that_is_broken_still_becomes_a_record(tmp_path: Path) -> None:
    schema = Schema(1, image_schema("cdr")[2], "ros2msg", image_schema("cdr")[0])
    raw_log(tmp_path / "a", [schema, Channel(1, "/cam", "cdr", {}, 1), message(1, 5, b"no image")], profile="ros2")
    with McapReader(tmp_path / "a") as reader:
        (broken,) = reader.messages()
        with pytest.raises(ImageError):
            reader.image(broken)
        writer = reader.rewriter(tmp_path / "b", ["/cam"], "typed")
        writer.record(broken, Record(MediaRef(uri="data:application/octet-stream;base64,bm8gaW1hZ2U=")))
        writer.commit()
    with McapReader(tmp_path / "b") as reader:
        (kept,) = reader.messages()
        record = reader.record(kept)
        assert record is not None
        assert record.ref.is_embedded
        assert (kept.log_time_ns, kept.publish_time_ns) == (5, 6)


def test_copy_and_record_refuse_each_others_channels(tmp_path: Path) -> None:
    write_log(tmp_path / "a")
    with McapReader(tmp_path / "a") as reader:
        image, imu, odd = list(reader.messages())[:3]
        writer = reader.rewriter(tmp_path / "b", ["/cam"], "typed")
        record = Record(MediaRef(uri="a.mp4", pts_ns=0))
        with pytest.raises(OutputError, match="can't be copied"):
            writer.copy(image)
        for other in (imu, odd):
            with pytest.raises(OutputError, match="can't be replaced"):
                writer.record(other, record)
        writer.abort()
        writer.abort()


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    write_log(tmp_path / "a")
    (tmp_path / "b").write_text("mine")
    with McapReader(tmp_path / "a") as reader:
        for out in (tmp_path / "b", tmp_path / "no" / "folder", tmp_path / "a"):
            with pytest.raises(OutputError, match=str(out)):
                reader.rewriter(out, (), "typed")
    assert (tmp_path / "b").read_text() == "mine"


def test_a_full_disk_is_our_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, a device that is always full")
    write_log(tmp_path / "a", messages=9000)
    with McapReader(tmp_path / "a") as reader, Path("/dev/full").open("wb") as full:
        writer = reader.rewriter(tmp_path / "b", (), "typed")
        assert isinstance(writer, McapWriter)
        os.dup2(full.fileno(), writer._file.fileno())
        with pytest.raises(OutputError, match="No space left"):
            for each in reader.messages():
                writer.copy(each)
        with pytest.raises(OutputError, match="No space left"):
            writer.commit()
        writer.abort()


def test_records_of_unknown_opcodes_and_attachments_of_any_crc_are_kept(tmp_path: Path) -> None:
    private = struct.pack("<BQ", 0x90, 3000) + bytes(range(250)) * 12
    raw_log(tmp_path / "first", [Attachment(1, 2, "name", "type", b"data")])
    whole = (tmp_path / "first").read_bytes()
    at = whole.index(b"data")
    (tmp_path / "first").write_bytes(whole[:at] + b"dat2" + whole[at + 4 :])
    raw_log(tmp_path / "second", [*declared(), private, *chunk([message(1, 1)]), private, message(1, 2)])
    with McapReader(tmp_path / "first") as reader:
        copy(reader, tmp_path / "b")
        assert ["CRC" in loss.what for loss in reader.losses] == [True]
    assert [each.data for each in contents(tmp_path / "b").attachments] == [b"dat2"]
    with McapReader(tmp_path / "second") as reader:
        copy(reader, tmp_path / "c")
    assert (tmp_path / "c").read_bytes().count(private) == 2
    assert_equal(tmp_path / "second", tmp_path / "c")


@pytest.mark.parametrize("variant", ["zstd", "lz4", "none", "unchunked"])
def test_chunks_are_compressed_and_sized_like_the_sources(tmp_path: Path, variant: str) -> None:
    write_log(tmp_path / "a", messages=3000, chunk_size=20_000, **VARIANTS[variant])
    with McapReader(tmp_path / "a") as reader:
        copy(reader, tmp_path / "b")
    found = []
    for path in (tmp_path / "a", tmp_path / "b"):
        with path.open("rb") as file:
            chunks = [each for each in StreamReader(file, emit_chunks=True).records if isinstance(each, Chunk)]
        assert all(each.uncompressed_crc for each in chunks)
        found.append(({each.compression for each in chunks}, len(chunks)))
    assert found[0][0] == found[1][0] == (set() if variant == "unchunked" else {variant.replace("none", "")})
    assert abs(found[0][1] - found[1][1]) <= 1


def test_chunk_sizes_are_capped(tmp_path: Path) -> None:
    big = [message(1, i, hashlib.sha256(bytes([i])).digest() * (1 << 17)) for i in range(4)]
    raw_log(tmp_path / "a", [*declared(), *chunk(big[:2]), *chunk(big[2:])])
    with McapReader(tmp_path / "a") as reader:
        copy(reader, tmp_path / "b")
    with (tmp_path / "b").open("rb") as file:
        assert sum(isinstance(each, Chunk) for each in StreamReader(file, emit_chunks=True).records) == 4
    assert_equal(tmp_path / "a", tmp_path / "b")


def test_the_records_that_are_already_there_stay_and_share_a_schema(tmp_path: Path) -> None:
    write_log(tmp_path / "a")
    rewrite(tmp_path / "a", tmp_path / "b", "typed")
    with McapReader(tmp_path / "b") as reader:
        roles = [channel.role for channel in reader.channels]
        assert roles == ["record", "other", "unsupported", "other"]
        copy(reader, tmp_path / "c")
    assert_equal(tmp_path / "b", tmp_path / "c")


def test_schemas_that_are_equal_stay_apart(tmp_path: Path) -> None:
    raw_log(tmp_path / "a", [*declared(), *declared(2, "/b", 2), message(2, 1)])
    with McapReader(tmp_path / "a") as reader:
        copy(reader, tmp_path / "b")
    assert list(contents(tmp_path / "b").schemas.values()) == [2]
    assert_equal(tmp_path / "a", tmp_path / "b")


def test_rosbags_types_agree_with_the_schema_that_is_written(tmp_path: Path) -> None:
    write_log(tmp_path / "a", profile="ros1")
    rewrite(tmp_path / "a", tmp_path / "b", "string")
    (name,) = {key[1] for key in contents(tmp_path / "b").messages if key[1].startswith("std_msgs")}
    md5sum = get_typestore(Stores.ROS1_NOETIC).generate_msgdef("std_msgs/msg/String")[1]
    assert (name, record_type("ros1", "string").md5sum) == ("std_msgs/String", md5sum)


def test_payloads_that_were_compressed_one_by_one(tmp_path: Path) -> None:
    """rosbag2's message mode, which its MCAP plugin refuses to write, but others do."""
    schema = image_schema("cdr")
    plain = [compressed_image("cdr", i, b"\xff\xd8\xff" + bytes([i]) * 500) for i in range(4)]
    stored = [zstandard.compress(plain[0]), plain[1], zstandard.compress(plain[2])[:-9], zstandard.compress(plain[3])]
    with (tmp_path / "a").open("wb") as file:
        writer = Writer(file)
        writer.start("ros2", "a test")
        channel = writer.register_channel("/cam", "cdr", writer.register_schema(schema[0], schema[1], schema[2]), {})
        for i, data in enumerate(stored):
            writer.add_message(channel, i, data, i)
        writer.finish()
    with McapReader(tmp_path / "a") as reader:
        messages = list(reader.messages())
        assert [bytes(m.data) for m in messages] == stored  # a copy is byte for byte
        assert [bytes(reader.image(messages[i]).data) for i in (0, 1, 3)] == [
            b"\xff\xd8\xff" + bytes([i]) * 500 for i in (0, 1, 3)
        ]
        with pytest.raises(ImageError):
            reader.image(messages[2])
        rewriter = reader.rewriter(tmp_path / "b", {"/cam"}, "typed")
        for i, each in enumerate(messages):
            rewriter.record(each, Record(MediaRef(uri="a.mp4", pts_ns=i)))
        rewriter.commit()
    with McapReader(tmp_path / "b") as reader:
        messages = list(reader.messages())
        assert [bytes(m.data[:4]) == b"\x28\xb5\x2f\xfd" for m in messages] == [True, False, True, True]
        records = [reader.record(each) for each in messages]
        assert [record and record.ref.pts_ns for record in records] == [0, 1, 2, 3]
        assert [record and record.frame_id for record in records] == ["cam", "cam", "", "cam"]
