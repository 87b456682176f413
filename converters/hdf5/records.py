"""References in the place of pictures: the dataset that holds them, and the attributes that say what it was."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from mediaref_tools.errors import OutputError
from mediaref_tools.log import Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.reftable import ADDED, NO_PTS, PTS, REPEATS, RESERVED, SPEC, SPEC_VERSION, TIME, TIMES_NS, URI

from .file import attribute
from .topics import Topic

__all__ = ["RefColumn", "described", "ours", "recorded", "repeated"]

_DTYPE = np.dtype([(URI, h5py.string_dtype("utf-8")), (PTS, "<i8")])
_ROWS = 512
_OWN = ("channel_order", "orientation", "fps")


class RefColumn:
    """A new dataset of references, written in the order of its rows, some at a time."""

    def __init__(self, group: h5py.Group, name: str, rows: int) -> None:
        """Make the dataset; its references are empty texts until they are written."""
        self.dataset = group.create_dataset(name, (rows,), _DTYPE, chunks=(max(1, min(rows, _ROWS)),))
        self.rows = rows
        self.written = 0
        self._start = 0
        self._buffer: list[tuple[str, int]] = []

    def add(self, row: int, ref: MediaRef) -> None:
        """Write the reference of the next row.

        Raises:
            OutputError: It is another row's turn.
        """
        if row != self.written:
            raise OutputError(f"record for row {row} of {self.dataset.name}, where row {self.written} is due")
        self._buffer.append((ref.uri, NO_PTS if ref.pts_ns is None else ref.pts_ns))
        self.written += 1
        if len(self._buffer) == _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: It can't be written.
        """
        if self._buffer:
            self.dataset[self._start : self.written] = np.array(self._buffer, _DTYPE)
            self._start, self._buffer = self.written, []


def described(topic: Topic, source: h5py.Dataset, record: Record | None, *, same_size: bool) -> dict[str, Any]:
    """The attributes of a dataset of references: see `mediaref_tools.reftable`.

    Args:
        topic: What it was.
        source: The dataset of pictures.
        record: The first; None where there is none.
        same_size: Whether all pictures have the first one's size.
    """
    times, told = topic.times, topic.convention
    found: dict[str, Any] = _source(source, topic.pictures.layout if topic.pictures is not None else "")
    found["source_type"] = topic.channel.type
    if told is not None:
        found |= {"channel_order": told.channel_order, "orientation": told.orientation}
    if record is not None:
        found["source_encoding"] = record.source_encoding
        size = (record.height, record.width, record.step) if same_size else (0, 0, 0)
        found |= dict(zip(("source_height", "source_width", "source_step"), size, strict=True))
    if times is not None and times.fps is not None:
        found["fps"] = float(times.fps)
    if times is not None and times.told:
        found[TIME] = json.dumps(times.told)
    elif times is not None and times.times_ns is not None:
        found |= {TIME: json.dumps({"attribute": TIMES_NS}), TIMES_NS: times.times_ns}
    return found


def repeated(source: h5py.Dataset, base: str, attributes: Any, layout: str) -> dict[str, Any]:
    """The attributes of a dataset that repeats the pictures of `base`, whose own `attributes` are given."""
    found = _source(source, layout) | {REPEATS: base}
    for name in ("source_type", "source_encoding", "channel_order", "orientation", "fps"):
        if name in attributes:
            found[name] = attributes[name]
    return found


def _source(source: h5py.Dataset, layout: str) -> dict[str, Any]:
    properties = source.id.get_create_plist()
    filters = [properties.get_filter(number) for number in range(properties.get_nfilters())]
    storage = {
        "chunks": source.chunks,
        "maxshape": source.maxshape,
        "fillvalue": int(source.fillvalue) if source.dtype.kind in "iu" else None,
        "filters": [
            [code, flags, list(values), name.decode("utf-8", "replace")] for code, flags, values, name in filters
        ],
    }
    return {
        SPEC: SPEC_VERSION,
        "source_shape": np.array(source.shape, np.int64),
        "source_dtype": _dtype_text(source.dtype),
        "source_layout": layout,
        "source_storage": json.dumps(storage),
    }


def _dtype_text(dtype: Any) -> str:
    """As NumPy spells it ("|u1", "<u2", "|S40000"); "vlen |u1" where rows have their own lengths."""
    inner = h5py.check_vlen_dtype(dtype)
    if inner is not None:
        return f"vlen {np.dtype(inner).str}"
    return "vlen str" if h5py.check_string_dtype(dtype) is not None and dtype.kind == "O" else str(dtype.str)


def recorded(ref: MediaRef, attributes: Any) -> Record:
    """A row of references with what the attributes of its dataset say; foreign ones say nothing."""
    height, width, step = (_number(attributes.get(f"source_{name}")) for name in ("height", "width", "step"))
    return Record(
        ref,
        source_type=_text(attributes.get("source_type")),
        source_encoding=_text(attributes.get("source_encoding")),
        height=height,
        width=width,
        step=step,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return int(value) if isinstance(value, (int, np.integer)) else 0


def ours(references: h5py.Dataset) -> list[str]:
    """Attributes of references that are not the pictures' own; none of what holds no references of ours."""
    if SPEC not in references.attrs:
        return []
    text = attribute(references, ADDED)
    added = tuple(json.loads(text)) if isinstance(text, str) else _OWN
    return [name for name in (*RESERVED, *added) if name in references.attrs]
