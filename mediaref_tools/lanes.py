"""Work that must stay in order within a lane (a topic), with lanes side by side on a few threads."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

__all__ = ["Backlog", "Lanes", "cores", "share"]

T = TypeVar("T")
Item = TypeVar("Item")


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def share(threads: int, among: int) -> int:
    """How many threads each of several has that share some: at least one."""
    return max(threads // max(among, 1), 1)


class Lanes:
    """Runs work in the order given within each lane. PyAV lets go of the GIL, so threads are enough.

    After one piece of work fails in a lane, what was still waiting in it is cancelled; so is, at the end of the
    `with` block, whatever has not begun.
    """

    def __init__(self, threads: int) -> None:
        """At most `threads` lanes run at a time."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lane")
        self._lock = threading.Lock()
        self._closed = False
        self._waiting: dict[str, deque[tuple[Future[Any], Callable[[], Any]]]] = {}

    def submit(self, lane: str, work: Callable[[], T]) -> Future[T]:
        """Queue work at a lane's end."""
        future: Future[T] = Future()
        with self._lock:
            queue = self._waiting.setdefault(lane, deque())
            queue.append((future, work))
            if len(queue) == 1:
                self._pool.submit(self._step, queue)
        return future

    def _step(self, queue: deque[tuple[Future[Any], Callable[[], Any]]]) -> None:
        future, work = queue[0]
        if future.set_running_or_notify_cancel():
            try:
                result = work()
            except BaseException as error:  # it belongs to whoever asks the future
                with self._lock:
                    for waiting, _ in list(queue)[1:]:
                        waiting.cancel()
                future.set_exception(error)
            else:
                future.set_result(result)
        with self._lock:
            queue.popleft()
            if queue and not self._closed:
                # Back to the pool after each piece: a busy lane must not starve the others.
                self._pool.submit(self._step, queue)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            for queue in self._waiting.values():
                for future, _ in queue:
                    future.cancel()
        self._pool.shutdown(wait=True)


class Backlog(Generic[Item, T]):
    """Items in the order they came, each with work that may still be going on, bounded in bytes and number.

    This is what keeps memory still: whoever puts in more than fits waits for the oldest item's work.
    """

    def __init__(self, *, most_bytes: int, most_items: int) -> None:
        """Hold at most this much; one item always fits."""
        self._most_bytes, self._most_items = most_bytes, most_items
        self._items: deque[tuple[Item, Future[T] | None, int]] = deque()
        self._bytes = 0

    def put(self, item: Item, work: Future[T] | None, size: int) -> Iterator[tuple[Item, T | None]]:
        """Add an item of `size` bytes, and take out in order those that are done, or that there is no room for.

        Raises:
            Exception: What an item's work raised, when its turn comes.
        """
        self._items.append((item, work, size))
        self._bytes += size
        while self._items and (
            self._bytes > self._most_bytes or len(self._items) > self._most_items or self._ready(self._items[0][1])
        ):
            yield self._pop()

    def drain(self) -> Iterator[tuple[Item, T | None]]:
        """Take out everything, in order."""
        while self._items:
            yield self._pop()

    @staticmethod
    def _ready(work: Future[T] | None) -> bool:
        return work is None or work.done()

    def _pop(self) -> tuple[Item, T | None]:
        item, work, size = self._items.popleft()
        self._bytes -= size
        return item, None if work is None else work.result()
