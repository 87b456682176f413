"""The frames table: one row a frame, sorted by topic and log time (`frames.parquet`).

While a log is converted, each finished segment leaves its rows in a small parquet file of its own; at the end they
are joined topic by topic. Only a segment's rows are in memory at any time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.layout import FRAMES, topic_folder
from mediaref_tools.errors import DatasetError, MediarefError
from mediaref_tools.media.storage import StorageOptions, open_remote
from mediaref_tools.media.uri import member, shown

__all__ = ["MEDIAREF", "SCHEMA", "FrameParts", "FramesTable", "int64", "texts"]

MEDIAREF = pa.struct([pa.field("uri", pa.string()), pa.field("pts_ns", pa.int64())])
"""A MediaRef in Arrow (MediaRef Specification 1.0, section 1.1)."""

SCHEMA = pa.schema(
    [
        pa.field("topic", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("index", pa.int64(), nullable=False),
        pa.field("log_time_ns", pa.int64(), nullable=False),
        pa.field("publish_time_ns", pa.int64()),
        pa.field("stamp_ns", pa.int64()),
        pa.field("frame_id", pa.string(), nullable=False),
        # Without any library's metadata, so that everybody can open it.
        pa.field("media", MEDIAREF, nullable=False),
        pa.field("keyframe", pa.bool_(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("source_encoding", pa.string(), nullable=False),
        pa.field("source_format", pa.string(), nullable=False),
        pa.field("source_framing", pa.string(), nullable=False),
        pa.field("source_layout", pa.string()),
        pa.field("source_rest", pa.binary()),
        pa.field("source_envelope", pa.binary()),
        pa.field("source_digest", pa.binary()),
        pa.field("byte_offset", pa.int64()),
        pa.field("byte_size", pa.int64()),
        pa.field("psnr_db", pa.float32()),
        pa.field("status", pa.dictionary(pa.int8(), pa.string()), nullable=False),
    ]
)
_PART = pa.schema([field for field in SCHEMA if field.name not in ("topic", "psnr_db")])
_PSNR = SCHEMA.get_field_index("psnr_db")
_ADDED: dict[int, dict[str, Any]] = {  # what earlier formats lack, and what stands for it
    1: {"source_framing": ""},
    2: dict.fromkeys(("source_layout", "source_rest", "source_envelope", "source_digest")),
}


_COLUMNS = tuple(field.name for field in fields(FrameRow))


class FrameParts:
    """Rows of topics on their way into the table, a file a part. One topic's parts are added in order."""

    def __init__(self, folder: Path) -> None:
        """`folder` takes the parts; it is made as needed."""
        self._folder = folder
        self._parts: Counter[str] = Counter()

    def path(self, topic: str, number: int) -> Path:
        """Where a part of a topic is."""
        return self._folder / topic_folder(topic) / f"{number:08d}.parquet"

    def add(self, topic: str, rows: Sequence[FrameRow]) -> Path:
        """Write the next rows of a topic, at least one, and say where they are."""
        columns = {name: [getattr(row, name) for row in rows] for name in _COLUMNS}
        media = [{"uri": uri, "pts_ns": pts} for uri, pts in zip(columns["uri"], columns["pts_ns"], strict=True)]
        arrays = [pa.array(media if field.name == "media" else columns[field.name], type=field.type) for field in _PART]
        path = self.path(topic, self._parts[topic])
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as stream:  # Arrow would close its own only once nobody knows the traceback of an error
            pq.write_table(pa.Table.from_arrays(arrays, schema=_PART), stream)
        self._parts[topic] += 1
        return path

    def go_on(self, topic: str, number: int) -> None:
        """Take the first `number` parts of a topic from an earlier run: they are there."""
        self._parts[topic] = number

    def rows(self, topic: str) -> Iterator[FrameRow]:
        """The rows of a topic so far, in order; a part is in memory at a time."""
        for number in range(self._parts[topic]):
            yield from _rows(_part(self.path(topic, number)))

    def join(self, topics: Iterable[str], out: Path) -> None:
        """Write the whole table; `psnr_db` is null until `FramesTable.with_psnr` fills it."""
        with _writer(out) as writer:
            for topic in sorted(topics):
                for part in sorted((self._folder / topic_folder(topic)).glob("*.parquet")):
                    table = _part(part)
                    arrays = {name: table.column(name) for name in _PART.names}
                    arrays["topic"] = pa.array([topic] * len(table)).cast(SCHEMA.field("topic").type)
                    arrays["psnr_db"] = pa.nulls(len(table), pa.float32())
                    writer.write_table(pa.table([arrays[name] for name in SCHEMA.names], schema=SCHEMA))


