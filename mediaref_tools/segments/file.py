"""A segment's file: made, finished, and read back as it lies on disk.

Time base 1/1 000 000, first pts 0, so a packet's pts is exact in whole microseconds and in nanoseconds; 1/1e9 would
corrupt gaps above 2.1 s silently, 1/90000 is not exact, Matroska rounds to 1 ms.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from numpy.typing import NDArray

from mediaref_tools.errors import EncodeError, OutputError

__all__ = [
    "TIME_BASE",
    "Needs",
    "Packets",
    "SegmentFile",
    "abandon",
    "create",
    "finish",
    "in_microseconds",
    "needs",
    "read_back",
    "read_packets",
    "read_shown",
]

TIME_BASE = Fraction(1, 1_000_000)
_RANGES = {1: "limited", 2: "full"}
_SPACES = {0: "rgb", 1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}  # ITU-T H.273 matrix coefficients


class Packets(NamedTuple):
    """A segment's packets in order: pts in µs, place and size in the file, and whether a keyframe.

    Arrays of one length: int64, int64, int64, bool.
    """

    pts_us: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    keyframe: NDArray[np.bool_]


class Needs(NamedTuple):
    """What the decoder of a segment needs to know, and nobody has to open the file for. `extradata` is in base64."""

    extradata: str
    coded_width: int
    coded_height: int
    pixel_format: str
    color_range: str
    color_space: str


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


def in_microseconds(part: av.VideoStream | av.CodecContext | av.VideoFrame | av.Packet[Stream]) -> None:
    """Let its times count microseconds."""
    part.time_base = TIME_BASE


def create(path: Path) -> OutputContainer:
    """Start a new MP4 file, its index in front once it is finished.

    Raises:
        OutputError: There is one already, or it can't be made.
    """
    if path.exists():
        raise OutputError(f"a segment is already there: {path}")
    try:
        return av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"segment can't be created: {error}") from error


def finish(container: OutputContainer, path: Path) -> None:
    """Write the index, and sync.

    Raises:
        OutputError: It can't be written.
    """
    try:
        container.close()
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"segment can't be finished: {error}") from error


def abandon(container: OutputContainer) -> None:
    """Let go of a file, whatever state it is in."""
    try:
        container.close()
    except (av.FFmpegError, OSError, ValueError):
        return


def read_packets(stream: av.VideoStream) -> Packets:
    """The packet table of an open stream of a container that has an index (MP4), without reading any packet.

    For streams without B-frames: of others, an index has the times of decoding.
    """
    return _packets([(entry.timestamp, entry.pos, entry.size, entry.is_keyframe) for entry in stream.index_entries])


def read_shown(container: InputContainer, stream: av.VideoStream) -> Packets:
    """The packets of an open stream in the order in which they are shown, B-frames or not. It ends at its beginning."""
    index = read_packets(stream)
    context: av.VideoCodecContext | None = stream.codec_context  # PyAV's types don't say that a damaged file has none
    if context is None or not context.has_b_frames:
        return index
    # Which are keyframes, the index says: in packets libavformat marks those besides that it finds out by itself.
    keyframes = set(index.offset[index.keyframe].tolist())
    packets = ((packet.pts, packet.pos or 0, packet.size) for packet in container.demux(stream) if packet.size)
    shown = sorted((pts or 0, place, size, place in keyframes) for pts, place, size in packets)
    container.seek(0)
    return _packets(shown)


def _packets(rows: Sequence[tuple[int, int, int, bool]]) -> Packets:
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Packets(table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(bool))


def needs(stream: av.VideoStream) -> Needs:
    """What the decoder of an open stream needs."""
    context = stream.codec_context
    return Needs(
        extradata=base64.b64encode(context.extradata or b"").decode("ascii"),
        coded_width=context.width,
        coded_height=context.height,
        pixel_format=context.pix_fmt or "",
        color_range=_RANGES.get(context.color_range, "unknown"),
        color_space=_SPACES.get(context.colorspace, "unknown"),
    )


def read_back(
    path: Path, expected: Sequence[int], read: Callable[[InputContainer, av.VideoStream], Packets] = read_shown
) -> SegmentFile:
    """Read a finished segment back, and compare its packets' times with those that they were given.

    Args:
        path: Of the file.
        expected: pts in µs, in the order that `read` has.
        read: What takes the packets out of the open stream.

    Raises:
        EncodeError: What lies in the file is something else.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            if stream.time_base != TIME_BASE:
                raise EncodeError(f"muxer wrote time base {stream.time_base} instead of {TIME_BASE}: {path}")
            packets = read(container, stream)
            needed = needs(stream)
    except (av.FFmpegError, IndexError) as error:
        raise EncodeError(f"segment can't be read back: {error}: {path}") from error
    if packets.pts_us.tolist() != list(expected):
        raise EncodeError(
            f"segment holds {len(packets.pts_us)} packets whose times are not those of the {len(expected)} frames "
            f"that were encoded: {path}"
        )
    if not packets.keyframe[0]:
        raise EncodeError(f"segment does not begin with a keyframe: {path}")
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    return SegmentFile(packets, *needed, path.stat().st_size, sha256)
