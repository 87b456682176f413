"""Conversions that are killed at random moments and run again: the dataset is that of an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediaref_tools import Settings, convert
from mediaref_tools.dataset.manifest import Manifest
from tests.conversion.mixedlog import SEGMENT_NS, mixed_log
from tests.converters import hdf5logs

if sys.platform == "win32":
    pytest.skip("processes are forked", allow_module_level=True)

ROOT = Path(__file__).parents[2]


def killed(folder: Path, log: Path, kills: int, **more: Any) -> dict[str, int]:
    """Let a process of its own do it: this one has threads, and can't be forked."""
    (folder / "work").mkdir()
    asked = {"log": str(log), "folder": str(folder / "work"), "kills": kills, "seed": 20261125, **more}
    done = subprocess.run(
        [sys.executable, "-m", "tests.conversion.kills", json.dumps(asked)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    assert found["killed"] >= kills * 2 / 3, "of those by the clock, some may have come too late"
    return found


def test_killed_at_fifty_moments(tmp_path: Path) -> None:
    log = mixed_log(tmp_path / "source")
    settings = Settings(segment_ns=SEGMENT_NS)
    convert(log, tmp_path / "look", settings=settings)
    manifest = Manifest.read(tmp_path / "look")
    assert {entry.topic: entry.codec for entry in manifest.topics} == {
        "/camera": "h264",
        "/range": "ffv1",
        "/right": "h264",
        "/video": "h264",
    }
    assert all(entry.embedded for entry in manifest.topics if entry.topic in ("/camera", "/video"))
    assert manifest.kept
    found = killed(tmp_path, log, 50, settings={"segment_ns": SEGMENT_NS})
    assert found["resumed"] >= 10
    assert found["whole"] >= 3, "none was killed behind the rename"


@pytest.mark.parametrize("kind", ["rosbag2-sqlite3", "hdf5"])
def test_killed_over_other_containers(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "hdf5":
        source.mkdir()
        log = hdf5logs.aloha(source / "episode.hdf5", 12)
        settings: dict[str, Any] = {"segment_ns": 100_000_000, "fps": "50"}
    else:
        log, settings = mixed_log(source, "rosbag2-sqlite3"), {"segment_ns": SEGMENT_NS}
    assert killed(tmp_path, log, 9, settings=settings)["resumed"] >= 1


def test_killed_while_it_replaces_a_dataset(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    log = hdf5logs.aloha(source / "episode.hdf5", 6)
    convert(log, tmp_path / "old", settings=Settings(gop=2, fps="50"))
    found = killed(tmp_path, log, 10, settings={"fps": "50"}, old=str(tmp_path / "old"))
    assert found["between"], "none was killed between the two renames"
    assert found["whole"]
