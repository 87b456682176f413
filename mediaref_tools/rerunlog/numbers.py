"""Numbers beside the pictures: ROS messages that are a few floats each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import Channel, LogReader

__all__ = ["Number", "number_topics", "numbers"]

_PLAIN: Final = frozenset(
    f"std_msgs/msg/{name}"
    for name in ("Bool", "Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)))
)


class Number(NamedTuple):
    """One message: its topic, its log time, and its numbers by name; "" where there is but one."""

    topic: str
    log_time_ns: int
    values: list[tuple[str, float]]


def _imu(message: Any) -> list[tuple[str, float]]:
    return [
        (f"{part}/{axis}", float(getattr(getattr(message, part), axis)))
        for part in ("angular_velocity", "linear_acceleration")
        for axis in "xyz"
    ]


def _joints(message: Any) -> list[tuple[str, float]]:
    return [
        (f"{part}/{name}", float(value))
        for part in ("position", "velocity", "effort")
        for name, value in zip(message.name, getattr(message, part), strict=False)  # what is not known is left empty
    ]


def _plain(message: Any) -> list[tuple[str, float]]:
    return [("", float(message.data))]


_READ: Final[dict[str, Callable[[Any], list[tuple[str, float]]]]] = {
    "sensor_msgs/msg/Imu": _imu,
    "sensor_msgs/msg/JointState": _joints,
    **dict.fromkeys(sorted(_PLAIN), _plain),
}


def number_topics(log: LogReader) -> set[str]:
    """Topics of ROS messages `std_msgs` of one number, `sensor_msgs/Imu` and `JointState`."""
    return {channel.topic for channel in log.channels if _kind(channel) is not None}


def numbers(log: LogReader, topics: Collection[str], start_ns: int | None) -> Iterator[Number]:
    """The numbers of some topics' messages, in log-time order.

    Args:
        log: Open.
        topics: Of `number_topics`.
        start_ns: The first log time; None is the log's own.

    Raises:
        LogError: A message is not what its type says.
    """
    for message in log.messages(topics, start_ns=start_ns) if topics else ():
        kind = _kind(message.channel)
        if kind is None:
            continue
        try:
            values = _READ[kind](_deserializer(message.channel.encoding == "ros1")(bytes(message.data), kind))
        except Exception as error:  # whatever a deserialiser makes of damaged bytes
            raise LogError(
                f"message at {message.log_time_ns} ns on {message.channel.topic} is no {kind}: {error}"
            ) from error
        yield Number(message.channel.topic, message.log_time_ns, values)


def _kind(channel: Channel) -> str | None:
    """The type of a channel's messages, as ROS 2 spells it, where they are numbers."""
    name = _ros2_name(channel.type)
    return name if channel.encoding in ("ros1", "cdr") and name in _READ else None


@cache
def _deserializer(ros1: bool) -> Callable[[bytes, str], Any]:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    found: Callable[[bytes, str], Any] = store.deserialize_ros1 if ros1 else store.deserialize_cdr
    return found


def _ros2_name(name: str) -> str:
    package, _, rest = name.partition("/")
    return f"{package}/msg/{rest.removeprefix('msg/')}"
