"""What recorded packets decode to by themselves: no container, and no times but the packets' own numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import av
from av.stream import Stream

from mediaref_tools.errors import ImageError
from mediaref_tools.image import VideoCodec

__all__ = ["decode_payloads"]

_DECODERS: Final = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "libdav1d"}


def decode_payloads(
    packets: Iterable[tuple[int, bytes | memoryview]], codec: VideoCodec
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Decode payloads as they were recorded, one after another, each numbered by its index.

    The decoder puts frames in order by itself and says of each which packet it comes from, so this knows nothing of
    a plan's picture order. What it is not given, it can't use: leave out the packets that are embedded, and give all
    others in their order, of several segments too. It holds as many frames as the codec may reorder, 16 at most,
    and runs on the caller's thread.

    Args:
        packets: Index, from 0 up to 2^62, and payload of each message.
        codec: Of all of them.

    Yields:
        Index and frame, in the order in which frames are shown. A packet that the decoder refuses has none, nor has
        one that decodes to a frame that the decoder holds for damaged.

    Raises:
        ImageError: There is no such decoder.
    """
    decoder = _open(codec)
    for index, payload in packets:
        packet = av.Packet(bytes(payload))
        packet.pts = packet.dts = index
        yield from _frames(decoder, packet)
    yield from _frames(decoder, None)


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
