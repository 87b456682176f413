"""A track: one image topic on its way into segments, giving out the record of each frame as it comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mediaref_tools.dataset.frames import FrameParts, FrameRow
from mediaref_tools.dataset.layout import segment_uri
from mediaref_tools.dataset.manifest import Segment, Settings
from mediaref_tools.errors import EncodeError, ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message, Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.pixels.picture import Picture, PixelDecoder, file_size
from mediaref_tools.segments.segment import DEFAULT_CRF, Encoding, SegmentWriter

__all__ = ["Track", "encoding"]

_GAP_NS = 1000 * 1_000_000_000  # MP4's sample durations are 32 bits: at 1 µs they end at 2147 s, silently
_EMBEDDED_BYTES = 16 * 2**20  # embedded frames wait in memory for their segment's end: no more of them than this


def encoding(settings: Settings) -> Encoding:
    """How these settings encode: the codec's own default where no crf is given."""
    crf = DEFAULT_CRF[settings.codec] if settings.crf is None else settings.crf
    return Encoding(settings.codec, crf, settings.gop)


@dataclass(slots=True)
class _Open:
    """The segment that is being written."""

    writer: SegmentWriter
    uri: str
    size: tuple[int, int]
    start_ns: int
    last_ns: int
    last_us: int


class Track:
    """Encodes one topic's images in order, and embeds those that can't become video. For one thread at a time."""

    def __init__(self, topic: str, dataset: Path, settings: Settings, parts: FrameParts) -> None:
        """Start a topic.

        Args:
            topic: Its name.
            dataset: The folder that is being built.
            settings: How to encode, and how long segments get.
            parts: Takes the rows of each finished segment.
        """
        self.topic = topic
        self.frames = 0
        self.embedded = 0
        self.bytes_in = 0
        self.bytes_out = 0
        """Packets and embedded bytes so far."""
        self.bytes_embedded = 0
        self.reason: str | None = None
        """Why the first embedded frame could not become video."""
        self.segments: list[Segment] = []
        self._dataset = dataset
        self._settings = settings
        self._parts = parts
        self._decoder = PixelDecoder()
        self._open: _Open | None = None
        self._rows: list[FrameRow] = []
        self._embedded_bytes = 0

    def add(self, message: Message, read: Callable[[Message], ImageValue]) -> Record:
        """Take the topic's next image message.

        Args:
            message: Not before the one that came last.
            read: Takes the image out of the message.

        Returns:
            The record that stands for it.
        """
        self.bytes_in += len(message.data)
        try:
            image = read(message)
        except ImageError as error:
            # Nothing in it can be told apart: the whole message is what must not be lost.
            image = ImageValue(message.data, "", kind="raw", type=message.channel.type)
            return self._embed(message, image, f"application/x-{message.channel.encoding}", error)
        try:
            picture = self._decoder.picture(image)
            segment = self._segment(message.log_time_ns, picture)
        except ImageError as error:
            return self._embed(message, image, image.media_type, error)
        pts_us = max(segment.last_us + 1, (message.log_time_ns - segment.start_ns + 500) // 1000)
        before = segment.writer.bytes_out
        segment.writer.add(picture.frame, pts_us)
        self.bytes_out += segment.writer.bytes_out - before
        segment.last_us, segment.last_ns = pts_us, message.log_time_ns
        ref = MediaRef(uri=segment.uri, pts_ns=pts_us * 1000)
        return self._take(message, image, ref, picture.width, picture.height)

    def _segment(self, log_time_ns: int, picture: Picture) -> _Open:
        """The segment for a picture: the open one, or a new one where that can't take it."""
        size = (picture.width, picture.height)
        now = self._open
        if now is not None and (
            now.size != size
            or log_time_ns < now.last_ns
            or log_time_ns - now.last_ns > _GAP_NS
            or log_time_ns - now.start_ns >= self._settings.segment_ns
        ):
            self._finish()
        if self._open is None:
            uri = segment_uri(self.topic, len(self.segments))
            path = self._dataset / uri
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                writer = SegmentWriter(path, encoding(self._settings), picture.frame.width, picture.frame.height)
            except EncodeError as error:
                path.unlink(missing_ok=True)
                raise ImageError(str(error)) from error
            self._open = _Open(writer, uri, size, log_time_ns, log_time_ns, -1)
        return self._open

    def _embed(self, message: Message, image: ImageValue, media_type: str, error: ImageError) -> Record:
        self.embedded += 1
        self.reason = self.reason or str(error)
        self.bytes_out += len(image.data)
        self.bytes_embedded += len(image.data)
        self._embedded_bytes += len(image.data)
        width, height = file_size(image.data) if image.kind == "file" else (image.width, image.height)
        record = self._take(message, image, MediaRef(uri=DataURI.from_bytes(image.data, media_type).uri), width, height)
        if self._embedded_bytes > _EMBEDDED_BYTES:
            self._finish()
        return record

    def _take(self, message: Message, image: ImageValue, ref: MediaRef, width: int, height: int) -> Record:
        self._rows.append(
            FrameRow(
                index=self.frames,
                log_time_ns=message.log_time_ns,
                publish_time_ns=message.publish_time_ns,
                stamp_ns=image.stamp_ns,
                frame_id=image.frame_id,
                uri=ref.uri,
                pts_ns=ref.pts_ns,
                keyframe=False,
                width=width,
                height=height,
                source_encoding="" if image.kind == "file" else image.encoding,
                source_format=image.encoding if image.kind == "file" else "",
                byte_offset=None,
                byte_size=None,
                status="video" if ref.is_video else "embedded",
            )
        )
        self.frames += 1
        return Record(
            ref,
            stamp_ns=image.stamp_ns,
            frame_id=image.frame_id,
            source_type=message.channel.type,
            source_encoding=image.encoding,
            height=height,
            width=width,
            step=image.step,
            is_bigendian=image.is_bigendian,
        )

    def _finish(self) -> None:
        """Close the open segment and hand its rows on."""
        segment, self._open = self._open, None
        if segment is not None:
            file = segment.writer.close()
            packets = iter(zip(*(array.tolist() for array in file.packets), strict=True))
            for number, row in enumerate(self._rows):
                if row.status == "video":
                    _, offset, size, keyframe = next(packets)
                    self._rows[number] = replace(row, byte_offset=offset, byte_size=size, keyframe=keyframe)
            width, height = segment.size
            self.segments.append(
                Segment(
                    uri=segment.uri,
                    codec=self._settings.codec,
                    extradata=file.extradata,
                    width=width,
                    height=height,
                    coded_width=file.coded_width,
                    coded_height=file.coded_height,
                    pixel_format=file.pixel_format,
                    color_range=file.color_range,
                    color_space=file.color_space,
                    frames=len(file.packets.pts_us),
                    first_log_time_ns=segment.start_ns,
                    last_log_time_ns=segment.last_ns,
                    bytes=file.bytes,
                    sha256=file.sha256,
                )
            )
        self._flush()

    def _flush(self) -> None:
        self._parts.add(self.topic, self._rows)
        self._rows = []
        self._embedded_bytes = 0

    def close(self) -> None:
        """Finish the last segment.

        Raises:
            OutputError, EncodeError: It could not be written as it should be.
        """
        self._finish()

    def abort(self) -> None:
        """Let go of the open segment's file."""
        if self._open is not None:
            self._open.writer.abort()
