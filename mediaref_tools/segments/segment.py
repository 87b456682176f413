"""One segment: frames in, an MP4 file and the table of its packets out.

Time base 1/1 000 000, first pts 0, no B-frames (pts = dts), so a packet's pts is exact in whole microseconds and in
nanoseconds; 1/1e9 would corrupt gaps above 2.1 s silently, 1/90000 is not exact, Matroska rounds to 1 ms.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from fractions import Fraction
from hashlib import file_digest
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.segments.scheduling import leave_realtime

__all__ = ["DEFAULT_CRF", "TIME_BASE", "Encoding", "Packets", "SegmentFile", "SegmentWriter", "Shape", "read_packets"]

TIME_BASE = Fraction(1, 1_000_000)
DEFAULT_CRF = {"h264": 23, "av1": 30}
_MATRICES = {"rgb": 0, "gray": 2, "bt601": 5}  # ITU-T H.273 code points, these too:
_BT709_PRIMARIES, _SRGB_TRANSFER = 1, 13
_NOMINAL_RATE = 25  # what rate control takes for a frame's duration; real times are in the packets


class Encoding(NamedTuple):
    """How to encode. `crf` is the codec's own scale; `gop` frames between keyframes. FFV1 has neither."""

    codec: Literal["h264", "av1", "ffv1"]
    crf: int
    gop: int


class Shape(NamedTuple):
    """What all frames of a segment have in common: the coded size, and how values are stored.

    `pixel_format` is the frames': for h264 and av1 yuvj420p, or yuv420p where the range is limited.
    """

    width: int
    height: int
    pixel_format: str = "yuvj420p"
    full_range: bool = True

    @property
    def color_space(self) -> Literal["bt601", "rgb", "gray"]:
        """What its values are: only YUV needs a matrix."""
        if self.pixel_format.startswith("yuv"):
            return "bt601"
        return "gray" if self.pixel_format.startswith("gray") else "rgb"


class Packets(NamedTuple):
    """A segment's packets in order: pts in µs, place and size in the file, and whether a keyframe.

    Arrays of one length: int64, int64, int64, bool.
    """

    pts_us: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    keyframe: NDArray[np.bool_]


class SegmentFile(NamedTuple):
    """A closed segment as it lies on disk: its packets as read back, and what its decoder needs."""

    packets: Packets
    extradata: str
    coded_width: int
    coded_height: int
    pixel_format: str
    color_range: str
    color_space: str
    bytes: int
    sha256: str


