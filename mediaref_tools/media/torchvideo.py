"""Frames of a video file by TorchCodec, on the CPU or a GPU: the same frame for a time as `video` gives.

TorchCodec chooses by float seconds; here the exact times that the packets tell choose, and TorchCodec is asked by the
frame's number. What it gives must be of that time, so a file that it reads otherwise is refused, not guessed at.
"""

from __future__ import annotations

import importlib
import io
import math
import re
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mediaref_tools.errors import ExtraError, FrameError, MediaError
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.failures import explained
from mediaref_tools.media.storage import StorageOptions, local_file, open_remote
from mediaref_tools.media.stream import FrameStream
from mediaref_tools.media.uri import scheme, shown
from mediaref_tools.media.videobatch import VideoFrame
from mediaref_tools.pixels.raster import Format, check_format, reordered

__all__ = ["TorchVideo"]

# In others (MPEG-TS, AVI) it enters where frames can't be decoded from, and gives wrong pictures with the right time.
_FORMATS = {"mov": "MP4, MOV", "matroska": "Matroska, WebM"}
_PLACE = re.compile(r"^.*\.(cpp|h):[0-9]+, ")
_PIL_MODES: dict[Format, str] = {"rgba": "RGBA", "bgra": "RGBA", "gray": "L"}


class TorchVideo:
    """Decodes frames of one video file by time, through TorchCodec. A context manager, for one thread at a time.

    Each file's packets are read twice to open it, so one that is not local is copied to a temporary file first. Where
    packets lack, the whole file is refused; damage inside of them shows as TorchCodec conceals it.
    """

    def __init__(
        self,
        uri: str,
        *,
        device: str = "cpu",
        num_ffmpeg_threads: int = 1,
        storage_options: StorageOptions | None = None,
    ) -> None:
        """Open a video: one stream of an MP4, MOV, Matroska or WebM file.

        Args:
            uri: A path or a uri.
            device: Where to decode, such as "cuda" or "cuda:1". Frames always come back as arrays.
            num_ffmpeg_threads: For decoding on the CPU; 0 leaves it to FFmpeg.
            storage_options: For fsspec.

        Raises:
            ExtraError: TorchCodec is not installed or can't be loaded, or the storage's package.
            MediarefError: As `VideoDecoder`.
            MediaError: TorchCodec can't open it, not on this device, or finds other frames than its packets tell.
        """
        decoders = _decoders()
        self._name = shown(uri)
        self._clean = ExitStack()
        try:
            path = self._local(uri, storage_options)
            self._stream = self._clean.enter_context(FrameStream(path, self._name))
            self._check_stream()
            with explained(uri):
                self._ticks = self._stream.ticks()
            self._decoder = self._opened(decoders, path, device, num_ffmpeg_threads)
        except BaseException:
            self._clean.close()
            raise

    def __repr__(self) -> str:
        return f"TorchVideo({self._name!r})"

    def frames_at(self, pts_ns: ArrayLike, format: Format = "rgb") -> Iterator[tuple[int, VideoFrame]]:  # noqa: A002
        """Decode frames by time, as `VideoDecoder.frames_at`.

        "rgba" and "bgra" are opaque, "gray" is the luma of RGB, and "native" is 8-bit RGB; a video to which that is not
        true is refused.

        Raises:
            RefError: There is no such format.
            FrameError: Before the first frame, or at or after the stream's end; the message says the range.
            MediaError: TorchCodec can't give the frame, or none of this format.
        """
        self._check_format(format)
        return self._frames(self._stream.clock.ticks(pts_ns), format)

    def close(self) -> None:
        """Close the file. Safe to call again."""
        self._decoder = None
        self._clean.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _local(self, uri: str, storage_options: StorageOptions | None) -> Path:
        """The video as a local file; a copy where it is none."""
        embedded = scheme(uri) == "data"
        path = None if embedded else local_file(uri)
        if path is not None:
            return path
        copy = Path(self._clean.enter_context(TemporaryDirectory(prefix="mediaref-"))) / "video"
        source: IO[bytes] = (
            io.BytesIO(DataURI.from_uri(uri).decoded_data) if embedded else open_remote(uri, storage_options)
        )
        with explained(uri), source, copy.open("wb") as target:
            shutil.copyfileobj(source, target)
        return copy

    def _check_stream(self) -> None:
        stream = self._stream.stream
        held = stream.container.format.name
        if not held.startswith(tuple(_FORMATS)):
            raise MediaError(
                f"torchcodec does not find every frame of this kind of file ({held}), only of "
                f"{', '.join(_FORMATS.values())}: use decoder='pyav': {self._name}"
            )
        if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
            raise MediaError(f"video of more than {MAX_PIXELS} pixels a frame: it is damaged, or a bomb: {self._name}")

    def _check_format(self, wanted: Format) -> None:
        check_format(wanted)
        held = self._stream.stream.codec_context.format
        parts = held.components if held else ()
        alpha = any(part.is_alpha for part in parts) or bool(held and held.has_palette)
        colour = len(parts) == 3 and all(part.bits == 8 for part in parts)
        if (alpha and wanted in ("rgba", "bgra")) or (wanted == "native" and not colour):
            raise MediaError(
                f"torchcodec gives no more than 8-bit RGB, and this video is {held.name if held else 'unknown'}: "
                f"use decoder='pyav' for format={wanted!r}: {self._name}"
            )

    def _opened(self, decoders: Any, path: Path, device: str, threads: int) -> Any:
        """TorchCodec's decoder, whose frames are as many as ours."""
        # `file:` keeps libavformat from reading a protocol into a file's name.
        settings = {"device": device, "num_ffmpeg_threads": threads, "dimension_order": "NHWC", "seek_mode": "exact"}
        try:
            decoder = decoders.VideoDecoder(f"file:{path}", stream_index=self._stream.stream.index, **settings)
        except Exception as error:
            if "Could not load libtorchcodec" in str(error):  # some versions look for FFmpeg only now
                raise _unloaded(error) from error
            raise MediaError(
                f"torchcodec can't open this video on device {device!r}: {_brief(error)}: {self._name}"
            ) from error
        if len(decoder) != len(self._ticks):
            raise MediaError(
                f"torchcodec finds {len(decoder)} frames in this video, its packets are {len(self._ticks)}: use "
                f"decoder='pyav': {self._name}"
            )
        return decoder

    def _frames(self, ticks: Sequence[int], wanted: Format) -> Iterator[tuple[int, VideoFrame]]:
        with explained(self._name):
            last: tuple[int, VideoFrame] | None = None
            for position in sorted(range(len(ticks)), key=ticks.__getitem__):
                index = self._index(ticks[position])
                if last is None or last[0] != index:
                    last = index, self._frame(index, wanted)
                yield position, last[1]

    def _index(self, tick: int) -> int:
        """The number of the frame on screen at a tick."""
        index = bisect_right(self._ticks, tick) - 1
        if index < 0 or (index + 1 == len(self._ticks) and tick >= self._end):
            self._stream.at(tick)  # says what there is instead
            raise FrameError(f"no frame is on screen at {self._stream.clock.ns(tick)} ns: {self._name}")
        return index

    @cached_property
    def _end(self) -> int:
        """The tick at which the last frame is over, by the one rule that there is for it."""
        self._stream.last()
        return self._stream.until

    def _frame(self, index: int, wanted: Format) -> VideoFrame:
        if self._decoder is None:
            raise MediaError(f"video was closed: open it again: {self._name}")
        clock, tick = self._stream.clock, self._ticks[index]
        until = self._ticks[index + 1] if index + 1 < len(self._ticks) else self._end
        try:
            frame = self._decoder.get_frame_at(index)
        except Exception as error:
            raise MediaError(
                f"torchcodec can't give the frame at {clock.ns(tick)} ns: {_brief(error)}: use decoder='pyav': "
                f"{self._name}"
            ) from error
        seconds = clock.seconds(tick)
        # Its own rounding apart, which is never as long as a frame.
        if not math.isclose(frame.pts_seconds, seconds, rel_tol=1e-15, abs_tol=1e-12):
            raise MediaError(
                f"torchcodec gives the frame at {frame.pts_seconds} s for the one at {seconds} s: use decoder='pyav': "
                f"{self._name}"
            )
        rgb = frame.data.cpu().numpy()
        turned = self._decoder.metadata.rotation  # degrees counter-clockwise by which it has turned the picture
        rgb = np.ascontiguousarray(np.rot90(rgb, -round((turned or 0) / 90)))
        return VideoFrame(_formatted(rgb, wanted), clock.ns(tick), clock.ns(until))


def _formatted(rgb: NDArray[np.uint8], wanted: Format) -> NDArray[np.uint8]:
    if wanted in _PIL_MODES:
        rgb = np.array(Image.fromarray(rgb).convert(_PIL_MODES[wanted]))
    return np.ascontiguousarray(reordered(rgb, wanted))


def _decoders() -> Any:
    try:
        return importlib.import_module("torchcodec.decoders")
    except ModuleNotFoundError as error:
        raise ExtraError(f"torchcodec can't be imported ({error}): pip install 'mediaref-tools[torchcodec]'") from error
    except (ImportError, OSError, RuntimeError) as error:
        raise _unloaded(error) from error


def _unloaded(error: Exception) -> ExtraError:
    return ExtraError(
        f"torchcodec is installed but can't be loaded ({_brief(error)}): install FFmpeg's shared libraries, and the "
        "torch that this version of torchcodec was built for; or use decoder='pyav'"
    )


def _brief(error: Exception) -> str:
    """What an error says in its first line: it may have pages, and begin with a place in C++."""
    return _PLACE.sub("", str(error).partition("\n")[0]).removesuffix("Likely causes:").rstrip(" .:")
