"""Records that are JSON: ours, and those that others write."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef

__all__ = ["json_record", "record_json"]

_NESTED = "media_ref"
_KINDS: dict[str, type] = {
    "stamp_ns": int,
    "frame_id": str,
    "source_type": str,
    "source_encoding": str,
    "height": int,
    "width": int,
    "step": int,
    "is_bigendian": bool,
}


def json_record(data: bytes | bytearray | memoryview | str) -> Record | None:
    """The record in a text of JSON; None if there is none in it.

    Two forms are known: a MediaRef itself, `{"uri": …, "pts_ns": …}` and nothing else, as the specification has it; and
    an object with a MediaRef in its member `media_ref`, which is how `record_json` writes it, and how OWAMcap's screen
    captures have it. Members of the latter that a `Record` has (`stamp_ns`, `height` …) are taken over.
    """
    text = data if isinstance(data, str) else bytes(data)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    nested = value.get(_NESTED)
    try:
        if isinstance(nested, dict):
            return Record(MediaRef.model_validate(nested), **_known(value))
        return Record(MediaRef.model_validate(value))
    except ValidationError:
        return None


def record_json(record: Record) -> str:
    """A record as JSON, by the published schema `record.schema.json`."""
    nested = record.ref.model_dump(exclude_none=True)
    return json.dumps({_NESTED: nested} | {name: getattr(record, name) for name in _KINDS}, separators=(",", ":"))


def _known(value: dict[str, Any]) -> dict[str, Any]:
    """What else a record may tell, where it has the right type."""
    return {name: value[name] for name, kind in _KINDS.items() if type(value.get(name)) is kind}
