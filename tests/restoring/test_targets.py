"""Restoring into another container: types, latching, and what is told as lost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability

import mediaref_tools as mrt
from mediaref_tools.errors import LogError
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import START_NS, Container, SampleMessage, write_log
from tests.converters import hdf5logs
from tests.encodings.matrix import CASES, write_protobuf
from tests.smalllogs import CONTAINERS, SUFFIX, camera, log_of, others, text

OUT = {"mcap": "out.mcap", "rosbag1": "out.bag", "rosbag2": "out"}
GENERATION = {"rosbag1": "ros1", "rosbag2-sqlite3": "ros2", "rosbag2-mcap": "ros2", "mcap": "ros2"}


def read(path: Path) -> list[tuple[str, int, str, Any]]:
    """Topic, time, type and values of each message, as rosbags has them; a ROS 1 header's count left out."""
    with AnyReader([path]) as reader:
        found = [(c.topic, t, c.msgtype, reader.deserialize(raw, c.msgtype)) for c, t, raw in reader.messages()]
    return sorted(((topic, time, kind, values(body)) for topic, time, kind, body in found), key=repr)


def plain(path: Path) -> list[tuple[str, int, str, bytes, bytes]]:
    with open_log(path) as log:
        return sorted(
            (m.channel.topic, m.log_time_ns, m.channel.type, m.channel.definition, bytes(m.data))
            for m in log.messages()
        )


def values(body: Any) -> Any:
    if hasattr(body, "tobytes"):
        return body.tobytes()
    if hasattr(body, "__dataclass_fields__"):
        return {name: values(getattr(body, name)) for name in body.__dataclass_fields__ if name != "seq"}
    return [values(each) for each in body] if isinstance(body, list) else body


@pytest.mark.parametrize("to", OUT)
@pytest.mark.parametrize("container", CONTAINERS)
def test_messages_say_the_same(tmp_path: Path, container: Container, to: str) -> None:
    log = log_of(tmp_path, container, [*camera(), *camera("/raw", encoding="bgr8"), *others()])
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    report = mrt.restore(tmp_path / "dataset", tmp_path / OUT[to], to=to, verify=True)
    assert report.problems == ()
    assert sum(topic.identical for topic in report.topics) == 40
    assert report.messages == 40 + len(others())
    if to == "mcap" and container == "rosbag1":  # of the ros1 profile, which rosbags does not read
        assert plain(log) == plain(tmp_path / OUT[to])
    else:
        assert read(log) == read(tmp_path / OUT[to])
    with open_log(tmp_path / OUT[to]) as made:
        assert made.losses == []
        times = sorted(message.log_time_ns for message in made.messages())
    with open_log(log) as source:
        assert times == sorted(message.log_time_ns for message in source.messages())


@pytest.mark.parametrize(
    ("container", "to"), [("rosbag1", "rosbag2"), ("rosbag2-mcap", "rosbag1"), ("mcap", "rosbag1")]
)
def test_latching_becomes_durability_and_back(tmp_path: Path, container: Container, to: str) -> None:
    log = log_of(tmp_path, container, [text("/tf_static", START_NS, "x", latched=True), text("/talk", START_NS, "y")])
    mrt.convert(log, tmp_path / "dataset")
    mrt.restore(tmp_path / "dataset", tmp_path / OUT[to], to=to)
    with AnyReader([tmp_path / OUT[to]]) as reader:
        exts: dict[str, Any] = {connection.topic: connection.ext for connection in reader.connections}
    if to == "rosbag1":
        assert {topic: bool(ext.latching) for topic, ext in exts.items()} == {"/tf_static": True, "/talk": False}
    else:
        found = {topic: ext.offered_qos_profiles[0].durability for topic, ext in exts.items()}
        assert found == {"/tf_static": QosDurability.TRANSIENT_LOCAL, "/talk": QosDurability.VOLATILE}


