"""ROS messages from one generation's bytes to the other's: the same fields, laid out anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Literal

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from mediaref_tools.errors import LogError
from mediaref_tools.log import Channel, Message

from ..rosbag2.zstd import inflated_message
from .rosmsg import ROS, full_name

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

__all__ = ["Transcoder"]

_HEADER: Final = "std_msgs/msg/Header"
_RENAMED: Final = {"tf/msg/tfMessage": "tf2_msgs/msg/TFMessage"}
_SHOWN = 5


class Transcoder:
    """Turns messages of some channels into one generation's bytes, and knows their types there."""

    def __init__(self, channels: Iterable[Channel], wanted: Literal["ros1", "cdr"]) -> None:
        """Look at all channels.

        Raises:
            LogError: Some have types, or encodings, that have no equal there.
        """
        self._wanted = wanted
        self._store = get_typestore(Stores.ROS2_HUMBLE if wanted == "cdr" else Stores.ROS1_NOETIC)
        self._sources: dict[int, Typestore] = {}
        clashes: list[str] = []
        for channel in channels:
            try:
                self._sources[channel.id] = self._learn(channel)
            except LogError as error:
                clashes.append(str(error))
        if clashes:
            more = f"; and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
            raise LogError(f"{'; '.join(clashes[:_SHOWN])}{more}: such topics can't go into that container")

    def _learn(self, channel: Channel) -> Typestore:
        if channel.encoding not in ROS:
            raise LogError(f"{channel.topic} is {channel.encoding or 'of no known encoding'}, which is none of ROS")
        name = full_name(channel.type)
        found = _types(channel, name)
        source = get_typestore(Stores.EMPTY)
        source.register(found)
        new = {kind: fields for kind, fields in found.items() if kind not in self._store.fielddefs}
        for kind in found.keys() - new.keys():
            if not _alike(source, self._store, kind):
                where = "ROS 2" if self._wanted == "cdr" else "ROS 1"
                raise LogError(f"{channel.topic} is of {name}, and {kind} has other fields in {where}")
        renamed = _RENAMED.get(name) if self._wanted == "cdr" else None
        if renamed is not None and not _alike(source, self._store, name, renamed):
            raise LogError(f"{channel.topic} is of {name}, and {renamed} has other fields")
        self._store.register(new)
        return source

    def type_of(self, channel: Channel) -> str:
        """The name of a channel's type there, in full."""
        name = full_name(channel.type)
        return _RENAMED.get(name, name) if self._wanted == "cdr" else name

    @property
    def store(self) -> Typestore:
        """All types, as that generation has them."""
        return self._store

    def data(self, message: Message) -> bytes | memoryview:
        """A message's bytes there.

        Raises:
            LogError: They can't be made of these.
        """
        plain, channel = inflated_message(message), message.channel
        if channel.encoding == self._wanted:
            return plain.data
        name, whole = self.type_of(channel), memoryview(plain.data)
        try:
            if self._wanted == "cdr":
                return bytes(self._store.ros1_to_cdr(whole, name))
            source = self._sources[channel.id]  # whose header has no count
            if bytes(whole[1:2]) == b"\0":  # big-endian, which rosbags turns around only by taking it apart
                body: Any = source.deserialize_cdr(whole, name)
                whole = source.serialize_cdr(body, name)
            return bytes(source.cdr_to_ros1(whole, name))
        except Exception as error:  # rosbags raises SerdeError, AssertionError, IndexError … on bad bytes
            raise LogError(f"its bytes are not a {name} (log time {message.log_time_ns}): {error}") from error


def _types(channel: Channel, name: str) -> dict[str, Any]:
    """A type and all within it: by its own definition, or by name where it has none."""
    text = channel.definition.decode("utf-8", "replace")
    known = get_typestore(Stores.ROS1_NOETIC if channel.encoding == "ros1" else Stores.ROS2_HUMBLE)
    found: dict[str, Any] = {}
    try:
        if text.strip():
            is_idl = channel.attributes.get("definition_encoding", channel.attributes.get("mcap:schema_encoding"))
            found = get_types_from_idl(text) if is_idl in ("idl", "ros2idl") else get_types_from_msg(text, name)
    except Exception as error:  # TypesysError, and whatever else rosbags' parser makes of odd text
        raise LogError(f"{channel.topic} is of {name}, whose definition can't be read: {error}") from error
    waiting = [name, *_within(found)]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            if kind not in known.fielddefs:
                raise LogError(f"{channel.topic} is of {name}, and the log has no definition of {kind}")
            found[kind] = known.fielddefs[kind]
            waiting += _within({kind: found[kind]})
    return found


def _within(types: dict[str, Any]) -> list[str]:
    fields = [desc for _, members in types.values() for _, desc in members]
    inner = [desc[1][0] if desc[0] in (Nodetype.SEQUENCE, Nodetype.ARRAY) else desc for desc in fields]
    return [desc[1] for desc in inner if desc[0] == Nodetype.NAME]


def _alike(one: Typestore, other: Typestore, name: str, theirs: str = "") -> bool:
    """Whether a type's values lie alike in both: names of fields may differ, and a ROS 1 header has a count more."""
    if name == _HEADER:
        return True
    mine, others = one.fielddefs[name][1], other.fielddefs[theirs or name][1]
    return len(mine) == len(others) and all(
        left == right and all(_alike(one, other, kind) for kind in _within({"": ([], [("", left)])}))
        for (_, left), (_, right) in zip(mine, others, strict=True)
    )
