"""Frames of any video file, by time: exactly the one that is on screen then.

A frame's time counts from the zero of the container's own clock, as libavformat reports it. The frame for a time `t` is
the last whose time is not after `t`; its own duration is ignored (MediaRef Specification 1.0, section 3.2).
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from os import PathLike, fsdecode
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref_tools.errors import FrameError, MediaError
from mediaref_tools.media.crew import Crew
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.failures import explained
from mediaref_tools.media.indexed import IndexedVideo
from mediaref_tools.media.storage import Ranges, StorageOptions, local_file, open_ranges, ranged_file
from mediaref_tools.media.stream import FrameStream
from mediaref_tools.media.uri import scheme, shown
from mediaref_tools.media.videobatch import VideoBatch, VideoFrame, VideoMetadata
from mediaref_tools.pixels.raster import Raster, VideoFormat, check_size

__all__ = ["VideoDecoder"]

_ROUNDING = Fraction(1, 10**6)
_FAR = 2**63


class VideoDecoder:
    """Decodes frames of one video file by time. A context manager, for one thread at a time.

    Times of frames are ints in ns; the methods named after TorchCodec's take and give float seconds, in which a frame's
    own `pts_seconds` always finds that frame.

    Examples:
        >>> with mrt.VideoDecoder("clips/clip.mp4") as video:
        ...     print(video.metadata.num_frames, video.metadata.codec, video.pts_ns[:3].tolist())
        ...     frame = video.frame_at(50_000_000)
        ...     print(frame.data.shape, frame.pts_ns, frame.until_ns)
        ...     print(video.get_frames_played_at([0.0, 1.5]))
        120 h264 [0, 33488000, 67795000]
        (480, 640, 3) 33488000 67795000
        VideoBatch(shape=(2, 3, 480, 640), pts_ns=[0, 1466767000])
    """

    def __init__(
        self,
        source: str | PathLike[str],
        *,
        storage_options: StorageOptions | None = None,
        threads: int | None = None,
        exact_colours: bool = False,
    ) -> None:
        """Open a video. Its headers and index are read; a remote file is read in ranges.

        Args:
            source: A path or a uri.
            storage_options: For fsspec.
            threads: How many decode at once where several frames are asked for; None for one a core that this process
                may use.
            exact_colours: As `open_dataset` has it.

        Raises:
            FrameError: Less than one thread.
            RefError: It is a still image, or no uri that can be followed.
            MediaNotFound: There is nothing there.
            MediaError: It is no video that can be decoded.
            ExtraError: Its storage needs a package that is not installed.
        """
        self._crew = Crew(threads)
        uri = source if isinstance(source, str) else _path_uri(source)
        self._name = shown(uri)
        file: Path | IO[bytes] | None
        file = local_file(uri) if scheme(uri) != "data" else io.BytesIO(DataURI.from_uri(uri).decoded_data)
        self._file: Path | Ranges | None = file if isinstance(file, Path) else None
        if file is None:
            self._file = open_ranges(uri, storage_options)
            file = ranged_file(self._file)
        with explained(uri):
            self._stream = FrameStream(file, self._name)
        self._clock = self._stream.clock
        self._exact, self._raster = exact_colours, Raster(exact=exact_colours)

    def __repr__(self) -> str:
        return f"VideoDecoder({self._name!r})"

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, as the headers tell."""
        context = self._stream.stream.codec_context
        return context.height, context.width

    @cached_property
    def metadata(self) -> VideoMetadata:
        """What the video is. Its first and last frames are decoded, packets counted where no header tells how many."""
        clock = self._clock
        with explained(self._name):
            first = self._stream.first()
            begin = first.pts or 0
            self._stream.last()
            end = self._stream.until
            count = self._stream.frame_count()
        stream = self._stream.stream
        rate = stream.average_rate
        return VideoMetadata(
            count,
            clock.seconds(end - begin),
            clock.seconds(begin),
            clock.seconds(end),
            float(rate) if rate else None,
            first.width,
            first.height,
            stream.codec_context.name,
            first.format.name,
            int(first.rotation),
        )

    @cached_property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64: the first ns at which each frame is on screen, ascending. Reads the file's packets once.

        Raises:
            MediaError: The video is damaged or cut.
        """
        with explained(self._name):
            return np.array([self._ns(tick) for tick in self._stream.ticks()], dtype=np.int64)

    def frame_at(
        self,
        pts_ns: int,
        format: VideoFormat = "rgb",  # noqa: A002 - as MediaRef.to_ndarray has it
        *,
        size: tuple[int, int] | None = None,
    ) -> VideoFrame:
        """Decode the frame on screen at a time.

        Args:
            pts_ns: The time.
            format: As in `MediaRef.to_ndarray`; or "yuv": the planes of 8-bit 4:2:0 video, (H * 3 / 2, W).
            size: Height and width that it is resized to, on the way from the decoder.

        Raises:
            FrameError: Before the first frame, or at or after the stream's end; the message says the range.
            MediaError: The video is damaged there.
        """
        with explained(self._name):
            return self._frame(self._clock.tick(pts_ns), format, size if size is None else check_size(size))

    def frames_at(
        self,
        pts_ns: ArrayLike,
        format: VideoFormat = "rgb",  # noqa: A002
        *,
        size: tuple[int, int] | None = None,
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Decode frames by time, in any order, each once: yields `(position in pts_ns, frame)` as they are decoded.

        Positions of one frame follow each other, and share its `data`. `format` and `size` are as in `frame_at`.

        Raises:
            FrameError, MediaError: As `frame_at`.
        """
        return self._frames(self._clock.ticks(pts_ns), format, size if size is None else check_size(size))

    def get_frames_played_at(self, seconds: ArrayLike) -> VideoBatch:
        """Decode the frames on screen at some times, in float seconds, in the order asked.

        Raises:
            FrameError: A time is outside of the stream, or no number.
        """
        times = np.atleast_1d(np.asarray(seconds, dtype=np.float64)).tolist()
        ticks = [self._clock.tick_at_seconds(time) for time in times]
        frames: list[VideoFrame | None] = [None] * len(ticks)
        for position, frame in self._frames(ticks, "rgb"):
            frames[position] = frame
        return self._batch([frame for frame in frames if frame is not None])

    def get_frames_played_in_range(
        self, start_seconds: float, stop_seconds: float, fps: float | None = None
    ) -> VideoBatch:
        """Decode every frame that is on screen in `[start, stop)`; with `fps`, what is on screen at each of its ticks.

        Raises:
            FrameError: The range is not within the stream, or ends before it starts, or `fps` is not positive.
        """
        if not start_seconds <= stop_seconds:
            raise FrameError(f"range from {start_seconds} to {stop_seconds} s ends before it starts: {self._name}")
        if fps is not None and not (fps > 0 and math.isfinite(fps)):
            raise FrameError(f"{fps} frames a second: expected a number above 0")
        begin, end = self.metadata.begin_stream_seconds, self.metadata.end_stream_seconds
        if start_seconds < begin or stop_seconds > end:
            raise FrameError(
                f"range from {start_seconds} to {stop_seconds} s is not within the stream, which runs from {begin} to "
                f"{end} s: {self._name}"
            )
        if start_seconds == stop_seconds:
            return self._batch([])
        if fps is not None:
            # In exact numbers; what comes by rounding within a millionth of a step of the end is the end.
            count = math.ceil((Fraction(stop_seconds) - Fraction(start_seconds)) * Fraction(fps) - _ROUNDING)
            return self.get_frames_played_at([start_seconds + at / fps for at in range(max(1, count))])
        stop = self._clock.tick_before_seconds(stop_seconds)
        with explained(self._name):
            frames = [self._frame(self._clock.tick_at_seconds(start_seconds), "rgb")]
            while (tick := self._stream.until) <= stop:
                frames.append(self._frame(tick, "rgb"))
        return self._batch(frames)

    def close(self) -> None:
        """Close the file. Safe to call again."""
        indexed = self.__dict__.pop("_indexed", None)
        if indexed is not None:
            indexed.close()
        self._stream.close()
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _frame(self, tick: int, wanted: VideoFormat, size: tuple[int, int] | None = None) -> VideoFrame:
        frame = self._stream.at(tick)
        pts = frame.pts
        assert pts is not None  # noqa: S101 - `at` gives none without
        begin, end = self._ns(pts), self._clock.ns(self._stream.until)
        return VideoFrame(self._raster.array(frame, wanted, size), begin, end)

    def _ns(self, tick: int) -> int:
        time_ns = self._clock.ns(tick)
        if not -_FAR <= time_ns < _FAR:
            raise MediaError(f"video has a frame at {time_ns} ns, which no reference can name: {self._name}")
        return time_ns

    def _frames(
        self, ticks: Sequence[int], wanted: VideoFormat, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, VideoFrame]]:
        with explained(self._name):
            video = self._indexed if len(set(ticks)) > 1 and not self._stream.closed else None
            order = sorted(range(len(ticks)), key=ticks.__getitem__)
            spans = [None if video is None else video.span(ticks[position]) for position in order]
            begins = list(dict.fromkeys(span[0] for span in spans if span is not None))
            take = None if video is None else video.ahead(begins, wanted, size)
            last: VideoFrame | None = None
            for position, span in zip(order, spans, strict=True):
                if last is None or ticks[position] >= self._clock.tick(last.until_ns):
                    data = None if take is None or span is None else take(span[0])
                    if data is None or span is None:
                        last = self._frame(ticks[position], wanted, size)
                    else:
                        last = VideoFrame(data, self._ns(span[0]), self._clock.ns(span[1]))
                yield position, last

    @cached_property
    def _indexed(self) -> IndexedVideo | None:
        table = None if self._file is None else self._stream.table()
        if table is None or self._file is None:
            return None
        return IndexedVideo(self._file, self._name, table, self._crew, exact_colours=self._exact)

    def _batch(self, frames: Sequence[VideoFrame]) -> VideoBatch:
        sizes = {frame.data.shape for frame in frames}
        if len(sizes) > 1:
            raise FrameError(f"frames of shapes {sorted(sizes)} don't fit one batch: ask for them apart: {self._name}")
        empty = (0, self.metadata.height, self.metadata.width, 3) if not frames else ()
        data = np.stack([frame.data for frame in frames]) if frames else np.empty(empty, np.uint8)
        begins = [self._clock.tick(frame.pts_ns) for frame in frames]
        ends = [self._clock.tick(frame.until_ns) for frame in frames]
        return VideoBatch(
            np.ascontiguousarray(data.transpose(0, 3, 1, 2)),
            np.array([frame.pts_ns for frame in frames], dtype=np.int64),
            np.array([self._clock.seconds(begin) for begin in begins]),
            np.array([self._clock.seconds(end - begin) for begin, end in zip(begins, ends, strict=True)]),
        )


def _path_uri(path: PathLike[str]) -> str:
    """A path object is never a uri, whatever its name looks like."""
    text = fsdecode(path)
    return f"./{text}" if scheme(text) else text
