"""Image messages and records of any serialisation: where every converter asks what a message is, and what is in it.

ROS messages are in ROS 1 bytes or CDR, whatever their container; what an MCAP file may hold beside them is Foxglove's
image types in protobuf, JSON and FlatBuffers.
"""

from __future__ import annotations

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message, Record, RecordKind, Role

from . import flatmsg, jsonmsg, protomsg, rosmsg
from .imagefields import FOXGLOVE, image_value
from .recordtype import RecordType

__all__ = ["image", "record", "record_bytes", "record_type", "role"]

_READERS = {"protobuf": protomsg.fields, "json": jsonmsg.fields, "flatbuffer": flatmsg.fields}


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
    return image_value(message, FOXGLOVE[channel.type], _READERS[channel.encoding](message))


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
