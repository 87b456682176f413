"""`mediaref converters`."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Run


def plugin(folder: Path, name: str, module: str) -> None:
    """An installed distribution with one converter, as pip would leave it."""
    info = folder / "strange_converter-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-converter\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[mediaref_tools.converters]\n{name} = {module}:Strange\n")


def test_built_in(mediaref: Run) -> None:
    done = mediaref("converters")
    assert done.returncode == 0
    for name in ("mcap", "rosbag1", "rosbag2-mcap", "rosbag2-sqlite3"):
        row = next(line.split() for line in done.stdout.splitlines() if line.split()[:1] == [name])
        assert row[1] == "mediaref-tools"
        assert row[3] == "ready"


def test_broken_one_is_named_and_exits_with_1(mediaref: Run, tmp_path: Path) -> None:
    plugin(tmp_path, "strange", "nowhere_to_be_found")
    done = mediaref("converters", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("strange"))
    assert row == ["strange", "strange-converter", "1.2", "broken"]
    assert "No module named 'nowhere_to_be_found'" in done.stdout
    assert "mcap" in done.stdout
    listed = json.loads(mediaref("converters", "--json", PYTHONPATH=str(tmp_path)).stdout)
    assert {row["name"]: row["error"] is None for row in listed}["strange"] is False
    assert {row["name"]: row["error"] is None for row in listed}["mcap"] is True


def test_name_claimed_twice(mediaref: Run, tmp_path: Path) -> None:
    plugin(tmp_path, "mcap", "somewhere")
    done = mediaref("converters", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "claimed by" in done.stdout
