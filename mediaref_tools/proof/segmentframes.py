"""What lies in a dataset's segments, by libavformat alone: frames by their times, packets by their places."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer

from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.errors import ProofError
from mediaref_tools.media.trust import inside
from mediaref_tools.segments.file import TIME_BASE, read_shown

__all__ = ["SegmentFrames", "decoded_frames", "read_bytes"]

_NS_PER_TICK = TIME_BASE.numerator * 1_000_000_000 // TIME_BASE.denominator


class SegmentFrames:
    """Decodes a dataset's segments from start to end, by libavformat alone, and holds rows against what is there.

    One stream of frames for a topic whose rows are asked for in order.
    """

    def __init__(self, dataset: Path, threads: int = 1) -> None:
        """`dataset` is what uris are relative to; `threads` is how many the decoder has."""
        self._dataset, self._threads = dataset, threads
        self._uri: str | None = None
        self._packets: dict[int, tuple[int, int, bool]] = {}
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._next: tuple[int, av.VideoFrame] | None = None

    def at(self, row: FrameRow) -> av.VideoFrame | None:
        """The frame that the row's reference chooses, no smaller than its picture, or None if there is none.

        By the specification's rule: the frame with `pts[i] <= pts_ns < pts[i + 1]`.

        Raises:
            DatasetError: The reference leads out of the dataset.
            ProofError: The frame chosen does not lie at the reference's own time, or not where the row says, or is
                smaller than the row's picture.
        """
        if row.pts_ns is None:
            return None
        if row.uri != self._uri:
            self.close()
            self._uri = row.uri
            self._packets, self._frames = _open(inside(self._dataset, row.uri), self._threads)
            self._next = next(self._frames, None)
        chosen: tuple[int, av.VideoFrame] | None = None
        while self._next is not None and self._next[0] <= row.pts_ns:
            chosen = self._next
            self._next = next(self._frames, None)
        if chosen is None:
            return None
        if chosen[0] != row.pts_ns:
            raise ProofError(f"pts_ns {row.pts_ns} shows the frame at {chosen[0]}: {row.uri}")
        packet = (row.byte_offset, row.byte_size, row.keyframe)
        if self._packets.get(row.pts_ns) != packet:
            raise ProofError(
                f"its packet is {self._packets.get(row.pts_ns)} in the file, {packet} in its row: {row.uri}"
            )
        frame = chosen[1]
        if frame.width < row.width or frame.height < row.height:
            raise ProofError(
                f"frame of {frame.width}x{frame.height} for a picture of {row.width}x{row.height}: {row.uri}"
            )
        return frame

    def close(self) -> None:
        """Let go of the open file."""
        self._uri, self._next, self._frames = None, None, iter(())


def _open(path: Path, threads: int) -> tuple[dict[int, tuple[int, int, bool]], Iterator[tuple[int, av.VideoFrame]]]:
    """Packets by time (offset, size, whether a keyframe) as the file's own index has them, and its frames."""
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
        packets = read_shown(container, stream)
    except (av.FFmpegError, OSError, IndexError):
        return {}, iter(())
    columns = [array.tolist() for array in packets]
    table = {
        pts_us * _NS_PER_TICK: (offset, size, keyframe) for pts_us, offset, size, keyframe in zip(*columns, strict=True)
    }
    return table, _decoded(container, stream, threads)


def _decoded(
    container: InputContainer, stream: av.VideoStream, threads: int = 1
) -> Iterator[tuple[int, av.VideoFrame]]:
    try:
        with container:
            stream.codec_context.thread_count = threads
            stream.codec_context.thread_type = "FRAME"
            for frame in container.decode(stream):
                if frame.pts is not None:
                    yield frame.pts * _NS_PER_TICK, frame
    except (av.FFmpegError, OSError):
        return  # the frames that did not come out are missing, and are counted as such


def decoded_frames(path: Path) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames of a segment with their times in ns, in the order in which they are shown; none of what is no video."""
    try:
        container = av.open(str(path))
        stream = container.streams.video[0]
    except (av.FFmpegError, OSError, IndexError):
        return
    yield from _decoded(container, stream)


def read_bytes(dataset: Path, row: FrameRow) -> bytes:
    """The bytes of a row's packet, as they lie in the file.

    Raises:
        DatasetError: The reference leads out of the dataset.
        ProofError: They can't be read.
    """
    path = inside(dataset, row.uri)
    try:
        with path.open("rb") as stream:
            stream.seek(row.byte_offset or 0)
            return stream.read(row.byte_size or 0)
    except OSError as error:
        raise ProofError(f"packet can't be read: {error.strerror or error}: {path}") from error
