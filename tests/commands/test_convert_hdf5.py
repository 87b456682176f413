"""`mediaref convert` and `info` of HDF5 files, and of folders of logs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.converters import hdf5logs

from .conftest import Run


def test_rate_is_demanded_taken_and_shown(mediaref: Run, tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5", 3, sim=False)
    done = mediaref("convert", log, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "--fps" in done.stderr
    done = mediaref("convert", log, "--out", tmp_path / "out", "--fps", "30000/1001", "--swap-rb")
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert (settings["fps"], settings["swap_rb"]) == ("30000/1001", True)
    assert mediaref("verify", tmp_path / "out", "--against", log).returncode == 0


def test_profile(mediaref: Run, tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5", 3, sim=False)
    done = mediaref("convert", log, "--out", tmp_path / "out", "--profile", "agilex", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frames"] == 6


@pytest.mark.parametrize("rate", ["0", "-1", "many", "1/0", "nan", "1001"])
def test_rate_that_is_none(mediaref: Run, tmp_path: Path, rate: str) -> None:
    done = mediaref("convert", "x.hdf5", "--out", tmp_path / "out", "--fps", rate)
    assert done.returncode == 2
    assert "is not a rate" in done.stderr


def test_info_says_what_was_found_and_why(mediaref: Run, tmp_path: Path) -> None:
    log = hdf5logs.aloha_compressed(tmp_path / "episode_0.hdf5", 3)
    shown = mediaref("info", log).stdout
    assert "observations/images/cam_high and 1 other:" in shown
    assert "jpeg files, told by the first bytes of row 0" in shown
    assert "50 a second, by ALOHA's layout" in shown
    assert "red and blue of its JPEGs are likely swapped" in shown
    told = json.loads(mediaref("info", log, "--json").stdout)
    assert len(told["channels"][0]["notes"]) == 1


def test_folder_of_episodes(mediaref: Run, tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    folder.mkdir()
    for number in range(3):
        hdf5logs.aloha(folder / f"episode_{number}.hdf5", 3)
    done = mediaref("convert", folder, "--out", tmp_path / "out", "--report", tmp_path / "report.json")
    assert done.returncode == 0, done.stderr
    assert "3 converted, 0 present before, 0 failed" in done.stdout
    assert "18 references proved" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["converted"] == 3
    again = mediaref("convert", folder, "--out", tmp_path / "out")
    assert (again.returncode, "0 converted, 3 present before" in again.stdout) == (0, True)


@pytest.mark.parametrize("quiet", [True, False])
def test_folder_with_one_that_fails(mediaref: Run, tmp_path: Path, quiet: bool) -> None:
    folder = tmp_path / "episodes"
    folder.mkdir()
    hdf5logs.aloha(folder / "episode_0.hdf5", 3)
    (folder / "episode_1.hdf5").write_bytes((folder / "episode_0.hdf5").read_bytes()[:-900])
    done = mediaref("convert", folder, "--out", tmp_path / "out", *(["-q"] if quiet else []))
    assert done.returncode == 1
    assert done.stderr.startswith("failed: episode_1.hdf5: file is cut")
    assert bool(done.stdout) != quiet
    assert (tmp_path / "out" / "episode_0" / "manifest.json").exists()


def test_folder_with_something_kept(mediaref: Run, tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    folder.mkdir()
    files = [hdf5logs.jpeg(each) for each in hdf5logs.pictures(range(3))]
    hdf5logs.vlen_jpeg(folder / "episode_0.hdf5", [files[0], files[1][:300], files[2]])
    done = mediaref("convert", folder, "--out", tmp_path / "out", "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["logs"][0]["report"]["embedded"] == 1
