"""Recorded ROS 1 bags: counted, hashed, copied, and compared with what rosbags reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag1 import Reader as StockReader

from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from tests.reallogs import real_log, truth

from .test_rosbag1 import copied, counted_stats, open_bag

CLOSED = {
    "found/cruise_rosbagjs/example-bz2.bag": 8647,
    "found/cruise_rosbagjs/example-lz4.bag": 8647,
    "found/cruise_rosbagjs/example-unsorted-chunks.bag": 3,
    "found/cruise_rosbagjs/example.bag": 8647,
    "found/cruise_rosbagjs/no-messages.bag": 0,
    "found/ros_numpy/test.bag": 9,
    "found/tiryoh/test_sample.bag": 14,
    "found/tiryoh/test_sample_no_rosout.bag": 3,
    "found/ubiquity_fiducials/aruco_images.bag": 16,
    "found/ubiquity_fiducials/aruco_marker.bag": 2,
    "ros1/handheld_rgbd_jpeg_cdepth.bag": 1493,
    "ros1/multi_encoding_lz4.bag": 50,
    "ros1/wrist_bgr8_bz2.bag": 40,
}
RECOVERED = {
    "found/tiryoh/test_truncated.bag": 3,
    "found/tiryoh/test_unindexed.bag": 14,
    "ros1/unindexed_lz4.bag.active": 59,
}
# Not the lz4 one: its bytes are the library version's.
ROS_MADE = [name for name in CLOSED if name.startswith(("ros1/", "found/tiryoh")) and "lz4" not in name]


def contents(path: Path) -> Counter[Any]:
    with open_bag(path) as reader:
        return Counter((message.channel.id, message.log_time_ns, bytes(message.data)) for message in reader.messages())


def stock_contents(path: Path) -> Counter[Any]:
    with StockReader(path) as reader:
        return Counter((each.id, time_ns, bytes(data)) for each, time_ns, data in reader.messages())


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_bag(tmp_path: Path, name: str) -> None:
    path = real_log(name)
    with open_bag(path) as reader:
        assert reader.stats() == counted_stats(reader)
        assert sum(each.messages for each in reader.stats().values()) == CLOSED[name]
        assert reader.losses == []
        channels = list(reader.channels)
    found = contents(path)
    assert found == stock_contents(path)
    out = copied(path, tmp_path / "out.bag")
    assert contents(out) == stock_contents(out) == found
    with open_bag(out) as copy:
        assert list(copy.channels) == channels


@pytest.mark.parametrize("name", RECOVERED)
def test_a_bag_that_rosbags_refuses(tmp_path: Path, name: str) -> None:
    path = real_log(name)
    with open_bag(path) as reader:
        assert len(list(reader.messages())) == RECOVERED[name]
        assert reader.stats() == counted_stats(reader)
        assert reader.losses
    out = copied(path, tmp_path / "out.bag")
    assert contents(out) == stock_contents(out) == contents(path)


@pytest.mark.parametrize("name", [name for name in [*CLOSED, *RECOVERED] if name.startswith("ros1/")])
def test_images_are_those_that_were_written(name: str) -> None:
    expected = truth()[name]
    with open_bag(real_log(name)) as reader:
        assert {channel.topic for channel in reader.channels if channel.role == "image"} == expected.keys()
        for topic, said in expected.items():
            messages = list(reader.messages([topic]))
            assert len(messages) == said.get("count", said.get("recoverable"))
            if "sha1" not in said:
                continue
            values = [reader.image(message) for message in messages]
            assert (messages[0].log_time_ns, messages[-1].log_time_ns) == (said["log_first"], said["log_last"])
            assert (values[0].stamp_ns, values[-1].stamp_ns) == (said["stamp_first"], said["stamp_last"])
            digest = hashlib.sha1()
            for value in values:
                digest.update(value.data)
            assert digest.hexdigest() == said["sha1"]


@pytest.mark.parametrize("name", ROS_MADE)
def test_a_copy_in_file_order_is_the_very_same_file(tmp_path: Path, name: str) -> None:
    """What the ROS tools themselves wrote comes back bit for bit: headers, chunks, compression and index."""
    path, out = real_log(name), tmp_path / "out.bag"
    with open_bag(path) as reader:
        writer = reader.rewriter(out, [], "typed")
        for message in sorted(reader.messages(), key=lambda each: each.position):
            writer.copy(message)
        writer.commit()
    assert out.read_bytes() == path.read_bytes()


def test_records_in_a_real_bag(tmp_path: Path) -> None:
    path, out = real_log("ros1/handheld_rgbd_jpeg_cdepth.bag"), tmp_path / "out.bag"
    topic = "/camera/color/image_raw/compressed"
    with open_bag(path) as reader:
        writer = reader.rewriter(out, [topic], "typed")
        for index, message in enumerate(reader.messages()):
            if message.channel.topic == topic:
                writer.record(message, Record(MediaRef(uri="media/a.mp4", pts_ns=index * 1000)))
            else:
                writer.copy(message)
        writer.commit()
        others = [channel.topic for channel in reader.channels if channel.topic != topic]
        with open_bag(out) as copy:
            assert Counter((each.channel.id, each.log_time_ns, bytes(each.data)) for each in copy.messages(others)) == (
                Counter((each.channel.id, each.log_time_ns, bytes(each.data)) for each in reader.messages(others))
            )
            images = list(reader.messages([topic]))
            records = list(copy.messages([topic]))
            assert [each.log_time_ns for each in records] == [each.log_time_ns for each in images]
            for image, record in zip(images, records, strict=True):
                value = copy.record(record)
                assert value is not None
                assert value.stamp_ns == reader.image(image).stamp_ns
    assert out.stat().st_size < path.stat().st_size
