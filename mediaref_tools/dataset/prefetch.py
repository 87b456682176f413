"""Work that goes on while the caller computes: what an iterator gives next, made ahead of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar, cast

__all__ = ["prefetched"]

Item = TypeVar("Item")
_END: Final = object()


def prefetched(items: Iterator[Item], count: int) -> Iterator[Item]:
    """The items in their order, the next `count` of them made in a thread of their own.

    An error comes where its item would. Nothing begins before the first item is asked for; closing the iterator ends
    the thread, after the item that it is at.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="mediaref-prefetch") as pool:
        ready = deque(pool.submit(next, items, _END) for _ in range(count))
        try:
            while (item := ready.popleft().result()) is not _END:
                ready.append(pool.submit(next, items, _END))
                yield cast("Item", item)
        finally:
            for each in ready:
                each.cancel()
