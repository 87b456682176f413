"""HDF5 episodes (`*.hdf5`, `*.h5`): ALOHA/ACT, robomimic, LIBERO, AgileX, RoboTwin and their like.

A message is one row of a dataset of pictures, its topic the dataset's path without the leading slash. Everything else
in the file is no message: the writer carries it over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import h5py

from mediaref_tools.errors import ImageError, LogError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, Loss, Message, OpenOptions, Record, RecordKind
from mediaref_tools.recordjson import json_record

from ..storage.timeorder import Block, in_time_order
from .column import Was
from .extras import extras
from .file import is_hdf5, open_file, reading, walk
from .records import recorded
from .restorer import Hdf5Restorer
from .rows import image_of, read_rows, spans
from .topics import Topic, survey
from .video import packets
from .writer import Hdf5Writer

__all__ = ["Hdf5Converter", "Hdf5Reader"]

_BUDGET = 64 * 2**20
_PACKETS = 64
_REFS = 1024


class Hdf5Converter:
    """Opens HDF5 files, which it knows by their signature, whatever their names."""

    name: ClassVar[str] = "hdf5"

    def claims(self, path: Path) -> bool:
        """Whether the path is a file with HDF5's signature."""
        return is_hdf5(path)

    def open(self, path: Path) -> Hdf5Reader:
        """Open a file.

        Raises:
            LogError: It is not HDF5, cut, damaged, or open for writing elsewhere.
            ExtraError: Its pictures need a filter of hdf5plugin, which is not installed.
        """
        return Hdf5Reader(path, OpenOptions())

    def open_with(self, path: Path, options: OpenOptions) -> Hdf5Reader:
        """Open a file with the times, profile or colours that somebody tells of it.

        Raises:
            LogError: As in `open`; or there is no such profile.
            ExtraError: As in `open`.
        """
        return Hdf5Reader(path, options)


