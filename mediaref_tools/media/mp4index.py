"""Where the packets of an MP4 file lie and when its frames are shown, by the index that libavformat made of it.

The index has decoding times; how much later frames are shown is in the headers. Where that is told in a way that is not
plain, the packets are gone through once. Files whose samples are not all alike, or not all shown, are left to those who
read packet by packet.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

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
    rows = [(entry.pos, entry.size, entry.is_keyframe, entry.timestamp) for entry in index]
    offset, size, keyframe, decoded = (np.array(column) for column in zip(*rows, strict=True))
    later = _later(headers, len(rows)) if b"ctts" in headers else np.zeros(len(rows), np.int64)
    shown = None if later is None else decoded + later
    if shown is None or shown.min() != (stream.start_time or 0):
        shown = None if scan is None else _scanned(scan(), offset)
    if shown is None:
        return None
    if not keyframe[0] or (offset < 0).any() or (size <= 0).any() or len(np.unique(shown)) != len(shown):
        return None
    colours = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    coding = Coding(context.codec.name, context.extradata or b"", context.width, context.height, colours)
    return PacketTable(coding, offset, size, keyframe, shown)


def _scanned(packets: Iterable[av.Packet[VideoStream]], offset: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """When each frame is shown, by its packet; None where packets are others than the index has."""
    found = [(packet.pos, packet.pts) for packet in packets if packet.size and not packet.is_discard]
    if [at for at, _ in found] != offset.tolist() or any(pts is None for _, pts in found):
        return None
    return np.array([pts for _, pts in found], np.int64)


def _later(headers: bytes, count: int) -> NDArray[np.int64] | None:
    """How many ticks after its decoding each frame is shown (ISO/IEC 14496-12, 8.6.1.3), (count,).

    None where there are several video tracks, where another number of frames is told of, or where one would be shown
    before its decoding: what libavformat makes of these is not ours to guess.
    """
    tracks = [box for kind, box in _inner(headers) if kind == b"trak"]
    media = [_inside(track, b"mdia") for track in tracks]
    videos = [box for box in media if _inside(box, b"hdlr")[8:12] == b"vide"]
    if len(videos) != 1:
        return None
    box = _inside(videos[0], b"minf", b"stbl", b"ctts")
    runs = np.frombuffer(box[8 : 8 + len(box[8:]) // 8 * 8], ">i4").astype(np.int64).reshape(-1, 2)
    lengths, ticks = runs[:, 0], runs[:, 1]
    if len(runs) != int.from_bytes(box[4:8], "big") or (runs < 0).any() or lengths.sum() != count:
        return None
    return np.repeat(ticks, lengths)


def _inside(box: bytes, *path: bytes) -> bytes:
    """The content of the first box at a path of kinds; nothing where there is none."""
    for kind in path:
        box = next((inner for found, inner in _inner(box) if found == kind), b"")
    return box


def _inner(box: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes in the content of one."""
    stream = io.BytesIO(box)
    return ((kind, box[begin : begin + length]) for kind, begin, length in _boxes(stream, len(box)))


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
