"""`mediaref info`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

from mediaref_tools.sample import SampleMessage, write_log
from mediaref_tools.summary import DatasetSummary, LogSummary

from .conftest import Run

LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"


def test_log(mediaref: Run, sample_log: Path) -> None:
    done = mediaref("info", sample_log)
    assert done.returncode == 0
    assert done.stderr == ""
    fields = {line.split("  ")[0].strip(): line for line in done.stdout.splitlines()}
    assert "mcap" in fields["container"]
    assert "165 on 5 topics" in fields["messages"]
    assert "2023-11-14T22:13:20.000000000Z  1700000000000000000" in fields["first"]
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.startswith("/")}
    assert rows[LEFT] == [LEFT, "sensor_msgs/msg/CompressedImage", "30", "30.0", "1.1", "MB", "image"]
    assert rows["/tf_static"] == ["/tf_static", "tf2_msgs/msg/TFMessage", "1", "-", "196", "B", "other"]


def test_log_as_json(mediaref: Run, sample_log: Path) -> None:
    done = mediaref("info", sample_log, "--json")
    assert done.returncode == 0
    assert LogSummary.model_validate_json(done.stdout).messages == 165


def test_dataset(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("info", sample_dataset)
    assert done.returncode == 0
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.startswith("/")}
    assert rows[LEFT][1:6] == ["h264", "640x480,", "30.0", "Hz", "30"]
    assert rows[RIGHT][1:4] == ["h264", "320x240,", "14.7"]
    assert "121 messages on 3 topics" in done.stdout
    assert "sample.mcap (mcap), 165 messages" in done.stdout


def test_dataset_as_json(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("info", sample_dataset, "--json")
    summary = DatasetSummary.model_validate_json(done.stdout)
    assert {topic.topic for topic in summary.topics} == {LEFT, RIGHT}


def test_dataset_without_its_log(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(sample_dataset, tmp_path / "copy")
    (copy / "sample.mcap").unlink()
    done = mediaref("info", copy)
    assert done.returncode == 3
    assert LEFT in done.stdout
    assert "the rewritten log can't be read: " in done.stdout


def test_broken_manifest(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(sample_dataset, tmp_path / "copy")
    (copy / "manifest.json").write_text("{}")
    done = mediaref("info", copy)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_long_names_are_folded_and_whole(mediaref: Run, tmp_path: Path) -> None:
    topics = ["/robot" + "/sensors_of_the_left_arm" * 6 + f"/{number}" for number in range(3)]
    messages = [
        SampleMessage(topic, "std_msgs/msg/String", 10**18, SimpleNamespace(data="x" * 50_000)) for topic in topics
    ]
    log = write_log(tmp_path / "log.mcap", "mcap", messages)
    done = mediaref("info", log, COLUMNS="80")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    table = done.stdout.partition("─\n")[2]
    width = len(table.splitlines()[1].rstrip())
    names = "".join(line[:width].strip() for line in table.splitlines())
    for topic in topics:
        assert topic in names
    assert table.count("std_msgs/msg/String") == 3
    unfolded = mediaref("info", log)
    assert all(any(line.startswith(f"{topic} ") for line in unfolded.stdout.splitlines()) for topic in topics)


def test_name_that_is_not_unicode(mediaref: Run, tmp_path: Path) -> None:
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    with Writer(tmp_path / "a.bag") as writer:
        connection = writer.add_connection("/QQQQ", "std_msgs/msg/Empty", typestore=store)
        writer.write(connection, 10**18, b"")
    data = (tmp_path / "a.bag").read_bytes()
    (tmp_path / "a.bag").write_bytes(data.replace(b"/QQQQ", b"/\xff\xfe\x1bQ"))
    done = mediaref("info", tmp_path / "a.bag")
    assert done.returncode == 0
    assert r"/\udcff\udcfe\x1bQ" in done.stdout
    listed = json.loads(mediaref("info", tmp_path / "a.bag", "--json").stdout)
    assert listed["channels"][0]["topic"] == "/\udcff\udcfe\x1bQ"
