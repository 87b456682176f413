"""Image messages of every kind and serialisation, made with the libraries that others write them with."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import flatbuffers
import numpy as np
from foxglove_schemas_flatbuffer.Time import CreateTime
from mcap.writer import Writer
from mcap_protobuf.schema import build_file_descriptor_set
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Rosbag2Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from mediaref_tools.image import ImageKind

from .samples import START_NS, STEP_NS, header, jpeg

FRAME = "cam é"
SECONDS, FRACTION = divmod(START_NS, 10**9)
PACKET = b"\0\0\0\1\x67\x42\0\0\0\1\x65" + bytes(range(40))
BYTES: dict[str, bytes] = {"RawImage": bytes(range(24)), "CompressedImage": jpeg(0), "CompressedVideo": PACKET}
KINDS: dict[str, ImageKind] = {"RawImage": "raw", "CompressedImage": "file", "CompressedVideo": "packet"}
ENCODINGS = {"RawImage": "bgr8", "CompressedImage": "jpeg", "CompressedVideo": "h264"}
SHAPE = {"width": 3, "height": 2, "step": 12}

MESSAGES = {
    "foxglove_msgs/msg/RawImage": "# of pixels\ntime timestamp\nstring frame_id # the camera's\nuint32 width\n"
    "uint32 height\nstring encoding\nuint32 step\n\nuint8[] data\n",
    "foxglove_msgs/msg/CompressedImage": "time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    "foxglove_msgs/msg/CompressedVideo": "time timestamp\nstring frame_id\nuint8[] data\nstring format\n",
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": "std_msgs/Header header\nint32 width\nint32 height\n"
    "string encoding\nuint64 pts # counts\nuint8 flags\nbool is_bigendian\nuint8[] data\n",
    "old/msg/FFMPEGPacket": "Header header\nint32 img_width\nint32 img_height\nstring encoding\nuint64 pts\n"
    "uint8 flags\nuint8[] data\n",
    "theora_image_transport/msg/Packet": "Header header\nuint8[] data\nint32 b_o_s\nint32 e_o_s\nint64 granulepos\n"
    "int64 packetno\n",
}
"""The definitions of types that rosbags does not bring; the old FFMPEGPacket under a name of its own."""


class Channel(NamedTuple):
    """A channel to write, and the payload of its message of a number."""

    topic: str
    type: str
    encoding: str
    schema_encoding: str
    definition: bytes
    payload: Callable[[int], bytes]


def foxglove(base: str, encoding: str) -> Channel:
    """Foxglove's type of that name, serialised as protobuf, JSON or FlatBuffers."""
    name, topic = f"foxglove.{base}", f"/{encoding}/{base}"
    if encoding == "protobuf":
        definition = build_file_descriptor_set(_protobuf_class(base)).SerializeToString()
        return Channel(topic, name, encoding, "protobuf", definition, lambda i: protobuf(base, i))
    if encoding == "json":
        definition = json.dumps({"title": name, "type": "object"}).encode()
        return Channel(topic, name, encoding, "jsonschema", definition, lambda i: json.dumps(plain(base, i)).encode())
    definition = (files("foxglove_schemas_flatbuffer") / f"{base}.bfbs").read_bytes()
    return Channel(topic, name, encoding, "flatbuffer", definition, lambda i: flatbuffer(base, i))


def plain(base: str, index: int) -> dict[str, Any]:
    """The JSON object."""
    value: dict[str, Any] = {
        "timestamp": {"sec": SECONDS, "nsec": FRACTION + index},
        "frame_id": FRAME,
        "data": base64.b64encode(BYTES[base]).decode(),
    }
    return value | (SHAPE | {"encoding": "bgr8"} if base == "RawImage" else {"format": ENCODINGS[base]})


def _protobuf_class(base: str) -> Any:
    return getattr(import_module(f"foxglove_schemas_protobuf.{base}_pb2"), base)


def protobuf(base: str, index: int) -> bytes:
    """The protobuf message."""
    value = _protobuf_class(base)(frame_id=FRAME, data=BYTES[base])
    value.timestamp.FromNanoseconds(START_NS + index)
    for name, content in plain(base, index).items():
        if name not in ("timestamp", "data"):
            setattr(value, name, content)
    return bytes(value.SerializeToString())


def flatbuffer(base: str, index: int, *, time: bool = True) -> bytes:
    """The FlatBuffers message."""
    module = import_module(f"foxglove_schemas_flatbuffer.{base}")
    builder = flatbuffers.Builder(0)
    frame, text = builder.CreateString(FRAME), builder.CreateString(ENCODINGS[base])
    data = builder.CreateByteVector(BYTES[base])
    module.Start(builder)
    module.AddFrameId(builder, frame)
    module.AddData(builder, data)
    if base == "RawImage":
        module.AddEncoding(builder, text)
        for name in SHAPE:
            getattr(module, f"Add{name.title()}")(builder, SHAPE[name])
    else:
        module.AddFormat(builder, text)
    if time:
        module.AddTimestamp(builder, CreateTime(builder, SECONDS, FRACTION + index))
    builder.Finish(module.End(builder))
    return bytes(builder.Output())


