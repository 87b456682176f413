from __future__ import annotations

from importlib.resources import files
from typing import get_args, get_type_hints

import pytest

from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.published import published


@pytest.mark.parametrize("name", sorted(published()))
def test_published_contract_is_what_the_models_say(name: str) -> None:
    text = (files("mediaref_tools.schemas") / name).read_text(encoding="utf-8")
    assert text == published()[name], "run `make schemas` and read the difference: others rely on these files"


def test_nothing_else_is_published() -> None:
    names = [entry.name for entry in files("mediaref_tools.schemas").iterdir()]
    found = {name for name in names if name.endswith((".json", ".txt"))}
    assert found == set(published())


FIELDS = {"int64": int, "string": str, "uint32": int, "uint8": bool}


@pytest.mark.parametrize(("name", "like"), [("MediaRef", MediaRef), ("ImageRef", Record)])
def test_ros_definitions_have_the_fields_of_the_values(name: str, like: type) -> None:
    """`header` is the image's own, and holds what a Record calls stamp and frame."""
    text = (files("mediaref_tools.schemas") / "msg" / f"{name}.msg").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    found = {field: kind for kind, field in lines}
    hints = get_type_hints(like)
    values = {field: hints[field] for field in hints if field in getattr(like, "model_fields", hints)}
    if name == "ImageRef":
        assert found.pop("header") == "std_msgs/Header"
        assert found.pop("media_ref") == "MediaRef"
        assert values.pop("ref") is MediaRef
        assert values.pop("stamp_ns") == int | None
        assert values.pop("frame_id") is str
    assert list(found) == list(values)
    for field, kind in found.items():
        assert FIELDS[kind] in (values[field], *get_args(values[field])), field


def test_arrow_form_is_the_specifications() -> None:
    text = (files("mediaref_tools.schemas") / "mediaref.arrow.txt").read_text(encoding="utf-8")
    assert text == "struct<uri: string, pts_ns: int64>\n"
