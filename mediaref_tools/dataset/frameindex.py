"""What is known of a topic's frames without decoding any: their times, references, sizes and places."""

from __future__ import annotations

import base64
import binascii
from functools import cached_property
from itertools import repeat
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.frames import FramesTable, int64, texts
from mediaref_tools.dataset.looks import Facts
from mediaref_tools.dataset.manifest import TopicEntry
from mediaref_tools.dataset.pictures import picture_facts
from mediaref_tools.errors import DatasetError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.media.datauri import DataURI

__all__ = ["NO_STAMP", "FrameIndex", "TableIndex"]

NO_STAMP = -(2**63)
"""What stands in `stamps_ns` for a message without a header, in `publish_times_ns` where nobody knows."""


class FrameIndex(Protocol):
    """The frames of one topic, in log-time order. N is how many there are."""

    def __len__(self) -> int: ...

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, ascending."""
        ...

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where there is none."""
        ...

    @property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where nobody knows."""
        ...

    @property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64; -1 for a still."""
        ...

    @property
    def uris(self) -> NDArray[np.object_]:
        """(N,) of str."""
        ...

    @property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32; NaN where nobody knows."""
        ...

    @property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool; False where nobody knows."""
        ...

    @property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: "video", "remuxed", "embedded", "still" or "kept"."""
        ...

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(indices), 2) int64: height and width."""
        ...

    def facts(self, indices: NDArray[np.int64]) -> list[Facts]:
        """What tells each frame's kind."""
        ...


_TEXTS = ("source_encoding", "source_format", "source_framing")
_DECODING = ("media.uri", "media.pts_ns", "height", "width", "keyframe", "byte_offset", "byte_size", *_TEXTS)


class _Decoding(NamedTuple):
    """What decoding takes of each frame, (N,) each, sizes (N, 2); `texts` is `Image.encoding`, format and framing."""

    uris: NDArray[np.object_]
    pts_ns: NDArray[np.int64]
    sizes: NDArray[np.int64]
    keyframes: NDArray[np.bool_]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    texts: list[NDArray[np.object_]]


