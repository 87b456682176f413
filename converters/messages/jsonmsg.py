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

from .envelope import Envelope
from .imagefields import PLAIN, Fields, broken, nanoseconds
from .recordtype import RecordType

__all__ = ["fields", "holds_records", "record", "record_bytes", "record_type", "resized"]

_TYPED, _STRING = "mediaref.Record", "mediaref.MediaRef"


def fields(message: Message) -> tuple[Fields, Envelope]:
    """A message's fields: `data` is base64, `timestamp` an object of `sec` and `nsec`; and all else of it.

    Where the data is spelled in a way that nobody would spell it again, as with escapes, the envelope is that of a
    message that says the same in the usual way.

    Raises:
        ImageError: The message is no such JSON.
    """
    try:
        text = bytes(message.data)
        value = json.loads(text)
        if not isinstance(value, dict):
            raise ImageError(f"it is of type {type(value).__name__}: expected an object")
        plain = {name: value.get(name) for name in PLAIN}
        data = _bytes(value.get("data"))
        found = plain | {"data": data, "timestamp": _stamp_ns(value.get("timestamp"))}
        return found, _envelope(text, value, data)
    except (ValueError, RecursionError) as error:  # an ImageError is a ValueError
        raise broken(message, error) from error


def _envelope(text: bytes, value: dict[str, Any], data: bytes) -> Envelope:
    spelled = b'"' + base64.b64encode(data) + b'"'
    start = text.find(spelled)
    if start < 0:
        text = json.dumps(value | {"data": base64.b64encode(data).decode()}).encode()
        start = text.find(spelled)
    return Envelope(text[: start + 1], text[start + len(spelled) - 1 :], len(data))


def resized(envelope: Envelope, data: bytes | memoryview) -> bytes:
    """A message with other data than it had, or the same."""
    return envelope.around(base64.b64encode(data))


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
    definition = (files("mediaref_tools.schemas") / file).read_bytes()
    return RecordType(name, "json", "jsonschema", definition)


def record_bytes(record: Record, kind: RecordKind) -> bytes:
    """A record as JSON: the whole of it, or its reference alone."""
    return (record_json(record) if kind == "typed" else record.ref.to_json()).encode()


def record(message: Message) -> Record | None:
    """The record that a message is, or None."""
    return json_record(message.data)
