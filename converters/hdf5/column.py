"""Datasets of pictures that are being written again, as what references say of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from mediaref_tools.camera.unit import UnitReader
from mediaref_tools.errors import ImageError, LogError, OutputError
from mediaref_tools.image import ImageValue, video_codec
from mediaref_tools.segments.remux import RemuxWriter

from ..storage.scratch import Scratch
from .copy import copy_attributes
from .file import address
from .records import ours
from .rows import file_of

__all__ = ["Column", "Movie", "Was"]

_BUFFER_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Was:
    """What a dataset of references says of the pictures that it replaced."""

    shape: tuple[int, ...]
    dtype: Any
    layout: str
    storage: Mapping[str, Any]

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> Was:
        """Read it.

        Raises:
            LogError: It does not say enough.
        """
        try:
            shape = tuple(int(length) for length in dataset.attrs["source_shape"])
            text = str(dataset.attrs["source_dtype"])
            dtype = h5py.vlen_dtype(np.dtype(text[5:])) if text.startswith("vlen ") else np.dtype(text)
            storage = json.loads(dataset.attrs["source_storage"])
            return cls(shape, dtype, str(dataset.attrs["source_layout"]), storage)
        except (KeyError, ValueError, TypeError) as error:
            raise LogError(f"{dataset.name} does not say what pictures it stands for: {error}") from error

    @property
    def row_bytes(self) -> int | None:
        """Bytes of a row; None where each has a length of its own."""
        if h5py.check_vlen_dtype(self.dtype) is not None:
            return None
        return int(np.prod(self.shape[1:], dtype=np.int64)) * int(self.dtype.itemsize)

    def row(self, image: ImageValue) -> bytes | memoryview:
        """A row as it lay: `converters.hdf5.rows.image_of` takes the same picture out of it.

        Raises:
            ImageError: It is no picture of such a dataset.
        """
        data, size = image.data, self.row_bytes
        if self.layout == "video":
            return data
        if self.layout == "file":
            if image.kind == "raw":  # whose red and blue were put right
                data = file_of(image)
            said = 0 if image.envelope is None else int(image.envelope)
            return bytes(data) + bytes(said if size is None else max(0, size - len(data)))
        if size != len(data):
            raise ImageError(f"{len(data)} bytes of pixels where a row has {size}")
        if self.dtype.byteorder != ">" and self.layout != "CHW":
            return data
        pixels: Any = np.frombuffer(data, self.dtype.newbyteorder("<"))
        if self.layout == "CHW":
            channels, height, width = self.shape[1:]
            pixels = pixels.reshape(height, width, channels).transpose(2, 0, 1)
        return bytes(pixels.astype(self.dtype, order="C").tobytes())


class Column:
    """A dataset of pictures that is being written, row by row in their order."""

    def __init__(self, group: h5py.Group, name: str, was: Was, references: h5py.Dataset) -> None:
        self._group, self._name = group, name
        self.was, self.references = was, references
        self.dataset = self._made(was.shape)
        self.widened = 0
        self.written = 0
        chunk = 1 if self.dataset.chunks is None else int(self.dataset.chunks[0])
        size = was.row_bytes or 2**16
        self._most = max(chunk, 1) if chunk * size <= _BUFFER_BYTES else max(1, _BUFFER_BYTES // size)
        self._buffer: list[bytes | memoryview] = []

    def _made(self, shape: tuple[int, ...]) -> h5py.Dataset:
        storage, was = self.was.storage, self.was
        plist = h5p.create(h5p.DATASET_CREATE)
        chunks, maxshape = storage.get("chunks"), storage.get("maxshape")
        wider = shape != was.shape
        if chunks:
            plist.set_chunk(tuple(chunks))
            for code, flags, values, _ in storage.get("filters") or ():
                plist.set_filter(code, flags, tuple(values))
        if storage.get("fillvalue"):
            plist.set_fill_value(np.array(storage["fillvalue"], was.dtype))
        dtype = np.dtype(f"S{shape[1]}") if wider and was.dtype.kind == "S" else was.dtype
        limits = None if maxshape is None or wider else tuple(h5s.UNLIMITED if n is None else n for n in maxshape)
        space = h5s.create_simple(shape[: len(was.shape)], limits)
        name = self._name.encode("utf-8", "surrogateescape")
        made = h5py.Dataset(h5d.create(self._group.id, name, h5t.py_create(dtype, logical=True), space, dcpl=plist))
        copy_attributes(self.references, made)
        for each in ours(self.references):
            del made.attrs[each]
        return made

    def add(self, row: int, data: bytes | memoryview) -> None:
        """Write the next row.

        Raises:
            OutputError: It is another row's turn.
        """
        if row != self.written + len(self._buffer):
            due = self.written + len(self._buffer)
            raise OutputError(f"row {row} of {self.dataset.name}, where row {due} is due")
        self._buffer.append(data)
        if len(self._buffer) >= self._most:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._buffer:
            return
        stop = self.written + len(self._buffer)
        size = self.was.row_bytes
        if size is None:
            for at, row in enumerate(self._buffer, self.written):
                self.dataset[at] = np.frombuffer(row, h5py.check_vlen_dtype(self.was.dtype))
        else:
            longest = max(map(len, self._buffer))
            if longest > self._width:
                self._widen(longest)
            rows = b"".join(bytes(row).ljust(self._width, b"\0") for row in self._buffer)
            values = np.frombuffer(rows, self.dataset.dtype).reshape(len(self._buffer), *self.dataset.shape[1:])
            self.dataset[self.written : stop] = values
        self.written, self._buffer = stop, []

    @property
    def _width(self) -> int:
        return int(np.prod(self.dataset.shape[1:], dtype=np.int64)) * int(self.dataset.dtype.itemsize)

    def _widen(self, length: int) -> None:
        """Rows of padded files get longer where a file made anew is: what is there already is copied."""
        self.widened = length + length // 8
        old = self.dataset
        narrow = f"{self._name}.narrow"
        self._group.move(self._name, narrow)
        self.dataset = self._made((self.was.shape[0], self.widened))
        for start in range(0, self.written, 64):
            rows = np.asarray(old[start : min(start + 64, self.written)])
            flat = rows.view(np.uint8).reshape(len(rows), -1)
            padded = np.zeros((len(rows), self.widened), np.uint8)
            padded[:, : flat.shape[1]] = flat
            shaped = padded.view(self.dataset.dtype).reshape(len(rows), *self.dataset.shape[1:])
            self.dataset[start : start + len(rows)] = shaped
        del self._group[narrow]


class Movie:
    """A dataset of one video that is being muxed anew, of its packets."""

    def __init__(self, group: h5py.Group, name: str, references: h5py.Dataset, scratch: Scratch, codec: str) -> None:
        self.references = references
        self._group, self._name = group, name
        group.create_dataset(name, (1,), np.uint8)  # in its place until it is known how long it gets
        self._path = scratch.path(f"{address(references)}.mp4", 0)
        known = video_codec(codec)
        if known is None:
            raise LogError(f"{references.name} is a video of codec {codec!r}, which is not known")
        self._codec = known
        self._reader = UnitReader(known)
        self._writer: RemuxWriter | None = None
        self._first_ns: int | None = None
        self._last_us = -1

    def add(self, time_ns: int, data: bytes | memoryview) -> None:
        """Take the next packet."""
        unit = self._reader.unit(data)
        if self._writer is None:
            self._writer = RemuxWriter(self._path, self._codec, unit.config, unit.width, unit.height)
            self._first_ns = time_ns
        self._last_us = max(self._last_us + 1, (time_ns - (self._first_ns or 0) + 500) // 1000)
        self._writer.add(unit.data, self._last_us, self._last_us, unit.keyframe)

    def finish(self) -> None:
        """Write the file into its dataset."""
        if self._writer is None:
            return
        self._writer.close()
        del self._group[self._name]
        made = self._group.create_dataset(self._name, (self._path.stat().st_size,), np.uint8)
        copy_attributes(self.references, made)
        for each in ours(self.references):
            del made.attrs[each]
        made[:] = np.fromfile(self._path, np.uint8)
