"""Opening a media file with libavformat, and choosing its video stream."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import IO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from mediaref_tools.errors import MediaError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_PIXELS

__all__ = ["open_container", "video_stream"]

# What holds video in one file. Playlists (hls, dash, concat) are not here: they would have libavformat open whatever
# files and addresses a stranger wrote into them.
_DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "ogg", "gif", "apng", "asf", "mxf",
    "nut", "ivf", "obu", "av1", "h264", "hevc", "vvc", "m4v", "mpegvideo", "mjpeg", "mpjpeg", "dv", "wtv", "rm",
    "yuv4mpegpipe",
)  # fmt: skip
_HEAD_BYTES = 512


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
        return av.open(source, "r", options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unopened(file, name, error) from error


def _unopened(file: Path | IO[bytes], name: str, error: Exception) -> Exception:
    with contextlib.suppress(OSError, ValueError):
        head = _head(file)
        if not head:
            return MediaError(f"video of 0 bytes: {name}")
        kind = sniff(head)
        if kind.startswith("image/"):
            return RefError(f"this is a still image ({kind}): a reference to it has no pts_ns: {name}")
        if head.lstrip().startswith((b"#EXTM3U", b"ffconcat")):
            return MediaError(f"this is a playlist, which is not followed: refer to its files: {name}")
    return MediaError(f"not a video that can be opened, or it is cut or damaged: {error}: {name}")


def _head(file: Path | IO[bytes]) -> bytes:
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return stream.read(_HEAD_BYTES)
    file.seek(0)
    return file.read(_HEAD_BYTES)


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
        raise MediaError(f"video is in a codec that can't be decoded here: {name}")
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
