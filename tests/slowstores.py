"""Storages for fsspec that count what is asked of them, and how much of it at once: an async one, and one that blocks.

Both serve `FILES`, by name, and wait before each answer.
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.asyn import AsyncFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

__all__ = ["FILES", "TRAFFIC", "Traffic", "stores"]

FILES: dict[str, bytes] = {}


class Traffic:
    """What was asked for since `forget`.

    Attributes:
        ranges: Name and half-open range of each request for bytes.
        infos: How often a size was asked for.
        most: Requests on their way at once.
        latency: Seconds before each answer.
        failing: What every request raises, if anything.
    """

    def __init__(self) -> None:
        self.latency = 0.0
        self.failing: Exception | None = None
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Count from zero."""
        self.ranges: list[tuple[str, int, int]] = []
        self.infos = self.now = self.most = 0

    @property
    def sent(self) -> int:
        """Bytes."""
        return sum(stop - start for _, start, stop in self.ranges)

    def segments(self) -> list[tuple[str, int, int]]:
        """Of the ranges, those of video files."""
        return [each for each in self.ranges if each[0].endswith(".mp4")]

    @contextmanager
    def request(self, name: str, start: int, stop: int) -> Iterator[None]:
        """Count one, while it is answered."""
        with self.lock:
            self.ranges.append((name, start, stop))
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            if self.failing is not None:
                raise self.failing
            if name not in FILES:
                raise FileNotFoundError(name)
            yield
        finally:
            with self.lock:
                self.now -= 1


TRAFFIC = Traffic()


def _info(name: str) -> dict[str, Any]:
    TRAFFIC.infos += 1
    if name not in FILES:
        raise FileNotFoundError(name)
    return {"name": name, "size": len(FILES[name]), "type": "file"}


class AsyncStore(AsyncFileSystem):  # type: ignore[misc]
    """`slow://name`: its requests wait side by side."""

    protocol = "slow"

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return _info(self._strip_protocol(path))

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        name = self._strip_protocol(path)
        with TRAFFIC.request(name, start or 0, end or 0):
            await asyncio.sleep(TRAFFIC.latency)
            return FILES[name][start:end]


class BlockingStore(AbstractFileSystem):  # type: ignore[misc]
    """`block://name`: a thread waits for each request."""

    protocol = "block"

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        return _info(self._strip_protocol(path))

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        return _BlockingFile(self, path, mode, **kwargs)


class _BlockingFile(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        with TRAFFIC.request(self.path, start, end):
            time.sleep(TRAFFIC.latency)
            return io.BytesIO(FILES[self.path]).getbuffer()[start:end].tobytes()


@contextmanager
def stores() -> Iterator[Traffic]:
    """Make fsspec know both, with no files and no latency."""
    fsspec.register_implementation("slow", AsyncStore, clobber=True)
    fsspec.register_implementation("block", BlockingStore, clobber=True)
    FILES.clear()
    TRAFFIC.latency, TRAFFIC.failing = 0.0, None
    TRAFFIC.forget()
    yield TRAFFIC
    FILES.clear()
