"""mediaref-tools: a dataset's topic, a foreign file kept open, and `batch_decode`, which opens it for each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mediaref_tools as mrt
from mediaref_tools.conversion.identity import this_tool
from tests.bench.decode.worker import Target


def versions() -> dict[str, str]:
    tool = this_tool()
    return {"mediaref-tools": tool.version, "av": tool.av, "libavcodec": tool.libavcodec}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Dataset | _Video | _References:
    exact = options.get("exact", False)
    if options["by"] == "dataset":
        return _Dataset(file["dataset"], file["topic"], exact)
    return _Video(file["path"], exact) if options["by"] == "video" else _References(file["path"])


class _Dataset:
    def __init__(self, folder: str, topic: str, exact: bool) -> None:
        self._dataset = mrt.open_dataset(folder, exact_colours=exact)
        self._camera = self._dataset[topic]

    def decode(self, targets: Sequence[Target]) -> NDArray[np.uint8]:
        return self._camera.at([target.log_time_ns for target in targets]).data

    def pictures(self, decoded: NDArray[np.uint8]) -> Sequence[NDArray[np.uint8]]:
        return list(decoded)

    def close(self) -> None:
        self._dataset.close()


class _Video:
    def __init__(self, path: str, exact: bool) -> None:
        self._video = mrt.VideoDecoder(path, exact_colours=exact)

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        found: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(targets)
        for position, frame in self._video.frames_at([target.pts_ns for target in targets]):
            found[position] = frame.data
        return found

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        self._video.close()


class _References:
    def __init__(self, path: str) -> None:
        self._path = path

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        return mrt.batch_decode([mrt.MediaRef(uri=self._path, pts_ns=target.pts_ns) for target in targets])

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> Sequence[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        pass
