"""Where the pictures of a topic come from: the segments of a dataset, or any media that references name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.decoder import SegmentDecoder
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.looks import Facts, Look
from mediaref_tools.dataset.pictures import PictureReader
from mediaref_tools.dataset.rendering import Renderer
from mediaref_tools.errors import DatasetError, FrameError, ImageError, MediaError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.opening import open_still
from mediaref_tools.media.still import Still
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.trust import Trust, inside
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
    """Frames of a converted topic."""

    def __init__(self, dataset: Path, index: TableIndex) -> None:
        self._dataset, self._index = dataset, index
        self._renderer = Renderer()
        self._pictures = PictureReader()

    def decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        """As `FrameSource.decode`."""
        segments, members = self._index.places
        facts = self._index.facts(indices)
        for segment in np.unique(segments[indices]).tolist():
            mine = np.flatnonzero(segments[indices] == segment).tolist()
            if segment < 0:
                for at in mine:
                    self._embedded(int(indices[at]), facts[at], look, outs[at])
                continue
            numbers = np.searchsorted(members[segment], indices[mine]).tolist()
            place = dict(zip(numbers, mine, strict=True))
            decoder = self._decoder(segment, members[segment])
            if self._index.entry.segments[segment].codec in ("mjpeg", "png"):
                # As any other file: with its channels as its format says, its inks, palette or 16 bits.
                for number, data in decoder.files(numbers):
                    at = place[number]
                    self._file(int(indices[at]), data, facts[at], look, outs[at])
                continue
            for number, frame in decoder.frames(numbers):
                at = place[number]
                self._renderer.into(frame, facts[at], look, outs[at])

    def _file(self, index: int, data: bytes, facts: Facts, look: Look, out: NDArray[Any]) -> None:
        try:
            self._pictures.into(ImageValue(data, facts.format, "file"), look, out)
        except (ImageError, MediaError) as error:
            raise DatasetError(
                f"{self._index.entry.topic} frame {index} is damaged: {error}: {self._dataset}"
            ) from error

    def _decoder(self, segment: int, members: NDArray[np.int64]) -> SegmentDecoder:
        entry = self._index.entry.segments[segment]
        offset, size = self._index.packets
        path = inside(self._dataset, entry.uri)
        keyframe, pts_ns = self._index.keyframes[members], self._index.pts_ns[members]
        return SegmentDecoder(path, entry, offset[members], size[members], keyframe, pts_ns)

    def _embedded(self, index: int, facts: Facts, look: Look, out: NDArray[Any]) -> None:
        uri, entry = self._index.uris[index], self._index.entry
        try:
            data = DataURI.from_uri(uri)
            self._pictures.into(ImageValue.embedded(data.decoded_data, data.mimetype, facts.format), look, out)
        except MediarefError as error:
            head = uri[:60].partition(",")[0].partition(";")[0].removeprefix("data:")
            raise FrameError(
                f"{entry.topic} frame {index} is embedded as {head} and can't be decoded ({entry.reason})"
            ) from error

    def close(self) -> None:
        """Nothing stays open."""


class MediaSource:
    """Frames that references of others name. The last few videos stay open."""

    def __init__(
        self,
        topic: str,
        uris: NDArray[np.object_],
        pts_ns: NDArray[np.int64],
        trust: Trust,
        storage_options: StorageOptions | None = None,
    ) -> None:
        self._topic, self._uris, self._pts_ns = topic, uris, pts_ns
        self._trust, self._storage_options = trust, storage_options
        self._videos: OrderedDict[str, VideoDecoder] = OrderedDict()
        self._sizes: dict[tuple[str, bool], tuple[int, int]] = {}

    def decode(self, indices: NDArray[np.int64], outs: Sequence[NDArray[Any]], look: Look) -> None:
        """As `FrameSource.decode`."""
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
                media: Any = self._video(self._resolved(index)) if is_video else self._still(index)
                self._sizes[key] = media.size
            found[at] = self._sizes[key]
        return found

    def close(self) -> None:
        """Close the videos."""
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
            self._videos[uri] = VideoDecoder(uri, storage_options=self._storage_options)
        self._videos.move_to_end(uri)
        return self._videos[uri]
