"""Writing small logs in every ROS container, through the libraries that others use: for samples and tests."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from mediaref_tools.errors import LogError, OutputError

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = ["Container", "SampleMessage", "header", "write_log"]

Container = Literal["rosbag1", "rosbag2-sqlite3", "rosbag2-mcap", "mcap"]
"""What `write_log` can write; "mcap" is a file of the ros2 profile."""


class SampleMessage(NamedTuple):
    """A message to be written.

    Attributes:
        topic, type: The type in full: "sensor_msgs/msg/Image", for ROS 1 too.
        log_time_ns: When it was received.
        body: The message, any object with its type's fields (`header` makes the first one); or bytes, which are
            written as they are.
        publish_time_ns: When it was sent, where the container can tell (plain MCAP); None is `log_time_ns`.
        latched: Whether its publisher latches: latching in ROS 1, transient local durability in ROS 2.
    """

    topic: str
    type: str
    log_time_ns: int
    body: Any
    publish_time_ns: int | None = None
    latched: bool = False


def header(stamp_ns: int, frame_id: str, seq: int = 0) -> SimpleNamespace:
    """A std_msgs/Header; `seq` is written in ROS 1 alone."""
    sec, nanosec = divmod(max(0, stamp_ns), 1_000_000_000)
    return SimpleNamespace(seq=seq, stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def write_log(
    path: str | Path, container: Container, messages: Iterable[SampleMessage], *, in_order: bool = True
) -> Path:
    """Write messages to a new log, with their definitions and QoS, through the container's usual library.

    Args:
        path: Must not exist: a file, or a folder where the container is a rosbag2.
        container: Which kind of log.
        messages: Of any topics; one channel is made for each (topic, type, latched).
        in_order: Write them by log time, as a recorder does; False writes them in the order given, one by one, so
            that a generator makes a log larger than memory.

    Returns:
        `path`.

    Raises:
        OutputError: Something is at `path`.
        LogError: The container is unknown, or a message's type is.
    """
    path = Path(path)
    if container not in get_args(Container):
        raise LogError(f"unknown container {container!r}: expected one of {', '.join(get_args(Container))}: {path}")
    if path.exists():
        raise OutputError(f"something is there already, choose another name or remove it: {path}")
    if in_order:
        messages = sorted(messages, key=lambda message: message.log_time_ns)
    path.parent.mkdir(parents=True, exist_ok=True)
    if container == "rosbag1":
        _write_rosbag1(path, messages)
    elif container == "mcap":
        _write_mcap(path, messages)
    else:
        _write_rosbag2(path, messages, container)
    return path


@cache
def _store(ros1: bool) -> Typestore:
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    folder = files("mediaref_tools.schemas") / "msg"
    for name in ("MediaRef", "ImageRef"):
        store.register(get_types_from_msg((folder / f"{name}.msg").read_text("utf-8"), f"mediaref_msgs/msg/{name}"))
    if ros1:  # rosbags' store of Noetic leaves tf2_msgs out
        store.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf2_msgs/msg/TFMessage"))
    return store


def _store_of(message: SampleMessage, ros1: bool) -> Typestore:
    store = _store(ros1)
    if message.type not in store.fielddefs:
        raise LogError(f"unknown message type {message.type!r}: expected one of ROS, as in 'std_msgs/msg/String'")
    return store


def _bytes(message: SampleMessage, ros1: bool) -> bytes:
    if isinstance(message.body, (bytes, bytearray, memoryview)):
        return bytes(message.body)
    store = _store(ros1)
    serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
    return bytes(serialize(message.body, message.type))


def _write_rosbag1(path: Path, messages: Iterable[SampleMessage]) -> None:
    from rosbags.rosbag1 import Writer

    connections: dict[tuple[str, str, bool], Any] = {}
    with Writer(path) as writer:
        for message in messages:
            key = (message.topic, message.type, message.latched)
            if key not in connections:
                connections[key] = writer.add_connection(
                    message.topic,
                    message.type,
                    typestore=_store_of(message, True),
                    callerid="/sample",
                    latching=int(message.latched),
                )
            writer.write(connections[key], message.log_time_ns, _bytes(message, True))


def _write_rosbag2(path: Path, messages: Iterable[SampleMessage], container: Container) -> None:
    from rosbags.rosbag2 import StoragePlugin, Writer

    plugin = StoragePlugin.MCAP if container == "rosbag2-mcap" else StoragePlugin.SQLITE3
    connections: dict[tuple[str, str, bool], Any] = {}
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for message in messages:
            key = (message.topic, message.type, message.latched)
            if key not in connections:
                connections[key] = writer.add_connection(
                    message.topic,
                    message.type,
                    typestore=_store_of(message, False),
                    offered_qos_profiles=[_qos(message.latched)],
                )
            writer.write(connections[key], message.log_time_ns, _bytes(message, False))


def _qos(latched: bool) -> Any:
    from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime

    forever = QosTime(9223372036, 854775807)
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=forever,
        lifespan=forever,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=forever,
        avoid_ros_namespace_conventions=False,
    )


def _write_mcap(path: Path, messages: Iterable[SampleMessage]) -> None:
    from mcap.writer import Writer
    from rosbags.rosbag2.metadata import dump_qos_v8

    schemas: dict[str, int] = {}
    channels: dict[tuple[str, str, bool], int] = {}
    counts: dict[int, int] = {}
    with path.open("xb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2", library="mediaref-tools")
        for message in messages:
            key = (message.topic, message.type, message.latched)
            if message.type not in schemas:
                text, _ = _store_of(message, False).generate_msgdef(message.type, ros_version=2)
                schemas[message.type] = writer.register_schema(message.type, "ros2msg", text.encode())
            if key not in channels:
                channels[key] = writer.register_channel(
                    topic=message.topic,
                    message_encoding="cdr",
                    schema_id=schemas[message.type],
                    metadata={"offered_qos_profiles": dump_qos_v8([_qos(message.latched)])},
                )
            channel = channels[key]
            counts[channel] = counts.get(channel, 0) + 1
            publish_time_ns = message.log_time_ns if message.publish_time_ns is None else message.publish_time_ns
            writer.add_message(channel, message.log_time_ns, _bytes(message, False), publish_time_ns, counts[channel])
        writer.finish()
