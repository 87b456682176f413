"""Threads that share a call's work, owned by whoever opened the files that they read."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

from mediaref_tools.errors import FrameError
from mediaref_tools.lanes import cores

__all__ = ["Crew", "Tools"]

Tool = TypeVar("Tool")


class Crew:
    """A bounded number of threads, the caller's among them, started when there is first work for two.

    Any thread may ask. A fork and a pickled copy start their own.
    """

    def __init__(self, threads: int | None = None) -> None:
        """Start nothing yet.

        Args:
            threads: How many work at once; None for as many as there are cores that this process may use.

        Raises:
            FrameError: Less than one.
        """
        if threads is not None and threads < 1:
            raise FrameError(f"{threads} threads: expected at least 1, or None for one a core")
        self.threads = threads or cores()
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called in this process."""
        return self._closed and self._process == os.getpid()

    def __getstate__(self) -> int:
        return self.threads

    def __setstate__(self, threads: int) -> None:
        self.threads = threads
        self._start()

    def run(self, tasks: Sequence[Callable[[], object]]) -> None:
        """Run all tasks and wait for them. After one has failed none is begun.

        Raises:
            Exception: What the earliest task that failed raised.
        """
        todo = deque(enumerate(tasks))
        failed: dict[int, BaseException] = {}

        def work() -> None:
            while not failed:
                try:
                    at, task = todo.popleft()
                except IndexError:
                    return
                try:
                    task()
                except BaseException as error:  # raised below, in the caller's thread
                    failed[at] = error

        helpers = self._helpers(work, min(self.threads, len(tasks)) - 1)
        try:
            work()
        finally:
            for helper in helpers:
                if not helper.cancel():  # what has not begun would find nothing to do
                    helper.result()
        if failed:
            raise failed[min(failed)]

    def start(self, task: Callable[[], None]) -> None:
        """Run a task beside the caller, who goes on; once closed, before he does. What it raises is nobody's."""
        if not self._helpers(task, 1):
            task()

    def _helpers(self, work: Callable[[], None], count: int) -> list[Future[None]]:
        if count < 1 or self.threads == 1:
            return []
        if self._process != os.getpid():  # a fork has none of its parent's threads, and maybe a lock that stays held
            self._start()
        with self._lock:
            if self._closed:
                return []
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="mediaref-decode")
            try:
                return [self._pool.submit(work) for _ in range(count)]
            except RuntimeError:  # the interpreter is about to end
                return []

    def close(self) -> None:
        """End the threads; what is asked for later is done by the caller's own. Safe to call again."""
        if self._process != os.getpid():
            return
        with self._lock:
            pool, self._pool, self._closed = self._pool, None, True
        if pool is not None:
            pool.shutdown()


class Tools(Generic[Tool]):
    """Objects for one thread at a time, made as they are needed and used again."""

    def __init__(self, make: Callable[[], Tool]) -> None:
        self._make = make
        self._spare: deque[Tool] = deque()  # whose ends are safe to use from any thread

    def __reduce__(self) -> tuple[type[Tools[Tool]], tuple[Callable[[], Tool]]]:
        return type(self), (self._make,)

    @contextmanager
    def one(self) -> Iterator[Tool]:
        """A tool that nobody else uses meanwhile."""
        try:
            tool = self._spare.pop()
        except IndexError:
            tool = self._make()
        try:
            yield tool
        finally:
            self.put(tool)

    def put(self, tool: Tool) -> None:
        """Add one that was made elsewhere."""
        self._spare.append(tool)

    def taken(self) -> list[Tool]:
        """All that nobody uses, which are not given out any more."""
        found = list[Tool]()
        while self._spare:
            found.append(self._spare.pop())
        return found
