"""Merging blocks of messages that overlap in time into one stream in log-time order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from mediaref_tools import limits
from mediaref_tools.errors import LogError
from mediaref_tools.log import Message

__all__ = ["Block", "in_time_order"]

_MESSAGE_BYTES = 300
"""What a message costs besides its payload."""


class Block(NamedTuple):
    """Messages that are read together (a chunk, a run of loose records).

    `load` gives them in any order, each with a `position` that grows with its place in the file, and none
    earlier than `start_ns`. `size` is how many bytes they keep in memory.
    """

    start_ns: int
    size: int
    load: Callable[[], Collection[Message]]


def in_time_order(blocks: Iterable[Block]) -> Iterator[Message]:
    """Messages by (log time, position). Each block is loaded once, and let go of when its last message is out.

    Memory holds the blocks that overlap at one time, however long the log: a one-chunk cache would load chunks
    that overlap again and again (16 overlapping bz2 chunks take 90 times as long that way).

    Raises:
        LogError: More of them overlap than `limits.MAX_OVERLAP_BYTES`.
    """
    waiting = sorted(blocks, key=lambda block: block.start_ns)
    waiting.reverse()
    heap: list[tuple[int, int, int, Message]] = []
    left: dict[int, int] = {}
    sizes: dict[int, int] = {}
    held = 0
    while waiting or heap:
        while waiting and (not heap or waiting[-1].start_ns <= heap[0][0]):
            number, block = len(waiting), waiting.pop()
            messages = block.load()
            if not messages:
                continue
            left[number], sizes[number] = len(messages), block.size + _MESSAGE_BYTES * len(messages)
            held += sizes[number]
            if held > limits.MAX_OVERLAP_BYTES and len(left) > 1:
                raise LogError(
                    f"{len(left)} chunks of {held} bytes overlap in time, expected {limits.MAX_OVERLAP_BYTES} bytes at "
                    f"most: if the log is sound, raise mediaref_tools.limits.MAX_OVERLAP_BYTES"
                )
            heap.extend((message.log_time_ns, message.position, number, message) for message in messages)
            heapq.heapify(heap)
        if heap:
            _, _, number, message = heapq.heappop(heap)
            left[number] -= 1
            if not left[number]:
                del left[number]
                held -= sizes.pop(number)
            yield message
