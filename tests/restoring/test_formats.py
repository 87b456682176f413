"""Datasets of earlier formats are restored too, and nothing is said to be proved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import mediaref_tools as mrt
from mediaref_tools.errors import DatasetError
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import Container
from tests.fixtures.make import DATASETS
from tests.smalllogs import camera, every_container, log_of, text
from tests.stocklogs import stock_messages

_NEW = ["source_layout", "source_rest", "source_envelope", "source_digest"]


def as_format_2(dataset: Path) -> None:
    """Take away what format 3 has more."""
    table = pq.read_table(dataset / "frames.parquet")
    groups = pq.ParquetFile(dataset / "frames.parquet")
    sizes = [groups.metadata.row_group(at).num_rows for at in range(groups.metadata.num_row_groups)]
    table = table.drop_columns(_NEW)
    with pq.ParquetWriter(dataset / "frames.parquet", table.schema) as writer:
        start = 0
        for size in sizes:
            writer.write_table(table.slice(start, size))
            start += size
    manifest: Any = json.loads((dataset / "manifest.json").read_text())
    manifest["format_version"] = 2
    del manifest["copied_digest"]
    for topic in manifest["topics"]:
        del topic["channels"]
    (dataset / "manifest.json").write_text(json.dumps(manifest))


@every_container
def test_format_2(tmp_path: Path, container: Container) -> None:
    found = [*camera(), *camera("/raw", encoding="bgr8"), text("/talk", camera()[3].log_time_ns, "hello")]
    log = log_of(tmp_path, container, found)
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    as_format_2(tmp_path / "dataset")
    assert mrt.verify(tmp_path / "dataset", against=log).ok
    out = tmp_path / f"again{log.suffix}"
    report = mrt.restore(tmp_path / "dataset", out)
    assert [(topic.unproved, topic.identical, topic.different) for topic in report.topics] == [(20, 0, 0)] * 2
    assert report.kept_its_word
    mine, theirs = sorted(map(told, log_messages(log))), sorted(map(told, log_messages(out)))
    assert [each[:4] for each in mine] == [each[:4] for each in theirs]
    if container == "rosbag1":  # whose headers have a count that no record's reader tells
        mine, theirs = ([(*each[:4], each[4][4:]) for each in side] for side in (mine, theirs))
    assert mine == theirs
    assert len(stock_messages(out, container)) == len(found)
    checked = mrt.restore(tmp_path / "dataset", tmp_path / f"checked{log.suffix}", verify=True)
    assert not checked.kept_its_word
    assert checked.problems == ()


def log_messages(path: Path) -> list[Any]:
    with open_log(path) as log:
        return [message._replace(data=bytes(message.data)) for message in log.messages()]


def told(message: Any) -> tuple[Any, ...]:
    return (message.channel.topic, message.channel.type, message.log_time_ns, message.channel.encoding, message.data)


def test_format_2_of_protobuf_is_refused(tmp_path: Path) -> None:
    from tests.encodings.matrix import CASES, write_protobuf

    log = write_protobuf(tmp_path / "log.mcap", [case for case in CASES if case.encoding == "jpeg"])
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    as_format_2(tmp_path / "dataset")
    with pytest.raises(DatasetError, match="can't be restored"):
        mrt.restore(tmp_path / "dataset", tmp_path / "out.mcap")
    assert not (tmp_path / "out.mcap").exists()


@pytest.mark.parametrize("version", DATASETS)
def test_fixture_of_each_format(version: int, tmp_path: Path) -> None:
    report = mrt.restore(DATASETS[version], tmp_path / "out.mcap")
    assert [(topic.topic, topic.near) for topic in report.topics] == [("/camera", 24), ("/gray", 8)]
    assert report.kept_its_word
    with open_log(tmp_path / "out.mcap") as log:
        images = [log.image(message) for message in log.messages()]
    assert {(image.encoding, image.kind) for image in images} == {("jpeg", "file"), ("mono8", "raw")} or len(
        images
    ) == 32
