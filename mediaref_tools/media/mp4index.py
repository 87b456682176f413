"""Where the packets of an MP4 file lie and when its frames are shown, by the index that libavformat made of it.

The index has decoding times; where the headers tell that frames are shown at other ones, the packets are gone through
once. Files whose samples are not all alike, or not all shown, are left to those who read packet by packet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.video.stream import VideoStream

from mediaref_tools.media.gop import Coding, PacketTable
from mediaref_tools.media.mediafile import file_size

__all__ = ["mp4_table"]

# Of whose packets alone a decoder knows all that there is to know; others go by depths and palettes in the headers.
_SELF_CONTAINED = ("h264", "hevc", "vp9", "libdav1d", "mjpeg", "ffv1")
_HEADERS_BYTES = 2**28  # of a `moov` box: 100 hours of video have less


def mp4_table(
    file: Path | IO[bytes], stream: VideoStream, scan: Callable[[], Iterable[av.Packet[VideoStream]]] | None
) -> PacketTable | None:
    """The packets of an MP4 file; None where there may be more to them than the index tells.

    Args:
        file: The file.
        stream: Its video stream, just opened.
        scan: Demuxes the stream from its start; None where that costs too much.
    """
    headers = _headers(file)
    context, index = stream.codec_context, list(stream.index_entries)
    if context.codec.name not in _SELF_CONTAINED or headers is None:
        return None
    if not index or any(entry.is_discard for entry in index):
        return None
    if any(count != b"\0\0\0\1" for count in _after(headers, b"stsd", 4)) or b"encv" in headers:
        return None
    if b"ctts" in headers:
        if scan is None:
            return None
        packets = [packet for packet in scan() if packet.size]
        rows = [(p.pos, p.size, bool(p.is_keyframe), p.pts) for p in packets if not (p.is_discard or p.is_corrupt)]
        if len(rows) != len(index) or any(value is None for row in rows for value in row):
            return None
    else:
        rows = [(entry.pos, entry.size, entry.is_keyframe, entry.timestamp) for entry in index]
    offset, size, keyframe, shown = (np.array(column) for column in zip(*rows, strict=True))
    if not keyframe[0] or (offset < 0).any() or (size <= 0).any() or len(np.unique(shown)) != len(shown):
        return None
    colours = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    coding = Coding(context.codec.name, context.extradata or b"", context.width, context.height, colours)
    return PacketTable(coding, offset, size, keyframe, shown)


def _headers(file: Path | IO[bytes]) -> bytes | None:
    """The content of the `moov` box; None where there is none alone: fragments have headers of their own."""
    found, end = None, file_size(file)
    with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
        at = stream.tell()
        try:
            for kind, begin, length in _boxes(stream, end):
                if kind == b"moof" or (kind == b"moov" and (found is not None or length > _HEADERS_BYTES)):
                    return None
                if kind == b"moov":
                    stream.seek(begin)
                    found = stream.read(length)
        finally:
            stream.seek(at)
    return found


def _boxes(stream: IO[bytes], end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and length of the content of a file's boxes (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= end:
        stream.seek(at)
        head = stream.read(16)
        length, skip = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, skip = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - at
        if length < skip:
            return
        yield head[4:8], at + skip, length - skip
        at += length


def _after(headers: bytes, kind: bytes, skip: int) -> Iterator[bytes]:
    """The 4 bytes behind each occurrence of a box's name and some more."""
    at = headers.find(kind)
    while at >= 0:
        begin = at + len(kind) + skip
        yield headers[begin : begin + 4]
        at = headers.find(kind, at + 1)