class TableIndex:
    """The index of a converted topic: its rows of the frames table, read when first asked for.

    A table that does not fit its manifest raises `DatasetError` when the column at fault is read.
    """

    def __init__(self, dataset: str, entry: TopicEntry, table: FramesTable) -> None:
        """`dataset` is what messages call the folder."""
        self.entry = entry
        self._dataset, self._table = dataset, table

    def __len__(self) -> int:
        return self.entry.frames

    @cached_property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, ascending."""
        times = self._int64("log_time_ns", 0)
        self._demand(bool((np.diff(times) >= 0).all()), "its rows are not in log-time order")
        return times

    @cached_property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where the message had no header."""
        return self._int64("stamp_ns", NO_STAMP)

    @cached_property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where the container does not tell."""
        return self._int64("publish_time_ns", NO_STAMP)

    @property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64; -1 where it is embedded."""
        return self._decoding.pts_ns

    @property
    def uris(self) -> NDArray[np.object_]:
        """(N,) of str."""
        return self._decoding.uris

    @cached_property
    def _decoding(self) -> _Decoding:
        """What decoding takes, by one read of the table."""
        columns = self._table.columns(self.entry.topic, _DECODING)
        for column in columns.values():
            self._check_rows(len(column))
        self._demand(columns["media.uri"].null_count == 0, "a row has no uri")
        pts_ns = int64(columns["media.pts_ns"], -1)
        self._demand(bool((pts_ns >= -1).all()), "a row has a negative pts_ns")
        sizes = np.stack([int64(columns[name], 0) for name in ("height", "width")], axis=1)
        fits = (sizes >= 0).all() and (sizes.prod(axis=1) <= MAX_PIXELS).all()
        self._demand(bool(fits), "a row has a picture size that can't be")
        return _Decoding(
            texts(columns["media.uri"]),
            pts_ns,
            sizes,
            np.asarray(columns["keyframe"].to_numpy(), dtype=np.bool_),
            int64(columns["byte_offset"], -1),
            int64(columns["byte_size"], -1),
            [texts(columns[name]) for name in _TEXTS],
        )

    @cached_property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32; NaN where it is embedded."""
        return self._table.psnr_db(self.entry.topic)

    @property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool."""
        return self._decoding.keyframes

    @cached_property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: "video", "remuxed" or "embedded"."""
        return np.asarray(self._column("status").to_pylist(), dtype=np.str_)

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(indices), 2) int64: height and width."""
        return self._decoding.sizes[indices]

    def facts(self, indices: NDArray[np.int64]) -> list[Facts]:
        """What tells each frame's kind."""
        segments = self.places[0]
        formats = [segment.pixel_format for segment in self.entry.segments]
        return [
            Facts(formats[segment], *(str(column[index]) for column in self._decoding.texts))
            if segment >= 0
            else self._embedded(index)
            for index, segment in zip(indices.tolist(), segments[indices].tolist(), strict=True)
        ]

    def _embedded(self, index: int) -> Facts:
        """What an embedded frame's own bytes tell of its kind."""
        encoding, image_format, framing = (str(column[index]) for column in self._decoding.texts)
        try:
            data = DataURI.from_uri(self.uris[index])
            return picture_facts(ImageValue.embedded(data.decoded_data, data.mimetype, image_format))
        except MediarefError:
            return Facts("", encoding, image_format, framing)

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """The segment of each frame, (N,) int64, -1 where it is embedded; and the frames of each segment."""
        number = {segment.uri: at for at, segment in enumerate(self.entry.segments)}
        segments = np.full(len(self), -1, np.int64)
        in_video = self.pts_ns >= 0
        segments[in_video] = np.fromiter(map(number.get, self.uris[in_video], repeat(-1)), np.int64)
        unknown = np.flatnonzero((segments < 0) & (self.pts_ns >= 0))
        if len(unknown):
            raise DatasetError(
                f"{self.entry.topic} frame {unknown[0]} is in no segment of the manifest: {self._dataset}"
            )
        members = [np.flatnonzero(segments == at) for at in range(len(self.entry.segments))]
        for at in range(len(members)):
            self._check_segment(at, members[at])
        return segments, members

    @property
    def packets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where each frame's packet lies in its segment: offset and size, (N,) int64; -1 where it is embedded."""
        return self._decoding.offset, self._decoding.size

    def _check_segment(self, at: int, members: NDArray[np.int64]) -> None:
        segment = self.entry.segments[at]
        if not len(members):
            return
        offset, size = (column[members] for column in self.packets)
        sizes = self._decoding.sizes[members]
        try:
            base64.b64decode(segment.extradata, validate=True)
        except (binascii.Error, ValueError):
            self._demand(False, f"the extradata of {segment.uri} is no base64")
        self._demand(bool(self.keyframes[members[0]]), f"{segment.uri} does not begin with a keyframe")
        whole = (offset >= 0) & (size > 0) & (offset <= segment.bytes - size)
        ordered = offset[1:] >= offset[:-1] + size[:-1]
        self._demand(bool(whole.all() and ordered.all()), f"a row names bytes that are not its own in {segment.uri}")
        same = (sizes == (segment.height, segment.width)).all()
        self._demand(bool(same), f"a row has another picture size than {segment.uri}")

    def _column(self, name: str):  # type: ignore[no-untyped-def]
        column = self._table.column(self.entry.topic, name)
        self._check_rows(len(column))
        return column

    def _int64(self, name: str, null: int) -> NDArray[np.int64]:
        values = self._table.int64(self.entry.topic, name, null)
        self._check_rows(len(values))
        return values

    def _check_rows(self, rows: int) -> None:
        if rows != len(self):
            raise DatasetError(
                f"frames table has {rows} rows of {self.entry.topic}, the manifest {len(self)}: {self._dataset}"
            )

    def _demand(self, holds: bool, what: str) -> None:
        if not holds:
            raise DatasetError(f"frames of {self.entry.topic} are damaged: {what}: convert again: {self._dataset}")