class SegmentWriter:
    """Encodes frames of one size into one new file. Not for use by two threads at once."""

    def __init__(self, path: Path, encoding: Encoding, shape: Shape) -> None:
        """Start a file.

        Args:
            path: Must not exist.
            encoding: How.
            shape: Every frame's; h264 and av1 take even sizes.

        Raises:
            OutputError: The file can't be made.
            EncodeError: The encoder refuses.
        """
        self.path = path
        self._encoding, self._shape = encoding, shape
        self.bytes_out = 0
        """Bytes of packets so far; the encoder may still hold some frames back."""
        self._pts_us: list[int] = []
        self._reformatter = VideoReformatter()
        if encoding.codec == "av1":
            # libsvtav1 prints its settings straight to stderr; it reads this when an encoder opens.
            os.environ.setdefault("SVT_LOG", "1")
        if path.exists():
            raise OutputError(f"a segment is already there: {path}")
        try:
            self._container = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"segment can't be created: {error}") from error
        try:
            stream = self._container.add_stream(
                _ENCODERS[encoding.codec], rate=_NOMINAL_RATE, options=_options(encoding)
            )
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for the type checker
            stream.width, stream.height = shape.width, shape.height
            stream.pix_fmt = "yuv420p" if encoding.codec == "av1" else shape.pixel_format
            stream.time_base = TIME_BASE
            context = stream.codec_context
            context.time_base = TIME_BASE
            context.gop_size = encoding.gop
            context.max_b_frames = 0
            context.thread_count = 1
            # BT.601, full range as JPEG has it; untagged, players would show it with the wrong levels.
            context.color_range = self._range
            context.colorspace = _MATRICES[shape.color_space]
            context.color_primaries = _BT709_PRIMARIES
            context.color_trc = _SRGB_TRANSFER
            context.open(strict=False)
            if encoding.codec == "av1":
                leave_realtime()
        except (av.FFmpegError, ValueError) as error:
            self.abort()
            raise EncodeError(
                f"{_ENCODERS[encoding.codec]} refuses {shape.width}x{shape.height} "
                f"crf={encoding.crf} gop={encoding.gop} of {shape.pixel_format}: {error}"
            ) from error
        self._stream = stream

    @property
    def _range(self) -> ColorRange:
        return ColorRange.JPEG if self._shape.full_range else ColorRange.MPEG

    def __len__(self) -> int:
        return len(self._pts_us)

    def add(self, frame: av.VideoFrame, pts_us: int) -> None:
        """Encode one frame (of the segment's shape), later than the one before. The frame is changed.

        Raises:
            OutputError, EncodeError: It could not be written, or encoded.
        """
        if self._encoding.codec == "av1":
            frame = self._reformatter.reformat(
                frame, format="yuv420p", src_color_range=self._range, dst_color_range=self._range, threads=1
            )
        frame.pict_type = 0  # a JPEG decoder marks every frame as I, which the encoder would obey
        frame.pts = pts_us
        frame.time_base = TIME_BASE
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
            raise EncodeError(f"{self._encoding.codec} encoder failed at frame {len(self._pts_us)}: {error}") from error

    def close(self) -> SegmentFile:
        """Finish the file, sync it, read its packets back and compare them with what was asked for.

        Raises:
            OutputError: It can't be written.
            EncodeError: What lies in the file is not what was given to the encoder, frame for frame.
        """
        self._mux(None)
        try:
            self._container.close()
            with self.path.open("rb+") as stream:
                os.fsync(stream.fileno())
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"segment can't be finished: {error}") from error
        return _read_back(self.path, self._pts_us, self._shape)

    def abort(self) -> None:
        """Let go of the file, whatever state it is in."""
        try:
            self._container.close()
        except (av.FFmpegError, OSError, ValueError):
            return


_ENCODERS = {"h264": "libx264", "av1": "libsvtav1", "ffv1": "ffv1"}


def _options(encoding: Encoding) -> dict[str, str]:
    crf = str(encoding.crf)
    if encoding.codec == "h264":
        # force-cfr: rate control looks at frame order, not at irregular durations. It leaves the times alone.
        return {"preset": "veryfast", "crf": crf, "x264-params": "scenecut=0:force-cfr=1"}
    if encoding.codec == "ffv1":
        return {"level": "3", "slices": "4", "slicecrc": "1"}
    # Not preset 10: in SVT-AV1 4.1 it skips blocks that changed, in frames between others (mean square error 1950
    # where its neighbours have 5), on pictures that jump; 9 does not, and costs a quarter more time.
    return {"preset": "9", "crf": crf, "svtav1-params": "lp=1"}


def _read_back(path: Path, expected: Sequence[int], shape: Shape) -> SegmentFile:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.time_base != TIME_BASE:
                raise EncodeError(f"muxer wrote time base {stream.time_base} instead of {TIME_BASE}: {path}")
            packets = read_packets(stream)
            context = stream.codec_context
            extradata = base64.b64encode(context.extradata or b"").decode("ascii")
            size = (context.width, context.height)
            pixel_format = context.pix_fmt or ""
    except (av.FFmpegError, IndexError) as error:
        raise EncodeError(f"segment can't be read back: {error}: {path}") from error
    if packets.pts_us.tolist() != list(expected):
        raise EncodeError(
            f"segment holds {len(packets.pts_us)} packets whose times are not those of the {len(expected)} frames "
            f"that were encoded: {path}"
        )
    if not packets.keyframe[0]:
        raise EncodeError(f"segment does not begin with a keyframe: {path}")
    with path.open("rb") as stream_:
        sha256 = file_digest(stream_, "sha256").hexdigest()
    tags = ("full" if shape.full_range else "limited", shape.color_space)
    return SegmentFile(packets, extradata, *size, pixel_format, *tags, path.stat().st_size, sha256)


def read_packets(stream: av.VideoStream) -> Packets:
    """The packet table of an open stream of a container that has an index (MP4), without reading any packet."""
    entries = [(entry.timestamp, entry.pos, entry.size, entry.is_keyframe) for entry in stream.index_entries]
    table = np.array(entries, dtype=np.int64).reshape(-1, 4)
    return Packets(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool))
