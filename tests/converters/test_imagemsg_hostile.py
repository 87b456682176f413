"""Image messages that are cut, flipped or made up, with schemas that are: an image or an ImageError, nothing else."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from typing import Any

import flatbuffers
import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from hypothesis import given, settings
from hypothesis import strategies as st

from converters.messages import imagemsg
from converters.messages.flatmsg import _slots
from converters.messages.protomsg import _message_class
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel as LogChannel
from mediaref_tools.log import Message, Record
from mediaref_tools.media.mediaref import MediaRef

from .imagelogs import MESSAGES, Channel, foxglove, plain, protobuf, ros
from .samples import START_NS

CHANNELS = [
    *(foxglove(base, "protobuf") for base in ("RawImage", "CompressedVideo")),
    *(foxglove(base, "json") for base in ("RawImage", "CompressedVideo")),
    *(foxglove(base, "flatbuffer") for base in ("RawImage", "CompressedVideo")),
    *(ros(name, encoding) for name in MESSAGES if "theora" not in name for encoding in ("ros1", "cdr")),
    *(ros(name, encoding, definition=b"") for name in MESSAGES if "FFMPEG" in name for encoding in ("ros1", "cdr")),
]
IDS = [f"{channel.topic}{'' if channel.definition else ' without a definition'}" for channel in CHANNELS]


def message(channel: Channel, data: bytes | memoryview, definition: bytes | None = None) -> Message:
    declared = LogChannel(
        1,
        channel.topic,
        channel.type,
        channel.encoding,
        channel.definition if definition is None else definition,
        {},
        "image",
    )
    return Message(declared, START_NS, START_NS, 0, data)


def read(given: Message) -> ImageValue | None:
    """The image, whole, or None where there is an ImageError."""
    try:
        value = imagemsg.image(given)
    except ImageError as error:
        assert len(str(error)) < 600
        assert given.channel.type in str(error)
        return None
    assert isinstance(value, ImageValue)
    assert len(bytes(value.data)) <= len(given.data)
    assert 0 <= value.width < 1 << 32
    assert value.stamp_ns is None or -(2**63) <= value.stamp_ns < 2**63
    assert isinstance(value.encoding + value.frame_id, str)
    (value.encoding + value.frame_id).encode()
    return value


def refused(given: Message, match: str) -> None:
    with pytest.raises(ImageError, match=match):
        imagemsg.image(given)


@pytest.mark.parametrize("channel", CHANNELS, ids=IDS)
def test_a_message_cut_at_any_length(channel: Channel) -> None:
    whole = channel.payload(0)
    found = [read(message(channel, memoryview(whole)[:length])) for length in range(len(whole))]
    if channel.encoding == "protobuf":  # a cut between two fields is a whole message
        assert sum(value is not None for value in found) < 10
    elif channel.encoding == "cdr":
        # rosbags lets up to three bytes of padding be there or not
        assert not any(found[: len(whole) - 64])
    elif channel.encoding == "flatbuffer":  # what is cut is a string's final NUL
        assert not any(found[: len(whole) - 64])
    else:
        assert not any(found)
    assert read(message(channel, whole)) is not None


@pytest.mark.parametrize("channel", CHANNELS, ids=IDS)
def test_a_message_with_any_byte_flipped(channel: Channel) -> None:
    whole = channel.payload(0)
    for place in range(len(whole)):
        for value in (0x00, 0x7F, 0xFF, whole[place] ^ 1, whole[place] ^ 0x80):
            read(message(channel, whole[:place] + bytes([value]) + whole[place + 1 :]))


@pytest.mark.parametrize("channel", CHANNELS, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300))
def test_a_message_of_any_bytes(channel: Channel, data: bytes) -> None:
    read(message(channel, data))


@pytest.mark.parametrize("channel", CHANNELS, ids=IDS)
@settings(max_examples=60, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_a_message_with_bytes_written_over_it(channel: Channel, edits: list[tuple[int, bytes]]) -> None:
    data = bytearray(channel.payload(0))
    for place, over in edits:
        data[place % len(data) : place % len(data) + len(over)] = over
    read(message(channel, bytes(data)))


SCHEMAS = [foxglove("RawImage", "protobuf"), foxglove("RawImage", "flatbuffer"), ros("old/msg/FFMPEGPacket", "ros1")]


@pytest.mark.parametrize("channel", SCHEMAS, ids=lambda channel: str(channel.encoding))
def test_a_schema_that_is_cut_or_flipped(channel: Channel) -> None:
    whole, definition = channel.payload(0), channel.definition
    for length in range(0, len(definition), 3):
        read(message(channel, whole, definition[:length]))
    for place in range(len(definition)):
        for value in (0x00, 0xFF, definition[place] ^ 1):
            changed = definition[:place] + bytes([value]) + definition[place + 1 :]
            read(message(channel, whole, changed))
            imagemsg.role(channel.type, channel.encoding, changed)


@pytest.mark.parametrize("channel", SCHEMAS, ids=lambda channel: str(channel.encoding))
@settings(max_examples=100, deadline=None)
@given(definition=st.binary(max_size=400))
def test_a_schema_of_any_bytes(channel: Channel, definition: bytes) -> None:
    read(message(channel, channel.payload(0), definition))
    imagemsg.role(channel.type, channel.encoding, definition)


@pytest.mark.parametrize("encoding", ["protobuf", "flatbuffer"])
def test_a_channel_without_a_schema(encoding: str) -> None:
    channel = foxglove("RawImage", encoding)
    refused(message(channel, channel.payload(0), b""), "its schema is no")


@pytest.mark.parametrize("encoding", ["protobuf", "flatbuffer"])
def test_a_schema_of_another_type(encoding: str) -> None:
    channel, other = foxglove("RawImage", encoding), foxglove("CompressedVideo", encoding)
    refused(message(channel, channel.payload(0), other.definition), "its schema")


@pytest.mark.parametrize("encoding", ["protobuf", "flatbuffer"])
def test_a_schema_of_any_size(encoding: str) -> None:
    channel = foxglove("RawImage", encoding)
    refused(message(channel, channel.payload(0), bytes((16 << 20) + 1)), "expected at most")


# Protobuf

TYPES = FieldDescriptorProto.Type


def schema(*fields: tuple[str, int, Any, str], repeated: bool = False, name: str = "RawImage") -> bytes:
    """A FileDescriptorSet of one file with one message."""
    file = FileDescriptorProto(name="a.proto", package="foxglove", syntax="proto3")
    declared = file.message_type.add(name=name)
    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    for field, number, kind, type_name in fields:
        declared.field.add(name=field, number=number, type=kind, label=label, type_name=type_name or None)
    return bytes(FileDescriptorSet(file=[file]).SerializeToString())


@pytest.mark.parametrize(
    ("definition", "data", "match"),
    [
        (schema(("data", 6, TYPES.TYPE_STRING, "")), b"\x32\x01a", "its data is of type str"),
        (schema(("data", 6, TYPES.TYPE_BYTES, ""), repeated=True), b"\x32\x01a", "its data is of type Repeated"),
        (schema(("frame_id", 6, TYPES.TYPE_STRING, "")), b"\x32\x01a", "its data is of type NoneType"),
        (
            schema(("data", 6, TYPES.TYPE_BYTES, ""), ("width", 7, TYPES.TYPE_SINT64, "")),
            b"\x38\x01",
            "its width is -1: expected an unsigned integer of 32 bits",
        ),
        (
            schema(("data", 6, TYPES.TYPE_BYTES, ""), ("width", 7, TYPES.TYPE_UINT64, "")),
            b"\x38\xff\xff\xff\xff\xff\xff\x01",
            "its width is 8796093022207",
        ),
        (schema(("data", 6, TYPES.TYPE_BYTES, ""), ("width", 7, TYPES.TYPE_DOUBLE, "")), b"", "its width is 0.0"),
        (schema(("data", 6, TYPES.TYPE_BYTES, ""), ("timestamp", 7, TYPES.TYPE_INT64, "")), b"", "presence"),
        (
            schema(("data", 6, TYPES.TYPE_BYTES, ""), ("timestamp", 7, TYPES.TYPE_MESSAGE, ".foxglove.RawImage")),
            b"\x3a\x00",
            "seconds",
        ),
        (schema(("data", 6, TYPES.TYPE_BYTES, ""), name="Other"), b"", "its schema is no protobuf schema"),
    ],
)
def test_protobuf_fields_that_are_not_what_their_names_say(definition: bytes, data: bytes, match: str) -> None:
    refused(message(foxglove("RawImage", "protobuf"), data, definition), match)


def test_protobuf_files_that_import_each_other() -> None:
    files = [FileDescriptorProto(name=f"{i}.proto", dependency=[f"{1 - i}.proto"]) for i in range(2)]
    declared = FileDescriptorSet(file=files).SerializeToString()
    refused(message(foxglove("RawImage", "protobuf"), b"", declared), "lacks a file that '0.proto' imports")


def test_protobuf_times_that_no_64_bits_hold() -> None:
    channel = foxglove("RawImage", "protobuf")
    late = b"\x0a\x0c\x08" + b"\xff" * 8 + b"\x7f\x10\x00"
    refused(message(channel, late + b"\x32\x01a"), "not within 292 years")


def test_pools_know_nothing_of_each_other() -> None:
    """Two logs may declare one name with other fields, and neither is the one that this process has imported."""
    channel = foxglove("RawImage", "protobuf")
    moved = schema(("data", 1, TYPES.TYPE_BYTES, ""))
    for _ in range(2):
        one = read(message(channel, b"\x0a\x02ab", moved))
        two = read(message(channel, protobuf("RawImage", 0)))
        assert one is not None
        assert two is not None
        assert (one.data, two.width) == (b"ab", 3)


@pytest.mark.parametrize(("encoding", "kept"), [("protobuf", _message_class), ("flatbuffer", _slots)])
def test_a_broken_schema_is_looked_at_once(encoding: str, kept: Any) -> None:
    """Not with each of its thousands of messages."""
    broken = message(foxglove("RawImage", encoding), b"", b"\xff" * 1000 + encoding.encode())
    before = kept.cache_info().misses
    assert [read(broken) for _ in range(5)] == [None] * 5
    assert kept.cache_info().misses == before + 1


# JSON


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"data": None}, "its data is of type NoneType: expected base64"),
        ({"data": "/w="}, "padding"),
        ({"data": "aaaa----"}, "base64"),
        ({"data": "é"}, "ASCII"),
        ({"data": [255]}, "type list"),
        ({"width": -1}, "its width is -1"),
        ({"width": 1 << 32}, "its width is 4294967296"),
        ({"width": 3.0}, "its width is 3.0"),
        ({"height": "3"}, "its height is '3'"),
        ({"step": [[]]}, "its step is"),
        ({"encoding": 5}, "its encoding is of type int"),
        ({"frame_id": "\ud800"}, "surrogates"),
        ({"timestamp": 5}, "its timestamp is of type int"),
        ({"timestamp": {"sec": "5"}}, "expected integers"),
        ({"timestamp": {"sec": 1e300}}, "expected integers"),
        ({"timestamp": {"sec": True}}, "expected integers"),
        ({"timestamp": {"sec": 1 << 40, "nsec": 0}}, "292 years"),
    ],
)
def test_json_members_that_are_not_what_their_names_say(changes: dict[str, Any], match: str) -> None:
    channel = foxglove("RawImage", "json")
    refused(message(channel, json.dumps(plain("RawImage", 0) | changes).encode()), match)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 200_000,
        b'{"data":' * 200_000,
        b'{"data":"","width":' + b"9" * 10_000 + b"}",
        b"\xff\xfe{",
        b'{"data":"","width":NaN}',
    ],
)
def test_json_that_is_no_such_object(data: bytes) -> None:
    refused(message(foxglove("RawImage", "json"), data), "can't be deserialised")


# FlatBuffers


def reflection(fields: list[tuple[str, int, int, int]], *, repeat: int = 1, name: str = "foxglove.RawImage") -> bytes:
    """A binary schema of one table, by `reflection.fbs`: names, ids, base types and element types of its fields."""
    builder = flatbuffers.Builder(0)

    def table(slots: int, fill: Callable[[], None]) -> int:
        builder.StartObject(slots)
        fill()
        return int(builder.EndObject())

    def vector(offsets: list[int]) -> int:
        builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            builder.PrependUOffsetTRelative(offset)
        return int(builder.EndVector())

    found = []
    for text, number, base, element in fields:
        named = builder.CreateString(text)

        def describe(base: int = base, element: int = element) -> None:
            builder.PrependInt8Slot(0, base, 0)
            builder.PrependInt8Slot(1, element, 0)

        kind = table(3, describe)

        def declare(named: int = named, kind: int = kind, number: int = number) -> None:
            builder.PrependUOffsetTRelativeSlot(0, named, 0)
            builder.PrependUOffsetTRelativeSlot(1, kind, 0)
            builder.PrependUint16Slot(2, number, 0)

        found.append(table(4, declare))
    members, title = vector(found * repeat), builder.CreateString(name)

    def enclose() -> None:
        builder.PrependUOffsetTRelativeSlot(0, title, 0)
        builder.PrependUOffsetTRelativeSlot(1, members, 0)

    objects = vector([table(2, enclose)])
    builder.Finish(table(2, lambda: builder.PrependUOffsetTRelativeSlot(0, objects, 0)))
    return bytes(builder.Output())


def test_flatbuffer_fields_are_where_the_schema_says() -> None:
    """Not at the numbers of Foxglove's own schema."""
    builder = flatbuffers.Builder(0)
    data = builder.CreateByteVector(b"abc")
    builder.StartObject(9)
    builder.PrependUOffsetTRelativeSlot(8, data, 0)
    builder.PrependUint32Slot(5, 77, 0)
    builder.Finish(builder.EndObject())
    definition = reflection([("width", 5, 8, 0), ("data", 8, 14, 4)])
    value = read(message(foxglove("RawImage", "flatbuffer"), bytes(builder.Output()), definition))
    assert value is not None
    assert (bytes(value.data), value.width, value.height, value.stamp_ns) == (b"abc", 77, 0, None)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ([("data", 6, 13, 0)], "'data' has the base types"),
        ([("data", 6, 14, 8)], "'data' has the base types"),
        ([("data", 6, 14, 4), ("width", 2, 10, 0)], "'width' has the base types"),
        ([("data", 6, 14, 4), ("timestamp", 0, 8, 0)], "'timestamp' has the base types"),
        ([("width", 2, 8, 0)], "no such table with a field 'data'"),
        ([], "no such table with a field 'data'"),
    ],
)
def test_flatbuffer_schemas_that_are_not_what_their_names_say(
    fields: list[tuple[str, int, int, int]], match: str
) -> None:
    channel = foxglove("RawImage", "flatbuffer")
    refused(message(channel, channel.payload(0), reflection(fields)), match)


