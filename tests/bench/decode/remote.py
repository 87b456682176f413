"""What a dataset costs over a network: requests and KiB for a wanted frame, counted in a file system in memory.

Nothing but `open_dataset` of a uri is used of ours, so whatever it fetches is seen, the manifest and the frames table
too.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

import mediaref_tools as mrt
from mediaref_tools.errors import MediarefError
from tests.bench.decode.clips import Clip
from tests.bench.decode.contenders import tidy
from tests.bench.decode.workloads import WORKLOADS

__all__ = ["CountingFiles", "fetched"]


class CountingFiles(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """fsspec's memory, which counts each range that is fetched as one request."""

    # Its own: the class that it is derived from has them for all.
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    requests = 0
    fetched = 0

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        return _count(super().cat_file(path, start=start, end=end, **options))  # of `cat_ranges`, once a range

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        file = super()._open(path, mode=mode, **options)
        return CountedFile(file) if mode == "rb" else file


class CountedFile:
    """An open file: every read of it is a request."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return _count(self._file.read(size))

    def readinto(self, buffer: Any) -> int:
        got = self._file.readinto(buffer)
        _count(bytes(got))
        return int(got)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _count(data: bytes) -> bytes:
    CountingFiles.requests += 1
    CountingFiles.fetched += len(data)
    return data


def fetched(clip: Clip, *, quick: bool) -> list[Mapping[str, Any]]:
    """For opening and for each workload: requests, bytes and frames; `error` where a dataset can't be opened so."""
    fsspec.register_implementation("memory", CountingFiles, clobber=True)
    CountingFiles.store.clear()
    root = Path(clip.dataset)
    files = CountingFiles()
    for path in sorted(root.rglob("*")):
        if path.is_file():
            files.pipe_file(f"/dataset/{path.relative_to(root)}", path.read_bytes())
    rows: list[Mapping[str, Any]] = []
    try:
        for workload in WORKLOADS:
            if workload.cold:
                continue
            CountingFiles.requests = CountingFiles.fetched = 0
            dice = random.Random(f"remote {clip.name} {workload.name}")
            calls = workload.draw(dice, len(clip.pts_ns), quick)
            with mrt.open_dataset("memory://dataset") as dataset:
                camera = dataset[clip.topic]
                opening = {"requests": CountingFiles.requests, "bytes": CountingFiles.fetched}
                frames = sum(len(camera.batch(places)) for places in calls)
            rows.append(
                {
                    "file": clip.name,
                    "workload": workload.name,
                    "frames": frames,
                    "opening": opening,
                    "requests": CountingFiles.requests - opening["requests"],
                    "bytes": CountingFiles.fetched - opening["bytes"],
                }
            )
    except MediarefError as error:
        return [{"file": clip.name, "error": tidy(str(error))}]
    finally:
        CountingFiles.store.clear()
        fsspec.register_implementation("memory", MemoryFileSystem, clobber=True)
    return rows
