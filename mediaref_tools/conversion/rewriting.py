"""Reading a log once: its pictures into segments, everything into the same log written anew."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import NamedTuple

from mediaref_tools.conversion.ahead import with_following
from mediaref_tools.conversion.building import Building, log_name
from mediaref_tools.conversion.cameratrack import CameraTrack
from mediaref_tools.conversion.journal import Journal
from mediaref_tools.conversion.ledger import Ledger
from mediaref_tools.conversion.plan import Plan, TopicPlan
from mediaref_tools.conversion.track import Track
from mediaref_tools.dataset.layout import FRAMES
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.lanes import Backlog, Lanes, share
from mediaref_tools.log import LogReader, LogWriter, Message, Record
from mediaref_tools.progress import Meter, OnProgress

__all__ = ["Rewritten", "rewrite"]

_BACKLOG_BYTES = 64 * 2**20
_BACKLOG_ITEMS = 512
_AHEAD_BYTES = 16 * 2**20
_AHEAD_ITEMS = 256
_MOST_THREADS = 8  # of one encoder: more gain nothing at the size that cameras have


class Rewritten(NamedTuple):
    """What came of it: a ledger a topic, and the log's messages with the log times of the first and last."""

    ledgers: list[Ledger]
    messages: int
    first_ns: int | None
    last_ns: int | None


def rewrite(
    reader: LogReader,
    building: Building,
    todo: Plan,
    settings: Settings,
    on_progress: OnProgress,
    threads: int,
) -> Rewritten:
    """Read the log once: images into tracks, everything into the new log. The frames table has no PSNR yet.

    What an earlier run finished is neither decoded nor encoded again. All else is made anew: what comes of a message
    depends on the log and the settings alone, so it is the same.
    """
    encoders = sum(one.camera is None for one in todo.converted.values())
    each = min(share(building.threads, encoders), _MOST_THREADS)
    tracks = {topic: _track(one, settings, building.journal, each) for topic, one in todo.converted.items()}
    ledgers = [track.ledger for track in tracks.values()]
    building.sweep({segment.uri for ledger in ledgers for segment in ledger.segments})
    meter = Meter(on_progress, "encode", todo.messages)
    writer = reader.rewriter(building.folder / log_name(building.source), list(tracks), settings.record)
    try:
        with Lanes(threads) as lanes:
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
    building.journal.parts.join(tracks, building.folder / FRAMES)
    return Rewritten(ledgers, count, first_ns, last_ns)


def _track(planned: TopicPlan, settings: Settings, journal: Journal, threads: int) -> Track | CameraTrack:
    if planned.camera is not None:
        return CameraTrack(planned.topic, planned.camera, journal)
    return Track(planned.topic, settings, journal, threads)


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
