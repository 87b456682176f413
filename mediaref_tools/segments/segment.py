"""One segment: frames in, an MP4 file and the table of its packets out. No B-frames: pts = dts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

import av
from av.video.reformatter import ColorRange, VideoReformatter

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.segments.file import SegmentFile, abandon, create, finish, in_microseconds, read_back
from mediaref_tools.segments.scheduling import leave_realtime

__all__ = ["DEFAULT_CRF", "Encoding", "SegmentWriter"]

DEFAULT_CRF = {"h264": 23, "av1": 30}
_BT601, _BT709_PRIMARIES, _SRGB_TRANSFER = 5, 1, 13  # ITU-T H.273 code points
_NOMINAL_RATE = 25  # what rate control takes for a frame's duration; real times are in the packets


class Encoding(NamedTuple):
    """How to encode. `crf` is the codec's own scale; `gop` frames between keyframes."""

    codec: Literal["h264", "av1"]
    crf: int
    gop: int


class SegmentWriter:
    """Encodes frames of one size into one new file. Not for use by two threads at once."""

    def __init__(self, path: Path, encoding: Encoding, width: int, height: int) -> None:
        """Start a file.

        Args:
            path: Must not exist.
            encoding: How.
            width, height: The coded size, even.

        Raises:
            OutputError: The file can't be made.
            EncodeError: The encoder refuses.
        """
        self.path = path
        self._codec = encoding.codec
        self.bytes_out = 0
        """Bytes of packets so far; the encoder may still hold some frames back."""
        self._pts_us: list[int] = []
        self._reformatter = VideoReformatter()
        if encoding.codec == "av1":
            # libsvtav1 prints its settings straight to stderr; it reads this when an encoder opens.
            os.environ.setdefault("SVT_LOG", "1")
        self._container = create(path)
        try:
            stream = self._container.add_stream(
                _ENCODERS[encoding.codec], rate=_NOMINAL_RATE, options=_options(encoding)
            )
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for the type checker
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if encoding.codec == "h264" else "yuv420p"
            in_microseconds(stream)
            context = stream.codec_context
            in_microseconds(context)
            context.gop_size = encoding.gop
            context.max_b_frames = 0
            context.thread_count = 1
            # Full-range BT.601, as JPEG has it; untagged, players would show it with the wrong levels.
            context.color_range = ColorRange.JPEG
            context.colorspace = _BT601
            context.color_primaries = _BT709_PRIMARIES
            context.color_trc = _SRGB_TRANSFER
            context.open(strict=False)
            if encoding.codec == "av1":
                leave_realtime()
        except (av.FFmpegError, ValueError) as error:
            self.abort()
            raise EncodeError(
                f"{_ENCODERS[encoding.codec]} refuses {width}x{height} crf={encoding.crf} gop={encoding.gop}: {error}"
            ) from error
        self._stream = stream

    def __len__(self) -> int:
        return len(self._pts_us)

    def add(self, frame: av.VideoFrame, pts_us: int) -> None:
        """Encode one frame (yuvj420p, of the coded size), later than the one before. The frame is changed.

        Raises:
            OutputError, EncodeError: It could not be written, or encoded.
        """
        if self._codec == "av1":
            frame = self._reformatter.reformat(
                frame,
                format="yuv420p",
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.JPEG,
                threads=1,
            )
        frame.pict_type = 0  # a JPEG decoder marks every frame as I, which the encoder would obey
        frame.pts = pts_us
        in_microseconds(frame)
        self._pts_us.append(pts_us)
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self.bytes_out += packet.size
                self._container.mux(packet)
        except OSError as error:  # av.FFmpegError for an errno of the system is an OSError of its kind as well
            raise OutputError(f"segment can't be written: {error}") from error
        except (av.FFmpegError, ValueError) as error:
            raise EncodeError(f"{self._codec} encoder failed at frame {len(self._pts_us)}: {error}") from error

    def close(self) -> SegmentFile:
        """Finish the file, sync it, read its packets back and compare them with what was asked for.

        Raises:
            OutputError: It can't be written.
            EncodeError: What lies in the file is not what was given to the encoder, frame for frame.
        """
        self._mux(None)
        finish(self._container, self.path)
        return read_back(self.path, self._pts_us)

    def abort(self) -> None:
        """Let go of the file, whatever state it is in."""
        abandon(self._container)


_ENCODERS = {"h264": "libx264", "av1": "libsvtav1"}


def _options(encoding: Encoding) -> dict[str, str]:
    crf = str(encoding.crf)
    if encoding.codec == "h264":
        # force-cfr: rate control looks at frame order, not at irregular durations. It leaves the times alone.
        return {"preset": "veryfast", "crf": crf, "x264-params": "scenecut=0:force-cfr=1"}
    # Not preset 10: in SVT-AV1 4.1 it skips blocks that changed, in frames between others (mean square error 1950
    # where its neighbours have 5), on pictures that jump; 9 does not, and costs a quarter more time.
    return {"preset": "9", "crf": crf, "svtav1-params": "lp=1"}
