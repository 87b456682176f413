"""Frames of a dataset as image files: a folder a topic, each file named for its log time, and a table beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.layout import topic_folder
from mediaref_tools.errors import FrameError, MediarefError, OutputError
from mediaref_tools.export.guard import refuse_taken
from mediaref_tools.export.imagefolder import TABLE, Format, ImageFolder, ImageWriter
from mediaref_tools.progress import OnProgress, Progress, no_progress
from mediaref_tools.selection import select
from mediaref_tools.staging import Staging

__all__ = ["ExportReport", "ExportedTopic", "Format", "export_frames"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExportedTopic(_Model):
    """One topic's files. `folder` is relative to the output."""

    topic: str
    folder: str
    frames: int
    embedded: int = Field(description="of the frames, those written with their original bytes")
    bytes: int


class ExportReport(_Model):
    """What `export_frames` wrote."""

    out: str
    frames: int
    embedded: int
    bytes: int
    seconds: float
    topics: tuple[ExportedTopic, ...]


def export_frames(
    dataset: Dataset,
    out: str | Path,
    *,
    topics: Sequence[str] = ("*",),
    format: Format = "png",  # noqa: A002
    quality: int = 95,
    start_ns: int | None = None,
    stop_ns: int | None = None,
    stride: int = 1,
    overwrite: bool = False,
    on_progress: OnProgress = no_progress,
) -> ExportReport:
    """Write frames as image files, `<out>/<topic folder>/<log time>.png`, and a `frames.csv` a topic.

    Log times are padded to 19 digits, so that names sort as times do; frames that share one get `_1`, `_2` … after
    it. 16-bit pictures and depth in millimetres are PNG of 16 bits, depth in metres is TIFF of floats; as JPEG all are
    8 bits. Embedded frames are written with their original bytes, under their own type's suffix. Nothing is at `out`
    until everything is.

    Args:
        dataset: An open dataset.
        out: A folder that is not there yet.
        topics: Globs of topic names.
        format: Of the image files.
        quality: Of JPEG, 1 to 100.
        start_ns, stop_ns: Log times, half-open; None is the topic's own.
        stride: 1 takes every frame in that range, 2 every other one …
        overwrite: Replace an earlier export at `out`.
        on_progress: Is told of stage "export", in frames.

    Raises:
        TopicError: A glob matches no topic.
        FrameError: No frame lies in the range, or the stride is not positive.
        DatasetError: A segment can't be read.
        OutputError: Something is in the way, or the output can't be written.
    """
    if format not in get_args(Format):
        raise OutputError(f"can't write format {format!r}: expected one of {', '.join(get_args(Format))}")
    if not 1 <= quality <= 100:
        raise OutputError(f"can't write JPEG of quality {quality!r}: expected 1 to 100")
    if stride < 1:
        raise FrameError(f"can't take every {stride!r}th frame: expected 1 or more")
    began_s = monotonic()
    out = Path(out)
    names = select(set(dataset), tuple(topics), (), what="topic with frames")
    chosen = {name: dataset[name].indices(start_ns, stop_ns, stride) for name in names}
    total = sum(len(positions) for positions in chosen.values())
    if not total:
        raise FrameError(_no_frames(dataset, list(chosen), start_ns, stop_ns))
    _refuse_inside(dataset.path, out)
    staging = Staging(out, maker="export")
    if not os.path.lexists(staging.folder):  # one that was killed may have to put the old export back first
        refuse_taken(out, overwrite, _is_export)
    try:
        with staging, ImageWriter(format, quality) as writer:
            refuse_taken(out, overwrite, _is_export)
            staging.clear()
            staging.new.mkdir()
            folders: dict[str, ImageFolder] = {}
            for name, positions in chosen.items():
                folder = staging.new / topic_folder(name)
                folders[name] = ImageFolder(folder, dataset[name], writer)
                for _ in folders[name].write(positions):
                    done = sum(one.frames for one in folders.values())
                    size = sum(one.bytes for one in folders.values())
                    on_progress(Progress("export", done, total, bytes_out=size))
            staging.commit(replace=overwrite)
    except MediarefError:
        raise
    except OSError as error:
        raise OutputError(f"export can't be written: {error.strerror or error}: {error.filename or out}") from error
    return ExportReport(
        out=str(out),
        frames=total,
        embedded=sum(one.embedded for one in folders.values()),
        bytes=sum(one.bytes for one in folders.values()),
        seconds=monotonic() - began_s,
        topics=tuple(
            ExportedTopic(topic=name, folder=one.folder.name, frames=one.frames, embedded=one.embedded, bytes=one.bytes)
            for name, one in folders.items()
        ),
    )


def _no_frames(dataset: Dataset, names: list[str], start_ns: int | None, stop_ns: int | None) -> str:
    times_ns = [dataset[name].log_times_ns for name in names if len(dataset[name])]
    if not times_ns:
        return f"no frames to export: {dataset.path}"
    first_ns, last_ns = min(int(times.min()) for times in times_ns), max(int(times.max()) for times in times_ns)
    since = "" if start_ns is None else f" from {start_ns} on"
    until = "" if stop_ns is None else f" before {stop_ns}"
    return f"no frame lies{since}{until}: their log times are {first_ns} to {last_ns}: {dataset.path}"


def _refuse_inside(dataset: Path | str, out: Path) -> None:
    if not isinstance(dataset, Path) or not dataset.is_dir():
        return  # elsewhere; or a log or table: its references' media is not replaced, as the output must not exist
    inside, target = dataset.resolve(), out.resolve()
    if target.is_relative_to(inside) or inside.is_relative_to(target):
        raise OutputError(f"an export can't go into its dataset, or around it: choose another folder: {out}")


def _is_export(out: Path) -> bool:
    """Whether it is a folder, and all that it holds is what an export put there."""
    return out.is_dir() and all((entry / TABLE).is_file() for entry in out.iterdir())
