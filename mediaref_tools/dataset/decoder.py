"""Decoding chosen frames of a segment, from what the dataset already knows: no file is probed or scanned.

Wanted frames are grouped by GOP; each group costs one positioned read, from its keyframe to the last wanted packet, and
the decoding of the frames between.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from mediaref_tools.dataset.manifest import Segment
from mediaref_tools.errors import DatasetError
from mediaref_tools.limits import MAX_PIXELS

__all__ = ["SegmentDecoder"]

_DECODERS = {
    "h264": "h264",
    "h265": "hevc",
    "vp9": "vp9",
    "av1": "libdav1d",
    "ffv1": "ffv1",
}
_RANGES = {"full": ColorRange.JPEG, "limited": ColorRange.MPEG}


class SegmentDecoder:
    """Decodes frames of one segment by their number in it. For one thread at a time."""

    def __init__(
        self,
        path: Path,
        segment: Segment,
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
        keyframe: NDArray[np.bool_],
        pts_ns: NDArray[np.int64],
    ) -> None:
        """Take what is needed; nothing is opened yet.

        Args:
            path: The segment's file.
            segment: Its entry in the manifest.
            offset, size, keyframe, pts_ns: (N,) where each packet lies, whether it is a keyframe, and when it is shown.
        """
        self._path, self._segment = path, segment
        self._offset, self._size, self._pts_ns = offset, size, pts_ns
        self._keyframes = np.flatnonzero(keyframe)

    def files(self, wanted: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Packets that are image files of their own, by frame number, ascending.

        Raises:
            DatasetError: The segment's file is missing or cut.
        """
        with self._opened() as descriptor:
            for number in wanted:
                yield number, self._read(descriptor, int(self._offset[number]), int(self._size[number]))

    def frames(self, wanted: Sequence[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode frames, in the order in which they are shown: a camera's video may hold them in another.

        Args:
            wanted: Frame numbers, ascending, each once.

        Raises:
            DatasetError: The segment's file is missing, cut or damaged.
        """
        with self._opened() as descriptor:
            numbers = np.asarray(wanted, dtype=np.int64)
            groups = np.searchsorted(self._keyframes, numbers, side="right") - 1
            # A camera's frame that follows a keyframe and is shown before it needs what lies before that.
            while (early := (groups > 0) & (self._pts_ns[numbers] < self._pts_ns[self._keyframes[groups]])).any():
                groups[early] -= 1
            for group in np.unique(groups):
                yield from self._group(descriptor, int(self._keyframes[group]), numbers[groups == group].tolist())

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise DatasetError(f"segment can't be opened: {error.strerror}: {self._path}") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int, begin: int, length: int) -> bytes:
        held = os.fstat(descriptor).st_size
        try:
            data = os.pread(descriptor, length, begin) if begin + length <= held else b""
        except OSError as error:
            raise DatasetError(f"segment can't be read: {error.strerror}: {self._path}") from error
        if len(data) != length:
            raise DatasetError(f"segment ends at byte {held} of {begin + length}: copy it again: {self._path}")
        return data

    def _group(self, descriptor: int, first: int, wanted: list[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        last = wanted[-1]
        begin = int(self._offset[first])
        data = self._read(descriptor, begin, int(self._offset[last] + self._size[last]) - begin)
        context = self._context()
        todo = set(wanted)
        try:
            for number in range(first, last + 1):
                at = int(self._offset[number]) - begin
                packet = av.Packet(data[at : at + int(self._size[number])])
                packet.pts = packet.dts = number
                yield from self._take(context.decode(packet), todo)
            if todo:
                yield from self._take(context.decode(None), todo)
        except av.FFmpegError as error:
            raise DatasetError(f"segment is damaged near frame {min(todo)}: {error}: {self._path}") from error
        if todo:
            raise DatasetError(f"segment is damaged: frame {min(todo)} does not decode: {self._path}")

    def _take(self, frames: Sequence[av.VideoFrame], todo: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        for frame in frames:
            if frame.pts in todo:
                todo.discard(frame.pts)
                if frame.color_range == ColorRange.UNSPECIFIED:  # FFV1 does not say
                    frame.color_range = _RANGES.get(self._segment.color_range, ColorRange.UNSPECIFIED)
                    if frame.format.name.startswith("yuv"):
                        frame.colorspace = Colorspace.ITU601
                yield frame.pts, frame

    def _context(self) -> av.VideoCodecContext:
        context = av.CodecContext.create(_DECODERS[self._segment.codec], "r")
        assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
        if self._segment.extradata:
            context.extradata = base64.b64decode(self._segment.extradata)
        if self._segment.codec == "ffv1":  # whose packets do not tell the size
            context.width, context.height = self._segment.coded_width, self._segment.coded_height
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        return context
