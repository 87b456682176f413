"""VP9 packets in order: keyframes, sizes, and frames within a superframe (VP9 bitstream specification 6.2, annex B)."""

from __future__ import annotations

from mediaref_tools.camera.bits import Bits
from mediaref_tools.camera.framing import RAW
from mediaref_tools.camera.picture import EARLY, EMPTY, LOST, RESIZED, TWO, Picture, check_size
from mediaref_tools.errors import ImageError

__all__ = ["Vp9Stream"]

_SYNC = 0x498342
_HEAD = 64  # bytes of a frame that its header's first part fits in
# color_space to ITU-T H.273 primaries, transfer, matrix
_COLOURS = {1: (6, 6, 6), 2: (1, 1, 1), 3: (6, 6, 6), 4: (7, 7, 7), 5: (9, 14, 9), 7: (1, 13, 0)}


class Vp9Stream:
    """Follows a stream of VP9.

    Its frames carry no number: that one is missing shows in what the sender counts, and nowhere else.
    """

    def __init__(self) -> None:
        self.config = b""
        self.width = self.height = 0
        self._fault = EARLY
        self._sequence = -1
        self._count = 0

    def lose(self) -> None:
        """A packet is missing."""
        if self._fault != EARLY:
            self._fault = LOST

    def read(self, payload: bytes) -> Picture:
        """Take the next packet; see `picture.Stream`."""
        if not payload:
            raise ImageError("video packet is empty")
        shown, keyframe, resized = 0, False, False
        for at, frame in enumerate(_frames(payload)):
            bits = Bits(frame[:_HEAD])
            if bits.u(2) != 2:
                raise ImageError("video packet does not begin as a frame of VP9 does")
            profile = bits.u(1) | bits.u(1) << 1
            if profile == 3:
                bits.u(1)
            if bits.flag():  # show_existing_frame
                shown += 1
                continue
            inter, visible, resilient = bits.flag(), bits.flag(), bits.flag()
            shown += visible
            if not inter:
                self._key(bits, profile)
                keyframe |= visible and not at
            else:
                resized |= self._resizes(bits, profile, visible=visible, resilient=resilient)
        picture = Picture(payload, RAW)
        fresh = keyframe and self._fault != ""
        if keyframe:
            self._fault = ""
            self._sequence += 1
        if shown == 1 and not resized:
            self._count += 1
            return picture._replace(
                keyframe=keyframe, sequence=self._sequence, order=self._count, fresh=fresh, resets=keyframe,
            fault=self._fault,
            )  # fmt: skip
        self.lose()
        return picture._replace(fault=RESIZED if resized else TWO if shown else EMPTY)

    def _key(self, bits: Bits, profile: int) -> None:
        if bits.u(24) != _SYNC:
            raise ImageError("video packet has a keyframe without its sync code")
        depth = (12 if bits.flag() else 10) if profile > 1 else 8
        space = bits.u(3)
        full, chroma = False, 1  # 4:2:0, collocated with the left luma sample
        if space == 7:
            full, chroma = True, 3
            bits.u(profile & 1)
        else:
            full = bits.flag()
            if profile & 1:
                right, below = bits.flag(), bits.flag()
                bits.u(1)
                chroma = (1 if below else 2) if right else 3
        self.width, self.height = bits.u(16) + 1, bits.u(16) + 1
        check_size(self.width, self.height)
        colours = _COLOURS.get(space, (2, 2, 2))
        # VPCodecConfigurationRecord (VP codec ISO media file format binding 1.0); level 0: not said.
        self.config = bytes((profile, 0, depth << 4 | chroma << 1 | full, *colours, 0, 0))

    def _resizes(self, bits: Bits, profile: int, *, visible: bool, resilient: bool) -> bool:
        """Whether a frame that is no keyframe states a size of its own."""
        intra = False if visible else bits.flag()
        if not resilient:
            bits.u(2)
        if intra:
            if bits.u(24) != _SYNC:
                raise ImageError("video packet has an intra frame without its sync code")
            if profile > 0:
                return False  # hidden, and its colours come next: a size that differs shows in what refers to it
            bits.u(8)
            return (bits.u(16) + 1, bits.u(16) + 1) != (self.width, self.height)
        bits.u(8 + 3 * 4)
        for _ in range(3):
            if bits.flag():
                return False  # that of a reference
        return (bits.u(16) + 1, bits.u(16) + 1) != (self.width, self.height)


def _frames(payload: bytes) -> list[bytes]:
    """The frames of a superframe (annex B), or the one that it is."""
    marker = payload[-1]
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    size = 2 + count * width
    if marker & 0xE0 != 0xC0 or len(payload) < size or payload[-size] != marker:
        return [payload]
    frames, at = [], 0
    for number in range(count):
        place = len(payload) - size + 1 + number * width
        length = int.from_bytes(payload[place : place + width], "little")
        if at + length > len(payload) - size:
            raise ImageError("video packet has a superframe that is larger than it")
        if length:
            frames.append(payload[at : at + length])
        at += length
    if not frames:
        raise ImageError("video packet has a superframe without frames")
    return frames
