"""Converting a log: pictures into segments, messages into records, and the proof that each shows the right frame."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from mediaref_tools.conversion.building import Building, log_name
from mediaref_tools.conversion.coding import coding
from mediaref_tools.conversion.identity import Digest, this_tool
from mediaref_tools.conversion.ledger import Ledger
from mediaref_tools.conversion.plan import Plan, TopicPlan, plan
from mediaref_tools.conversion.rewriting import rewrite
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.layout import FRAMES
from mediaref_tools.dataset.manifest import Manifest, Settings, Source, SourceChannel, TopicEntry
from mediaref_tools.errors import ProofError
from mediaref_tools.lanes import cores
from mediaref_tools.log import NOTE, Channel, LogReader
from mediaref_tools.pixels.transport import channels_are_swapped
from mediaref_tools.plaintext import encodable
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import OnProgress, no_progress
from mediaref_tools.proof.verification import Findings, check
from mediaref_tools.report import LossReport, Report, TopicReport, quality
from mediaref_tools.staging import folder_bytes

__all__ = ["convert", "report_of"]


def convert(
    log: str | Path,
    out: str | Path,
    *,
    settings: Settings | None = None,
    overwrite: bool = False,
    resume: bool = True,
    threads: int | None = None,
    on_progress: OnProgress = no_progress,
) -> Report:
    """Make a dataset of a log: the same log with references, its pictures as video, and the proof of both.

    The dataset is built beside `out` and put in place by one rename, once every reference was decoded and found to
    show its own source picture, and every other message was found to be the same.

    A run that was killed, interrupted, or ended by an error of the disk or the log leaves its finished segments in
    `<out>.partial`. The next run of the same conversion goes on from them, and makes the very same dataset.

    Args:
        log: A ROS 1 bag, a rosbag2 folder or file, an MCAP file, an HDF5 episode: whatever an installed converter
            claims.
        out: The dataset's folder.
        settings: Which topics, and how; the defaults if None.
        overwrite: Replace the dataset that is at `out`.
        resume: Go on with what an earlier run of this conversion finished; False throws that away.
        threads: How many work at once; None for one a core. Encoders have several each where topics are fewer.
        on_progress: Called from this thread with how far it has come.

    Raises:
        LogError: The log can't be read, or changed while it was converted.
        TopicError: A glob matches no image topic.
        OutputError: `out` is taken or can't be written; another process is converting to it; or there is an
            unfinished conversion to it, of another log, of other settings or by another version.
        ProofError: A reference was found wrong or missing, or a message lost; nothing is left at `out`.

    Examples:
        >>> settings = mrt.Settings(topics=("/camera/left/*",), codec="h264", crf=28)
        >>> report = mrt.convert("drive.mcap", "left/", settings=settings)
        >>> report.frames, report.wrong, report.missing, report.messages_in == report.messages_out
        (120, 0, 0, True)
    """
    begun = time.monotonic()
    source, settings, threads = Path(log), settings or Settings(), threads or cores()
    with (
        open_log(source, settings.opening) as reader,
        Building(Path(out), source, settings, overwrite=overwrite, resume=resume, threads=threads) as building,
    ):
        with Digest(source, building.digest_note) as digest:
            todo = plan(reader, settings, building.scratch)
            done = rewrite(reader, building, todo, settings, on_progress, threads)
            topics = tuple(_entry(todo.converted[ledger.topic], ledger, reader) for ledger in done.ledgers)
            manifest = Manifest(
                tool=this_tool(),
                source=Source(
                    name=source.resolve().name,
                    container=reader.container,
                    bytes=folder_bytes(source),
                    sha256=digest.result(),
                    messages=done.messages,
                    start_ns=done.first_ns,
                    end_ns=done.last_ns,
                ),
                settings=settings,
                log=log_name(source),
                messages=done.messages,
                topics=topics,
                kept=todo.kept,
                losses=tuple(LossReport(**loss._asdict()) for loss in reader.losses),
                warnings=_warnings(reader, todo, topics),
            )
        found = _prove(reader, building.folder, building.scratch, manifest, on_progress, threads)
        manifest = _with_quality(manifest, found)
        manifest.write(building.folder)
        building.commit()
    reused = sum(ledger.reused for ledger in done.ledgers)
    return report_of(manifest, found, source, Path(out), reused, time.monotonic() - begun)


def _prove(
    reader: LogReader,
    dataset: Path,
    scratch: Path,
    manifest: Manifest,
    on_progress: OnProgress,
    threads: int,
) -> Findings:
    """Decode what was muxed, compare it with the source, and fill in the frames table's PSNR.

    Raises:
        ProofError: Something is not as it should be.
    """
    opening = manifest.settings.opening
    with closing(FramesTable(dataset)) as table, open_log(dataset / manifest.log, opening) as log:
        found = check(dataset, manifest, table, log, reader, on_progress, threads)
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


def _entry(planned: TopicPlan, ledger: Ledger, reader: LogReader) -> TopicEntry:
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
        channels=tuple(_declared(channel) for channel in reader.channels if channel.topic == ledger.topic),
    )


def _declared(channel: Channel) -> SourceChannel:
    # What JSON can't hold is left out: the rewritten log has it all the same.
    told = {key: value for key, value in channel.attributes.items() if encodable(key + value) == key + value}
    told.pop(NOTE, None)
    return SourceChannel(
        type=channel.type,
        encoding=channel.encoding,
        definition=base64.b64encode(channel.definition).decode(),
        attributes=told,
        images=channel.role == "image",
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
    return manifest.model_copy(update={"topics": tuple(topics), "copied_digest": found.copied_digest})


def report_of(manifest: Manifest, found: Findings, source: Path, out: Path, reused: int, seconds: float) -> Report:
    """The report of a dataset at `out`, as its manifest and its proof tell."""
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
        segments_reused=reused,
        topics=tuple(_topic_report(entry, found.ssim_p1.get(entry.topic)) for entry in manifest.topics),
        warnings=manifest.warnings,
        missed=tuple(_missed(manifest, found)),
    )


def _missed(manifest: Manifest, found: Findings) -> Iterator[str]:
    """What of a budget was not reached."""
    for entry in manifest.topics:
        budget = coding(manifest.settings, entry.topic).budget
        if budget is None:
            continue
        if budget.max_ratio is not None and entry.bytes_out > budget.max_ratio * entry.bytes_in:
            yield f"{entry.topic} takes {entry.bytes_out / entry.bytes_in:.3f} of its bytes, not {budget.max_ratio:g}"
        p1 = entry.psnr_p1_db
        if budget.min_psnr_db is not None and p1 is not None and p1 < budget.min_psnr_db:
            yield f"{entry.topic} has a PSNR of {p1} dB, not {budget.min_psnr_db:g}"
        ssim = found.ssim_p1.get(entry.topic, 1.0)
        if budget.min_ssim is not None and ssim < budget.min_ssim:
            yield f"{entry.topic} has an SSIM of {ssim}, not {budget.min_ssim:g}"


def _topic_report(entry: TopicEntry, ssim_p1: float | None) -> TopicReport:
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
        ssim_p1=ssim_p1,
        reason=entry.reason,
    )
