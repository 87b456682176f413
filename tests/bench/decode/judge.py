"""Whether a contender's frames are the right ones: each carries its number, and is compared with plain decoding."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.sample import frame_number
from tests.bench.decode.worker import LOOK_STEP

__all__ = ["Verdict", "judged", "looks_of"]


class Verdict(NamedTuple):
    """`wrong` frames of all, the first of them in words, and how far colours are off at most, in mean grey levels."""

    wrong: int
    first: str
    colour_error: float


def judged(wanted: Sequence[int], found: Sequence[Mapping[str, Any]], looks: NDArray[np.uint8]) -> Verdict:
    """Judge the digests of the frames that came for the wanted ones, in their order.

    Args:
        wanted: The numbers that the frames should show.
        found: What `worker.digest` made of each.
        looks: Of `looks_of`: what each frame of the file should look like.
    """
    wrong, first, colour_error = abs(len(wanted) - len(found)), "", 0.0
    if wrong:
        first = f"{len(found)} frames came for {len(wanted)}"
    for number, each in zip(wanted, found, strict=False):
        shown = _number(each)
        if shown != number:
            wrong += 1
            first = first or f"frame {number} was asked for, {'no number' if shown is None else shown} came"
            continue
        seen = np.frombuffer(base64.b64decode(each["look"]), np.uint8)
        if seen.size != looks[number].size:
            wrong += 1
            first = first or f"frame {number} came as {each['size']}"
            continue
        off = np.abs(seen.astype(np.int16) - looks[number].reshape(-1).astype(np.int16)).mean()
        colour_error = max(colour_error, float(off))
    return Verdict(wrong, first, round(colour_error, 2))


def _number(each: Mapping[str, Any]) -> int | None:
    try:
        code = np.frombuffer(base64.b64decode(each["code"]), np.uint8).reshape(each["code_shape"])
        return frame_number(code)
    except (ImageError, ValueError):
        return None


def looks_of(path: Path, cache: Path) -> NDArray[np.uint8]:
    """A few pixels of every frame of a file, decoded from its first to its last; kept in `cache`.

    Returns:
        (N, h, w, 3) uint8 RGB, in the order in which frames are shown.
    """
    if cache.exists() and cache.stat().st_mtime >= path.stat().st_mtime:
        kept: NDArray[np.uint8] = np.load(cache)
        return kept
    with av.open(path) as container:
        container.streams.video[0].thread_type = "AUTO"
        looks: NDArray[np.uint8] = np.stack(
            [f.to_ndarray(format="rgb24")[::LOOK_STEP, ::LOOK_STEP].copy() for f in container.decode(video=0)]
        )
    np.save(cache, looks)
    return looks
