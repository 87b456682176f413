"""Image messages made again: byte for byte of their own data, and saying all else with other data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from converters.mcap.reader import McapConverter
from mediaref_tools.errors import ImageError
from mediaref_tools.log import Channel, LogReader, Message
from mediaref_tools.plugins import open_log
from mediaref_tools.restorable import RestorableReader

from .imagelogs import BYTES, MESSAGES, foxglove, ros, write_bag, write_mcap
from .test_imagemsg import BAGGED, SERIALISATIONS

LENGTHS = (0, 1, 2, 3, 5, 4096)


def check(log: LogReader) -> int:
    """Every image message of a log is made again, and once more with data of other lengths."""
    assert isinstance(log, RestorableReader)
    count = 0
    for message in log.messages():
        if message.channel.role != "image":
            continue
        value = log.image(message)
        assert value.envelope is not None
        assert bytes(log.serialized(message.channel, value)) == bytes(message.data)
        for length in LENGTHS:
            other = replace(value, data=bytes(range(256)) * (length // 256) + bytes(length % 256))
            made = message._replace(data=log.serialized(message.channel, other))
            found = log.image(made)
            assert replace(found, data=bytes(found.data)) == other, length
        count += 1
    return count


@pytest.mark.parametrize("encoding", SERIALISATIONS)
@pytest.mark.parametrize("base", BYTES)
def test_foxglove_messages(tmp_path: Path, base: str, encoding: str) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove(base, encoding)])) as log:
        assert check(log) == 3


@pytest.mark.parametrize("encoding", ["ros1", "cdr"])
@pytest.mark.parametrize("name", [*MESSAGES, "sensor_msgs/msg/CompressedImage"])
def test_ros_messages_in_mcap(tmp_path: Path, name: str, encoding: str) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [ros(name, encoding)])) as log:
        assert check(log) == (0 if "theora" in name else 3)


@pytest.mark.parametrize("container", ["rosbag1", "rosbag2-sqlite3", "rosbag2-mcap"])
def test_ros_messages_in_bags(tmp_path: Path, container: str) -> None:
    with open_log(write_bag(tmp_path / "log", container, BAGGED)) as log:
        assert check(log) > 3


def test_json_in_an_odd_spelling_is_the_same(tmp_path: Path) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove("CompressedImage", "json")])) as log:
        message = next(message for message in log.messages() if message.channel.role == "image")
        fields = json.loads(bytes(message.data))
        odd = json.dumps({"more": [1.50, "ä"], **dict(reversed(fields.items()))}, indent=3).encode() + b"\n"
        value = log.image(message._replace(data=odd))
        assert bytes(log.serialized(message.channel, value)) == odd


def test_json_whose_data_is_spelt_with_escapes_says_the_same_in_the_usual_way(tmp_path: Path) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove("CompressedImage", "json")])) as log:
        message = next(message for message in log.messages() if message.channel.role == "image")
        fields = json.loads(bytes(message.data))
        escaped = f"\\u{ord(fields['data'][0]):04x}{fields['data'][1:]}"
        odd = json.dumps(fields).replace(f'"{fields["data"]}"', f'"{escaped}"').encode()
        value = log.image(message._replace(data=odd))
        assert bytes(value.data) == bytes(log.image(message).data)
        made = bytes(log.serialized(message.channel, value))
        assert made != odd
        assert json.loads(made) == json.loads(odd)


def test_fields_of_protobuf_that_its_schema_does_not_have_stay(tmp_path: Path) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove("CompressedImage", "protobuf")])) as log:
        message = next(message for message in log.messages() if message.channel.role == "image")
        strangers = b"\xba\x3e\x03abc" + b"\xc0\x3e\x96\x01" + b"\xcd\x3e\0\0\0\0"  # 999: text, 1000: 150, 1001: fixed
        odd = strangers + bytes(message.data) + strangers
        value = log.image(message._replace(data=odd))
        assert bytes(log.serialized(message.channel, value)) == odd
        other = replace(value, data=b"another")
        made = bytes(log.serialized(message.channel, other))
        assert made.count(strangers) == 2
        assert log.image(message._replace(data=made)).data == b"another"


def test_big_endian_cdr(tmp_path: Path) -> None:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [ros("sensor_msgs/msg/CompressedImage", "cdr")])) as log:
        message = next(message for message in log.messages() if message.channel.role == "image")
        body = store.deserialize_cdr(message.data, "sensor_msgs/msg/CompressedImage")
        big = bytes(store.serialize_cdr(body, "sensor_msgs/msg/CompressedImage", little_endian=False))
        assert big[:2] == b"\0\0"
        value = log.image(message._replace(data=big))
        assert bytes(log.serialized(message.channel, value)) == big
        made = log.serialized(message.channel, replace(value, data=b"another"))
        assert bytes(log.image(message._replace(data=made)).data) == b"another"


@pytest.mark.parametrize("envelope", [b"", b"\xff" * 7, b"\xff\xff\xff\xff\0\0\0\0"])
def test_hostile_envelopes_are_our_errors(tmp_path: Path, envelope: bytes) -> None:
    with McapConverter().open(write_mcap(tmp_path / "a.mcap", [foxglove("RawImage", "flatbuffer")])) as log:
        message: Message = next(message for message in log.messages() if message.channel.role == "image")
        with pytest.raises(ImageError, match="envelope"):
            log.serialized(message.channel, replace(log.image(message), envelope=envelope))


def test_without_an_envelope_a_message_says_what_its_fields_do() -> None:
    from converters.messages import imagemsg
    from mediaref_tools.image import ImageValue

    for encoding, name in (("ros1", "sensor_msgs/Image"), ("cdr", "sensor_msgs/msg/Image")):
        channel = Channel(0, "/cam", name, encoding, role="image")
        value = ImageValue(b"\1\2\3" * 12, "rgb8", "raw", 3, 4, 12, True, 5_000_000_007, "cam", name)
        made = imagemsg.image(Message(channel, 0, None, None, imagemsg.serialized(channel, value)))
        assert replace(made, data=bytes(made.data)) == value
    channel = Channel(0, "/cam", "ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "cdr", role="image")
    with pytest.raises(ImageError, match="can't be made of what a record says alone"):
        imagemsg.serialized(channel, ImageValue(b"", "h264", "packet"))
