"""ROS image messages and records, as ROS 1 bytes or CDR: the one place where ROS messages are (de)serialised.

Everything that is not an image stays bytes. Definitions come from rosbags' own stores and from the list below, never
from the log, whose own definition only tells which of the known layouts a type has.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageKind, ImageValue
from mediaref_tools.log import Channel, Message, Record, RecordKind, Role
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.recordjson import json_record

from .envelope import Envelope, split
from .imagefields import Fields, broken, image_value, nanoseconds
from .recordtype import RecordType

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = [
    "ROS",
    "composed",
    "declared",
    "full_name",
    "image",
    "record",
    "record_bytes",
    "record_type",
    "resized",
    "role",
]

ROS: Final = ("ros1", "cdr")
"""The encodings of ROS messages."""

_KINDS: Final[dict[str, ImageKind]] = {
    "sensor_msgs/msg/Image": "raw",
    "sensor_msgs/msg/CompressedImage": "file",
    "foxglove_msgs/msg/RawImage": "raw",
    "foxglove_msgs/msg/CompressedImage": "file",
    "foxglove_msgs/msg/CompressedVideo": "packet",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": "packet",
}
_THEORA = "theora_image_transport/msg/Packet"
_IMAGE_REF = "mediaref_msgs/msg/ImageRef"
_STRING = "std_msgs/msg/String"

# What rosbags' stores lack: the fields of the layouts that each type has had, the newest first.
_HEADER = "std_msgs/Header header, "
_COMPRESSED = "time timestamp, string frame_id, uint8[] data, string format"
_LAYOUTS: Final[dict[str, tuple[str, ...]]] = {
    "foxglove_msgs/msg/RawImage": (
        "time timestamp, string frame_id, uint32 width, uint32 height, string encoding, uint32 step, uint8[] data",
    ),
    "foxglove_msgs/msg/CompressedImage": (_COMPRESSED,),
    "foxglove_msgs/msg/CompressedVideo": (_COMPRESSED,),
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": (
        _HEADER
        + "int32 width, int32 height, string encoding, uint64 pts, uint8 flags, bool is_bigendian, uint8[] data",
        _HEADER + "int32 img_width, int32 img_height, string encoding, uint64 pts, uint8 flags, uint8[] data",
    ),
}
_DEFINITION_MAX = 64 << 10


def full_name(name: str) -> str:
    """`pkg/Type`, as ROS 1 and 2019's ROS 2 spell it, is `pkg/msg/Type` here."""
    package, _, base = name.partition("/")
    return f"{package}/msg/{base}" if base and "/" not in base else name


def role(type_name: str, encoding: str, definition: bytes = b"") -> Role:
    """What a channel's type makes of it; see `Channel.role`. One of an unknown layout is "unsupported"."""
    name = full_name(type_name)
    if name in _KINDS:
        return "image" if encoding in ROS and _layouts(name, definition) else "unsupported"
    if name == _IMAGE_REF and encoding in ROS:
        return "record"
    return "unsupported" if name == _THEORA else "other"


def _layout(name: str, number: int) -> str:
    """The name by which the stores know one of a type's layouts."""
    return f"{name}{number or ''}"


@lru_cache(maxsize=256)
def _layouts(name: str, definition: bytes) -> tuple[str, ...]:
    """The layouts that a type may have, as the stores name them: the one that the log's definition is, none if it is
    another, all of them where the definition can't be read or is not there.
    """
    if name not in _LAYOUTS:
        return (name,)
    known = {_layout(name, number): _fields(name, text) for number, text in enumerate(_LAYOUTS[name])}
    text = definition[:_DEFINITION_MAX].decode("utf-8", "replace").partition("\n====")[0]
    try:
        declared = get_types_from_msg(text, name)[name][1]
    except Exception:  # TypesysError, and whatever else rosbags' parser makes of hostile text
        declared = []
    return tuple(layout for layout, fields in known.items() if fields == declared or not declared)


def _fields(name: str, text: str) -> Any:
    return get_types_from_msg(text.replace(", ", "\n"), name)[name][1]


@cache
def _store(encoding: str) -> Typestore:
    store = get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_HUMBLE)
    folder = files("mediaref_tools.schemas") / "msg"
    for name in ("MediaRef", "ImageRef"):
        store.register(get_types_from_msg((folder / f"{name}.msg").read_text("utf-8"), f"mediaref_msgs/msg/{name}"))
    for name, texts in _LAYOUTS.items():
        for number, text in enumerate(texts):
            # Not as a bool, of which rosbags takes any byte: it is what tells the layouts of one type apart.
            store.register({_layout(name, number): ([], _fields(name, text.replace("bool ", "uint8 ")))})
    return store


