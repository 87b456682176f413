"""rosbag2 folders in MCAP storage: written by rosbags, split by hand, read back by rosbags."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from mcap.reader import make_reader
from mcap.writer import Writer as McapWriter
from mediaref_tools.converters.rosbag2.folder import storage
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from mediaref_tools.errors import LogError, LogNotFound, OutputError
from mediaref_tools.log import LogReader, Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.plugins import claimed, open_log
from mediaref_tools.proof.comparison import compare
from mediaref_tools.sample import SampleMessage, make_sample, numbered_topic, write_log
from tests.reallogs import real_log

START = 1_700_000_000_000_000_000


def text(time_ns: int, number: int) -> SampleMessage:
    from types import SimpleNamespace

    return SampleMessage("/chat", "std_msgs/msg/String", time_ns, SimpleNamespace(data=f"message {number}"))


def split_log(folder: Path, parts: Iterable[Iterable[int]], *, metadata: bool = True) -> Path:
    """A folder of several files, one for each list of times (in units of 10 ms)."""
    folder.mkdir()
    lines, total = [], 0
    for number, units in enumerate(parts):
        times_ns = [START + unit * 10_000_000 for unit in units]
        messages = [text(time_ns, each) for each, time_ns in enumerate(times_ns)]
        messages += numbered_topic("/camera", [time_ns + 1 for time_ns in times_ns], encoding="jpeg", size=(96, 128))
        # Without metadata, names must say that the files belong together.
        name = f"{'part' if metadata else folder.name}_{number}.mcap"
        write_log(folder / name, "mcap", messages)
        lines.append(f"    - {name}")
        total += len(messages)
    if metadata:
        topics = "".join(
            f"    - topic_metadata:\n        name: {name}\n        type: {kind}\n        serialization_format: cdr\n"
            f'        offered_qos_profiles: ""\n      message_count: {total // 2}\n'
            for name, kind in (("/chat", "std_msgs/msg/String"), ("/camera", "sensor_msgs/msg/CompressedImage"))
        )
        (folder / "metadata.yaml").write_text(
            "rosbag2_bagfile_information:\n  version: 4\n  storage_identifier: mcap\n  relative_file_paths:\n"
            + "\n".join(lines)
            + f"\n  duration:\n    nanoseconds: 1000000000\n  starting_time:\n    nanoseconds_since_epoch: {START}\n"
            + f"  message_count: {total}\n  topics_with_message_count:\n{topics}"
            + '  compression_format: ""\n  compression_mode: ""\n'
        )
    return folder


def rewrite(reader: LogReader, out: Path, topics: set[str]) -> Path:
    writer = reader.rewriter(out, topics, "typed")
    for number, message in enumerate(reader.messages()):
        if message.channel.role == "image" and message.channel.topic in topics:
            writer.record(message, Record(MediaRef(uri="media/x.mp4", pts_ns=number * 1000), source_type="x"))
        else:
            writer.copy(message)
    writer.commit()
    return out


def stock(folder: Path) -> Counter[tuple[Any, ...]]:
    """Messages by stock rosbags, file by file: it drops topics whose QoS the metadata spells in another way."""
    found: Counter[tuple[Any, ...]] = Counter()
    for file in sorted(folder.glob("*.mcap")):
        with AnyReader([file]) as bag:
            found.update((each.topic, each.msgtype, time, bytes(data)) for each, time, data in bag.messages())
    return found


def test_splits_that_overlap_come_out_in_order(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(0, 30, 2), range(1, 40, 2), range(35, 50)])
    with open_log(log) as reader:
        assert reader.container == "rosbag2-mcap"
        messages = list(reader.messages())
        times = [message.log_time_ns for message in messages]
        assert times == sorted(times)
        assert len(messages) == 2 * (15 + 20 + 15)
        assert [channel.topic for channel in reader.channels] == ["/camera", "/chat"] or len(reader.channels) == 2
        some = list(reader.messages({"/chat"}, start_ns=times[10], stop_ns=times[40]))
        assert some == [
            each for each in messages if each.channel.topic == "/chat" and times[10] <= each.log_time_ns < times[40]
        ]
        assert not reader.losses


def test_copy_is_equal_and_stays_in_its_file(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(10), range(5, 15)])
    (log / "notes.txt").write_text("kept")
    with open_log(log) as reader:
        out = rewrite(reader, tmp_path / "out", set())
        with open_log(out) as again:
            found = compare(reader.messages(), again.messages())
        assert found.different == 0
        assert found.compared == 40
    assert (out / "metadata.yaml").read_bytes() == (log / "metadata.yaml").read_bytes()
    assert (out / "notes.txt").read_text() == "kept"
    assert stock(out) == stock(log)
    assert stock(out).total() == 40
    for name in ("part_0.mcap", "part_1.mcap"):
        with open_log(log / name) as before, open_log(out / name) as after:
            assert compare(before.messages(), after.messages()).different == 0


def test_records_are_typed_in_files_and_metadata(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(10), range(5, 15)])
    with open_log(log) as reader:
        out = rewrite(reader, tmp_path / "out", {"/camera"})
    assert "mediaref_msgs/msg/ImageRef" in (out / "metadata.yaml").read_text()
    assert "sensor_msgs" not in (out / "metadata.yaml").read_text()
    records: list[Any] = []
    for file in sorted(out.glob("*.mcap")):
        with AnyReader([file]) as bag:
            records += [bag.deserialize(data, x.msgtype) for x, _, data in bag.messages() if x.topic == "/camera"]
    assert len(records) == 20
    assert {record.media_ref.uri for record in records} == {"media/x.mp4"}
    before, after = stock(log), stock(out)
    assert {key: n for key, n in before.items() if key[0] == "/chat"} == {
        key: n for key, n in after.items() if key[0] == "/chat"
    }


@pytest.mark.parametrize("mode", ["NONE", "FILE", "STORAGE"])
@pytest.mark.parametrize("version", [8, 9])
def test_written_by_rosbags(tmp_path: Path, mode: str, version: Any) -> None:
    source = make_sample(tmp_path / "sample", container="rosbag2-mcap", seconds=1)
    log = tmp_path / "log"
    with AnyReader([source]) as bag:
        writer = Writer(log, version=version, storage_plugin=StoragePlugin.MCAP)
        if mode != "NONE":
            writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
        with writer:
            connections = {
                each.id: writer.add_connection(each.topic, each.msgtype, typestore=bag.typestore)
                for each in bag.connections
            }
            for each, time_ns, data in bag.messages():
                writer.write(connections[each.id], time_ns, data)
    with open_log(log) as reader:
        out = rewrite(reader, tmp_path / "out", {"/camera/left/image_raw/compressed"})
        total = sum(stats.messages for stats in reader.stats().values())
        assert not reader.losses
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in log.iterdir())
    with AnyReader([out]) as bag:
        assert sum(1 for _ in bag.messages()) == total


def test_without_metadata_and_named_like_a_bag(tmp_path: Path) -> None:
    log = split_log(tmp_path / "x.bag", [range(12), range(12, 20)], metadata=False)
    with open_log(log) as reader:
        assert sum(1 for _ in reader.messages()) == 40
        rewrite(reader, tmp_path / "out", {"/camera"})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.bag_0.mcap", "x.bag_1.mcap"]


def test_logs_that_only_lie_together_are_no_recording(tmp_path: Path) -> None:
    split_log(tmp_path / "one", [range(4)], metadata=False)
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("left.mcap", "right.mcap"):
        (folder / name).write_bytes((tmp_path / "one" / "one_0.mcap").read_bytes())
    assert not claimed(folder)
    (folder / "right.mcap").unlink()
    assert claimed(folder)  # whatever the one is called: people rename folders, and files
    for name in ("logs_0.mcap", "logs_1.mcap"):
        (folder / name).write_bytes((folder / "left.mcap").read_bytes())
    (folder / "left.mcap").unlink()
    assert claimed(folder)
    (folder / "left.mcap").write_bytes((folder / "logs_0.mcap").read_bytes())
    assert not claimed(folder)
    for names, is_one in (
        (("episode_0.mcap", "episode_1.mcap"), False),  # many number their logs
        (("rosbag2_2025_09_10_0.mcap", "rosbag2_2025_09_10_1.mcap"), True),
        (("take_0.db3", "take_1.db3"), True),
        (("take_0.db3", "take_2.db3"), False),
    ):
        other = tmp_path / "-".join(names)
        other.mkdir()
        for name in names:
            (other / name).write_bytes((folder / "left.mcap").read_bytes())
        assert (storage(other) is not None) == is_one


def test_missing_split_and_wrong_counts_are_losses(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(10), range(10, 20)])
    (log / "part_1.mcap").unlink()
    with open_log(log) as reader:
        assert sum(1 for _ in reader.messages()) == 20
        assert reader.losses[0].where == "part_1.mcap"
    other = split_log(tmp_path / "other", [range(10)])
    text_ = (other / "metadata.yaml").read_text().replace("message_count: 20", "message_count: 25")
    (other / "metadata.yaml").write_text(text_)
    with open_log(other) as reader:
        list(reader.messages())
        assert [loss.messages for loss in reader.losses] == [5]


def test_broken_file_among_others_is_a_loss(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(10), range(10, 20)])
    (log / "part_0.mcap").write_bytes(b"nothing of the kind")
    with open_log(log) as reader:
        assert sum(1 for _ in reader.messages()) == 20
        assert reader.losses[0].where == "part_0.mcap"


def test_equal_channels_of_one_file_stay_apart(tmp_path: Path) -> None:
    log = tmp_path / "part"
    log.mkdir()
    for number in range(2):
        with (log / f"part_{number}.mcap").open("xb") as file:
            writer = McapWriter(file)
            writer.start("ros2", "test")
            schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data")
            twins = [writer.register_channel("/chat", "cdr", schema, {}) for _ in range(2)]
            for each in range(6):
                writer.add_message(twins[each % 2], each, b"\0\1\0\0", each, 0)
            writer.finish()
    with open_log(log) as reader:
        assert [stats.messages for stats in reader.stats().values()] == [6, 6]
        out = rewrite(reader, tmp_path / "out", set())
    for folder in (log, out):
        with (folder / "part_1.mcap").open("rb") as file:
            assert [message.channel_id for _, _, message in make_reader(file).iter_messages()] == [1, 2] * 3


def test_bad_input(tmp_path: Path) -> None:
    log = split_log(tmp_path / "log", [range(3)])
    with open_log(log) as reader:
        with pytest.raises(OutputError, match="read from"):
            reader.rewriter(log / "inside", set(), "typed")
        (tmp_path / "there").mkdir()
        with pytest.raises(OutputError, match="nothing there yet"):
            reader.rewriter(tmp_path / "there", set(), "typed")
    with pytest.raises(LogError, match="closed"):
        reader.messages()
    shutil.rmtree(log)
    with pytest.raises(LogNotFound):
        open_log(log)


@pytest.mark.parametrize("name", ["found/rosbag2/wbag_mcap", "found/geocam_rosbags_rs/test_bag_mcap"])
def test_recorded_logs(tmp_path: Path, name: str) -> None:
    log = real_log(name)
    with open_log(log) as reader:
        out = rewrite(reader, tmp_path / "out", set())
        with open_log(out) as again:
            found = compare(reader.messages(), again.messages())
        assert found.different == 0
        assert found.compared == {"wbag_mcap": 6074, "test_bag_mcap": 188}[log.name]
        assert not reader.losses
