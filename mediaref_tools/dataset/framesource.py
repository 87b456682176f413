"""Where the pictures of a topic come from: the segments of a dataset, or any media that references name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import repeat
from typing import Any, NamedTuple, Protocol, cast

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.decoder import holds_files, segment_table, tag
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.looks import Facts, Look
from mediaref_tools.dataset.pictures import PictureReader
from mediaref_tools.dataset.rendering import Renderer
from mediaref_tools.dataset.segmentfiles import Part, SegmentFiles
from mediaref_tools.dataset.stored import Stored, packet_type
from mediaref_tools.errors import DatasetError, FrameError, ImageError, MediaError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.media.crew import Crew, Tools
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.gop import Group, PacketTable
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.media.opening import open_still
from mediaref_tools.media.packetfile import PacketReader
from mediaref_tools.media.readahead import ReadAhead
from mediaref_tools.media.still import Still
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.trust import Trust
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.pixels.raster import Format, Raster, VideoFormat

__all__ = ["FrameSource", "MediaSource", "SegmentSource"]

_OPEN_VIDEOS = 4


class FrameSource(Protocol):
    """Decodes frames by index."""

    def decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        """Decode frames, ascending and each once, into one array of the look's shape and dtype each.

        Args:
            indices: Which.
            outs, look: The arrays, and their form.
            sizes: (len(indices), 2): height and width of each picture, which is resized where its array has others.

        Raises:
            MediarefError: One can't be decoded.
        """
        ...

    def stored(self, indices: NDArray[np.int64]) -> Iterator[Stored | None]:
        """The bytes of frames, ascending: None where they can't be shown by themselves, each at its own time.

        Raises:
            MediarefError: They can't be read.
        """
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


class _Wanted(NamedTuple):
    """A frame that is asked for: its place on its topic, its kind, its picture's height and width, and its array."""

    place: int
    facts: Facts
    size: tuple[int, int]
    look: Look
    out: NDArray[Any]


