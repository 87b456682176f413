"""A track: one image topic on its way into segments, giving out the record of each frame as it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mediaref_tools.conversion.budget import BudgetWriter
from mediaref_tools.conversion.coding import Coding, Form, coding
from mediaref_tools.conversion.journal import Journal
from mediaref_tools.conversion.ledger import Ledger
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.errors import EncodeError, ImageError
from mediaref_tools.image import ImageValue, sniff
from mediaref_tools.log import Message, Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.pixels.encodings import layout
from mediaref_tools.pixels.picture import FileBytes, Picture, PixelDecoder
from mediaref_tools.pixels.raw import rest_of
from mediaref_tools.pixels.transport import channels_are_swapped
from mediaref_tools.segments.remux import RemuxWriter
from mediaref_tools.segments.segment import SegmentWriter

__all__ = ["Track"]

_GAP_NS = 1000 * 1_000_000_000  # MP4's sample durations are 32 bits: at 1 µs they end at 2147 s, silently
_EMBEDDED_BYTES = 16 * 2**20  # embedded frames wait in memory for their segment's end: no more of them than this
_OPEN = 4  # segments of other forms that a topic may have open side by side
_FILES = frozenset({"image/jpeg", "image/png"})
_TELLING = 16  # frames from which on a segment's size tells how it goes on


@dataclass(slots=True)
class _Open:
    """A segment that is being written."""

    writer: SegmentWriter | RemuxWriter | BudgetWriter
    uri: str
    start_ns: int
    last_ns: int
    last_us: int = -1
    bytes_in: int = 0


class Track:
    """Encodes one topic's images in order, and embeds those that can't become video. For one thread at a time.

    Pictures of another form (size, pixel format, codec) go into a segment of their own beside the one that is open; a
    single one of another size is embedded instead.

    Where the video of a segment turns out larger than the JPEG or PNG files that it is of, it ends there, and the files
    themselves go into the next one; the one after that is tried as video again.
    """

    def __init__(self, topic: str, settings: Settings, journal: Journal, threads: int = 1) -> None:
        """Start a topic, or go on with it.

        Args:
            topic: Its name.
            settings: How to encode, and how long segments get.
            journal: Takes what is finished, and gives out what an earlier run finished.
            threads: Of each encoder.
        """
        self.ledger = Ledger(topic, journal)
        self._segment_ns = settings.segment_ns
        self._coding: Coding = coding(settings, topic, threads)
        self._decoder = PixelDecoder(self._coding.policy)
        self._copier = PixelDecoder(self._coding.policy._replace(copied=_FILES))
        self._open: dict[Form, _Open] = {}

    def add(self, message: Message, read: Callable[[Message], ImageValue], following: Message | None = None) -> Record:
        """Take the topic's next image message.

        Args:
            message: Not before the one that came last.
            read: Takes the image out of a message.
            following: The message after it, where that is known: it tells a stray picture from a lasting change.

        Returns:
            The record that stands for it.
        """
        self.ledger.bytes_in += len(message.data)
        recalled = self.ledger.recall(message, read)
        if recalled is not None:
            return recalled
        try:
            image = read(message)
        except ImageError as error:
            record = self.ledger.embed(message, None, error)
        else:
            try:
                taken = self._take(message, image)
                form = self._coding.form(taken)
                segment = self._segment(message.log_time_ns, form, lambda: self._form_of(following, read))
            except ImageError as error:
                record = self.ledger.embed(message, image, error)
            else:
                record = self._put(message, image, taken, segment)
                self._watch(segment, image)
        if self.ledger.waiting_bytes > _EMBEDDED_BYTES:
            self._finish()
        return record

    def _take(self, message: Message, image: ImageValue) -> Picture | FileBytes:
        is_copied = message.log_time_ns < self.ledger.copied_until_ns and not channels_are_swapped(image.encoding)
        return (self._copier if is_copied else self._decoder).take(image)

    def _watch(self, segment: _Open, image: ImageValue) -> None:
        """End a segment that has grown: what its encoder still holds back is not counted, so it surely has."""
        segment.bytes_in += len(image.data)
        if (
            isinstance(segment.writer, SegmentWriter)
            and len(segment.writer) >= _TELLING
            and segment.writer.bytes_out > segment.bytes_in
            and sniff(image.data) in _FILES
            and not channels_are_swapped(image.encoding)
        ):
            self.ledger.copied_until_ns = segment.start_ns + self._segment_ns
            self._finish()

    def _put(self, message: Message, image: ImageValue, taken: Picture | FileBytes, segment: _Open) -> Record:
        pts_us = max(segment.last_us + 1, (message.log_time_ns - segment.start_ns + 500) // 1000)
        before = segment.writer.bytes_out
        framing, rest = "", b""
        if isinstance(taken, FileBytes):
            assert isinstance(segment.writer, RemuxWriter)  # noqa: S101 - its form says so
            segment.writer.add(taken.data, pts_us, pts_us, keyframe=True)
        elif isinstance(segment.writer, BudgetWriter):
            segment.writer.add(image, pts_us)
            framing = taken.framing
        else:
            assert isinstance(segment.writer, SegmentWriter)  # noqa: S101
            segment.writer.add(taken.frame, pts_us)
            framing = taken.framing
            known = layout(image.encoding) if taken.lossless and image.kind == "raw" else None
            rest = b"" if known is None else rest_of(image, known)
        self.ledger.bytes_out += segment.writer.bytes_out - before
        segment.last_us, segment.last_ns = pts_us, message.log_time_ns
        ref = MediaRef(uri=segment.uri, pts_ns=pts_us * 1000)
        return self.ledger.take(
            message, image, ref, (taken.width, taken.height), status="video", framing=framing, rest=rest
        )

    def _form_of(self, message: Message | None, read: Callable[[Message], ImageValue]) -> Form | None:
        try:
            return None if message is None else self._coding.form(self._take(message, read(message)))
        except ImageError:
            return None

    def _segment(self, log_time_ns: int, form: Form, following: Callable[[], Form | None]) -> _Open:
        """The segment for a picture: the open one of its form, or a new one."""
        if any(self._is_over(now, log_time_ns) for now in self._open.values()):
            self._finish()
        now = self._open.get(form)
        if now is not None:
            return now
        others = {_size(other) for other in self._open}
        if others and _size(form) not in others | self.ledger.strays and following() in self._open:
            self.ledger.strays.add(_size(form))
            raise ImageError(f"a single picture of {form.width}x{form.height} among those of another size")
        if len(self._open) == _OPEN:
            self._finish()
        uri, path = self.ledger.place()
        try:
            writer = self._writer(path, form)
        except EncodeError as error:
            path.unlink(missing_ok=True)
            raise ImageError(str(error)) from error
        self.ledger.begun += 1
        self._open[form] = _Open(writer, uri, log_time_ns, log_time_ns)
        return self._open[form]

    def _is_over(self, now: _Open, log_time_ns: int) -> bool:
        return (
            log_time_ns < now.last_ns
            or log_time_ns - now.last_ns > _GAP_NS
            or log_time_ns - now.start_ns >= self._segment_ns
        )

    def _writer(self, path: Path, form: Form) -> SegmentWriter | RemuxWriter | BudgetWriter:
        if form.codec in ("mjpeg", "png"):
            return RemuxWriter(path, form.codec, b"", form.width, form.height)
        if self._coding.budget is not None and form.codec in ("h264", "av1"):
            return BudgetWriter(path, self._coding, form)
        return SegmentWriter(path, self._coding.encoding(form), form.shape)

    def _finish(self) -> None:
        """Close the open segments and hand their rows on."""
        for form, now in self._closing():
            before = now.writer.bytes_out
            file = now.writer.close()
            self.ledger.bytes_out += now.writer.bytes_out - before
            codec = now.writer.codec if isinstance(now.writer, BudgetWriter) else form.codec
            size = (form.width, form.height)
            self.ledger.close_segment(now.uri, codec, file, size, now.start_ns, now.last_ns)
        self.ledger.flush()

    def _closing(self) -> Iterator[tuple[Form, _Open]]:
        while self._open:
            form = next(iter(self._open))
            yield form, self._open.pop(form)

    def close(self) -> None:
        """Finish the last segments.

        Raises:
            OutputError, EncodeError: One could not be written as it should be.
        """
        self._finish()
        # The old ones' scalers hold a megabyte.
        self._decoder = PixelDecoder(self._coding.policy)
        self._copier = PixelDecoder(self._copier.policy)

    def abort(self) -> None:
        """Let go of the open segments' files."""
        for now in self._open.values():
            now.writer.abort()


def _size(form: Form) -> tuple[int, int]:
    return form.width, form.height
