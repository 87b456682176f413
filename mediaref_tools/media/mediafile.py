"""Opening a media file with libavformat, and choosing its video stream."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import IO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from mediaref_tools.errors import MediaError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_PIXELS

__all__ = ["claimed_size", "file_size", "open_container", "video_stream"]

# What holds video in one file. Playlists (hls, dash, concat) are not here: they would have libavformat open whatever
# files and addresses a stranger wrote into them.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "ogg", "gif", "apng", "asf", "mxf",
    "nut", "ivf", "obu", "av1", "h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "mpjpeg", "dv", "wtv", "rm",
    "yuv4mpegpipe",
)  # fmt: skip
_HEAD_BYTES = 512
_TAIL_BYTES = 1
_STILLS = ("image/avif", "image/heic")  # libavformat opens them as videos of one frame


def open_container(file: Path | IO[bytes], name: str) -> InputContainer:
    """Open a file that holds video; nothing but headers and index is read.

    Args:
        file: A local file, or one that can seek.
        name: What messages call it.

    Raises:
        RefError: It is a still image.
        MediaError: It is none that can be opened.
    """
    # `file:` keeps libavformat from reading a protocol into a file's name.
    source = f"file:{file}" if isinstance(file, Path) else file
    options = {"format_whitelist": ",".join(_DEMUXERS), "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    try:
        container = av.open(source, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unopened(file, name, error) from error
    try:
        _check_kind(file, name)
    except BaseException:
        container.close()
        raise
    return container


def _check_kind(file: Path | IO[bytes], name: str) -> None:
    kind = sniff(_head(file))
    if kind in _STILLS:
        raise _is_still(kind, name)
    if kind == "image/gif" and b";" not in _piece(file, max(0, file_size(file) - _TAIL_BYTES), _TAIL_BYTES):
        # libavcodec would show what there is of the last frame.
        raise MediaError(f"GIF is cut: it has no end mark: copy it again: {name}")


def _is_still(kind: str, name: str) -> RefError:
    return RefError(f"this is a still image ({kind}): a reference to it has no pts_ns: {name}")


def _unopened(file: Path | IO[bytes], name: str, error: Exception) -> Exception:
    with contextlib.suppress(OSError, ValueError):
        head = _head(file)
        if not head:
            return MediaError(f"video of 0 bytes: {name}")
        kind = sniff(head)
        if kind.startswith("image/"):
            return _is_still(kind, name)
        if head.lstrip().startswith((b"#EXTM3U", b"ffconcat")):
            return MediaError(f"this is a playlist, which is not followed: refer to its files: {name}")
    return MediaError(f"not a video that can be opened, or it is cut or damaged: {error}: {name}")


def _head(file: Path | IO[bytes]) -> bytes:
    return _piece(file, 0, _HEAD_BYTES)


def _piece(file: Path | IO[bytes], begin: int, length: int) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as stream:
            stream.seek(begin)
            return stream.read(length)
    at = file.tell()  # libavformat does not look where it stands
    try:
        file.seek(begin)
        return file.read(length)
    finally:
        file.seek(at)


def file_size(file: Path | IO[bytes]) -> int:
    """Bytes of a file."""
    if isinstance(file, Path):
        return file.stat().st_size
    at = file.tell()
    try:
        return file.seek(0, io.SEEK_END)
    finally:
        file.seek(at)


def claimed_size(file: Path | IO[bytes]) -> int:
    """How many bytes a Matroska or AVI file should have, by its first header; 0 where none tells."""
    head = _head(file)
    if head.startswith(b"RIFF"):
        return int.from_bytes(head[4:8], "little")  # 8 less than they should be: some cameras count them in
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return 0
    length, at = _element_size(head, 4)
    at += length or 0
    if head[at : at + 4] != b"\x18\x53\x80\x67":  # the segment, which holds all else
        return 0
    length, at = _element_size(head, at + 4)
    return at + length if length is not None else 0


def _element_size(data: bytes, at: int) -> tuple[int | None, int]:
    """A Matroska element's size, and where its content begins; None for a size that was not known (RFC 8794, 6.2)."""
    width = 9 - data[at].bit_length() if at < len(data) else 9
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    unknown = width > 8 or value == (1 << 7 * width) - 1
    return None if unknown else value, at + width


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """The first video stream of a file, set to decode in one thread; a cover picture is none.

    Raises:
        MediaError: There is none that can be decoded.
    """
    picture = av.stream.Disposition.attached_pic
    found = [stream for stream in container.streams.video if not stream.disposition & picture]
    if not found:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise MediaError(f"no video in this file: it holds {held}: {name}")
    stream = found[0]
    context = stream.codec_context
    if context is None:  # where libavcodec has no decoder
        raise MediaError(f"video is in a codec that can't be decoded here, or its header is cut: {name}")
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
