"""Limits are raised from outside: what is refused at first is read then."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mediaref_tools import limits
from tests.smalllogs import camera, log_of

DOCS = Path(__file__).parent.parent / "docs" / "recovery.md"


def convert(folder: Path, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    log = folder / "source.bag"
    if not log.exists():
        log_of(folder, "rosbag1", camera(count=3, size=(96, 128)))
    command = [sys.executable, "-m", "mediaref_tools", "convert", str(log), "--out", str(folder / name)]
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("said", ["12287", "100"])
def test_a_lower_limit_refuses_pictures(tmp_path: Path, said: str) -> None:
    found = convert(tmp_path, "out", MEDIAREF_MAX_PIXELS=said)
    assert found.returncode == 3
    assert "3 messages" in found.stdout or "kept" in found.stdout
    assert convert(tmp_path, "more", MEDIAREF_MAX_PIXELS="12288").returncode == 0
    assert convert(tmp_path, "usual").returncode == 0


@pytest.mark.parametrize("said", ["many", "-5", "0", "1.5", "1e9", "\u0663"])
def test_what_is_no_number_is_told_in_one_line(tmp_path: Path, said: str) -> None:
    found = convert(tmp_path, "out", MEDIAREF_MAX_PIXELS=said)
    assert found.returncode == 1
    assert re.fullmatch(r"mediaref: MEDIAREF_MAX_PIXELS is .*: expected a positive integer, .*\n", found.stderr)
    assert not (tmp_path / "out").exists()


def test_the_page_lists_every_limit() -> None:
    rows = re.findall(r"^\| `MEDIAREF_(\w+)` \| 2\^(\d+) \|", DOCS.read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == limits.__all__
    assert {name: 2 ** int(power) for name, power in rows} == {name: getattr(limits, name) for name in limits.__all__}
