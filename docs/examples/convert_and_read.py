"""Make a small log, convert it, and read frames back: by index, by log time, and from two cameras in step."""

from __future__ import annotations

import tempfile
from pathlib import Path

import mediaref_tools as mrt
from mediaref_tools.sample import frame_number, make_sample

with tempfile.TemporaryDirectory() as folder:
    log = make_sample(Path(folder) / "robot.mcap", container="mcap", seconds=2)
    report = mrt.convert(log, Path(folder) / "dataset")
    print(f"{report.frames} references, {report.wrong} wrong, {report.missing} missing; {report.ratio:.0%} of the size")

    with mrt.open_dataset(Path(folder) / "dataset") as dataset:
        left = dataset["/camera/left/image_raw/compressed"]
        batch = left.batch([0, 10, 20, 10])
        print(batch, [frame_number(picture) for picture in batch.data])

        half_a_second_in = left.log_times_ns[0] + 500_000_000
        shown = left.at([half_a_second_in])[0]
        print("on screen after 0.5 s: frame", shown.index, shown.ref.to_json())

        cameras = list(dataset)
        for log_time_ns, frames in dataset.sync(cameras, every_ns=500_000_000):
            print(log_time_ns, {name: frame.index for name, frame in frames.items() if frame is not None})