class Hdf5Reader:
    """An open HDF5 file: see `mediaref_tools.log.LogReader`.

    A message's data is its row as it lies in the file, padding included; of references, JSON. Its position is its row,
    shifted by 32 bits, plus its channel.

    Raises:
        LogError: It can't be read.
    """

    container: str = "hdf5"

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self.path = path
        self._options = options
        self._file: h5py.File | None = open_file(path)
        try:
            with reading(path):
                self._tree = walk(self._file)
                self._survey = survey(self._file, self._tree, options)
        except BaseException:
            self.close()
            raise
        self._topics = {topic.channel.id: topic for topic in self._survey.topics.values()}
        self._stats: dict[int, ChannelStats] = {}
        self._was: dict[str, Was] = {}
        self._told: set[tuple[str, int]] = set()
        self._losses = list(self._survey.losses)
        self.losses: Sequence[Loss] = self._losses
        self.channels: Sequence[Channel] = [topic.channel for topic in self._topics.values()]

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, bytes and times by channel id; times are None where nothing tells them.

        Rows of their own lengths (vlen, references) are read for that. The answer is kept.
        """
        file = self._opened()
        for number, topic in self._topics.items():
            if number not in self._stats:
                times = topic.times
                ends = (None, None) if times is None else (times.at(0), times.at(topic.rows - 1))
                self._stats[number] = ChannelStats(topic.rows, self._bytes(file, topic), *ends)
        return self._stats

    def _bytes(self, file: h5py.File, topic: Topic) -> int:
        if topic.video is not None:
            return topic.video.bytes
        if topic.pictures is not None:
            pictures = topic.pictures
            size = pictures.row_bytes
            if size is not None:
                return size * topic.rows
        return sum(len(data) for _, _, load in self._loads(file, topic, _BUDGET) for data in load())

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Rows in the order of their times; of all topics, or of some.

        Raises:
            LogError: The log is closed, or nothing tells the times of a topic that is asked for.
        """
        file = self._opened()
        names = None if topics is None else frozenset(topics)
        wanted = [topic for topic in self._topics.values() if names is None or topic.path in names]
        lost = [topic.path for topic in wanted if topic.times is None]
        if lost:
            raise LogError(
                f"nothing in this file tells when the rows of {lost[0]} were taken"
                f"{f' (and of {len(lost) - 1} more)' if len(lost) > 1 else ''}: no dataset of times beside it, no rate "
                f"in an attribute, no layout of known rate; say --fps (settings: fps=) or --profile: {self.path}"
            )
        start = -(2**63) if start_ns is None else start_ns
        stop = 2**63 if stop_ns is None else stop_ns
        budget = _BUDGET // max(1, len(wanted))
        blocks = [
            Block(max(times.at(first), start), budget, partial(self._load, topic, first, load, start, stop))
            for topic in wanted
            if (times := topic.times) is not None
            for first, last, load in self._loads(file, topic, budget)
            # A video can't be read from its middle.
            if times.at(first) < stop and (topic.video is not None or times.at(last) >= start)
        ]
        return in_time_order(blocks)

    def _loads(
        self, file: h5py.File, topic: Topic, budget: int
    ) -> Iterator[tuple[int, int, Callable[[], list[bytes | memoryview]]]]:
        """What reads a topic's rows, some at a time, with the first and last of them: to be called in order."""
        if topic.video is not None:
            stream = packets(file, topic.path)
            for first in range(0, topic.rows, _PACKETS):
                last = min(first + _PACKETS, topic.rows) - 1
                yield first, last, lambda: [data for data, _ in islice(stream, _PACKETS)]
            return
        dataset = file[topic.path]
        if topic.pictures is None:
            for first in range(0, topic.rows, _REFS):
                stop = min(first + _REFS, topic.rows)
                yield first, stop - 1, partial(self._refs, topic.path, first, stop)
            return
        for first, stop in spans(dataset, topic.pictures, budget):
            yield first, stop - 1, partial(self._rows, topic.path, first, stop)

    def _refs(self, path: str, start: int, stop: int) -> list[bytes | memoryview]:
        return _refs(self._opened()[path], start, stop)

    def _rows(self, path: str, start: int, stop: int) -> list[bytes | memoryview]:
        """Rows; one that can't be read is empty, and a loss."""
        try:
            # Not kept open: HDF5 keeps a megabyte of chunks for each dataset that is.
            return read_rows(self._opened()[path], start, stop)
        except (OSError, ValueError, TypeError, MemoryError) as error:
            self._opened()  # closed while its messages were being read: that is no damage
            if stop - start > 1:
                return [row for one in range(start, stop) for row in self._rows(path, one, one + 1)]
            if (path, start) not in self._told:
                self._told.add((path, start))
                self._losses.append(Loss(f"{path} row {start}", f"it can't be read: {error}", 1))
            return [b""]

    def _load(
        self, topic: Topic, first: int, load: Callable[[], list[bytes | memoryview]], start_ns: int, stop_ns: int
    ) -> list[Message]:
        self._opened()
        channel, times = topic.channel, topic.times
        messages = []
        with reading(self.path, topic.path):
            for row, data in enumerate(load(), first):
                time_ns = 0 if times is None else times.at(row)
                if start_ns <= time_ns < stop_ns:
                    messages.append(Message(channel, time_ns, None, None, data, row << 32 | channel.id))
        return messages

    def image(self, message: Message) -> ImageValue:
        """The picture in a row of a channel whose role is "image". For any thread.

        Raises:
            ImageError: There is none, or red and blue can't be swapped.
        """
        topic = self._topics[message.channel.id]
        if topic.pictures is None:
            raise ImageError(f"{topic.path} holds references, not pictures")
        if topic.video is not None:
            return ImageValue(message.data, topic.video.codec, "packet", type=message.channel.type)
        return image_of(message, topic.pictures, swap=self._options.swap_rb)

    def record(self, message: Message) -> Record | None:
        """The record in a row of references, with what their dataset's attributes say; None if it holds none."""
        found = json_record(message.data) if message.channel.role == "record" else None
        if found is None:
            return None
        with reading(self.path, message.channel.topic):
            return recorded(found.ref, self._opened()[message.channel.topic].attrs)

    def extras(self, replaced: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """What the file holds beside the pictures of some topics: see `mediaref_tools.log.WholeReader`.

        Raises:
            LogError: It can't be read.
        """
        repeating = {path for path, base in self._survey.repeats.items() if base in replaced}
        with reading(self.path):
            yield from extras(self._opened(), self._tree, {*replaced, *repeating})

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> Hdf5Writer:  # noqa: ARG002
        """Start the same file anew at `out`. Records are compound `(uri, pts_ns)`, whatever `kind` says.

        Raises:
            LogError: The log is closed, or holds what can't be carried over.
            OutputError: `out` exists, or can't be written.
        """
        return Hdf5Writer(self._opened(), self.path, self._tree, self._survey, out, frozenset(topics), self._options)

    def serialized(self, channel: Channel, image: ImageValue) -> bytes | memoryview:
        """The row that holds a picture; see `mediaref_tools.restorable.RestorableReader`.

        Raises:
            ImageError: It is no picture of such a dataset.
        """
        was = self._was.get(channel.topic)
        if was is None:
            with reading(self.path, channel.topic):
                was = self._was[channel.topic] = Was.of(self._opened()[channel.topic])
        return was.row(image)

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> Hdf5Restorer:
        """Start the same file anew at `out`, with pictures where references stand; see `RestorableReader`.

        Raises:
            LogError: The log is closed, or does not say what its references stand for.
            OutputError: `out` exists, or can't be written.
        """
        return Hdf5Restorer(self._opened(), self.path, self._tree, out, originals)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> h5py.File:
        if self._file is None:
            raise LogError(f"this log is closed: {self.path}")
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _refs(dataset: h5py.Dataset, start: int, stop: int) -> list[bytes | memoryview]:
    rows: list[bytes | memoryview] = []
    for value in dataset[start:stop]:
        uri, pts_ns = value["uri"], int(value["pts_ns"])
        told: dict[str, Any] = {"uri": uri.decode("utf-8", "replace") if isinstance(uri, bytes) else str(uri)}
        if pts_ns >= 0:
            told["pts_ns"] = pts_ns
        rows.append(json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))
    return rows
