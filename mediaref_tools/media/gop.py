"""Where the packets of a video lie, and which of them a frame needs: the groups of pictures between keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Coding", "Group", "PacketTable", "is_disposable"]


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
        self._keyframes = np.flatnonzero(keyframe)

    def __len__(self) -> int:
        return len(self.offset)

    def groups(self, wanted: Sequence[int] | NDArray[np.int64]) -> list[Group]:
        """Frames by the keyframe from which they are decoded; `wanted` is ascending, each once."""
        numbers = np.asarray(wanted, dtype=np.int64)
        at = np.searchsorted(self._keyframes, numbers, side="right") - 1
        # A frame that follows a keyframe and is shown before it needs what lies before that.
        while (early := (at > 0) & (self.shown[numbers] < self.shown[self._keyframes[at]])).any():
            at[early] -= 1
        return [Group(int(self._keyframes[each]), tuple(numbers[at == each].tolist())) for each in np.unique(at)]

    def end(self, group: Group) -> int:
        """The number of the first keyframe after a group's last wanted frame; N where there is none."""
        at = int(np.searchsorted(self._keyframes, group.wanted[-1], side="right"))
        return int(self._keyframes[at]) if at < len(self._keyframes) else len(self)

    @cached_property
    def length_bytes(self) -> int:
        """How many bytes tell a NAL unit's length, of H.264 as MP4 and Matroska have it; 0 for all else."""
        config = self.coding.extradata
        # ISO/IEC 14496-15, 5.3.3.1.2: configurationVersion, …, lengthSizeMinusOne in the fifth byte.
        return (config[4] & 3) + 1 if self.coding.decoder == "h264" and len(config) > 6 and config[0] == 1 else 0


_SLICE, _SEI, _DELIMITER, _FILLER = 1, 6, 9, 12


def is_disposable(packet: bytes | memoryview, length_bytes: int) -> bool:
    """Whether no other frame needs this packet of H.264: all its slices have a nal_ref_idc of 0 (ITU-T H.264, 7.4.1).

    A packet with parameter sets in it, or with anything else that later ones may go by, is none; nor is a damaged one.
    """
    at, slices = 0, 0
    while at + length_bytes < len(packet):
        length = int.from_bytes(packet[at : at + length_bytes], "big")
        at += length_bytes
        head = packet[at]
        kind = head & 31
        if kind == _SLICE:
            if head >> 5 & 3:
                return False
            slices += 1
        elif kind not in (_SEI, _DELIMITER, _FILLER):
            return False
        at += length
    return slices > 0 and at == len(packet)