def _part(path: Path) -> pa.Table:
    with path.open("rb") as stream:
        return pq.read_table(stream, schema=_PART)


@contextmanager
def _writer(path: Path) -> Iterator[pq.ParquetWriter]:
    # Delta coding makes times and offsets a few bits a row; dictionaries do the same for uris.
    numbers = ("index", "log_time_ns", "publish_time_ns", "stamp_ns", "byte_offset", "byte_size", "media.pts_ns")
    names = ["topic", "frame_id", "media.uri", "source_encoding", "source_format", "source_framing", "status"]
    names += ["source_layout"]
    encodings = dict.fromkeys(numbers, "DELTA_BINARY_PACKED") | {
        "source_envelope": "DELTA_BYTE_ARRAY",
        "source_digest": "DELTA_LENGTH_BYTE_ARRAY",
    }
    with (
        path.open("wb") as stream,
        pq.ParquetWriter(
            stream,
            SCHEMA,
            compression="zstd",
            use_dictionary=names,
            column_encoding=encodings,
            store_schema=True,
        ) as writer,
    ):
        yield writer


def _rows(table: pa.Table) -> Iterator[FrameRow]:
    columns = table.to_pydict()
    media = columns.pop("media")
    columns["uri"] = [value["uri"] or "" for value in media]
    columns["pts_ns"] = [value["pts_ns"] for value in media]
    return (FrameRow(*values) for values in zip(*(columns[name] for name in _COLUMNS), strict=True))


def int64(column: pa.ChunkedArray, null: int) -> NDArray[np.int64]:
    """A column of integers as (N,) int64, `null` where it has no value."""
    return np.asarray(pc.fill_null(column.cast(pa.int64()), null).to_numpy(), dtype=np.int64)


