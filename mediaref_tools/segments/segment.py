"""One segment: frames in, an MP4 file and the table of its packets out. No B-frames, unless asked for: pts = dts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

import av
from av.video.reformatter import ColorRange, VideoReformatter

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.segments.file import SegmentFile, abandon, create, finish, in_microseconds, read_back
from mediaref_tools.segments.processor import x264_processor
from mediaref_tools.segments.scheduling import leave_realtime
from mediaref_tools.segments.tuning import TUNINGS

__all__ = ["Encoding", "SegmentWriter", "Shape"]

_MATRICES = {"rgb": 0, "gray": 2, "bt601": 5}  # ITU-T H.273 code points, these too:
_BT709_PRIMARIES, _SRGB_TRANSFER = 1, 13
_NOMINAL_RATE = 25  # what rate control takes for a frame's duration; real times are in the packets


class Encoding(NamedTuple):
    """How to encode. `crf` is the codec's own scale; `gop` frames between keyframes. FFV1 has neither.

    libx264 makes other bytes with other `threads`, of the same quality; the other encoders do not.

    Attributes:
        b_frames: Between two others at most, h264 only; none is a reference, so that a reader can leave them out.
        preset: The encoder's own name for how much it tries; "" for the default's.
        params: More for the encoder, as `x264-params` or `svtav1-params` have it.
    """

    codec: Literal["h264", "av1", "ffv1"]
    crf: int
    gop: int
    threads: int = 1
    b_frames: int = 0
    preset: str = ""
    params: str = ""


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
        self._container = create(path)
        try:
            stream = self._container.add_stream(
                _ENCODERS[encoding.codec], rate=_NOMINAL_RATE, options=_options(encoding)
            )
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for the type checker
            stream.width, stream.height = shape.width, shape.height
            stream.pix_fmt = "yuv420p" if encoding.codec == "av1" else shape.pixel_format
            in_microseconds(stream)
            context = stream.codec_context
            in_microseconds(context)
            context.gop_size = encoding.gop
            context.max_b_frames = encoding.b_frames
            context.thread_count = encoding.threads
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
            raise EncodeError(f"{self._encoding.codec} encoder failed at frame {len(self._pts_us)}: {error}") from error

    def close(self) -> SegmentFile:
        """Finish the file, sync it, read its packets back and compare them with what was asked for.

        Raises:
            OutputError: It can't be written.
            EncodeError: What lies in the file is not what was given to the encoder, frame for frame.
        """
        self._mux(None)
        finish(self._container, self.path)
        found = read_back(self.path, self._pts_us)
        told = ("full" if self._shape.full_range else "limited", self._shape.color_space)
        if self._encoding.codec != "ffv1" and (found.color_range, found.color_space) != told:
            raise EncodeError(
                f"segment says {found.color_range} {found.color_space}, not {' '.join(told)}: {self.path}"
            )
        return found._replace(color_range=told[0], color_space=told[1])  # FFV1 itself says neither

    def abort(self) -> None:
        """Let go of the file, whatever state it is in."""
        abandon(self._container)


_ENCODERS = {"h264": "libx264", "av1": "libsvtav1", "ffv1": "ffv1"}


def _options(encoding: Encoding) -> dict[str, str]:
    if encoding.codec == "ffv1":
        return {"level": "3", "slices": "4", "slicecrc": "1"}
    crf, preset = str(encoding.crf), encoding.preset or TUNINGS["play"][encoding.codec].preset
    more = f":{encoding.params}" if encoding.params else ""
    if encoding.codec == "h264":
        # force-cfr: rate control looks at frame order, not at irregular durations. It leaves the times alone.
        params = f"scenecut=0:force-cfr=1:b-pyramid=none{x264_processor()}{more}"
        return {"preset": preset, "crf": crf, "x264-params": params}
    return {"preset": preset, "crf": crf, "svtav1-params": f"lp={encoding.threads}{more}"}
