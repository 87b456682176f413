"""What an HDF5 file has for topics: datasets of pictures, and of references, each with its times."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

import h5py

from mediaref_tools.log import NOTE, Channel, Loss, OpenOptions
from mediaref_tools.reftable import REPEATS, TIME, holds_refs

from .file import Tree, attribute
from .pictures import Pictures, told_pictures
from .profiles import Convention, convention
from .rows import read_rows
from .times import Times, attribute_fps, even, listed, read_back, sibling
from .video import Video, open_video

__all__ = ["Survey", "Topic", "survey"]

_EPISODE = re.compile(r"^(demo|episode|ep|traj|trajectory|rollout)[_-]?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Topic:
    """A dataset whose rows are messages.

    Attributes:
        channel: As readers see it.
        rows: How many messages.
        times: None where nothing tells them.
        pictures: None where it holds references.
        video: Where it is one.
        convention: Of pictures.
    """

    channel: Channel
    rows: int
    times: Times | None
    pictures: Pictures | None = None
    video: Video | None = None
    convention: Convention | None = None

    @property
    def path(self) -> str:
        """The dataset's."""
        return self.channel.topic


@dataclass(frozen=True, slots=True)
class Survey:
    """Topics by path, datasets that only repeat another's pictures (by path, the other's), and what stays unread."""

    topics: Mapping[str, Topic]
    repeats: Mapping[str, str]
    losses: Sequence[Loss]


def survey(file: h5py.File, tree: Tree, options: OpenOptions) -> Survey:
    """Look at every dataset of a file.

    Raises:
        LogError: An option makes no sense.
        ExtraError: A filter needs a package that is not installed.
    """
    pictures: dict[str, Pictures] = {}
    refs: dict[str, int] = {}
    losses = [_elsewhere(link.path, link.kind, link.target) for link in tree.links if link.kind != "soft"]
    for path in tree.datasets:
        dataset = file[path]
        if holds_refs(dataset.dtype) and len(dataset.shape) == 1:
            refs[path] = dataset.shape[0]
            continue
        asked = any(glob != "*" and fnmatchcase(path, glob) for glob in options.topics)
        told = told_pictures(dataset, path, asked=asked)
        if isinstance(told, Loss):
            losses.append(told)
        elif told is not None:
            pictures[path] = told
    repeats = {path: base for path in pictures if (base := _repeated(file, pictures, path)) is not None}
    repeats |= {path: base for path in refs if isinstance(base := attribute(file[path], REPEATS), str)}
    videos = {path: open_video(file, path) for path, one in pictures.items() if one.layout == "video"}
    losses += [Loss(path, video, 0) for path, video in videos.items() if isinstance(video, str)]
    names = sorted(
        path for path in pictures.keys() | refs.keys() - repeats.keys() if not isinstance(videos.get(path), str)
    )
    names = [path for path in names if path not in repeats]
    lengths = refs | {path: one.rows for path, one in pictures.items() if one.layout != "video"}
    topics = {}
    for number, path in enumerate(names):
        if path in pictures:
            video = videos.get(path)
            topics[path] = _pictured(
                file, tree, number, pictures[path], video if isinstance(video, Video) else None, options, lengths
            )
        else:
            topics[path] = _referring(file, number, path, refs[path])
    return Survey(topics, repeats, losses)


def _elsewhere(path: str, kind: str, target: str) -> Loss:
    if kind == "external":
        return Loss(path, f"a link into another file, which is not followed: it is copied as it is: {target}", 0)
    return Loss(path, "a link of a kind that some application defined: it can't be copied", 0)


