"""Image messages in FlatBuffers, read with the log's own binary schema (`.bfbs`).

The layout of the bytes is that of https://flatbuffers.dev/internals, a schema's that of its `reflection.fbs`. The
runtime follows offsets wherever they lead, so what is read is bounded here: no field is visited twice, and none is
read that does not lie within the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from flatbuffers import Builder, encode, number_types, packer
from flatbuffers.table import Table

from mediaref_tools.errors import ImageError
from mediaref_tools.log import Channel, Message

from .envelope import Envelope, split
from .imagefields import Fields, broken, nanoseconds

__all__ = ["fields", "resized"]

_DEFINITION_MAX = 1 << 20
_NAME_MAX = 64
_UBYTE, _UINT, _STRING, _VECTOR, _OBJECT = 4, 8, 13, 14, 15  # reflection.BaseType
_TYPES = {
    "timestamp": (_OBJECT, 0),
    "frame_id": (_STRING, 0),
    "format": (_STRING, 0),
    "encoding": (_STRING, 0),
    "width": (_UINT, 0),
    "height": (_UINT, 0),
    "step": (_UINT, 0),
    "data": (_VECTOR, _UBYTE),
}
"""Base types of the fields, and of the elements of a vector."""


def fields(message: Message) -> tuple[Fields, Envelope | None]:
    """A message's fields, and all else of it.

    `data` is a view, b"" where the message has none, as its writers leave out what is empty.

    Raises:
        ImageError: The schema or the message is broken.
    """
    slots = _slots(message.channel.type, message.channel.definition)
    if isinstance(slots, str):
        raise broken(message, slots)
    try:
        table = _root(memoryview(message.data))
        found = {"data": b""} | {
            name: _value(table, name, at) for name, slot in slots.items() if (at := _at(table, slot))
        }
        return found, split(message.data, memoryview(found["data"]))
    except Exception as error:  # struct.error, TypeError …: whatever offsets of hostile bytes make of the library
        raise broken(message, error) from error


def resized(channel: Channel, envelope: Envelope, data: bytes | memoryview) -> bytes:
    """A message with data of another length than it had: written anew, with the fields that are known.

    Raises:
        ImageError: The schema or the envelope is broken.
    """
    slots = _slots(channel.type, channel.definition)
    if isinstance(slots, str):
        raise ImageError(slots)
    known, _ = fields(Message(channel, 0, None, None, envelope.around(bytes(envelope.size))))
    builder = Builder(len(data) + 1024)
    vectors = {"data": builder.CreateByteVector(bytes(data))}
    vectors |= {name: builder.CreateString(known[name]) for name in ("frame_id", "format", "encoding") if name in known}
    builder.StartObject(max(slots.values()) + 1)
    for name, slot in slots.items():
        if name in vectors:
            builder.PrependUOffsetTRelativeSlot(slot, vectors[name], 0)
        elif name == "timestamp" and name in known:
            seconds, nanos = divmod(known[name], 1_000_000_000)
            builder.Prep(4, 8)
            builder.PrependUint32(nanos)
            builder.PrependUint32(seconds)
            builder.PrependStructSlot(slot, builder.Offset(), 0)
        elif name in known:
            builder.PrependUint32Slot(slot, known[name], 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def _value(table: Table, name: str, at: int) -> Any:
    """The value of the field at an offset from the table's place."""
    kind, _ = _TYPES[name]
    if kind == _VECTOR:
        return _vector(table, at)
    if kind == _STRING:
        return str(_vector(table, at), "utf-8")
    place = table.Pos + at
    if kind == _OBJECT:
        return nanoseconds(*(int(table.Get(number_types.Uint32Flags, each)) for each in (place, place + 4)))
    return int(table.Get(number_types.Uint32Flags, place))


@lru_cache(maxsize=64)
def _slots(name: str, definition: bytes) -> Mapping[str, int] | str:
    """Where a type's table has its fields, by name; or a text that says why nobody knows, which is kept as well."""
    if len(definition) > _DEFINITION_MAX:
        return f"its schema has {len(definition)} bytes, expected at most {_DEFINITION_MAX}"
    try:
        found: dict[str, int] = {}
        for declared in _tables(_root(memoryview(definition)), 0):
            if _name(declared) == name:
                for field in _tables(declared, 1):
                    known = _name(field)
                    if known in _TYPES and known not in found:
                        _check_type(field, known)
                        found[known] = _number(field, 2, number_types.Uint16Flags)
                break
        return found if "data" in found else "its schema has no such table with a field 'data'"
    except Exception as error:  # as above
        return f"its schema is no FlatBuffers schema: {str(error) or type(error).__name__}"


def _check_type(field: Table, name: str) -> None:
    described = field.Pos + _at(field, 1)
    kind = Table(field.Bytes, field.Indirect(described))
    found = (_number(kind, 0, number_types.Int8Flags), _number(kind, 1, number_types.Int8Flags))
    wanted = _TYPES[name]
    if found[0] != wanted[0] or (wanted[0] == _VECTOR and found[1] != wanted[1]):
        raise ImageError(f"its field {name!r} has the base types {found}, expected {wanted}")


def _root(data: memoryview) -> Table:
    return Table(data, encode.Get(packer.uoffset, data, 0))


def _at(table: Table, slot: int) -> int:
    """The offset of a field from its table's place; 0 where the table has none."""
    return int(table.Offset(4 + 2 * slot))


def _number(table: Table, slot: int, flags: Any) -> int:
    at = _at(table, slot)
    return int(table.Get(flags, table.Pos + at)) if at else 0


def _vector(table: Table, at: int) -> memoryview:
    """The bytes of a string or of a vector of bytes: the runtime itself would cut one that is longer than the rest."""
    start, length = int(table.Vector(at)), int(table.VectorLen(at))
    if start + length > len(table.Bytes):
        raise ImageError(f"{length} bytes are said to be at byte {start} of {len(table.Bytes)}")
    view: memoryview = table.Bytes[start : start + length]
    return view


def _tables(table: Table, slot: int) -> Iterator[Table]:
    """The tables in a vector of them, which lies in the buffer: so they are no more than a quarter of its bytes."""
    at = _at(table, slot)
    if at:
        start, length = int(table.Vector(at)), int(table.VectorLen(at))
        if start + 4 * length > len(table.Bytes):
            raise ImageError(f"{length} tables are said to be at byte {start} of {len(table.Bytes)}")
        for place in range(start, start + 4 * length, 4):
            yield Table(table.Bytes, table.Indirect(place))


def _name(table: Table) -> str:
    """The name of a table or field; "" for one that is longer than any that matters, which may stand there often."""
    at = _at(table, 0)
    return str(_vector(table, at), "utf-8") if at and table.VectorLen(at) <= _NAME_MAX else ""
