"""Opening whatever holds pictures in time, converted or not: a dataset, references, a plain log, a video file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.dataset.framesource import MediaSource
from mediaref_tools.dataset.kept import KeptIndex, KeptLog, KeptSource
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.opening import location, open_dataset
from mediaref_tools.dataset.refindex import TABLE_SUFFIXES, Found, RefIndex
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import DatasetError, LogNotFound, MediarefError
from mediaref_tools.log import OpenOptions
from mediaref_tools.media.trust import Trust
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.plugins import claimed

__all__ = ["open_playable"]


def open_playable(
    path: str | os.PathLike[str],
    *,
    allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = (),
    threads: int | None = None,
) -> Dataset:
    """Open a dataset, a log or table of references, a log of plain images, or a video file, to look at its pictures.

    A log that is not converted is gone through once, when a topic of its is first asked for; its pictures are read from
    where they are. A camera's own video in such a log is not decoded: convert it first. In a video file, log times are
    the frames' own times.

    Args:
        path: What to open.
        allow, threads: As `open_dataset` has them.

    Raises:
        LogNotFound: Nothing is there, or it is nothing that is known.
        DatasetError: It holds no pictures.
        LogError: It is a log that can't be read.

    Examples:
        >>> with mrt.open_playable("drive.mcap") as log:  # as it was recorded
        ...     camera = log["/camera/left/image_raw/compressed"]
        ...     print(len(camera), camera[0].data.shape, camera.status[0])
        120 (480, 640, 3) kept
    """
    place = location(path)
    again = partial(open_playable, place, allow=allow, threads=threads)
    if not isinstance(place, Path):
        return open_dataset(place, allow=allow, threads=threads)
    if not os.path.lexists(place):
        raise LogNotFound(f"no such file or folder: {path}")
    # A dataset first: its folder holds a log, which may make a rosbag2 of it.
    if (place / MANIFEST).exists() or place.suffix in TABLE_SUFFIXES:
        return open_dataset(place, allow=allow, threads=threads)
    if claimed(place):
        return _log(Path(path), again, allow, threads)
    if place.is_dir():
        return open_dataset(place, allow=allow, threads=threads)  # which says what it lacks
    return _video(Path(path), again, threads)


def _log(
    path: Path,
    again: partial[Dataset],
    allow: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    threads: int | None,
) -> Dataset:
    """A log's references, if it holds some, and its plain images."""
    with ExitStack() as opened:
        kept = KeptLog(path.absolute(), OpenOptions())
        opened.callback(kept.close)
        roles = {channel.role for channel in kept.log.channels}
        names = sorted({channel.topic for channel in kept.log.channels if channel.role == "image"})
        topics: dict[str, Topic] = {}
        if "record" in roles or not names:
            try:
                referred = open_dataset(path, allow=allow, threads=threads)
            except DatasetError:
                if not names:
                    raise
            else:
                opened.callback(referred.close)
                topics.update(referred)
        for name in names:
            index = KeptIndex(kept, name, None)
            topics.setdefault(name, Topic(name, index, KeptSource(kept, name, index), partial(_topic, again, name)))
        return Dataset(path, topics, None, opened.pop_all().close, again)


def _video(path: Path, again: partial[Dataset], threads: int | None) -> Dataset:
    """A video file as a dataset of one topic, called as the file."""
    try:
        with VideoDecoder(path) as video:
            times_ns = video.pts_ns
    except MediarefError as error:
        raise DatasetError(
            f"no dataset, no log that an installed converter knows, and no video that can be read: {error}"
        ) from error
    count = len(times_ns)
    unknown = np.full(count, NO_STAMP, np.int64)
    # Named for its folder alone: nothing else is to be reached by way of it.
    uris = np.full(count, path.name, np.object_)
    found = Found(uris, times_ns, times_ns, unknown, unknown)
    source = MediaSource(path.name, uris, times_ns, Trust(path.absolute().parent, ()), None, threads)
    topic = Topic(path.name, RefIndex(found, source), source, partial(_topic, again, path.name))
    return Dataset(path, {path.name: topic}, None, source.close, again)


def _topic(again: partial[Dataset], name: str) -> Topic:
    return again()[name]
