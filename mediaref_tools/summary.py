"""What a log or a dataset holds, told from its index: what `mediaref info` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.manifest import Manifest, Settings, Source, Tool, TopicEntry
from mediaref_tools.errors import MediarefError
from mediaref_tools.log import NOTE, Channel, ChannelStats, LogReader, Role
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import open_log
from mediaref_tools.report import KeptTopic, LossReport
from mediaref_tools.staging import folder_bytes

__all__ = ["ChannelSummary", "DatasetSummary", "LogSummary", "TopicSummary", "inspect"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelSummary(_Model):
    """The channels of one topic that have one type: a topic may have several, one a publisher, say."""

    topic: str
    type: str
    encoding: str
    role: Role = Field(
        description="image: becomes video; record: references already; unsupported: images that no converter reads"
    )
    channels: int = Field(description="how many are taken together here")
    messages: int
    bytes: int = Field(description="payloads")
    first_ns: int | None
    last_ns: int | None
    rate_hz: float | None = Field(description="messages a second between the first and the last")
    notes: tuple[str, ...] = Field(description="what the converter made of it and why, where it was not plain")


class LogSummary(_Model):
    """A log, as its index tells it. Times are log times; `last_ns` is the last message's."""

    kind: Literal["log"] = "log"
    path: str
    container: str
    bytes: int = Field(description="the file, or all files of the folder")
    messages: int
    first_ns: int | None
    last_ns: int | None
    channels: tuple[ChannelSummary, ...]
    losses: tuple[LossReport, ...] = Field(description="what was seen at opening; reading may find more")


class TopicSummary(_Model):
    """A topic of a dataset that became video. PSNR is of luma, in dB; p1 is the first percentile."""

    topic: str
    type: str
    codec: str
    frames: int
    embedded: int = Field(description="of the frames, those kept with their original bytes")
    rate_hz: float | None
    sizes: tuple[tuple[int, int], ...] = Field(description="(width, height) of its pictures, each once, in order")
    bytes_in: int = Field(description="image message payloads in the source")
    bytes_out: int = Field(description="segments and embedded frames")
    ratio: float | None = Field(description="bytes_out / bytes_in")
    psnr_mean_db: float | None
    psnr_p1_db: float | None
    segments: int
    reason: str | None = Field(description="why the first embedded frame could not become video")


class DatasetSummary(_Model):
    """A dataset, as its manifest tells it, and what else its rewritten log holds."""

    kind: Literal["dataset"] = "dataset"
    path: str
    source: Source
    tool: Tool
    settings: Settings
    log: str
    messages: int
    bytes: int = Field(description="the whole folder")
    ratio: float | None = Field(description="bytes / source.bytes")
    topics: tuple[TopicSummary, ...]
    kept: tuple[KeptTopic, ...]
    losses: tuple[LossReport, ...]
    warnings: tuple[str, ...]
    other_topics: int | None = Field(description="topics of the rewritten log in neither list; None: it can't be read")
    other_messages: int | None
    log_error: str | None = Field(description="why the rewritten log can't be read")


def inspect(path: str | Path) -> LogSummary | DatasetSummary:
    """Look at a log, or at a dataset that `convert` made, without reading its messages.

    Raises:
        LogError: Neither is there (`LogNotFound`), or the log can't be read.
        DatasetError: The dataset's manifest can't be read.
        PluginError: Two converters claim the log, or none does and one is broken.
    """
    path = Path(path)
    if (path / MANIFEST).is_file():
        return _inspect_dataset(path)
    with open_log(path) as log:
        stats = log.stats()
        channels = _channels(log, stats)
        first_ns, last_ns = _span(stats.values())
        return LogSummary(
            path=str(path),
            container=log.container,
            bytes=folder_bytes(path),
            messages=sum(channel.messages for channel in channels),
            first_ns=first_ns,
            last_ns=last_ns,
            channels=channels,
            losses=tuple(LossReport(**loss._asdict()) for loss in log.losses),
        )


