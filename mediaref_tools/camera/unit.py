"""One message's packet, as it goes into an MP4 file and comes out again."""

from __future__ import annotations

from typing import Final, NamedTuple

from mediaref_tools.camera import framing
from mediaref_tools.camera.av1 import Av1Stream
from mediaref_tools.camera.h264 import H264Stream
from mediaref_tools.camera.h265 import H265Stream
from mediaref_tools.camera.picture import EMPTY, RESIZED, TWO, UNSET, Picture, Stream
from mediaref_tools.camera.vp9 import Vp9Stream
from mediaref_tools.errors import ImageError
from mediaref_tools.image import VideoCodec

__all__ = ["Unit", "UnitReader", "open_stream", "payload", "read_packet"]

payload = framing.payload

_STREAMS: Final[dict[VideoCodec, type[Stream]]] = {
    "h264": H264Stream,
    "h265": H265Stream,
    "vp9": Vp9Stream,
    "av1": Av1Stream,
}


class Unit(NamedTuple):
    """One recorded packet.

    Attributes:
        codec: Of what.
        data: The sample of an MP4 file: NAL units behind lengths of four bytes (H.264, H.265), the packet as it is
            (VP9), without its temporal delimiter (AV1). Parameter sets that came with it are still in it.
        keyframe: Decoding can begin here: the frame, and all that are shown after it, are right then.
        config: The decoder's configuration record in force since the last keyframe: avcC, hvcC, vpcC or av1C, as an
            MP4 file's sample entry holds it; b"" before the first keyframe.
        width, height: In pixels, as shown, since the last keyframe.
        framing: `payload(data, framing)` is what the message carried, byte for byte.
    """

    codec: VideoCodec
    data: bytes
    keyframe: bool
    config: bytes
    width: int
    height: int
    framing: str


class UnitReader:
    """Turns a topic's packets into units, one after another: parameter sets are carried over.

    It wants every packet of the topic, those that are not remuxed too.
    """

    def __init__(self, codec: VideoCodec) -> None:
        self._codec = codec
        self._stream = open_stream(codec)

    def unit(self, data: bytes | memoryview) -> Unit:
        """The next message's packet.

        Raises:
            ImageError: It is not one picture of this codec that can be remuxed and given back byte for byte.
        """
        picture = read_packet(self._stream, data)
        if picture.fault in (EMPTY, TWO, UNSET, RESIZED):
            raise ImageError(f"video packet {picture.fault}: expected one {self._codec} picture a message")
        stream = self._stream
        return Unit(
            self._codec, picture.data, picture.keyframe, stream.config, stream.width, stream.height, picture.framing
        )


def open_stream(codec: VideoCodec) -> Stream:
    """Begin to follow a stream of a codec."""
    return _STREAMS[codec]()


def read_packet(stream: Stream, data: bytes | memoryview) -> Picture:
    """Let a stream take a packet; one that it refuses counts as lost.

    Raises:
        ImageError: It holds nothing that can be remuxed, or not given back byte for byte.
    """
    whole = bytes(data)
    try:
        picture = stream.read(whole)
        if payload(picture.data, picture.framing) != whole:
            raise ImageError("video packet can't be put together again byte for byte")
    except ImageError:
        stream.lose()
        raise
    return picture
