"""Carrying an HDF5 tree over into a new file, object by object: groups, attributes, links, chunks as they are filtered.

Not in one call of the HDF5 library: that would copy the pictures as well, and make every object reference null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5o, h5r, h5s, h5t

from mediaref_tools.errors import LogError

from .file import address

__all__ = ["Instead", "copy_attributes", "copy_tree"]

Instead = Callable[[h5py.Dataset, h5py.Group, str], bool]
"""Writes something else for a dataset (itself, the new group, its name there), and says whether it did."""

_ROWS = 4096


def copy_tree(source: h5py.File, target: h5py.File, instead: Instead) -> None:
    """Copy everything but links of unknown kinds.

    Args:
        source: Open.
        target: New and empty.
        instead: Asked for each dataset.

    Raises:
        LogError: The source holds what can't be carried over.
        OSError: The target can't be written.
    """
    done: dict[int, str] = {address(source): "/"}
    pointing: list[str] = []
    copy_attributes(source, target)
    waiting: list[tuple[str, h5py.Group, h5py.Group]] = [("", source, target)]
    while waiting:
        prefix, group, new = waiting.pop()
        inner: list[tuple[str, h5py.Group, h5py.Group]] = []
        for name in group:
            path = f"{prefix}{name}"
            try:
                link = group.get(name, getlink=True)
            except TypeError:
                continue
            if not isinstance(link, h5py.HardLink):
                new[name] = link
                continue
            found = group[name]
            place = address(found)
            if place in done:
                new[name] = target[done[place]]
                continue
            done[place] = path
            if isinstance(found, h5py.Group):
                made = h5py.Group(h5py.h5g.create(new.id, _encoded(name), gcpl=found.id.get_create_plist()))
                copy_attributes(found, made)
                inner.append((f"{path}/", found, made))
            elif not (isinstance(found, h5py.Dataset) and instead(found, new, name)):
                h5o.copy(group.id, _encoded(name), new.id, _encoded(name))
            pointing.append(path)
        waiting.extend(reversed(inner))
    _refer(source, target, ["/", *pointing], done)


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def copy_attributes(source: Any, target: Any) -> None:
    """Copy attributes, dtype and shape as they are. References are null until the whole tree is there."""
    for name in source.attrs:
        found = h5a.open(source.id, _encoded(name))
        kind, space = found.get_type(), found.get_space()
        made = h5a.create(target.id, _encoded(name), kind, space)
        if space.get_simple_extent_type() == h5s.NULL or 0 in found.shape or kind.detect_class(h5t.REFERENCE):
            continue
        # As stored, with no conversion; only what lies outside of the attribute itself has to be taken apart.
        apart = kind.detect_class(h5t.VLEN) or (kind.detect_class(h5t.STRING) and not _fixed(kind))
        if apart:
            values = np.empty(found.shape, found.dtype)
            found.read(values)
            made.write(values)
        else:
            values = np.empty(found.shape, f"V{kind.get_size()}")
            found.read(values, mtype=kind)
            made.write(values, mtype=kind)


def _fixed(kind: Any) -> bool:
    return isinstance(kind, h5t.TypeStringID) and not kind.is_variable_str()


def _refer(source: h5py.File, target: h5py.File, paths: list[str], done: dict[int, str]) -> None:
    """Let object references point to the new objects: copied from file to file, they are null."""
    for path in paths:
        old, new = source[path], target[path]
        for name in old.attrs:
            if h5a.open(old.id, _encoded(name)).get_type().detect_class(h5t.REFERENCE):
                with _carrying(f"attribute {name} of {path}"):
                    values = _mapped(old.attrs.get_id(name), source, target, done)
                    new.attrs.get_id(name).write(values)
        if isinstance(old, h5py.Dataset) and old.shape and new.dtype == old.dtype:
            if not old.id.get_type().detect_class(h5t.REFERENCE):
                continue
            with _carrying(path):
                for start in range(0, old.shape[0], _ROWS):
                    rows = slice(start, start + _ROWS)
                    new[rows] = _pointed(old[rows], source, target, done)


@contextmanager
def _carrying(what: str) -> Iterator[None]:
    """Say what could not be carried over."""
    try:
        yield
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        raise LogError(f"{what} has references that can't be carried over: {error}") from error


def _mapped(found: Any, source: h5py.File, target: h5py.File, done: dict[int, str]) -> Any:
    values = np.empty(found.shape, found.dtype)
    found.read(values)
    return _pointed(values, source, target, done)


def _pointed(values: Any, source: h5py.File, target: h5py.File, done: dict[int, str]) -> Any:
    """The same values with each reference pointing into the target; of compounds, by field."""
    if values.dtype.names is not None:
        made = values.copy()
        for name in values.dtype.names:
            if values.dtype[name].hasobject:
                made[name] = _pointed(values[name], source, target, done)
        return made
    made = np.empty(values.shape, values.dtype)
    for at in np.ndindex(values.shape):
        made[at] = _one(values[at], source, target, done)
    return made


def _one(value: Any, source: h5py.File, target: h5py.File, done: dict[int, str]) -> Any:
    if isinstance(value, h5py.RegionReference):
        raise TypeError("they are to regions of datasets")
    if isinstance(value, np.ndarray):
        return _pointed(value, source, target, done)
    if not isinstance(value, h5py.Reference) or not value:
        return value
    path = done.get(int(h5o.get_info(h5r.dereference(value, source.id)).addr))
    return h5py.Reference() if path is None else target[path].ref
