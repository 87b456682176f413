from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import get_args, get_type_hints

import jsonschema
import pytest

import mediaref_tools as mrt
from mediaref_tools.commands.consoles import json_text
from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.published import published
from mediaref_tools.sample import make_sample


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


def test_written_reports_follow_their_schemas(tmp_path: Path) -> None:
    log = make_sample(tmp_path / "logs" / "drive.mcap", container="mcap", seconds=0.3)
    (tmp_path / "logs" / "cut.mcap").write_bytes(log.read_bytes()[:20])
    written = {
        "report": mrt.convert(log, tmp_path / "set"),
        "batch-report": mrt.convert_folder(tmp_path / "logs", tmp_path / "sets"),
        "verify-report": mrt.verify(tmp_path / "set", against=log),
        "restore-report": mrt.restore(tmp_path / "set", tmp_path / "again.mcap"),
    }
    for name, model in written.items():
        schema = json.loads((files("mediaref_tools.schemas") / f"{name}.schema.json").read_text(encoding="utf-8"))
        told = json.loads(json_text(model))
        jsonschema.validate(told, schema, cls=jsonschema.Draft202012Validator)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**told, "wrongs": 1}, schema, cls=jsonschema.Draft202012Validator)
