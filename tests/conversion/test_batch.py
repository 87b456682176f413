"""A folder of logs: each for itself, one report, and a batch that was stopped goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

import mediaref_tools as mrt
from mediaref_tools.conversion.batch import convert_folder
from mediaref_tools.conversion.inputs import holds_logs
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.errors import LogNotFound, OutputError
from mediaref_tools.progress import Progress
from mediaref_tools.sample import make_sample
from tests.converters import hdf5logs


def episodes(folder: Path) -> Path:
    """Ten episodes' names, three of them there, one cut; and a ROS log of another kind among them."""
    (folder / "a").mkdir(parents=True)
    for number in (1, 2, 10):
        hdf5logs.aloha(folder / "a" / f"episode_{number}.hdf5", 3, ("cam",))
    broken = folder / "a" / "episode_3.hdf5"
    broken.write_bytes((folder / "a" / "episode_1.hdf5").read_bytes()[:-900])
    make_sample(folder / "drive", container="rosbag2-sqlite3", seconds=0.2)
    (folder / "notes.txt").write_text("nothing of ours")
    (folder / ".hidden.hdf5").write_bytes(broken.read_bytes())
    return folder


def test_each_log_becomes_a_dataset_and_one_that_fails_stops_no_other(tmp_path: Path) -> None:
    folder, out = episodes(tmp_path / "episodes"), tmp_path / "datasets"
    states: list[Progress] = []
    report = convert_folder(folder, out, on_progress=states.append)
    assert [(entry.log, entry.out, entry.state) for entry in report.logs] == [
        ("a/episode_1.hdf5", "a/episode_1", "converted"),
        ("a/episode_2.hdf5", "a/episode_2", "converted"),
        ("a/episode_3.hdf5", "a/episode_3", "failed"),
        ("a/episode_10.hdf5", "a/episode_10", "converted"),
        ("drive", "drive", "converted"),
    ]
    assert (report.converted, report.present, report.failed, report.lossless) == (4, 0, 1, False)
    assert "cut" in (report.logs[2].error or "")
    assert not (out / "a" / "episode_3").exists()
    assert report.frames == 9 + 6 + 2
    for entry in report.logs:
        if entry.state == "converted":
            assert mrt.verify(out / entry.out, against=folder / entry.log).ok
    assert (states[0].done, states[-1].done, states[-1].total) == (0, 5, 5)
    assert [state.done for state in states] == sorted(state.done for state in states)
    assert states[-1].bytes_in == sum(t.bytes_in for e in report.logs if e.report for t in e.report.topics)
    assert {state.stage for state in states} == {"batch"}


def test_batch_that_was_stopped_goes_on(tmp_path: Path) -> None:
    folder, out = episodes(tmp_path / "episodes"), tmp_path / "datasets"
    mrt.convert(folder / "a" / "episode_1.hdf5", out / "a" / "episode_1")
    mrt.convert(folder / "a" / "episode_2.hdf5", out / "a" / "episode_2", settings=mrt.Settings(crf=30))
    hdf5logs.aloha(folder / "a" / "episode_10.hdf5", 4, ("cam",))  # another file of that name
    mrt.convert(folder / "a" / "episode_2.hdf5", out / "a" / "episode_10")
    report = convert_folder(folder / "a", out / "a")
    assert [entry.state for entry in report.logs] == ["present", "failed", "failed", "failed"]
    again = convert_folder(folder / "a", out / "a", overwrite=True)
    assert [entry.state for entry in again.logs] == ["present", "converted", "failed", "converted"]
    assert Manifest.read(out / "a" / "episode_10").source.messages == 4


def test_names_that_would_meet_keep_their_endings(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in ("x.hdf5", "x.h5", "y.h5"):
        hdf5logs.aloha(folder / name, 2, ("cam",))
    (folder / "z").mkdir()
    hdf5logs.aloha(folder / "z" / "x.h5", 2, ("cam",))
    hdf5logs.aloha(folder / "z.h5", 2, ("cam",))
    report = convert_folder(folder, tmp_path / "out")
    assert {entry.log: entry.out for entry in report.logs} == {
        "x.h5": "x.h5",
        "x.hdf5": "x.hdf5",
        "y.h5": "y",
        "z/x.h5": "z/x",
        "z.h5": "z.h5",
    }
    assert report.lossless


def test_datasets_are_not_converted_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    hdf5logs.aloha(folder / "x.hdf5", 2, ("cam",))
    mrt.convert(folder / "x.hdf5", folder / "made")
    assert [entry.log for entry in convert_folder(folder, tmp_path / "out").logs] == ["x.hdf5"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    hdf5logs.aloha(folder / "x.hdf5", 2, ("cam",))
    (folder / "again").symlink_to(folder)
    assert len(convert_folder(folder, tmp_path / "out").logs) == 1


@pytest.mark.parametrize("out", ["logs", "logs/inner", "."])
def test_folders_within_each_other_are_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "logs").mkdir()
    hdf5logs.aloha(tmp_path / "logs" / "x.hdf5", 2, ("cam",))
    with pytest.raises(OutputError, match="may not lie in each other"):
        convert_folder(tmp_path / "logs", tmp_path / out)


def test_folder_without_logs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    with pytest.raises(LogNotFound, match="holds no log"):
        convert_folder(tmp_path / "logs", tmp_path / "out")


def test_which_paths_are_batches(tmp_path: Path) -> None:
    folder = episodes(tmp_path / "episodes")
    assert holds_logs(folder)
    assert not holds_logs(folder / "drive")
    assert not holds_logs(folder / "a" / "episode_1.hdf5")
    assert not holds_logs(folder / "nothing")