def _deserialize(message: Message) -> Any:
    name, reason = full_name(message.channel.type), None
    whole = memoryview(message.data)  # rosbags takes slices, which would be copies of bytes
    for layout in _layouts(name, message.channel.definition):
        try:
            if message.channel.encoding == "ros1":
                value = _store("ros1").deserialize_ros1(whole, layout)
            else:
                value = _store("cdr").deserialize_cdr(whole, layout)
            if name in _LAYOUTS and getattr(value, "is_bigendian", 0) > 1:
                raise ImageError(f"its is_bigendian is {value.is_bigendian}, expected 0 or 1")
            return value
        except Exception as error:  # rosbags raises SerdeError, AssertionError, struct.error, IndexError … on bad bytes
            reason = reason or error
    raise broken(message, reason or "its definition is of a layout that is not known") from reason


def image(message: Message) -> ImageValue:
    """The image in a message of a type whose role is "image"; `data` is a view.

    Raises:
        ImageError: The bytes are not such a message.
    """
    value = _deserialize(message)
    header = _header(value)
    stamp_ns = nanoseconds(int(header.stamp.sec), int(header.stamp.nanosec))
    fields: Fields = {name.removeprefix("img_"): each for name, each in vars(value).items()} | {
        "data": value.data.data,
        "timestamp": stamp_ns,
        "frame_id": header.frame_id,
    }
    return image_value(message, _KINDS[full_name(message.channel.type)], fields, split(message.data, value.data.data))


def resized(encoding: str, envelope: Envelope, data: bytes | memoryview) -> bytes:
    """A message with data of another length than it had."""
    head, tail, size = envelope
    order: Literal["little", "big"] = "big" if encoding == "cdr" and head[1:2] == b"\0" else "little"
    if encoding == "cdr":  # what follows is aligned to four bytes from the encapsulation header's end on
        tail = bytes(-(len(head) + len(data)) % 4) + tail[-(len(head) + size) % 4 :] if tail else b""
    return Envelope(head[:-4] + len(data).to_bytes(4, order), tail, len(data)).around(data)


def composed(channel: Channel, image: ImageValue) -> bytes:
    """The message that says what an image does, of a type that says nothing else.

    Raises:
        ImageError: There are others in it, or it can't be said.
    """
    name = full_name(channel.type)
    if name not in _KINDS or name.startswith("ffmpeg"):
        raise ImageError(f"a message of {channel.type!r} can't be made of what a record says alone")
    sec, nanosec = divmod(image.stamp_ns or 0, 1_000_000_000)
    stamp = SimpleNamespace(sec=sec, nanosec=nanosec)
    body = SimpleNamespace(
        header=SimpleNamespace(seq=0, stamp=stamp, frame_id=image.frame_id),
        timestamp=stamp,
        frame_id=image.frame_id,
        height=image.height,
        width=image.width,
        encoding=image.encoding,
        format=image.encoding,
        is_bigendian=int(image.is_bigendian),
        step=image.step,
        data=np.frombuffer(image.data, np.uint8),
    )
    try:
        if channel.encoding == "ros1":
            return bytes(_store("ros1").serialize_ros1(body, name))
        return bytes(_store("cdr").serialize_cdr(body, name))
    except Exception as error:  # struct.error of a stamp before 1970 …: rosbags checks nothing
        raise ImageError(f"a message of {channel.type!r} can't say it: {error}") from error


def declared(channel: Channel) -> tuple[bytes, str, str]:
    """A channel's definition and its hashes in ROS 1 and ROS 2, by its type's name alone; empty of unknown types."""
    store, version = _store(channel.encoding), 1 if channel.encoding == "ros1" else 2
    try:
        definition, md5sum = store.generate_msgdef(full_name(channel.type), ros_version=version)
        return definition.encode(), md5sum, store.hash_rihs01(full_name(channel.type))
    except Exception:  # TypesysError, KeyError: a type that no store has
        return b"", "*", ""


def _header(value: Any) -> Any:
    """A message's header, or one made of the fields that Foxglove's types have instead."""
    if hasattr(value, "header"):
        return value.header
    return SimpleNamespace(seq=0, stamp=value.timestamp, frame_id=value.frame_id)


@cache
def record_type(encoding: str, kind: RecordKind) -> RecordType:
    """The type that a container must declare for records."""
    store = _store(encoding)
    name = _IMAGE_REF if kind == "typed" else _STRING
    version: Literal[1, 2] = 1 if encoding == "ros1" else 2
    definition, md5sum = store.generate_msgdef(name, ros_version=version)
    shown = name.replace("/msg/", "/") if encoding == "ros1" else name
    return RecordType(shown, encoding, f"ros{version}msg", definition.encode(), md5sum, store.hash_rihs01(name))


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
                header=_header_of(message),
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


def _header_of(message: Message) -> Any:
    try:
        return _header(_deserialize(message))
    except ImageError:  # an embedded record of a broken message carries the whole message, its header included
        return SimpleNamespace(seq=0, stamp=SimpleNamespace(sec=0, nanosec=0), frame_id="")


def record(message: Message) -> Record | None:
    """The record in a message of type ImageRef, or in a String of JSON; None where there is none."""
    name = full_name(message.channel.type)
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
