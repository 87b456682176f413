"""The MCAP reader and writer on recorded logs and the conformance files of the specification."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from converters.mcap.reader import McapReader
from tests.converters.mcaplogs import assert_equal, contents, copy, found, scanned
from tests.reallogs import real_log, truth


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A protobuf number, and where the next thing starts."""
    value = shift = 0
    while data[at] >= 128:
        value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1


def longest_field(data: bytes) -> bytes:
    """The longest bytes field of a protobuf message, which is a foxglove image's data."""
    at, longest = 0, b""
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 2:
            size, at = varint(data, at)
            longest = max(longest, data[at : at + size], key=len)
            at += size
        elif key & 7 == 0:
            _, at = varint(data, at)
        else:
            at += 4 if key & 7 == 5 else 8
    return longest


def test_conformance_files_read_as_the_linear_reader_does() -> None:
    folder = real_log("found/mcap_conformance")
    paths = sorted(folder.glob("*.mcap"))
    assert len(paths) == 654
    for path in paths:
        with McapReader(path) as reader:
            assert found(reader) == contents(path).messages, path.name
            assert reader.stats() == scanned(reader), path.name
            assert not reader.losses, path.name


@pytest.mark.parametrize(
    "name", ["dashcam_27s_ros2_zstd", "foxglove_proto_zstd", "so101_ros2_unchunked", "so101_ros2_zstd"]
)
def test_recorded_logs_hold_what_their_truth_says(name: str) -> None:
    with McapReader(real_log(f"mcap/{name}.mcap")) as reader:
        expected = truth()[f"mcap/{name}.mcap"]
        read = list(reader.messages())
        assert reader.stats() == scanned(reader)
        assert not reader.losses
    read.sort(key=lambda m: m.position)
    for topic, claims in expected.items():
        mine = [m for m in read if m.channel.topic == topic]
        times = [m.log_time_ns for m in mine]
        sha1 = hashlib.sha1()
        for m in mine:
            sha1.update(reader.image(m).data if m.channel.role == "image" else longest_field(bytes(m.data)))
        assert (len(mine), min(times), max(times)) == (claims["count"], claims["log_first"], claims["log_last"])
        assert sha1.hexdigest() == claims["sha1"], topic


@pytest.mark.parametrize(
    "name",
    [
        "found/geocam_rosbags_rs/test_bag_mcap/test_bag_mcap.mcap",
        "found/owamcap/0.5.1.mcap",
        "found/owamcap/example.mcap",
        "found/rerun/rosbag2_2025_09_10-13_03_56_0.mcap",
        *(f"found/rosbag2/wbag_mcap/wbag_{i}.mcap" for i in range(5)),
        "found/tiryoh/test_sample.mcap",
        "found/tiryoh/test_sample_no_rosout.mcap",
    ],
)
def test_found_logs_read_as_the_linear_reader_does(name: str) -> None:
    path = real_log(name)
    with McapReader(path) as reader:
        assert found(reader) == contents(path).messages
        assert reader.stats() == scanned(reader)
        assert not reader.losses


def test_truncated_recordings_give_all_that_is_there() -> None:
    with McapReader(real_log("mcap/truncated_zstd.mcap")) as reader:
        counts = Counter(m.channel.topic for m in reader.messages())
        assert counts == {"/wrist/image/compressed": 123, "/wrist/image_raw": 20}
        assert ["cut" in loss.what for loss in reader.losses] == [True]
    with McapReader(real_log("found/tiryoh/test_sample_truncated.mcap")) as reader:
        assert len(list(reader.messages())) == sum(stats.messages for stats in reader.stats().values()) > 0
        assert ["cut" in loss.what for loss in reader.losses] == [True]


def test_conformance_files_are_copied_equal(tmp_path: Path) -> None:
    for source in sorted(real_log("found/mcap_conformance").glob("*.mcap")):
        out = tmp_path / source.name
        with McapReader(source) as reader:
            copy(reader, out)
        assert_equal(source, out)
        out.unlink()


@pytest.mark.parametrize(
    "name",
    [
        "found/geocam_rosbags_rs/test_bag_mcap/test_bag_mcap.mcap",
        "found/owamcap/example.mcap",
        "found/rerun/rosbag2_2025_09_10-13_03_56_0.mcap",
        "found/rosbag2/wbag_mcap/wbag_0.mcap",
        "found/tiryoh/test_sample.mcap",
        "mcap/dashcam_27s_ros2_zstd.mcap",
        "mcap/foxglove_proto_zstd.mcap",
        "mcap/so101_ros2_unchunked.mcap",
    ],
)
def test_recorded_logs_are_copied_equal(tmp_path: Path, name: str) -> None:
    source = real_log(name)
    with McapReader(source) as reader:
        copy(reader, tmp_path / "b")
    assert_equal(source, tmp_path / "b")
