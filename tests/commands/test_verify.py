"""`mediaref verify`."""

from __future__ import annotations

import shutil
from pathlib import Path

from mediaref_tools.report import VerifyReport

from .conftest import Run


def test_whole(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("verify", sample_dataset)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "every reference shows its frame" in done.stdout
    assert "44: 0 wrong, 0 missing" in done.stdout
    assert "compared" not in done.stdout


def test_against_its_log(mediaref: Run, sample_dataset: Path, sample_log: Path) -> None:
    done = mediaref("verify", sample_dataset, "--against", sample_log)
    assert done.returncode == 0
    assert "121 compared, 0 different" in done.stdout


def test_json(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("verify", sample_dataset, "--json")
    assert done.returncode == 0
    assert VerifyReport.model_validate_json(done.stdout).frames == 44


def damaged(dataset: Path, copy: Path) -> Path:
    """A copy in which the middle of one segment is overwritten."""
    shutil.copytree(dataset, copy)
    segment = next(copy.glob("media/*left*/*.mp4"))
    data = bytearray(segment.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    segment.write_bytes(data)
    return copy


def test_damaged_is_told_on_stdout_and_exits_with_1(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    copy = damaged(sample_dataset, tmp_path / "copy")
    done = mediaref("verify", copy)
    assert done.returncode == 1
    assert done.stderr == ""
    assert "NOT as it should be" in done.stdout
    assert "media/camera-left-image_raw-compressed/000000.mp4" in done.stdout
    assert mediaref("verify", copy, "--quiet").returncode == 1
    report = VerifyReport.model_validate_json(mediaref("verify", copy, "--json").stdout)
    assert report.problems


def test_no_dataset(mediaref: Run, tmp_path: Path) -> None:
    done = mediaref("verify", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
