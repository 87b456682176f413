"""A topic of pictures: its frames by index, by log time, and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mediaref_tools.dataset.batch import Frame, FrameBatch
from mediaref_tools.dataset.frameindex import FrameIndex
from mediaref_tools.dataset.framesource import FrameSource
from mediaref_tools.dataset.looks import Facts, Look, PixelFormat, wanted_look
from mediaref_tools.dataset.prefetch import prefetched
from mediaref_tools.dataset.refs import Refs
from mediaref_tools.dataset.request import fitting, integers
from mediaref_tools.dataset.stored import Stored
from mediaref_tools.errors import FrameError
from mediaref_tools.pixels.raster import check_size

__all__ = ["Topic"]


class Topic:
    """Frames of one topic, in log-time order. Made by `Dataset`; columns are read when first asked for.

    Any thread may ask; those that ask a converted topic at once decode side by side. A topic can be pickled, for
    workers: the copy opens the dataset anew. After a fork, parent and child may both go on reading.

    Examples:
        >>> dataset = mrt.open_dataset("drive/")
        >>> camera = dataset["/camera/left/image_raw/compressed"]
        >>> camera.refs[3]
        MediaRef(uri='media/camera-left-image_raw-compressed/000000.mp4', pts_ns=101909000)
        >>> batch = camera.batch([7, 0, 7])  # any order, repeats allowed
        >>> batch.data.shape, batch.data.dtype, batch.indices.tolist()
        ((3, 480, 640, 3), dtype('uint8'), [7, 0, 7])
        >>> half_a_second_in = int(camera.log_times_ns[0]) + 500_000_000
        >>> camera.at([half_a_second_in]).indices.tolist()  # the frame on screen then
        [15]
        >>> [len(batch) for batch in camera.batches(32, stride=2)]
        [32, 28]
        >>> bool(camera.psnr_db.min() > 30)
        True
        >>> dataset.close()
    """

    def __init__(self, name: str, index: FrameIndex, source: FrameSource, again: Callable[[], Topic]) -> None:
        """`again` opens the same topic once more, in another process."""
        self.name = name
        self._index, self._source, self._again = index, source, again

    def __reduce__(self) -> tuple[Callable[[], Topic], tuple[()]]:
        return self._again, ()

    def __repr__(self) -> str:
        return f"Topic({self.name!r}, {len(self)} frames)"

    def __len__(self) -> int:
        return len(self._index)

    @property
    def log_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64: when each message was received, Unix ns, ascending."""
        return self._index.log_times_ns

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """(N,) int64: header.stamp of each message; `NO_STAMP` where it had no header."""
        return self._index.stamps_ns

    @property
    def publish_times_ns(self) -> NDArray[np.int64]:
        """(N,) int64: when each message was sent; `NO_STAMP` where nobody knows."""
        return self._index.publish_times_ns

    @property
    def pts_ns(self) -> NDArray[np.int64]:
        """(N,) int64: each frame's time in its video; -1 where it is a still."""
        return self._index.pts_ns

    @property
    def psnr_db(self) -> NDArray[np.float32]:
        """(N,) float32: luma PSNR against the source, inf where identical, NaN where nobody knows."""
        return self._index.psnr_db

    @property
    def keyframes(self) -> NDArray[np.bool_]:
        """(N,) bool: whether decoding can begin at the frame; False where nobody knows."""
        return self._index.keyframes

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(N, 2) int64: height and width of each frame's picture. References of others: each media is opened."""
        return self._index.sizes(np.arange(len(self)))

    @property
    def status(self) -> NDArray[np.str_]:
        """(N,) str: how each frame is stored.

        "video"; "remuxed" (a camera's own video); "embedded" (a data URI); "still" (a file of its own, in references of
        others); "kept" (in the log, as it was).
        """
        return self._index.status

    @cached_property
    def kinds(self) -> NDArray[np.str_]:
        """(N,) str: each picture's natural form, "rgb", "gray", "gray16", "rgb16" or "metres": see `batch`."""
        return np.array([look.name for look in self._looks(np.arange(len(self)), "natural")], dtype=np.str_)

    def look(self, index: int) -> tuple[str, bool]:
        """A picture's natural form, as in `kinds`, and whether its values are distances; nothing is decoded.

        Raises:
            FrameError: There is no such frame.
        """
        facts = self._index.facts(self._wanted([index]))[0]
        return wanted_look(facts, "natural").name, facts.is_depth

    @cached_property
    def refs(self) -> Refs:
        """N references, by index or slice; none where the pictures were kept in the log."""
        return Refs(self._index.uris, self.pts_ns)

    def __getitem__(self, index: int) -> Frame:
        """Decode one frame by its index.

        Raises:
            FrameError: There is no such frame, or it is embedded and can't be decoded.
        """
        return self.batch([index])[0]

    def __iter__(self) -> Iterator[Frame]:
        for batch in self.batches(16):
            yield from batch

    def index_at(self, log_times_ns: ArrayLike) -> NDArray[np.int64]:
        """The index of the frame on screen at each log time, (N,) int64; -1 before the first frame.

        A frame is on screen from its own log time until the next one's; the last one stays.
        """
        times = integers(log_times_ns, "log time")
        return np.searchsorted(self.log_times_ns, times, side="right").astype(np.int64) - 1

    def at(
        self,
        log_times_ns: ArrayLike,
        format: PixelFormat = "natural",  # noqa: A002
        *,
        size: tuple[int, int] | None = None,
        out: NDArray[Any] | None = None,
    ) -> FrameBatch:
        """Decode the frames on screen at some log times, in any order; the rest is as in `batch`.

        Raises:
            FrameError: One lies before the first frame.
        """
        times = np.atleast_1d(integers(log_times_ns, "log time"))
        indices = self.index_at(times)
        if len(indices) and indices.min() < 0:
            raise FrameError(
                f"log time {int(times[np.argmin(indices)])} lies before the first frame of {self.name} "
                f"at {int(self.log_times_ns[0])}"
            )
        return self.batch(indices, format, size=size, out=out)

    def batches(
        self,
        frames: int,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        stride: int = 1,
        format: PixelFormat = "natural",  # noqa: A002
        size: tuple[int, int] | None = None,
        prefetch: int = 0,
    ) -> Iterator[FrameBatch]:
        """Decode frames in order, some at a time: fewer where the pictures' size or kind changes, and at the end.

        Args:
            frames: In a batch.
            start_ns, stop_ns: Log times, half-open.
            stride: Take every n-th frame.
            format, size: As in `batch`.
            prefetch: How many batches are decoded ahead of the one that was given out, while the caller computes.
        """
        if frames < 1 or stride < 1 or prefetch < 0:
            raise FrameError(
                f"batches of {frames} frames, every {stride}, {prefetch} ahead: expected at least 1, 1 and 0"
            )
        batches = self._batches(self.indices(start_ns, stop_ns, stride), frames, format, size)
        return prefetched(batches, prefetch) if prefetch else batches

    def indices(self, start_ns: int | None = None, stop_ns: int | None = None, stride: int = 1) -> NDArray[np.int64]:
        """Every `stride`-th frame whose log time lies in `[start_ns, stop_ns)`, (N,) int64."""
        times = self.log_times_ns
        begin = 0 if start_ns is None else int(np.searchsorted(times, start_ns, side="left"))
        end = len(times) if stop_ns is None else int(np.searchsorted(times, stop_ns, side="left"))
        return np.arange(begin, end, stride, dtype=np.int64)

    def _batches(
        self, indices: NDArray[np.int64], frames: int, wanted: PixelFormat, size: tuple[int, int] | None
    ) -> Iterator[FrameBatch]:
        at = 0
        while at < len(indices):
            group = indices[at : at + frames]
            looks = self._looks(group, wanted)
            same = np.array([look == looks[0] for look in looks])
            if size is None:
                same &= (self._index.sizes(group) == self._index.sizes(group[:1])).all(axis=1)
            count = int(np.argmin(same)) if not same.all() else len(same)
            yield self.batch(group[:count], wanted, size=size)
            at += count

    def _looks(self, indices: NDArray[np.int64], wanted: PixelFormat) -> list[Look]:
        return [wanted_look(facts, wanted) for facts in self._index.facts(indices)]

    async def abatch(
        self,
        indices: ArrayLike,
        format: PixelFormat = "natural",  # noqa: A002
        *,
        size: tuple[int, int] | None = None,
        out: NDArray[Any] | None = None,
    ) -> FrameBatch:
        """As `batch`, for asyncio: decodes in a thread of the event loop's, while the loop runs on."""
        import asyncio

        return await asyncio.to_thread(self.batch, indices, format, size=size, out=out)

    def batch(
        self,
        indices: ArrayLike,
        format: PixelFormat = "natural",  # noqa: A002
        *,
        size: tuple[int, int] | None = None,
        out: NDArray[Any] | None = None,
    ) -> FrameBatch:
        """Decode frames by index, in any order; repeats are decoded once.

        Args:
            indices: Integers, of which negative ones count from the end; or a mask of N bools.
            format: "natural" gives each kind of picture as it is: colour as (N, H, W, 3) uint8 RGB, mosaics too; gray
                as (N, H, W) uint8; 16-bit gray, and depth in millimetres, as (N, H, W) uint16; 16-bit colour as
                (N, H, W, 3) uint16; depth that was float as (N, H, W) float32 metres, NaN where there is none.
                "rgb", "bgr" and "gray" give uint8 of every kind: 16 bits are cut to their upper 8, depth is shown near
                bright, far dark. "metres" is float32 of depth. "native" is what is stored: a mosaic as it is, RGBA.
                "yuv" is the planes of 8-bit 4:2:0 video, not converted: (N, H * 3 / 2, W), the rows of Y, then U, V.
                References of others are "rgb" where nothing else is asked for.
            size: Height and width that frames are resized to, on the way from the decoder: pictures of several sizes
                then fit one batch. Every pixel is a weighted mean of those that become it (a triangle filter); depth
                and 16-bit gray are taken from the nearest pixel.
            out: An array to decode into, of the shape and dtype that the batch will have, with any strides; it becomes
                the batch's `data`. What is in it after an error is undefined. An (N, 3, H, W) array is filled, without
                a copy, through its `transpose(0, 2, 3, 1)`.

        Raises:
            FrameError: `out` does not fit, an index is no integer or out of range, sizes or kinds differ, there is no
                such format, or an embedded frame can't be decoded.
            DatasetError: A segment is damaged.
            TrustError: A reference of others leads out of its folder.
            MediarefError: A reference of others can't be followed or decoded.
        """
        chosen = self._wanted(indices)
        height, width = self._size(chosen) if size is None else check_size(size)
        looks = list(dict.fromkeys(self._looks(chosen, format) or [wanted_look(Facts("", "", ""), "rgb")]))
        if len(looks) > 1:
            shown = ", ".join(look.name for look in looks)
            raise FrameError(f"frames of {self.name} of kinds {shown} don't fit one batch: ask for one format of all")
        shape = (len(chosen), *looks[0].shape(height, width))
        data = np.empty(shape, dtype=looks[0].dtype) if out is None else fitting(out, shape, np.dtype(looks[0].dtype))
        once, firsts, copies = np.unique(chosen, return_index=True, return_inverse=True)
        self._source.decode(once, [data[first] for first in firsts.tolist()], looks[0], self._index.sizes(once))
        for at in np.flatnonzero(firsts[copies] != np.arange(len(chosen))).tolist():
            data[at] = data[firsts[copies[at]]]
        refs = tuple(self.refs[at] for at in chosen.tolist()) if len(self.refs) else ()
        return FrameBatch(data, chosen, self.log_times_ns[chosen], self.pts_ns[chosen], refs)

    def stored(self, indices: ArrayLike) -> Iterator[Stored | None]:
        """The bytes that frames are stored as, in order of index: image files, or packets of video.

        None stands for a frame whose bytes can't be shown by themselves: raw pixels, video that is padded or has
        B-frames, whatever references of others name. Decode it instead.

        Raises:
            FrameError: There is no such frame.
            MediarefError: While it is iterated over: the bytes can't be read.
        """
        return self._source.stored(np.unique(self._wanted(indices)))

    def _size(self, chosen: NDArray[np.int64]) -> tuple[int, int]:
        """Height and width of the pictures of a batch; (0, 0) where it is empty."""
        sizes = np.unique(self._index.sizes(chosen), axis=0).tolist()
        if len(sizes) > 1:
            shown = ", ".join(f"{width}x{height}" for height, width in sizes)
            raise FrameError(
                f"frames of {self.name} of sizes {shown} don't fit one batch: ask for them apart, or for one size"
            )
        return (sizes[0][0], sizes[0][1]) if sizes else (0, 0)

    def _wanted(self, indices: ArrayLike) -> NDArray[np.int64]:
        asked = np.atleast_1d(np.asarray(indices))
        if asked.dtype == np.bool_ and asked.shape == (len(self),):
            return np.flatnonzero(asked)
        wanted = integers(asked, "index") if asked.size else np.empty(0, np.int64)
        wrong = wanted[(wanted < -len(self)) | (wanted >= len(self))]
        if len(wrong):
            raise FrameError(f"no frame {int(wrong[0])} on {self.name}: it has {len(self)}")
        return np.where(wanted < 0, wanted + len(self), wanted)
