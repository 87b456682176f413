"""Opening a dataset: its topics, and several of them in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mediaref_tools.batch import Frame
from mediaref_tools.errors import FrameError, TopicError
from mediaref_tools.frames import FramesTable
from mediaref_tools.manifest import Manifest
from mediaref_tools.topic import Topic

__all__ = ["Dataset", "open_dataset"]

_TICKS = 16  # how many steps `sync` decodes at a time


class Dataset(Mapping[str, Topic]):
    """An open dataset: converted topics by name. A context manager; holds one open file."""

    def __init__(self, path: Path) -> None:
        """Open a dataset folder.

        Raises:
            DatasetError: It is none, or it is not whole.
        """
        self.path = path
        self.manifest = Manifest.read(path)
        self._table = FramesTable(path)
        self._topics = {entry.topic: Topic(path, entry, self._table) for entry in self.manifest.topics}

    def __repr__(self) -> str:
        return f"Dataset({str(self.path)!r}, {len(self)} topics)"

    def __getitem__(self, name: str) -> Topic:
        try:
            return self._topics[name]
        except KeyError:
            known = ", ".join(self._topics) or "none"
            raise TopicError(f"no converted topic {name!r}; there is: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    def sync(
        self, topics: Sequence[str], *, every_ns: int, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        """Step through log time, with the frame on screen of each topic.

        Args:
            topics: Names.
            every_ns: The step.
            start_ns, stop_ns: Log times, half-open; by default from where all topics have begun to where the first
                one ends, its last frame included.

        Yields:
            The log time, and a frame for each topic: None before its first one.

        Raises:
            TopicError: There is no such topic.
            FrameError: The step is not positive, or a topic has no frames to tell the range by.
        """
        if every_ns < 1:
            raise FrameError(f"step of {every_ns} ns: it must be at least 1")
        chosen = {name: self[name] for name in topics}
        if not chosen or any(len(topic) == 0 for topic in chosen.values()):
            raise FrameError(f"nothing to step through in topics {list(topics)!r}")
        begin = max(int(topic.log_times_ns[0]) for topic in chosen.values()) if start_ns is None else start_ns
        end = min(int(topic.log_times_ns[-1]) for topic in chosen.values()) + 1 if stop_ns is None else stop_ns
        return self._sync(chosen, range(begin, end, every_ns))

    @staticmethod
    def _sync(chosen: dict[str, Topic], ticks: range) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        for at in range(0, len(ticks), _TICKS):
            times = np.array(ticks[at : at + _TICKS], dtype=np.int64)
            frames = {name: _frames(topic, topic.index_at(times).tolist()) for name, topic in chosen.items()}
            for step, time_ns in enumerate(times.tolist()):
                yield time_ns, {name: frames[name][step] for name in chosen}

    def close(self) -> None:
        """Close the frames table."""
        self._table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _frames(topic: Topic, indices: list[int]) -> list[Frame | None]:
    """Frames by index, None for -1; sizes may differ."""
    found: dict[int, Frame] = {}
    sizes = {index: tuple(topic.sizes[index].tolist()) for index in set(indices) if index >= 0}
    for size in set(sizes.values()):
        same = sorted(index for index in sizes if sizes[index] == size)
        found.update(zip(same, topic.batch(same), strict=True))
    return [found.get(index) for index in indices]


def open_dataset(path: str | Path) -> Dataset:
    """Open a dataset folder that `convert` made.

    Raises:
        DatasetError: It is none, or it is not whole.
    """
    return Dataset(Path(path))
