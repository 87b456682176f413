"""References that others wrote, as a topic's index: from any log that holds some, or from a plain table of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.dataset.framesource import MediaSource
from mediaref_tools.dataset.looks import Facts
from mediaref_tools.errors import DatasetError, RefError
from mediaref_tools.log import Channel, Message
from mediaref_tools.media.mediaref import MediaRef, fault
from mediaref_tools.plugins import open_log

__all__ = ["TABLE_SUFFIXES", "Found", "RefIndex", "logged_refs", "tabled_refs"]

TABLE_SUFFIXES = (".parquet", ".csv", ".json", ".jsonl", ".ndjson")
_TIME, _STAMP, _PUBLISHED, _TOPIC = "log_time_ns", "stamp_ns", "publish_time_ns", "topic"


class Found(NamedTuple):
    """The references of one topic, in log-time order. Columns as in `FrameIndex`."""

    uris: NDArray[np.object_]
    pts_ns: NDArray[np.int64]
    log_times_ns: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    publish_times_ns: NDArray[np.int64]


class RefIndex:
    """The index of a topic whose references others wrote. Sizes are told by the media, opened when asked."""

    def __init__(self, found: Found, source: MediaSource) -> None:
        self._found, self._source = found, source

    def __len__(self) -> int:
        return len(self._found.uris)

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, ascending."""
        return self._found.log_times_ns

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where there is none."""
        return self._found.stamps_ns

    @property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where nobody knows."""
        return self._found.publish_times_ns

    @property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64; -1 for a still."""
        return self._found.pts_ns

    @property
    def uris(self) -> NDArray[np.object_]:
        """(N,) of str."""
        return self._found.uris

    @cached_property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32, all NaN."""
        return np.full(len(self), np.nan, np.float32)

    @cached_property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool, all False."""
        return np.zeros(len(self), np.bool_)

    @cached_property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: "video", "embedded" (a data URI) or "still"."""
        embedded = np.array([uri[:5].lower() == "data:" for uri in self.uris], np.bool_)
        return np.where(self.pts_ns >= 0, "video", np.where(embedded, "embedded", "still"))

    def facts(self, indices: NDArray[np.int64]) -> list[Facts]:
        """Nothing: references of others say no more than where a picture is."""
        return [Facts("", "", "")] * len(indices)

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(indices), 2) int64: height and width."""
        return self._source.sizes(indices)


def logged_refs(path: Path) -> dict[str, Found]:
    """References in a log, by topic: typed records, JSON strings, and JSON messages that hold one.

    A topic counts if any of its messages holds a reference; its other messages are passed over.

    Raises:
        LogError: It is no log that can be read.
        DatasetError: It holds no reference.
    """
    rows: dict[str, list[tuple[str, int, int, int, int]]] = {}
    with open_log(path) as log:
        wanted = {channel.topic for channel in log.channels if _may_refer(channel)}
        for message in log.messages(wanted) if wanted else ():
            record = log.record(message) if _may_refer(message.channel) else None
            if record is not None:
                rows.setdefault(message.channel.topic, []).append(_row(message, record.ref, record.stamp_ns))
    if not rows:
        raise DatasetError(
            f"this log holds no references: `mediaref convert` makes a dataset of it, if it holds images: {path}"
        )
    return {topic: _found(*zip(*rows[topic], strict=True)) for topic in sorted(rows)}


def _may_refer(channel: Channel) -> bool:
    return (
        channel.role == "record"
        or channel.encoding == "json"
        or channel.type in ("std_msgs/String", "std_msgs/msg/String")
    )


def _row(message: Message, ref: MediaRef, stamp_ns: int | None) -> tuple[str, int, int, int, int]:
    published = NO_STAMP if message.publish_time_ns is None else message.publish_time_ns
    pts_ns = -1 if ref.pts_ns is None else ref.pts_ns
    return ref.uri, pts_ns, message.log_time_ns, NO_STAMP if stamp_ns is None else stamp_ns, published


def _found(
    uris: Sequence[str], pts: Sequence[int], times: Sequence[int], stamps: Sequence[int], published: Sequence[int]
) -> Found:
    order = np.argsort(np.array(times, np.int64), kind="stable")
    columns = [np.array(column, np.int64)[order] for column in (pts, times, stamps, published)]
    return Found(np.array(uris, np.object_)[order], *columns)


def tabled_refs(path: Path) -> dict[str, Found]:
    """References in a plain table (parquet, CSV, JSON lines, or a JSON list of objects), by topic.

    A reference is a column of `struct<uri, pts_ns>`, named as one pleases, or the two columns `uri` and `pts_ns`. A
    column `topic` splits the rows into topics, else the topic is called as the struct's column, or the file. Columns
    `log_time_ns`, `stamp_ns` and `publish_time_ns` are taken over; a table without `log_time_ns` counts its rows.

    Raises:
        DatasetError: It can't be read, or has no such column.
        RefError: A row holds no MediaRef; the message names it.
    """
    try:
        table = _read(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise DatasetError(f"table can't be read: {error}: {path}") from error
    columns = dict(_ref_columns(table, path.stem))
    if not columns:
        raise DatasetError(
            f"table has no references: expected columns uri and pts_ns, or a struct of them; it has "
            f"{', '.join(table.column_names)}: {path}"
        )
    names = table.column(_TOPIC).to_pylist() if _TOPIC in table.column_names else None
    rows: dict[str, list[tuple[str, int, int, int, int]]] = {}
    for column, values in columns.items():
        times = [_times(table, name, path) for name in (_TIME, _STAMP, _PUBLISHED)]
        for number, value in enumerate(values):
            if value is None:
                continue
            name = column if names is None else str(names[number])
            name = f"{name}/{column}" if names is not None and len(columns) > 1 else name
            ref = _ref(value, number, path)
            row = (ref.uri, -1 if ref.pts_ns is None else ref.pts_ns, *(time[number] for time in times))
            rows.setdefault(name, []).append(row)  # type: ignore[arg-type]
    return {topic: _found(*zip(*rows[topic], strict=True)) for topic in sorted(rows)}


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path, partitioning=None)
    if path.suffix == ".csv":
        # A still's pts_ns is empty; without the types, a column of nothing else would be null.
        types = {"uri": pa.string(), _TOPIC: pa.string()} | dict.fromkeys(
            ("pts_ns", _TIME, _STAMP, _PUBLISHED), pa.int64()
        )
        return pyarrow.csv.read_csv(path, convert_options=pyarrow.csv.ConvertOptions(column_types=types))
    text = path.read_bytes()
    if text.lstrip()[:1] == b"[":
        return pa.Table.from_pylist(json.loads(text))
    return pa.Table.from_pylist([json.loads(line) for line in text.splitlines() if line.strip()])


def _ref_columns(table: pa.Table, stem: str) -> Iterator[tuple[str, list[Mapping[str, Any] | None]]]:
    for field in table.schema:
        if pa.types.is_struct(field.type) and {child.name for child in field.type} in ({"uri", "pts_ns"}, {"uri"}):
            yield field.name, table.column(field.name).to_pylist()
    if "uri" in table.column_names:
        pts = table.column("pts_ns").to_pylist() if "pts_ns" in table.column_names else [None] * len(table)
        uris = table.column("uri").to_pylist()
        yield stem, [{"uri": uri, "pts_ns": time} for uri, time in zip(uris, pts, strict=True)]


def _times(table: pa.Table, name: str, path: Path) -> list[int]:
    if name not in table.column_names:
        return list(range(len(table))) if name == _TIME else [NO_STAMP] * len(table)
    column = table.column(name)
    if not pa.types.is_integer(column.type) or (name == _TIME and column.null_count):
        raise DatasetError(f"column {name} of type {column.type} and {column.null_count} nulls: expected int64: {path}")
    filled: list[int] = pc.fill_null(column.cast(pa.int64()), NO_STAMP).to_pylist()
    return filled


def _ref(value: Mapping[str, Any], number: int, path: Path) -> MediaRef:
    try:
        return MediaRef.model_validate(dict(value))
    except ValidationError as error:
        raise RefError(f"row {number} holds no reference: {fault(error)}: {path}") from error
