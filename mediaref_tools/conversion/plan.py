"""The plan: which topics of a log become video, and why the others stay as they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.conversion.track import encoding
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.errors import EncodeError, ImageError
from mediaref_tools.log import LogReader
from mediaref_tools.pixels.picture import Picture, PixelDecoder
from mediaref_tools.report import KeptTopic
from mediaref_tools.segments.segment import SegmentWriter
from mediaref_tools.selection import select

__all__ = ["Plan", "plan"]

_TRIES = 8  # a topic whose first frames all fail stays as it is; one that fails later has that frame embedded


class Plan(NamedTuple):
    """`topics` become video; `kept` are image topics that were asked for and can't; `messages` are all of the log."""

    topics: tuple[str, ...]
    kept: tuple[KeptTopic, ...]
    messages: int


def plan(log: LogReader, settings: Settings, scratch: Path) -> Plan:
    """Look at the first frames of each image topic and decide.

    Args:
        log: The open source.
        settings: Which topics are asked for, and the codec.
        scratch: A folder in which the encoder may be tried.

    Raises:
        TopicError: A glob matches no image topic.
    """
    unhandled = {
        channel.topic: f"messages of type {channel.type} are not handled"
        for channel in log.channels
        if channel.role == "unsupported"
    }
    images = {channel.topic for channel in log.channels if channel.role == "image"}
    for name in images:
        if _printable(name) != name:  # it could be written neither to the frames table nor to the manifest
            unhandled[name] = "the topic's name is not UTF-8"
        else:
            unhandled.pop(name, None)
    names = select(images | set(unhandled), settings.topics, settings.exclude, what="image topic")
    topic_of = {channel.id: channel.topic for channel in log.channels}
    counts: Counter[str] = Counter()
    for channel_id, stats in log.stats().items():
        counts[topic_of[channel_id]] += stats.messages
    names = [name for name in names if counts[name]]
    reasons = _survey(log, {name for name in names if name not in unhandled}, settings, scratch)
    reasons |= {name: unhandled[name] for name in names if name in unhandled}
    return Plan(
        tuple(name for name in names if reasons[name] is None),
        tuple(
            KeptTopic(topic=_printable(name), reason=reason, messages=counts[name])
            for name in names
            if (reason := reasons[name]) is not None
        ),
        counts.total(),
    )


def _printable(name: str) -> str:
    """A topic's name as text that can be encoded: containers give bytes that are not UTF-8 as surrogates."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _survey(log: LogReader, names: set[str], settings: Settings, scratch: Path) -> dict[str, str | None]:
    """Why each topic can't become video, or None if it can."""
    reasons: dict[str, str | None] = {}
    undecided = dict.fromkeys(names, "")
    tries: Counter[str] = Counter()
    decoder = PixelDecoder()
    start_ns: int | None = None
    seen: set[tuple[str, int, int]] = set()
    while undecided:
        for message in log.messages(set(undecided), start_ns=start_ns):
            topic = message.channel.topic
            key = (topic, message.log_time_ns, message.position)
            if message.channel.role != "image" or key in seen:
                continue
            seen.add(key)
            try:
                _try_encoder(decoder.picture(log.image(message)), settings, scratch)
            except (ImageError, EncodeError) as error:
                undecided[topic] = undecided[topic] or str(error)
                tries[topic] += 1
                if tries[topic] < _TRIES:
                    continue
                reasons[topic] = undecided.pop(topic)
            else:
                reasons[topic] = None
                del undecided[topic]
            # Again from here without that topic, so that an index can skip it.
            start_ns = message.log_time_ns
            break
        else:
            reasons.update(undecided)
            undecided = {}
    return reasons


def _try_encoder(picture: Picture, settings: Settings, scratch: Path) -> None:
    path = scratch / "try.mp4"
    try:
        SegmentWriter(path, encoding(settings), picture.frame.width, picture.frame.height).abort()
    finally:
        path.unlink(missing_ok=True)
