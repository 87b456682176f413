"""Restoring: a dataset's log with images again where records stand, proved by the hashes of what they were."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.errors import DatasetError, ImageError, LogError, MediarefError, OutputError
from mediaref_tools.lanes import Backlog, Lanes, cores, share
from mediaref_tools.log import LogReader, Message, Record
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.proof import inventory
from mediaref_tools.restorable import RestorableReader, RestoringWriter
from mediaref_tools.restoring.channels import originals
from mediaref_tools.restoring.report import RestoreReport
from mediaref_tools.restoring.topic import TopicRestorer
from mediaref_tools.staging import Staging, folder_bytes

__all__ = ["restore"]

_MAKER: Final = "restoration"
_BACKLOG_BYTES = 64 * 2**20
_BACKLOG_ITEMS = 256
_SHOWN = 100


def restore(
    dataset: str | Path,
    out: str | Path,
    *,
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
        out: A file, or a folder where the log was one.
        verify: Read the log back once it is written, and compare every message with what it is to be.
        threads: How many topics are decoded at once; None for one a core.
        on_progress: Called from this thread with how far it has come.

    Raises:
        DatasetError: The folder is no dataset, or a segment is missing or is not the one that was proved: nothing is
            written.
        LogError: The dataset's log can't be read, or its converter can't restore it.
        OutputError: `out` is taken or can't be written.

    Examples:
        >>> report = mrt.restore("drive/", "again.mcap")
        >>> [(topic.topic, topic.identical, topic.near) for topic in report.topics]
        [('/camera/image/compressed', 0, 178)]
    """
    begun = time.monotonic()
    folder, target, threads = Path(dataset), Path(out), threads or cores()
    manifest = Manifest.read(folder)
    _check_out(folder, target)
    damaged = next(inventory.files(folder, manifest), None)
    if damaged is not None:
        raise DatasetError(f"{damaged}: a dataset is restored from its own files alone, copy it again: {folder}")
    with (
        closing(FramesTable(folder)) as table,
        open_log(inside(folder, manifest.log), manifest.settings.opening) as log,
    ):
        if not isinstance(log, RestorableReader):
            raise LogError(f"the converter of {log.container} can't turn its logs back: {folder / manifest.log}")
        was = originals(manifest, log.channels)
        each = share(threads, len(manifest.topics))
        topics = {
            entry.topic: TopicRestorer(folder, table, entry, manifest.settings, was[entry.topic], each)
            for entry in manifest.topics
        }
        try:
            with Staging(target, maker=_MAKER) as staging:
                _check_out(folder, target)
                staging.clear()
                writer = log.restorer(
                    staging.new, {number: channel for one in was.values() for number, channel in one.items()}
                )
                try:
                    copied, messages = _write(log, writer, topics, manifest.messages, threads, on_progress)
                    restored = tuple(topic.finish() for topic in topics.values())
                    if messages != manifest.messages:
                        raise DatasetError(
                            f"the dataset's log has {messages} messages, its manifest says {manifest.messages}: copy "
                            f"it again: {folder}"
                        )
                    writer.commit()
                except BaseException:
                    writer.abort()
                    raise
                problems = [line for topic in topics.values() for line in topic.problems]
                size = folder_bytes(staging.new)
                staging.commit(replace=False)
        except MediarefError:
            raise
        except OSError as error:
            raise OutputError(f"log can't be written: {error.strerror or error}: {error.filename or target}") from error
        container = log.container
    return RestoreReport(
        dataset=str(folder),
        out=str(target),
        container=container,
        messages=messages,
        copied=copied,
        verified=verify,
        topics=restored,
        losses=(),
        problems=tuple(problems[:_SHOWN]),
        bytes=size,
        seconds=round(time.monotonic() - begun, 3),
    )


def _check_out(dataset: Path, out: Path) -> None:
    if os.path.lexists(out):
        raise OutputError(f"output exists: choose another path, nothing is written over: {out}")
    if out.resolve().is_relative_to(dataset.resolve()):
        raise OutputError(f"a log can't be restored into its dataset: choose another path: {out}")


def _write(
    log: LogReader,
    writer: RestoringWriter,
    topics: Mapping[str, TopicRestorer],
    total: int,
    threads: int,
    on_progress: OnProgress,
) -> tuple[int, int]:
    """Write every message, and say how many were copied, and how many there were."""
    assert isinstance(log, RestorableReader)  # noqa: S101 - it was asked
    serialized = log.serialized
    meter = Meter(on_progress, "restore", total)
    copied = messages = 0
    backlog: Backlog[Message, bytes | memoryview] = Backlog(most_bytes=_BACKLOG_BYTES, most_items=_BACKLOG_ITEMS)

    def write(message: Message, data: bytes | memoryview | None) -> None:
        if data is None:
            writer.copy(message)
        else:
            writer.put(message, data)
        meter.step(bytes_in=len(message.data), bytes_out=len(message.data if data is None else data))

    with Lanes(threads) as lanes:
        for message in log.messages():
            messages += 1
            topic = topics.get(message.channel.topic)
            channel = None if topic is None else topic.channels.get(message.channel.id)
            future, size = None, len(message.data)
            if topic is None or channel is None:
                copied += 1
            else:
                record = _record(log, message)
                row = topic.next_row(message, record)
                assert record is not None  # noqa: S101 - there is a row
                size = 4 * row.width * row.height if row.source_encoding else row.byte_size or size
                future = lanes.submit(topic.entry.topic, partial(topic.make, row, channel, record, serialized))
            for item, data in backlog.put(message, future, size):
                write(item, data)
        for item, data in backlog.drain():
            write(item, data)
    meter.end()
    return copied, messages


def _record(log: LogReader, message: Message) -> Record | None:
    try:
        return log.record(message)
    except ImageError:  # of a record's type, and damaged
        return None
