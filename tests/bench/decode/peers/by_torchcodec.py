"""TorchCodec's VideoDecoder on the CPU, opened once; its exact mode, for the other is wrong on irregular times."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.worker import Target

_decoders: Any = importlib.import_module("torchcodec.decoders")
HALF_TICK = 500  # ns: a float second just below a frame's own time would be the frame before


def versions() -> dict[str, str]:
    return {"torch": version("torch"), "torchcodec": version("torchcodec")}


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Reader:
    return _Reader(file["path"], options["threads"])


class _Reader:
    def __init__(self, path: str, threads: int) -> None:
        self._decoder = _decoders.VideoDecoder(path, num_ffmpeg_threads=threads, seek_mode="exact")

    def decode(self, targets: Sequence[Target]) -> Any:
        return self._decoder.get_frames_played_at([(target.pts_ns + HALF_TICK) / 1e9 for target in targets]).data

    def pictures(self, decoded: Any) -> Sequence[NDArray[np.uint8]]:
        pixels: NDArray[np.uint8] = decoded.permute(0, 2, 3, 1).numpy()
        return list(pixels)

    def close(self) -> None:
        del self._decoder
