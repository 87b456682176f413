"""The seed's own package: `batch_decode` of references, with its decoders cached as it does by default."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.worker import Target

_seed: Any = importlib.import_module("mediaref")
warnings.simplefilter("ignore")  # it warns of far frames at each call


def versions() -> dict[str, str]:
    found = {}
    for name in ("mediaref", "av", "tensorcodec"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def reader(file: dict[str, Any], options: dict[str, Any]) -> _Reader:
    return _Reader(file["path"], options)


class _Reader:
    def __init__(self, path: str, options: dict[str, Any]) -> None:
        self._path, self._options = path, options

    def decode(self, targets: Sequence[Target]) -> list[NDArray[np.uint8]]:
        refs = [_seed.MediaRef(uri=self._path, pts_ns=target.pts_ns) for target in targets]
        frames: list[NDArray[np.uint8]] = _seed.batch_decode(refs, **self._options)
        return frames

    def pictures(self, decoded: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
        return decoded

    def close(self) -> None:
        _seed.cleanup_cache()
