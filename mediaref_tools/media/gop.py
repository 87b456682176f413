"""Where the packets of a video lie, and which of them a frame needs: the groups of pictures between keyframes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.media.spare import spare_test

__all__ = ["Coding", "Group", "PacketTable"]


class Coding(NamedTuple):
    """What a decoder has to be told: libavcodec's name for it, its configuration, and the coded size.

    `colours` is what a container tells, where a stream does not: range, matrix, primaries and transfer, in libavutil's
    numbers.
    """

    decoder: str
    extradata: bytes
    width: int
    height: int
    colours: tuple[int, int, int, int] | None = None


class Group(NamedTuple):
    """Frames to be decoded from one keyframe on, by number, ascending and each once."""

    first: int
    wanted: tuple[int, ...]


class PacketTable:
    """The packets of one video in the order of decoding, a frame each; a frame's number is its packet's place."""

    def __init__(
        self,
        coding: Coding,
        offset: NDArray[np.int64],
        size: NDArray[np.int64],
        keyframe: NDArray[np.bool_],
        shown: NDArray[np.int64],
    ) -> None:
        """Take what is known.

        Args:
            coding: Of all packets.
            offset, size, keyframe: (N,) where each packet lies, and whether decoding can begin there, as it can at
                the first.
            shown: (N,) when each frame is shown, in any unit.
        """
        self.coding, self.offset, self.size = coding, offset, size
        self.shown = shown
        self.keyframes = np.flatnonzero(keyframe)

    def __len__(self) -> int:
        return len(self.offset)

    def groups(self, wanted: Sequence[int] | NDArray[np.int64]) -> list[Group]:
        """Frames by the keyframe from which they are decoded; `wanted` is ascending, each once."""
        numbers = np.asarray(wanted, dtype=np.int64)
        at = np.searchsorted(self.keyframes, numbers, side="right") - 1
        # A frame that follows a keyframe and is shown before it needs what lies before that.
        while (early := (at > 0) & (self.shown[numbers] < self.shown[self.keyframes[at]])).any():
            at[early] -= 1
        return [Group(int(self.keyframes[each]), tuple(numbers[at == each].tolist())) for each in np.unique(at)]

    def end(self, group: Group) -> int:
        """The number of the first keyframe after a group's last wanted frame; N where there is none."""
        at = int(np.searchsorted(self.keyframes, group.wanted[-1], side="right"))
        return int(self.keyframes[at]) if at < len(self.keyframes) else len(self)

    @cached_property
    def is_spare(self) -> Callable[[bytes | memoryview], bool]:
        """What tells of a packet whether no other frame needs it."""
        return spare_test(self.coding.decoder, self.coding.extradata)
