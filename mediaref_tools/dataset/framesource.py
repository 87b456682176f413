"""Where the pictures of a topic come from: the segments of a dataset, or any media that references name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, Protocol, cast

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.decoder import holds_files, segment_table, tag
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.looks import Facts, Look
from mediaref_tools.dataset.pictures import PictureReader
from mediaref_tools.dataset.rendering import Renderer
from mediaref_tools.dataset.segmentfiles import Part, SegmentFiles
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
from mediaref_tools.pixels.raster import Format

__all__ = ["FrameSource", "MediaSource", "SegmentSource"]

_OPEN_VIDEOS = 4


class FrameSource(Protocol):
    """Decodes frames by index."""

    def decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        """Decode frames, ascending and each once, into one array of the look's shape and dtype each.

        Raises:
            MediarefError: One can't be decoded.
        """
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


class SegmentSource:
    """Frames of a converted topic. Any thread may ask."""

    def __init__(self, files: SegmentFiles, index: TableIndex, crew: Crew, decoders: GopDecoders) -> None:
        self._files, self._index = files, index
        self._crew, self._decoders = crew, decoders
        self._renderers, self._pictures = Tools(Renderer), Tools(PictureReader)
        self._tables: dict[int, PacketTable] = {}

    def decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        """As `FrameSource.decode`: groups of pictures side by side, or in threads of one decoder where they are few."""
        segments, members = self._index.places
        facts = self._index.facts(indices)
        tasks: list[Callable[[], None]] = []
        groups: list[Callable[[int], None]] = []
        tasks += [
            partial(self._embedded, int(indices[at]), facts[at], look, outs[at])
            for at in np.flatnonzero(segments[indices] < 0).tolist()
        ]
        parts = self._parts(indices)
        for segment, part in parts.items():
            mine = np.flatnonzero(segments[indices] == segment).tolist()
            place = dict(zip(np.searchsorted(members[segment], indices[mine]).tolist(), mine, strict=True))
            if holds_files(part.segment):
                tasks += [
                    partial(self._file, int(indices[at]), segment, number, facts[at], look, outs[at])
                    for number, at in place.items()
                ]
                continue
            for group in part.groups:
                put = {number: (facts[place[number]], outs[place[number]]) for number in group.wanted}
                groups.append(partial(self._group, segment, group, put, look))
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

    def _group(
        self, segment: int, group: Group, put: dict[int, tuple[Facts, NDArray[Any]]], look: Look, threads: int
    ) -> None:
        with self._renderers.one() as renderer, self._open(segment) as file:
            entry = self._index.entry.segments[segment]

            def render(number: int, frame: av.VideoFrame) -> None:
                tag(frame, entry)
                facts, out = put[number]
                renderer.into(frame, facts, look, out)

            self._decoders.decode(file, self._table(segment), group, threads, render)

    def _file(self, index: int, segment: int, number: int, facts: Facts, look: Look, out: NDArray[Any]) -> None:
        """A frame that is a file, read as any other: with its channels as its format says, its inks or palette."""
        table = self._table(segment)
        with self._open(segment) as file:
            data = file.read(int(table.offset[number]), int(table.size[number]))
        try:
            with self._pictures.one() as pictures:
                pictures.into(ImageValue(data, facts.format, "file"), look, out)
        except (ImageError, MediaError) as error:
            raise DatasetError(
                f"{self._index.entry.topic} frame {index} is damaged: {error}: {self._files.name}"
            ) from error

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

    def _embedded(self, index: int, facts: Facts, look: Look, out: NDArray[Any]) -> None:
        uri, entry = self._index.uris[index], self._index.entry
        try:
            data = DataURI.from_uri(uri)
            with self._pictures.one() as pictures:
                pictures.into(ImageValue.embedded(data.decoded_data, data.mimetype, facts.format), look, out)
        except MediarefError as error:
            head = uri[:60].partition(",")[0].partition(";")[0].removeprefix("data:")
            raise FrameError(
                f"{entry.topic} frame {index} is embedded as {head} and can't be decoded ({entry.reason})"
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
    ) -> None:
        self._threads, self._lock = threads, threading.RLock()
        self._topic, self._uris, self._pts_ns = topic, uris, pts_ns
        self._trust, self._storage_options = trust, storage_options
        self._videos: OrderedDict[str, VideoDecoder] = OrderedDict()
        self._sizes: dict[tuple[str, bool], tuple[int, int]] = {}

    def decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        """As `FrameSource.decode`."""
        with self._lock:
            self._decode(indices, outs, look)

    def _decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        order = cast("Format", look.name)  # one of those that are natural where nothing else is known, or asked for
        groups: dict[str, list[int]] = {}
        opened: dict[str, str] = {}
        for at, index in enumerate(indices.tolist()):
            if self._pts_ns[index] < 0:
                self._put(index, self._still(index).array(order), outs[at])
            else:
                uri = self._uris[index]
                if uri not in groups:
                    opened[uri] = self._resolved(index)
                groups.setdefault(uri, []).append(at)
        for uri, mine in groups.items():
            try:
                for position, frame in self._video(opened[uri]).frames_at(self._pts_ns[indices[mine]], order):
                    self._put(int(indices[mine[position]]), frame.data, outs[mine[position]])
            except FrameError as error:
                raise FrameError(f"{self._topic}: {error}") from error

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

    def _put(self, index: int, data: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
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
            self._videos[uri] = VideoDecoder(uri, storage_options=self._storage_options, threads=self._threads)
        self._videos.move_to_end(uri)
        return self._videos[uri]
