"""Merging blocks of messages that overlap in time into one stream in log-time order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from mediaref_tools.log import Message

__all__ = ["Block", "in_time_order"]


class Block(NamedTuple):
    """Messages that are read together (a chunk, a run of loose records).

    `load` gives them in any order, each with a `position` that grows with its place in the file, and none
    earlier than `start_ns`.
    """

    start_ns: int
    load: Callable[[], Iterable[Message]]


def in_time_order(blocks: Iterable[Block]) -> Iterator[Message]:
    """Messages by (log time, position). Each block is loaded once, and let go of when its last message is out.

    Memory holds the blocks that overlap at one time, however long the log: a one-chunk cache would load chunks
    that overlap again and again (16 overlapping bz2 chunks take 90 times as long that way).
    """
    waiting = sorted(blocks, key=lambda block: block.start_ns)
    waiting.reverse()
    heap: list[tuple[int, int, Message]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1].start_ns <= heap[0][0]):
            block = waiting.pop()
            heap.extend((message.log_time_ns, message.position, message) for message in block.load())
            heapq.heapify(heap)
        if heap:
            yield heapq.heappop(heap)[2]
