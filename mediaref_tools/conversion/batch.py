"""Converting a folder of logs: each into a dataset of its own, whatever becomes of the others."""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.conversion.building import tidy
from mediaref_tools.conversion.conversion import convert
from mediaref_tools.conversion.identity import Digest
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.manifest import Manifest, Settings
from mediaref_tools.errors import LogError, LogNotFound, MediarefError, OutputError, with_notes
from mediaref_tools.plugins import claimed
from mediaref_tools.progress import OnProgress, Progress, no_progress
from mediaref_tools.report import Report

__all__ = ["BatchEntry", "BatchReport", "convert_folder", "holds_logs"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BatchEntry(_Model):
    """What became of one log."""

    log: str = Field(description="relative to the folder")
    out: str = Field(description="the dataset, relative to the folder of datasets")
    state: Literal["converted", "present", "failed"] = Field(
        description="present: the dataset of this very log and these settings was there already"
    )
    lossless: bool = Field(description="nothing was kept, embedded or lost; false where it failed")
    report: Report | None = Field(description="of the conversion, if there was one")
    error: str | None = Field(description="why it failed")


class BatchReport(_Model):
    """What a conversion of a folder did."""

    source: str
    out: str
    logs: tuple[BatchEntry, ...]
    converted: int
    present: int
    failed: int
    frames: int = Field(description="of the logs that were converted, as the next two")
    bytes_in: int
    bytes_out: int
    seconds: float

    @property
    def lossless(self) -> bool:
        """Whether every log has its dataset, and nothing was kept, embedded or lost in any."""
        return all(entry.lossless for entry in self.logs)


def holds_logs(path: str | Path) -> bool:
    """Whether a path is a folder to be converted log by log, and no log, such as a rosbag2, itself."""
    path = Path(path)
    return path.is_dir() and not claimed(path)


def convert_folder(
    folder: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    resume: bool = True,
    on_progress: OnProgress = no_progress,
) -> BatchReport:
    """Make a dataset of every log in a folder and its subfolders, as `convert` does.

    `episodes/a/episode_0.hdf5` becomes `out/a/episode_0/`, with the ending where two would have one name. A dataset of
    the same log and settings that is there already is left alone, so that a batch which was stopped goes on, and the
    conversion in which it was stopped does too.

    Args:
        folder: Where logs lie; folders that are logs or datasets are not looked into, links to folders not followed.
        out: Where datasets go; made if need be.
        settings: For each.
        overwrite: Replace other datasets that are in the way.
        resume: Go on with what an earlier run finished of a log; False throws that away, but no dataset.
        on_progress: Called with how many logs are done, of stage "batch".

    Raises:
        LogNotFound: No converter claims anything in it.
        OutputError: `out` lies within the folder, or the folder within `out`.

    Examples:
        >>> report = mrt.convert_folder("episodes/", "datasets/", settings=mrt.Settings(fps="50"))
        >>> report.converted, report.failed, report.lossless
        (2, 0, True)
    """
    begun = time.monotonic()
    source, target, settings = Path(folder), Path(out), settings or Settings()
    ours, theirs = target.resolve(), source.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise OutputError(f"the folders of logs and of datasets may not lie in each other: {target} and {source}")
    logs = list(_logs(source))
    if not logs:
        raise LogNotFound(f"this folder holds no log that an installed converter knows: {source}")
    names = _names(source, logs)
    entries: list[BatchEntry] = []
    counted = _Counted(on_progress, len(logs))
    for log in logs:
        make = partial(convert, settings=settings, overwrite=overwrite, resume=resume, on_progress=counted.within)
        entries.append(_entry(source, log, target, names[log], settings, make))
        counted.finish()
    reports = [entry.report for entry in entries if entry.report is not None]
    states = Counter(entry.state for entry in entries)
    return BatchReport(
        source=str(source),
        out=str(target),
        logs=tuple(entries),
        converted=states["converted"],
        present=states["present"],
        failed=states["failed"],
        frames=sum(report.frames for report in reports),
        bytes_in=sum(report.bytes_in for report in reports),
        bytes_out=sum(report.bytes_out for report in reports),
        seconds=round(time.monotonic() - begun, 3),
    )


def _logs(folder: Path) -> Iterator[Path]:
    """Whatever a converter claims, in natural order: episode_2 before episode_10."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: _natural(entry.name))
    except OSError as error:
        raise LogError(f"folder can't be read: {error.strerror or error}: {folder}") from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if claimed(path):
            yield path
        elif entry.is_dir(follow_symlinks=False) and not (path / MANIFEST).exists():
            yield from _logs(path)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _names(folder: Path, logs: list[Path]) -> dict[Path, Path]:
    """Where each log's dataset goes: its name without the ending, unless others would go there too."""
    short = {log: log.relative_to(folder).with_suffix("") if log.is_file() else log.relative_to(folder) for log in logs}
    uses = Counter(short.values())
    uses.update({parent for log in logs for parent in log.relative_to(folder).parents})  # a dataset holds no other
    return {log: name if uses[name] == 1 else log.relative_to(folder) for log, name in short.items()}


def _entry(
    folder: Path, log: Path, out: Path, name: Path, settings: Settings, make: Callable[[Path, Path], Report]
) -> BatchEntry:
    told = {"log": log.relative_to(folder).as_posix(), "out": name.as_posix()}
    try:
        made = _made_before(out / name, log, settings)
        if made is not None:
            tidy(out / name)
            left = any(not topic.asked for topic in made.kept) or any(topic.embedded for topic in made.topics)
            return BatchEntry(**told, state="present", lossless=not (left or made.losses), report=None, error=None)
        report = make(log, out / name)
    except (MediarefError, OSError) as error:
        return BatchEntry(**told, state="failed", lossless=False, report=None, error=with_notes(str(error), error))
    return BatchEntry(**told, state="converted", lossless=report.lossless, report=report, error=None)


def _made_before(dataset: Path, log: Path, settings: Settings) -> Manifest | None:
    """The manifest of a dataset of this very log and these settings."""
    if not (dataset / MANIFEST).is_file():
        return None
    try:
        manifest = Manifest.read(dataset)
    except MediarefError:
        return None
    if manifest.settings != settings:
        return None
    with Digest(log) as digest:
        return manifest if manifest.source.sha256 == digest.result() else None


class _Counted:
    """Progress of one log after the other, told as one."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total = on_progress, total
        self._done = self._bytes_in = self._bytes_out = 0
        self._now = (0, 0)
        self._tell()

    def within(self, progress: Progress) -> None:
        """Take the progress of the log that is being converted."""
        if progress.bytes_in:
            self._now = (progress.bytes_in, progress.bytes_out)
        self._tell()

    def finish(self) -> None:
        """Count the log."""
        self._done += 1
        self._bytes_in += self._now[0]
        self._bytes_out += self._now[1]
        self._now = (0, 0)
        self._tell()

    def _tell(self) -> None:
        now = (self._bytes_in + self._now[0], self._bytes_out + self._now[1])
        self._on_progress(Progress("batch", self._done, self._total, *now))
