"""`mediaref convert`: a log into a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from mediaref_tools.commands import exits, text
from mediaref_tools.commands.params import (
    PATH,
    RATE,
    SECONDS,
    json_option,
    overwrite_option,
    quiet_option,
    topic_option,
)

if TYPE_CHECKING:
    from mediaref_tools.conversion.batch import BatchReport
    from mediaref_tools.report import Report

__all__ = ["command"]

_H264_WORST_CRF = 51


@click.command(short_help="Turn a log's pictures into video and keep everything else.")
@click.argument("log", metavar="INPUT", type=PATH)
@click.option("--out", metavar="DIR", type=PATH, required=True, help="The dataset's folder: made whole, or not at all.")
@topic_option("Convert image topics that match; may be given several times.")
@click.option("--exclude", metavar="GLOB", multiple=True, help="Leave image topics that match as they are.")
@click.option(
    "--codec", type=click.Choice(["h264", "av1"]), default="h264", show_default=True, help="What the video is coded as."
)
@click.option("--crf", type=click.IntRange(0, 63), help="Quality, less is better. [default: 23 for h264, 30 for av1]")
@click.option(
    "--gop", type=click.IntRange(1, 1000), default=15, show_default=True, help="Frames from keyframe to keyframe."
)
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
@click.option("--report", "report_file", metavar="FILE", type=PATH, help="Write what was done to FILE, as JSON.")
@json_option("Print what was done as JSON.")
@overwrite_option("Replace the dataset at DIR, once the new one is whole.")
@quiet_option()
def command(
    log: Path,
    out: Path,
    topics: tuple[str, ...],
    exclude: tuple[str, ...],
    codec: Literal["h264", "av1"],
    crf: int | None,
    gop: int,
    record: Literal["typed", "string"],
    segment: int,
    fps: str | None,
    profile: str | None,
    swap_rb: bool,
    report_file: Path | None,
    as_json: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Turn the pictures of a log into video, and keep everything else as it is.

    INPUT is a ROS 1 bag, a rosbag2 folder or file, an MCAP file or an HDF5 episode; it is never changed. DIR gets the
    same log with references in the place of pictures, and the video. Every reference is decoded and compared before
    DIR appears. INPUT may be a folder of logs too: each becomes a dataset in DIR.

    Exits with 3 where a picture or topic had to stay as it was, or the log was not whole: the result says which.
    """
    if codec == "h264" and crf is not None and crf > _H264_WORST_CRF:
        raise click.BadParameter(f"{crf} is not in the range 0<=x<={_H264_WORST_CRF} of h264.", param_hint="'--crf'")
    if report_file is not None and not report_file.parent.is_dir() and out.resolve() != report_file.parent.resolve():
        raise click.BadParameter(f"there is no folder {str(report_file.parent)!r}.", param_hint="'--report'")

    from mediaref_tools.commands.bars import progress_bar
    from mediaref_tools.commands.batches import show_batch
    from mediaref_tools.commands.consoles import echo_json, json_text
    from mediaref_tools.conversion.batch import BatchReport, convert_folder, holds_logs
    from mediaref_tools.conversion.conversion import convert
    from mediaref_tools.dataset.manifest import Settings
    from mediaref_tools.errors import OutputError

    settings = Settings(
        topics=topics or ("*",),
        exclude=exclude,
        codec=codec,
        crf=crf,
        gop=gop,
        record=record,
        segment_ns=segment,
        fps=fps,
        profile=profile,
        swap_rb=swap_rb,
    )
    report: Report | BatchReport
    with progress_bar(quiet=quiet) as on_progress:
        if holds_logs(log):
            report = convert_folder(log, out, settings=settings, overwrite=overwrite, on_progress=on_progress)
        else:
            report = convert(log, out, settings=settings, overwrite=overwrite, on_progress=on_progress)
    if report_file is not None:
        try:
            report_file.write_text(json_text(report), encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(
                f"the dataset is made, but its report can't be written: {reason}: {report_file}"
            ) from error
    if as_json:
        echo_json(report)
    elif isinstance(report, BatchReport):
        show_batch(report, quiet=quiet)
    elif not quiet:
        _show(report)
    if isinstance(report, BatchReport) and report.failed:
        click.get_current_context().exit(exits.FAILED)
    if not report.lossless:
        click.get_current_context().exit(exits.INCOMPLETE)


def _show(report: Report) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import (
        Column,
        arrow,
        dot,
        embedded_note,
        kept_notes,
        loss_notes,
        notes,
        show_table,
    )

    console = output_console()
    if report.topics:
        columns = [
            Column("topic", "name"),
            Column("codec", "name"),
            Column("frames"),
            Column("size"),
            Column("ratio"),
            Column("PSNR / p1"),
        ]
        rows = [
            [
                topic.topic,
                topic.codec,
                text.count(topic.frames),
                text.change(topic.bytes_in, topic.bytes_out, arrow(console)),
                text.percent(topic.bytes_out / topic.bytes_in) if topic.bytes_in else "-",
                text.psnr(topic.psnr_mean_db, topic.psnr_p1_db),
            ]
            for topic in report.topics
        ]
        show_table(console, columns, rows)
        console.print()
        proved = f"proved: {text.plural(report.frames, 'reference')}, {report.wrong} wrong, {report.missing} missing"
    elif report.kept:
        proved = f"no topic became video: all {text.plural(report.messages_out, 'message')} are as they were"
    else:
        proved = f"no image topics to convert: {text.plural(report.messages_out, 'message')} copied as they are"
    sizes = (
        f"{text.change(report.bytes_in, report.bytes_out, arrow(console))} "
        f"({text.percent(report.ratio)}) in {text.duration(round(report.seconds * 1e9))}"
    )
    console.print(f"{proved}{dot(console)} {sizes}", soft_wrap=True)
    notes(console, kept_notes(report.kept))
    notes(console, (embedded_note(t.topic, t.embedded, t.frames, t.reason) for t in report.topics if t.embedded))
    notes(console, loss_notes(report.losses))
    notes(console, (f"warning: {warning}" for warning in report.warnings))