def test_what_has_no_place_is_told(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", [*camera(), text("/talk", START_NS, "sent before")])
    mrt.convert(log, tmp_path / "dataset")
    report = mrt.restore(tmp_path / "dataset", tmp_path / "out.bag", to="rosbag1")
    told = {loss.where: loss.what for loss in report.losses}
    assert {"publish times", "sequence numbers", "QoS"} <= told.keys()
    assert not report.kept_its_word


def test_own_container_is_no_other(tmp_path: Path) -> None:
    log = log_of(tmp_path, "rosbag2-mcap", camera())
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    report = mrt.restore(tmp_path / "dataset", tmp_path / "out", to="rosbag2")
    assert (report.container, report.losses) == ("rosbag2-mcap", ())


def test_types_that_clash_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    marker = SampleMessage("/marks", "visualization_msgs/msg/Marker", START_NS, b"\0" * 400)
    log = write_log(tmp_path / "log.bag", "rosbag1", [*camera(), marker])
    mrt.convert(log, tmp_path / "dataset")
    with pytest.raises(LogError, match=r"/marks is of visualization_msgs/msg/Marker, and .* has other fields in ROS 2"):
        mrt.restore(tmp_path / "dataset", tmp_path / "out", to="rosbag2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "log.bag"]


def test_messages_of_no_ros_are_refused_but_in_mcap(tmp_path: Path) -> None:
    log = write_protobuf(tmp_path / "log.mcap", [case for case in CASES if case.encoding == "jpeg"])
    mrt.convert(log, tmp_path / "dataset")
    for to in ("rosbag1", "rosbag2"):
        with pytest.raises(LogError, match="protobuf, which is none of ROS"):
            mrt.restore(tmp_path / "dataset", tmp_path / "out", to=to)


def test_rows_of_hdf5_are_no_messages(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode.hdf5")
    mrt.convert(log, tmp_path / "dataset")
    for to in OUT:
        with pytest.raises(LogError, match=r"HDF5|hdf5"):
            mrt.restore(tmp_path / "dataset", tmp_path / OUT[to], to=to)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "episode.hdf5"]


def test_a_message_that_no_bytes_can_be_made_of_is_left_out_and_told(tmp_path: Path) -> None:
    broken = SampleMessage("/talk", "std_msgs/msg/String", START_NS + 5, b"\0\1\0\0\xff\xff\0\0 short")
    log = log_of(tmp_path, "rosbag2-sqlite3", [*camera(), text("/talk", START_NS, "whole"), broken])
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    report = mrt.restore(tmp_path / "dataset", tmp_path / "out.bag", to="rosbag1", verify=True)
    lost = [loss for loss in report.losses if loss.messages]
    assert [(loss.where, loss.messages) for loss in lost] == [("/talk", 1)]
    assert report.problems == ()
    assert len(read(tmp_path / "out.bag")) == 21


def test_a_type_of_somebody_s_own(tmp_path: Path) -> None:
    """Known by the log's definition alone, header and all."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    store.register(
        get_types_from_msg("std_msgs/Header header\nfloat64[] gains\nown_msgs/Part[2] parts", "own_msgs/msg/Whole")
    )
    store.register(get_types_from_msg("string name\nuint8 level", "own_msgs/msg/Part"))
    part, whole = store.types["own_msgs/msg/Part"], store.types["own_msgs/msg/Whole"]
    header: Any = SimpleNamespace(seq=4, stamp=SimpleNamespace(sec=5, nanosec=6), frame_id="f")
    import numpy as np

    body = whole(header, np.array([1.5, 2.5]), [part("a", 1), part("bc", 2)])
    with Writer(tmp_path / "log.bag") as writer:
        connection = writer.add_connection("/own", "own_msgs/msg/Whole", typestore=store)
        writer.write(connection, START_NS, store.serialize_ros1(body, "own_msgs/msg/Whole"))
    mrt.convert(tmp_path / "log.bag", tmp_path / "dataset")
    mrt.restore(tmp_path / "dataset", tmp_path / "out", to="rosbag2", verify=True)
    assert read(tmp_path / "log.bag") == read(tmp_path / "out")
    assert SUFFIX["rosbag1"] == ".bag"
