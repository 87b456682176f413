"""Numbers beside the pictures: ROS messages that are a few floats each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, Final, NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import LogReader

__all__ = ["Number", "numbers"]

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


def numbers(log: LogReader, topics: Sequence[str], start_ns: int | None) -> Iterator[Number]:
    """The numbers of a log's ROS messages `std_msgs` (one number), `sensor_msgs/Imu` and `JointState`.

    Args:
        log: Open.
        topics: Globs.
        start_ns: The first log time.

    Raises:
        LogError: A message is not what its type says.
    """
    types = {
        channel.id: _ros2_name(channel.type)
        for channel in log.channels
        if channel.encoding in ("ros1", "cdr")
        and _ros2_name(channel.type) in _READ
        and any(fnmatchcase(channel.topic, glob) for glob in topics)
    }
    names = {channel.topic for channel in log.channels if channel.id in types}
    if not names:
        return
    for message in log.messages(names, start_ns=start_ns):
        kind = types.get(message.channel.id)
        if kind is None:
            continue
        try:
            values = _READ[kind](_deserializer(message.channel.encoding == "ros1")(bytes(message.data), kind))
        except Exception as error:  # whatever a deserialiser makes of damaged bytes
            raise LogError(
                f"message at {message.log_time_ns} ns on {message.channel.topic} is no {kind}: {error}"
            ) from error
        yield Number(message.channel.topic, message.log_time_ns, values)


@cache
def _deserializer(ros1: bool) -> Callable[[bytes, str], Any]:
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_HUMBLE)
    found: Callable[[bytes, str], Any] = store.deserialize_ros1 if ros1 else store.deserialize_cdr
    return found


def _ros2_name(name: str) -> str:
    package, _, rest = name.partition("/")
    return f"{package}/msg/{rest.removeprefix('msg/')}"
