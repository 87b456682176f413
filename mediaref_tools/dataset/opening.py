"""Opening a dataset, here or on a server, or whatever holds references."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.framesource import MediaSource, SegmentSource
from mediaref_tools.dataset.kept import KeptIndex, KeptLog, KeptSource
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.refindex import TABLE_SUFFIXES, RefIndex, logged_refs, tabled_refs
from mediaref_tools.dataset.segmentfiles import LocalSegments, RemoteSegments, SegmentFiles
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import LogNotFound
from mediaref_tools.media.crew import Crew
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.trust import Trust, inside
from mediaref_tools.media.uri import file_path, scheme

__all__ = ["location", "open_dataset"]


def open_dataset(
    path: str | os.PathLike[str],
    *,
    allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    storage_options: StorageOptions | None = None,
    threads: int | None = None,
    exact_colours: bool = False,
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
        exact_colours: RGB of video right within half a level, with chroma interpolated. By default it is what most
            readers give, in a fifth of the time: up to 2 levels off in video that `convert` made, up to 3 in a
            camera's own, and chroma of the nearest sample. What is resized is exact.

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
    again = partial(
        open_dataset,
        place,
        allow=allow,
        storage_options=storage_options,
        threads=threads,
        exact_colours=exact_colours,
    )
    if isinstance(place, str):
        with ExitStack() as opened:
            return _converted(place, again, storage_options, threads, exact_colours, opened)
    path = Path(path) if not scheme(os.fspath(path)) else place
    if not os.path.lexists(path):
        raise LogNotFound(f"no such file or folder: {path}")
    with ExitStack() as opened:
        if path.is_dir() and ((path / MANIFEST).exists() or not _is_log_folder(path)):
            return _converted(path, again, None, threads, exact_colours, opened)
        topics: dict[str, Topic] = {}
        found = tabled_refs(path) if path.suffix in TABLE_SUFFIXES else logged_refs(path)
        trust = Trust(path.absolute().parent, allow)
        for name, refs in found.items():
            source = MediaSource(
                name, refs.uris, refs.pts_ns, trust, storage_options, threads, exact_colours=exact_colours
            )
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
    exact_colours: bool,
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
        source = SegmentSource(files, index, crew, decoders, exact_colours=exact_colours)
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
