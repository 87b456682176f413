"""The video stream of a media file: which frame is on screen at a time, decided in whole ticks of its time base.

The frame for a tick `t` is the one that sequential decoding shows then: the last whose pts is not after `t`. To find
it, the stream is entered at a keyframe from which that frame is surely decoded right, and decoded forward; frames that
are shown before the keyframe they follow (open GOPs) are left to the keyframe before it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import av
from av.video.stream import VideoStream

from mediaref_tools.errors import FrameError, MediaError
from mediaref_tools.media.clock import Clock
from mediaref_tools.media.gop import PacketTable
from mediaref_tools.media.packets import Packets, no_times

__all__ = ["FrameStream"]

# How far ahead decoding on is taken to be cheaper than entering anew: past the next known keyframe; without an index.
_NEAR = (Fraction(1, 4), Fraction(2))
_ENTRIES_TRIED = 24  # each one keyframe back, or twice as far as the one before it: from the last, half a year


class _OutsideError(Exception):
    """A tick is before the first frame, or at or after the end."""


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
        self._file, self._name = file, name
        self._process = os.getpid()
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._shown: av.VideoFrame | None = None  # the frame on screen where decoding stands
        self._next: av.VideoFrame | None = None  # the one after it, decoded already
        try:
            self._packets = Packets(file, name)
        except BaseException:
            if not isinstance(file, Path):
                file.close()
            raise

    @property
    def stream(self) -> VideoStream:
        """PyAV's stream."""
        return self._packets.stream

    @property
    def clock(self) -> Clock:
        """The stream's."""
        return self._packets.clock

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._packets.closed

    @property
    def end(self) -> int | None:
        """The tick at which the stream ends, as the container tells it; None where it does not."""
        return self._packets.end

    @property
    def until(self) -> int:
        """The tick at which the frame that `at` gave last is replaced, by the next one or the stream's end.

        Where the file is damaged after it: up to which it is known to be on screen.
        """
        if self._next is not None:
            return self._pts(self._next)
        assert self._shown is not None  # noqa: S101 - `at` was called
        pts = self._pts(self._shown)
        if self._packets.trouble:
            sure = self._packets.sure
            return pts + 1 if sure is None else max(pts + 1, sure)
        # Never before the last frame is over: many headers tell a wrong end.
        return max(pts + max(1, self._shown.duration or 0), self.end or 0)

    def first(self) -> av.VideoFrame:
        """The first frame that there is, which `at` goes on from.

        Raises:
            MediaError: There is none.
        """
        return self._consistent(self._pts(self._start()))

    def last(self) -> av.VideoFrame:
        """The last frame that there is; `until` is the stream's end then.

        Raises:
            MediaError: The video is damaged or cut before it, or has no frames.
        """
        first = self._pts(self.first())
        frame = self._consistent(first if self.end is None else max(first, self.end - 1))
        while self._next is not None:
            frame = self._consistent(self.until)
        if self._packets.trouble:
            raise self._packets.error()
        return frame

    def frame_count(self) -> int:
        """How many frames are shown, by the headers, or by the packets where no header tells."""
        return self._packets.frame_count or len(self.ticks())

    def ticks(self) -> list[int]:
        """The pts of every frame that is shown, ascending: the whole file is read, nothing decoded.

        Raises:
            MediaError: The file is damaged or cut.
        """
        self._open_again()
        self._leave()
        return self._packets.ticks()

    def table(self) -> PacketTable | None:
        """Where the packets of an MP4 file lie; None where positions can't be told or relied on."""
        self._open_again()
        self._leave()
        return self._packets.table()

    def at(self, tick: int) -> av.VideoFrame:
        """The frame on screen at a tick. Fastest when asked in ascending order.

        Raises:
            FrameError: The tick lies before the first frame, or at or after the stream's end.
            MediaError: The video is damaged there, cut before it, or has no frames.
        """
        if self._packets.closed:
            raise MediaError(f"video was closed: open it again: {self._name}")
        self._open_again()
        try:
            return self._reach(tick)
        except _OutsideError:
            raise self._outside(tick) from None

    def _open_again(self) -> None:
        """In a forked process, open a local file anew: the place to read from is one for parent and child."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        if isinstance(self._file, Path):
            self._leave()
            self._packets = Packets(self._file, self._name)

    def close(self) -> None:
        """Close the file. Safe to call again."""
        self._leave()
        self._packets.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _consistent(self, tick: int) -> av.VideoFrame:
        """The frame at a tick that the stream itself named."""
        try:
            return self._reach(tick)
        except _OutsideError:
            raise MediaError(f"video's times contradict each other: remux it: {self._name}") from None

    def _reach(self, tick: int) -> av.VideoFrame:
        try:
            if self._is_ahead(tick):
                try:
                    return self._forward(tick)
                except MediaError:
                    pass  # damaged on the way: there may be a keyframe behind that
            self._enter(tick)
            return self._forward(tick)
        except BaseException:
            self._leave()  # what it stands at can't be trusted
            raise

    def _is_ahead(self, tick: int) -> bool:
        """Whether decoding on from where it stands is right, and cheaper than entering at a keyframe."""
        if self._shown is None or tick < self._pts(self._shown):
            return False
        if tick < self.until:
            return True
        if not self._packets.resumable:
            return True
        key = self._packets.keyframe(tick)
        ahead = (tick if key is None else key) - self._pts(self._shown)
        return ahead * self.clock.tick_seconds <= _NEAR[key is None]

    def _enter(self, tick: int) -> None:
        """Stand before the frame for a tick, at a keyframe from which it is decoded right."""
        self._leave()
        target = tick if self.end is None else min(tick, self.end)
        step = max(1, int(1 / self.clock.tick_seconds))
        for _ in range(_ENTRIES_TRIED):
            if not self._packets.resumable or target <= (self.stream.start_time or 0):
                break
            self._frames = self._packets.from_keyframe(target)
            first = next(self._frames, None)
            if first is not None and self._pts(first) <= tick:
                self._next = first
                return
            key = self._packets.key
            if key is not None and key <= target:
                target = key - 1
            else:
                target, step = target - step, 2 * step
        first = self._start()
        if self._pts(first) > tick:
            raise _OutsideError

    def _start(self) -> av.VideoFrame:
        """Stand before the first frame that sequential decoding gives."""
        self._leave()
        self._frames = self._packets.from_start()
        self._next = next(self._frames, None)
        if self._next is None:
            if self._packets.trouble:
                raise self._packets.error()
            raise MediaError(f"video has no frame that can be decoded, or is cut: {self._name}")
        return self._next

    def _forward(self, tick: int) -> av.VideoFrame:
        """Decode on until the frame for a tick is on screen."""
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
        return self._shown

    def _check_end(self, tick: int) -> None:
        """Decoding came to its end: whether the tick lies before that."""
        if tick < self.until:
            return
        if self._packets.trouble:
            raise self._packets.error()
        raise _OutsideError

    def _leave(self) -> None:
        self._frames = iter(())
        self._shown = self._next = None

    def _pts(self, frame: av.VideoFrame) -> int:
        if frame.pts is None:
            raise no_times(self._name)
        return frame.pts

    def _outside(self, tick: int) -> FrameError:
        begin = self.clock.ns(self._pts(self._start()))
        try:
            self.last()
            ends = f"{begin} to {self.clock.ns(self.until)} ns (the end not included)"
        except MediaError:
            ends = f"{begin} ns, and is damaged or cut before its end"
        return FrameError(
            f"no frame is on screen at {self.clock.ns(tick)} ns: the stream runs from {ends}: {self._name}"
        )
