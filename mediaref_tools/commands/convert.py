"""`mediaref convert`: a log into a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from mediaref_tools.commands import exits
from mediaref_tools.commands.conditions import condition_options, settle
from mediaref_tools.commands.files import check_place, write
from mediaref_tools.commands.params import (
    H264_WORST_CRF,
    PATH,
    RATE,
    SECONDS,
    SHARD,
    TOPIC_CODEC,
    html_option,
    json_option,
    overwrite_option,
    quiet_option,
    topic_option,
)
from mediaref_tools.segments.tuning import DEFAULT_CODEC

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchReport
    from mediaref_tools.report import Report

__all__ = ["command"]


@click.command(short_help="Turn a log's pictures into video and keep everything else.")
@click.argument("inputs", metavar="INPUT...", type=PATH, nargs=-1, required=True)
@click.option("--out", metavar="DIR", type=PATH, help="The dataset's folder: made whole, or not at all.  [required]")
@topic_option("Convert image topics that match; may be given several times.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave image topics that match as they are.")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["play", "train", "archive"]),
    default="play",
    show_default=True,
    help="What the dataset is for. train: decoded twice as fast, larger. archive: smallest, much slower to make.",
)
@click.option(
    "--codec",
    type=click.Choice(["h264", "av1", "copy", "lossless"]),
    help="What pictures become. copy: JPEG and PNG files as they are, all else lossless. lossless: JPEG as it is. "
    "[default: h264; av1 for archive]",
)
@click.option(
    "--crf",
    type=click.IntRange(0, 63),
    help="Quality, less is better. [default: 23 for h264, 22 to train; 30 for av1]",
)
@click.option(
    "--min-psnr",
    metavar="DB",
    type=click.FloatRange(20, 100),
    help="Instead of --crf: the cheapest of each segment whose PSNR, first percentile over frames, is at least this.",
)
@click.option(
    "--min-ssim",
    metavar="X",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="The same of SSIM, or of both.",
)
@click.option(
    "--target-size",
    metavar="RATIO",
    type=click.FloatRange(0, 1, min_open=True),
    help="Instead of --crf: the best of each segment that takes at most this part of its pictures' bytes.",
)
@click.option(
    "--gop",
    type=click.IntRange(1, 1000),
    help="Frames from keyframe to keyframe. [default: 15; 10 to train, 60 for archive]",
)
@click.option(
    "--topic-codec",
    "topic_codecs",
    metavar="GLOB=CODEC[,crf=N][,gop=N]",
    type=TOPIC_CODEC,
    multiple=True,
    help="Another choice for some topics, or keep, to leave them; may be given several times, the last one counts.",
)
@click.option(
    "--depth",
    type=click.Choice(["keep", "ffv1"]),
    help="ffv1: lossless video of compressedDepth too. keep: none of 16-bit gray. "
    "[default: 16-bit gray as ffv1, compressedDepth as it is]",
)
@click.option("--debayer", is_flag=True, help="Make colour video of Bayer mosaics, instead of keeping them lossless.")
@click.option(
    "--record",
    type=click.Choice(["typed", "string"]),
    default="typed",
    show_default=True,
    help="What stands where a picture was: a typed message that keeps its header, or a String of JSON.",
)
@click.option(
    "--segment", metavar="SECONDS", type=SECONDS, default="60", show_default=True, help="Length of one video file."
)
@click.option("--fps", metavar="RATE", type=RATE, help="Pictures a second, for an HDF5 file that does not say when.")
@click.option("--profile", metavar="NAME", help="What an HDF5 file follows: aloha, agilex, robomimic or libero.")
@click.option("--swap-rb", is_flag=True, help="Correct an HDF5 file's pictures in which red and blue are swapped.")
@click.option(
    "--dry-run", is_flag=True, help="Only show what would be done, and the size to expect; no --out is needed."
)
@click.option("--report", "report_file", metavar="FILE", type=PATH, help="Write what was done to FILE, as JSON.")
@html_option("Write what was done to FILE, as one page of HTML with plots and the worst frames.")
@json_option("Print what was done as JSON.")
@overwrite_option("Replace the dataset at DIR, once the new one is whole.")
@click.option(
    "--resume/--no-resume",
    default=True,
    show_default=True,
    help="Go on with what a run of the same conversion that was stopped has finished, or throw it away.",
)
@click.option(
    "--jobs", metavar="N", type=click.IntRange(1), default=1, show_default=True, help="How many logs at once."
)
@click.option("--shard", metavar="I/N", type=SHARD, help="Convert only the Ith of N parts of the logs, from 1 on.")
@click.option(
    "--delete-source",
    is_flag=True,
    help="Delete each log once its dataset is there, and was proved against it again; if nothing was lost.",
)
@condition_options()
@quiet_option()
def command(
    inputs: tuple[Path, ...],
    out: Path | None,
    topics: tuple[str, ...],
    exclude: tuple[str, ...],
    purpose: Literal["play", "train", "archive"],
    codec: Literal["h264", "av1", "copy", "lossless"] | None,
    crf: int | None,
    min_psnr: float | None,
    min_ssim: float | None,
    target_size: float | None,
    gop: int | None,
    topic_codecs: tuple[dict[str, Any], ...],
    depth: Literal["keep", "ffv1"] | None,
    debayer: bool,
    record: Literal["typed", "string"],
    segment: int,
    fps: str | None,
    profile: str | None,
    swap_rb: bool,
    dry_run: bool,
    report_file: Path | None,
    html_file: Path | None,
    as_json: bool,
    overwrite: bool,
    resume: bool,
    jobs: int,
    shard: tuple[int, int] | None,
    delete_source: bool,
    max_ratio: float | None,
    no_loss: bool,
    junit_file: Path | None,
    quiet: bool,
) -> None:
    """Turn the pictures of a log into video, and keep everything else as it is.

    INPUT is a ROS 1 bag, a rosbag2 folder or file, an MCAP file or an HDF5 episode; it is never changed. DIR gets the
    same log with references in the place of pictures, and the video. Every reference is decoded and compared before
    DIR appears. Of several INPUTs, and of a folder of logs, each log becomes a dataset in DIR.

    What 8-bit video would lose is coded without loss: 16-bit images, Bayer mosaics, transparency. A camera's own video
    is not coded anew. Floats and what no video holds is kept.

    Stopped at any moment, nothing is at DIR, and the same command goes on from what is finished in DIR.partial.

    Exits with 3 where a picture or topic had to stay as it was, the log was not whole, a quality or size could not be
    reached, what was demanded does not hold, or a log that was to be deleted stays: the result says which.
    """
    codec = codec or DEFAULT_CODEC[purpose]
    if codec == "h264" and crf is not None and crf > H264_WORST_CRF:
        raise click.BadParameter(f"{crf} is not in the range 0<=x<={H264_WORST_CRF} of h264.", param_hint="'--crf'")
    floor = min_psnr is not None or min_ssim is not None
    if (crf is not None) + floor + (target_size is not None) > 1:
        raise click.UsageError("Of --crf, a floor (--min-psnr, --min-ssim) and --target-size only one can be given.")
    if codec not in ("h264", "av1") and not topic_codecs and (floor or target_size is not None):
        raise click.UsageError(f"--codec {codec} loses nothing: there is no quality to choose.")
    if out is None and not dry_run:
        raise click.UsageError("Missing option '--out'.")
    if dry_run and (len(inputs) > 1 or shard or delete_source or max_ratio is not None or no_loss or junit_file):
        raise click.UsageError("--dry-run is of one INPUT, and makes nothing that could be checked or deleted.")
    if dry_run and html_file:
        raise click.UsageError("--dry-run makes nothing that a page of --html could show.")
    check_place(report_file, "--report", made=out)
    check_place(html_file, "--html", made=out)

    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.batches import show_batch, show_stays
    from mediaref_tools.commands.consoles import echo_json, error_console, output_console
    from mediaref_tools.commands.conversions import show_preview, show_report
    from mediaref_tools.conversion import removal
    from mediaref_tools.conversion.batch import BatchReport, convert_log, convert_logs
    from mediaref_tools.conversion.conversion import convert
    from mediaref_tools.conversion.inputs import holds_logs
    from mediaref_tools.conversion.preview import preview
    from mediaref_tools.dataset.manifest import Settings, TopicCodec
    from mediaref_tools.gate import Conditions, gate

    settings = Settings(
        topics=topics or ("*",),
        exclude=exclude,
        purpose=purpose,
        codec=codec,
        crf=crf,
        **({} if gop is None else {"gop": gop}),
        topic_codecs=tuple(TopicCodec(**one) for one in topic_codecs),
        debayer=debayer,
        depth=depth,
        record=record,
        segment_ns=segment,
        fps=fps,
        profile=profile,
        swap_rb=swap_rb,
        min_psnr_db=min_psnr,
        min_ssim=min_ssim,
        target_ratio=target_size,
    )
    if dry_run or out is None:
        show_preview(preview(inputs[0], settings=settings), as_json=as_json)
        return
    report: Report | BatchReport
    stays: str | None = None
    with progress_bar(quiet=quiet) as on_progress:
        if len(inputs) > 1 or shard or holds_logs(inputs[0]):
            report = convert_logs(
                inputs,
                out,
                settings=settings,
                overwrite=overwrite,
                resume=resume,
                jobs=jobs,
                shard=shard or (1, 1),
                delete_source=delete_source,
                on_progress=on_progress,
            )
        elif delete_source:
            report = convert_log(
                inputs[0], out, on_progress, settings=settings, overwrite=overwrite, resume=resume
            ).report
            _write(report, report_file, html_file)  # while the log's pictures are there to be shown
            stays = removal.delete_source(inputs[0], out, report, on_progress)
        else:
            report = convert(
                inputs[0], out, settings=settings, overwrite=overwrite, resume=resume, on_progress=on_progress
            )
    if stays is None:
        _write(report, report_file, html_file)
    if as_json:
        echo_json(report)
    elif isinstance(report, BatchReport):
        show_batch(report, quiet=quiet)
    elif not quiet:
        show_report(report)
    is_kept = show_stays(report, stays)
    holds = True
    if max_ratio is not None or no_loss or junit_file is not None:
        checks = gate(report, Conditions(max_ratio, no_loss=no_loss))
        holds = settle(checks, junit_file, error_console() if as_json else output_console())
    if isinstance(report, BatchReport) and report.failed:
        click.get_current_context().exit(exits.FAILED)
    if not report.lossless or is_kept or not holds:
        click.get_current_context().exit(exits.INCOMPLETE)


def _write(report: Report | BatchReport, report_file: Path | None, html_file: Path | None) -> None:
    from mediaref_tools.commands.consoles import json_text

    if report_file is not None:
        write("the dataset is made, but its report", report_file, json_text(report))
    if html_file is not None:
        from mediaref_tools.webreport.page import html_report

        write("the dataset is made, but its page", html_file, html_report(report))
