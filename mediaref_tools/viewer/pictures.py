"""One topic's pictures for a page: decoded by the reader, a few held, and encoded as JPEG."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError, MediarefError
from mediaref_tools.export.imagefolder import png_bytes
from mediaref_tools.viewer.colours import Palette, coloured, integers, usual_range
from mediaref_tools.viewer.comparison import Comparison, difference
from mediaref_tools.viewer.jpeg import JpegEncoder

__all__ = ["JpegStore", "Side", "Sort", "TopicPictures", "Wanted"]

Side = Literal["decoded", "source", "difference", "all"]
"""What is shown of a frame: as it was decoded; as it was in the log; how far the two are apart; these side by side."""

Sort = Literal["colour", "depth", "deep"]
"""What a picture is to a viewer: 8 bits, shown as they are; distances; 16-bit gray."""

_HELD_FRAMES: Final = 24
_BACK_FRAMES: Final = 12  # where nobody knows from where decoding can begin


class Wanted(NamedTuple):
    """How a frame is shown.

    Attributes:
        width: In pixels, at most.
        low, high: The range of colours of depth and 16-bit gray.
        palette: Their colours.
        side: Which picture of it.
    """

    width: int
    low: int
    high: int
    palette: Palette
    side: Side


class JpegStore:
    """JPEG files that were last asked for, up to a number of bytes. Any thread may ask."""

    def __init__(self, most_bytes: int = 64_000_000) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._files: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """A file that is held, or None."""
        with self._lock:
            if key in self._files:
                self._files.move_to_end(key)
            return self._files.get(key)

    def put(self, key: tuple[object, ...], data: bytes) -> None:
        """Hold a file; those that were not asked for longest go."""
        with self._lock:
            self._bytes += len(data) - len(self._files.pop(key, b""))
            self._files[key] = data
            while self._bytes > self._most_bytes and len(self._files) > 1:
                self._bytes -= len(self._files.popitem(last=False)[1])


class TopicPictures:
    """Pictures of one topic. Any thread may ask; they take turns.

    Going back, all frames from the keyframe on are decoded at once and held: each would take as long by itself.

    Args:
        topic: What is shown.
        planes: Whether the planes of its video are those of a JPEG file: 8-bit 4:2:0, full range, BT.601.
        comparison: The same topic in the log that it was made from.
        held_bytes: How much of decoded frames is held.
    """

    def __init__(
        self, topic: Topic, store: JpegStore, *, planes: bool, comparison: Comparison | None, held_bytes: int
    ) -> None:
        self.topic = topic
        self.comparison = comparison
        self._store, self._planes, self._held_bytes = store, planes, held_bytes
        self._lock = threading.Lock()
        self._encoder = JpegEncoder()
        self._held: OrderedDict[tuple[int, PixelFormat], NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._last = -1
        self._closed = False
        self._keys: NDArray[np.int64] | None = None

    def sort(self, index: int) -> Sort:
        """What a picture is to a viewer; nothing is decoded."""
        look, is_depth = self.topic.look(index)
        return "colour" if look not in ("gray16", "metres") else "depth" if is_depth else "deep"

    def jpeg(self, index: int, wanted: Wanted) -> bytes:
        """A frame as a JPEG file.

        Raises:
            MediarefError: It can't be decoded, or there is nothing to compare it with.
        """
        key = (id(self), index, *wanted)
        found = self._store.get(key)
        if found is None:
            with self._lock:
                found = self._store.get(key) or self._encoded(index, wanted)
            self._store.put(key, found)
        return found

    def _encoded(self, index: int, wanted: Wanted) -> bytes:
        sort = self.sort(index)
        parts: list[NDArray[Any]] = []
        form: PixelFormat = "rgb" if sort == "colour" else "natural"
        if wanted.side == "decoded":
            if sort == "colour" and self._planes and self._is_video(index):
                return self._encoder.encode(self._decoded(index, "yuv"), "yuv", wanted.width)
            parts = [self._decoded(index, form)]
        else:
            if self.comparison is None:
                raise FrameError(
                    f"nothing to compare {self.topic.name} with: the log that it was made from is not open"
                )
            source, decoded = self.comparison.picture(index, form), self._decoded(index, form)
            apart = difference(source, decoded)
            sides = {"source": [source], "difference": [apart], "all": [source, decoded, apart]}
            parts = sides[wanted.side]
        if sort == "colour":
            return self._encoder.encode(np.concatenate(parts, axis=1), "rgb", wanted.width)
        values = [integers(part) for part in parts]
        step = max(1, -(-sum(part.shape[1] for part in values) // wanted.width))  # what lies between distances is none
        colours = [coloured(part[::step, ::step], wanted.low, wanted.high, wanted.palette) for part in values]
        return self._encoder.encode(np.concatenate(colours, axis=2), "yuv444", wanted.width)

    def png(self, index: int) -> bytes:
        """A frame as a PNG file with all of its bits; metres, which PNG does not hold, as 16 bits of mm.

        Raises:
            MediarefError: It can't be decoded.
        """
        with self._lock:
            picture = self._decoded(index, "natural")
        return png_bytes(integers(picture) if picture.dtype == np.float32 else picture)

    def value(self, index: int, x: int, y: int) -> list[int | float | None]:
        """The pixel at column `x` and row `y`: its channels, or its 16-bit value, or its metres (None in a hole).

        Raises:
            FrameError: It lies outside.
            MediarefError: It can't be decoded.
        """
        with self._lock:
            picture = self._decoded(index, "natural")
        if not (0 <= x < picture.shape[1] and 0 <= y < picture.shape[0]):
            raise FrameError(f"no pixel {x}, {y} in a picture of {picture.shape[1]}x{picture.shape[0]}")
        pixel = picture[y, x]
        values: list[int | float] = np.atleast_1d(pixel).tolist()
        return [None if value != value else value for value in values]

    def usual_range(self, index: int) -> tuple[int, int]:
        """The range that nearly all values of a frame are in, in mm where it is depth in metres.

        Raises:
            MediarefError: It can't be decoded.
        """
        with self._lock:
            picture = self._decoded(index, "natural")
        if picture.ndim != 2:
            return 0, 255
        return usual_range(integers(picture))

    def close(self) -> None:
        """Wait for what is being decoded; nothing is from then on."""
        with self._lock:
            self._held.clear()
            self._closed = True

    def _is_video(self, index: int) -> bool:
        return bool(self.topic.pts_ns[index] >= 0)

    def _decoded(self, index: int, form: PixelFormat) -> NDArray[Any]:
        """A frame's array, which may be a held one: not to be written to."""
        if self._closed:
            raise FrameError("the viewer is closed")
        if (index, form) not in self._held:
            begin = self._begin(index)
            pictures: list[NDArray[Any]] = []
            if begin < index:
                try:
                    pictures = list(self.topic.batch(range(begin, index + 1), form).data)
                except MediarefError:  # one of them, or they don't fit each other: this one may be fine
                    begin = index
            if not pictures:
                pictures = list(self.topic.batch([index], form).data)
            for place, picture in enumerate(pictures, begin):
                # One of a batch would keep all of the batch.
                self._hold(place, form, picture.copy() if len(pictures) > 1 else picture)
        self._held.move_to_end((index, form))
        self._last = index
        return self._held[index, form]

    def _begin(self, index: int) -> int:
        """From which frame on to decode, so that those before `index` are there when somebody goes back."""
        if not index < self._last <= index + 3 or not self._is_video(index):
            return index
        if self._keys is None:
            self._keys = np.flatnonzero(self.topic.keyframes)
        before = int(np.searchsorted(self._keys, index, "right"))
        begin = int(self._keys[before - 1]) if before else index + 1 - _BACK_FRAMES
        size = int(self.topic.sizes[index].prod()) * 3
        room = min(_HELD_FRAMES // 2, max(1, self._held_bytes // 2 // max(1, size)))
        return max(0, begin, index + 1 - room)

    def _hold(self, index: int, form: PixelFormat, picture: NDArray[Any]) -> None:
        if (index, form) in self._held:
            return
        self._held[index, form] = picture
        self._bytes += picture.nbytes
        while len(self._held) > 1 and (len(self._held) > _HELD_FRAMES or self._bytes > self._held_bytes):
            self._bytes -= self._held.popitem(last=False)[1].nbytes
