"""Windows of frames for training: several topics of many datasets at the same log times, in any order.

Nothing but numpy is needed. As a map-style dataset, `Windows` goes into PyTorch's `DataLoader` as it is.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex, TypedDict

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.opening import location
from mediaref_tools.dataset.prefetch import prefetched
from mediaref_tools.dataset.shelf import Shelf
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError
from mediaref_tools.media.storage import StorageOptions

__all__ = ["Window", "Windows"]

_OPEN = 8


class Window(TypedDict):
    """One window of L frames, or B of them with another axis in front.

    Attributes:
        images: Of each topic, (L, H, W, 3) uint8 RGB, or as its format is.
        indices: Of each topic, (L,) int64: the places of the frames on it.
        log_times_ns: (L,) int64, of the first topic's frames.
        dataset: Its number among the datasets, int64.
    """

    images: dict[str, NDArray[Any]]
    indices: dict[str, NDArray[np.int64]]
    log_times_ns: NDArray[np.int64]
    dataset: NDArray[np.int64]


class _Run(NamedTuple):
    """The windows of one dataset: their number, and the first frame of the first one."""

    path: Path | str
    windows: int
    first: int


class Windows(Sequence[Window]):
    """Windows of frames over the topics of one or many datasets.

    A window is some frames of the first topic, a stride apart, and of each other topic the frames on screen at their
    log times. Windows lie within one dataset; those that begin before all topics have begun are left out.

    Datasets are opened as they are needed, a few at a time, by each process for itself: it can be pickled, forked and
    spawned. For one thread at a time.

    Examples:
        >>> windows = mrt.Windows("drive/", ["/camera/left/image_raw/compressed"], frames=8, stride=5, size=(96, 128))
        >>> len(windows), windows[0]["images"]["/camera/left/image_raw/compressed"].shape
        (85, (8, 96, 128, 3))
        >>> for batch in windows.batches(16, seed=1, epoch=0, prefetch=2):
        ...     pixels = batch["images"]["/camera/left/image_raw/compressed"]
        >>> pixels.shape
        (5, 8, 96, 128, 3)
        >>> windows.close()
    """

    def __init__(
        self,
        datasets: str | os.PathLike[str] | Dataset | Iterable[str | os.PathLike[str] | Dataset],
        topics: str | Sequence[str],
        *,
        frames: int,
        stride: int = 1,
        every: int = 1,
        size: tuple[int, int] | None = None,
        format: PixelFormat = "rgb",  # noqa: A002
        allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        storage_options: StorageOptions | None = None,
        threads: int | None = None,
        exact_colours: bool = False,
    ) -> None:
        """Count the windows: log times are read, nothing is decoded and nothing stays open.

        Args:
            datasets: Paths of datasets, logs or tables, or open ones, which are opened anew.
            topics: Names, which all of them have.
            frames: Of a window.
            stride: Every n-th frame of the first topic is in a window.
            every: How many frames a window begins after the one before.
            size, format: As in `Topic.batch`.
            allow, storage_options, threads, exact_colours: As in `open_dataset`. With several workers, one thread each
                is enough.

        Raises:
            FrameError: A number is below 1, or there is no topic.
            TopicError: A dataset has no such topic.
            MediarefError: As `open_dataset`.
        """
        if min(frames, stride, every) < 1:
            raise FrameError(f"windows of {frames} frames, stride {stride}, every {every}: expected at least 1")
        self.topics = (topics,) if isinstance(topics, str) else tuple(topics)
        if not self.topics:
            raise FrameError("no topic is named: windows are made of the frames of at least one")
        allow = (allow,) if isinstance(allow, (str, os.PathLike)) else tuple(allow)
        options = {"allow": allow, "storage_options": storage_options, "threads": threads}
        self._shelf = Shelf(_OPEN, options | {"exact_colours": exact_colours})
        self._frames, self._stride, self._every = frames, stride, every
        self._size, self._format = size, format
        if isinstance(datasets, (str, os.PathLike, Dataset)):
            datasets = (datasets,)
        self._runs = [self._run(location(each.path if isinstance(each, Dataset) else each)) for each in datasets]
        self._ends = np.cumsum([run.windows for run in self._runs], dtype=np.int64)
        self.close()

    def __repr__(self) -> str:
        return f"Windows({len(self)} of {self._frames} frames, {len(self.topics)} topics, {len(self._runs)} datasets)"

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: SupportsIndex) -> Window:  # type: ignore[override]
        """Decode one window.

        Raises:
            FrameError: There is no such window.
            MediarefError: As `Topic.batch`.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> list[Window]:
        """Decode several windows, as a `DataLoader` asks for a batch: what they share is decoded once.

        Raises:
            FrameError: There is no such window.
            MediarefError: As `Topic.batch`.
        """
        return [
            Window(
                images={name: data[at] for name, data in together["images"].items()},
                indices={name: places[at] for name, places in together["indices"].items()},
                log_times_ns=together["log_times_ns"][at],
                dataset=together["dataset"][at],
            )
            for together in ([self.stacked(indices)] if len(indices) else [])
            for at in range(len(indices))
        ]

    def stacked(self, indices: Sequence[SupportsIndex]) -> Window:
        """Decode several windows, into one array (B, L, H, W, …) of each topic.

        Raises:
            FrameError: There is no such window, or none is asked for; or pictures differ in size and `size` is not set.
            MediarefError: As `Topic.batch`.
        """
        wanted = np.array([self._checked(index) for index in indices], np.int64)
        if not len(wanted):
            raise FrameError("no window is asked for: expected at least one")
        numbers = np.searchsorted(self._ends, wanted, side="right")
        shape = (len(wanted), self._frames)
        times = np.empty(shape, np.int64)
        places = {name: np.empty(shape, np.int64) for name in self.topics}
        images: dict[str, NDArray[Any]] = {}
        for number in np.unique(numbers).tolist():
            run, mine = self._runs[number], np.flatnonzero(numbers == number)
            dataset = self._shelf.opened(run.path)
            starts = run.first + (wanted[mine] - (self._ends[number] - run.windows)) * self._every
            lead = dataset[self.topics[0]]
            frames = starts[:, None] + np.arange(self._frames) * self._stride
            times[mine] = lead.log_times_ns[frames]
            for name in self.topics:
                topic = dataset[name]
                places[name][mine] = (
                    frames if topic is lead else topic.index_at(times[mine].ravel()).reshape(-1, shape[1])
                )
                self._decode(topic, places[name][mine], mine, images, shape)
        return Window(images=images, indices=places, log_times_ns=times, dataset=numbers.astype(np.int64))

    def batches(
        self,
        windows: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        epoch: int = 0,
        drop_last: bool = False,
        prefetch: int = 1,
    ) -> Iterator[Window]:
        """All windows once, some at a time, as `stacked` gives them.

        Args:
            windows: In a batch; fewer in the last one.
            shuffle: False gives them in order.
            seed, epoch: They alone tell the order.
            drop_last: Leave out a last batch that is not full.
            prefetch: How many batches are decoded ahead of the one that was given out, while the caller computes.

        Raises:
            FrameError: A number is out of range.
        """
        if windows < 1 or min(seed, epoch, prefetch) < 0:
            raise FrameError(
                f"batches of {windows} windows, seed {seed}, epoch {epoch}, {prefetch} ahead: expected at least 1 and 0"
            )
        order = np.random.default_rng((seed, epoch)).permutation(len(self)) if shuffle else np.arange(len(self))
        stop = len(order) - windows + 1 if drop_last else len(order)
        batches = (self.stacked(order[at : at + windows].tolist()) for at in range(0, stop, windows))
        return prefetched(batches, prefetch) if prefetch else batches

    def close(self) -> None:
        """Close what this process opened. Asking for a window opens it again."""
        self._shelf.close()

    def _run(self, path: Path | str) -> _Run:
        dataset = self._shelf.opened(path)
        topics = [dataset[name] for name in self.topics]
        times = topics[0].log_times_ns
        span = (self._frames - 1) * self._stride + 1
        if any(not len(topic) for topic in topics):
            return _Run(path, 0, 0)
        first = int(np.searchsorted(times, max(int(topic.log_times_ns[0]) for topic in topics), side="left"))
        return _Run(path, len(range(first, len(times) - span + 1, self._every)), first)

    def _decode(
        self,
        topic: Topic,
        places: NDArray[np.int64],
        mine: NDArray[np.int64],
        images: dict[str, NDArray[Any]],
        shape: tuple[int, int],
    ) -> None:
        """Decode windows of one dataset's topic into their part of the array of all."""
        if len(mine) == shape[0]:  # all are of one dataset: nothing is copied
            data = topic.batch(places.ravel(), self._format, size=self._size).data
            images[topic.name] = data.reshape(*shape, *data.shape[1:])
            return
        once, where = np.unique(places, return_inverse=True)
        data = topic.batch(once, self._format, size=self._size).data
        whole = images.setdefault(topic.name, np.empty((*shape, *data.shape[1:]), data.dtype))
        if whole.shape[2:] != data.shape[1:] or whole.dtype != data.dtype:
            raise FrameError(
                f"pictures of {topic.name} are {data.shape[1:]} {data.dtype} in one dataset and {whole.shape[2:]} "
                f"{whole.dtype} in another: ask for one size and format"
            )
        whole[mine] = data[where.reshape(places.shape)]

    def _checked(self, index: SupportsIndex) -> int:
        at = operator.index(index)
        if not -len(self) <= at < len(self):
            raise FrameError(f"no window {at}: there are {len(self)}")
        return at + len(self) if at < 0 else at
