"""`mediaref convert` of many logs: side by side, in parts, and deleted once they are proved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mediaref_tools.sample import make_sample

from .conftest import Run

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logs")
    for name in NAMES:
        make_sample(folder / f"{name}.mcap", container="mcap", seconds=0.2)
    return folder


@pytest.fixture
def logs(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "logs"))


def states(done: Any) -> dict[str, str]:
    return {Path(entry["log"]).stem: entry["state"] for entry in json.loads(done.stdout)["logs"]}


def there(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_jobs_convert_what_is_new_and_go_on_after_a_failure(mediaref: Run, logs: Path, tmp_path: Path) -> None:
    (logs / "c.mcap").rename(tmp_path / "c.mcap")
    (logs / "c.bag").write_bytes(b"#ROSBAG V2.0\n")
    out, report = tmp_path / "out", tmp_path / "report.json"
    done = mediaref("convert", logs, "--out", out, "--jobs", 2, "--report", report, "--json")
    assert done.returncode == 1
    assert states(done) == {"a": "converted", "b": "converted", "c": "failed", "d": "converted"}
    assert json.loads(report.read_text()) == json.loads(done.stdout)
    assert there(out) == {"a", "b", "d"}
    assert "c.bag" in json.loads(done.stdout)["logs"][2]["error"]
    assert "Traceback" not in done.stderr
    (logs / "c.bag").unlink()
    (tmp_path / "c.mcap").rename(logs / "c.mcap")
    again = mediaref("convert", logs, "--out", out, "--jobs", 2, "--json")
    assert again.returncode == 0
    assert states(again) == {"a": "present", "b": "present", "c": "converted", "d": "present"}


def test_shards_together_are_all_and_none_twice(mediaref: Run, logs: Path, tmp_path: Path) -> None:
    parts = []
    for number in (1, 2, 3):
        done = mediaref("convert", logs, "--out", tmp_path / "out", "--shard", f"{number}/3", "--json")
        assert done.returncode == 0
        parts.append(set(states(done)))
    assert sorted(name for part in parts for name in part) == sorted(NAMES)
    assert there(tmp_path / "out") == set(NAMES)


@pytest.mark.parametrize("jobs", [1, 2])
def test_sources_go_once_they_are_proved_and_stay_where_something_was_lost(
    mediaref: Run, logs: Path, tmp_path: Path, jobs: int
) -> None:
    whole = (logs / "b.mcap").read_bytes()
    (logs / "b.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    done = mediaref("convert", logs, "--out", tmp_path / "out", "--delete-source", "--jobs", jobs)
    assert done.returncode == 3
    assert there(logs) == {"b.mcap"}
    assert there(tmp_path / "out") == set(NAMES)
    assert "b.mcap" in done.stderr
    verified = mediaref("verify", tmp_path / "out" / "a")
    assert verified.returncode == 0


def test_jobs_shards_and_deletion_together(mediaref: Run, logs: Path, tmp_path: Path) -> None:
    left = set(NAMES)
    for number in (1, 2):
        options = ("--jobs", 2, "--shard", f"{number}/2", "--delete-source", "--no-loss", "--json")
        done = mediaref("convert", logs, "--out", tmp_path / "out", *options)
        assert done.returncode == 0, done.stderr
        left -= set(states(done))
        assert there(logs) == {f"{name}.mcap" for name in left}
    assert there(tmp_path / "out") == set(NAMES)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_a_shard_that_is_none_is_refused(mediaref: Run, logs: Path, tmp_path: Path, shard: str) -> None:
    done = mediaref("convert", logs, "--out", tmp_path / "out", "--shard", shard)
    assert done.returncode == 2
    assert "such as 1/8" in done.stderr
    assert not (tmp_path / "out").exists()
