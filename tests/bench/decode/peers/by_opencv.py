"""OpenCV's VideoCapture, kept open, set to a frame by its place or its time; frames come as BGR and are swapped."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.worker import Target

_cv2: Any = importlib.import_module("cv2")
HALF_TICK = 500  # ns


def versions() -> dict[str, str]:
    return {"opencv": _cv2.__version__}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Reader:
    return _Reader(file["path"], options["by"])


class _Reader:
    def __init__(self, path: str, by: str) -> None:
        self._capture, self._by = _cv2.VideoCapture(path), by
        if not self._capture.isOpened():
            raise ValueError("VideoCapture does not open the file")
        self._next = -1

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        found = []
        for target in targets:
            if target.place != self._next:  # it goes on by itself
                if self._by == "place":
                    self._capture.set(_cv2.CAP_PROP_POS_FRAMES, target.place)
                else:
                    self._capture.set(_cv2.CAP_PROP_POS_MSEC, (target.pts_ns + HALF_TICK) / 1e6)
            got, picture = self._capture.read()
            if not got:
                raise ValueError(f"VideoCapture gives no frame at {target.place}")
            self._next = target.place + 1
            found.append(_cv2.cvtColor(picture, _cv2.COLOR_BGR2RGB))
        return found

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        self._capture.release()
