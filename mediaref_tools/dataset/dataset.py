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
from mediaref_tools.dataset.segmentfiles import LocalSegments, RemoteSegments, SegmentFiles
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import DatasetError, FrameError, LogNotFound, TopicError
from mediaref_tools.media.crew import Crew
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.pieces import Fetched
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.trust import Trust, inside
from mediaref_tools.media.uri import file_path, scheme, shown

__all__ = ["Dataset", "location", "open_dataset"]

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
    ) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        """Step through log time, with the frame on screen of each topic.

        Args:
            topics: Names.
            every_ns: The step.
            start_ns, stop_ns: Log times, half-open; by default from where all topics have begun to where the first
                one ends, its last frame included.
            format: As in `Topic.batch`.

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
        return self._sync(chosen, range(begin, end, every_ns), format)

    @staticmethod
    def _sync(
        chosen: dict[str, Topic],
        ticks: range,
        format: PixelFormat,  # noqa: A002
    ) -> Iterator[tuple[int, dict[str, Frame | None]]]:
        for at in range(0, len(ticks), _TICKS):
            times = np.array(ticks[at : at + _TICKS], dtype=np.int64)
            frames = {name: _frames(topic, topic.index_at(times).tolist(), format) for name, topic in chosen.items()}
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


def _frames(topic: Topic, indices: list[int], format: PixelFormat) -> list[Frame | None]:  # noqa: A002
    """Frames by index, None for -1; sizes may differ."""
    found: dict[int, Frame] = {}
    sizes = {index: tuple(topic.sizes[index].tolist()) for index in set(indices) if index >= 0}
    for size in set(sizes.values()):
        same = sorted(index for index in sizes if sizes[index] == size)
        found.update(zip(same, topic.batch(same, format), strict=True))
    return [found.get(index) for index in indices]


def open_dataset(
    path: str | os.PathLike[str],
    *,
    allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    storage_options: StorageOptions | None = None,
    threads: int | None = None,
) -> Dataset:
    """Open a dataset folder that `convert` made, here or on a server, or any log or table that holds references.

    A log may hold typed records, `std_msgs/String` messages of JSON, or JSON messages with a MediaRef in them. A table
    is parquet, CSV or JSON with a column `struct<uri, pts_ns>`, or with columns `uri` and `pts_ns`.

    The references are not trusted: they are followed inside the folder of the dataset, log or table only.

    A dataset's folder may be the uri of any storage that fsspec knows: the manifest is fetched, of the frames table the
    columns that are asked for, of the segments the packets that are decoded: all that a call needs at once, and what
    follows while somebody goes through frames in order. 64 MiB of them are held. Logs and tables are local, and so must
    a dataset be whose kept topics are wanted.

    Args:
        path: The dataset, log or table; a dataset's uri.
        allow: What else references may name: folders; schemes with their colon ("s3:"); beginnings of addresses
            ("https://host/data"); "*" for everything. A dataset's own segments always lie in its folder.
        storage_options: For fsspec, where the path is a uri, or references name addresses that are allowed.
        threads: How many decode at once, for all topics together; None for one a core that this process may use.

    Raises:
        DatasetError: It is none, it is not whole, or it holds no references.
        LogError: It is a log that can't be read.
        MediaError: A storage does not give it, or can't be asked.
        ExtraError: Its storage needs a package that is not installed.
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
    place = location(path)
    again = partial(open_dataset, place, allow=allow, storage_options=storage_options, threads=threads)
    if isinstance(place, str):
        with ExitStack() as opened:
            return _converted(place, again, storage_options, threads, opened)
    path = Path(path) if not scheme(os.fspath(path)) else place
    if not os.path.lexists(path):
        raise LogNotFound(f"no such file or folder: {path}")
    with ExitStack() as opened:
        if path.is_dir() and ((path / MANIFEST).exists() or not _is_log_folder(path)):
            return _converted(path, again, None, threads, opened)
        topics: dict[str, Topic] = {}
        found = tabled_refs(path) if path.suffix in TABLE_SUFFIXES else logged_refs(path)
        trust = Trust(path.absolute().parent, allow)
        for name, refs in found.items():
            source = MediaSource(name, refs.uris, refs.pts_ns, trust, storage_options, threads)
            opened.callback(partial(MediaSource.close, source))
            topics[name] = Topic(name, RefIndex(refs, source), source, partial(_topic, again, name))
        return Dataset(path, topics, None, opened.pop_all().close, again)


def location(path: str | os.PathLike[str]) -> Path | str:
    """Where a dataset, log or table is: an absolute path, or the uri of a storage. A path object is never a uri.

    Raises:
        RefError: A malformed file URI.
    """
    if not isinstance(path, str) or not scheme(path):
        return Path(path).absolute()
    local = file_path(path)
    return path if local is None else Path(local)


def _converted(
    folder: Path | str,
    again: Callable[[], Dataset],
    storage_options: StorageOptions | None,
    threads: int | None,
    opened: ExitStack,
) -> Dataset:
    """Open a dataset folder; what is to be closed is `opened`."""
    crew = Crew(threads)
    opened.callback(crew.close)
    manifest = Manifest.read(folder, storage_options)
    table = FramesTable(folder, storage_options)
    opened.callback(table.close)
    decoders = GopDecoders(crew.threads)
    opened.callback(decoders.close)
    remote = None if isinstance(folder, Path) else RemoteSegments(folder, storage_options, manifest)
    if remote is not None:
        opened.callback(remote.close)
    files: SegmentFiles = remote or LocalSegments(Path(folder))
    topics: dict[str, Topic] = {}
    for entry in manifest.topics:
        index = TableIndex(files.name, entry, table)
        source = SegmentSource(files, index, crew, decoders)
        topics[entry.topic] = Topic(entry.topic, index, source, partial(_topic, again, entry.topic))
    if isinstance(folder, Path):
        kept = KeptLog(inside(folder, manifest.log), manifest.settings.opening)
        opened.callback(kept.close)
        for each in manifest.kept:
            if each.readable:
                told = KeptIndex(kept, each.topic, each.messages)
                there = KeptSource(kept, each.topic, told)
                topics[each.topic] = Topic(each.topic, told, there, partial(_topic, again, each.topic))
    return Dataset(folder, topics, manifest, opened.pop_all().close, again, remote)


def _topic(again: Callable[[], Dataset], name: str) -> Topic:
    return again()[name]


def _is_log_folder(path: Path) -> bool:
    """Whether a folder may be a rosbag2 log, rather than a dataset that lacks its manifest."""
    return any(entry.suffix in (".db3", ".mcap", ".yaml", ".zstd") for entry in path.iterdir())
