"""PyAV as most loaders use it: open, seek to the keyframe before, decode up to the frame; or the file kept open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.worker import Target


def versions() -> dict[str, str]:
    return {"av": av.__version__, "libavcodec": ".".join(map(str, av.library_versions["libavcodec"]))}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _PerFrame | _KeptOpen:
    return _KeptOpen(file["path"]) if options["keep_open"] else _PerFrame(file["path"])


def _frame(container: Any, pts_ns: int) -> NDArray[np.uint8]:
    stream = container.streams.video[0]
    wanted = round(pts_ns / (stream.time_base * 10**9))
    container.seek(wanted, stream=stream)
    shown = None
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts > wanted:
            break
        shown = frame
        if frame.pts == wanted:
            break
    if shown is None:
        raise ValueError(f"no frame at {pts_ns} ns")
    pixels: NDArray[np.uint8] = shown.to_ndarray(format="rgb24")
    return pixels


class _PerFrame:
    def __init__(self, path: str) -> None:
        self._path = path

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        found = []
        for target in targets:
            with av.open(self._path) as container:
                found.append(_frame(container, target.pts_ns))
        return found

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        pass


class _KeptOpen:
    def __init__(self, path: str) -> None:
        self._container = av.open(path)

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        return [_frame(self._container, target.pts_ns) for target in targets]

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        self._container.close()
