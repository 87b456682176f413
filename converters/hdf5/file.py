"""HDF5 files: opening them, and walking their trees without following a link that leads elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import h5py

from mediaref_tools.errors import ExtraError, LogError, LogNotFound, MediarefError
from mediaref_tools.extra import extra_module

__all__ = [
    "Link",
    "Tree",
    "address",
    "attribute",
    "file_name",
    "is_hdf5",
    "missing_filter",
    "open_file",
    "reading",
    "walk",
]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_USER_BLOCK_MAX = 2**20
_DEPTH_MAX = 100
_PATHS_MAX = 2**20  # h5py takes about 20 µs for each
# What hdf5plugin brings, by the ids that the HDF Group has registered.
_PLUGIN_FILTERS = {
    307: "bzip2", 32001: "blosc", 32004: "lz4", 32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz",
    32018: "fcidecomp", 32024: "sz3", 32026: "blosc2", 32028: "sperr",
}  # fmt: skip
# h5py raises these for what it finds in a damaged file.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def is_hdf5(path: Path) -> bool:
    """Whether the path is a file with HDF5's signature, which a user block may precede."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            offset = 0
            while offset <= _USER_BLOCK_MAX:
                file.seek(offset)
                head = file.read(len(_SIGNATURE))
                if head == _SIGNATURE:
                    return True
                if len(head) < len(_SIGNATURE):
                    return False
                offset = max(512, offset * 2)
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return False
    return False


@contextmanager
def reading(path: Path, what: str = "this file") -> Iterator[None]:
    """Turn whatever h5py raises for a damaged file into ours.

    Raises:
        LogError: It raised something.
    """
    try:
        yield
    except MediarefError:
        raise
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise LogError(
            f"{what} can't be read, it is damaged or of a kind that is not known: {reason}: {path}"
        ) from error


def open_file(path: Path) -> h5py.File:
    """Open a file for reading.

    Raises:
        LogNotFound: There is none.
        LogError: It is not HDF5, cut, damaged, or open for writing elsewhere.
    """
    if not path.exists():
        raise LogNotFound(f"no such file: {path}")
    if not is_hdf5(path):
        raise LogError(f"not an HDF5 file: {path}")
    try:
        return h5py.File(path, "r")
    except _DAMAGE as error:
        reason = str(error)
        if "unable to lock" in reason or "already open for write" in reason or "SWMR" in reason:
            raise LogError(
                f"open for writing elsewhere, or its writer died: close it there (after a crash, h5clear -s): {path}"
            ) from error
        if "truncated" in reason:
            raise LogError(f"file is cut, so HDF5 can't open it: {reason}: {path}") from error
        raise LogError(f"damaged HDF5 file: {reason}: {path}") from error


class Link(NamedTuple):
    """A link that is not to an object of this file, or not known: `target` is for people."""

    path: str
    kind: Literal["soft", "external", "unknown"]
    target: str


class Tree(NamedTuple):
    """What a file holds, by path without the leading slash, in link order.

    Attributes:
        groups: All but the root.
        datasets: Addresses by path; one path each, though several hard links may lead there.
        aliases: The other paths of datasets.
        links: Soft links, external ones, and those of unknown kinds. None is followed.
    """

    groups: list[str]
    datasets: dict[str, int]
    aliases: dict[str, str]
    links: list[Link]


def walk(file: h5py.File) -> Tree:
    """Look at every link of a file.

    A dataset that several hard links lead to goes by the deepest one that does not lie in a `next_obs`: its place in
    the tree tells most.

    Raises:
        LogError: It is nested deeper than anything made to be read.
    """
    groups: list[str] = []
    links: list[Link] = []
    paths: dict[int, list[str]] = {}
    seen = {address(file)}
    waiting: list[tuple[str, h5py.Group]] = [("", file)]
    count = 0
    while waiting:
        prefix, group = waiting.pop()
        inner: list[tuple[str, h5py.Group]] = []
        for name in group:
            path = f"{prefix}{name}"
            count += 1
            if path.count("/") > _DEPTH_MAX or count > _PATHS_MAX:
                raise LogError(
                    f"more than {_DEPTH_MAX} groups within each other or {_PATHS_MAX} links: {file_name(file)}"
                )
            link = _link(group, name, path)
            if link is not None:
                links.append(link)
                continue
            found = group[name]
            place = address(found)
            if isinstance(found, h5py.Dataset):
                paths.setdefault(place, []).append(path)
            elif isinstance(found, h5py.Group) and place not in seen:
                seen.add(place)
                groups.append(path)
                inner.append((f"{path}/", found))
        waiting.extend(reversed(inner))
    datasets: dict[str, int] = {}
    aliases: dict[str, str] = {}
    for place, names in paths.items():
        first = min(names, key=lambda name: ("next_obs" in name.split("/"), -name.count("/")))
        datasets[first] = place
        aliases.update({name: first for name in names if name != first})
    return Tree(groups, datasets, aliases, links)


def _link(group: h5py.Group, name: str, path: str) -> Link | None:
    """A link, unless it is a hard one."""
    try:
        link = group.get(name, getlink=True)
    except TypeError:  # of a kind that some application defined for itself
        return Link(path, "unknown", "")
    if isinstance(link, h5py.SoftLink):
        return Link(path, "soft", link.path)
    if isinstance(link, h5py.ExternalLink):
        return Link(path, "external", f"{link.filename}:{link.path}")
    return None


def address(found: h5py.Group | h5py.Dataset) -> int:
    """Where an object lies in its file: the same for all hard links to it."""
    return int(h5py.h5o.get_info(found.id).addr)


def attribute(found: h5py.Group | h5py.Dataset, name: str) -> Any:
    """An attribute's value; None where there is none, or none that h5py can read."""
    try:
        return found.attrs.get(name)
    except _DAMAGE:
        return None


def file_name(file: h5py.File) -> str:
    """The path of an open file, for messages."""
    return str(file.filename)


def missing_filter(dataset: h5py.Dataset) -> str | None:
    """What a dataset's chunks were filtered with and nothing here can undo; None where all is well.

    Raises:
        ExtraError: hdf5plugin could, and is not installed.
    """
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, _, _, name = properties.get_filter(number)
        if h5py.h5z.filter_avail(code):
            continue
        if code in _PLUGIN_FILTERS:
            try:
                extra_module("hdf5plugin", "hdf5")  # registers its filters when it is imported
            except ExtraError as error:
                raise ExtraError(
                    f"{dataset.name} is filtered with {_PLUGIN_FILTERS[code]} ({code}): {error}"
                ) from error
        if not h5py.h5z.filter_avail(code):
            return f"filter {code} ({name.decode('utf-8', 'replace') or 'no name'})"
    return None
