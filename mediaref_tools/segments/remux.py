"""One segment of packets that others encoded: into an MP4 file as they are, byte for byte."""

from __future__ import annotations

import io
import struct
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple

import av
import numpy as np
from av.container import InputContainer

from mediaref_tools.errors import EncodeError, OutputError
from mediaref_tools.segments.file import (
    Packets,
    SegmentFile,
    abandon,
    create,
    finish,
    in_microseconds,
    read_back,
    read_packets,
)

__all__ = ["RemuxWriter", "TrackCodec"]

TrackCodec = Literal["h264", "h265", "vp9", "av1", "mjpeg", "png"]

_DEFAULT_US = 40_000  # how long a frame is shown that no other follows


class _Template(NamedTuple):
    """A file of no pictures at all: what PyAV makes a stream from that takes packets and encodes nothing."""

    format: str
    data: bytes


def _ivf(fourcc: bytes) -> _Template:
    return _Template("ivf", struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, fourcc, 16, 16, 1, 1, 0, 0))


_TEMPLATES: Final[dict[TrackCodec, _Template]] = {
    # An access unit delimiter each.
    "h264": _Template("h264", b"\0\0\0\1\x09\x10"),
    "h265": _Template("hevc", b"\0\0\0\1\x46\x01\x50"),
    "vp9": _ivf(b"VP90"),
    "av1": _ivf(b"AV01"),
    "mjpeg": _ivf(b"MJPG"),
    "png": _ivf(b"MPNG"),
}


class RemuxWriter:
    """Writes packets of one stream into one new file. Not for use by two threads at once.

    H.265 is tagged `hvc1`, which QuickTime and Chromium want: parameter sets are in the sample entry; those that came
    with the packets stay there besides, and decoders take them. Likewise H.264 is `avc1`.
    """

    def __init__(self, path: Path, codec: TrackCodec, config: bytes, width: int, height: int) -> None:
        """Start a file.

        Args:
            path: Must not exist.
            codec: Of all packets.
            config: The decoder's configuration record (avcC, hvcC, vpcC, av1C); b"" for "mjpeg" and "png".
            width, height: In pixels, as shown.

        Raises:
            OutputError: The file can't be made.
            EncodeError: There is no such track.
        """
        self.path = path
        self.bytes_out = 0
        """Bytes of packets so far."""
        self._times: list[tuple[int, int]] = []
        self._sizes: list[int] = []
        self._keyframes: list[bool] = []
        self._content = sha256()
        self._container = create(path)
        try:
            self._stream = self._add_stream(codec, config, width, height)
        except (av.FFmpegError, ValueError, OverflowError) as error:
            self.abort()
            raise EncodeError(f"no {codec} track of {width}x{height} can be made: {error}") from error

    def _add_stream(self, codec: TrackCodec, config: bytes, width: int, height: int) -> av.VideoStream:
        template = _TEMPLATES[codec]
        with av.open(io.BytesIO(template.data), format=template.format) as source:
            # Opaque: a decoder's parameters, of which the configuration record may be set; nothing is opened.
            stream = self._container.add_stream_from_template(source.streams.video[0], opaque=True)
        context = stream.codec_context
        context.width, context.height = width, height
        # What an MP4 file's entry for VP9 is made of; decoders of the others look into the stream.
        context.pix_fmt = _pixel_format(config) if codec == "vp9" else "yuv420p"
        if config and codec != "vp9":
            context.extradata = config
        if codec == "h265":
            context.codec_tag = "hvc1"
        in_microseconds(stream)
        return stream

    def __len__(self) -> int:
        return len(self._times)

    def add(self, data: bytes | memoryview, pts_us: int, dts_us: int, keyframe: bool) -> None:
        """Write one packet, to be decoded later than the one before.

        Args:
            data: `Unit.data`, or the bytes of a JPEG or PNG file.
            pts_us: When it is shown; the least of a segment is 0.
            dts_us: When it is decoded: strictly rising, not above `pts_us`.
            keyframe: Whether decoding can begin there.

        Raises:
            OutputError, EncodeError: It could not be written, or the muxer refuses it.
        """
        data = bytes(data)
        packet = av.Packet(data)
        packet.stream = self._stream
        packet.pts, packet.dts = pts_us, dts_us
        packet.duration = dts_us - self._times[-1][1] if self._times else _DEFAULT_US
        packet.is_keyframe = keyframe
        in_microseconds(packet)
        try:
            self._container.mux(packet)
        except OSError as error:  # av.FFmpegError for an errno of the system is an OSError of its kind as well
            raise OutputError(f"segment can't be written: {error}") from error
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise EncodeError(f"muxer refuses packet {len(self._times)}: {error}") from error
        self._times.append((pts_us, dts_us))
        self._sizes.append(len(data))
        self._keyframes.append(keyframe)
        self._content.update(data)
        self.bytes_out += len(data)

    def close(self) -> SegmentFile:
        """Finish the file, sync it, read its packets back and compare them with those that were given: every byte.

        Raises:
            OutputError: It can't be written.
            EncodeError: What lies in the file is something else.
        """
        finish(self._container, self.path)
        return read_back(self.path, [pts for pts, _ in self._times], self._packets)

    def _packets(self, container: InputContainer, stream: av.VideoStream) -> Packets:
        # Which are keyframes, the index says: in packets libavformat marks those besides that it finds out by itself.
        index = read_packets(stream)
        times, content = [], sha256()
        for packet in container.demux(stream):
            if packet.size:
                times.append((packet.pts, packet.dts))
                content.update(packet)
        if index.size.tolist() != self._sizes or content.digest() != self._content.digest():
            raise EncodeError(f"segment does not hold the bytes of the {len(self)} packets it was given: {self.path}")
        if times != self._times or index.keyframe.tolist() != self._keyframes:
            raise EncodeError(f"segment does not say when its {len(self)} packets are decoded or shown: {self.path}")
        return index._replace(pts_us=np.array([pts for pts, _ in self._times], dtype=np.int64))

    def abort(self) -> None:
        """Let go of the file, whatever state it is in."""
        abandon(self._container)


def _pixel_format(config: bytes) -> str:
    """The pixel format that a VPCodecConfigurationRecord means."""
    depth, chroma = config[2] >> 4, config[2] >> 1 & 7
    name = {2: "yuv422p", 3: "yuv444p"}.get(chroma, "yuv420p")
    return name if depth == 8 else f"{name}{depth}le"
