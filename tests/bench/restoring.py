"""Converts recorded logs in each codec mode, restores them, compares, and writes the tables of docs/restoring.md.

`python -m tests.bench.restoring`; the logs are found through MEDIAREF_LOGS, and left out where they are not.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args
from unittest import mock

import numpy as np
import pyarrow.parquet as pq

import mediaref_tools as mrt
from mediaref_tools.conversion import ledger
from mediaref_tools.dataset.framerow import digest_of
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.plugins import open_log
from mediaref_tools.staging import folder_bytes
from tests.reallogs import ROOT

PAGE = Path(__file__).parents[2] / "docs" / "restoring.md"
MARK, END = "<!-- made by python -m tests.bench.restoring -->", "<!-- to here -->"
Mode = Literal["h264", "av1", "copy", "lossless"]
LOGS = (
    "ros1/handheld_rgbd_jpeg_cdepth.bag",
    "ros1/multi_encoding_lz4.bag",
    "ros1/wrist_bgr8_bz2.bag",
    "ros2/handheld_sqlite3_v9",
    "ros2/handheld_filezstd",
    "ros2/gopro_nometa",
    "mcap/dashcam_27s_ros2_zstd.mcap",
    "mcap/so101_ros2_zstd.mcap",
    "mcap/so101_ros2_unchunked.mcap",
    "mcap/foxglove_proto_zstd.mcap",
    "found/klintan_2019/sample_2019-03-22.db3",
    "found/rerun/rosbag2_2025_09_10-13_03_56_0.mcap",
    "hdf5/aloha_raw_episode_0.hdf5",
    "hdf5/robomimic_image.hdf5",
)
COSTS = ("mcap/dashcam_27s_ros2_zstd.mcap", "ros1/wrist_bgr8_bz2.bag", "hdf5/robomimic_image.hdf5")
ADDED = ("source_layout", "source_rest", "source_envelope", "source_digest")


def settings(log: str, codec: Mode) -> mrt.Settings:
    """How a log is converted; nothing in robomimic's file tells its rate."""
    return mrt.Settings(codec=codec, fps="20" if "robomimic" in log else None)


def content(path: Path, opening: Any) -> Counter[Any]:
    """All messages of a log, with all that their channels say."""
    with open_log(path, opening) as log:
        return Counter(
            (
                message.channel.topic,
                message.channel.type,
                message.channel.definition,
                tuple(sorted(message.channel.attributes.items())),
                *message[1:4],
                bytes(message.data),
            )
            for message in log.messages()
        )


def trips(folder: Path) -> list[str]:
    """The table of logs and codecs."""
    lines = [
        "| log | codec | messages | the same | same pixels | re-encoded | other | log, MB | dataset | restored | s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for relative in LOGS:
        log = ROOT / relative
        for codec in get_args(Mode):
            out = folder / f"{relative.replace('/', '_')}-{codec}"
            asked = settings(relative, codec)
            made = mrt.convert(log, out / "dataset", settings=asked)
            report = mrt.restore(out / "dataset", out / f"again{log.suffix}", verify=True)
            before, after = content(log, asked.opening), content(out / f"again{log.suffix}", asked.opening)
            same = (before & after).total()
            pixels, near = (sum(getattr(topic, name) for topic in report.topics) for name in ("pixels", "near"))
            different = before.total() - same - pixels - near
            assert report.kept_its_word, report
            sizes = f"{made.bytes_in / 1e6:.2f} | {made.bytes_out / 1e6:.2f} | {report.bytes / 1e6:.2f}"
            lines.append(
                f"| {relative} | {codec} | {before.total()} | {same} | {pixels} | {near} | {different} | {sizes} "
                f"| {report.seconds:.1f} |"
            )
    return lines


def costs(folder: Path) -> list[str]:
    """What a conversion takes and writes to make all this possible."""
    lines = [
        "| log | frames | bytes a frame | of the dataset | hashes, of a conversion's CPU time |",
        "|---|--:|--:|--:|--:|",
    ]
    for number, relative in enumerate(COSTS):
        asked = settings(relative, "h264")
        spent = [0.0]
        begun = time.process_time()
        with mock.patch.object(ledger, "digest_of", timed(digest_of, spent)):
            report = mrt.convert(ROOT / relative, folder / f"cost{number}", settings=asked)
        taken = time.process_time() - begun
        extra = added_bytes(folder / f"cost{number}", folder / f"without{number}.parquet")
        lines.append(
            f"| {relative} | {report.frames} | {extra / report.frames:.0f} | "
            f"{100 * extra / folder_bytes(folder / f'cost{number}'):.2f} % | {100 * spent[0] / taken:.1f} % |"
        )
    return lines


def timed(function: Callable[[Any], bytes], spent: list[float]) -> Callable[[Any], bytes]:
    """The same function, which adds up its time."""

    def run(data: Any) -> bytes:
        begun = time.thread_time()
        try:
            return function(data)
        finally:
            spent[0] += time.thread_time() - begun

    return run


def added_bytes(dataset: Path, out: Path) -> int:
    """By how much the frames table is larger than without what messages are restored of."""
    table = FramesTable(dataset)
    table.with_psnr({topic: np.asarray(table.psnr_db(topic)) for topic in table.topics}, out)
    whole = out.stat().st_size
    groups = pq.ParquetFile(out).metadata
    columns = [groups.row_group(at).column(n) for at in range(groups.num_row_groups) for n in range(groups.num_columns)]
    added = sum(column.total_compressed_size for column in columns if column.path_in_schema in ADDED)
    footer = groups.serialized_size * len(ADDED) // groups.num_columns
    assert whole > added + footer
    table.close()
    return int(added + footer)


def main() -> None:
    """Measure, and put the tables into the page."""
    with tempfile.TemporaryDirectory() as name:
        told = costs(Path(name))
        table = trips(Path(name))
    machine = f"{os.cpu_count()} cores, PyAV {version('av')}, rosbags {version('rosbags')}, mcap {version('mcap')}"
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(MARK)
    tail = rest.split(END)[1]
    body = "\n".join([MARK, "", *table, "", f"On {machine}.", "", *told, "", END])
    PAGE.write_text(head + body + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