def _repeated(file: h5py.File, pictures: Mapping[str, Pictures], path: str) -> str | None:
    """The dataset whose next pictures these are: robomimic's `next_obs` has those of `obs`, one row on.

    Three rows are compared here; the writer compares them all, and stores what differs.
    """
    parts = path.split("/")
    if "next_obs" not in parts:
        return None
    at = parts.index("next_obs")
    base = "/".join([*parts[:at], "obs", *parts[at + 1 :]])
    mine, other = pictures[path], pictures.get(base)
    if other is None or (mine.shape, mine.dtype) != (other.shape, other.dtype) or mine.rows < 2:
        return None
    for row in {0, (mine.rows - 2) // 2, mine.rows - 2}:
        if bytes(read_rows(file[path], row, row + 1)[0]) != bytes(read_rows(file[base], row + 1, row + 2)[0]):
            return None
    return base


def _pictured(
    file: h5py.File,
    tree: Tree,
    number: int,
    pictures: Pictures,
    video: Video | None,
    options: OpenOptions,
    lengths: Mapping[str, int],
) -> Topic:
    told = convention(file, tree, pictures, options.profile)
    rows = pictures.rows if video is None else len(video.times_ns)
    times, refused = _times(file, tree, pictures.path, rows, video, told, options, lengths)
    order = told.channel_order
    if options.swap_rb and order != "gray":
        order = "rgb"
    told = told._replace(channel_order=order)
    why = [pictures.why if video is None else f"{pictures.why}, {rows} frames of {video.codec}", *told.notes]
    why += [refused] if refused else []
    why.append(times.why if times is not None else "nothing tells its times: give --fps (or --profile)")
    why += ["red and blue swapped, by --swap-rb"] if options.swap_rb and order != "gray" else []
    attributes = {NOTE: "; ".join(why), "channel_order": order, "orientation": told.orientation}
    channel = Channel(number, pictures.path, pictures.type, "hdf5", attributes=attributes, role="image")
    return Topic(channel, rows, times, pictures, video, told)


def _times(
    file: h5py.File,
    tree: Tree,
    path: str,
    rows: int,
    video: Video | None,
    told: Convention,
    options: OpenOptions,
    lengths: Mapping[str, int],
) -> tuple[Times | None, str]:
    """The rule for a dataset's times, and what was found that can't be one."""
    if options.fps is not None:
        return _even(path, lengths, options.fps, f"{float(options.fps):g} a second, by --fps"), ""
    beside, refused = sibling(file, tree.datasets, path, rows)
    if beside is not None:
        return beside, ""
    if video is not None:
        return listed(video.times_ns, "times of the video's own frames", {}), refused
    if told.fps is not None and options.profile is not None:
        return _even(path, lengths, told.fps, told.fps_why), refused
    found = attribute_fps(file, path)
    if found is not None:
        return _even(path, lengths, *found), refused
    if told.fps is not None:
        return _even(path, lengths, told.fps, told.fps_why), refused
    return None, refused


def _even(path: str, lengths: Mapping[str, int], fps: Fraction, why: str) -> Times:
    """Evenly spaced times. Of several episodes in one file, each begins where the one before it ends."""
    own = _episode(path)
    longest: dict[tuple[str, int], int] = {}
    if own is not None:
        for other, rows in lengths.items():
            episode = _episode(other)
            if episode is not None and episode[0] == own[0] and episode[1] < own[1]:
                longest[episode] = max(rows, longest.get(episode, 0))
    rows_before = sum(longest.values())
    return even(fps, round(Fraction(rows_before * 10**9) / fps), why)


def _episode(path: str) -> tuple[str, int] | None:
    """The episode that a path lies in: the path of what holds it, and its number."""
    parts = path.split("/")
    for at, part in enumerate(parts[:-1]):
        found = _EPISODE.match(part)
        if found:
            return "/".join([*parts[:at], found[1]]), int(found[2])
    return None


def _referring(file: h5py.File, number: int, path: str, rows: int) -> Topic:
    dataset = file[path]
    text = attribute(dataset, TIME)
    times = None if text is None else read_back(text, file, dataset.attrs, rows)
    if times is None:
        # References have a frame's time of their own, so that rows may be counted where pictures' would be a guess.
        times = Times("nothing tells its times: rows are counted", {})
    attributes: dict[str, Any] = {NOTE: times.why}
    channel = Channel(number, path, "mediaref (uri, pts_ns)", "json", attributes=attributes, role="record")
    return Topic(channel, rows, times)