_ROLES = get_args(Role)


def _channels(log: LogReader, stats: Mapping[int, ChannelStats]) -> tuple[ChannelSummary, ...]:
    groups: dict[tuple[str, str, str, str], list[Channel]] = {}
    for channel in log.channels:
        groups.setdefault((channel.topic, channel.type, channel.encoding, channel.role), []).append(channel)
    summaries = []
    for (topic, type_name, encoding, _), channels in groups.items():
        known = [stats[channel.id] for channel in channels if channel.id in stats]
        messages = sum(one.messages for one in known)
        first_ns, last_ns = _span(known)
        summaries.append(
            ChannelSummary(
                topic=topic,
                type=type_name,
                encoding=encoding,
                role=channels[0].role,
                channels=len(channels),
                messages=messages,
                bytes=sum(one.bytes for one in known),
                first_ns=first_ns,
                last_ns=last_ns,
                rate_hz=_rate_hz(messages, first_ns, last_ns),
                notes=tuple(dict.fromkeys(one.attributes[NOTE] for one in channels if NOTE in one.attributes)),
            )
        )
    return tuple(sorted(summaries, key=lambda one: (_ROLES.index(one.role), one.topic, one.type)))


def _span(stats: Iterable[ChannelStats]) -> tuple[int | None, int | None]:
    known = list(stats)
    first = [one.first_ns for one in known if one.first_ns is not None]
    last = [one.last_ns for one in known if one.last_ns is not None]
    return min(first, default=None), max(last, default=None)


def _rate_hz(messages: int, first_ns: int | None, last_ns: int | None) -> float | None:
    if first_ns is None or last_ns is None or messages < 2 or last_ns <= first_ns:
        return None
    return (messages - 1) * 1_000_000_000 / (last_ns - first_ns)


def _inspect_dataset(path: Path) -> DatasetSummary:
    manifest = Manifest.read(path)
    size = folder_bytes(path)
    other_topics, other_messages, log_error = None, None, None
    listed = {topic.topic for topic in manifest.topics} | {topic.topic for topic in manifest.kept}
    try:
        with open_log(inside(path, manifest.log), manifest.settings.opening) as log:
            others = [channel for channel in _channels(log, log.stats()) if channel.topic not in listed]
            other_topics = len({channel.topic for channel in others})
            other_messages = sum(channel.messages for channel in others)
    except MediarefError as error:
        log_error = str(error)  # the manifest stands on its own: a missing plugin must not hide it
    return DatasetSummary(
        path=str(path),
        source=manifest.source,
        tool=manifest.tool,
        settings=manifest.settings,
        log=manifest.log,
        messages=manifest.messages,
        bytes=size,
        ratio=size / manifest.source.bytes if manifest.source.bytes else None,
        topics=tuple(_topic(entry) for entry in manifest.topics),
        kept=manifest.kept,
        losses=manifest.losses,
        warnings=manifest.warnings,
        other_topics=other_topics,
        other_messages=other_messages,
        log_error=log_error,
    )


def _topic(entry: TopicEntry) -> TopicSummary:
    in_video = sum(segment.frames for segment in entry.segments)
    first_ns = min((segment.first_log_time_ns for segment in entry.segments), default=None)
    last_ns = max((segment.last_log_time_ns for segment in entry.segments), default=None)
    return TopicSummary(
        topic=entry.topic,
        type=entry.type,
        codec=entry.codec,
        frames=entry.frames,
        embedded=entry.embedded,
        rate_hz=_rate_hz(in_video, first_ns, last_ns),
        sizes=tuple(dict.fromkeys((segment.width, segment.height) for segment in entry.segments)),
        bytes_in=entry.bytes_in,
        bytes_out=entry.bytes_out,
        ratio=entry.bytes_out / entry.bytes_in if entry.bytes_in else None,
        psnr_mean_db=entry.psnr_mean_db,
        psnr_p1_db=entry.psnr_p1_db,
        segments=len(entry.segments),
        reason=entry.reason,
    )
