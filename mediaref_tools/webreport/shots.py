"""Frames to look at: the worst of a topic, as they were recorded, as they are now, and what differs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.kept import KeptSource
from mediaref_tools.dataset.looks import Facts, wanted_look
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import MediarefError
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.pixels.raster import Raster

__all__ = ["AMPLIFIED", "SMALL", "Shot", "shot", "worst"]

AMPLIFIED = 10
"""How many times a difference is as large as it is."""

SMALL = 160
"""Pictures with no longer side are PNG on the page, pixel by pixel: a JPEG's own loss would be seen."""

_APART_NS = 1_000_000_000  # neighbours look the same
_LONGEST = 640  # side of a picture on the page, in pixels
_QUALITY = 85
_RGB = wanted_look(Facts("", "", ""), "rgb")


class Shot(NamedTuple):
    """One frame. Pictures are data URIs, None where there is none; `troubles` say why.

    `psnr_db` is NaN where nobody knows it, inf where the frame is identical.
    """

    frame: int
    log_time_ns: int
    psnr_db: float
    size: tuple[int, int]
    source: str | None
    decoded: str | None
    difference: str | None
    troubles: tuple[str, ...]


def worst(psnr_db: NDArray[np.float32], times_ns: NDArray[np.int64], most: int = 4) -> list[int]:
    """Indices of the frames of lowest PSNR, the worst first, each at least a second, or an eighth, from the others.

    Frames without loss are none of them: the list is empty where there is no loss at all.
    """
    lossy = np.flatnonzero(np.isfinite(psnr_db))
    apart = min(_APART_NS, int(times_ns[-1] - times_ns[0]) // 8) if len(times_ns) else 0
    chosen: list[int] = []
    while len(lossy) and len(chosen) < most:
        index = int(lossy[np.argmin(psnr_db[lossy])])
        chosen.append(index)
        lossy = lossy[(np.abs(times_ns[lossy] - times_ns[index]) >= apart) & (lossy != index)]
    return chosen


def shot(topic: Topic, index: int, original: KeptSource | None) -> Shot:
    """Decode a frame, and its source's picture where there is a log to read it from. Never raises for either."""
    height, width = topic.sizes[index].tolist()
    decoded, source = np.empty((height, width, 3), np.uint8), np.empty((height, width, 3), np.uint8)
    troubles = []
    has_decoded = has_source = False
    try:
        topic.batch([index], "rgb", out=decoded[None])
        has_decoded = True
    except MediarefError as error:
        troubles.append(f"the frame can't be shown: {error}")
    if original is not None and topic.status[index] == "remuxed":
        troubles.append("the camera's own video: each packet is the recorded one, byte for byte")
    elif original is not None:
        try:
            original.decode(np.array([index]), [source], _RGB, topic.sizes[index][None])
            has_source = True
        except (MediarefError, OSError) as error:
            troubles.append(f"the log's picture can't be shown: {error}")
    has_both = has_decoded and has_source
    return Shot(
        index,
        int(topic.log_times_ns[index]),
        float(topic.psnr_db[index]),
        (height, width),
        _picture(source) if has_source else None,
        _picture(decoded) if has_decoded else None,
        _picture(_difference(decoded, source)) if has_both else None,
        tuple(troubles),
    )


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    apart = np.maximum(one, other) - np.minimum(one, other)
    np.minimum(apart, 255 // AMPLIFIED, out=apart)
    apart *= AMPLIFIED
    return apart


def _picture(rgb: NDArray[np.uint8]) -> str:
    """A file of it, no longer than fits the page."""
    height, width = rgb.shape[:2]
    scale = _LONGEST / max(height, width)
    if scale < 1:
        small = np.empty((max(1, round(height * scale)), max(1, round(width * scale)), 3), np.uint8)
        Raster().resize(rgb, small)
        rgb = small
    if max(height, width) <= SMALL:
        return DataURI.from_image(rgb, "png").uri
    return DataURI.from_image(rgb, "jpeg", quality=_QUALITY).uri
