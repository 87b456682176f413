"""Pictures that lie in a log, of topics that were kept or before they became video, read when they are asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.dataset.looks import Facts, Look
from mediaref_tools.dataset.pictures import PictureReader, picture_facts, picture_size
from mediaref_tools.dataset.stored import Stored
from mediaref_tools.errors import DatasetError, FrameError, ImageError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import LogReader, Message, OpenOptions
from mediaref_tools.plugins import open_log

__all__ = ["KeptIndex", "KeptLog", "KeptSource", "Timed"]


class KeptLog:
    """A dataset's log, or the one that it was made from, opened when first needed, with what its conversion was told.

    For one thread at a time: whoever holds `lock`.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self.path = path
        self._options = options
        self._log: LogReader | None = None
        self._parents: LogReader | None = None
        self._process = os.getpid()
        self.lock = threading.RLock()

    @property
    def log(self) -> LogReader:
        """The open log.

        Raises:
            DatasetError: It can't be read.
        """
        if self._process != os.getpid():
            # A fork shares its parent's place in the file; what belongs to the reader, the parent will clear away.
            self._process, self._parents, self._log = os.getpid(), self._log, None
        if self._log is None:
            try:
                self._log = open_log(self.path, self._options)
            except MediarefError as error:
                raise DatasetError(f"pictures in the log can't be read: {error}") from error
        return self._log

    def images(self, topic: str, start_ns: int | None = None, stop_ns: int | None = None) -> Iterator[Message]:
        """The image messages of a topic, in log-time order, at times in `[start_ns, stop_ns)`."""
        messages = self.log.messages([topic], start_ns=start_ns, stop_ns=stop_ns)
        return (message for message in messages if message.channel.role == "image")

    def close(self) -> None:
        """Close the log. Safe to call again."""
        if self._log is not None:
            self._log.close()
            self._log = None


class _Columns(NamedTuple):
    log_times_ns: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    publish_times_ns: NDArray[np.int64]
    sizes: NDArray[np.int64]
    facts: list[Facts]


class KeptIndex:
    """What is known of a kept topic's frames; `mediaref_tools.dataset.frameindex.FrameIndex` says what each means.

    The log is gone through once, when anything but the number of frames is first asked for.
    """

    def __init__(self, kept: KeptLog, topic: str, frames: int | None) -> None:
        """`frames` is how many the manifest says there are; None where there is none, as of a log not converted."""
        self._kept, self._topic, self._frames = kept, topic, frames

    def __len__(self) -> int:
        return len(self._columns.facts) if self._frames is None else self._frames

    @cached_property
    def _columns(self) -> _Columns:
        with self._kept.lock:
            return self._read()

    def _read(self) -> _Columns:
        rows: list[tuple[int, int, int]] = []
        sizes: list[tuple[int, int]] = []
        facts: list[Facts] = []
        known: dict[Facts, Facts] = {}
        for message in self._kept.images(self._topic):
            try:
                image = self._kept.log.image(message)
            except ImageError:
                image = ImageValue(b"", "", "file")
            stamp_ns = NO_STAMP if image.stamp_ns is None else image.stamp_ns
            publish_ns = NO_STAMP if message.publish_time_ns is None else message.publish_time_ns
            rows.append((message.log_time_ns, stamp_ns, publish_ns))
            sizes.append(picture_size(image))
            told = picture_facts(image)
            facts.append(known.setdefault(told, told))
        if self._frames is not None and len(rows) != self._frames:
            raise DatasetError(
                f"log holds {len(rows)} images of {self._topic}, the manifest says {self._frames}: {self._kept.path}"
            )
        times = np.array(rows, np.int64).reshape(-1, 3)
        return _Columns(times[:, 0], times[:, 1], times[:, 2], np.array(sizes, np.int64).reshape(-1, 2), facts)

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, ascending."""
        return self._columns.log_times_ns

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where there is none."""
        return self._columns.stamps_ns

    @property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64; `NO_STAMP` where the container does not tell."""
        return self._columns.publish_times_ns

    @property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64: -1, no frame is in a video."""
        return np.full(len(self), -1, np.int64)

    @property
    def uris(self) -> NDArray[np.object_]:
        """(0,): no frame has a reference."""
        return np.empty(0, np.object_)

    @property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32: infinite, the very image is there."""
        return np.full(len(self), np.inf, np.float32)

    @property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool: True."""
        return np.ones(len(self), np.bool_)

    @property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: "kept"."""
        return np.full(len(self), "kept")

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(indices), 2) int64: height and width."""
        return self._columns.sizes[indices]

    def facts(self, indices: NDArray[np.int64]) -> list[Facts]:
        """What tells each frame's kind."""
        return [self._columns.facts[index] for index in indices.tolist()]


class Timed(Protocol):
    """What knows when a topic's image messages were received."""

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64, ascending."""
        ...


class KeptSource:
    """Frames of a topic as they are in a log: of one that was kept, or in the log that a dataset was made from.

    Any thread may ask; they take turns.
    """

    def __init__(self, kept: KeptLog, topic: str, index: Timed) -> None:
        """`index` tells the log time of each frame: the topic's own, or that of a dataset made of the same log."""
        self._kept, self._topic, self._index = kept, topic, index
        self._pictures = PictureReader()

    def decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        """As `FrameSource.decode`."""
        with self._kept.lock:
            self._decode(indices, outs, look, sizes)

    def _decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        for index, out, (height, width) in zip(indices.tolist(), outs, sizes.tolist(), strict=True):
            try:
                self._pictures.into(self._image(index), look, out, (height, width))
            except ImageError as error:
                raise FrameError(f"{self._topic} frame {index} of the log can't be decoded: {error}") from error

    def stored(self, indices: NDArray[np.int64]) -> Iterator[Stored | None]:
        """As `FrameSource.stored`: image files alone."""
        for index in indices.tolist():
            with self._kept.lock:
                try:
                    image = self._image(index)
                except ImageError as error:
                    raise FrameError(f"{self._topic} frame {index} of the log can't be read: {error}") from error
                is_file = image.kind == "file" and image.media_type.startswith("image/")
                data = bytes(image.data) if is_file else b""
            yield Stored(image.media_type, data) if is_file else None

    def _image(self, index: int) -> ImageValue:
        """A frame's image; whoever asks holds the log's lock."""
        times = self._index.log_times_ns
        time_ns = int(times[index])
        before = index - int(np.searchsorted(times, time_ns, side="left"))
        messages = self._kept.images(self._topic, time_ns, time_ns + 1)
        message = next((message for at, message in enumerate(messages) if at == before), None)
        if message is None:
            raise DatasetError(f"log has no image {index} of {self._topic} any more: {self._kept.path}")
        return self._kept.log.image(message)

    def close(self) -> None:
        """Nothing of its own stays open."""