@cache
def store(encoding: str) -> Any:
    """A typestore of a ROS version with all message types."""
    found = get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.ROS2_HUMBLE)
    for name, text in MESSAGES.items():
        found.register(get_types_from_msg(text, name))
    return found


def ros_value(name: str, encoding: str, index: int) -> Any:
    """A message of one of the types above, or of a sensor_msgs/msg/CompressedImage that holds H.264."""
    types = store(encoding).types
    base = name.rpartition("/")[2]
    stamp = types["builtin_interfaces/msg/Time"](SECONDS, FRACTION + index)
    if name.startswith("foxglove_msgs"):
        data = np.frombuffer(BYTES[base], np.uint8)
        if base == "RawImage":
            return types[name](stamp, FRAME, 3, 2, "bgr8", 12, data)
        return types[name](stamp, FRAME, data, ENCODINGS[base])
    head, data = header(1 if encoding == "ros1" else 2, index), np.frombuffer(PACKET, np.uint8)
    if base == "CompressedImage":
        return types[name](head, "h264", data)
    if base == "Packet":
        return types[name](head, data, 1, 0, 0, index)
    flags = (1, True) if name.startswith("ffmpeg") else (1,)
    return types[name](head, 640, 480, "hevc_nvenc;yuv420p;bgr8;bgr8", 2**40 + index, *flags, data)


def ros(name: str, encoding: str, *, definition: bytes | None = None, base: int = 0) -> Channel:
    """A channel of one of the types above in ROS 1 bytes or CDR, in MCAP.

    Args:
        name: The type; "old/msg/FFMPEGPacket" is written as what it is.
        encoding: "ros1" or "cdr".
        definition: Another than the type's own, b"" for none.
        base: Added to the number of each message.
    """
    known = store(encoding)
    shown = name.replace("old/", "ffmpeg_image_transport_msgs/")
    text = known.generate_msgdef(name, ros_version=1 if encoding == "ros1" else 2)[0].encode()
    serialize = known.serialize_ros1 if encoding == "ros1" else known.serialize_cdr
    return Channel(
        f"/{encoding}/{name}",
        shown.replace("/msg/", "/") if encoding == "ros1" else shown,
        encoding,
        "ros1msg" if encoding == "ros1" else "ros2msg",
        text if definition is None else definition,
        lambda i: bytes(serialize(ros_value(name, encoding, base + i), name)),
    )


def write_mcap(path: Path, channels: Sequence[Channel], *, messages: int = 3, profile: str = "") -> Path:
    """An MCAP file of some messages on each channel, and of a channel of something else."""
    other = Channel("/odd", "pkg/Odd", "cdr", "ros2msg", b"int32 x\n", lambda i: b"\0\1\0\0" + bytes([i, 0, 0, 0]))
    with path.open("xb") as file:
        writer = Writer(file, chunk_size=400)
        writer.start(profile, "a test")
        ids = []
        for each in (*channels, other):
            schema = writer.register_schema(each.type, each.schema_encoding, each.definition)
            ids.append(writer.register_channel(each.topic, each.encoding, schema, {"of": each.topic}))
        for index in range(messages):
            for number, each in zip(ids, (*channels, other), strict=True):
                time_ns = START_NS + index * STEP_NS
                writer.add_message(number, time_ns, each.payload(index), time_ns - 7, sequence=100 + index)
        writer.add_attachment(START_NS, START_NS, "notes.txt", "text/plain", b"kept")
        writer.finish()
    return path


def write_bag(path: Path, container: str, names: Sequence[str], *, messages: int = 3) -> Path:
    """A log of ROS messages in one of ROS's own containers, by rosbags."""
    encoding = "ros1" if container == "rosbag1" else "cdr"
    known = store(encoding)
    writer: Any
    if container == "rosbag1":
        writer, serialize = Rosbag1Writer(path), known.serialize_ros1
    else:
        plugin = StoragePlugin.MCAP if container == "rosbag2-mcap" else StoragePlugin.SQLITE3
        writer, serialize = Rosbag2Writer(path, version=9, storage_plugin=plugin), known.serialize_cdr
    with writer:
        connections = {name: writer.add_connection(f"/{name}", name, typestore=known) for name in names}
        for index in range(messages):
            for name in names:
                data = serialize(ros_value(name, encoding, index), name)
                writer.write(connections[name], START_NS + index * STEP_NS, data)
    return path
