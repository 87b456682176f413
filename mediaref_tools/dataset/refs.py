"""The references of a topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.media.mediaref import MediaRef

__all__ = ["Refs"]


class Refs(Sequence[MediaRef]):
    """The references of a topic, made as they are asked for."""

    def __init__(self, uris: NDArray[np.object_], pts_ns: NDArray[np.int64]) -> None:
        self.uris = uris
        """(N,) of str."""
        self._pts_ns = pts_ns

    def __len__(self) -> int:
        return len(self.uris)

    @overload
    def __getitem__(self, at: int) -> MediaRef: ...
    @overload
    def __getitem__(self, at: slice) -> list[MediaRef]: ...
    def __getitem__(self, at: int | slice) -> MediaRef | list[MediaRef]:
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        pts_ns = int(self._pts_ns[at])
        return MediaRef(uri=self.uris[at], pts_ns=None if pts_ns < 0 else pts_ns)
