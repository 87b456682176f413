"""What a reader gives out: one frame, or a batch of them as parallel arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError
from mediaref_tools.extra import extra_module
from mediaref_tools.media.mediaref import MediaRef

if TYPE_CHECKING:
    import torch

__all__ = ["Frame", "FrameBatch"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame.

    Attributes:
        data: (H, W, 3) uint8 RGB, or as its kind of picture is by itself, or as it was asked for: see `Topic.batch`.
        index: Its place on its topic.
        log_time_ns: When its message was received, Unix ns.
        pts_ns: Its time in its segment; -1 where it is embedded.
    """

    data: NDArray[Any]
    index: int
    log_time_ns: int
    pts_ns: int
    _ref: MediaRef | None

    @property
    def ref(self) -> MediaRef:
        """The reference that it was decoded from.

        Raises:
            FrameError: There is none: the picture was kept in the log.
        """
        if self._ref is None:
            raise FrameError(f"frame {self.index} was kept in the log as it was: no reference stands for it")
        return self._ref

    def __repr__(self) -> str:
        return f"Frame(shape={self.data.shape}, index={self.index}, log_time_ns={self.log_time_ns})"


@dataclass(frozen=True, slots=True, eq=False)
class FrameBatch:
    """N decoded frames of one size.

    Attributes:
        data: (N, H, W, 3) uint8 RGB, or (N, H, W …) as their kind of picture is by itself, or as was asked for: see
            `Topic.batch`.
        indices, log_times_ns, pts_ns: (N,) int64, as in `Frame`.
        refs: N references; none where the pictures were kept in the log.
    """

    data: NDArray[Any]
    indices: NDArray[np.int64]
    log_times_ns: NDArray[np.int64]
    pts_ns: NDArray[np.int64]
    refs: tuple[MediaRef, ...]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, at: int) -> Frame:
        return Frame(
            self.data[at],
            int(self.indices[at]),
            int(self.log_times_ns[at]),
            int(self.pts_ns[at]),
            self.refs[at] if self.refs else None,
        )

    def __iter__(self) -> Iterator[Frame]:
        return (self[at] for at in range(len(self)))

    def __repr__(self) -> str:
        return f"FrameBatch(shape={self.data.shape}, indices={self.indices.tolist()[:8]}{'…' if len(self) > 8 else ''})"

    def to_torch(self, layout: Literal["NCHW", "NHWC"] = "NCHW") -> torch.Tensor:
        """The pictures as a tensor that shares their memory: nothing is copied, changes show on both sides.

        Returns:
            (N, 3, H, W) uint8, with strides as torch's `channels_last` has them; with "NHWC", (N, H, W, 3). Frames
            that have no channels get one.

        Raises:
            ExtraError: torch is not installed.
            FrameError: The layout is neither.
        """
        if layout not in ("NCHW", "NHWC"):
            raise FrameError(f"layout {layout!r} is neither NCHW nor NHWC")
        data = self.data if self.data.ndim == 4 else self.data[..., None]
        tensor: torch.Tensor = extra_module("torch", "torch").from_numpy(data)
        return tensor if layout == "NHWC" else tensor.permute(0, 3, 1, 2)
