"""Image messages in protobuf, read with the log's own schema: a serialised `google.protobuf.FileDescriptorSet`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mediaref_tools.errors import ImageError
from mediaref_tools.log import Message

from .envelope import Envelope
from .imagefields import PLAIN, Fields, broken, nanoseconds

__all__ = ["fields", "resized"]

_DEFINITION_MAX = 16 << 20


def fields(message: Message) -> tuple[Fields, Envelope | None]:
    """A message's fields, those that its schema does not have are absent; and all else of it.

    Raises:
        ImageError: The schema or the message is broken.
    """
    found = _message_class(message.channel.type, message.channel.definition)
    if isinstance(found, str):
        raise broken(message, found)
    try:
        value = found.FromString(message.data)
        known = found.DESCRIPTOR.fields_by_name
        taken: dict[str, Any] = {name: getattr(value, name) for name in ("data", *PLAIN) if name in known}
        if "timestamp" in known and value.HasField("timestamp"):
            taken["timestamp"] = nanoseconds(value.timestamp.seconds, value.timestamp.nanos)
        number = known["data"].number if "data" in known else 0
        envelope = _envelope(message.data, number, taken.get("data"))
    except ImageError as error:
        raise broken(message, error) from error
    except Exception as error:  # DecodeError; and AttributeError, ValueError … where the schema is an odd one
        raise broken(message, error) from error
    return taken, envelope


def _envelope(message: bytes | memoryview, number: int, data: Any) -> Envelope | None:
    """What is around the last field of that number, which is the one that counts."""
    at, found = 0, None
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 2:
            length, at = _varint(message, at)
            if tag >> 3 == number:
                found = at, at + length
            at += length
        elif kind == 0:
            _, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            return None  # groups, which nobody writes any more
    start, stop = found or (len(message), len(message))
    if message[start:stop] != data:
        return None
    return Envelope(bytes(message[:start]), bytes(message[stop:]), stop - start)


def _varint(message: bytes | memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def resized(envelope: Envelope, data: bytes | memoryview) -> bytes:
    """A message with data of another length than it had.

    Raises:
        ImageError: It spells the length in an odd way.
    """
    spelled = _spelled(envelope.size)
    if not envelope.head.endswith(spelled):
        raise ImageError("the message spells the length of its data in more bytes than it takes")
    head = envelope.head.removesuffix(spelled) + _spelled(len(data))
    return Envelope(head, envelope.tail, len(data)).around(data)


def _spelled(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


@lru_cache(maxsize=64)
def _message_class(name: str, definition: bytes) -> Any:
    """The class of a type, made in a pool of its own; or a text that says why there is none, which is kept as well."""
    if len(definition) > _DEFINITION_MAX:
        return f"its schema has {len(definition)} bytes, expected at most {_DEFINITION_MAX}"
    try:
        pool = descriptor_pool.DescriptorPool()
        waiting = list(descriptor_pb2.FileDescriptorSet.FromString(definition).file)
        done: set[str] = set()
        while waiting:  # files come in any order, and a pool takes none before those that it imports
            ready = [file for file in waiting if done.issuperset(file.dependency)]
            if not ready:
                return f"its schema lacks a file that {waiting[0].name!r:.100} imports"
            for file in ready:
                pool.Add(file)
            done.update(file.name for file in ready)
            waiting = [file for file in waiting if file.name not in done]
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except Exception as error:  # DecodeError, TypeError, KeyError …: whatever a hostile schema makes of the library
        return f"its schema is no protobuf schema of that type: {str(error) or type(error).__name__}"
