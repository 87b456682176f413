"""Opening a dataset, or whatever holds references: its topics, and several of them in step."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mediaref_tools.dataset.batch import Frame
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.framesource import MediaSource, SegmentSource
from mediaref_tools.dataset.kept import KeptIndex, KeptLog, KeptSource
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.refindex import TABLE_SUFFIXES, RefIndex, logged_refs, tabled_refs
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import DatasetError, FrameError, LogNotFound, TopicError
from mediaref_tools.media.crew import Crew
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.trust import Trust, inside

__all__ = ["Dataset", "open_dataset"]

_TICKS = 16  # how many steps `sync` decodes at a time


class Dataset(Mapping[str, Topic]):
    """Topics of pictures by name, made by `open_dataset`. A context manager; it holds files open.

    Any thread may read; it can be pickled, for workers, which open it anew; after a fork, both processes may go on.

    Those that were converted come first, then those that were kept in the log and can be read from there.

    Attributes:
        path: The dataset's folder; the log's or table's path where it is none.
    """

    def __init__(
        self,
        path: Path,
        topics: Mapping[str, Topic],
        manifest: Manifest | None,
        on_close: Callable[[], object],
        again: Callable[[], Dataset],
    ) -> None:
        """`on_close` closes what is open, `again` opens the same in another process."""
        self.path = path
        self._manifest = manifest
        self._topics = dict(topics)
        self._on_close, self._again = on_close, again

    def __reduce__(self) -> tuple[Callable[[], Dataset], tuple[()]]:
        return self._again, ()

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


def open_dataset(
    path: str | os.PathLike[str],
    *,
    allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    storage_options: StorageOptions | None = None,
    threads: int | None = None,
    quick_colours: bool = False,
) -> Dataset:
    """Open a dataset folder that `convert` made, or any log or table that holds references.

    A log may hold typed records, `std_msgs/String` messages of JSON, or JSON messages with a MediaRef in them. A table
    is parquet, CSV or JSON with a column `struct<uri, pts_ns>`, or with columns `uri` and `pts_ns`.

    The references are not trusted: they are followed inside the folder of the dataset, log or table only.

    Args:
        path: The dataset, log or table.
        allow: What else references may name: folders; schemes with their colon ("s3:"); beginnings of addresses
            ("https://host/data"); "*" for everything. A dataset's own segments always lie in its folder.
        storage_options: For fsspec, where references name addresses that are allowed.
        threads: How many decode at once, for all topics together; None for one a core that this process may use.
        quick_colours: RGB of video as most readers make it, in a fifth of the time: up to 2 levels off where JPEG's
            full range was kept, as `convert` does, up to 3 where a camera's own video is narrower, and chroma of the
            nearest sample. By default it is right within half a level, and chroma is interpolated.

    Raises:
        DatasetError: It is none, it is not whole, or it holds no references.
        LogError: It is a log that can't be read.
        RefError: A table's row holds no reference.
        FrameError: Less than one thread.

    Examples:
        >>> with mrt.open_dataset("drive/") as dataset:
        ...     for name, camera in dataset.items():
        ...         print(name, len(camera), camera.batch([0, -1]).data.shape)
        /camera/left/image_raw/compressed 120 (2, 480, 640, 3)
        /camera/right/image_raw 58 (2, 240, 320, 3)

        A table of references that somebody else wrote:

        >>> with open("refs.csv", "w") as table:
        ...     _ = table.write("uri,pts_ns\\nclips/clip.mp4,500000000\\nphoto.png,\\n")
        >>> with mrt.open_dataset("refs.csv") as dataset:
        ...     print(dataset["refs"].status.tolist(), dataset["refs"].sizes.tolist())
        ['video', 'still'] [[480, 640], [48, 80]]
    """
    if not isinstance(allow, str | os.PathLike):
        allow = tuple(allow)
    path = Path(path)
    again = partial(
        open_dataset,
        path.absolute(),
        allow=allow,
        storage_options=storage_options,
        threads=threads,
        quick_colours=quick_colours,
    )
    if not os.path.lexists(path):
        raise LogNotFound(f"no such file or folder: {path}")
    with ExitStack() as opened:
        one = partial(partial, _topic, again)
        crew = Crew(threads)
        opened.callback(crew.close)
        topics: dict[str, Topic] = {}
        manifest = None
        if path.is_dir() and ((path / MANIFEST).exists() or not _is_log_folder(path)):
            manifest = Manifest.read(path)
            table = FramesTable(path)
            opened.callback(table.close)
            decoders = GopDecoders(crew.threads)
            opened.callback(decoders.close)
            for entry in manifest.topics:
                index = TableIndex(path, entry, table)
                segments = SegmentSource(path, index, crew, decoders, quick_colours=quick_colours)
                topics[entry.topic] = Topic(entry.topic, index, segments, one(entry.topic))
            kept = KeptLog(inside(path, manifest.log), manifest.settings.opening)
            opened.callback(kept.close)
            for each in manifest.kept:
                if each.readable:
                    told = KeptIndex(kept, each.topic, each.messages)
                    topics[each.topic] = Topic(each.topic, told, KeptSource(kept, each.topic, told), one(each.topic))
        else:
            found = tabled_refs(path) if path.suffix in TABLE_SUFFIXES else logged_refs(path)
            trust = Trust(path.absolute().parent, allow)
            for name, refs in found.items():
                source = MediaSource(
                    name, refs.uris, refs.pts_ns, trust, storage_options, threads, quick_colours=quick_colours
                )
                opened.callback(partial(MediaSource.close, source))
                topics[name] = Topic(name, RefIndex(refs, source), source, one(name))
        return Dataset(path, topics, manifest, opened.pop_all().close, again)


def _topic(again: Callable[[], Dataset], name: str) -> Topic:
    return again()[name]


def _is_log_folder(path: Path) -> bool:
    """Whether a folder may be a rosbag2 log, rather than a dataset that lacks its manifest."""
    return any(entry.suffix in (".db3", ".mcap", ".yaml", ".zstd") for entry in path.iterdir())