def test_flatbuffer_schemas_that_repeat_themselves_take_no_time() -> None:
    """A megabyte of offsets to one field."""
    channel = foxglove("RawImage", "flatbuffer")
    definition = reflection([("nothing of interest", 0, 8, 0)], repeat=250_000)
    start = time.perf_counter()
    refused(message(channel, channel.payload(0), definition), "no such table")
    assert time.perf_counter() - start < 60


def test_flatbuffer_strings_and_vectors_that_are_longer_than_the_message() -> None:
    channel = foxglove("RawImage", "flatbuffer")
    whole = bytearray(channel.payload(0))
    for content in (bytes(range(24)), b"bgr8"):
        place = whole.index(content) - 4
        assert struct.unpack_from("<I", whole, place)[0] == len(content)
        longer = whole.copy()
        struct.pack_into("<I", longer, place, len(whole))
        refused(message(channel, bytes(longer)), "bytes are said to be at byte")


# ROS


def test_a_definition_of_any_length_is_looked_at_no_further_than_it_may() -> None:
    start = time.perf_counter()
    channel = ros("old/msg/FFMPEGPacket", "ros1", definition=b"# nothing\n" * 3_000_000)
    assert read(message(channel, channel.payload(0))) is not None
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("name", ["old/msg/FFMPEGPacket", "foxglove_msgs/msg/RawImage"])
def test_a_record_of_a_broken_ros_message_has_an_empty_header(name: str) -> None:
    broken = message(ros(name, "ros1"), b"\1\2\3")
    data = imagemsg.record_bytes(broken, Record(MediaRef(uri="data:,x")), "typed")
    declared = LogChannel(1, "/a", "mediaref_msgs/ImageRef", "ros1", b"", {}, "record")
    assert imagemsg.record(Message(declared, 0, 0, 0, data)) == Record(MediaRef(uri="data:,x"), stamp_ns=0)
