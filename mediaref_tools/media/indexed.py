"""A video whose packets are known: its frames by time, decoded group by group, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import MediaError, MediarefError
from mediaref_tools.media.crew import Crew, Tools
from mediaref_tools.media.gop import Group, PacketTable
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.packetfile import PacketFile, PacketReader, group_spans
from mediaref_tools.media.pieces import Fetched, Pieces
from mediaref_tools.media.readahead import ReadAhead
from mediaref_tools.media.remotepackets import RemotePackets, wanted_packets
from mediaref_tools.media.storage import Ranges
from mediaref_tools.pixels.raster import Raster, VideoFormat

__all__ = ["IndexedVideo"]

_Give: TypeAlias = Callable[[Raster, av.VideoFrame], NDArray[np.uint8]]
_AT_ONCE = 64  # frames, at least a group
_AHEAD_BYTES = 2**24  # of packets, fetched while those before them are decoded


class IndexedVideo:
    """Frames of one file by the tick at which they are shown. Any thread may ask."""

    def __init__(
        self, file: Path | Ranges, name: str, table: PacketTable, crew: Crew, *, exact_colours: bool = False
    ) -> None:
        self._file, self._name, self._table, self._crew = file, name, table, crew
        self._pieces = Pieces(lambda _: file) if isinstance(file, Ranges) else None
        self._next = ReadAhead(table.keyframes, len(table))
        self._decoders, self._rasters = GopDecoders(crew.threads), Tools(partial(Raster, exact=exact_colours))
        self._order = np.argsort(table.shown)
        self._ticks = table.shown[self._order]

    def span(self, tick: int) -> tuple[int, int] | None:
        """When the frame on screen at a tick comes and goes; None before the first and from the last one on.

        When the last one goes is not for packets to tell.
        """
        at = int(np.searchsorted(self._ticks, tick, side="right"))
        return (int(self._ticks[at - 1]), int(self._ticks[at])) if 0 < at < len(self._ticks) else None

    def ahead(
        self, ticks: Sequence[int], wanted: VideoFormat, size: tuple[int, int] | None = None
    ) -> Callable[[int], NDArray[np.uint8] | None]:
        """Decode frames as they are asked for, with those that follow.

        Args:
            ticks: When they come, ascending, each once.
            wanted, size: As `Raster.array` has it.

        Returns:
            What gives the frame that comes at a tick, once, asked in that order. None where it does not decode: it may
            be that decoding from the start shows another one in its place.
        """
        decoded, ready = self._frames(ticks, partial(_array, wanted, size)), dict[int, NDArray[np.uint8]]()

        def take(tick: int) -> NDArray[np.uint8] | None:
            while tick not in ready and (more := next(decoded, None)) is not None:
                ready.update(more)
            return ready.pop(tick, None)

        return take

    def _frames(self, ticks: Sequence[int], give: _Give) -> Iterator[dict[int, NDArray[np.uint8]]]:
        """Frames by the tick at which each comes, some at a time, in about the order of time."""
        numbers = np.sort(self._order[np.searchsorted(self._ticks, np.asarray(ticks, dtype=np.int64))])
        groups = self._table.groups(numbers)
        if self._pieces is None:
            yield from self._in_turn(groups, give)
            return
        # What is far ahead of decoding is not fetched yet.
        windows = list(self._windows(groups))
        windows.append(self._table.groups(self._next.after(numbers)))
        for some, following in pairwise(windows):
            with self._pieces.held(wanted_packets(self._name, self._table, some)):
                self._pieces.ask(wanted_packets(self._name, self._table, following))
                yield from self._in_turn(some, give)

    def _windows(self, groups: Sequence[Group]) -> Iterator[list[Group]]:
        some, held = list[Group](), 0
        for group in groups:
            some.append(group)
            held += sum(each.stop - each.begin for each in group_spans(self._table, [group]))
            if held >= _AHEAD_BYTES:
                yield some
                some, held = [], 0
        if some:
            yield some

    def _in_turn(self, groups: Sequence[Group], give: _Give) -> Iterator[dict[int, NDArray[np.uint8]]]:
        some: list[Group] = []
        for group in groups:
            some.append(group)
            enough = sum(len(each.wanted) for each in some) >= _AT_ONCE
            if enough or len(some) >= 2 * self._crew.threads:
                yield self._decoded(some, give)
                some = []
        if some:
            yield self._decoded(some, give)

    @property
    def fetched(self) -> Fetched:
        """What packets cost in requests and bytes; nothing where the file is local."""
        return self._pieces.fetched if self._pieces is not None else Fetched(0, 0)

    def close(self) -> None:
        """Let go of the decoders, and of what was fetched."""
        self._decoders.close()
        if self._pieces is not None:
            self._pieces.close()

    def _decoded(self, groups: Sequence[Group], give: _Give) -> dict[int, NDArray[np.uint8]]:
        found: dict[int, NDArray[np.uint8]] = {}
        threads = max(1, self._crew.threads // len(groups))
        self._crew.run([partial(self._group, group, threads, give, found) for group in groups])
        return found

    def _group(self, group: Group, threads: int, give: _Give, found: dict[int, NDArray[np.uint8]]) -> None:
        with self._rasters.one() as raster:

            def put(number: int, frame: av.VideoFrame) -> None:
                found[int(self._table.shown[number])] = give(raster, frame)

            try:
                with self._open() as file:
                    self._decoders.decode(file, self._table, group, threads, put)
            except MediarefError:
                return

    def _open(self) -> PacketReader:
        if self._pieces is not None:
            return RemotePackets(self._pieces, self._name, "video", MediaError, self._name)
        assert isinstance(self._file, Path)  # noqa: S101 - for the type checker
        return PacketFile(self._file, "video", MediaError)


def _array(
    wanted: VideoFormat, size: tuple[int, int] | None, raster: Raster, frame: av.VideoFrame
) -> NDArray[np.uint8]:
    return raster.array(frame, wanted, size)
