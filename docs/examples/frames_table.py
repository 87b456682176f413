"""The frames table is plain Parquet: here, the ten worst frames of a dataset by PSNR, without decoding anything."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq

import mediaref_tools as mrt
from mediaref_tools.sample import make_sample

with tempfile.TemporaryDirectory() as folder:
    log = make_sample(Path(folder) / "robot.bag", container="rosbag1", seconds=2)
    mrt.convert(log, Path(folder) / "dataset", settings=mrt.Settings(codec="av1"))
    table = pq.read_table(Path(folder) / "dataset" / "frames.parquet", columns=["topic", "index", "media", "psnr_db"])
    for row in table.sort_by("psnr_db").slice(0, 10).to_pylist():
        print(f"{row['psnr_db']:.2f} dB  {row['topic']} frame {row['index']}  {row['media']}")
