"""decord's VideoReader, which asks by place and not by time: the places are told to it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.worker import Target

_decord: Any = importlib.import_module("decord")


def versions() -> dict[str, str]:
    return {"decord": version("decord")}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Reader:
    return _Reader(file["path"], options["threads"])


class _Reader:
    def __init__(self, path: str, threads: int) -> None:
        self._reader = _decord.VideoReader(path, ctx=_decord.cpu(0), num_threads=threads)

    def decode(self, targets: Sequence[Target]) -> NDArray[np.uint8]:
        frames: NDArray[np.uint8] = self._reader.get_batch([target.place for target in targets]).asnumpy()
        return frames

    def pictures(self, decoded: NDArray[np.uint8]) -> Sequence[NDArray[np.uint8]]:
        return list(decoded)

    def close(self) -> None:
        del self._reader
