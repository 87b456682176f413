"""Records that are JSON: ours come back whole, and others' as far as they go."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.recordjson import json_record, record_json

REFS = st.builds(MediaRef, uri=st.sampled_from(["media/a%2Fb/0.mp4", "data:,x"]), pts_ns=st.none() | st.integers(0, 9))
SIZES = st.integers(0, 2**32 - 1)
RECORDS = st.builds(
    Record,
    REFS,
    stamp_ns=st.none() | st.integers(-(2**63), 2**63 - 1),
    frame_id=st.text(),
    source_type=st.text(),
    source_encoding=st.text(),
    height=SIZES,
    width=SIZES,
    step=SIZES,
    is_bigendian=st.booleans(),
)


@given(record=RECORDS)
def test_a_record_comes_back_whole_and_is_what_the_schema_says(record: Record) -> None:
    text = record_json(record)
    assert json_record(text) == json_record(text.encode()) == record
    assert TypeAdapter(Record).validate_json(text, strict=True) == record


def test_a_still_has_no_time_and_the_reference_is_under_its_one_name() -> None:
    value = json.loads(record_json(Record(MediaRef(uri="a.png"))))
    assert value["media_ref"] == {"uri": "a.png"}
    assert json_record(json.dumps({"ref": {"uri": "a.png"}})) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stamp_ns", "5"),
        ("stamp_ns", True),
        ("frame_id", 5),
        ("height", 4.0),
        ("width", None),
        ("step", [1]),
        ("is_bigendian", 1),
    ],
)
def test_what_others_mean_by_a_name_is_not_taken_over(name: str, value: object) -> None:
    text = json.dumps({"media_ref": {"uri": "a.mkv", "pts_ns": 7}, name: value, "shape": [1, 2]})
    assert json_record(text) == Record(MediaRef(uri="a.mkv", pts_ns=7))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", "{", "[" * 100_000, '{"media_ref": null}', '{"media_ref": {"uri": ""}}', '{"uri": "a", "x": 1}'],
)
def test_what_is_no_record(text: str) -> None:
    assert json_record(text) is None
