"""The logs of a batch: found in folders or named, each with the place of its dataset, and parted in shards."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.errors import LogError, LogNotFound, OutputError
from mediaref_tools.plugins import claimed

__all__ = ["BatchLog", "Shard", "batch_logs", "holds_logs", "logs_in", "natural_order"]


class BatchLog(NamedTuple):
    """One log of a batch.

    Attributes:
        path: Where it lies.
        name: Relative to the folder that it was found in; its own name where it was named itself.
        out: Its dataset, relative to the folder of datasets.
    """

    path: Path
    name: Path
    out: Path


class Shard(NamedTuple):
    """The `number`th of `parts` parts of a batch, from 1 on.

    A log's part is told by the hash of its name, so that it stays the same while other logs come and go. Parts have
    about the same number of logs, if there are many; their sizes are not looked at.
    """

    number: int = 1
    parts: int = 1

    def has(self, log: BatchLog) -> bool:
        """Whether a log is in this part: it is in exactly one of all."""
        name = log.name.as_posix().encode("utf-8", "surrogateescape")
        return int.from_bytes(sha256(name).digest()[:8]) % self.parts == self.number - 1


def holds_logs(path: str | Path) -> bool:
    """Whether a path is a folder to be converted log by log, and no log, such as a rosbag2, itself."""
    path = Path(path)
    return path.is_dir() and not claimed(path)


def batch_logs(inputs: Sequence[Path], out: Path) -> list[BatchLog]:
    """Find all logs: of folders those in them and in their subfolders; what is no folder of logs is one itself.

    Raises:
        LogNotFound: A folder holds none.
        OutputError: `out` and an input lie in each other, or two logs would have one dataset.
    """
    found: dict[Path, tuple[Path, Path]] = {}
    for given in inputs:
        _check_apart(given, out)
        logs = _within(given) if holds_logs(given) else [(given, Path(given.resolve().name))]
        for log, name in logs:
            found.setdefault(log.resolve(), (log, name))
    return _named(list(found.values()))


def logs_in(folder: Path, out: Path) -> list[BatchLog]:
    """Find all logs in a folder and its subfolders.

    Raises:
        LogNotFound: There is none.
        OutputError: `out` and the folder lie in each other.
    """
    _check_apart(folder, out)
    return _named(_within(folder))


def _check_apart(given: Path, out: Path) -> None:
    ours, theirs = out.resolve(), given.resolve()
    if ours == theirs or ours in theirs.parents or theirs in ours.parents:
        raise OutputError(f"the folders of logs and of datasets may not lie in each other: {out} and {given}")


def _within(folder: Path) -> list[tuple[Path, Path]]:
    logs = [(log, log.relative_to(folder)) for log in _logs(folder)]
    if not logs:
        raise LogNotFound(f"this folder holds no log that an installed converter knows: {folder}")
    return logs


def _logs(folder: Path) -> Iterator[Path]:
    """Whatever a converter claims, in natural order: episode_2 before episode_10."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: natural_order(entry.name))
    except OSError as error:
        raise LogError(f"folder can't be read: {error.strerror or error}: {folder}") from error
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if claimed(path):
            yield path
        elif entry.is_dir(follow_symlinks=False) and not (path / MANIFEST).exists():
            yield from _logs(path)


def natural_order(name: str) -> list[tuple[bool, int, str]]:
    """What names are sorted by as people count: episode_2 before episode_10."""
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _named(logs: Sequence[tuple[Path, Path]]) -> list[BatchLog]:
    """With where each log's dataset goes: its name without the ending, unless others would go there too."""
    places: dict[Path, Path] = {}
    for log, name in logs:
        if name in places:
            raise OutputError(
                f"two logs of one name would have one dataset: convert {places[name]} and {log} into folders of their "
                "own"
            )
        places[name] = log
    short = {name: name if log.is_dir() else name.with_suffix("") for log, name in logs}
    uses = Counter(short.values())
    uses.update({parent for name in short for parent in name.parents})  # a dataset holds no other
    return [BatchLog(log, name, short[name] if uses[short[name]] == 1 else name) for log, name in logs]
