"""Processes that work side by side. One that is killed, or crashes, takes only what it was at with it.

`multiprocessing.Pool` waits for ever for what a killed worker had; an executor gives up on all that is left. Here each
worker has a pipe of its own, whose end tells of its death, and a new one takes its place.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar

from mediaref_tools.progress import OnProgress, Progress

__all__ = ["Died", "Worker", "side_by_side"]

_Result = TypeVar("_Result")

_LEAVE_S = 20.0
"""For what is finished to get to the disk, after Ctrl-C."""


class Died(NamedTuple):
    """The end of a worker that was not its own wish: killed by a signal, or a negative exit code's opposite."""

    exitcode: int | None

    def __str__(self) -> str:
        """For people."""
        code = self.exitcode or 0
        if code < 0:
            with suppress(ValueError):
                return f"ended by {signal.Signals(-code).name}"
            return f"ended by signal {-code}"
        return f"ended with exit code {code}"


class Worker(Generic[_Result]):
    """One process, which does one thing after the other."""

    def __init__(self) -> None:
        """Start it: anew, not as a copy of this one with its threads."""
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._ready = False
        # Ctrl-C at a terminal is for this process, which tells the others: until they leave its group it waits.
        masked = hasattr(signal, "pthread_sigmask") and signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process.start()
        finally:
            theirs.close()  # or its end would never come
            if masked is not False:
                signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def give(self, work: Callable[[OnProgress], _Result]) -> None:
        """Let it do something; `work` is pickled. One that is dead by now shows it at the next `take`."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(work)

    def take(self) -> Progress | tuple[_Result] | Exception | Died | None:
        """What it has to tell: progress, the result in a tuple, an error; None if nothing."""
        try:
            told: Any = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            return Died(self._process.exitcode)
        self._ready = True
        return told  # type: ignore[no-any-return]

    def interrupt(self) -> None:
        """Pass Ctrl-C on."""
        if self._ready and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)
        else:
            self._process.kill()

    def close(self) -> None:
        """Let it end, and see to it."""
        self.pipe.close()
        self._process.join(_LEAVE_S)
        self._process.kill()
        self._process.join()


def side_by_side(
    jobs: int,
    works: Iterable[Callable[[OnProgress], _Result]],
    on_progress: Callable[[int, Progress], None],
) -> Iterator[tuple[int, _Result | Died]]:
    """Do things in processes, in the order given, as many at once as there are workers.

    A program that uses it keeps its own doings under `if __name__ == "__main__":`, as Python's `multiprocessing` wants.

    Args:
        jobs: How many at once; each takes a worker.
        works: Functions that can be pickled, with results that can.
        on_progress: Called from this thread with the number of a piece of work and its progress.

    Yields:
        The number of a piece of work and its result, as they come; `Died` where its process did not live to tell.

    Raises:
        Exception: What a piece of work raised.
    """
    todo = enumerate(works)
    workers: dict[Connection, tuple[Worker[_Result], int]] = {}

    def start(worker: Worker[_Result] | None) -> None:
        number, work = next(todo, (-1, None))
        if work is None:
            if worker is not None:
                del workers[worker.pipe]
                worker.close()
            return
        worker = worker or Worker()
        workers[worker.pipe] = worker, number
        worker.give(work)

    try:
        for _ in range(jobs):
            start(None)
        while workers:
            for pipe in wait(list(workers)):
                worker, number = workers[pipe]  # type: ignore[index]
                told = worker.take()
                if isinstance(told, Progress):
                    on_progress(number, told)
                elif isinstance(told, Exception):
                    raise told
                elif isinstance(told, Died):
                    del workers[worker.pipe]
                    worker.close()
                    start(None)
                    yield number, told
                elif told is not None:
                    start(worker)
                    yield number, told[0]
    finally:
        for worker, _ in workers.values():
            worker.interrupt()
        for worker, _ in workers.values():
            worker.close()


def _serve(pipe: Connection) -> None:
    """The worker's own side, until nobody gives it anything more, or nobody listens."""
    if sys.platform != "win32":
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    try:
        pipe.send(None)
        while True:
            work = pipe.recv()
            try:
                told: object = (work(pipe.send),)
            except Exception as error:  # it is raised where somebody can see it
                told = error
            pipe.send(told)
    except (EOFError, OSError, KeyboardInterrupt):
        return
