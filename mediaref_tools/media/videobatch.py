"""What a video decoder gives out: one frame, a batch of them, and what the video is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.extra import extra_module

if TYPE_CHECKING:
    import torch

__all__ = ["VideoBatch", "VideoFrame", "VideoMetadata"]


class VideoFrame(NamedTuple):
    """One decoded frame: `data` as its format says, and when it comes and goes, in ns, half-open."""

    data: NDArray[np.uint8]
    pts_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class VideoBatch:
    """N decoded frames, laid out as TorchCodec does.

    Attributes:
        data: (N, C, H, W) uint8.
        pts_ns: (N,) int64: the first ns at which each frame is on screen.
        pts_seconds, duration_seconds: (N,) float64: the same in seconds, and how long until the next frame or the end.
    """

    data: NDArray[np.uint8]
    pts_ns: NDArray[np.int64]
    pts_seconds: NDArray[np.float64]
    duration_seconds: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"VideoBatch(shape={self.data.shape}, pts_ns={self.pts_ns.tolist()[:8]}{'…' if len(self) > 8 else ''})"

    def to_torch(self) -> torch.Tensor:
        """The pictures as an (N, C, H, W) tensor that shares their memory.

        Raises:
            ExtraError: torch is not installed.
        """
        tensor: torch.Tensor = extra_module("torch", "torch").from_numpy(self.data)
        return tensor


@dataclass(frozen=True, slots=True)
class VideoMetadata:
    """What a video is.

    Attributes:
        num_frames: Frames, as the container tells; counted by its packets where it does not.
        duration_seconds, begin_stream_seconds, end_stream_seconds: Where it begins and ends.
        average_rate: Frames a second; None where nothing tells.
        width, height: Of the coded picture, not rotated.
        codec, pixel_format: libavcodec's names.
        rotation_degrees: By which a player would turn the picture counter-clockwise. Frames are given unturned.
    """

    num_frames: int
    duration_seconds: float
    begin_stream_seconds: float
    end_stream_seconds: float
    average_rate: float | None
    width: int
    height: int
    codec: str
    pixel_format: str
    rotation_degrees: int
