"""Restoring: a dataset's log with images again where records stand, proved by the hashes of what they were."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.errors import DatasetError, ImageError, LogError, MediarefError, OutputError
from mediaref_tools.lanes import Backlog, Lanes, cores, share
from mediaref_tools.log import Channel, LogReader, Message, Record
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.proof import inventory
from mediaref_tools.report import LossReport
from mediaref_tools.restorable import RestorableReader, RestoringWriter
from mediaref_tools.restoring.channels import originals
from mediaref_tools.restoring.readback import Written, bare_differences, differences
from mediaref_tools.restoring.report import RestoredTopic, RestoreReport
from mediaref_tools.restoring.target import Target, author_of
from mediaref_tools.restoring.topic import TopicRestorer
from mediaref_tools.staging import Staging, folder_bytes

__all__ = ["restore"]

_MAKER: Final = "restoration"
_BACKLOG_BYTES = 64 * 2**20
_BACKLOG_ITEMS = 256
_SHOWN = 100


class _Work(NamedTuple):
    """An open dataset, and what is to be made of it."""

    folder: Path
    manifest: Manifest
    log: LogReader
    topics: Mapping[str, TopicRestorer]
    originals: Mapping[int, Channel]
    threads: int
    on_progress: OnProgress


class _Done(NamedTuple):
    topics: tuple[RestoredTopic, ...]
    copied: int
    losses: tuple[LossReport, ...]
    problems: list[str]
    bytes: int


def restore(
    dataset: str | Path,
    out: str | Path,
    *,
    to: str | None = None,
    verify: bool = False,
    threads: int | None = None,
    on_progress: OnProgress = no_progress,
) -> RestoreReport:
    """Make the log again that a dataset was made of.

    Every message that was no image is copied byte for byte. Images that were kept, embedded, copied or coded without
    loss are the very messages again, held against the hashes that the conversion took of them; of lossy video come
    messages that say all else as it was, with a JPEG or raw pixels made anew. Nothing is at `out` until all is.

    Args:
        dataset: A dataset folder.
        out: A file, or a folder where the log was one; of rosbag2, a folder.
        to: Another container, "mcap", "rosbag1" or "rosbag2": messages of ROS become those of its generation, and
            what it has no place for is in the report's losses. None is the log's own.
        verify: Read the log back once it is written, and compare every message with what it is to be.
        threads: How many topics are decoded at once; None for one a core.
        on_progress: Called from this thread with how far it has come.

    Raises:
        DatasetError: The folder is no dataset, or a segment is missing or is not the one that was proved: nothing is
            written.
        LogError: The dataset's log can't be read, its converter can't restore it, or a topic's type has no equal in
            the other container: nothing is written.
        OutputError: `out` is taken or can't be written.
        PluginError: No converter writes logs of that other container.

    Examples:
        >>> report = mrt.restore("drive/", "again.mcap")
        >>> [(topic.topic, topic.identical, topic.near) for topic in report.topics]
        [('/camera/left/image_raw/compressed', 0, 120), ('/camera/right/image_raw', 0, 58)]
    """
    begun = time.monotonic()
    folder, target, threads = Path(dataset), Path(out), threads or cores()
    manifest = Manifest.read(folder)
    _check_out(folder, target)
    damaged = next(inventory.files(folder, manifest), None)
    if damaged is not None:
        raise DatasetError(f"{damaged}; a dataset is restored of its own files alone, so copy it again: {folder}")
    with (
        closing(FramesTable(folder)) as table,
        open_log(inside(folder, manifest.log), manifest.settings.opening) as log,
    ):
        was = originals(manifest, log.channels)
        each = share(threads, len(manifest.topics))
        topics = {
            entry.topic: TopicRestorer(folder, table, entry, manifest.settings, was[entry.topic], each)
            for entry in manifest.topics
        }
        every = {number: channel for one in was.values() for number, channel in one.items()}
        work = _Work(folder, manifest, log, topics, every, threads, on_progress)
        other = to is not None and to != log.container and not log.container.startswith(f"{to}-")
        done = _staged(work, target, to if other else None, verify=verify)
        container = to if other and to is not None else log.container
    return RestoreReport(
        dataset=str(folder),
        out=str(target),
        container=container,
        messages=manifest.messages,
        copied=done.copied,
        verified=verify,
        topics=done.topics,
        losses=done.losses,
        problems=tuple(done.problems[:_SHOWN]),
        bytes=done.bytes,
        seconds=round(time.monotonic() - begun, 3),
    )


def _check_out(dataset: Path, out: Path) -> None:
    if os.path.lexists(out):
        raise OutputError(f"output exists: choose another path, nothing is written over: {out}")
    if out.resolve().is_relative_to(dataset.resolve()):
        raise OutputError(f"a log can't be restored into its dataset: choose another path: {out}")


def _staged(work: _Work, out: Path, to: str | None, *, verify: bool) -> _Done:
    """Write the log beside its place, look at it, and put it there."""
    try:
        with Staging(out, maker=_MAKER) as staging:
            _check_out(work.folder, out)
            staging.clear()
            declared = all(entry.channels for entry in work.manifest.topics)
            written = Written(declared=declared) if verify and to is None else None
            writer = _writer(work, staging.new, to, verify=verify)
            try:
                copied = _write(work, writer, written)
                restored = tuple(topic.finish() for topic in work.topics.values())
                writer.commit()
            except BaseException:
                writer.abort()
                raise
            problems = [line for topic in work.topics.values() for line in topic.problems]
            if written is not None:
                against = work.manifest
                problems += differences(staging.new, work.log, against, written, list(work.topics), work.on_progress)
            if isinstance(writer, Target) and writer.written is not None:
                problems += bare_differences(staging.new, writer.written, work.on_progress)
            size = folder_bytes(staging.new)
            staging.commit(replace=False)
    except MediarefError:
        raise
    except OSError as error:
        raise OutputError(f"log can't be written: {error.strerror or error}: {error.filename or out}") from error
    losses = tuple(LossReport(**loss._asdict()) for loss in writer.losses)
    return _Done(restored, copied, losses, problems, size)


def _writer(work: _Work, out: Path, to: str | None, *, verify: bool) -> RestoringWriter:
    if not isinstance(work.log, RestorableReader):
        raise LogError(f"the converter of {work.log.container} can't turn its logs back: {work.folder}")
    if to is None:
        return work.log.restorer(out, work.originals)
    return Target(author_of(to), out, work.log, work.originals, verify=verify)


def _write(work: _Work, writer: RestoringWriter, written: Written | None) -> int:
    """Write every message, and say how many were copied.

    Raises:
        DatasetError: The log has other messages than the manifest says.
    """
    assert isinstance(work.log, RestorableReader)  # noqa: S101 - it was asked
    serialized = work.log.serialized
    meter = Meter(work.on_progress, "restore", work.manifest.messages)
    copied = messages = 0
    backlog: Backlog[Message, bytes | memoryview] = Backlog(most_bytes=_BACKLOG_BYTES, most_items=_BACKLOG_ITEMS)

    def write(message: Message, data: bytes | memoryview | None) -> None:
        if data is None:
            writer.copy(message)
            if written is not None:
                written.copy(message)
        else:
            writer.put(message, data)
            if written is not None:
                written.put(message._replace(channel=work.originals[message.channel.id], data=data))
        meter.step(bytes_in=len(message.data), bytes_out=len(message.data if data is None else data))

    with Lanes(work.threads) as lanes:
        for message in work.log.messages():
            messages += 1
            topic = work.topics.get(message.channel.topic)
            channel = work.originals.get(message.channel.id)
            future, size = None, len(message.data)
            if topic is None or channel is None:
                copied += 1
            else:
                row, record = topic.next_row(message, _record(work.log, message))
                size = 4 * row.width * row.height if row.source_encoding else row.byte_size or size
                future = lanes.submit(topic.entry.topic, partial(topic.make, row, channel, record, serialized))
            for item, data in backlog.put(message, future, size):
                write(item, data)
        for item, data in backlog.drain():
            write(item, data)
    meter.end()
    if messages != work.manifest.messages:
        raise DatasetError(
            f"the dataset's log has {messages} messages, its manifest says {work.manifest.messages}: copy it again: "
            f"{work.folder}"
        )
    return copied


def _record(log: LogReader, message: Message) -> Record | None:
    try:
        return log.record(message)
    except ImageError:  # of a record's type, and damaged
        return None
