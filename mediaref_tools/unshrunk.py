"""Logs that still hold the pictures that could be video: what a check before a commit looks for."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

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
        found = {
            channel.topic: channel
            for channel in reader.channels
            if channel.role == "image" and channel.id in stats and stats[channel.id].messages
        }
        for topic in list(found):
            first = next(
                (each for each in reader.messages([topic]) if each.channel.role == "image"),
                None,
            )
            if first is not None and reader.image(first).kind == "packet":
                del found[topic]
        ids = [channel.id for channel in reader.channels if channel.topic in found and channel.role == "image"]
        size = sum(stats[number].bytes for number in ids if number in stats)
    return Unshrunk(tuple(sorted(found)), size) if size > max_bytes else None
