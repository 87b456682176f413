"""`mediaref check`, by itself and as a hook of pre-commit."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from mediaref_tools.commands.params import BYTES
from mediaref_tools.conversion.conversion import convert
from mediaref_tools.sample import make_sample
from mediaref_tools.unshrunk import unshrunk
from tests.camera.cameras import recording
from tests.conversion.test_camera import recording_log
from tests.smalllogs import camera, log_of, text, times

from .conftest import Run

ROOT = Path(__file__).parents[2]
HOOK = YAML(typ="safe").load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))[0]


def test_a_log_with_pictures_is_refused_and_its_dataset_is_not(mediaref: Run, tmp_path: Path) -> None:
    log = make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    convert(log, tmp_path / "out")
    done = mediaref("check", log, tmp_path / "out/a.mcap", ROOT / "README.md", "--max-size", "100kB")
    assert done.returncode == 3
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith(f"{log}: ")
    assert "/camera/" in done.stdout
    assert "mediaref convert" in done.stdout
    assert mediaref("check", tmp_path / "out/a.mcap", "--max-size", "1kB").returncode == 0


@pytest.mark.parametrize("container", ["rosbag1", "mcap"])
def test_it_is_pictures_that_are_counted(tmp_path: Path, container: str) -> None:
    talk = [text("/talk", time, "x" * 3000) for time in times(20)]
    images = camera("/a", 10) + camera("/b", 10, encoding="rgb8")
    log = log_of(tmp_path, container, talk + images)  # type: ignore[arg-type]
    found = unshrunk(log, 1000)
    assert found is not None
    assert found.topics == ("/a", "/b")
    assert found.bytes == sum(topic.bytes_in for topic in convert(log, tmp_path / "out").topics)
    assert unshrunk(log, found.bytes) is None
    assert unshrunk(log, min(found.bytes, log.stat().st_size) - 1) == found


def test_a_camera_s_own_video_may_stay(tmp_path: Path) -> None:
    log = recording_log(tmp_path, recording("h264"))
    assert log.stat().st_size > 1000
    assert unshrunk(log, 0) is None


def test_what_can_not_be_read_is_told_and_the_rest_looked_at(mediaref: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.bag").write_bytes(b"#ROSBAG V1.2\n" + bytes(9000))
    log = make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    done = mediaref("check", tmp_path / "bad.bag", log, "--max-size", "1kB")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'bad.bag'}: ")
    assert done.stderr.count("\n") == 1
    assert "a.mcap" in done.stdout


@pytest.mark.parametrize(
    ("said", "meant"), [("5MB", 5_000_000), ("0", 0), ("1.5 kB", 1500), ("2GiB", 2**31), ("7 mib", 7 * 2**20)]
)
def test_sizes(said: str, meant: int) -> None:
    assert BYTES.convert(said, None, None) == meant


@pytest.mark.parametrize("said", ["", "MB", "-1MB", "5 bananas", "1e3kB", "0.3B", "nan"])
def test_no_size(mediaref: Run, said: str) -> None:
    assert mediaref("check", ROOT / "README.md", "--max-size", said).returncode == 2


def test_the_hook_keeps_a_commit_from_being_made(tmp_path: Path) -> None:
    """As pre-commit runs it: the entry, with the names of the files that are added and match."""

    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
        done = subprocess.run(["git", *identity, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else f"failed: {done.stderr}{done.stdout}"

    git("init", "-q")
    tool, *rest = shlex.split(HOOK["entry"])
    assert tool == "mediaref"
    command = shlex.join([sys.executable, "-m", "mediaref_tools", *rest, "--max-size", "10kB"])
    hook = tmp_path / ".git/hooks/pre-commit"
    pattern = shlex.quote(HOOK["files"].replace(r"\.", "[.]"))
    hook.write_text(f"#!/bin/sh\ngit diff --cached --name-only -z | grep -zE {pattern} | xargs -0 -r {command}\n")
    hook.chmod(0o755)
    (tmp_path / "notes.txt").write_text("x" * 100_000)
    git("add", "notes.txt")
    assert not git("commit", "-qm", "notes").startswith("failed")
    make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    git("add", "a.mcap")
    refused = git("commit", "-qm", "log")
    assert refused.startswith("failed")
    assert "a.mcap" in refused
    assert git("log", "--format=%s").split() == ["notes"]


@pytest.mark.parametrize("name", ["a.bag", "b/c.mcap", "x.db3", "x.db3.zst", "e.hdf5", "e.h5", "a.bag.gz"])
def test_the_hook_looks_at_every_kind_of_log(name: str) -> None:
    assert re.search(HOOK["files"], name)
    assert not re.search(HOOK["files"], "a.mcap.txt")
