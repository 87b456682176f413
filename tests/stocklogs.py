"""Logs and segments as others read them: rosbags, mcap and plain PyAV, nothing of this package."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

__all__ = ["StockMessage", "StockRecord", "StockVideo", "deserialized", "records", "stock_messages", "stock_video"]


class StockMessage(NamedTuple):
    """A message with all that its container says of it. `about` is callerid and latching, QoS, or metadata."""

    topic: str
    type: str
    definition: str
    about: str
    log_time_ns: int
    publish_time_ns: int | None
    sequence: int | None
    data: bytes


class StockRecord(NamedTuple):
    """A record in an ImageRef message, deserialised by the definition that stands in the log."""

    topic: str
    log_time_ns: int
    publish_time_ns: int | None
    stamp_ns: int
    frame_id: str
    uri: str
    pts_ns: int
    source_type: str
    source_encoding: str
    size: tuple[int, int, int]


class StockVideo(NamedTuple):
    """A video decoded from start to end: times in ns, as exact fractions, and pictures."""

    pts_ns: list[Fraction]
    end_ns: Fraction
    rgb: list[NDArray[np.uint8]]

    def chosen(self, time_ns: int) -> int:
        """The specification's rule: `pts[i] <= t < pts[i + 1]`, the last frame until the stream's end."""
        index = bisect_right(self.pts_ns, time_ns) - 1
        assert index >= 0, f"{time_ns} lies before the first frame"
        assert time_ns < self.end_ns, f"{time_ns} lies at or after the stream's end {self.end_ns}"
        return index


def _rgb(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def stock_video(path: Path) -> StockVideo:
    """Decode a whole file with nothing but PyAV's own defaults."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        assert stream.duration is not None
        tick_ns = Fraction(stream.time_base) * 1_000_000_000
        end_ns = ((stream.start_time or 0) + stream.duration) * tick_ns
        frames = list(container.decode(stream))
        pts_ns = [int(frame.pts or 0) * tick_ns for frame in frames]
        assert pts_ns == sorted(set(pts_ns)), path
        return StockVideo(pts_ns, end_ns, [_rgb(frame) for frame in frames])


def stock_messages(path: Path, container: str) -> list[StockMessage]:
    """All messages: of a file in MCAP's own way by index, and again from start to end, which must be the same."""
    if container == "rosbag1":
        return list(_rosbag1(path))
    if container == "mcap":
        indexed = list(_mcap(path, linear=False))
        assert sorted(indexed) == sorted(_mcap(path, linear=True))
        return indexed
    found = list(_rosbag2(path))
    if container == "rosbag2-mcap":
        files = [message for file in sorted(path.glob("*.mcap")) for message in _mcap(file, linear=False)]
        assert sorted(m[:2] + m[4:5] + m[7:] for m in files) == sorted(m[:2] + m[4:5] + m[7:] for m in found)
        return files
    return found


def _rosbag1(path: Path) -> Iterator[StockMessage]:
    from rosbags.rosbag1 import Reader

    with Reader(path) as reader:
        for connection, time_ns, data in reader.messages():
            extension: Any = connection.ext
            about = f"{extension.callerid} {extension.latching} {connection.digest}"
            definition = connection.msgdef.data
            yield StockMessage(
                connection.topic, connection.msgtype, definition, about, time_ns, None, None, bytes(data)
            )


def _rosbag2(path: Path) -> Iterator[StockMessage]:
    from rosbags.rosbag2 import Reader

    with Reader(path) as reader:
        for connection, time_ns, data in reader.messages():
            extension: Any = connection.ext
            about = f"{extension.serialization_format} {extension.offered_qos_profiles} {connection.digest}"
            definition = connection.msgdef.data
            yield StockMessage(
                connection.topic, connection.msgtype, definition, about, time_ns, None, None, bytes(data)
            )


def _mcap(path: Path, *, linear: bool) -> Iterator[StockMessage]:
    from mcap.reader import NonSeekingReader, make_reader

    with path.open("rb") as stream:
        reader = NonSeekingReader(stream) if linear else make_reader(stream)
        for schema, channel, message in reader.iter_messages(log_time_order=True):
            yield StockMessage(
                channel.topic,
                schema.name if schema else "",
                f"{schema.encoding} {schema.data!r}" if schema else "",
                f"{channel.message_encoding} {sorted(channel.metadata.items())}",
                message.log_time,
                message.publish_time,
                message.sequence,
                message.data,
            )


def _published(path: Path) -> dict[tuple[str, int], int]:
    """Publish times, of which rosbags tells nothing."""
    return {
        (m.topic, m.log_time_ns): m.publish_time_ns or 0
        for file in path.glob("*.mcap")
        for m in _mcap(file, linear=False)
    }


def deserialized(path: Path, container: str) -> Iterator[tuple[str, str, int, int | None, Any]]:
    """Topic, type, log time, publish time, and the message, deserialised by the log's own definitions."""
    if container == "mcap":
        from mcap.reader import make_reader
        from mcap_ros2.decoder import DecoderFactory

        with path.open("rb") as stream:
            reader = make_reader(stream, decoder_factories=[DecoderFactory()])
            for schema, channel, message, value in reader.iter_decoded_messages(log_time_order=True):
                yield channel.topic, schema.name, message.log_time, message.publish_time, value
        return
    from rosbags.highlevel import AnyReader

    published = _published(path)
    with AnyReader([path]) as reader_:
        for connection, time_ns, data in reader_.messages():
            value = reader_.deserialize(data, connection.msgtype)
            yield connection.topic, connection.msgtype, time_ns, published.get((connection.topic, time_ns)), value


def records(path: Path, container: str) -> Iterator[StockRecord]:
    """The typed records of a rewritten log, in log-time order."""
    for topic, kind, log_time_ns, publish_time_ns, value in deserialized(path, container):
        if kind == "mediaref_msgs/msg/ImageRef":
            stamp = value.header.stamp
            yield StockRecord(
                topic,
                log_time_ns,
                publish_time_ns,
                stamp.sec * 1_000_000_000 + stamp.nanosec,
                value.header.frame_id,
                value.media_ref.uri,
                value.media_ref.pts_ns,
                value.source_type,
                value.source_encoding,
                (value.height, value.width, value.step),
            )
