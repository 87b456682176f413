"""Frames for PyTorch: a map-style dataset, and a sampler whose batches are cheap to decode.

A `DataLoader` with both::

    frames = FrameDataset("drive/")
    sampler = SegmentBatchSampler(frames, batch_size=32)
    for epoch in range(10):
        sampler.set_epoch(epoch)
        for batch in DataLoader(frames, batch_sampler=sampler, num_workers=2):
            batch["image"]  # (32, 3, H, W) uint8
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.batch import Frame
from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.opening import location
from mediaref_tools.dataset.shelf import Shelf
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError
from mediaref_tools.extra import extra_module
from mediaref_tools.media.storage import StorageOptions

if TYPE_CHECKING:
    # `DataLoader` asks for no base class, but type checkers do.
    from torch.utils.data import Dataset as _MapStyle
else:
    _MapStyle = object

__all__ = ["FrameDataset", "SegmentBatchSampler"]

_TOGETHER = 16  # frames decoded at a time when a dataset is simply gone through


class FrameDataset(_MapStyle):  # type: ignore[misc]
    """Frames of a dataset's topics, one after the other, for a `DataLoader`.

    An item is a dict: `image`, a (3, H, W) uint8 RGB tensor (or what `transform` makes of it); `topic`, its name;
    `index`, the frame's place on its topic; `log_time_ns`; and `pts_ns`, -1 where it is a still. Images of one fetch
    are views of one (N, H, W, 3) array.

    Each process opens the dataset for itself, when it first asks for a frame: it can be pickled, forked and spawned.
    Not for use by two threads at once.

    Attributes:
        path: What `open_dataset` opens: a path, or the uri of a dataset.
        topics: Names, in the order of the frames.
    """

    def __init__(
        self,
        dataset: str | os.PathLike[str] | Dataset,
        topics: str | Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        *,
        allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
        storage_options: StorageOptions | None = None,
        threads: int | None = None,
    ) -> None:
        """Count the frames; nothing is decoded and nothing stays open.

        Args:
            dataset: What `open_dataset` opens, or a dataset that is open: it is opened anew.
            topics: Names; all by default.
            transform: Called with each image tensor. Workers that are spawned need one that can be pickled.
            allow, storage_options, threads: As in `open_dataset`. With several workers, one thread each is enough.

        Raises:
            ExtraError: torch is not installed.
            TopicError: There is no such topic.
            MediarefError: As `open_dataset`.
        """
        extra_module("torch", "torch")
        self.path = location(dataset.path if isinstance(dataset, Dataset) else dataset)
        self._transform = transform
        allow = (allow,) if isinstance(allow, (str, os.PathLike)) else tuple(allow)
        self._shelf = Shelf(1, {"allow": allow, "storage_options": storage_options, "threads": threads})
        opened = self._opened()
        names = list(opened) if topics is None else [topics] if isinstance(topics, str) else list(topics)
        self.topics = tuple(names)
        self._ends = np.cumsum([len(opened[name]) for name in names], dtype=np.int64)
        self.close()

    def __repr__(self) -> str:
        return f"FrameDataset({str(self.path)!r}, {len(self.topics)} topics, {len(self)} frames)"

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: SupportsIndex) -> dict[str, Any]:
        """One item. To take many, ask for them at once, as a `DataLoader` does.

        Raises:
            FrameError: There is no such frame, or it can't be decoded.
            MediarefError: As `Topic.batch`.
        """
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[SupportsIndex]) -> list[dict[str, Any]]:
        """Items in the order asked: each topic's are one batch, each of its segments is entered once.

        Raises:
            FrameError: There is no such frame, or it can't be decoded.
            MediarefError: As `Topic.batch`.
        """
        wanted = np.array([self._checked(index) for index in indices], np.int64)
        numbers = np.searchsorted(self._ends, wanted, side="right")
        dataset = self._opened()
        items: list[dict[str, Any]] = [{}] * len(wanted)
        for number in np.unique(numbers).tolist():
            topic = dataset[self.topics[number]]
            mine = np.flatnonzero(numbers == number)
            frames = _frames(topic, wanted[mine] - (self._ends[number] - len(topic)))
            for place, frame in zip(mine.tolist(), frames, strict=True):
                items[place] = self._item(self.topics[number], frame)
        return items

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for at in range(0, len(self), _TOGETHER):
            yield from self.__getitems__(range(at, min(at + _TOGETHER, len(self))))

    def runs(self, frames: int) -> list[list[NDArray[np.int64]]]:
        """All indices: by segment, and in it by runs that follow each other in time and are cheap to decode together.

        A run begins anew at each keyframe, where keyframes are known. Stills of a topic count as one segment.

        Args:
            frames: How long a run may be.

        Raises:
            FrameError: That is less than 1.
        """
        if frames < 1:
            raise FrameError(f"runs of {frames} frames: they must have at least 1")
        dataset = self._opened()
        found = []
        for name, end in zip(self.topics, self._ends.tolist(), strict=True):
            topic = dataset[name]
            for members in _segments(topic):
                keys = topic.keyframes[members]
                keys[0] = True
                starts = np.flatnonzero(keys)
                since = np.arange(len(members)) - starts[np.cumsum(keys) - 1]
                found.append(np.split(members + (end - len(topic)), np.flatnonzero(since % frames == 0)[1:]))
        return found

    def close(self) -> None:
        """Close what this process opened. Asking for a frame opens it again."""
        self._shelf.close()

    def _opened(self) -> Dataset:
        return self._shelf.opened(self.path)

    def _checked(self, index: SupportsIndex) -> int:
        at = operator.index(index)
        if not -len(self) <= at < len(self):
            raise FrameError(f"no frame {at}: there are {len(self)}: {self.path}")
        return at + len(self) if at < 0 else at

    def _item(self, topic: str, frame: Frame) -> dict[str, Any]:
        import torch

        image = torch.from_numpy(frame.data).permute(2, 0, 1)
        return {
            "image": image if self._transform is None else self._transform(image),
            "topic": topic,
            "index": frame.index,
            "log_time_ns": frame.log_time_ns,
            "pts_ns": frame.pts_ns,
        }


class SegmentBatchSampler:
    """Batches of indices for a `DataLoader(batch_sampler=…)`, each from one segment; every frame exactly once.

    Shuffled batches are put together from short runs of frames of one segment, and come in any order. The order is
    told by `seed` and the epoch alone.
    """

    def __init__(
        self,
        dataset: FrameDataset,
        batch_size: int,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        *,
        run: int = 8,
    ) -> None:
        """Find out which frames lie together; nothing is decoded.

        Args:
            dataset: Whose frames.
            batch_size: Indices in a batch; fewer at the end of a segment.
            shuffle: False gives the frames of each segment in the order of their times.
            seed: For the order, at least 0.
            drop_last: Leave out batches that are not full. A segment shorter than a batch is left out whole.
            run: Up to how many frames that follow each other stay together when shuffled. 1 is the most random;
                longer runs decode faster, as fewer frames are decoded only to get at others.

        Raises:
            FrameError: A number is out of range.
        """
        if batch_size < 1 or seed < 0:
            raise FrameError(f"batch_size {batch_size}, seed {seed}: expected at least 1 and at least 0")
        self._segments = dataset.runs(run)
        self._batch_size, self._shuffle, self._seed, self._drop_last = batch_size, shuffle, seed, drop_last
        self._epoch = 0

    def __len__(self) -> int:
        return sum(
            len(range(0, count - self._batch_size + 1 if self._drop_last else count, self._batch_size))
            for count in (sum(map(len, runs)) for runs in self._segments)
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass; without it, each pass has the same.

        Raises:
            FrameError: The epoch is negative.
        """
        if epoch < 0:
            raise FrameError(f"epoch {epoch}: expected at least 0")
        self._epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        chance = np.random.default_rng((self._seed, self._epoch)) if self._shuffle else None
        batches = []
        for runs in self._segments:
            frames = np.concatenate([runs[at] for at in _order(len(runs), chance)])
            for at in range(0, len(frames), self._batch_size):
                batch = frames[at : at + self._batch_size]
                if len(batch) == self._batch_size or not self._drop_last:
                    batches.append(batch)
        for at in _order(len(batches), chance):
            yield batches[at].tolist()


def _order(count: int, chance: np.random.Generator | None) -> Sequence[int]:
    return range(count) if chance is None else chance.permutation(count).tolist()


def _frames(topic: Topic, indices: NDArray[np.int64]) -> Iterator[Frame]:
    try:
        batch = topic.batch(indices, "rgb")
    except FrameError:
        if len(indices) == 1:
            raise
        # Pictures of several sizes fit no batch; if it was something else, it comes up again.
        for index in indices.tolist():
            yield topic.batch([index], "rgb")[0]
        return
    yield from batch


def _segments(topic: Topic) -> list[NDArray[np.int64]]:
    """The frames of each segment in the order of their times; stills come together."""
    pts_ns = topic.pts_ns
    numbers: dict[str, int] = {}
    segments = np.array(
        [
            numbers.setdefault(ref.uri if pts >= 0 else "", len(numbers))
            for ref, pts in zip(topic.refs, pts_ns.tolist(), strict=True)
        ],
        np.int64,
    )
    order = np.lexsort((pts_ns, segments))
    return np.split(order, np.flatnonzero(np.diff(segments[order])) + 1) if len(order) else []
