"""How much a ROS 1 bag holds: told by its index, and always what counting finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rosbags.rosbag1 import Writer as StockWriter

from .rawbag import RawBag, connection, string
from .samples import sample_rosbag1, typestore
from .test_rosbag1 import SECOND_NS, counted_stats, loads, odd_bag, open_bag, overlapping

__all__ = ["loads"]  # a fixture


def _registered_late(path: Path) -> Path:
    """rosbags writes a connection where it is added, which may be long before it is used."""
    with StockWriter(path) as writer:
        writer.chunk_threshold = 500
        connections = {}
        for index in range(30):
            if index % 10 == 5:
                connections[index // 10] = writer.add_connection(
                    f"/late/{index}", "std_msgs/msg/String", typestore=typestore(1)
                )
            if index >= 15:
                writer.write(connections[index % 2], index * SECOND_NS, string(str(index)))
            elif 0 in connections:
                writer.write(connections[0], index * SECOND_NS, string("x" * index))
    return path


def _repeated_connections(path: Path) -> Path:
    record = connection(0, b"/a")
    bag = RawBag({0: record})
    for chunk in range(4):
        bag.chunk(record, (0, chunk * SECOND_NS, string("abc")), compression="lz4")
    return bag.write(path)


def _repeated_behind(path: Path) -> Path:
    record = connection(0, b"/a")
    bag = RawBag({0: record})
    for chunk in range(4):
        bag.chunk(*([record] if chunk == 0 else []), (0, chunk * SECOND_NS, string("abc")), record)
    return bag.write(path)


def _repeated_sometimes(path: Path) -> Path:
    record = connection(0, b"/a")
    bag = RawBag({0: record})
    bag.chunk(record, (0, 1, string("abc")))
    bag.chunk((0, 2, string("abc")), record)
    bag.chunk(record, (0, 3, string("abc")))
    return bag.write(path)


def _longer_headers(path: Path) -> Path:
    record = connection(0, b"/a")
    bag = RawBag({0: record})
    for chunk in range(4):
        bag.chunk(*([record] if chunk == 0 else []), (0, chunk * SECOND_NS, string("abc")), message_fields={"x": b"y"})
    return bag.write(path)


def _without_index_records(path: Path) -> Path:
    bag = RawBag({0: connection(0, b"/a")})
    for chunk in range(2):
        bag.chunk(connection(0, b"/a"), (0, chunk * SECOND_NS, string("abc")), index=False)
    return bag.write(path)


@pytest.mark.parametrize(
    "make",
    [
        sample_rosbag1,
        overlapping,
        odd_bag,
        _registered_late,
        _repeated_connections,
        _repeated_behind,
        _repeated_sometimes,
        _longer_headers,
        _without_index_records,
    ],
)
def test_stats_equal_counting(tmp_path: Path, make: Any) -> None:
    with open_bag(make(tmp_path / "in.bag")) as reader:
        assert reader.stats() == counted_stats(reader)


def test_stats_load_only_chunks_in_which_a_connection_is_first_used(tmp_path: Path, loads: list[int]) -> None:
    with open_bag(overlapping(tmp_path / "in.bag", "bz2")) as reader:
        assert reader.stats()[1].messages == 31
        assert len(loads) == 1
        assert reader.stats() == counted_stats(reader)
