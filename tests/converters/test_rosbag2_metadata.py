"""metadata.yaml: what is read of it, and that rewriting changes types and nothing else."""

from __future__ import annotations

import difflib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from mediaref_tools.converters.messages.rosmsg import record_type
from mediaref_tools.converters.rosbag2.metadata import Metadata, parse, retyped
from ruamel.yaml import YAML

from mediaref_tools.errors import LogError
from tests.converters.rosbag2logs import CAMERA, CHATTER, RAW, ROOT, by_rosbags, metadata, mixed
from tests.reallogs import real_log

TYPED = record_type("cdr", "typed")


def loaded(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


def changed(before: str, after: str) -> list[str]:
    """The new lines, stripped; none is added or taken away."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    assert len(old) == len(new)
    return [line[2:].strip() for line in difflib.ndiff(old, new) if line.startswith("+ ")]


def test_reads_what_rosbag2_writes() -> None:
    rows = mixed(4)
    files = ["old/old_0.db3", "old/old_1.db3"]
    text = metadata(rows, files, compression_mode="MESSAGE", compression_format="zstd")
    assert parse(text) == Metadata(
        storage="sqlite3",
        files=tuple(files),
        counts={},
        messages=12,
        topics={CAMERA: 4, RAW: 4, CHATTER: 4},
        compression_mode="message",
        compression_format="zstd",
    )


@pytest.mark.parametrize("version", [8, 9])
def test_reads_what_rosbags_writes(tmp_path: Path, version: Any) -> None:
    folder = by_rosbags(tmp_path / "log", mixed(4), version=version)
    read = parse((folder / "metadata.yaml").read_text())
    assert (read.storage, read.files, read.counts) == ("sqlite3", ("log.db3",), {"log.db3": 12})
    assert (read.messages, read.topics) == (12, {CAMERA: 4, RAW: 4, CHATTER: 4})
    assert read.compression_mode == ""


def test_reads_the_bare_mapping_of_storage_files() -> None:
    text = "storage_identifier: mcap\ncompression_mode: NONE\nmessage_count: 3\n"
    assert parse(text) == Metadata("mcap", (), {}, 3, {}, "", "")


def test_missing_keys_are_empty() -> None:
    assert parse(f"{ROOT}: {{}}") == Metadata("", (), {}, None, {}, "", "")


@pytest.mark.parametrize(
    "text",
    ["", "text", "[1, 2]", "a: [1", "a: *nobody", "%", "\0", f"{ROOT}: 3", f"{ROOT}:\n  - 1", "a: 1\n---\nb: 2"],
)
def test_what_is_no_mapping_is_an_error(text: str) -> None:
    with pytest.raises(LogError):
        parse(text)


def test_values_of_other_kinds_are_empty() -> None:
    text = f"{ROOT}:\n  relative_file_paths: 3\n  message_count: [1]\n  files: {{a: 1}}\n  storage_identifier: [x]\n"
    text += "  topics_with_message_count: [1, {topic_metadata: 5}, {message_count: -1}]\n  compression_mode: ~\n"
    assert parse(text) == Metadata("", (), {}, None, {"": 0}, "", "")


def test_deep_nesting_is_an_error() -> None:
    with pytest.raises(LogError):
        parse("a: " + "[" * 100_000)


def test_a_huge_file_is_an_error() -> None:
    with pytest.raises(LogError, match="characters"):
        parse("a: " + "x" * (17 << 20))


@pytest.mark.parametrize("kind", ["aliases", "merges"])
def test_a_bomb_does_not_go_off(kind: str) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    for n in range(1, 40):
        items = ", ".join([f"*a{n - 1}"] * 9)
        lines.append(f"a{n}: &a{n} [{items}]" if kind == "aliases" else f"a{n}: &a{n} {{<<: [{items}]}}")
    text = "\n".join([*lines, "relative_file_paths: *a39", "files: *a39", "topics_with_message_count: *a39"])
    tracemalloc.start()
    try:
        parse(text)
        assert retyped(text, {"": TYPED, CAMERA: TYPED}) == text
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("version", [4, 8])
def test_retyping_changes_types_alone(version: int) -> None:
    before = metadata(mixed(4), ["log_0.db3"], version=version)
    after = retyped(before, {CAMERA: TYPED})
    expected = loaded(before)
    topic = expected[ROOT]["topics_with_message_count"][0]["topic_metadata"]
    assert topic["name"] == CAMERA
    topic["type"] = TYPED.name
    if version > 6:
        topic["type_description_hash"] = TYPED.rihs01
    assert loaded(after) == expected
    lines = [f"type: {TYPED.name}"] + [f"type_description_hash: {TYPED.rihs01}"] * (version > 6)
    assert changed(before, after) == lines


@pytest.mark.parametrize("version", [8, 9])
def test_retyping_what_rosbags_writes(tmp_path: Path, version: Any) -> None:
    before = (by_rosbags(tmp_path / "log", mixed(4), version=version) / "metadata.yaml").read_text()
    string = record_type("cdr", "string")
    after = loaded(retyped(before, {CAMERA: TYPED, RAW: string}))
    expected = loaded(before)
    for entry in expected[ROOT]["topics_with_message_count"]:
        new = {CAMERA: TYPED, RAW: string}.get(entry["topic_metadata"]["name"])
        if new:
            entry["topic_metadata"] |= {"type": new.name, "type_description_hash": new.rihs01}
    assert after == expected


def test_retyping_keeps_to_image_types() -> None:
    before = metadata(mixed(4), ["log_0.db3"], version=8)
    assert retyped(before, {CHATTER: TYPED}) == before
    assert retyped(before, {}) == before


def test_retyping_a_bare_mapping_by_hand() -> None:
    before = (
        "\ufeff# kept\r\n"
        "topics_with_message_count:\r\n"
        '  - {topic_metadata: {name: "/a", "type": "sensor_msgs/Image", type_description_hash: \'x\'}}\r\n'
        "  - message_count: 3\r\n"
        "    topic_metadata:\r\n"
        "      name: '/b'\r\n"
        '      offered_qos_profiles: "- history: 3\\n  d\\u00e9pth: 0"   # \U0001f600\r\n'
        "      type_description_hash:\r\n"
        "      type:   # two\r\n"
        "          sensor_msgs/msg/Image    # three\r\n"
    )
    after = retyped(before, {"/a": TYPED, "/b": TYPED})
    expected = before.replace('"sensor_msgs/Image"', f'"{TYPED.name}"').replace("'x'", f"'{TYPED.rihs01}'")
    assert after == expected.replace("sensor_msgs/msg/Image ", f"{TYPED.name} ")
    topic = loaded(after)["topics_with_message_count"][1]["topic_metadata"]
    assert (topic["type"], topic["type_description_hash"]) == (TYPED.name, None)


def test_a_type_that_others_share_is_not_replaced() -> None:
    text = "topics_with_message_count:\n  - topic_metadata: {name: /a, type: &t sensor_msgs/msg/Image}\n"
    text += "  - topic_metadata: {name: /b, type: *t}\n"
    with pytest.raises(LogError, match="can't be replaced"):
        retyped(text, {"/b": TYPED})


@pytest.mark.parametrize(
    "log",
    [
        "ros2/handheld_filezstd",
        "ros2/handheld_sqlite3_v9",
        "found/geocam_rosbags_rs/test_bag_sqlite3",
        "found/geocam_rosbags_rs/test_bag_mcap",
        "found/rosbag2/message_compression",
        "found/rosbag2/file_compression",
        "found/rosbag2/wbag_sqlite3",
        "found/rosbag2/wbag_mcap",
    ],
)
def test_recorded_logs(log: str) -> None:
    text = (real_log(log) / "metadata.yaml").read_text()
    read, data = parse(text), loaded(text)[ROOT]
    entries = data["topics_with_message_count"]
    assert read.files == tuple(data["relative_file_paths"])
    assert read.storage == data["storage_identifier"]
    assert read.messages == data["message_count"] == sum(read.topics.values())
    assert read.topics == {each["topic_metadata"]["name"]: each["message_count"] for each in entries}
    assert read.compression_mode == data["compression_mode"].lower()
    images = [each for each in entries if each["topic_metadata"]["type"].startswith("sensor_msgs/")]
    images = [each for each in images if each["topic_metadata"]["type"].endswith("Image")]
    new = changed(text, retyped(text, dict.fromkeys(read.topics, TYPED)))
    assert new.count(f"type: {TYPED.name}") == len(images)
    assert len(new) == len(images) * (2 if "type_description_hash" in text else 1)
