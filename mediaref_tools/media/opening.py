"""Opening what a reference names: a still image, or a video by one of the decoders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import RefError
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.still import Still
from mediaref_tools.media.storage import StorageOptions, read_bytes
from mediaref_tools.media.uri import scheme, shown
from mediaref_tools.pixels.raster import Format

if TYPE_CHECKING:
    from types import TracebackType

    from mediaref_tools.media.videobatch import VideoFrame

__all__ = ["DecoderName", "Video", "open_still", "open_video"]

DecoderName = Literal["pyav", "torchcodec"]
_OPTIONS: dict[str, tuple[str, ...]] = {"pyav": (), "torchcodec": ("device", "num_ffmpeg_threads")}


class Video(Protocol):
    """An open video, whichever decoder is behind it."""

    def frames_at(
        self,
        pts_ns: Sequence[int] | NDArray[np.int64],
        format: Format = "rgb",  # noqa: A002
    ) -> Iterator[tuple[int, VideoFrame]]:
        """Frames by time, as `VideoDecoder.frames_at`."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def open_video(
    uri: str,
    decoder: DecoderName = "pyav",
    decoder_options: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
) -> Video:
    """Open a video.

    Args:
        uri: A path, or a uri of any scheme.
        decoder: "pyav", or "torchcodec" where the extra of that name is installed.
        decoder_options: For the decoder: `device` and `num_ffmpeg_threads` of "torchcodec".
        storage_options: For fsspec.

    Raises:
        RefError: No such decoder, or as `VideoDecoder`.
        MediarefError: As `VideoDecoder`.
    """
    if decoder not in _OPTIONS:
        raise RefError(f"Unknown decoder backend {decoder!r}: there is {', and '.join(_OPTIONS)}")
    options = dict(decoder_options or {})
    unknown = sorted(set(options) - set(_OPTIONS[decoder]))
    if unknown:
        raise RefError(
            f"decoder {decoder!r} has no option {unknown[0]!r}; it takes {', '.join(_OPTIONS[decoder]) or 'none'}"
        )
    if decoder == "pyav":
        from mediaref_tools.media.video import VideoDecoder

        return VideoDecoder(uri, storage_options=storage_options)
    from mediaref_tools.media.torchvideo import TorchVideo

    return TorchVideo(uri, storage_options=storage_options, **options)


def open_still(uri: str, storage_options: StorageOptions | None = None, *, upright: bool = True) -> Still:
    """Read a still image; nothing is decoded yet. `upright` as in `Still`.

    Raises:
        RefError: It is a video, or no uri that can be followed.
        MediarefError: As `storage.read_bytes`.
    """
    name = shown(uri)
    if scheme(uri) != "data":
        return Still(read_bytes(uri, storage_options), name, upright=upright)
    data = DataURI.from_uri(uri)
    if not data.is_image:
        hint = ": a reference to one of its frames has pts_ns" if data.mimetype.startswith("video/") else ""
        raise RefError(f"data URI holds {data.mimetype}, no image{hint}: {name}")
    return Still(data.decoded_data, name, upright=upright)
