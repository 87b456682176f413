"""Whatever holds pictures in time is opened as topics: plain logs, video files, datasets, references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.playable import open_playable
from mediaref_tools.errors import DatasetError, LogNotFound
from mediaref_tools.sample import Container, frame_number

from ..smalllogs import camera, every_container, log_of, raw, text, times
from ..smallvideos import MS, write_video


@every_container
def test_plain_log(tmp_path: Path, container: Container) -> None:
    depth = [raw("/depth", time_ns, "32FC1", 4) for time_ns in times(3)]
    log = log_of(tmp_path, container, [*camera(), *depth, text("/talk", times(1)[0], "hello")])
    with open_playable(log) as opened:
        assert list(opened) == ["/camera", "/depth"]
        topic = opened["/camera"]
        assert topic.log_times_ns.tolist() == times(20)
        assert [frame_number(frame.data) for frame in topic.batch([3, 19, 0, 3])] == [3, 19, 0, 3]
        assert set(topic.status) == {"kept"}
        assert (topic.look(0), opened["/depth"].look(1)) == (("rgb", False), ("metres", True))
        assert opened["/depth"][2].data.dtype == np.float32


def test_video_file(tmp_path: Path) -> None:
    shown_ms = [0, 40, 45, 300, 310]
    video = write_video(tmp_path / "clip.mp4", shown_ms)
    with open_playable(video) as opened:
        topic = opened["clip.mp4"]
        assert topic.log_times_ns.tolist() == [time * MS for time in shown_ms]
        assert [frame_number(frame.data) for frame in topic.batch([4, 0, 2])] == [4, 0, 2]
        assert topic.refs[2].uri == "clip.mp4"


def test_dataset_and_its_log(tmp_path: Path) -> None:
    """The folder is a dataset, whose log lies in it; that log's references are followed as well."""
    convert(log_of(tmp_path, "mcap", [*camera()]), tmp_path / "out")
    for path in (tmp_path / "out", tmp_path / "out" / "source.mcap"):
        with open_playable(path) as opened:
            assert set(opened["/camera"].status) == {"video"}
            assert frame_number(opened["/camera"][7].data) == 7
    with open_playable(tmp_path / "out") as opened:
        assert opened.manifest.topics[0].topic == "/camera"


def test_nothing_to_play(tmp_path: Path) -> None:
    talk = log_of(tmp_path, "mcap", [text("/talk", times(1)[0], "hello")])
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("hello")
    for path, error in (
        (talk, DatasetError),
        (tmp_path / "empty", DatasetError),
        (tmp_path / "notes.txt", DatasetError),
        (tmp_path / "nowhere", LogNotFound),
    ):
        with pytest.raises(error):
            open_playable(path)
