"""Logs that still hold the pictures that could be video: what a check before a commit looks for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.log import LogReader
from mediaref_tools.plugins import claimed, open_log

__all__ = ["Unshrunk", "unshrunk"]


class Unshrunk(NamedTuple):
    """A log's topics of pictures, sorted, and the bytes of their messages."""

    topics: tuple[str, ...]
    bytes: int


def unshrunk(path: str | Path, max_bytes: int) -> Unshrunk | None:
    """The pictures that a file holds, where it is a log with more than so many bytes of them.

    Args:
        path: Any file. What no converter claims holds none, as does one of at most `max_bytes`.
        max_bytes: Of messages on topics of images. A camera's own video is not counted: it is small already.

    Raises:
        LogError: A converter claims it, and it can't be read.
    """
    path = Path(path)
    if not path.is_file() or path.stat().st_size <= max_bytes or not claimed(path):
        return None
    with open_log(path) as reader:
        stats = reader.stats()
        channels = [
            channel
            for channel in reader.channels
            if channel.role == "image" and channel.id in stats and stats[channel.id].messages
        ]
        topics = {topic for topic in {channel.topic for channel in channels} if not _is_video(reader, topic)}
        size = sum(stats[channel.id].bytes for channel in channels if channel.topic in topics)
    return Unshrunk(tuple(sorted(topics)), size) if size > max_bytes else None


def _is_video(reader: LogReader, topic: str) -> bool:
    """Whether a topic's first image is a packet of a camera's own video."""
    images = (message for message in reader.messages([topic]) if message.channel.role == "image")
    return any(reader.image(first).kind == "packet" for first in islice(images, 1))
