"""What an HDF5 file holds beside pictures, as hashes: it has no messages for the core's proof to compare."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from hashlib import blake2b
from typing import Any, Protocol

import h5py
import numpy as np
from h5py import h5a, h5d, h5t

from .file import Tree
from .records import ours

__all__ = ["extras"]

_BYTES = 4 * 2**20
_WITH_BASE = (h5t.ENUM, h5t.ARRAY, h5t.VLEN)


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def extras(file: h5py.File, tree: Tree, replaced: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Groups, datasets, links and attributes by name, each with a hash of all that it is.

    Chunks are taken as they lie, filtered, so that no filter is needed. What lies in other files is not opened, and
    references to objects, which point elsewhere in every file, are left out.

    Args:
        file: An open file.
        tree: What it holds.
        replaced: Datasets that became references: they have attributes, and no more; those that say what it was do
            not count.
    """
    yield from _attributes("", file)
    for path in tree.groups:
        yield f"{path}/", b""
        yield from _attributes(path, file[path])
    for path in tree.datasets:
        if path not in replaced:
            yield path, _dataset(file[path])
        told = set() if path not in replaced else {f"{path}@{name}" for name in ours(file[path])}
        yield from (each for each in _attributes(path, file[path]) if each[0] not in told)
    for path, target in tree.aliases.items():
        yield f"{path} -> {target}", b""
    for link in tree.links:
        yield f"{link.path} -> {link.target} ({link.kind})", b""


def _attributes(path: str, found: h5py.Group | h5py.Dataset) -> Iterator[tuple[str, bytes]]:
    for number in range(h5a.get_num_attrs(found.id)):
        attribute = h5a.open(found.id, index=number)
        kind = attribute.get_type()
        digest = _started(attribute.shape, kind)
        if kind.detect_class(h5t.REFERENCE):
            continue
        name = attribute.name.decode("utf-8", "surrogateescape")
        _add(digest, np.asarray(found.attrs[name]) if _apart(kind) else _raw(attribute, kind))
        yield f"{path}@{name}", digest.digest()


def _raw(attribute: Any, kind: h5t.TypeID) -> np.ndarray[Any, Any]:
    shape = (0,) if attribute.shape is None else attribute.shape  # no value at all
    values = np.empty(shape, np.dtype((np.void, kind.get_size())))
    if values.size:
        attribute.read(values, mtype=kind)
    return values


def _dataset(dataset: h5py.Dataset) -> bytes:
    properties, kind = dataset.id.get_create_plist(), dataset.id.get_type()
    digest = _started(dataset.shape, kind)
    elsewhere = properties.get_layout() == h5d.VIRTUAL or properties.get_external_count()
    nothing = properties.get_layout() == h5d.CONTIGUOUS and not dataset.id.get_storage_size()
    if elsewhere or nothing or dataset.shape is None or 0 in dataset.shape or kind.detect_class(h5t.REFERENCE):
        pass
    elif properties.get_layout() == h5d.CHUNKED and not _apart(kind):
        for offset in sorted(_chunks(dataset)):
            mask, data = dataset.id.read_direct_chunk(offset)
            digest.update(repr((offset, mask)).encode())
            digest.update(data)
    elif not dataset.shape:
        _add(digest, np.asarray(dataset[()]))
    else:
        size = max(1, int(np.prod(dataset.shape[1:], dtype=np.float64)) * dataset.dtype.itemsize)
        step = max(1, _BYTES // size)
        for start in range(0, dataset.shape[0], step):
            _add(digest, dataset[start : start + step])
    return bytes(digest.digest())


def _started(shape: tuple[int, ...] | None, kind: h5t.TypeID) -> Any:
    digest = blake2b(digest_size=16)
    digest.update(repr(shape).encode())
    digest.update(repr(_described(kind)).encode("utf-8", "surrogateescape"))
    return digest


def _described(kind: h5t.TypeID) -> tuple[Any, ...]:
    """All that a type is. Its encoded form is another in another version of the file format."""
    told: tuple[Any, ...] = (kind.get_class(), kind.get_size())
    if isinstance(kind, h5t.TypeCompoundID):
        members = range(kind.get_nmembers())
        told += tuple((kind.get_member_name(n), kind.get_member_offset(n)) for n in members)
        return told + tuple(_described(kind.get_member_type(n)) for n in members)
    if isinstance(kind, h5t.TypeEnumID):
        told += tuple((kind.get_member_name(n), kind.get_member_value(n)) for n in range(kind.get_nmembers()))
    if isinstance(kind, h5t.TypeArrayID):
        told += (kind.get_array_dims(),)
    if isinstance(kind, h5t.TypeStringID):
        told += (kind.get_cset(), kind.get_strpad(), kind.is_variable_str())
    if isinstance(kind, h5t.TypeOpaqueID):
        told += (kind.get_tag(),)
    if isinstance(kind, h5t.TypeAtomicID) and not isinstance(kind, (h5t.TypeStringID, h5t.TypeReferenceID)):
        told += (kind.get_order(), kind.get_precision(), kind.get_offset())
    if isinstance(kind, h5t.TypeIntegerID):
        told += (kind.get_sign(),)
    if isinstance(kind, h5t.TypeFloatID):
        told += (kind.get_fields(), kind.get_ebias(), kind.get_norm())
    return told if kind.get_class() not in _WITH_BASE else (*told, _described(kind.get_super()))


def _apart(kind: h5t.TypeID) -> bool:
    """Whether values lie elsewhere in the file, and what is stored in their place says where."""
    variable = isinstance(kind, h5t.TypeStringID) and kind.is_variable_str()
    return bool(variable or kind.detect_class(h5t.VLEN) or (kind.detect_class(h5t.STRING) and kind.dtype.hasobject))


def _chunks(dataset: h5py.Dataset) -> set[tuple[int, ...]]:
    found: set[tuple[int, ...]] = set()
    dataset.id.chunk_iter(lambda chunk: found.add(chunk.chunk_offset))
    return found


def _add(digest: _Hash, values: Any) -> None:
    """Take in all values of an array, those of its objects among them."""
    if not values.dtype.hasobject:
        digest.update(values.tobytes())
    elif values.dtype.names is not None:
        for name in values.dtype.names:
            _add(digest, values[name])
    else:
        for value in values.ravel():
            inner = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            data = np.frombuffer(inner, np.uint8) if isinstance(inner, bytes) else np.asarray(inner)
            digest.update(repr(data.shape).encode())
            _add(digest, data)
