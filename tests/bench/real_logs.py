"""Converts recorded logs and writes docs/real-logs.md: size before and after, PSNR, seconds, and the proof.

`python -m tests.bench.real_logs`; the logs are found through MEDIAREF_LOGS.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mediaref_tools as mrt
from tests.reallogs import FOUND, ROOT

LOGS = (
    "mcap/dashcam_27s_ros2_zstd.mcap",
    "mcap/so101_ros2_zstd.mcap",
    "mcap/so101_ros2_unchunked.mcap",
    "mcap/foxglove_proto_zstd.mcap",
    "ros1/wrist_bgr8_bz2.bag",
    "ros1/handheld_rgbd_jpeg_cdepth.bag",
    "ros1/multi_encoding_lz4.bag",
    "ros2/handheld_sqlite3_v9",
    "ros2/gopro_nometa/gopro_0.db3",
    "ros2/handheld_filezstd",
    *(f"found/{name}" for name in FOUND),
)
DAMAGED = ("ros1/unindexed_lz4.bag.active", "mcap/truncated_zstd.mcap")
SOME = ("mcap/dashcam_27s_ros2_zstd.mcap", "mcap/so101_ros2_zstd.mcap", "ros1/handheld_rgbd_jpeg_cdepth.bag")
CHOICES = {
    "h264": mrt.Settings(),
    "to train": mrt.Settings(purpose="train"),
    "av1": mrt.Settings(codec="av1"),
    "for archive": mrt.Settings(purpose="archive"),
    "copy": mrt.Settings(codec="copy"),
    "lossless, depth ffv1": mrt.Settings(codec="lossless", depth="ffv1"),
    "min-psnr 38": mrt.Settings(min_psnr_db=38),
    "av1, min-psnr 38": mrt.Settings(codec="av1", min_psnr_db=38),
    "min-psnr 45": mrt.Settings(min_psnr_db=45),
    "min-ssim 0.97": mrt.Settings(min_ssim=0.97),
    "target-size 0.1": mrt.Settings(target_ratio=0.1),
    "min-psnr 60": mrt.Settings(min_psnr_db=60),
}
PAGE = Path(__file__).parents[2] / "docs" / "real-logs.md"


def row(relative: str, codec: str, folder: Path) -> str:
    """Convert, verify against the source, read every frame back; one line of the table."""
    log, out = ROOT / relative, folder / codec / relative.replace("/", "_")
    out.parent.mkdir(exist_ok=True)
    report = mrt.convert(log, out, settings=CHOICES[codec])
    proof = mrt.verify(out, against=log)
    with mrt.open_dataset(out) as dataset:
        read = sum(len(batch) for topic in dataset.values() for batch in topic.batches(16))
    if not proof.ok or read + report.embedded < report.frames:
        raise SystemExit(f"{relative}: {proof}, {read} frames read back")
    kept = sum(topic.messages for topic in report.kept)
    images_in = sum(topic.bytes_in for topic in report.topics)
    images_out = sum(topic.bytes_out for topic in report.topics)
    lowest = min((topic.psnr_p1_db for topic in report.topics if topic.psnr_p1_db is not None), default=None)
    return " | ".join(
        [
            f"| {relative}",
            codec if report.topics else "-",
            f"{report.messages_in}",
            f"{report.frames}",
            f"{report.wrong}",
            f"{report.missing}",
            f"{report.embedded}",
            f"{kept}",
            f"{report.bytes_in / 1e6:.2f}",
            f"{report.bytes_out / 1e6:.2f}",
            f"{images_out / images_in:.1%}" if images_in else "-",
            "-" if lowest is None else f"{lowest:.1f}",
            f"{report.seconds:.1f} |",
        ]
    )


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as name:
        rows = [row(log, "h264", Path(name)) for log in (*LOGS, *DAMAGED)]
        rows += [row(log, codec, Path(name)) for codec in CHOICES if codec != "h264" for log in SOME]
    names = ("log", "choice", "messages", "frames", "wrong", "missing", "embedded", "kept", "MB before", "MB after")
    head = " | ".join((*names, "images", "p1 dB", "s"))
    PAGE.write_text(
        "\n".join(
            [
                "# Recorded logs",
                "",
                "Each log is converted with the defaults, and some with other choices, verified against its source,",
                "and every frame is read back. `frames` are references, proved one by one; `kept` are image",
                "messages that stay as they were, depth that the reader decodes from the log among them; `images`",
                "is the size of the converted pictures as video, against their messages; `p1 dB` the first",
                "percentile of luma PSNR of the worst topic; `s` the seconds of conversion and proof.",
                "",
                f"Made by `python -m tests.bench.real_logs` on {os.cpu_count()} cores, PyAV {mrt_av()}.",
                "",
                f"| {head} |",
                "|---|---|" + "--:|" * (head.count("|") - 1),
                *rows,
                "",
            ]
        ),
        encoding="utf-8",
    )


def mrt_av() -> str:
    """PyAV's version."""
    from importlib.metadata import version

    return version("av")


if __name__ == "__main__":
    main()
