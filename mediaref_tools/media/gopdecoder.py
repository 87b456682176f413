"""Decoders that stay where they stand, so that a frame further ahead in a group is not decoded from its keyframe.

Frames come out pixel for pixel as sequential decoding gives them: what is left out are packets that no other frame
needs, and what lies before a keyframe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import cast

import av

from mediaref_tools.errors import MediarefError
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.media.gop import Coding, Group, PacketTable
from mediaref_tools.media.packetfile import PacketReader

__all__ = ["GopDecoders"]

_IDLE_PIXELS = 2**24  # of the pictures of all decoders left standing: each holds a few of its own
_IDLE = 32
_WORTH_THREADS = 4  # packets: below, starting a decoder of several threads costs more than it gains
_LINGER = 16  # packets beyond the last wanted one that are decoded rather than give up the place

_LEFT_BEHIND: list[list[_Decoder]] = []
"""Decoders of the process that this one is a fork of: to end one would wait for threads that are not here."""


class _Decoder:
    """libavcodec's decoder, and where it stands. For one thread at a time."""

    def __init__(self, coding: Coding, threads: int, *, strict: bool = False) -> None:
        context = av.CodecContext.create(coding.decoder, "r")
        assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
        if coding.extradata:
            context.extradata = coding.extradata
        if coding.decoder == "ffv1" or coding.colours is not None:
            # FFV1's packets do not tell the size; of H.264, a container may show less than is coded.
            context.width, context.height = coding.width, coding.height
        if coding.colours is not None:
            context.color_range, context.colorspace, context.color_primaries, context.color_trc = coding.colours
        context.thread_count = threads
        context.thread_type = "FRAME"
        # Strictly, H.264 that does not tell how far its frames are out of order is taken to be so as far as it may.
        context.options = {"max_pixels": str(MAX_PIXELS)} | ({"strict": "strict"} if strict else {})
        self.coding, self.threads, self._context, self._strict = coding, threads, context, strict
        self.table: PacketTable | None = None
        self._first, self._fed, self._reached = -1, 0, -1
        self._drained = False
        self._inside: set[int] = set()  # fed, and not given out yet
        self._kept: dict[int, av.VideoFrame] = {}  # the last that was wanted, and those after it that came out first

    def is_ahead(self, table: PacketTable, group: Group) -> bool:
        """Whether all wanted frames are still to come from where it stands."""
        if self.table is not table or self._first != group.first:
            return False
        wanted = [number for number in group.wanted if number not in self._kept]
        if self._drained and wanted:
            return False
        return all(number >= self._fed or number in self._inside for number in wanted)

    def was_before(self, table: PacketTable, group: Group) -> bool:
        """Whether its last frames lay before the wanted ones in their group: somebody is going through it."""
        return self.table is table and self._first == group.first and self._reached < group.wanted[0]

    def frames(self, file: PacketReader, table: PacketTable, group: Group) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames, in the order in which they are shown."""
        ahead = self.is_ahead(table, group)
        going = ahead or self.was_before(table, group)
        if not ahead:
            self._enter(table, group)
        self._reached = group.wanted[-1]
        todo = set(group.wanted)
        for number in todo & self._kept.keys():
            todo.remove(number)
            yield number, self._kept[number]
        self._kept = {number: frame for number, frame in self._kept.items() if number >= self._reached}
        if not todo:
            return
        stop = group.wanted[-1] + 1
        for number, data in file.packets(table, self._fed, stop):
            self._fed = number + 1
            if self._strict or number in todo or not table.is_spare(data):
                yield from self._feed(number, data, todo)
        beyond = min(stop + _LINGER, table.end(group))
        if todo and going and file.is_near(table, self._fed, beyond):
            for number, data in file.packets(table, self._fed, beyond):
                self._fed = number + 1
                yield from self._feed(number, data, todo)
                if not todo:
                    return
        if todo:
            self._drained = True
            yield from self._taken(self._context.decode(None), todo)

    def _enter(self, table: PacketTable, group: Group) -> None:
        self._context.flush_buffers()
        self.table, self._first, self._fed = table, group.first, group.first
        self._drained = False
        self._inside.clear()
        self._kept.clear()

    def _feed(self, number: int, data: memoryview, todo: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        # Not around our bytes: libavcodec's own threads let go of a packet, and would wait for Python's lock to do so,
        # held by who ends a decoder and waits for them. Nor have our bytes the padding behind them that it reads.
        packet = av.Packet(len(data))
        packet.update(cast("bytes", data))
        packet.pts = packet.dts = number
        self._inside.add(number)
        yield from self._taken(self._context.decode(packet), todo)

    def _taken(self, frames: list[av.VideoFrame], todo: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in frames:
            number = frame.pts
            if number is None:
                continue
            if frame.is_corrupt:  # and so may be what refers to it
                raise ValueError("a frame is not whole")
            self._inside.discard(number)
            if number in todo:
                todo.remove(number)
                self._kept = {other: frame for other, frame in self._kept.items() if other > self._reached}
                self._kept[number] = frame
                yield number, frame
            elif number > self._reached:
                self._kept[number] = frame


class GopDecoders:
    """Decoders left standing, a bounded number. Any thread may ask; a fork has its own."""

    def __init__(self, threads: int) -> None:
        """`threads` is how many ask at once, and how many a decoder may have of its own."""
        self._threads = threads
        self._start()

    def _start(self) -> None:
        if hasattr(self, "_idle"):
            _LEFT_BEHIND.append(self._idle)
        self._lock = threading.Lock()
        self._idle: list[_Decoder] = []  # the one that was used last is the last
        self._process = os.getpid()

    def __getstate__(self) -> int:
        return self._threads

    def __setstate__(self, threads: int) -> None:
        self._threads = threads
        self._start()

    def decode(
        self,
        file: PacketReader,
        table: PacketTable,
        group: Group,
        threads: int,
        put: Callable[[int, av.VideoFrame], None],
    ) -> None:
        """Decode the wanted frames of a group, and hand each to `put` with its number.

        Args:
            file, table, group: What to decode.
            threads: For this group alone.
            put: Called in this thread. The frame is not to be kept or changed.

        Raises:
            MediarefError: The file is missing, cut or damaged; or what `put` raised.
        """
        todo = set(group.wanted)
        decoder = self._take(table, group, threads)
        for _ in range(2):
            cause: Exception | None = None
            try:
                for number, frame in decoder.frames(file, table, group):
                    put(number, frame)
                    todo.discard(number)
            except MediarefError:  # the file can't be read: to read it once more is for the caller to say
                raise
            except (av.FFmpegError, ValueError) as error:
                cause = error
            if not todo:
                self._give(decoder)
                return
            # Once more, with nothing left out and nothing guessed.
            group = Group(group.first, tuple(sorted(todo)))
            decoder = _Decoder(table.coding, 1, strict=True)
        if cause is not None:
            raise file.damaged(f" near frame {min(todo)}: {cause}") from cause
        raise file.damaged(f": frame {min(todo)} does not decode")

    def close(self) -> None:
        """Let go of all decoders. Safe to call again."""
        if self._process == os.getpid():
            with self._lock:
                self._idle.clear()

    def _take(self, table: PacketTable, group: Group, threads: int) -> _Decoder:
        if self._process != os.getpid():
            self._start()  # nothing that threads of the parent stood in
        if group.wanted[-1] - group.first < _WORTH_THREADS:
            threads = 1
        with self._lock:
            fits = [one for one in self._idle if one.coding == table.coding]
            found = next((one for one in fits if one.is_ahead(table, group)), None)
            fits = [one for one in fits if one.threads == threads]
            if found is None:
                found = next((one for one in fits if one.was_before(table, group)), None)
            if found is None:
                same = [one for one in fits if one.table is table]
                found = next(iter(same if len(same) >= self._threads else fits if self._is_full() else ()), None)
            if found is not None:
                self._idle.remove(found)
                return found
        return _Decoder(table.coding, threads)

    def _give(self, decoder: _Decoder) -> None:
        with self._lock:
            while self._is_full():
                del self._idle[0]
            self._idle.append(decoder)

    def _is_full(self) -> bool:
        pixels = sum(one.coding.width * one.coding.height for one in self._idle)
        return len(self._idle) >= self._threads and (pixels >= _IDLE_PIXELS or len(self._idle) >= _IDLE)
