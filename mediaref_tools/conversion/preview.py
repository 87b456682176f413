"""What a conversion would do, told without doing it: the plan, and sizes guessed from a few frames of each topic."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.conversion.journal import Journal
from mediaref_tools.conversion.plan import TopicPlan, plan
from mediaref_tools.conversion.track import Track
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.log import LogReader
from mediaref_tools.plugins import open_log

__all__ = ["Preview", "TopicPreview", "preview"]

_SAMPLE = 30  # frames: two groups of pictures, by default


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TopicPreview(_Model):
    """What would happen to one image topic."""

    topic: str
    type: str
    encoding: str = Field(description="Image.encoding or CompressedImage.format of its first picture")
    messages: int
    codec: str | None = Field(description="what its pictures become; None where the topic is kept")
    remuxed: bool = Field(description="whether a camera's own video is taken over as it is")
    reason: str = Field(description="why it is kept")
    bytes_in: int = Field(description="image message payloads in the source")
    bytes_out: int = Field(description="as its first frames let expect")


class Preview(_Model):
    """What `convert` would do."""

    source: str
    container: str
    messages: int
    topics: tuple[TopicPreview, ...]


def preview(log: str | Path, *, settings: Settings | None = None) -> Preview:
    """Look at a log's image topics, encode a few frames of each, and tell what `convert` would do.

    Args:
        log: As for `convert`.
        settings: As for `convert`.

    Raises:
        LogError: The log can't be read.
        TopicError: A glob matches no image topic.
    """
    settings = settings or Settings()
    with open_log(Path(log), settings.opening) as reader, tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        todo = plan(reader, settings, scratch)
        topics = tuple(
            TopicPreview(
                topic=one.topic,
                type=one.type,
                encoding=one.encoding,
                messages=one.messages,
                codec=one.codec,
                remuxed=one.camera is not None,
                reason=one.reason,
                bytes_in=one.bytes,
                bytes_out=_expected_bytes(reader, one, settings, scratch),
            )
            for one in todo.topics
        )
        return Preview(source=str(log), container=reader.container, messages=todo.messages, topics=topics)


def _expected_bytes(reader: LogReader, planned: TopicPlan, settings: Settings, scratch: Path) -> int:
    if planned.codec is None or planned.camera is not None:
        return planned.bytes
    track = Track(planned.topic, settings, Journal(scratch / "journal", scratch))
    try:
        for message in reader.messages([planned.topic]):
            if message.channel.role != "image":
                continue
            track.add(message, reader.image)
            if track.ledger.frames == _SAMPLE:
                break
        track.close()
    except BaseException:
        track.abort()
        raise
    taken = track.ledger
    bytes_out = taken.bytes_embedded + sum(segment.bytes for segment in taken.segments)
    return round(bytes_out / max(taken.bytes_in, 1) * planned.bytes)
