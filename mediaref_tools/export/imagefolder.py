"""A folder of one topic's frames as image files, with a table beside them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.lanes import cores
from mediaref_tools.media.datauri import DataURI

__all__ = ["TABLE", "Format", "ImageFolder", "ImageWriter", "png_bytes"]

Format = Literal["png", "jpeg"]

TABLE: Final = "frames.csv"

_COLUMNS: Final = ("index", "log_time_ns", "publish_time_ns", "stamp_ns", "file", "uri", "pts_ns", "psnr_db", "status")
_SUFFIX: Final[Mapping[str, str]] = {"png": ".png", "jpeg": ".jpg", "metres": ".tiff"}
_EMBEDDED_SUFFIX: Final[Mapping[str, str]] = {
    "image/avif": ".avif",
    "image/bmp": ".bmp",
    "image/gif": ".gif",
    "image/jpeg": ".jpg",
    "image/jxl": ".jxl",
    "image/png": ".png",
    "image/tiff": ".tiff",
    "image/webp": ".webp",
    "video/av1": ".obu",
    "video/h264": ".h264",
    "video/h265": ".h265",
}
_PNG_LEVEL: Final = 3  # 34 ms and 243 kB for a 960x540 street; level 6 takes 77 ms for 221 kB
_BATCH_BYTES: Final = 32_000_000
_BATCH_FRAMES: Final = 32


class ImageWriter:
    """Writes image files on a few threads: Pillow lets go of the GIL while it compresses."""

    def __init__(self, format: Format, quality: int) -> None:  # noqa: A002
        """`quality` is of JPEG, 1 to 100."""
        self._format, self._quality = format, quality
        self._pool = ThreadPoolExecutor(min(4, cores()), thread_name_prefix="image")

    def form(self, kind: str) -> tuple[PixelFormat, str]:
        """How pictures of a kind are asked for, and their files' suffix: JPEG is 8-bit, PNG holds no floats."""
        if self._format == "jpeg":
            return ("gray" if kind == "gray" else "rgb"), _SUFFIX["jpeg"]
        return "natural", _SUFFIX["metres" if kind == "metres" else "png"]

    def write(self, pictures: Sequence[NDArray[Any]], paths: Sequence[Path]) -> Iterator[int]:
        """Start to write pictures as `form` asks for them; gives the size of each file as it is done, in order."""
        return self._pool.map(self._save, pictures, paths)

    def _save(self, picture: NDArray[Any], path: Path) -> int:
        with path.open("xb") as stream:
            if picture.dtype == np.float32:
                Image.fromarray(picture).save(stream, "tiff", compression="tiff_deflate")
            elif self._format == "png":
                stream.write(png_bytes(picture))
            else:
                Image.fromarray(picture).save(stream, "jpeg", quality=self._quality)
            return stream.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def png_bytes(picture: NDArray[Any]) -> bytes:
    """A picture as a PNG file: (H, W) or (H, W, 3), uint8 or uint16."""
    if picture.dtype == np.uint16 and picture.ndim == 3:
        return _deep_png(picture)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png", compress_level=_PNG_LEVEL)
    return stream.getvalue()


def _deep_png(picture: NDArray[np.uint16]) -> bytes:
    """(H, W, 3) uint16 RGB as PNG, which Pillow can't write."""
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - for the type checker
    frame = av.VideoFrame.from_ndarray(picture, format="rgb48le").reformat(format="rgb48be")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb48be"
    encoder.framerate = Fraction(1)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


class _Batch(NamedTuple):
    """Frames on their way: positions, file names, and what tells the files' sizes."""

    positions: list[int]
    names: list[str]
    sizes: Iterator[int]


