"""Recorded logs to try things on: not part of the project, found through MEDIAREF_LOGS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("MEDIAREF_LOGS", Path(__file__).parents[2] / "shared" / "logs"))


def real_log(relative: str) -> Path:
    """The path of a recorded log, or skip the test that asks for it."""
    path = ROOT / relative
    if not path.exists():
        pytest.skip(f"recorded log {relative} is not here: set MEDIAREF_LOGS to the folder that holds it")
    return path


def truth() -> dict[str, Any]:
    """Image topics, counts, times and payload sha1 of every recorded log, written by whoever recorded them."""
    logs: dict[str, Any] = json.loads(real_log("truth.json").read_text())["logs"]
    return logs
