"""Converting several logs: each into a dataset of its own, whatever becomes of the others."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.conversion import removal
from mediaref_tools.conversion.building import tidy
from mediaref_tools.conversion.conversion import convert, report_of
from mediaref_tools.conversion.identity import Digest
from mediaref_tools.conversion.inputs import BatchLog, Shard, batch_logs, logs_in
from mediaref_tools.conversion.workers import Died, side_by_side
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.manifest import Manifest, Settings
from mediaref_tools.errors import MediarefError, with_notes
from mediaref_tools.lanes import cores, share
from mediaref_tools.progress import OnProgress, Progress, no_progress
from mediaref_tools.proof.verification import Findings
from mediaref_tools.report import Report

__all__ = ["BatchEntry", "BatchReport", "Outcome", "convert_folder", "convert_log", "convert_logs"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BatchEntry(_Model):
    """What became of one log."""

    log: str = Field(description="relative to the folder that it was found in, or its own name")
    out: str = Field(description="the dataset, relative to the folder of datasets")
    state: Literal["converted", "present", "failed"] = Field(
        description="present: the dataset of this very log and these settings was there already"
    )
    lossless: bool = Field(description="nothing was kept, embedded or lost; false where it failed")
    report: Report | None = Field(description="of the conversion that made its dataset; none where it failed")
    error: str | None = Field(description="why it failed")
    source_deleted: bool = Field(default=False, description="whether the log was deleted, as was asked for")
    source_stays: str | None = Field(default=None, description="why it was not, although that was asked for")


class BatchReport(_Model):
    """What a conversion of several logs did."""

    source: str = Field(description="the folder, or several inputs, joined by commas")
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


def convert_folder(
    folder: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    resume: bool = True,
    on_progress: OnProgress = no_progress,
) -> BatchReport:
    """Make a dataset of every log in a folder and its subfolders, as `convert_logs` does.

    It is looked into even where it could be taken for a log itself, as a folder of MCAP files can.

    Examples:
        >>> report = mrt.convert_folder("episodes/", "datasets/", settings=mrt.Settings(fps="50"))
        >>> report.converted, report.failed, report.lossless
        (2, 0, True)
    """
    source, target = Path(folder), Path(out)
    how = partial(convert_log, settings=settings, overwrite=overwrite, resume=resume)
    return _converted([source], target, logs_in(source, target), how, 1, on_progress)


def convert_logs(
    inputs: Sequence[str | Path],
    out: str | Path,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    resume: bool = True,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    delete_source: bool = False,
    on_progress: OnProgress = no_progress,
) -> BatchReport:
    """Make a dataset of each of several logs, and of every log in folders of them, as `convert` does.

    `episodes/a/episode_0.hdf5` becomes `out/a/episode_0/` if `episodes` was given, `out/episode_0/` if it was given
    itself; with the ending where two would have one name. A dataset of the same log and settings that is there already
    is left alone, so that a batch which was stopped goes on, and the conversion in which it was stopped does too.

    Args:
        inputs: Logs, and folders where logs lie; folders that are logs or datasets are not looked into, links to
            folders not followed.
        out: Where datasets go; made if need be.
        settings: For each.
        overwrite: Replace other datasets that are in the way.
        resume: Go on with what an earlier run finished of a log; False throws that away, but no dataset.
        jobs: How many logs at once, in processes of their own: each takes the memory that one conversion takes, and
            one that is killed fails its log only. A program that asks for more than 1 has its own doings under
            `if __name__ == "__main__":`, as Python's `multiprocessing` wants.
        shard: (i, n): only those logs that are in the ith of n parts, from 1 on; each is in exactly one, told by the
            hash of its name.
        delete_source: Delete each log once its dataset is committed and was proved against the log once more, if its
            conversion was without loss; `BatchEntry.source_stays` says why one stays.
        on_progress: Called with how many logs are done, of stage "batch".

    Raises:
        LogNotFound: No converter claims anything in a folder.
        OutputError: `out` and an input lie in each other, or two logs would have one dataset.
        ValueError: `jobs` or `shard` is out of range.

    Examples:
        >>> report = mrt.convert_logs(["drive.mcap", "episodes/"], "all/", settings=mrt.Settings(fps="50"))
        >>> [entry.out for entry in report.logs]
        ['drive', 'episode_0', 'episode_1']
    """
    part = Shard(*shard)
    if jobs < 1 or not 1 <= part.number <= part.parts:
        raise ValueError(f"jobs {jobs} and shard {shard}: expected 1 or more, and (i, n) with 1 <= i <= n")
    sources, target = [Path(each) for each in inputs], Path(out)
    logs = [log for log in batch_logs(sources, target) if part.has(log)]
    how = partial(
        convert_log,
        settings=settings,
        overwrite=overwrite,
        resume=resume,
        delete_source=delete_source,
        threads=share(cores(), jobs),
    )
    return _converted(sources, target, logs, how, jobs, on_progress)


def _converted(
    sources: Sequence[Path],
    target: Path,
    logs: Sequence[BatchLog],
    how: Callable[..., Outcome],
    jobs: int,
    on_progress: OnProgress,
) -> BatchReport:
    begun = time.monotonic()
    works = [partial(how, log.path, target / log.out) for log in logs]
    counted = _Counted(on_progress, len(logs))
    found: dict[int, Outcome | str | Died] = {}
    with closing(_outcomes(works, min(jobs, len(logs)), counted.within)) as outcomes:
        for number, outcome in outcomes:
            found[number] = outcome
            counted.finish(number)
    entries = [_entry(log, found[number]) for number, log in enumerate(logs)]
    reports = [entry.report for entry in entries if entry.report is not None and entry.state == "converted"]
    states = Counter(entry.state for entry in entries)
    return BatchReport(
        source=", ".join(map(str, sources)),
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


class Outcome(NamedTuple):
    """What became of one log. `report` is that of its dataset; `stays` says why it was not deleted, "" where it was.

    `stays` is None where nobody asked for it.
    """

    report: Report
    present: bool
    stays: str | None = None


def convert_log(
    log: Path,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    resume: bool = True,
    delete_source: bool = False,
    threads: int | None = None,
) -> Outcome:
    """Convert a log, unless its dataset is there already; then delete it, if that is asked for and may be.

    Args:
        log: As for `convert`.
        out: As for `convert`.
        on_progress: As for `convert`.
        settings: As for `convert`.
        overwrite: As for `convert`.
        resume: As for `convert`.
        delete_source: As for `convert_logs`.
        threads: As for `convert`.

    Raises:
        MediarefError: As of `convert`.
    """
    settings = settings or Settings()
    made = _made_before(out, log, settings)
    if made is not None:
        tidy(out)
        report = _report_of(made, log, out)
    else:
        report = convert(
            log,
            out,
            settings=settings,
            overwrite=overwrite,
            resume=resume,
            threads=threads,
            on_progress=on_progress,
        )
    stays = removal.delete_source(log, out, report, on_progress) if delete_source else None
    return Outcome(report, made is not None, stays)


def _report_of(made: Manifest, log: Path, out: Path) -> Report:
    """The report of a dataset that was there before: as of the run that made it, in no time."""
    frames, embedded = (sum(getattr(topic, name) for topic in made.topics) for name in ("frames", "embedded"))
    return report_of(made, Findings(frames, 0, 0, embedded, {}, {}, None, ()), log, out, 0, 0.0)


def _outcomes(
    works: Sequence[Callable[[OnProgress], Outcome]], jobs: int, within: Callable[[int, Progress], None]
) -> Generator[tuple[int, Outcome | str | Died], None, None]:
    attempts = [partial(_attempt, work) for work in works]
    if jobs > 1:
        yield from side_by_side(jobs, attempts, within)
        return
    for number, attempt in enumerate(attempts):
        yield number, attempt(partial(within, number))


def _attempt(work: Callable[[OnProgress], Outcome], on_progress: OnProgress) -> Outcome | str:
    """A log's outcome, or why it failed."""
    try:
        return work(on_progress)
    except (MediarefError, OSError) as error:
        return with_notes(str(error), error)


