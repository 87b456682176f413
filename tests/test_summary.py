"""What a log or a dataset holds, told from its index."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.errors import DatasetError, LogNotFound
from mediaref_tools.sample import SampleMessage, make_sample, numbered_topic, write_log
from mediaref_tools.summary import DatasetSummary, LogSummary, inspect

from .reallogs import real_log, truth

START_NS = 1_700_000_000_000_000_000
LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("log") / "sample", container="rosbag2-sqlite3", seconds=1)


@pytest.fixture(scope="module")
def dataset(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "dataset"
    convert(log, out, settings=Settings(segment_ns=400_000_000))
    return out


def inspect_log(path: Path) -> LogSummary:
    summary = inspect(path)
    assert isinstance(summary, LogSummary)
    return summary


def inspect_dataset(path: Path) -> DatasetSummary:
    summary = inspect(path)
    assert isinstance(summary, DatasetSummary)
    return summary


def test_log(log: Path) -> None:
    summary = inspect_log(log)
    assert summary.container == "rosbag2-sqlite3"
    assert summary.bytes == sum(file.stat().st_size for file in log.iterdir())
    assert summary.messages == 165
    assert summary.first_ns == START_NS
    assert [channel.topic for channel in summary.channels] == [LEFT, RIGHT, "/imu/data", "/tf", "/tf_static"]
    assert [channel.role for channel in summary.channels] == ["image", "image", "other", "other", "other"]
    assert [channel.messages for channel in summary.channels] == [30, 14, 100, 20, 1]
    assert summary.channels[2].rate_hz == pytest.approx(100, rel=0.01)
    assert summary.channels[4].rate_hz is None
    right = summary.channels[1]
    assert right.bytes > 14 * 320 * 240 * 3
    assert summary.losses == ()


def test_channels_of_one_topic_are_taken_together(tmp_path: Path) -> None:
    body = SimpleNamespace(data="x")
    messages = [
        SampleMessage("/a", "std_msgs/msg/String", START_NS + 5, body),
        SampleMessage("/a", "std_msgs/msg/String", START_NS + 2_000_000_005, body, latched=True),
        SampleMessage("/a", "std_msgs/msg/Empty", START_NS, b"\0\1\0\0\0"),
    ]
    summary = inspect_log(write_log(tmp_path / "log.mcap", "mcap", messages))
    assert [(one.topic, one.type, one.channels, one.messages) for one in summary.channels] == [
        ("/a", "std_msgs/msg/Empty", 1, 1),
        ("/a", "std_msgs/msg/String", 2, 2),
    ]
    assert summary.channels[1].rate_hz == 0.5
    assert (summary.channels[1].first_ns, summary.channels[1].last_ns) == (START_NS + 5, START_NS + 2_000_000_005)


def test_messages_at_one_time_have_no_rate(tmp_path: Path) -> None:
    messages = [SampleMessage("/a", "std_msgs/msg/String", START_NS, SimpleNamespace(data="x"))] * 3
    assert inspect_log(write_log(tmp_path / "log.mcap", "mcap", messages)).channels[0].rate_hz is None


def test_log_without_messages(tmp_path: Path) -> None:
    summary = inspect_log(write_log(tmp_path / "log.mcap", "mcap", []))
    assert (summary.messages, summary.first_ns, summary.last_ns, summary.channels) == (0, None, None, ())


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(LogNotFound):
        inspect(tmp_path / "nowhere")


def test_dataset(dataset: Path, log: Path) -> None:
    summary = inspect_dataset(dataset)
    assert summary.source.name == "sample"
    assert summary.source.messages == summary.messages == 165
    assert summary.bytes == sum(file.stat().st_size for file in dataset.rglob("*") if file.is_file())
    assert summary.ratio == summary.bytes / summary.source.bytes
    assert (summary.other_topics, summary.other_messages) == (3, 121)
    assert summary.log_error is None
    left, right = summary.topics
    assert (left.topic, left.codec, left.frames, left.embedded, left.sizes) == (LEFT, "h264", 30, 0, ((640, 480),))
    assert left.segments == len(list((dataset / "media" / "camera-left-image_raw-compressed").iterdir())) == 3
    assert left.rate_hz == pytest.approx(30, rel=0.02)
    media = (dataset / "media" / "camera-right-image_raw").iterdir()
    assert right.bytes_out == sum(file.stat().st_size for file in media)
    assert right.ratio == right.bytes_out / right.bytes_in
    source = {one.topic: one.bytes for one in inspect_log(log).channels}
    assert right.bytes_in == source[RIGHT]
    assert left.psnr_p1_db is not None
    assert left.psnr_mean_db is not None
    assert left.psnr_mean_db > left.psnr_p1_db > 30


def test_rewritten_log_is_a_log_of_records(dataset: Path) -> None:
    summary = inspect_log(dataset / "sample")
    roles = {channel.topic: channel.role for channel in summary.channels}
    assert (roles[LEFT], roles[RIGHT], roles["/tf"]) == ("record", "record", "other")


def test_sizes_and_embedded_frames(tmp_path: Path) -> None:
    sizes = [(96, 128), (96, 128), (120, 160), (96, 128)]
    messages = numbered_topic("/cam", [START_NS + 10**8 * number for number in range(4)], size=sizes.__getitem__)
    broken = SimpleNamespace(**vars(messages[1].body))
    broken.data = broken.data[:100]
    messages[1] = messages[1]._replace(body=broken)
    convert(write_log(tmp_path / "log.mcap", "mcap", messages), tmp_path / "dataset")
    (topic,) = inspect_dataset(tmp_path / "dataset").topics
    assert topic.sizes == ((128, 96),)
    assert (topic.frames, topic.embedded) == (4, 2)  # the broken one, and the only one of its size
    assert topic.reason
    media = sum(file.stat().st_size for file in (tmp_path / "dataset" / "media").rglob("*.mp4"))
    assert topic.bytes_out == media + 100 + len(messages[2].body.data)


def test_dataset_whose_log_is_gone(dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    shutil.rmtree(copy / "sample")
    summary = inspect_dataset(copy)
    assert summary.other_topics is summary.other_messages is None
    assert summary.log_error
    assert len(summary.topics) == 2


def test_manifest_that_points_outside(dataset: Path, log: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "copy")
    text = (copy / "manifest.json").read_text()
    shutil.copytree(log, tmp_path / "outside")
    (copy / "manifest.json").write_text(text.replace('"log": "sample"', '"log": "../outside"'))
    summary = inspect_dataset(copy)
    assert summary.other_topics is None
    assert "leads out of the folder" in str(summary.log_error)


def test_broken_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(DatasetError):
        inspect(tmp_path)


def test_summary_can_be_read_back(dataset: Path, log: Path) -> None:
    for path in (dataset, log):
        summary = inspect(path)
        assert type(summary).model_validate_json(summary.model_dump_json()) == summary


@pytest.mark.parametrize(
    "name", ["mcap/dashcam_27s_ros2_zstd.mcap", "ros1/handheld_rgbd_jpeg_cdepth.bag", "ros2/gopro_nometa"]
)
def test_recorded_log(name: str) -> None:
    summary = inspect_log(real_log(name))
    said = {channel.topic: channel for channel in summary.channels}
    expected = truth()[name]
    assert expected
    for topic, entry in expected.items():
        assert said[topic].messages == entry["count"]
        assert (said[topic].first_ns, said[topic].last_ns) == (entry["log_first"], entry["log_last"])
