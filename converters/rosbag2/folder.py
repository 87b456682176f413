"""The folder of a rosbag2 log, whichever plugin stored it: which files, in which order, compressed or not.

A `metadata.yaml` may be missing, broken, older than the files beside it, or written by a stranger: it orders the
files that lie in the folder, and never leads out of it.
"""

from __future__ import annotations

import heapq
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import LogError
from mediaref_tools.log import ChannelStats, Loss, Message

from ..storage.packing import ENDINGS, plain
from ..storage.scratch import flush
from .metadata import Metadata, parse

__all__ = ["METADATA", "Folder", "Part", "in_time_order", "miscounts", "read", "storage", "total"]

METADATA = "metadata.yaml"
SUFFIXES = {"sqlite3": ".db3", "mcap": ".mcap"}
"""What a storage plugin's files are called; `.zstd` follows in file compression mode, `.gz` by hand."""

_COMPANIONS = ("-wal", "-shm", "-journal")
_LIMIT = 32 << 20
"""Characters of `metadata.yaml` that are read at most."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A rosbag2 folder, read but with no storage file opened.

    Attributes:
        path: The folder.
        files: Storage files in recording order.
        text: `metadata.yaml` as it stands, None where there is none or it can't be read.
        metadata: What it says.
        losses: What it names and is not there, or the other way round.
    """

    path: Path
    files: tuple[Path, ...]
    text: str | None
    metadata: Metadata | None
    losses: tuple[Loss, ...]

    def count(self, file: Path) -> int | None:
        """How many messages `metadata.yaml` says that a storage file holds."""
        counts = {} if self.metadata is None else self.metadata.counts
        return next((count for path, count in counts.items() if basename(path) == file.name), None)

    def rest(self, storage_files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
        """Everything else in the folder, to be taken over: (path, path relative to the folder), folders first.

        Args:
            storage_files: Those written anew, whose SQLite companions hold nothing of their own any more.
        """
        for path, relative in self._others(storage_files):
            # a link is not followed: a stranger's log must not pull other files of this machine into the output
            if not path.is_symlink() and (path.is_file() or path.is_dir()):
                yield path, relative

    def strangers(self) -> Iterator[Path]:
        """What is no part of the log: neither its metadata nor its storage; links are none of its parts."""
        links = (path for path in self.files if path.is_symlink())
        return chain(links, (path for path, _ in self._others(self.files)))

    def _others(self, storage_files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
        taken = {METADATA} if self.text is not None else set()
        for file in storage_files:
            taken |= {file.name, *(file.name + companion for companion in _COMPANIONS)}
        return (each for each in _walk(self.path) if str(each[1]) not in taken)

    def copy_rest(self, out: Path, storage_files: Iterable[Path], metadata: str | None) -> None:
        """Write into a new folder what is not storage: `metadata.yaml` with a new text, everything else as it is.

        Raises:
            OSError: It can't be written.
        """
        for path, relative in self.rest(storage_files):
            target = out / relative
            if path.is_dir():
                target.mkdir()
            else:
                shutil.copy2(path, target)
                flush(target)
        if metadata is not None:
            with (out / METADATA).open("x", encoding="utf-8", newline="") as file:
                file.write(metadata)
            flush(out / METADATA)
        flush(out)


def total(a: ChannelStats, b: ChannelStats) -> ChannelStats:
    """What a channel holds that lies in two files."""
    first = [each for each in (a.first_ns, b.first_ns) if each is not None]
    last = [each for each in (a.last_ns, b.last_ns) if each is not None]
    return ChannelStats(a.messages + b.messages, a.bytes + b.bytes, min(first, default=None), max(last, default=None))


def storage(path: Path) -> str | None:
    """The storage plugin of a rosbag2 folder, told by its metadata or its files' names; None where it is none."""
    try:
        names = {plain(each.name.lower()) for each in path.iterdir()}
    except OSError:
        return None
    there = [kind for kind, suffix in SUFFIXES.items() if any(name.endswith(suffix) for name in names)]
    said = None
    if METADATA in names:
        try:
            with (path / METADATA).open("rb") as file:
                match = re.search(rb"^\s*storage_identifier:\s*[\"']?([\w-]+)", file.read(_LIMIT), re.MULTILINE)
            said = match[1].decode("ascii", "replace") if match else None
        except OSError:
            pass
    if METADATA not in names and not _is_one(path.resolve().name.lower(), names):
        return None
    if said is None or (said in SUFFIXES and there and said not in there):
        return there[0] if there else None
    return said


def _is_one(folder: str, names: Collection[str]) -> bool:
    """Whether a folder with no metadata is one recording, and no folder of logs: by its files' names.

    A recorder calls its files after the folder, and numbers them from 0 on. A single file may have any name, since
    people rename folders. Of several, .db3 files are one recording by their numbers alone; .mcap files, which others
    number too (episode_0.mcap), by the folder's name or the one that recorders choose by themselves.
    """
    stems = [name.removesuffix(suffix) for name in names for suffix in SUFFIXES.values() if name.endswith(suffix)]
    parts = [re.fullmatch(r"(.*)_(\d+)", stem) for stem in stems]
    prefixes = {part[1] if part is not None else stem for part, stem in zip(parts, stems, strict=True)}
    if len(stems) == 1 or prefixes == {folder}:
        return True
    numbers = sorted(int(part[2]) for part in parts if part is not None)
    in_order = len(prefixes) == 1 and numbers == list(range(len(stems)))
    recorded = not any(name.endswith(SUFFIXES["mcap"]) for name in names) or next(iter(prefixes)).startswith("rosbag2_")
    return in_order and recorded


def read(path: Path, kind: str) -> Folder:
    """Read a rosbag2 folder's `metadata.yaml`, if any, and find its storage files.

    Args:
        path: The folder.
        kind: "sqlite3" or "mcap".

    Raises:
        LogError: There is no storage file of that kind, or they are compressed in a way that can't be read.
    """
    try:
        names = {entry.name for entry in os.scandir(path) if _is_file(entry)}
        links = sorted(entry.name for entry in os.scandir(path) if entry.is_symlink())
    except OSError as error:
        raise LogError(f"folder can't be read: {error.strerror}: {path}") from error
    losses: list[Loss] = []
    text, metadata = _metadata(path, losses) if METADATA in names else (None, None)
    if metadata and metadata.compression_mode and metadata.compression_format not in ("", "zstd"):
        raise LogError(
            f"compression format {metadata.compression_format!r} can't be read, expected 'zstd': convert the log "
            f"with `ros2 bag convert` first: {path}"
        )
    suffix = SUFFIXES[kind]
    present = sorted((name for name in names if plain(name).lower().endswith(suffix)), key=_natural)
    # a recorder that died while it compressed leaves both: the uncompressed one was complete by then
    present = [name for name in present if name == plain(name) or plain(name) not in names]
    files = present if metadata is None else _listed(metadata, names, present, losses)
    if not files:
        raise LogError(f"no storage file *{suffix} in a rosbag2 folder, expected at least one: {path}")
    losses += [
        Loss(name, "symbolic link: not followed, not taken over into a rewritten log", 0)
        for name in links
        if name not in files and name != METADATA
    ]
    return Folder(path, tuple(path / name for name in files), text, metadata, tuple(losses))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link to itself
        return False


def _metadata(folder: Path, losses: list[Loss]) -> tuple[str | None, Metadata | None]:
    try:
        with (folder / METADATA).open(encoding="utf-8", newline="") as file:
            text = file.read(_LIMIT)
        return text, parse(text)
    except (OSError, UnicodeDecodeError, LogError) as error:
        # the messages are in the storage files, which tell all but their order and the compression mode
        losses.append(Loss(METADATA, f"can't be read, so the files were taken in the order of their names: {error}", 0))
        return None, None


def _listed(metadata: Metadata, names: set[str], present: list[str], losses: list[Loss]) -> list[str]:
    files: list[str] = []
    missing: list[Loss] = []
    for entry in metadata.files:
        # version 3 and older put the folder's name in front, and a stranger's may hold `..`
        name = basename(entry)
        spellings = (name, plain(name), *(plain(name) + ending for ending in ENDINGS))
        found = next((each for each in spellings if each in names), None)
        if found is None:
            what = "is in metadata.yaml, but not in the folder"
            missing.append(Loss(name or repr(entry), what, metadata.counts.get(entry)))
        elif found not in files:
            files.append(found)
    if not files and present:
        what = f"names {len(missing)} storage files that are not in the folder: the {len(present)} that are were read"
        losses.append(Loss(METADATA, what, 0))
        return present
    losses += missing
    losses += [
        Loss(name, "is not in metadata.yaml, so it was not read: open it by itself, or take metadata.yaml away", None)
        for name in present
        if name not in files and plain(name) not in files
    ]
    return files


def basename(entry: str) -> str:
    """The last part of a path in `metadata.yaml`, whichever system wrote it."""
    return re.split(r"[/\\]", entry)[-1]


def miscounts(folder: Folder, lost: Collection[Loss], topics: Mapping[str, int], others: int) -> Iterator[Loss]:
    """Where `metadata.yaml` says another number of messages than the files hold.

    Args:
        folder: The log.
        lost: What is known to be missing, and so explains a difference.
        topics: Messages found, by topic.
        others: Messages found that belong to no topic.
    """
    metadata = folder.metadata
    known = [loss.messages for loss in lost]
    if metadata is None or metadata.messages is None:
        return
    gone = sum(each for each in known if each is not None)
    found = sum(topics.values()) + others
    if None in known:
        if metadata.messages > found + gone:
            what = f"says {metadata.messages} messages, of which {found} are in what could be read"
            yield Loss(METADATA, what, metadata.messages - found - gone)
    elif metadata.messages != found + gone:
        what = f"says {metadata.messages} messages, but the storage files hold {found}"
        yield Loss(METADATA, what, max(metadata.messages - gone - found, 0))
    elif metadata.topics and not gone and not others:
        for topic in sorted({*topics, *metadata.topics}):
            said, there = metadata.topics.get(topic, 0), topics.get(topic, 0)
            if said != there:
                yield Loss(METADATA, f"says {said} messages of {topic!r}, but the storage files hold {there}", 0)


def _natural(name: str) -> list[tuple[int, str]]:
    # `x_10` comes after `x_9`; comparing lengths first keeps digits in any number and script away from int()
    parts = [part.lstrip("0") for part in re.split(r"(\d+)", name.lower())]
    return [(len(part) if part.isdigit() else 0, part) for part in parts]


def _walk(folder: Path) -> Iterator[tuple[Path, Path]]:
    for place, folders, files in os.walk(folder, followlinks=False):
        for name in sorted(folders) + sorted(files):
            path = Path(place, name)
            yield path, path.relative_to(folder)


class Part(NamedTuple):
    """One storage file's messages, in log-time order, none earlier than `start_ns` (None: nobody knows)."""

    start_ns: int | None
    messages: Callable[[], Iterator[Message]]


def in_time_order(parts: Iterable[Part]) -> Iterator[Message]:
    """Messages of several files by (log time, file, place in the file).

    A file is opened when its time has come: only those that overlap are open at once, each with one message.
    """
    waiting = sorted(
        ((-(1 << 64) if part.start_ns is None else part.start_ns, n, part) for n, part in enumerate(parts)),
        reverse=True,
    )
    heap: list[tuple[int, int, Message, Iterator[Message]]] = []
    while waiting or heap:
        while waiting and (not heap or waiting[-1][0] <= heap[0][0]):
            _, number, part = waiting.pop()
            messages = part.messages()
            first = next(messages, None)
            if first is not None:
                heapq.heappush(heap, (first.log_time_ns, number, first, messages))
        if not waiting and len(heap) == 1:
            yield heap[0][2]
            yield from heap[0][3]
            return
        if not heap:
            continue
        _, number, message, messages = heap[0]
        yield message
        following = next(messages, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following.log_time_ns, number, following, messages))
