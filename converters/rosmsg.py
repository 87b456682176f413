"""ROS image messages and records, as ROS 1 bytes or CDR: the one place where ROS messages are (de)serialised.

Everything that is not an image stays bytes. Image types have been the same in every ROS distribution, so the
definitions come from rosbags' own stores and never from the log.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.recordjson import json_record

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = ["RecordType", "image", "record", "record_bytes", "record_type", "role"]

Encoding = Literal["ros1", "cdr"]

_IMAGE = "sensor_msgs/msg/Image"
_COMPRESSED = "sensor_msgs/msg/CompressedImage"
_IMAGE_REF = "mediaref_msgs/msg/ImageRef"
_MEDIA_REF = "mediaref_msgs/msg/MediaRef"
_STRING = "std_msgs/msg/String"
_UNSUPPORTED = frozenset(
    {
        "foxglove.CompressedImage",
        "foxglove.CompressedVideo",
        "foxglove.RawImage",
        "foxglove_msgs/msg/CompressedImage",
        "foxglove_msgs/msg/CompressedVideo",
        "foxglove_msgs/msg/RawImage",
        "ffmpeg_image_transport_msgs/msg/FFMPEGPacket",
        "theora_image_transport/msg/Packet",
    }
)


class RecordType(NamedTuple):
    """A record's type as a container declares it.

    `name` is "pkg/Type" in ROS 1 and "pkg/msg/Type" in ROS 2; `md5sum` is ROS 1's, `rihs01` ROS 2's hash.
    """

    name: str
    definition: str
    md5sum: str
    rihs01: str


def _full(name: str) -> str:
    """`pkg/Type`, as ROS 1 and 2019's ROS 2 spell it, is `pkg/msg/Type` here."""
    package, _, base = name.partition("/")
    return f"{package}/msg/{base}" if base and "/" not in base else name


def role(type_name: str, encoding: str) -> Literal["image", "record", "unsupported", "other"]:
    """What a channel's type makes of it; see `Channel.role`."""
    name = _full(type_name)
    if name in (_IMAGE, _COMPRESSED):
        return "image" if encoding in ("ros1", "cdr") else "unsupported"
    if name == _IMAGE_REF and encoding in ("ros1", "cdr"):
        return "record"
    return "unsupported" if name in _UNSUPPORTED else "other"


@cache
def _store(encoding: str) -> Typestore:
    store = get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_HUMBLE)
    folder = files("mediaref_tools.schemas") / "msg"
    for name in ("MediaRef", "ImageRef"):
        store.register(get_types_from_msg((folder / f"{name}.msg").read_text("utf-8"), f"mediaref_msgs/msg/{name}"))
    return store


def _deserialize(message: Message) -> Any:
    encoding, name = message.channel.encoding, _full(message.channel.type)
    try:
        if encoding == "ros1":
            return _store("ros1").deserialize_ros1(message.data, name)
        return _store("cdr").deserialize_cdr(message.data, name)
    except Exception as error:  # rosbags raises SerdeError, AssertionError, struct.error, IndexError … on bad bytes
        raise ImageError(
            f"message of {name} at log time {message.log_time_ns} can't be deserialised from its "
            f"{len(message.data)} bytes: {str(error) or type(error).__name__}"
        ) from error


def image(message: Message) -> ImageValue:
    """The image in a `sensor_msgs` Image or CompressedImage message; `data` is a view where it can be.

    Raises:
        ImageError: The bytes are not such a message, or its channel's role is another.
    """
    if message.channel.role != "image":
        raise ImageError(
            f"a message of {message.channel.topic!r} is a {message.channel.type!r}, expected an image: ask for those "
            'of channels whose role is "image"'
        )
    value = _deserialize(message)
    stamp, frame_id = value.header.stamp, value.header.frame_id
    stamp_ns = int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
    if hasattr(value, "format"):
        return ImageValue(
            value.data.data,
            value.format,
            kind="file",
            stamp_ns=stamp_ns,
            frame_id=frame_id,
            type=message.channel.type,
        )
    return ImageValue(
        value.data.data,
        value.encoding,
        kind="raw",
        height=int(value.height),
        width=int(value.width),
        step=int(value.step),
        is_bigendian=bool(value.is_bigendian),
        stamp_ns=stamp_ns,
        frame_id=frame_id,
        type=message.channel.type,
    )


@cache
def record_type(encoding: Encoding, kind: RecordKind) -> RecordType:
    """The type that a container must declare for records."""
    store = _store(encoding)
    name = _IMAGE_REF if kind == "typed" else _STRING
    version: Literal[1, 2] = 1 if encoding == "ros1" else 2
    definition, md5sum = store.generate_msgdef(name, ros_version=version)
    shown = name.replace("/msg/", "/") if encoding == "ros1" else name
    return RecordType(shown, definition, md5sum, store.hash_rihs01(name))


def record_bytes(message: Message, record: Record, kind: RecordKind) -> bytes:
    """A record, serialised as the message that it replaces was, with that message's header field for field."""
    store = _store(message.channel.encoding)
    body: Any
    if kind == "string":
        name, body = _STRING, SimpleNamespace(data=record.ref.to_json())
    else:
        pts_ns = -1 if record.ref.pts_ns is None else record.ref.pts_ns
        name, body = (
            _IMAGE_REF,
            SimpleNamespace(
                header=_header(message),
                media_ref=SimpleNamespace(uri=record.ref.uri, pts_ns=pts_ns),
                source_type=record.source_type,
                source_encoding=record.source_encoding,
                height=record.height,
                width=record.width,
                step=record.step,
                is_bigendian=int(record.is_bigendian),
            ),
        )
    if message.channel.encoding == "ros1":
        return bytes(store.serialize_ros1(body, name))
    return bytes(store.serialize_cdr(body, name))


def _header(message: Message) -> Any:
    try:
        return _deserialize(message).header
    except ImageError:  # an embedded record of a broken message carries the whole message, its header included
        return SimpleNamespace(seq=0, stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="")


def record(message: Message) -> Record | None:
    """The record in a message of type ImageRef, or in a String of JSON; None where there is none."""
    if message.channel.encoding not in ("ros1", "cdr"):
        return None
    name = _full(message.channel.type)
    if name == _IMAGE_REF:
        value = _deserialize(message)
        stamp, pts_ns = value.header.stamp, int(value.media_ref.pts_ns)
        if not value.media_ref.uri:
            return None
        return Record(
            MediaRef(uri=value.media_ref.uri, pts_ns=None if pts_ns < 0 else pts_ns),
            stamp_ns=int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec),
            frame_id=value.header.frame_id,
            source_type=value.source_type,
            source_encoding=value.source_encoding,
            height=int(value.height),
            width=int(value.width),
            step=int(value.step),
            is_bigendian=bool(value.is_bigendian),
        )
    if name == _STRING:
        try:
            return json_record(str(_deserialize(message).data))
        except ImageError:
            return None
    return None