def _entry(log: BatchLog, found: Outcome | str | Died) -> BatchEntry:
    name, out = log.name.as_posix(), log.out.as_posix()
    if not isinstance(found, Outcome):
        error = found if isinstance(found, str) else f"its process was {found}: {log.path}"
        return BatchEntry(log=name, out=out, state="failed", lossless=False, report=None, error=error)
    return BatchEntry(
        log=name,
        out=out,
        state="present" if found.present else "converted",
        lossless=found.report.lossless,
        report=found.report,
        error=None,
        source_deleted=found.stays == "",
        source_stays=found.stays or None,
    )


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
    """Progress of several logs, told as one."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total = on_progress, total
        self._done = 0
        self._bytes: dict[int, tuple[int, int]] = {}
        self._tell()

    def within(self, number: int, progress: Progress) -> None:
        """Take the progress of a log that is being converted."""
        if progress.bytes_in:
            self._bytes[number] = (progress.bytes_in, progress.bytes_out)
        self._tell()

    def finish(self, number: int) -> None:
        """Count the log."""
        self._done += 1
        read, written = self._bytes.pop(number, (0, 0))
        ended = self._bytes.get(-1, (0, 0))
        self._bytes[-1] = (ended[0] + read, ended[1] + written)
        self._tell()

    def _tell(self) -> None:
        read, written = (sum(each[side] for each in self._bytes.values()) for side in (0, 1))
        self._on_progress(Progress("batch", self._done, self._total, read, written))
