"""Holding a manifest against the rows and files that it lists: readers decode by it, and look at nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import file_digest
from pathlib import Path

import av

from mediaref_tools.dataset.manifest import Manifest, Segment, TopicEntry
from mediaref_tools.media.trust import inside
from mediaref_tools.proof.check import TopicCheck
from mediaref_tools.segments.file import Needs, needs

__all__ = ["files", "rows"]


def rows(manifest: Manifest, checks: Mapping[str, TopicCheck], topics: tuple[str, ...]) -> Iterator[str]:
    """What a manifest says of rows and is not so: a line each.

    Args:
        manifest: The manifest.
        checks: What was found of its topics, all of whose rows were looked at.
        topics: Those that have rows.
    """
    for topic in topics:
        if topic not in checks:
            yield f"the frames table has rows of {topic}, which the manifest does not list"
    for entry in manifest.topics:
        found = checks[entry.topic]
        if found.frames != entry.frames:
            yield f"{entry.topic} has {found.frames} rows, the manifest says {entry.frames} frames"
        if found.embedded != entry.embedded:
            yield f"{entry.topic} has {found.embedded} embedded, the manifest says {entry.embedded} embedded"
        yield from _segments(entry, found.segments)


def _segments(entry: TopicEntry, there: Counter[tuple[str, int, int]]) -> Iterator[str]:
    said = Counter({(each.uri, each.width, each.height): each.frames for each in entry.segments})
    for uri, width, height in sorted(there.keys() | said.keys()):
        key = (uri, width, height)
        if there[key] != said[key]:
            rows_there = f"{there[key]} rows of {width}x{height}"
            yield f"{entry.topic} has {rows_there} in {uri}, the manifest says {said[key]} frames"


def files(dataset: Path, manifest: Manifest) -> Iterator[str]:
    """What a manifest says of segments' files and is not so: a line each. Every byte of them is read."""
    for entry in manifest.topics:
        for segment in entry.segments:
            path = inside(dataset, segment.uri)
            try:
                with path.open("rb") as stream:
                    found = file_digest(stream, "sha256").hexdigest()
            except OSError as error:
                yield f"segment {segment.uri} can't be read: {error.strerror or error}"
                continue
            if found != segment.sha256:
                said = f"its sha256 is {found}, not {segment.sha256[:64]}"
                yield f"segment {segment.uri} is not the file that was proved: {said}"
            else:
                yield from _needs(path, segment)


def _needs(path: Path, segment: Segment) -> Iterator[str]:
    try:
        with av.open(str(path)) as container:
            found = needs(container.streams.video[0])
    except (av.FFmpegError, OSError, IndexError):
        return  # none of its frames decodes, which is told
    for name in Needs._fields:
        there, said = getattr(found, name), getattr(segment, name)
        if there not in (said, "unknown"):  # FFV1 and image files do not tell their colours
            yield f"segment {segment.uri} has {name} {str(there)[:60]!r}, the manifest says {str(said)[:60]!r}"