class ImageFolder:
    """Exports one topic. `frames`, `embedded` and `bytes` say what was written so far."""

    def __init__(self, folder: Path, topic: Topic, writer: ImageWriter) -> None:
        """`folder` is made by `write`."""
        self.folder = folder
        self.frames = self.embedded = self.bytes = 0
        self._topic = topic
        self._writer = writer
        self._stems = _stems(topic.log_times_ns)
        self._is_video = topic.status != "embedded"

    def write(self, positions: NDArray[np.int64]) -> Iterator[None]:
        """Write the frames at these positions, and their rows; yields after each few.

        A batch decodes while the one before it is compressed.
        """
        self.folder.mkdir()
        with (self.folder / TABLE).open("x", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(_COLUMNS)
            waiting: _Batch | None = None
            for group in self._groups(positions):
                batch = self._start(group)
                if waiting is not None:
                    table.writerows(self._rows(waiting))
                    yield
                waiting = batch
            if waiting is not None:
                table.writerows(self._rows(waiting))
                yield

    def _groups(self, positions: NDArray[np.int64]) -> Iterator[list[int]]:
        """Runs of positions that are all embedded, or all video of one size, a few each."""
        sizes = self._topic.sizes
        group: list[int] = []
        for position in positions.tolist():
            if group and not self._fits(group, position, sizes):
                yield group
                group = []
            group.append(position)
        if group:
            yield group

    def _fits(self, group: list[int], position: int, sizes: NDArray[np.int64]) -> bool:
        first = group[0]
        if self._is_video[position] != self._is_video[first] or len(group) >= _BATCH_FRAMES:
            return False
        height, width = int(sizes[position, 0]), int(sizes[position, 1])
        same = height == sizes[first, 0] and width == sizes[first, 1]
        same &= self._topic.kinds[position] == self._topic.kinds[first]
        return not self._is_video[first] or bool(same and (len(group) + 1) * height * width * 3 <= _BATCH_BYTES)

    def _start(self, positions: list[int]) -> _Batch:
        if not self._is_video[positions[0]]:
            return self._embed(positions)
        wanted, suffix = self._writer.form(str(self._topic.kinds[positions[0]]))
        names = [self._stems[position] + suffix for position in positions]
        pictures = self._topic.batch(positions, wanted).data
        return _Batch(positions, names, self._writer.write(list(pictures), [self.folder / name for name in names]))

    def _embed(self, positions: list[int]) -> _Batch:
        names, sizes = [], []
        for position in positions:
            media = DataURI.from_uri(self._topic.refs[position].uri)
            names.append(self._stems[position] + _EMBEDDED_SUFFIX.get(media.mimetype, ".bin"))
            with (self.folder / names[-1]).open("xb") as stream:
                sizes.append(stream.write(media.decoded_data))
        self.embedded += len(positions)
        return _Batch(positions, names, iter(sizes))

    def _rows(self, batch: _Batch) -> Iterator[tuple[object, ...]]:
        topic = self._topic
        for position, name, size in zip(batch.positions, batch.names, batch.sizes, strict=True):
            self.frames += 1
            self.bytes += size
            is_video = self._is_video[position]
            psnr_db = float(topic.psnr_db[position])
            yield (
                position,
                int(topic.log_times_ns[position]),
                _known(topic.publish_times_ns[position]),
                _known(topic.stamps_ns[position]),
                name,
                # An embedded frame's uri is the file itself in base64: longer than a field that csv readers take.
                topic.refs[position].uri if is_video and len(topic.refs) else "",
                int(topic.pts_ns[position]) if is_video else "",
                "" if np.isnan(psnr_db) else f"{psnr_db:.3f}",
                str(topic.status[position]),
            )


def _stems(log_times_ns: NDArray[np.int64]) -> list[str]:
    """A file name for each frame, without its suffix: sorts as its time does, and no two are the same.

    It depends on the topic alone, so that exports of any part of it agree.
    """
    # How many frames before it have its very time; times are sorted.
    repeats = np.arange(len(log_times_ns)) - np.searchsorted(log_times_ns, log_times_ns, side="left")
    return [
        f"{time_ns:019d}_{repeat}" if repeat else f"{time_ns:019d}"
        for time_ns, repeat in zip(log_times_ns.tolist(), repeats.tolist(), strict=True)
    ]


def _known(time_ns: np.int64) -> int | str:
    return "" if time_ns == NO_STAMP else int(time_ns)
