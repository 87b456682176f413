"""A track of a camera's own video: packets into segments as they are, by a plan that has seen them all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from mediaref_tools.camera.survey import CameraPlan, survey
from mediaref_tools.camera.unit import Unit, UnitReader
from mediaref_tools.conversion.journal import Journal
from mediaref_tools.conversion.ledger import Ledger
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, VideoCodec, video_codec
from mediaref_tools.log import LogReader, Message, Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.segments.remux import RemuxWriter

__all__ = ["CameraTrack", "camera_plan"]


def camera_plan(log: LogReader, topic: str, segment_ns: int) -> CameraPlan:
    """Go through a topic's packets once, and plan what becomes of each."""
    return survey(_packets(log, topic), segment_ns=segment_ns)


def _packets(log: LogReader, topic: str) -> Iterator[tuple[int, ImageValue]]:
    for message in log.messages([topic]):
        if message.channel.role == "image":
            try:
                yield message.log_time_ns, log.image(message)
            except ImageError:
                yield message.log_time_ns, ImageValue(b"", "", "packet")


class CameraTrack:
    """Remuxes one topic's packets in order, and embeds those that can't be decoded. For one thread at a time."""

    def __init__(self, topic: str, plan: CameraPlan, journal: Journal) -> None:
        """Start a topic, or go on with it.

        Args:
            topic: Its name.
            plan: What becomes of each packet.
            journal: Takes what is finished, and gives out what an earlier run finished.
        """
        self.ledger = Ledger(topic, journal)
        self._plan = plan
        self._codec: VideoCodec | None = None
        self._reader: UnitReader | None = None
        self._writer: RemuxWriter | None = None
        self._uri = ""
        self._number = -1
        self._last_ns = 0

    def add(
        self,
        message: Message,
        read: Callable[[Message], ImageValue],
        following: Message | None = None,  # noqa: ARG002 - the plan knows it
    ) -> Record:
        """Take the topic's next message.

        Args:
            message: Not before the one that came last.
            read: Takes the image out of a message.
            following: Of no use here.

        Returns:
            The record that stands for it.
        """
        ledger, at = self.ledger, self.ledger.frames
        ledger.bytes_in += len(message.data)
        recalled = ledger.recall(message, read)
        if recalled is not None:
            with suppress(ImageError):
                self._unit(read(message))  # parameter sets are carried over
            return recalled
        try:
            image = read(message)
        except ImageError as error:
            return ledger.embed(message, None, error)
        try:
            unit = self._unit(image)
            number = int(self._plan.segment[at])
            if number < 0:
                raise ImageError(self._plan.reasons[int(self._plan.reason[at])] or "comes before any keyframe")
        except ImageError as error:
            return ledger.embed(message, image, error)
        if number != self._number:
            self._next(number)
        assert self._writer is not None  # noqa: S101 - a segment is open
        pts_us, dts_us = int(self._plan.pts_us[at]), int(self._plan.dts_us[at])
        self._writer.add(unit.data, pts_us, dts_us, bool(self._plan.keyframe[at]))
        ledger.bytes_out += len(unit.data)
        self._last_ns = message.log_time_ns
        segment = self._plan.segments[number]
        ref = MediaRef(uri=self._uri, pts_ns=pts_us * 1000)
        size = (segment.width, segment.height)
        return ledger.take(message, image, ref, size, status="remuxed", framing=unit.framing)

    def _unit(self, image: ImageValue) -> Unit:
        codec = video_codec(image.encoding) if image.kind == "packet" else None
        if codec is None:
            raise ImageError(f"{image.encoding!r} names no codec of video that is known: h264, h265, vp9 or av1")
        if self._reader is None or codec != self._codec:
            self._codec, self._reader = codec, UnitReader(codec)
        return self._reader.unit(image.data)

    def _next(self, number: int) -> None:
        self._finish()
        segment = self._plan.segments[number]
        self._uri, path = self.ledger.place()
        self._writer = RemuxWriter(path, segment.codec, segment.config, segment.width, segment.height)
        self.ledger.begun += 1
        self._number = number

    def _finish(self) -> None:
        if self._writer is not None:
            segment = self._plan.segments[self._number]
            file, self._writer = self._writer.close(), None
            size = (segment.width, segment.height)
            self.ledger.close_segment(self._uri, segment.codec, file, size, segment.first_log_time_ns, self._last_ns)
        self.ledger.flush()

    def close(self) -> None:
        """Finish the last segment.

        Raises:
            OutputError, EncodeError: It could not be written as it should be.
        """
        self._finish()

    def abort(self) -> None:
        """Let go of the open segment's file."""
        if self._writer is not None:
            self._writer.abort()
