"""One recorded packet as its stream sees it: which picture it holds, and whether it can be decoded."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from mediaref_tools.errors import ImageError
from mediaref_tools.limits import MAX_PIXELS

__all__ = [
    "EARLY",
    "EMPTY",
    "LATE",
    "LOST",
    "REPEATED",
    "RESIZED",
    "TWO",
    "UNSET",
    "Picture",
    "Stream",
    "check_size",
]

EARLY: Final = "comes before the first keyframe that the log has"
LOST: Final = "needs a frame that the log does not have"
UNSET: Final = "needs parameter sets that the log does not have"
REPEATED: Final = "repeats the packet before it"
LATE: Final = "comes after frames that are shown after it, more than its stream allows"
RESIZED: Final = "changes its size between keyframes"
EMPTY: Final = "holds no picture"
TWO: Final = "holds two pictures"


class Picture(NamedTuple):
    """What a packet holds.

    Attributes:
        data: The sample of an MP4 file.
        framing: What makes the payload of it again, see `framing`.
        keyframe: Decoding can begin here: this frame and all that are shown after it are right then.
        sequence: Number of the coded video sequence; all of one is shown before any of the next.
        order: Place among the shown frames of its sequence (the picture order count of H.264 and H.265).
        leading: It follows a keyframe, is shown before it, and can't be decoded from there.
        fresh: A keyframe at which decoding begins anew, nothing before it being known.
        resets: A keyframe at which every decoder forgets what came before.
        fault: Why it can't be decoded, or "".
    """

    data: bytes
    framing: str
    keyframe: bool = False
    sequence: int = 0
    order: int = 0
    leading: bool = False
    fresh: bool = False
    resets: bool = False
    fault: str = ""


class Stream(Protocol):
    """One codec's packets in order. It carries parameter sets over, and knows which references there are."""

    config: bytes
    """The decoder's configuration record that is in force, b"" before the first."""
    width: int
    height: int

    def read(self, payload: bytes) -> Picture:
        """Take the next packet.

        Raises:
            ImageError: It holds nothing of this codec that could be remuxed; call `lose` then.
        """

    def lose(self) -> None:
        """Take note that a packet is missing here: what refers to what came before can't be decoded."""


def check_size(width: int, height: int) -> None:
    """Refuse a size that no camera has.

    Raises:
        ImageError: It is empty, or above `MAX_PIXELS`.
    """
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ImageError(f"video packet claims a size of {width}x{height}: expected 1 to {MAX_PIXELS} pixels")
