"""Image messages and records of any serialisation: where every converter asks what a message is, and what is in it.

ROS messages are in ROS 1 bytes or CDR, whatever their container; what an MCAP file may hold beside them is Foxglove's
image types in protobuf, JSON and FlatBuffers.
"""

from __future__ import annotations

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, Message, Record, RecordKind, Role

from . import flatmsg, jsonmsg, protomsg, rosmsg
from .envelope import Envelope
from .imagefields import FOXGLOVE, image_value
from .recordtype import RecordType

__all__ = ["image", "original_type", "record", "record_bytes", "record_type", "role", "serialized"]

_READERS = {"protobuf": protomsg.fields, "json": jsonmsg.fields, "flatbuffer": flatmsg.fields}
_SCHEMA_ENCODINGS = {"protobuf": "protobuf", "json": "jsonschema", "flatbuffer": "flatbuffer"}


def role(type_name: str, encoding: str, definition: bytes = b"") -> Role:
    """What a channel's type, encoding and schema make of it; see `Channel.role`."""
    if type_name in FOXGLOVE:
        return "image" if encoding in _READERS else "unsupported"
    if encoding == "json" and jsonmsg.holds_records(type_name, definition):
        return "record"
    return rosmsg.role(type_name, encoding, definition)


def image(message: Message) -> ImageValue:
    """The image in a message of a channel whose role is "image"; `data` is a view where it can be. For any thread.

    Raises:
        ImageError: The message can't be deserialised, or its channel's role is another.
    """
    channel = message.channel
    if channel.role != "image":
        raise ImageError(
            f"a message of {channel.topic!r} is a {channel.type!r}, expected an image: ask for those of channels whose "
            'role is "image"'
        )
    if channel.encoding in rosmsg.ROS:
        return rosmsg.image(message)
    fields, envelope = _READERS[channel.encoding](message)
    return image_value(message, FOXGLOVE[channel.type], fields, envelope)


def serialized(channel: Channel, image: ImageValue) -> bytes:
    """An image's own message, on a channel as it was; see `mediaref_tools.restorable.RestorableReader`. For any thread.

    Raises:
        ImageError: It can't be made.
    """
    if image.envelope is None:
        if channel.encoding in rosmsg.ROS:
            return rosmsg.composed(channel, image)
        raise ImageError(f"a message of {channel.type!r} in {channel.encoding} can't be made without its envelope")
    envelope = Envelope.unpack(image.envelope)
    if channel.encoding == "json":
        return jsonmsg.resized(envelope, image.data)
    if len(image.data) == envelope.size:
        return envelope.around(image.data)
    if channel.encoding in rosmsg.ROS:
        return rosmsg.resized(channel.encoding, envelope, image.data)
    if channel.encoding == "protobuf":
        return protomsg.resized(envelope, image.data)
    return flatmsg.resized(channel, envelope, image.data)


def original_type(channel: Channel, *, schema_encoding: str = "", md5sum: str = "", rihs01: str = "") -> RecordType:
    """The type that a container must declare for messages of a channel as it was.

    Args:
        channel: As it was; of earlier datasets without its definition.
        schema_encoding, md5sum, rihs01: What its container says of it, "" where it does not.
    """
    name, definition, encoding = channel.type, channel.definition, channel.encoding
    if encoding not in rosmsg.ROS:
        return RecordType(name, encoding, schema_encoding or _SCHEMA_ENCODINGS.get(encoding, ""), definition)
    if not definition:
        definition, known_md5sum, known_rihs01 = rosmsg.declared(channel)
        md5sum, rihs01 = md5sum or known_md5sum, rihs01 or known_rihs01
    schema_encoding = schema_encoding or ("ros1msg" if encoding == "ros1" else "ros2msg")
    return RecordType(name, encoding, schema_encoding, definition, md5sum, rihs01)


def record_type(encoding: str, kind: RecordKind) -> RecordType:
    """The type of the records in the place of images of an encoding: of ROS for ROS's own, JSON for all others."""
    return rosmsg.record_type(encoding, kind) if encoding in rosmsg.ROS else jsonmsg.record_type(kind)


def record_bytes(message: Message, record: Record, kind: RecordKind) -> bytes:
    """A record in the place of an image message, serialised as `record_type` says."""
    if message.channel.encoding in rosmsg.ROS:
        return rosmsg.record_bytes(message, record, kind)
    return jsonmsg.record_bytes(record, kind)


def record(message: Message) -> Record | None:
    """The record in a message: typed, a string of JSON, or a JSON message; None if it holds none.

    Raises:
        ImageError: A typed record can't be deserialised.
    """
    if message.channel.encoding in rosmsg.ROS:
        return rosmsg.record(message)
    return jsonmsg.record(message) if message.channel.encoding == "json" else None
