"""Logs and datasets that the commands' tests share, and ways to run a command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.sample import make_sample

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def sample_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of two cameras, an IMU and transforms."""
    return make_sample(tmp_path_factory.mktemp("sample") / "sample.mcap", container="mcap", seconds=1)


@pytest.fixture(scope="session")
def sample_dataset(sample_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of it."""
    out = tmp_path_factory.mktemp("dataset") / "dataset"
    convert(sample_log, out)
    return out


@pytest.fixture
def mediaref() -> Run:
    """Run `mediaref` as a process of its own, with nothing but pipes around it."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
        return subprocess.run(
            [sys.executable, "-m", "mediaref_tools", *map(str, arguments)],
            capture_output=True,
            text=True,
            env={**inherited, **environment},
            timeout=120,
            check=False,
        )

    return run
