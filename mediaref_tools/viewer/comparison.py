"""A topic's pictures as they were in the log that a dataset was made from, and how far the decoded ones are off."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.kept import KeptLog, KeptSource
from mediaref_tools.dataset.looks import PixelFormat, named_look
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import DatasetError, MediarefError

__all__ = ["GAIN", "Comparison", "difference", "original"]

GAIN: Final = 8
"""How many times a difference of 8-bit pictures is shown."""


class Comparison:
    """The pictures of a topic in its log. Any thread may ask; they take turns."""

    def __init__(self, log: KeptLog, topic: Topic) -> None:
        self._topic = topic
        self._source = KeptSource(log, topic.name, topic)

    def picture(self, index: int, form: PixelFormat) -> NDArray[Any]:
        """A frame as it was recorded, in the form in which it was decoded.

        Args:
            index: Of the topic.
            form: "rgb", or "natural" for 16-bit gray and depth.

        Raises:
            MediarefError: The log does not have it (any more), or it can't be decoded.
        """
        size = self._topic.sizes[[index]]
        look = named_look(self._topic.look(index)[0] if form == "natural" else form)
        out = np.empty(look.shape(int(size[0, 0]), int(size[0, 1])), look.dtype)
        self._source.decode(np.array([index], np.int64), [out], look, size)
        return out


def difference(source: NDArray[Any], decoded: NDArray[Any]) -> NDArray[Any]:
    """How far two pictures are apart, pixel by pixel: 8 bits `GAIN` times, (H, W, 3); others as they are, (H, W)."""
    if source.dtype == np.uint8:
        steps = np.abs(source.astype(np.int16) - decoded).max(axis=2, keepdims=True)
        return np.repeat(np.minimum(steps * GAIN, 255).astype(np.uint8), 3, axis=2)
    if source.dtype == np.float32:
        hole = np.isnan(source) != np.isnan(decoded)
        return np.asarray(np.where(hole, np.float32(65.535), np.abs(source - decoded)))
    return np.asarray(np.abs(source.astype(np.int32) - decoded), np.uint16)


def original(dataset: Dataset, against: Path | None) -> KeptLog | None:
    """The log that a dataset was made from: the one that is named, or one of its name and size beside the dataset.

    Raises:
        DatasetError: The one that is named can't be read, or nothing was made from it.
    """
    try:
        manifest = dataset.manifest
    except DatasetError:
        if against is not None:
            raise
        return None
    if against is None:
        beside = Path(dataset.path).absolute().parent / manifest.source.name
        if not beside.is_file() or beside.stat().st_size != manifest.source.bytes:
            return None
    log = KeptLog(against or beside, manifest.settings.opening)
    try:
        names = {channel.topic for channel in log.log.channels if channel.role == "image"}
    except MediarefError:
        log.close()
        if against is not None:
            raise
        return None
    if not names & set(dataset):
        log.close()
        if against is not None:
            raise DatasetError(f"log has none of the dataset's topics as images: {against}")
        return None
    return log