class SegmentSource:
    """Frames of a converted topic. Any thread may ask."""

    def __init__(
        self,
        files: SegmentFiles,
        index: TableIndex,
        crew: Crew,
        decoders: GopDecoders,
        *,
        exact_colours: bool = False,
    ) -> None:
        self._files, self._index = files, index
        self._crew, self._decoders = crew, decoders
        self._renderers, self._pictures = Tools(partial(Renderer, exact=exact_colours)), Tools(PictureReader)
        self._tables: dict[int, PacketTable] = {}

    def decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        """As `FrameSource.decode`: groups of pictures side by side, or in threads of one decoder where they are few."""
        segments, members = self._index.places
        wanted = [
            _Wanted(index, facts, (height, width), look, out)
            for index, facts, (height, width), out in zip(
                indices.tolist(), self._index.facts(indices), sizes.tolist(), outs, strict=True
            )
        ]
        tasks: list[Callable[[], None]] = []
        groups: list[Callable[[int], None]] = []
        tasks += [partial(self._embedded, each) for each in wanted if segments[each.place] < 0]
        parts = self._parts(indices)
        for segment, part in parts.items():
            mine = [wanted[at] for at in np.flatnonzero(segments[indices] == segment).tolist()]
            numbers = np.searchsorted(members[segment], [each.place for each in mine]).tolist()
            numbered = dict(zip(numbers, mine, strict=True))
            if holds_files(part.segment):
                tasks += [partial(self._file, segment, number, each) for number, each in numbered.items()]
            else:
                groups += [partial(self._group, segment, group, numbered) for group in part.groups]
        threads = max(1, self._crew.threads // max(1, len(groups) + len(tasks)))
        with self._files.held(parts.values()):
            if self._files.is_remote:
                self._files.ask(self._parts(self._next.after(indices)).values())
            self._crew.run([*(partial(group, threads) for group in groups), *tasks])

    def _parts(self, indices: NDArray[np.int64]) -> dict[int, Part]:
        """What is decoded of each segment for some frames; a frame that is a file is a group of its own."""
        segments, members = self._index.places
        parts: dict[int, Part] = {}
        for segment in np.unique(segments[indices]).tolist():
            if segment < 0:
                continue
            numbers = np.searchsorted(members[segment], indices[segments[indices] == segment]).tolist()
            entry, table = self._index.entry.segments[segment], self._table(segment)
            files = [Group(number, (number,)) for number in numbers] if holds_files(entry) else None
            parts[segment] = Part(entry, table, table.groups(numbers) if files is None else files)
        return parts

    @cached_property
    def _next(self) -> ReadAhead:
        return ReadAhead(np.flatnonzero(self._index.keyframes), len(self._index))

    def _group(self, segment: int, group: Group, wanted: dict[int, _Wanted], threads: int) -> None:
        with self._renderers.one() as renderer, self._open(segment) as file:
            entry = self._index.entry.segments[segment]

            def render(number: int, frame: av.VideoFrame) -> None:
                tag(frame, entry)
                each = wanted[number]
                renderer.into(frame, each.facts, each.look, each.out, each.size)

            self._decoders.decode(file, self._table(segment), group, threads, render)

    def _file(self, segment: int, number: int, wanted: _Wanted) -> None:
        """A frame that is a file, read as any other: with its channels as its format says, its inks or palette."""
        table = self._table(segment)
        with self._open(segment) as file:
            data = file.read(int(table.offset[number]), int(table.size[number]))
        try:
            with self._pictures.one() as pictures:
                image = ImageValue(data, wanted.facts.format, "file")
                pictures.into(image, wanted.look, wanted.out, wanted.size)
        except (ImageError, MediaError) as error:
            raise DatasetError(
                f"{self._index.entry.topic} frame {wanted.place} is damaged: {error}: {self._files.name}"
            ) from error

    def stored(self, indices: NDArray[np.int64]) -> Iterator[Stored | None]:
        """As `FrameSource.stored`: None too for what is padded, or stored in another order than it is shown in."""
        segments, members = self._index.places
        chosen = segments[indices]
        # Runs of one segment: it is opened once for each.
        for run in np.split(indices, np.flatnonzero(np.diff(chosen)) + 1):
            segment = int(segments[run[0]]) if len(run) else -1
            if segment < 0:
                for index in run.tolist():
                    embedded = DataURI.from_uri(self._index.uris[index])
                    is_file = embedded.mimetype.startswith("image/")  # a camera's packet can't be shown
                    yield Stored(embedded.mimetype, embedded.decoded_data) if is_file else None
                continue
            entry, table = self._index.entry.segments[segment], self._table(segment)
            kind = packet_type(entry, table)
            if kind is None:
                yield from repeat(None, len(run))
                continue
            with self._open(segment) as file:
                for number in np.searchsorted(members[segment], run).tolist():
                    data = file.read(int(table.offset[number]), int(table.size[number]))
                    yield Stored(kind, data, table.coding.extradata)

    def _open(self, segment: int) -> PacketReader:
        return self._files.open(self._index.entry.segments[segment])

    def _table(self, segment: int) -> PacketTable:
        if segment not in self._tables:
            members = self._index.places[1][segment]
            offset, size = (column[members] for column in self._index.packets)
            keyframe, pts_ns = self._index.keyframes[members], self._index.pts_ns[members]
            table = segment_table(self._index.entry.segments[segment], offset, size, keyframe, pts_ns)
            return self._tables.setdefault(segment, table)  # the same for all threads: decoders go by which it is
        return self._tables[segment]

    def _embedded(self, wanted: _Wanted) -> None:
        uri, entry = self._index.uris[wanted.place], self._index.entry
        try:
            data = DataURI.from_uri(uri)
            image = ImageValue.embedded(data.decoded_data, data.mimetype, wanted.facts.format)
            with self._pictures.one() as pictures:
                pictures.into(image, wanted.look, wanted.out, wanted.size)
        except MediarefError as error:
            head = uri[:60].partition(",")[0].partition(";")[0].removeprefix("data:")
            raise FrameError(
                f"{entry.topic} frame {wanted.place} is embedded as {head} and can't be decoded ({entry.reason})"
            ) from error

    def close(self) -> None:
        """Nothing stays open."""


class MediaSource:
    """Frames that references of others name. The last few videos stay open. Any thread may ask; they take turns."""

    def __init__(
        self,
        topic: str,
        uris: NDArray[np.object_],
        pts_ns: NDArray[np.int64],
        trust: Trust,
        storage_options: StorageOptions | None = None,
        threads: int | None = None,
        *,
        exact_colours: bool = False,
    ) -> None:
        self._threads, self._lock = threads, threading.RLock()
        self._exact_colours, self._raster = exact_colours, Raster()
        self._topic, self._uris, self._pts_ns = topic, uris, pts_ns
        self._trust, self._storage_options = trust, storage_options
        self._videos: OrderedDict[str, VideoDecoder] = OrderedDict()
        self._sizes: dict[tuple[str, bool], tuple[int, int]] = {}

    def decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        """As `FrameSource.decode`."""
        with self._lock:
            self._decode(indices, outs, look, sizes)

    def _decode(
        self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look, sizes: NDArray[np.int64]
    ) -> None:
        order = cast(
            "VideoFormat", look.name
        )  # one of those that are natural where nothing else is known, or asked for
        size = look.size(outs[0]) if len(outs) else (0, 0)  # all of a call are the same
        resized = bool((sizes != size).any())
        groups: dict[str, list[int]] = {}
        opened: dict[str, str] = {}
        for at, index in enumerate(indices.tolist()):
            if self._pts_ns[index] < 0:
                self._put(index, self._still(index).array(cast("Format", order)), outs[at], resized)
            else:
                uri = self._uris[index]
                if uri not in groups:
                    opened[uri] = self._resolved(index)
                groups.setdefault(uri, []).append(at)
        for uri, mine in groups.items():
            video, times = self._video(opened[uri]), self._pts_ns[indices[mine]]
            try:
                for position, frame in video.frames_at(times, order, size=size if resized else None):
                    self._put(int(indices[mine[position]]), frame.data, outs[mine[position]])
            except FrameError as error:
                raise FrameError(f"{self._topic}: {error}") from error

    def stored(self, indices: NDArray[np.int64]) -> Iterator[Stored | None]:
        """As `FrameSource.stored`: None, whatever references of others name."""
        return repeat(None, len(indices))

    def sizes(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(indices), 2) int64: height and width; each media is opened once."""
        found = np.empty((len(indices), 2), np.int64)
        for at, index in enumerate(indices.tolist()):
            is_video = bool(self._pts_ns[index] >= 0)
            key = (self._uris[index], is_video)
            if key not in self._sizes:
                with self._lock:
                    media: Any = self._video(self._resolved(index)) if is_video else self._still(index)
                    self._sizes[key] = media.size
            found[at] = self._sizes[key]
        return found

    def close(self) -> None:
        """Close the videos."""
        with self._lock:
            while self._videos:
                self._videos.popitem()[1].close()

    def _put(self, index: int, data: NDArray[np.uint8], out: NDArray[np.uint8], resized: bool = False) -> None:
        if resized:
            self._raster.resize(data, out)
            return
        if data.shape != out.shape:
            raise FrameError(
                f"{self._topic} frame {index} is {data.shape[1]}x{data.shape[0]}, where {out.shape[1]}x{out.shape[0]} "
                "is expected: its media changes size"
            )
        out[:] = data

    def _resolved(self, index: int) -> str:
        return self._trust.resolved(self._uris[index], f"{self._topic} frame {index}")

    def _still(self, index: int) -> Still:
        return open_still(self._resolved(index), self._storage_options)

    def _video(self, uri: str) -> VideoDecoder:
        if uri not in self._videos:
            while len(self._videos) >= _OPEN_VIDEOS:
                self._videos.popitem(last=False)[1].close()
            self._videos[uri] = VideoDecoder(
                uri,
                storage_options=self._storage_options,
                threads=self._threads,
                exact_colours=self._exact_colours,
            )
        self._videos.move_to_end(uri)
        return self._videos[uri]
