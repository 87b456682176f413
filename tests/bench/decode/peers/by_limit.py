"""libavcodec alone: the packets that the wanted frames need, and nothing done with what comes out of them.

Which packets those are is found from a table made on opening; timed are reading and decoding them, groups of pictures
side by side where there are several, libavcodec's own threads where there is one. A decoder that stands in the group
goes on from there, as ours does.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.media.spare import spare_test
from tests.bench.decode.worker import Target

FEW = 4  # packets for which several threads are not worth their start


def versions() -> dict[str, str]:
    return {"av": av.__version__, "libavcodec": ".".join(map(str, av.library_versions["libavcodec"]))}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Limit:
    return _Limit(file["path"], options["threads"])


class _Work(NamedTuple):
    """Packets of a group by number, those left out that nobody needs, and the frames wanted of them."""

    first: int
    packets: tuple[int, ...]
    wanted: frozenset[int]


class _Limit:
    def __init__(self, path: str, threads: int) -> None:
        with av.open(path) as container:
            stream = container.streams.video[0]
            packets = [packet for packet in container.demux(stream) if packet.size]
            context = stream.codec_context
            self._codec, self._extradata = context.codec.name, context.extradata
            spare = spare_test(self._codec, self._extradata or b"")
            self._place = [(packet.pos or 0, packet.size) for packet in packets]
            self._spare = [spare(bytes(packet)) for packet in packets]
            self._keyframes = [number for number, packet in enumerate(packets) if packet.is_keyframe]
            # Shown in the order of pts, decoded in that of the file.
            order = sorted(range(len(packets)), key=lambda number: packets[number].pts or 0)
            self._number = order
        self._threads = threads
        self._file = os.open(path, os.O_RDONLY)
        self._pool = ThreadPoolExecutor(threads)
        self._alone = [self._context(1) for _ in range(threads)]
        self._together = self._context(threads)
        self._stands: dict[int, tuple[int, int]] = {}  # by context: its group, and the last packet that it was fed

    def _context(self, threads: int) -> Any:
        context = av.CodecContext.create(self._codec, "r")
        context.extradata = self._extradata
        context.thread_count, context.thread_type = threads, "FRAME"
        return context

    def works(self, targets: Sequence[Target]) -> list[_Work]:
        """What has to be decoded, a group each."""
        wanted = sorted({self._number[target.place] for target in targets})
        groups: dict[int, list[int]] = {}
        for number in wanted:
            groups.setdefault(int(np.searchsorted(self._keyframes, number, side="right")) - 1, []).append(number)
        return [
            _Work(
                self._keyframes[group],
                tuple(
                    number
                    for number in range(self._keyframes[group], numbers[-1] + 1)
                    if number in numbers or not self._spare[number]
                ),
                frozenset(numbers),
            )
            for group, numbers in groups.items()
        ]

    def least_bytes(self, targets: Sequence[Target]) -> int:
        """Bytes of the packets that frames need, where no decoder stands anywhere."""
        return sum(self._place[number][1] for work in self.works(targets) for number in work.packets)

    def decode(self, targets: Sequence[Target]) -> Any:
        works = self.works(targets)
        contexts = sorted(self._alone, key=lambda context: not self._is_ahead(context, works[0]))
        todo = deque(works)
        if len(works) > 1:
            # The first is taken here: by the decoder that may stand in it.
            firsts = [todo.popleft() for _ in range(min(self._threads, len(works)))]
            done = list(self._pool.map(lambda context, first: self._run(context, first, todo), contexts, firsts))
        elif self._is_ahead(contexts[0], works[0]) or len(works[0].packets) <= FEW:
            done = [self._run(contexts[0], todo.popleft(), todo)]
        else:
            done = [self._run(self._together, todo.popleft(), todo)]
        return targets, {number: frame for part in done for number, frame in part.items()}

    def _is_ahead(self, context: Any, work: _Work) -> bool:
        group, fed = self._stands.get(id(context), (-1, -1))
        return group == work.first and min(work.wanted) > fed

    def _run(self, context: Any, first: _Work, todo: deque[_Work]) -> dict[int, Any]:
        """One group, and those that are still to be done."""
        found = self._group(context, first)
        while True:
            try:
                work = todo.popleft()
            except IndexError:
                return found
            found |= self._group(context, work)

    def _group(self, context: Any, work: _Work) -> dict[int, Any]:
        found: dict[int, Any] = {}
        ahead = self._is_ahead(context, work)
        fed = self._stands[id(context)][1] if ahead else -1
        if not ahead:
            context.flush_buffers()
        for number, data in self._packets([number for number in work.packets if number > fed]):
            # Not around Python's bytes: libavcodec's threads would wait for Python's lock to let go of them.
            packet = av.Packet(len(data))
            packet.update(data)
            packet.pts = packet.dts = number
            for frame in context.decode(packet):
                if frame.pts in work.wanted:
                    found[frame.pts] = frame
        if work.wanted <= found.keys():
            self._stands[id(context)] = (work.first, work.packets[-1])
        else:
            self._stands.pop(id(context), None)
            for frame in context.decode(None):
                if frame.pts in work.wanted:
                    found[frame.pts] = frame
        return found

    def _packets(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Packets by number; those that follow each other in the file by one read."""
        at = 0
        while at < len(numbers):
            start = end = self._place[numbers[at]][0]
            until = at
            while until < len(numbers) and self._place[numbers[until]][0] == end:
                end += self._place[numbers[until]][1]
                until += 1
            data = os.pread(self._file, end - start, start)
            for number in numbers[at:until]:
                offset, size = self._place[number]
                yield number, data[offset - start : offset - start + size]
            at = until

    def pictures(self, decoded: Any) -> list[NDArray[np.uint8]]:
        targets, frames = decoded
        return [frames[self._number[target.place]].to_ndarray(format="rgb24") for target in targets]

    def close(self) -> None:
        self._pool.shutdown()
        os.close(self._file)
