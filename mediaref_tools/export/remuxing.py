"""Packets of a topic's segments, as Foxglove takes them: each whole by itself, with parameter sets on key frames."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final, cast

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from mediaref_tools.errors import DatasetError, MediaError
from mediaref_tools.media.packets import Packets
from mediaref_tools.media.trust import inside

__all__ = ["FORMS", "PacketSource"]

FORMS: Final = {"h264": "h264", "hevc": "h265", "vp9": "vp9", "av1": "av1", "mjpeg": "jpeg", "png": "png"}
"""What Foxglove calls a codec."""

# Both Annex B filters put the parameter sets before each key frame; MP4 holds AV1's in the header alone.
_FILTERS: Final = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb", "av1": "av1_metadata=td=remove"}
_SEQUENCE_HEADER: Final = 1


class PacketSource:
    """Packets of one topic, in the order of its segments: asked for in any other, it opens segments again."""

    def __init__(self, folder: Path) -> None:
        """`folder` is what uris are relative to."""
        self._folder, self._uri = folder, ""
        self._found: dict[int, tuple[bytes, bool]] = {}
        self.codec = ""
        """Of the segment that was read last, as libavcodec calls it."""
        self.is_reordered = False
        """Whether that segment has frames that are shown in another order than they are stored."""

    def packet(self, uri: str, pts_ns: int) -> tuple[bytes, bool]:
        """The packet of one frame, and whether it is a key frame.

        Raises:
            DatasetError: The segment can't be read, or has no such frame.
            TrustError: The uri leads out of the dataset.
        """
        if uri != self._uri:
            self._open(uri)
        if pts_ns not in self._found:
            raise DatasetError(f"segment has no frame at {pts_ns} ns: {self._folder / uri}")
        return self._found[pts_ns]

    def _open(self, uri: str) -> None:
        """Segments are short, so one is held whole."""
        path = inside(self._folder, uri)
        self._found = {}
        try:
            with closing(Packets(path, str(path))) as opened:
                stream = opened.stream
                self.codec = stream.codec_context.name.replace("libdav1d", "av1")
                extra = bytes(stream.codec_context.extradata or b"")
                name = _FILTERS.get(self.codec)
                sieve = BitStreamFilterContext(name, stream) if name else None
                last, self.is_reordered = None, False
                for packet in cast("InputContainer", stream.container).demux(stream):
                    if not packet.size or packet.pts is None:
                        continue
                    pts_ns = opened.clock.ns(packet.pts)
                    self.is_reordered |= last is not None and pts_ns < last
                    last, is_key = pts_ns, packet.is_keyframe
                    data = b"".join(bytes(one) for one in sieve.filter(packet)) if sieve else bytes(packet)
                    if self.codec == "av1" and is_key and data[0] >> 3 & 15 != _SEQUENCE_HEADER:
                        data = extra[4:] + data  # after the four bytes of av1C
                    self._found[pts_ns] = data, is_key
        except (av.FFmpegError, MediaError, OSError, IndexError) as error:
            raise DatasetError(f"segment can't be read: {error}: {path}") from error
        self._uri = uri
