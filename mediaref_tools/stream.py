"""The video stream of a media file: which frame is on screen at a time, decided in whole ticks of its time base.

The frame for a tick `t` is the one that sequential decoding shows then: the last whose pts is not after `t`. To find
it, the stream is entered at a keyframe from which that frame is surely decoded right, and decoded forward; frames that
are shown before the keyframe they follow (open GOPs) are left to the keyframe before it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import av
from av.video.stream import VideoStream

from mediaref_tools.clock import Clock
from mediaref_tools.errors import FrameError, MediaError
from mediaref_tools.mediafile import open_container, video_stream

__all__ = ["FrameStream"]

# How far ahead decoding on is taken to be cheaper than entering anew: past the next known keyframe; without an index.
_NEAR = (Fraction(1, 4), Fraction(2))
_ENTRIES_TRIED = 24  # each goes back twice as far as the one before it: from the last, years


class FrameStream:
    """An open media file and its first video stream. A context manager, for one thread at a time."""

    def __init__(self, file: Path | IO[bytes], name: str) -> None:
        """Open the file; nothing is decoded, and nothing but headers and index is read.

        Args:
            file: A local file, or one that can seek, which this object then owns.
            name: What messages call it.

        Raises:
            RefError: It is a still image.
            MediaError: It is no media file, or has no video.
        """
        self._name = name
        self._file = file
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._shown: av.VideoFrame | None = None  # the frame on screen where decoding stands
        self._next: av.VideoFrame | None = None  # the one after it, decoded already
        self._closed = False
        try:
            self._container = open_container(file, name)
            self._stream = video_stream(self._container, name)
        except BaseException:
            self.close()
            raise
        base = self._stream.time_base
        if base is None:
            raise MediaError(f"video tells no time base: {name}")
        self.clock = Clock(Fraction(base))
        self._index = self._stream.index_entries
        self._has_index = self._container.format.name.startswith(("mov", "matroska", "avi")) and len(self._index) > 1

        # H.264 in AVI has no times but the order of its packets, which B-frames turn round: frames are counted, from
        # the start each time.
        self._counts = self._container.format.name == "avi" and bool(
            self._stream.codec_context.has_b_frames and self._stream.codec_context.name in ("h264", "hevc")
        )

    @property
    def stream(self) -> VideoStream:
        """PyAV's stream."""
        return self._stream

    def first(self) -> av.VideoFrame:
        """The first frame that there is, which `at` goes on from.

        Raises:
            MediaError: There is none.
        """
        self._next = self._first()
        return self.at(self._pts(self._next))

    def last(self) -> av.VideoFrame:
        """The last frame that there is; `until` is the stream's end then."""
        frame = self.at(max(self._pts(self.first()), (self.end or 0) - 1))
        while self._next is not None:
            frame = self.at(self.until)
        return frame

    @property
    def end(self) -> int | None:
        """The tick at which the stream ends, as the container tells it; None where it does not."""
        if self._stream.duration is not None:
            return (self._stream.start_time or 0) + self._stream.duration
        if self._container.duration is not None:
            # Matroska tells when it ends; libavformat makes a length of it by not taking the start off.
            start = 0 if "matroska" in self._container.format.name else self._container.start_time or 0
            return int(Fraction(start + self._container.duration, av.time_base) / self.clock.tick_seconds)
        return None

    @property
    def until(self) -> int:
        """The tick at which the frame that `at` gave last is replaced: by the next one, or by the stream's end."""
        if self._next is not None:
            return self._pts(self._next)
        assert self._shown is not None  # noqa: S101 - `at` was called
        # Never before the last frame is over: many headers tell a wrong end.
        return max(self._pts(self._shown) + max(1, self._shown.duration or 0), self.end or 0)

    def at(self, tick: int) -> av.VideoFrame:
        """The frame on screen at a tick. Fastest when asked in ascending order.

        Raises:
            FrameError: The tick lies before the first frame, or at or after the stream's end.
            MediaError: The video is damaged there, cut before it, or has no frames.
        """
        if not self._is_ahead(tick):
            self._enter(tick)
        while self._next is None or self._pts(self._next) <= tick:
            if self._next is not None:
                self._shown, self._next = self._next, None
            frame = next(self._frames, None)
            if frame is None:
                self._check_end(tick)
                break
            if self._shown is not None and self._pts(frame) < self._pts(self._shown):
                raise MediaError(
                    f"frame times run backwards after {self.clock.ns(self._pts(self._shown))} ns: remux the video: "
                    f"{self._name}"
                )
            self._next = frame
        assert self._shown is not None  # noqa: S101 - `_enter` begins at a frame that is not after the tick
        if self._shown.is_corrupt:
            raise MediaError(f"video is damaged at {self.clock.ns(self._pts(self._shown))} ns: {self._name}")
        return self._shown

    def packet_ticks(self) -> list[int]:
        """The pts of every frame, ascending, as the packets tell: the whole file is read, nothing decoded."""
        self._leave()
        self._seek(None)
        if self._counts:
            return list(
                range(self._stream.frames or sum(1 for packet in self._container.demux(self._stream) if packet.size))
            )
        found = set()
        with self._damage("while its packets are read"):
            for packet in self._container.demux(self._stream):
                if packet.size and not packet.is_discard and packet.pts is not None:
                    found.add(packet.pts)
        return sorted(found)

    def close(self) -> None:
        """Close the file. Safe to call again."""
        if self._closed:
            return
        self._closed = True
        self._leave()
        if hasattr(self, "_container"):
            self._container.close()
        if not isinstance(self._file, Path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _is_ahead(self, tick: int) -> bool:
        """Whether decoding on from where it stands is right, and cheaper than entering at a keyframe."""
        if self._shown is None or tick < self._pts(self._shown):
            return False
        if self._next is not None and tick < self._pts(self._next):
            return True
        entry = self._index.search_timestamp(tick, backward=True, any_frame=False) if self._has_index else -1
        key = self._index[entry].timestamp if entry >= 0 else tick
        return (key - self._pts(self._shown)) * self.clock.tick_seconds <= _NEAR[entry < 0]

    def _enter(self, tick: int) -> None:
        """Stand before the frame for a tick, at a keyframe from which it is decoded right."""
        self._leave()
        first_tick = tick if self._counts else self._stream.start_time or 0
        back = 0
        step = max(1, int(1 / self.clock.tick_seconds))
        for _ in range(_ENTRIES_TRIED):
            target = tick - back
            if target <= first_tick:
                break
            self._seek(target)
            self._frames = self._from_keyframe()
            first = next(self._frames, None)
            if first is not None and self._pts(first) <= tick:
                self._next = first
                return
            back, step = back + step, 2 * step
        first = self._first()
        if self._pts(first) > tick:
            raise self._outside(tick, self._pts(first), self.end)
        self._next = first

    def _first(self) -> av.VideoFrame:
        """The first frame that sequential decoding gives, with decoding standing after it."""
        self._leave()
        self._seek(None)
        self._frames = self._decoded(self._container.demux(self._stream))
        if self._counts:
            self._frames = _counted(self._frames)
        first = next(self._frames, None)
        if first is None:
            raise MediaError(f"video has no frame that can be decoded: {self._name}")
        return first

    def _from_keyframe(self) -> Iterator[av.VideoFrame]:
        """Frames from the first keyframe on, without those that are shown before it."""
        packets = self._container.demux(self._stream)
        with self._damage("where it was entered"):
            key = next((packet for packet in packets if packet.is_keyframe and packet.size), None)
        if key is None:
            return
        begin = key.pts

        def rest() -> Iterator[av.Packet[VideoStream]]:
            yield key
            yield from packets

        for frame in self._decoded(rest()):
            if begin is None or self._pts(frame) >= begin:
                yield frame

    def _decoded(self, packets: Iterator[av.Packet[VideoStream]]) -> Iterator[av.VideoFrame]:
        with self._damage("in a packet"):
            for packet in packets:
                yield from packet.decode()

    @contextlib.contextmanager
    def _damage(self, where: str) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            if isinstance(error, (MediaError, FrameError)):
                raise
            near = f" after {self.clock.ns(self._pts(self._shown))} ns" if self._shown is not None else ""
            raise MediaError(f"video is damaged or cut {where}{near}: {error}: {self._name}") from error

    def _seek(self, tick: int | None) -> None:
        """Move the container to a keyframe near a tick, or to its start; decoders forget what they held."""
        try:
            if tick is None:
                # Not before the first timestamp that there can be: some demuxers would not move.
                start = self._container.start_time or 0
                self._container.seek(min(0, start))
            else:
                self._container.seek(tick, stream=self._stream, backward=True)
        except av.FFmpegError as error:
            if tick is not None:
                raise MediaError(
                    f"video can't be entered at {self.clock.ns(tick)} ns: {error}: {self._name}"
                ) from error
            self._reopen()

    def _reopen(self) -> None:
        self._container.close()
        if not isinstance(self._file, Path):
            self._file.seek(0)
        self._container = open_container(self._file, self._name)
        self._stream = video_stream(self._container, self._name)
        self._index = self._stream.index_entries

    def _leave(self) -> None:
        self._frames = iter(())
        self._shown = self._next = None

    def _pts(self, frame: av.VideoFrame) -> int:
        if frame.pts is None:
            raise MediaError(f"video tells no times (a raw stream): put it into a container such as MP4: {self._name}")
        return frame.pts

    def _check_end(self, tick: int) -> None:
        """Decoding came to the end: whether that is the stream's, and after the tick."""
        if self._shown is None:
            raise MediaError(f"video has no frame that can be decoded: {self._name}")
        if tick >= self.until:
            end = self.until
            raise self._outside(tick, self._pts(self.first()), end)
        self._check_whole(self._pts(self._shown))

    def _check_whole(self, last: int) -> None:
        """Whether the file has all that its index names: else a cut file would show its last frame for ever."""
        if not self._has_index:
            return
        entry = self._index[len(self._index) - 1]
        size = self._container.size
        if size > 0 and entry.pos + entry.size > size:
            raise MediaError(
                f"video is cut: its index names {entry.pos + entry.size} bytes, the file has {size}; the last whole "
                f"frame is at {self.clock.ns(last)} ns: {self._name}"
            )

    def _outside(self, tick: int, begin: int, end: int | None) -> FrameError:
        ends = "" if end is None else f" to {self.clock.ns(end)} ns (the end not included)"
        return FrameError(
            f"no frame is on screen at {self.clock.ns(tick)} ns: the stream runs from {self.clock.ns(begin)}{ends}: "
            f"{self._name}"
        )


def _counted(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for number, frame in enumerate(frames):
        frame.pts = number
        yield frame
