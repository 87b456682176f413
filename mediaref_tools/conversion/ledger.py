"""What becomes of a topic while its log is converted: rows of the frames table, segments, sums."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mediaref_tools.conversion.journal import Entry, Journal
from mediaref_tools.dataset.framerow import FrameRow, Status, digest_of, told_by
from mediaref_tools.dataset.layout import segment_uri
from mediaref_tools.dataset.manifest import Segment, SegmentCodec
from mediaref_tools.dataset.pictures import picture_size
from mediaref_tools.errors import ImageError, LogError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message, Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.segments.file import SegmentFile

__all__ = ["Ledger"]


class Ledger:
    """What becomes of a topic: its rows, segments and sums. Rows wait here until their segments are closed."""

    def __init__(self, topic: str, journal: Journal) -> None:
        """`journal` takes the rows of finished segments, and has those that an earlier run finished."""
        self.topic = topic
        self.frames = 0
        self.embedded = 0
        self.bytes_in = 0
        self.bytes_out = 0
        """Packets and embedded bytes so far."""
        self.bytes_embedded = 0
        self.reason: str | None = None
        """Why the first embedded frame could not become video."""
        self.begun = 0
        """Segments begun so far."""
        self.segments: list[Segment] = []
        """Those that are finished."""
        self.waiting_bytes = 0
        """Embedded bytes in rows that wait."""
        self.strays: set[tuple[int, int]] = set()
        """Sizes of single pictures among those of another size."""
        self.copied_until_ns = -(2**63)
        """Up to which log time image files go in as they are, since their video was larger."""
        self._journal = journal
        self._rows: list[FrameRow] = []
        self._closed: list[Segment] = []
        for entry in journal.entries(topic):
            self.segments += entry.segments
            self.embedded, self.bytes_embedded, self.begun = entry.embedded, entry.bytes_embedded, entry.begun
            self.reason, self.strays = entry.reason, set(entry.strays)
            self.copied_until_ns = entry.copied_until_ns
        self.reused = len(self.segments)
        """Segments that an earlier run finished."""
        self._recalled = journal.rows(topic)

    def place(self) -> tuple[str, Path]:
        """The uri and path of the next segment, which is counted once it is begun."""
        uri = segment_uri(self.topic, self.begun)
        path = self._journal.dataset / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        return uri, path

    def recall(self, message: Message, read: Callable[[Message], ImageValue]) -> Record | None:
        """The record of the next message, where an earlier run has dealt with it; None once it has not.

        Raises:
            LogError: Its row is another message's.
        """
        row = next(self._recalled, None)
        if row is None:
            return None
        try:
            image = read(message)
        except ImageError:
            image = _unreadable(message)
        told = {"log_time_ns": message.log_time_ns, **told_by(message, image)}
        if any(getattr(row, name) != value for name, value in told.items()):
            raise LogError(
                f"message {row.index} of {self.topic} is not the one that an earlier run converted, at log time "
                f"{row.log_time_ns}: begin anew with --no-resume"
            )
        self.frames += 1
        self.bytes_out += len(image.data) if row.byte_size is None else row.byte_size
        return _record(message, image, MediaRef(uri=row.uri, pts_ns=row.pts_ns), row.width, row.height)

    def take(
        self,
        message: Message,
        image: ImageValue,
        ref: MediaRef,
        size: tuple[int, int],
        *,
        status: Status,
        framing: str = "",
        rest: bytes = b"",
    ) -> Record:
        """Write down what stands for a message; `size` is width and height, `rest` what `rest_of` gave."""
        width, height = size
        self._rows.append(
            FrameRow(
                index=self.frames,
                log_time_ns=message.log_time_ns,
                **told_by(message, image),
                uri=ref.uri,
                pts_ns=ref.pts_ns,
                keyframe=False,
                width=width,
                height=height,
                source_framing=framing,
                byte_offset=None,
                byte_size=None,
                status=status,
                source_rest=zlib.compress(rest) if rest else None,
                source_digest=digest_of(message.data if image.serialized is None else image.serialized),
            )
        )
        self.frames += 1
        return _record(message, image, ref, width, height)

    def embed(self, message: Message, image: ImageValue | None, error: ImageError) -> Record:
        """Keep an image's own bytes in its record, since they can't become video.

        Where nothing in a message can be told apart, `image` is None: the whole of it is what must not be lost.
        """
        media_type = f"application/x-{message.channel.encoding}" if image is None else image.media_type
        image = image or _unreadable(message)
        self.embedded += 1
        self.reason = self.reason or str(error)
        self.bytes_out += len(image.data)
        self.bytes_embedded += len(image.data)
        self.waiting_bytes += len(image.data)
        height, width = picture_size(image)
        ref = MediaRef(uri=DataURI.from_bytes(image.data, media_type).uri)
        return self.take(message, image, ref, (width, height), status="embedded")

    def close_segment(
        self,
        uri: str,
        codec: SegmentCodec,
        file: SegmentFile,
        size: tuple[int, int],
        first_ns: int,
        last_ns: int,
    ) -> None:
        """Take a finished segment, and fill in where its rows' packets lie: they came in the packets' order."""
        packets = iter(zip(*(array.tolist() for array in file.packets), strict=True))
        for number, row in enumerate(self._rows):
            if row.uri == uri:
                _, offset, length, keyframe = next(packets)
                self._rows[number] = replace(row, byte_offset=offset, byte_size=length, keyframe=keyframe)
        self._closed.append(
            Segment(
                uri=uri,
                codec=codec,
                extradata=file.extradata,
                width=size[0],
                height=size[1],
                coded_width=file.coded_width,
                coded_height=file.coded_height,
                pixel_format=file.pixel_format,
                color_range=file.color_range,
                color_space=file.color_space,
                frames=len(file.packets.pts_us),
                first_log_time_ns=first_ns,
                last_log_time_ns=last_ns,
                bytes=file.bytes,
                sha256=file.sha256,
            )
        )

    def flush(self) -> None:
        """Hand on the rows: all their segments are closed."""
        if not self._rows:
            return
        self._closed.sort(key=lambda segment: segment.uri)
        self._journal.add(
            Entry(
                topic=self.topic,
                embedded=self.embedded,
                bytes_embedded=self.bytes_embedded,
                begun=self.begun,
                reason=self.reason,
                strays=tuple(sorted(self.strays)),
                copied_until_ns=self.copied_until_ns,
                segments=tuple(self._closed),
            ),
            self._rows,
        )
        self.segments += self._closed
        self._rows, self._closed = [], []
        self.waiting_bytes = 0


def _unreadable(message: Message) -> ImageValue:
    return ImageValue(message.data, "", "raw", type=message.channel.type)


def _record(message: Message, image: ImageValue, ref: MediaRef, width: int, height: int) -> Record:
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
