"""Recorded logs to try things on: not part of the project, found through MEDIAREF_LOGS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(os.environ.get("MEDIAREF_LOGS", Path(__file__).parents[2] / "shared" / "logs"))

FOUND = (
    "klintan_2019/sample_2019-03-22.db3",
    "ubiquity_fiducials/aruco_images.bag",
    "ubiquity_fiducials/aruco_marker.bag",
    "ros_numpy/test.bag",
    "rerun/rosbag2_2025_09_10-13_03_56_0.mcap",
    "geocam_rosbags_rs/test_bag_sqlite3",
    "geocam_rosbags_rs/test_bag_mcap",
    "rosbag2/wbag_sqlite3",
    "rosbag2/wbag_mcap",
    "rosbag2/message_compression",
    "rosbag2/file_compression",
    "rosbag2/multiple_files",
    "cruise_rosbagjs/example.bag",
    "cruise_rosbagjs/example-bz2.bag",
    "cruise_rosbagjs/example-lz4.bag",
    "cruise_rosbagjs/example-unsorted-chunks.bag",
    "cruise_rosbagjs/no-messages.bag",
    "tiryoh/test_sample.bag",
    "tiryoh/test_sample.mcap",
    "owamcap/0.5.1.mcap",
    "owamcap/example.mcap",
)
"""Logs that others recorded and stock readers can open, below `found/`."""


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
