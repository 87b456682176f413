"""Image messages and records in JSON."""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.resources import files
from typing import Any

from mediaref_tools.errors import ImageError
from mediaref_tools.log import Message, Record, RecordKind
from mediaref_tools.recordjson import json_record, record_json

from .imagefields import PLAIN, Fields, broken, nanoseconds
from .recordtype import RecordType

__all__ = ["fields", "holds_records", "record", "record_bytes", "record_type"]

_TYPED, _STRING = "mediaref.Record", "mediaref.MediaRef"


def fields(message: Message) -> Fields:
    """A message's fields: `data` is base64, `timestamp` an object of `sec` and `nsec`.

    Raises:
        ImageError: The message is no such JSON.
    """
    try:
        value = json.loads(bytes(message.data))
        if not isinstance(value, dict):
            raise ImageError(f"it is of type {type(value).__name__}: expected an object")
        plain = {name: value.get(name) for name in PLAIN}
        return plain | {"data": _bytes(value.get("data")), "timestamp": _stamp_ns(value.get("timestamp"))}
    except (ValueError, RecursionError) as error:  # an ImageError is a ValueError
        raise broken(message, error) from error


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        raise ImageError(f"its data is of type {type(value).__name__}: expected base64")
    return base64.b64decode(value, validate=True)


def _stamp_ns(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ImageError(f"its timestamp is of type {type(value).__name__}: expected an object of sec and nsec")
    return nanoseconds(value.get("sec", 0), value.get("nsec", 0))


def holds_records(type_name: str, definition: bytes) -> bool:
    """Whether a schema is one of references: ours, or any with a member `media_ref`, such as OWAMcap's."""
    return type_name in (_TYPED, _STRING) or b'"media_ref"' in definition


@cache
def record_type(kind: RecordKind) -> RecordType:
    """The type that a container must declare for records, with the published schema."""
    name, file = (_TYPED, "record.schema.json") if kind == "typed" else (_STRING, "mediaref.schema.json")
    definition = (files("mediaref_tools.schemas") / file).read_text("utf-8")
    return RecordType(name, "json", "jsonschema", definition)


def record_bytes(record: Record, kind: RecordKind) -> bytes:
    """A record as JSON: the whole of it, or its reference alone."""
    return (record_json(record) if kind == "typed" else record.ref.to_json()).encode()


def record(message: Message) -> Record | None:
    """The record that a message is, or None."""
    return json_record(message.data)
