"""Converting a log: pictures into segments, messages into records, and the proof that each shows the right frame."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path

import av

from mediaref_tools.conversion.ahead import with_following
from mediaref_tools.conversion.building import Building, folder_bytes, log_name
from mediaref_tools.conversion.cameratrack import CameraTrack
from mediaref_tools.conversion.ledger import Ledger
from mediaref_tools.conversion.plan import Plan, TopicPlan, plan
from mediaref_tools.conversion.track import Track
from mediaref_tools.dataset.frames import FrameParts, FramesTable
from mediaref_tools.dataset.layout import FRAMES
from mediaref_tools.dataset.manifest import Manifest, Settings, Source, Tool, TopicEntry
from mediaref_tools.errors import ProofError
from mediaref_tools.lanes import Backlog, Lanes
from mediaref_tools.log import LogReader, LogWriter, Message, Record
from mediaref_tools.pixels.transport import channels_are_swapped
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.proof.verification import Findings, check
from mediaref_tools.report import LossReport, Report, TopicReport, quality

__all__ = ["convert", "digest"]

_BACKLOG_BYTES = 64 * 2**20
_BACKLOG_ITEMS = 512
_AHEAD_BYTES = 16 * 2**20
_AHEAD_ITEMS = 256


def convert(
    log: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = no_progress,
) -> Report:
    """Make a dataset of a log: the same log with references, its pictures as video, and the proof of both.

    The dataset is built beside `out` and put in place by one rename, once every reference was decoded and found to
    show its own source picture, and every other message was found to be the same.

    Args:
        log: A ROS 1 bag, a rosbag2 folder or file, an MCAP file, an HDF5 episode: whatever an installed converter
            claims.
        out: The dataset's folder.
        settings: Which topics, and how; the defaults if None.
        overwrite: Replace the dataset that is at `out`.
        on_progress: Called from this thread with how far it has come.

    Raises:
        LogError: The log can't be read.
        TopicError: A glob matches no image topic.
        OutputError: `out` is taken, or can't be written.
        ProofError: A reference was found wrong or missing, or a message lost; nothing is left at `out`.

    Examples:
        >>> settings = mrt.Settings(topics=("/camera/left/*",), codec="h264", crf=28)
        >>> report = mrt.convert("drive.mcap", "left/", settings=settings)
        >>> report.frames, report.wrong, report.missing, report.messages_in == report.messages_out
        (120, 0, 0, True)
    """
    begun = time.monotonic()
    source, settings = Path(log), settings or Settings()
    with open_log(source, settings.opening) as reader, Building(Path(out), source, overwrite=overwrite) as building:
        with ThreadPoolExecutor(1, thread_name_prefix="digest") as pool:
            checksum = pool.submit(digest, source)
            todo = plan(reader, settings, building.scratch)
            tracks, messages, first_ns, last_ns = _rewrite(reader, building, todo, settings, on_progress)
            topics = tuple(_entry(todo.converted[track.ledger.topic], track.ledger) for track in tracks)
            manifest = Manifest(
                tool=Tool(
                    version=version("mediaref-tools"),
                    av=av.__version__,
                    libavcodec=".".join(map(str, av.library_versions["libavcodec"])),
                ),
                source=Source(
                    name=source.resolve().name,
                    container=reader.container,
                    bytes=folder_bytes(source),
                    sha256=checksum.result(),
                    messages=messages,
                    start_ns=first_ns,
                    end_ns=last_ns,
                ),
                settings=settings,
                log=log_name(source),
                messages=messages,
                topics=topics,
                kept=todo.kept,
                losses=tuple(LossReport(**loss._asdict()) for loss in reader.losses),
                warnings=_warnings(reader, todo, topics),
            )
        found = _prove(reader, building.folder, building.scratch, manifest, on_progress)
        manifest = _with_quality(manifest, found)
        manifest.write(building.folder)
        building.commit()
    return _report(manifest, found, source, Path(out), time.monotonic() - begun)


def _rewrite(
    reader: LogReader, building: Building, todo: Plan, settings: Settings, on_progress: OnProgress
) -> tuple[list[Track | CameraTrack], int, int | None, int | None]:
    """Read the log once: images into tracks, everything into the new log. The frames table has no PSNR yet."""
    parts = FrameParts(building.scratch / "frames")
    tracks = {topic: _track(one, building.folder, settings, parts) for topic, one in todo.converted.items()}
    meter = Meter(on_progress, "encode", todo.messages)
    writer = reader.rewriter(building.folder / log_name(building.source), list(tracks), settings.record)
    try:
        with Lanes(os.cpu_count() or 1) as lanes:
            first_ns, last_ns, count = _encode(reader, writer, todo, tracks, lanes, meter)
            for work in [lanes.submit(topic, track.close) for topic, track in tracks.items()]:
                work.result()
        writer.commit()
    except BaseException:
        writer.abort()
        for track in tracks.values():
            track.abort()
        raise
    meter.end()
    parts.join(tracks, building.folder / FRAMES)
    return list(tracks.values()), count, first_ns, last_ns


def _track(planned: TopicPlan, dataset: Path, settings: Settings, parts: FrameParts) -> Track | CameraTrack:
    if planned.camera is not None:
        return CameraTrack(planned.topic, dataset, parts, planned.camera)
    return Track(planned.topic, dataset, settings, parts)


def _encode(
    reader: LogReader,
    writer: LogWriter,
    todo: Plan,
    tracks: Mapping[str, Track | CameraTrack],
    lanes: Lanes,
    meter: Meter,
) -> tuple[int | None, int | None, int]:
    left = {topic: one.messages for topic, one in todo.converted.items()}
    ended: list[Future[None]] = []
    first_ns: int | None = None
    last_ns: int | None = None
    count = 0
    backlog: Backlog[Message, tuple[Record, int]] = Backlog(most_bytes=_BACKLOG_BYTES, most_items=_BACKLOG_ITEMS)

    def write(message: Message, result: tuple[Record, int] | None) -> None:
        if result is None:
            writer.copy(message)
            meter.step()
        else:
            record, bytes_out = result
            writer.record(message, record)
            meter.step(bytes_in=len(message.data), bytes_out=bytes_out)

    ahead = with_following(
        reader.messages(),
        lambda message: message.channel.role == "image" and message.channel.topic in tracks,
        most_bytes=_AHEAD_BYTES,
        most_items=_AHEAD_ITEMS,
    )
    for message, following in ahead:
        count += 1
        first_ns = message.log_time_ns if first_ns is None else first_ns
        last_ns = message.log_time_ns
        track = tracks.get(message.channel.topic) if message.channel.role == "image" else None
        work = None if track is None else partial(_add, track, message, reader, following)
        future = None if work is None else lanes.submit(message.channel.topic, work)
        if track is not None:
            left[message.channel.topic] -= 1
            if left[message.channel.topic] == 0:
                # A file of many episodes has hundreds of topics, one after the other: their encoders would pile up.
                ended.append(lanes.submit(message.channel.topic, track.close))
        for item, result in backlog.put(message, future, len(message.data)):
            write(item, result)
    for item, result in backlog.drain():
        write(item, result)
    for done in ended:
        done.result()
    return first_ns, last_ns, count


def _add(
    track: Track | CameraTrack, message: Message, reader: LogReader, following: Message | None
) -> tuple[Record, int]:
    before = track.ledger.bytes_out
    return track.add(message, reader.image, following), track.ledger.bytes_out - before


def _prove(reader: LogReader, dataset: Path, scratch: Path, manifest: Manifest, on_progress: OnProgress) -> Findings:
    """Decode what was muxed, compare it with the source, and fill in the frames table's PSNR.

    Raises:
        ProofError: Something is not as it should be.
    """
    opening = manifest.settings.opening
    with closing(FramesTable(dataset)) as table, open_log(dataset / manifest.log, opening) as log:
        found = check(dataset, manifest, table, log, reader, on_progress)
        if found.problems or found.wrong or found.missing:
            first = found.problems[0] if found.problems else ""
            raise ProofError(
                f"{found.wrong} references are wrong and {found.missing} missing of {found.frames}, so no dataset was "
                f"made; try another --codec or a lower --crf, and please report this; the first: {first}"
            )
        if found.comparison is not None and found.comparison.different:
            raise ProofError(
                f"{found.comparison.different} messages of the rewritten log differ from the source's, so no dataset "
                "was made; please report this"
            )
        filled = scratch / FRAMES
        table.with_psnr(found.psnr_db, filled)
    filled.replace(dataset / FRAMES)
    return found


def _entry(planned: TopicPlan, ledger: Ledger) -> TopicEntry:
    return TopicEntry(
        topic=ledger.topic,
        type=planned.type,
        frames=ledger.frames,
        embedded=ledger.embedded,
        bytes_in=ledger.bytes_in,
        bytes_out=ledger.bytes_embedded + sum(segment.bytes for segment in ledger.segments),
        psnr_mean_db=None,
        psnr_p1_db=None,
        reason=ledger.reason,
        segments=tuple(ledger.segments),
    )


def _warnings(reader: LogReader, todo: Plan, topics: Sequence[TopicEntry]) -> tuple[str, ...]:
    recorded = sorted({channel.topic for channel in reader.channels if channel.role == "record"})
    told = [
        f"{topic} holds references already: they are copied as they are, and the media that they name are not"
        for topic in recorded
    ]
    told += [
        f"{topic} has red and blue swapped in its files, as format {planned.encoding!r} tells: colours are put right"
        for topic, planned in todo.converted.items()
        if channels_are_swapped(planned.encoding)
    ]
    told += [
        f"{entry.topic} takes {entry.bytes_out - entry.bytes_in} bytes more than what it replaces, {entry.bytes_in}"
        for entry in topics
        if entry.bytes_out > entry.bytes_in > 0
    ]
    return tuple(told)


def _with_quality(manifest: Manifest, found: Findings) -> Manifest:
    topics = []
    for entry in manifest.topics:
        mean, first_percentile = quality([found.psnr_db[entry.topic]])
        topics.append(entry.model_copy(update={"psnr_mean_db": mean, "psnr_p1_db": first_percentile}))
    return manifest.model_copy(update={"topics": tuple(topics)})


def _report(manifest: Manifest, found: Findings, source: Path, out: Path, seconds: float) -> Report:
    bytes_out = folder_bytes(out)
    return Report(
        source=str(source),
        container=manifest.source.container,
        out=str(out),
        frames=found.frames,
        wrong=found.wrong,
        missing=found.missing,
        embedded=found.embedded,
        kept=manifest.kept,
        losses=manifest.losses,
        messages_in=manifest.source.messages,
        messages_out=manifest.messages,
        bytes_in=manifest.source.bytes,
        bytes_out=bytes_out,
        ratio=round(bytes_out / max(manifest.source.bytes, 1), 4),
        seconds=round(seconds, 3),
        topics=tuple(_topic_report(entry) for entry in manifest.topics),
        warnings=manifest.warnings,
    )


def _topic_report(entry: TopicEntry) -> TopicReport:
    sizes: Sequence[tuple[int, int]] = [(segment.width, segment.height) for segment in entry.segments]
    width, height = max(sizes, default=(0, 0))
    return TopicReport(
        topic=entry.topic,
        frames=entry.frames,
        embedded=entry.embedded,
        codec=entry.codec,
        segments=len(entry.segments),
        width=width,
        height=height,
        bytes_in=entry.bytes_in,
        bytes_out=entry.bytes_out,
        psnr_mean_db=entry.psnr_mean_db,
        psnr_p1_db=entry.psnr_p1_db,
        reason=entry.reason,
    )


def digest(path: Path) -> str:
    """sha256 of a file; of a folder, over the sorted lines of `sha256 size name` of its files."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = [
        f"{digest(file)} {file.stat().st_size} {file.relative_to(path).as_posix()}\n"
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
