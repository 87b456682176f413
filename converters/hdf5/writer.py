"""Writing an HDF5 file anew, with references where pictures stood."""

from __future__ import annotations

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Message, OpenOptions, Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.reftable import ADDED, NO_PTS, RESERVED

from .copy import copy_attributes
from .file import Tree, address, reading
from .newfile import NewFile
from .pictures import Pictures
from .records import RefColumn, described, repeated
from .rows import image_of, read_rows, spans
from .topics import Survey, Topic

__all__ = ["Hdf5Writer"]

_SPAN_BYTES = 16 * 2**20
_MODES = {"mono8": "L", "rgb8": "RGB", "rgba8": "RGBA", "16UC1": "I;16"}


class _Replaced:
    """A topic whose pictures make way for references."""

    def __init__(self, topic: Topic, column: RefColumn) -> None:
        self.topic, self.column = topic, column
        self.first: Record | None = None
        self.same_size = True

    def add(self, row: int, record: Record) -> None:
        first = self.first = self.first or record
        size = (record.height, record.width, record.step)
        self.same_size = self.same_size and size == (first.height, first.width, first.step)
        self.column.add(row, record.ref)


class Hdf5Writer:
    """Writes an open HDF5 file again; see `mediaref_tools.log.LogWriter`.

    Everything but the pictures to be replaced is there from the start; they become references as records come in.

    Raises:
        LogError: The source holds what can't be carried over.
        OutputError: `out` exists, or can't be written.
    """

    def __init__(
        self,
        source: h5py.File,
        path: Path,
        tree: Tree,
        survey: Survey,
        out: Path,
        topics: Collection[str],
        options: OpenOptions,
    ) -> None:
        self._source, self._path, self._out, self._options = source, path, out, options
        self._tree, self._survey = tree, survey
        wanted = {name: topic for name, topic in survey.topics.items() if name in topics and topic.pictures is not None}
        self._wanted = {tree.datasets[name]: topic for name, topic in wanted.items()}
        self._repeats = {tree.datasets[name]: (name, base) for name, base in survey.repeats.items() if base in wanted}
        self._replaced: dict[int, _Replaced] = {}
        self._repeating: dict[str, tuple[RefColumn, str]] = {}
        self._new = NewFile(source, path, out, self._instead)

    def _instead(self, found: h5py.Dataset, group: h5py.Group, name: str) -> bool:
        """Make the dataset of references for a dataset that is to be replaced; the tree's copy asks."""
        place = address(found)
        topic = self._wanted.get(place)
        if topic is not None:
            column = RefColumn(group, name, topic.rows)
            self._replaced[topic.channel.id] = _Replaced(topic, column)
        elif place in self._repeats:
            known, base = self._repeats[place]
            column = RefColumn(group, name, found.shape[0])
            self._repeating[known] = (column, base)
        else:
            return False
        copy_attributes(found, column.dataset)
        return True

    def copy(self, message: Message) -> None:
        """Take a row over: its dataset is there already.

        Raises:
            OutputError: Its dataset becomes references.
        """
        if message.channel.id in self._replaced:
            raise OutputError(f"{message.channel.topic} becomes references: its rows can't be copied: {self._out}")

    def record(self, message: Message, record: Record) -> None:
        """Write the reference of a row.

        Raises:
            OutputError: Its dataset stays as it is, another row's turn has come, or it can't be written.
        """
        replaced = self._replaced.get(message.channel.id)
        if replaced is None:
            raise OutputError(
                f"row of {message.channel.topic!r} can't become a record: name it in the rewriter's topics: {self._out}"
            )
        with self._new.writing():
            replaced.add(message.position >> 32, record)

    def commit(self) -> None:
        """Write what waits, what repeats other pictures, and the attributes; sync and close.

        Raises:
            LogError: The source can't be read any more.
            OutputError: The file can't be written, or a row has no record.
        """
        with self._new.writing():
            for replaced in self._replaced.values():
                column = replaced.column
                if column.written != column.rows:
                    raise OutputError(f"{column.written} of {column.rows} rows of {column.dataset.name} have records")
                column.flush()
                source = self._source[replaced.topic.path]
                _tell(column, described(replaced.topic, source, replaced.first, same_size=replaced.same_size))
            for path, (column, base) in self._repeating.items():
                with reading(self._path, path):
                    self._repeat(path, column, base)
        self._new.commit()

    def _repeat(self, path: str, column: RefColumn, base: str) -> None:
        """Refer to the pictures of `base`, mostly one row on; what it does not have stands in the reference itself."""
        pictures, mine, other = self._survey_of(base), self._source[path], self._source[base]
        refs = self._new.file[base]
        for start, stop in spans(mine, pictures, _SPAN_BYTES):
            end = min(stop + 1, pictures.rows)
            rows, theirs, known = read_rows(mine, start, stop), read_rows(other, start, end), refs[start:end]
            for at, row in enumerate(rows):
                same = next((n for n in (at + 1, at) if n < len(theirs) and bytes(theirs[n]) == bytes(row)), None)
                ref = self._still(row, pictures) if same is None else _ref(known[same])
                column.add(start + at, ref)
        column.flush()
        _tell(column, repeated(mine, base, refs.attrs, pictures.layout))

    def _survey_of(self, path: str) -> Pictures:
        pictures = self._survey.topics[path].pictures
        if pictures is None:
            raise LogError(f"{path} holds no pictures")
        return pictures

    def _still(self, row: bytes | memoryview, pictures: Pictures) -> MediaRef:
        """A picture as a data URI: its file, or a PNG of exactly its pixels."""
        message = Message(self._survey.topics[pictures.path].channel, 0, None, None, row)
        image = image_of(message, pictures, swap=self._options.swap_rb)
        if image.kind == "file":
            return MediaRef(uri=DataURI.from_bytes(image.data, image.media_type).uri)
        swapped = image.encoding.startswith("bgr")
        mode = _MODES[image.encoding.replace("bgr", "rgb")]
        dtype = "<u2" if mode == "I;16" else "u1"
        pixels: Any = np.frombuffer(image.data, dtype).reshape(image.height, image.width, -1)
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if swapped else pixels
        stream = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)).save(stream, "png")
        return MediaRef(uri=DataURI.from_bytes(stream.getvalue(), "image/png").uri)

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        self._new.abort()


def _tell(column: RefColumn, attributes: dict[str, Any]) -> None:
    """Add attributes; one that the pictures had stays as it was."""
    added = {name: value for name, value in attributes.items() if name not in column.dataset.attrs}
    for name, value in added.items():
        column.dataset.attrs[name] = value
    column.dataset.attrs[ADDED] = json.dumps([name for name in added if name not in RESERVED])


def _ref(value: Any) -> MediaRef:
    uri, pts_ns = value["uri"].decode("utf-8"), int(value["pts_ns"])
    return MediaRef(uri=uri, pts_ns=None if pts_ns == NO_PTS else pts_ns)