def texts(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column of strings as (N,) of str: those that are equal are one object."""
    known = pc.unique(column)
    codes = np.asarray(pc.index_in(column, value_set=known).to_numpy())
    strings: NDArray[np.object_] = np.array([*known.to_pylist(), None], np.object_)[:-1]
    return np.take(strings, codes)


def _lacking(schema: pa.Schema) -> dict[str, Any] | None:
    """The columns that a table of an earlier format does not have, with their value; None of no format's schema."""
    lacking: dict[str, Any] = {}
    for version in (3, *sorted(_ADDED, reverse=True)):
        lacking = _ADDED.get(version, {}) | lacking
        if schema.equals(pa.schema([field for field in SCHEMA if field.name not in lacking])):
            return lacking
    return None


class FramesTable:
    """An open frames table. Reads one row group (at most one segment's rows) at a time; any thread may ask."""

    def __init__(self, dataset: Path | str, storage_options: StorageOptions | None = None) -> None:
        """Open the table of a dataset folder; of one that a uri names, only the columns that are asked for are fetched.

        Raises:
            DatasetError: There is none, or its columns are not the table's.
            MediarefError: The uri's storage does not give it.
        """
        path = dataset / FRAMES if isinstance(dataset, Path) else shown(member(dataset, FRAMES))
        try:
            # Arrow does not close a file that it did not open.
            self._stream = None if isinstance(dataset, Path) else open_remote(member(dataset, FRAMES), storage_options)
            self._file = pq.ParquetFile(path if self._stream is None else self._stream)
        except MediarefError:
            raise
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DatasetError(f"frames table can't be read: {error}: {path}") from error
        lacking = _lacking(self._file.schema_arrow)
        if lacking is None:
            raise DatasetError(
                "frames table has other columns or types than this version's: convert again, or use the version that "
                f"wrote it: {path}"
            )
        self._path, self._lacking = path, lacking
        self._lock = threading.Lock()
        self._groups: dict[str, list[int]] = {}
        for group in range(self._file.num_row_groups):
            statistics = self._file.metadata.row_group(group).column(0).statistics
            if statistics is None or not statistics.has_min_max or statistics.min != statistics.max:
                raise DatasetError(f"frames table has no single topic in row group {group}: {path}")
            self._groups.setdefault(statistics.min, []).append(group)

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @property
    def topics(self) -> tuple[str, ...]:
        """Names of the topics that have rows."""
        return tuple(self._groups)

    def column(self, topic: str, name: str) -> pa.ChunkedArray:
        """One column of a topic; "media.uri" and "media.pts_ns" reach into the struct."""
        return self.columns(topic, [name])[name]

    def columns(self, topic: str, names: Sequence[str]) -> dict[str, pa.ChunkedArray]:
        """Columns of a topic by name, as `column` gives each, by one read."""
        heads = list(dict.fromkeys(name.partition(".")[0] for name in names))
        table = self._read(self._groups.get(topic, []), heads)
        found = {}
        for name in names:
            head, _, tail = name.partition(".")
            found[name] = pc.struct_field(table.column(head), tail) if tail else table.column(head)
        return found

    def int64(self, topic: str, name: str, null: int) -> NDArray[np.int64]:
        """An integer column of a topic as (N,) int64, `null` where it has no value."""
        return int64(self.column(topic, name), null)

    def psnr_db(self, topic: str) -> NDArray[np.float32]:
        """PSNR of each frame of a topic, (N,) float32; NaN where it is embedded."""
        return np.asarray(self.column(topic, "psnr_db").to_numpy(), dtype=np.float32)

    def rows(self, topic: str) -> Iterator[FrameRow]:
        """The rows of a topic, in order."""
        for group in self._groups.get(topic, []):
            table = self._read([group], None)
            try:
                rows = _rows(table)
            except (ValueError, KeyError, pa.ArrowException) as error:
                raise DatasetError(f"frames table is damaged: {error}: {self._path}") from error
            yield from rows

    def _read(self, groups: list[int], columns: list[str] | None) -> pa.Table:
        try:
            with self._lock:  # a ParquetFile is not for two threads at once
                asked = None if columns is None else [name for name in columns if name not in self._lacking]
                table = self._file.read_row_groups(groups, columns=asked, use_threads=False)
        except MediarefError:
            raise
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise DatasetError(f"frames table is damaged: {error}: {self._path}") from error
        rows = sum(self._file.metadata.row_group(group).num_rows for group in groups)
        for name, value in self._lacking.items():
            if columns is None or name in columns:
                at = SCHEMA.get_field_index(name) if columns is None else 0
                table = table.add_column(at, SCHEMA.field(name), pa.array([value] * rows, SCHEMA.field(name).type))
        return table

    def with_psnr(self, psnr_db: Mapping[str, NDArray[np.float32]], out: Path) -> None:
        """Write the table again with each topic's PSNR, one value a row: NaN stays null (embedded frames)."""
        done = dict.fromkeys(self._groups, 0)
        with _writer(out) as writer:
            for topic, groups in self._groups.items():
                for group in groups:
                    table = self._read([group], None)
                    values = psnr_db[topic][done[topic] : done[topic] + len(table)]
                    done[topic] += len(table)
                    column = pa.array(values, type=pa.float32(), mask=np.isnan(values))
                    writer.write_table(table.set_column(_PSNR, SCHEMA.field(_PSNR), column).cast(SCHEMA))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._stream is not None:
            self._stream.close()
