"""A whole MP4 in one HDF5 dataset: its packets, one by one, as a camera would have sent them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

import av
import h5py
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from numpy.typing import NDArray

__all__ = ["Video", "open_video", "packets"]

_ANNEX_B = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
_NAMES = {"h264": "h264", "hevc": "h265", "vp9": "vp9", "av1": "av1"}
_PACKETS_MAX = 2**24


@dataclass(frozen=True, slots=True)
class Video:
    """A video in a dataset.

    Attributes:
        path: The dataset's.
        codec: "h264", "h265", "vp9" or "av1".
        times_ns: (N,) int64: of each packet, from the video's start.
        bytes: Of all packets, as `packets` gives them.
        width, height: Of its pictures.
    """

    path: str
    codec: str
    times_ns: NDArray[np.int64]
    bytes: int
    width: int
    height: int


class _Blob(io.RawIOBase):
    """A dataset of bytes as a file."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset, self._at = dataset, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._dataset)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._dataset[self._at : self._at + len(buffer)]
        buffer[: len(data)] = data.tobytes()
        self._at += len(data)
        return len(data)


@contextmanager
def _opened(file: h5py.File, path: str) -> Iterator[InputContainer]:
    blob = io.BufferedReader(_Blob(file[path]), 2**18)
    with av.open(cast("IO[bytes]", blob), "r", format="mp4") as container:
        yield container


def open_video(file: h5py.File, path: str) -> Video | str:
    """Look through a video.

    Returns:
        The video, or why its packets can't be taken out: the dataset stays as it is then.
    """
    times: list[int] = []
    size = 0
    try:
        with _opened(file, path) as container:
            if len(container.streams.video) != 1 or len(container.streams) != 1:
                return "an MP4 of other streams than one video: the dataset is copied as it is"
            stream = container.streams.video[0]
            name = stream.codec_context.codec.canonical_name
            codec, width, height = _NAMES.get(name, ""), stream.codec_context.width, stream.codec_context.height
            if not codec:
                return f"an MP4 of {name}: the dataset is copied as it is"
        for data, time_ns in packets(file, path):
            times.append(time_ns)
            size += len(data)
            if len(times) > _PACKETS_MAX:
                return f"an MP4 of more than {_PACKETS_MAX} frames: the dataset is copied as it is"
    except (av.FFmpegError, OSError, ValueError) as error:
        return f"an MP4 that can't be read ({error}): the dataset is copied as it is"
    if not times:
        return "an MP4 without frames: the dataset is copied as it is"
    array = np.array(times, np.int64)
    if (np.diff(array) <= 0).any():
        return "an MP4 whose frames are not stored in the order of their times (B-frames): it is copied as it is"
    return Video(path, codec, array, size, width, height)


def packets(file: h5py.File, path: str) -> Iterator[tuple[bytes, int]]:
    """Packets in order, with their times in ns from the first one's.

    H.264 and H.265 come as Annex B, parameter sets before each keyframe, as a camera sends them.
    """
    with _opened(file, path) as container:
        stream = container.streams.video[0]
        name = _ANNEX_B.get(stream.codec_context.codec.canonical_name)
        filtered = None if name is None else BitStreamFilterContext(name, stream)
        tick = stream.time_base
        if tick is None:
            raise ValueError("no time base")
        first: int | None = None
        for packet in container.demux(stream):
            if packet.size == 0 or packet.pts is None:  # the one that says that it is over
                continue
            for part in [packet] if filtered is None else filtered.filter(packet):
                if part.pts is None:
                    continue
                first = part.pts if first is None else first
                yield bytes(part), round((part.pts - first) * tick * 10**9)
