"""Comparing what was carried over with what it was: an HDF5 file has no messages for the core's proof to compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5t

__all__ = ["differing"]

_BYTES = 4 * 2**20


def differing(source: h5py.File, target: h5py.File, paths: Iterable[str]) -> Iterator[str]:
    """Which of these datasets are not the same in both files: shape, type, and every value that is stored.

    Chunks are compared as they lie, filtered, so that no filter is needed. What lies in other files is not opened.
    """
    for path in paths:
        old, new = source[path], target[path]
        if old.shape != new.shape or not old.id.get_type().equal(new.id.get_type()) or not _same(old, new):
            yield path


def _same(old: h5py.Dataset, new: h5py.Dataset) -> bool:
    properties = old.id.get_create_plist()
    kind = old.id.get_type()
    if properties.get_layout() == h5d.VIRTUAL or properties.get_external_count() or not old.shape or 0 in old.shape:
        return True
    if kind.detect_class(h5t.REFERENCE):
        return True  # they were made anew, and read back as objects of the new file
    apart = kind.detect_class(h5t.VLEN) or (kind.detect_class(h5t.STRING) and h5py.check_string_dtype(old.dtype))
    if properties.get_layout() == h5d.CHUNKED and not apart:
        return _chunks(old) == _chunks(new) and all(
            old.id.read_direct_chunk(offset) == new.id.read_direct_chunk(offset) for offset in _chunks(old)
        )
    size = max(1, int(np.prod(old.shape[1:], dtype=np.float64)) * old.dtype.itemsize)
    step = max(1, _BYTES // size)
    return all(_equal(old[start : start + step], new[start : start + step]) for start in range(0, old.shape[0], step))


def _chunks(dataset: h5py.Dataset) -> set[tuple[int, ...]]:
    found: set[tuple[int, ...]] = set()
    dataset.id.chunk_iter(lambda chunk: found.add(chunk.chunk_offset))
    return found


def _equal(one: Any, two: Any) -> bool:
    if not one.dtype.hasobject:
        return bool(one.tobytes() == two.tobytes())
    if one.dtype.names is not None:
        return all(_equal(one[name], two[name]) for name in one.dtype.names)
    pairs = zip(one.ravel(), two.ravel(), strict=True)
    return all(
        mine == other if isinstance(mine, (bytes, str)) else _equal(np.asarray(mine), np.asarray(other))
        for mine, other in pairs
    )
