"""A dataset as one MCAP file that Foxglove and Rerun play: video in messages, beside all other topics."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from mcap.writer import Writer
from pydantic import BaseModel, ConfigDict, Field

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.errors import FrameError, MediarefError, OutputError
from mediaref_tools.export.foxglove import IMAGE, SCHEMAS, VIDEO, image_message, video_message
from mediaref_tools.export.guard import refuse_taken
from mediaref_tools.export.remuxing import FORMS, PacketSource
from mediaref_tools.log import NOTE, Channel, Message, Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import OnProgress, Progress, no_progress
from mediaref_tools.selection import select
from mediaref_tools.staging import Staging

__all__ = ["LeftOut", "McapReport", "export_mcap"]

_LIBRARY: Final = "mediaref-tools export"
_STILLS: Final = {"jpeg", "png", "webp", "avif"}
_SCHEMA_ENCODINGS: Final = {"ros1": "ros1msg", "cdr": "ros2msg", "json": "jsonschema"}
_OWN: Final = ("mcap:", "mediaref:")  # what readers say of a channel that was not in its metadata
_PROGRESS_EVERY: Final = 64


class LeftOut(BaseModel):
    """Pictures of one topic that the file does not have, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    reason: str
    frames: int


class McapReport(BaseModel):
    """What `export_mcap` wrote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    out: str
    frames: int = Field(description="pictures, as video or as images")
    copied: int = Field(description="messages of all other topics")
    bytes: int
    seconds: float
    left_out: tuple[LeftOut, ...]


def export_mcap(
    dataset: Dataset,
    out: str | Path,
    *,
    topics: Sequence[str] = ("*",),
    start_ns: int | None = None,
    stop_ns: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = no_progress,
) -> McapReport:
    """Write one MCAP file: pictures as foxglove.CompressedVideo or CompressedImage, all other messages as they are.

    Packets are taken from the segments and never encoded again. Video has its parameter sets on every key frame.
    Log and publish times are those of the log, and so are topics' names. What Foxglove has no message for (depth in
    FFV1, frames stored out of order, embedded raw pictures), and frames before a topic's first key frame in the range,
    are left out and counted. Nothing is at `out` until everything is.

    Args:
        dataset: An open dataset on this machine, with its log.
        out: A file that is not there yet.
        topics: Globs of topics with frames; others are always copied.
        start_ns, stop_ns: Log times, half-open; None is the log's own.
        overwrite: Replace an earlier export at `out`.
        on_progress: Is told of stage "export", in messages.

    Raises:
        TopicError: A glob matches no topic.
        FrameError: No frame can be written.
        DatasetError: It has no manifest, or a segment can't be read.
        OutputError: Something is in the way, or the output can't be written.
    """
    began_s, out = monotonic(), Path(out)
    log = dataset.manifest.log
    if not isinstance(dataset.path, Path):
        raise OutputError(f"only a dataset on this machine can become MCAP: copy it here first: {dataset}")
    chosen = set(select(set(dataset), tuple(topics), (), what="topic with frames"))
    if out.resolve().is_relative_to(dataset.path.resolve()):
        raise OutputError(f"an export can't go into its dataset: choose another place: {out}")
    staging = Staging(out, maker="export")
    if not os.path.lexists(staging.folder):
        refuse_taken(out, overwrite, _is_export)
    try:
        with staging, open_log(dataset.path / log) as reader:
            refuse_taken(out, overwrite, _is_export)
            staging.clear()
            total = sum(one.messages for one in reader.stats().values())
            with staging.new.open("xb") as stream:
                author = _Author(Writer(stream), dataset.path, set(dataset), chosen)
                author.start()
                found = reader.messages(start_ns=start_ns, stop_ns=stop_ns)
                for done, message in enumerate(found, 1):
                    author.add(message, reader.record(message) if message.channel.topic in dataset else None)
                    if done % _PROGRESS_EVERY == 0:
                        on_progress(Progress("export", done, max(total, done), bytes_out=stream.tell()))
                author.finish()
                size = stream.tell()
            if not author.frames:
                raise FrameError(f"no frame lies there that can become MCAP: {'; '.join(author.reasons())}: {out}")
            staging.commit(replace=overwrite)
    except MediarefError:
        raise
    except OSError as error:
        raise OutputError(f"export can't be written: {error.strerror or error}: {error.filename or out}") from error
    return McapReport(
        out=str(out),
        frames=author.frames,
        copied=author.copied,
        bytes=size,
        seconds=monotonic() - began_s,
        left_out=tuple(
            LeftOut(topic=topic, reason=reason, frames=count) for (topic, reason), count in author.left_out.items()
        ),
    )


class _Author:
    """Writes messages. `frames`, `copied` and `left_out` say what became of them so far."""

    def __init__(self, writer: Writer, folder: Path, pictures: set[str], chosen: set[str]) -> None:
        self.frames = self.copied = 0
        self.left_out: Counter[tuple[str, str]] = Counter()
        self._writer, self._folder, self._pictures, self._chosen = writer, folder, pictures, chosen
        self._channels: dict[tuple[str, str] | int, int] = {}
        self._schemas: dict[tuple[str, str, bytes], int] = {}
        self._sources: dict[str, PacketSource] = {}
        self._kinds: dict[str, str] = {}

    def start(self) -> None:
        self._writer.start(profile="", library=_LIBRARY)

    def finish(self) -> None:
        self._writer.finish()

    def reasons(self) -> Iterator[str]:
        for (topic, reason), count in self.left_out.items():
            yield f"{topic}: {count} {reason}"

    def add(self, message: Message, record: Record | None) -> None:
        topic = message.channel.topic
        if topic in self._pictures and topic not in self._chosen:
            return
        if record is None:
            self._write(self._copied(message.channel), message, bytes(message.data))
            self.copied += 1
            return
        made = self._picture(topic, record, message.log_time_ns)
        if isinstance(made, str):
            self.left_out[topic, made] += 1
            return
        kind, data = made
        if self._kinds.setdefault(topic, kind) != kind:  # players take one kind of message a topic
            self.left_out[topic, f"stored otherwise than the {self._kinds[topic]} before"] += 1
            return
        self._write(self._channel(topic, kind), message, data)
        self.frames += 1

    def _picture(self, topic: str, record: Record, log_time_ns: int) -> tuple[str, bytes] | str:
        """A message's type and payload, or why there is none."""
        stamp_ns = log_time_ns if record.stamp_ns is None else record.stamp_ns
        uri = record.ref.uri
        if uri.startswith("data:"):
            media = DataURI.from_uri(uri)
            form = media.mimetype.removeprefix("image/")
            if form not in _STILLS:
                return f"embedded as {media.mimetype}"
            return IMAGE, image_message(stamp_ns, record.frame_id, media.decoded_data, form)
        if record.ref.pts_ns is None:
            return "in files of their own"
        source = self._sources.setdefault(topic, PacketSource(self._folder))
        data, is_key = source.packet(uri, record.ref.pts_ns)
        form = FORMS.get(source.codec, "")
        if not form:
            return f"of codec {source.codec}, which Foxglove has no message for"
        if form in _STILLS:
            return IMAGE, image_message(stamp_ns, record.frame_id, data, form)
        if source.is_reordered:
            return "in segments that store frames in another order than they are shown"
        if topic not in self._kinds and not is_key:
            return "before the first key frame"
        return VIDEO, video_message(stamp_ns, record.frame_id, data, form)

    def _write(self, channel: int, message: Message, data: bytes) -> None:
        sent_ns = message.log_time_ns if message.publish_time_ns is None else message.publish_time_ns
        self._writer.add_message(channel, message.log_time_ns, data, sent_ns, message.sequence or 0)

    def _copied(self, channel: Channel) -> int:
        if channel.id not in self._channels:
            said = channel.attributes
            encoding = said.get("mcap:schema_encoding") or said.get("definition_encoding")
            encoding = encoding or _SCHEMA_ENCODINGS.get(channel.encoding, channel.encoding)
            has_schema = bool(channel.definition or said.get("mcap:schema_encoding"))
            self._channels[channel.id] = self._writer.register_channel(
                channel.topic,
                channel.encoding,
                self._schema(channel.type, encoding, channel.definition) if has_schema else 0,
                {key: value for key, value in said.items() if key != NOTE and not key.startswith(_OWN)},
            )
        return self._channels[channel.id]

    def _channel(self, topic: str, kind: str) -> int:
        if (topic, kind) not in self._channels:
            schema = self._schema(kind, "protobuf", SCHEMAS[kind])
            self._channels[topic, kind] = self._writer.register_channel(topic, "protobuf", schema)
        return self._channels[topic, kind]

    def _schema(self, name: str, encoding: str, data: bytes) -> int:
        key = (name, encoding, data)
        if key not in self._schemas:
            self._schemas[key] = self._writer.register_schema(name, encoding, data)
        return self._schemas[key]


def _is_export(out: Path) -> bool:
    if not out.is_file():
        return False
    with out.open("rb") as stream:
        return _LIBRARY.encode() in stream.read(128)
