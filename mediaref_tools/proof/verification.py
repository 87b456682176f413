"""Proving a dataset: by its own files, or against the log that it was made from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.errors import ImageError
from mediaref_tools.lanes import Backlog, Lanes, cores, share
from mediaref_tools.log import LogReader, Message, Record, WholeReader
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.proof import inventory
from mediaref_tools.proof.check import TopicCheck
from mediaref_tools.proof.comparison import Comparison, MessageSet, compare
from mediaref_tools.report import VerifyReport, first_percentile, quality

__all__ = ["Findings", "check", "verify"]

_BACKLOG_BYTES = 64 * 2**20
_BACKLOG_ITEMS = 256
_SHOWN = 100


class Findings(NamedTuple):
    """What a check of a dataset found.

    `psnr_db` by topic is empty where there was no source to measure against; `ssim_p1` has the topics of which it was
    measured; `copied_digest` is of the source's messages that were copied.
    """

    frames: int
    wrong: int
    missing: int
    embedded: int
    psnr_db: Mapping[str, NDArray[np.float32]]
    ssim_p1: Mapping[str, float]
    comparison: Comparison | None
    problems: tuple[str, ...]
    copied_digest: str | None = None


def verify(
    dataset: str | Path, *, against: str | Path | None = None, on_progress: OnProgress = no_progress
) -> VerifyReport:
    """Prove a dataset again.

    Every segment's checksum, every record of the rewritten log against its row, every row's frame decoded at exactly
    its time. With `against`, every frame against its own source picture and its neighbours', and every message that is
    not an image against the source's, byte for byte.

    Args:
        dataset: A dataset folder.
        against: The log that it was made from.
        on_progress: Called with how far it has come, from this thread.

    Raises:
        DatasetError: The folder is no dataset, or one of its files can't be read at all.
        LogError: The log at `against` can't be read.

    Examples:
        >>> report = mrt.verify("drive/", against="drive.mcap")
        >>> report.frames, report.wrong, report.missing, report.messages_different
        (178, 0, 0, 0)
    """
    begun = time.monotonic()
    folder = Path(dataset)
    manifest = Manifest.read(folder)
    with (
        closing(FramesTable(folder)) as table,
        open_log(inside(folder, manifest.log), manifest.settings.opening) as log,
        nullcontext() if against is None else open_log(Path(against), manifest.settings.opening) as source,
    ):
        found = check(folder, manifest, table, log, source, on_progress, cores())
        psnr = found.psnr_db or {topic: table.psnr_db(topic) for topic in table.topics}
    damaged = inventory.files(folder, manifest)
    mean, lowest = quality(psnr.values())
    return VerifyReport(
        dataset=str(folder),
        against=None if against is None else str(against),
        frames=found.frames,
        wrong=found.wrong,
        missing=found.missing,
        embedded=found.embedded,
        psnr_mean_db=mean,
        psnr_p1_db=lowest,
        messages_compared=None if found.comparison is None else found.comparison.compared,
        messages_different=None if found.comparison is None else found.comparison.different,
        problems=(*damaged, *found.problems)[:_SHOWN],
        seconds=round(time.monotonic() - begun, 3),
    )


def check(
    dataset: Path,
    manifest: Manifest,
    table: FramesTable,
    log: LogReader,
    source: LogReader | None,
    on_progress: OnProgress,
    threads: int,
) -> Findings:
    """Check a dataset's rows, records and frames, against its source if that is given."""
    settings = manifest.settings
    checks = {
        entry.topic: TopicCheck(
            dataset,
            table,
            entry.topic,
            settings.policy(entry.topic),
            copies=[segment.uri for segment in entry.segments if segment.holds_files],
            threads=share(threads, len(manifest.topics)),
            with_ssim=source is not None and settings.min_ssim is not None,
        )
        for entry in manifest.topics
    }
    meter = Meter(on_progress, "verify" if source is None else "prove", manifest.messages)
    comparison: Comparison | None = None
    copied = MessageSet()
    with Lanes(threads) as lanes:
        records = _Records(log, checks, meter if source is None else None)
        if source is None:
            work = [lanes.submit(topic, found.decode) for topic, found in checks.items()]
            for _ in records.others():
                pass
            for future in work:
                future.result()
        else:
            comparison = compare(_images(source, checks, lanes, meter), records.others(), copied)
    meter.end()
    for found in checks.values():
        found.finish()
        found.finish_records()
    problems = [line for found in checks.values() for line in found.problems()]
    problems += inventory.rows(manifest, checks, table.topics)
    if source is not None:
        problems += _lost_extras(source, log, checks)
    if records.messages != manifest.messages:
        problems.append(f"the log has {records.messages} messages, the manifest says {manifest.messages}")
    return Findings(
        frames=sum(found.frames for found in checks.values()),
        wrong=sum(len(found.wrong) for found in checks.values()),
        missing=sum(len(found.missing) for found in checks.values()),
        embedded=sum(found.embedded for found in checks.values()),
        psnr_db={} if source is None else {topic: found.psnr_db for topic, found in checks.items()},
        ssim_p1={topic: round(first_percentile(found.ssim), 4) for topic, found in checks.items() if found.ssim},
        comparison=comparison,
        copied_digest=None if source is None else copied.digest,
        problems=tuple(problems),
    )


def _lost_extras(source: LogReader, log: LogReader, replaced: Collection[str]) -> list[str]:
    """What of the source that is no message is not the same in the rewritten log."""
    if not (isinstance(source, WholeReader) and isinstance(log, WholeReader)):
        return []
    there = Counter(log.extras(replaced))
    names = {name for name, _ in there}
    lost = Counter(source.extras(replaced)) - there
    return [f"{name} {'differs from' if name in names else 'is missing, of'} the source" for name, _ in lost.elements()]


def _images(source: LogReader, checks: Mapping[str, TopicCheck], lanes: Lanes, meter: Meter) -> Iterator[Message]:
    """The source's messages that were copied, while its image messages go to their checks."""
    backlog: Backlog[None, None] = Backlog(most_bytes=_BACKLOG_BYTES, most_items=_BACKLOG_ITEMS)
    for message in source.messages():
        found = checks.get(message.channel.topic) if message.channel.role == "image" else None
        meter.step()
        if found is None:
            yield message
            continue
        work: Callable[[], None] = partial(found.add, message, source.image)
        for _ in backlog.put(None, lanes.submit(found.topic, work), len(message.data)):
            pass
    for _ in backlog.drain():
        pass


class _Records:
    """The rewritten log's messages: records go to their checks, `others` yields what was copied."""

    def __init__(self, log: LogReader, checks: Mapping[str, TopicCheck], meter: Meter | None) -> None:
        self.messages = 0
        self._log, self._checks, self._meter = log, checks, meter

    def others(self) -> Iterator[Message]:
        for message in self._log.messages():
            self.messages += 1
            if self._meter is not None:
                self._meter.step()
            found = self._checks.get(message.channel.topic)
            record = None if found is None else _record(self._log, message)
            if found is not None and (record is not None or message.channel.role == "record"):
                found.record(message, record)
            else:
                yield message


def _record(log: LogReader, message: Message) -> Record | None:
    try:
        return log.record(message)
    except ImageError:  # of a record's type, and damaged: its row has no record then
        return None
