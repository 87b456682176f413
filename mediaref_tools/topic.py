"""A converted topic: its frames by index, by log time, and in batches."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mediaref_tools.batch import Frame, FrameBatch
from mediaref_tools.decoder import SegmentDecoder
from mediaref_tools.errors import DatasetError, FrameError
from mediaref_tools.frames import FramesTable
from mediaref_tools.layout import inside
from mediaref_tools.manifest import TopicEntry
from mediaref_tools.mediaref import MediaRef
from mediaref_tools.raster import Raster

__all__ = ["NO_STAMP", "Refs", "Topic"]

NO_STAMP = -(2**63)
"""What stands in `Topic.stamps_ns` for a message without a header, in `publish_times_ns` where nobody knows."""


class Refs(Sequence[MediaRef]):
    """The references of a topic, made as they are asked for."""

    def __init__(self, uris: NDArray[np.object_], pts_ns: NDArray[np.int64]) -> None:
        self._uris, self._pts_ns = uris, pts_ns

    def __len__(self) -> int:
        return len(self._uris)

    @overload
    def __getitem__(self, at: int) -> MediaRef: ...
    @overload
    def __getitem__(self, at: slice) -> list[MediaRef]: ...
    def __getitem__(self, at: int | slice) -> MediaRef | list[MediaRef]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        pts_ns = int(self._pts_ns[at])
        return MediaRef(uri=self._uris[at], pts_ns=None if pts_ns < 0 else pts_ns)


class Topic:
    """Frames of one topic, in log-time order. Made by `Dataset`; columns are read when first asked for.

    Not for use by two threads at once.
    """

    def __init__(self, dataset: Path, entry: TopicEntry, table: FramesTable) -> None:
        self.name = entry.topic
        self.entry = entry
        self._dataset, self._table = dataset, table
        self._raster = Raster()

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {len(self)} frames)"

    def __len__(self) -> int:
        return self.entry.frames

    @cached_property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64: when each message was received, Unix ns, ascending."""
        return self._table.int64(self.name, "log_time_ns", 0)

    @cached_property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64: header.stamp of each message; `NO_STAMP` where it had no header."""
        return self._table.int64(self.name, "stamp_ns", NO_STAMP)

    @cached_property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64: when each message was sent; `NO_STAMP` where the container does not tell."""
        return self._table.int64(self.name, "publish_time_ns", NO_STAMP)

    @cached_property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64: each frame's time in its segment; -1 where it is embedded."""
        return self._table.int64(self.name, "media.pts_ns", -1)

    @cached_property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32: luma PSNR against the source, inf where identical, NaN where embedded."""
        return self._table.psnr_db(self.name)

    @cached_property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool: whether decoding can begin at the frame."""
        return np.asarray(self._table.column(self.name, "keyframe").to_numpy(), dtype=np.bool_)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(N, 2) int64: height and width of each frame's picture."""
        return np.stack([self._table.int64(self.name, name, 0) for name in ("height", "width")], axis=1)

    @cached_property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: "video" or "embedded"."""
        return np.asarray(self._table.column(self.name, "status").to_pylist(), dtype=np.str_)

    @cached_property
    def refs(self) -> Refs:
        """N references, by index or slice."""
        return Refs(self._uris, self.pts_ns)

    @cached_property
    def _uris(self) -> NDArray[np.object_]:
        return np.asarray(self._table.column(self.name, "media.uri").to_numpy(), dtype=np.object_)

    @cached_property
    def _places(self) -> tuple[NDArray[np.int64], list[NDArray[np.int64]]]:
        """The segment of each frame (-1: embedded), and the frames of each segment."""
        number = {segment.uri: at for at, segment in enumerate(self.entry.segments)}
        segments = np.array(
            [
                number.get(uri, -1) if pts >= 0 else -1
                for uri, pts in zip(self._uris, self.pts_ns.tolist(), strict=True)
            ],
            dtype=np.int64,
        )
        unknown = np.flatnonzero((segments < 0) & (self.pts_ns >= 0))
        if len(unknown):
            raise DatasetError(f"{self.name} frame {unknown[0]} is in no segment of the manifest: {self._dataset}")
        return segments, [np.flatnonzero(segments == at) for at in range(len(self.entry.segments))]

    def __getitem__(self, index: int) -> Frame:
        """Decode one frame by its index.

        Raises:
            FrameError: There is no such frame, or it is embedded and can't be decoded.
        """
        return self.batch([index])[0]

    def __iter__(self) -> Iterator[Frame]:
        for batch in self.batches(16):
            yield from batch

    def index_at(self, log_times_ns: ArrayLike) -> NDArray[np.int64]:
        """The index of the frame on screen at each log time, (N,) int64; -1 before the first frame.

        A frame is on screen from its own log time until the next one's; the last one stays.
        """
        times = np.asarray(log_times_ns, dtype=np.int64)
        return np.searchsorted(self.log_times_ns, times, side="right").astype(np.int64) - 1

    def at(self, log_times_ns: ArrayLike) -> FrameBatch:
        """Decode the frames on screen at some log times, in any order.

        Raises:
            FrameError: One lies before the first frame.
        """
        times = np.atleast_1d(np.asarray(log_times_ns, dtype=np.int64))
        indices = self.index_at(times)
        if len(indices) and indices.min() < 0:
            raise FrameError(
                f"log time {int(times[np.argmin(indices)])} lies before the first frame of {self.name} "
                f"at {int(self.log_times_ns[0])}"
            )
        return self.batch(indices)

    def batches(
        self, size: int, *, start_ns: int | None = None, stop_ns: int | None = None, stride: int = 1
    ) -> Iterator[FrameBatch]:
        """Decode frames in order, `size` at a time: fewer where the picture size changes, and at the end.

        Args:
            size: Frames in a batch.
            start_ns, stop_ns: Log times, half-open.
            stride: Take every n-th frame.
        """
        if size < 1 or stride < 1:
            raise FrameError(f"batches of {size} frames, every {stride}: both must be at least 1")
        return self._batches(self.indices(start_ns, stop_ns, stride), size)

    def indices(self, start_ns: int | None = None, stop_ns: int | None = None, stride: int = 1) -> NDArray[np.int64]:
        """Every `stride`-th frame whose log time lies in `[start_ns, stop_ns)`, (N,) int64."""
        times = self.log_times_ns
        begin = 0 if start_ns is None else int(np.searchsorted(times, start_ns, side="left"))
        end = len(times) if stop_ns is None else int(np.searchsorted(times, stop_ns, side="left"))
        return np.arange(begin, end, stride, dtype=np.int64)

    def _batches(self, indices: NDArray[np.int64], size: int) -> Iterator[FrameBatch]:
        sizes = self.sizes[indices]
        at = 0
        while at < len(indices):
            same = (sizes[at : at + size] == sizes[at]).all(axis=1)
            count = int(np.argmin(same)) if not same.all() else len(same)
            yield self.batch(indices[at : at + count])
            at += count

    def batch(self, indices: ArrayLike) -> FrameBatch:
        """Decode frames by index, in any order; repeats are decoded once.

        Args:
            indices: Negative ones count from the end.

        Raises:
            FrameError: One is out of range, sizes differ, or an embedded one can't be decoded.
            DatasetError: A segment is damaged.
        """
        wanted = np.atleast_1d(np.asarray(indices, dtype=np.int64)) if np.size(indices) else np.empty(0, np.int64)
        wrong = wanted[(wanted < -len(self)) | (wanted >= len(self))]
        if len(wrong):
            raise FrameError(f"no frame {int(wrong[0])} on {self.name}: it has {len(self)}")
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
        sizes = np.unique(self.sizes[wanted], axis=0)
        if len(sizes) > 1:
            shown = ", ".join(f"{width}x{height}" for height, width in sizes.tolist())
            raise FrameError(f"frames of {self.name} of sizes {shown} don't fit one batch: ask for them apart")
        height, width = sizes[0].tolist() if len(sizes) else (0, 0)
        data = np.empty((len(wanted), height, width, 3), dtype=np.uint8)
        self._decode(wanted, data)
        return FrameBatch(
            data, wanted, self.log_times_ns[wanted], self.pts_ns[wanted], tuple(self.refs[at] for at in wanted.tolist())
        )

    def _decode(self, wanted: NDArray[np.int64], data: NDArray[np.uint8]) -> None:
        if not len(wanted):
            return
        once, positions = np.unique(wanted, return_inverse=True)
        order = np.argsort(positions, kind="stable")
        starts = np.searchsorted(positions[order], np.arange(len(once) + 1))
        segments, members = self._places
        for segment in np.unique(segments[once]).tolist():
            mine = np.flatnonzero(segments[once] == segment)
            if segment < 0:
                for at in mine.tolist():
                    rows = order[starts[at] : starts[at + 1]]
                    data[rows] = self._embedded(int(once[at]), data.shape[1:])
                continue
            decoder, first = self._decoder(segment, members[segment])
            numbers = np.searchsorted(first, once[mine])
            for at, (_, frame) in zip(mine.tolist(), decoder.frames(numbers.tolist()), strict=True):
                rows = order[starts[at] : starts[at + 1]]
                self._raster.into(frame, data[rows[0]])
                for row in rows[1:]:
                    data[row] = data[rows[0]]

    def _decoder(self, segment: int, members: NDArray[np.int64]) -> tuple[SegmentDecoder, NDArray[np.int64]]:
        entry = self.entry.segments[segment]
        offset, size = self._packets
        decoder = SegmentDecoder(
            inside(self._dataset, entry.uri), entry, offset[members], size[members], self.keyframes[members]
        )
        return decoder, members

    @cached_property
    def _packets(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self._table.int64(self.name, "byte_offset", -1), self._table.int64(self.name, "byte_size", -1)

    def _embedded(self, index: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        head, _, body = self._uris[index].partition(";base64,")
        try:
            with Image.open(io.BytesIO(base64.b64decode(body))) as image:
                data: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
                if data.shape == shape:
                    return data
                error: Exception | None = None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as cause:
            error = cause
        raise FrameError(
            f"{self.name} frame {index} is embedded as {head.removeprefix('data:')} and can't be decoded "
            f"({self.entry.reason})"
        ) from error
