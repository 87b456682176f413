"""What recorded packets decode to by themselves: no container, and no times but the packets' own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import av
from av.stream import Stream

from mediaref_tools.camera.av1syntax import obus_of
from mediaref_tools.camera.framing import DELIMITER, split_annexb
from mediaref_tools.errors import ImageError
from mediaref_tools.image import VideoCodec

__all__ = ["PayloadDecoder", "decode_payloads"]

_DECODERS: Final = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "libdav1d"}


class PayloadDecoder:
    """Decodes payloads as they were recorded, one after another, each numbered by its index.

    The decoder puts frames in order by itself and says of each which packet it comes from, so this knows nothing of
    a plan's picture order. It holds as many frames as the codec may reorder, 16 at most, and runs on the caller's
    thread.
    """

    def __init__(self, codec: VideoCodec) -> None:
        """Open a decoder.

        Raises:
            ImageError: There is none.
        """
        self._codec = codec
        self._decoder = _open(codec)

    def push(self, index: int, payload: bytes | memoryview, *, remuxed: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        """Take the next payload, those of several segments one after another.

        Args:
            index: Of its message, from 0 up to 2^62.
            payload: All of it.
            remuxed: Whether it is. Of one that is embedded the decoder is given the parameter sets only: what it can't
                be decoded to must not count for what follows, as it doesn't in the file.

        Yields:
            Index and frame of those that are known by now, in the order in which they are shown. A packet that the
            decoder refuses has none, nor has one that decodes to a frame that the decoder holds for damaged.
        """
        data = bytes(payload) if remuxed else _parameter_sets(bytes(payload), self._codec)
        if data:
            packet = av.Packet(data)
            packet.pts = packet.dts = index
            yield from _frames(self._decoder, packet)

    def flush(self) -> Iterator[tuple[int, av.VideoFrame]]:
        """The frames that are left."""
        yield from _frames(self._decoder, None)


def decode_payloads(
    packets: Iterable[tuple[int, bytes | memoryview, bool]], codec: VideoCodec
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode payloads of one codec, each given with its index and whether it is remuxed: see `PayloadDecoder`.

    Raises:
        ImageError: There is no such decoder.
    """
    decoder = PayloadDecoder(codec)
    for index, payload, remuxed in packets:
        yield from decoder.push(index, payload, remuxed=remuxed)
    yield from decoder.flush()


def _parameter_sets(payload: bytes, codec: VideoCodec) -> bytes:
    """What of a packet stays in force without its picture."""
    try:
        if codec == "av1":
            delimited = payload.startswith(DELIMITER)
            obus = obus_of(payload[len(DELIMITER) :] if delimited else payload)
            return b"".join(obu.data for obu in obus if obu.kind == 1)
        if codec == "vp9":
            return b""
        kinds, first = ((7, 8), 0) if codec == "h264" else ((32, 33, 34), 1)
        nals, _ = split_annexb(payload)
    except ImageError:
        return b""
    return b"".join(b"\0\0\0\1" + nal for nal in nals if nal[0] >> first & (63 if first else 31) in kinds)


def _open(codec: VideoCodec) -> av.VideoCodecContext:
    try:
        context = av.CodecContext.create(_DECODERS[codec], "r")
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"no decoder for {codec} in this build of libavcodec: {error}") from error
    assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
    context.thread_count = 1
    # Without it the H.264 decoder guesses how far frames are reordered where a stream does not say, and drops those
    # that it has guessed wrong.
    context.options = {"strict": "strict"}
    return context


def _frames(decoder: av.VideoCodecContext, packet: av.Packet[Stream] | None) -> Iterator[tuple[int, av.VideoFrame]]:
    try:
        frames = decoder.decode(packet)
    except (av.FFmpegError, ValueError):
        return  # not one that anybody could decode: its index has no frame
    for frame in frames:
        if frame.pts is not None and not frame.is_corrupt:
            yield frame.pts, frame
