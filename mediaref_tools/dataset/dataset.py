"""A dataset: its topics, and several of them in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mediaref_tools.dataset.batch import Frame
from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.segmentfiles import RemoteSegments
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import DatasetError, FrameError, TopicError
from mediaref_tools.media.pieces import Fetched
from mediaref_tools.media.uri import shown

__all__ = ["Dataset"]

_TICKS = 16  # how many steps `sync` decodes at a time


class Dataset(Mapping[str, Topic]):
    """Topics of pictures by name, made by `open_dataset`. A context manager; it holds files open.

    Any thread may read; it can be pickled, for workers, which open it anew; after a fork, both processes may go on.

    Those that were converted come first, then those that were kept in the log and can be read from there.

    Attributes:
        path: The dataset's folder; the log's or table's path where it is none; the uri of a dataset that is elsewhere.
    """

    def __init__(
        self,
        path: Path | str,
        topics: Mapping[str, Topic],
        manifest: Manifest | None,
        on_close: Callable[[], object],
        again: Callable[[], Dataset],
        files: RemoteSegments | None = None,
    ) -> None:
        """`on_close` closes what is open, `again` opens the same in another process; `files` are what is fetched."""
        self.path = path
        self._manifest = manifest
        self._topics = dict(topics)
        self._on_close, self._again, self._files = on_close, again, files

    def __reduce__(self) -> tuple[Callable[[], Dataset], tuple[()]]:
        return self._again, ()

    def __repr__(self) -> str:
        path = self.path if isinstance(self.path, Path) else shown(self.path)
        return f"Dataset({str(path)!r}, {len(self)} topics)"

    def __getitem__(self, name: str) -> Topic:
        try:
            return self._topics[name]
        except KeyError:
            known = ", ".join(self._topics) or "none"
            if self._files is not None and any(name == kept.topic and kept.readable for kept in self.manifest.kept):
                raise TopicError(
                    f"topic {name!r} was kept in the log, which is read on this machine only: copy the dataset: "
                    f"{self._files.name}"
                ) from None
            raise TopicError(f"no converted topic {name!r}; there is: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._topics)

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def manifest(self) -> Manifest:
        """What `convert` wrote down.

        Raises:
            DatasetError: These are references of others, of which nothing was written down.
        """
        if self._manifest is None:
            raise DatasetError(f"no dataset but references in a log or table: there is no manifest: {self.path}")
        return self._manifest

    @property
    def fetched(self) -> Fetched:
        """What segments cost so far in requests and bytes, in this process; nothing where they are on this machine.

        The manifest and the frames table are not counted.
        """
        return self._files.fetched if self._files is not None else Fetched(0, 0)

    @property
    def start_ns(self) -> int:
        """The log time at which the log begins, as far as is known; 0 where there is nothing."""
        if self._manifest is not None:
            return self._manifest.source.start_ns or 0
        return min((int(topic.log_times_ns[0]) for topic in self.values() if len(topic)), default=0)

    def sync(
        self,
        topics: Sequence[str],
        *,
        every_ns: int,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        format: PixelFormat = "natural",  # noqa: A002
        size: tuple[int, int] | None = None,
    ) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        """Step through log time, with the frame on screen of each topic.

        Args:
            topics: Names.
            every_ns: The step.
            start_ns, stop_ns: Log times, half-open; by default from where all topics have begun to where the first
                one ends, its last frame included.
            format, size: As in `Topic.batch`.

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
        return self._sync(chosen, range(begin, end, every_ns), format, size)

    @staticmethod
    def _sync(
        chosen: dict[str, Topic],
        ticks: range,
        format: PixelFormat,  # noqa: A002
        size: tuple[int, int] | None,
    ) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        for at in range(0, len(ticks), _TICKS):
            times = np.array(ticks[at : at + _TICKS], dtype=np.int64)
            frames = {
                name: _frames(topic, topic.index_at(times).tolist(), format, size) for name, topic in chosen.items()
            }
            for step, time_ns in enumerate(times.tolist()):
                yield time_ns, {name: frames[name][step] for name in chosen}

    def close(self) -> None:
        """Close what is open. Safe to call again."""
        self._on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _frames(
    topic: Topic,
    indices: list[int],
    format: PixelFormat,  # noqa: A002
    size: tuple[int, int] | None,
) -> list[Frame | None]:
    """Frames by index, None for -1; sizes may differ."""
    found: dict[int, Frame] = {}
    sizes = {index: size or tuple(topic.sizes[index].tolist()) for index in set(indices) if index >= 0}
    for each in set(sizes.values()):
        same = sorted(index for index in sizes if sizes[index] == each)
        found.update(zip(same, topic.batch(same, format, size=size), strict=True))
    return [found.get(index) for index in indices]
