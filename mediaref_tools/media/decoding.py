"""Decoding many references at once: each video is opened once, its frames decoded in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError, RefError
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.media.opening import DecoderName, open_still, open_video
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.uri import shown

__all__ = ["batch_decode", "cleanup_cache"]


def batch_decode(
    refs: list[MediaRef],
    decoder: DecoderName = "pyav",
    *,
    decoder_options: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    allow_images: bool = True,
    allow_multi_video: bool = True,
    allow_gap: bool = True,
    gap_threshold: float = 10.0,
) -> list[NDArray[np.uint8]]:
    """Decode references: stills and frames of any number of videos, in any order, repeats allowed.

    Args:
        refs: The references. They are trusted: nothing keeps them to a folder.
        decoder, decoder_options, storage_options: As in `MediaRef.to_ndarray`.
        allow_images: False refuses stills.
        allow_multi_video: False refuses more than one video.
        allow_gap: False refuses two frames of one video that follow each other by more than `gap_threshold` seconds.
        gap_threshold: In seconds.

    Returns:
        An (H, W, 3) uint8 RGB array for each reference, in their order. Repeats share one array.

    Raises:
        TypeError: `refs` is no list.
        ValueError: Something in it is no MediaRef, or what was not allowed.
        MediarefError: As `MediaRef.to_ndarray`; the message names the uri.

    Examples:
        >>> refs = [mrt.MediaRef(uri="clips/clip.mp4", pts_ns=t) for t in (2_000_000_000, 0, 900_000_000)]
        >>> [frame.shape for frame in mrt.batch_decode([*refs, mrt.MediaRef(uri="photo.png")])]
        [(480, 640, 3), (480, 640, 3), (480, 640, 3), (48, 80, 3)]
    """
    if not isinstance(refs, list):
        raise TypeError(f"refs is a {type(refs).__name__}, expected a list of MediaRef: pass list(refs)")
    for position, ref in enumerate(refs):
        if not isinstance(ref, MediaRef):
            raise RefError(f"refs[{position}] is a {type(ref).__name__}, expected a MediaRef")
    videos = _videos(refs)
    if not allow_images and any(not ref.is_video for ref in refs):
        raise RefError("there is a still among the references, and allow_images is False")
    if not allow_multi_video and len(videos) > 1:
        raise RefError(f"there are {len(videos)} videos among the references, and allow_multi_video is False")
    if not allow_gap:
        _check_gaps(refs, videos, gap_threshold)
    found: dict[int, NDArray[np.uint8]] = {}
    stills: dict[MediaRef, NDArray[np.uint8]] = {}
    for position, ref in enumerate(refs):
        if not ref.is_video:
            if ref not in stills:
                stills[ref] = open_still(ref.uri, storage_options).array()
            found[position] = stills[ref]
    for positions in videos.values():
        with open_video(refs[positions[0]].uri, decoder, decoder_options, storage_options) as video:
            for at, frame in video.frames_at([refs[position].pts_ns or 0 for position in positions]):
                found[positions[at]] = frame.data
    return [found[position] for position in range(len(refs))]


def cleanup_cache() -> None:
    """Do nothing: no file stays open behind your back here. Kept for scripts that call it."""


def _videos(refs: Sequence[MediaRef]) -> dict[MediaRef, list[int]]:
    """Positions of the references into each video; equivalent uris are one video."""
    videos: dict[MediaRef, list[int]] = {}
    for position, ref in enumerate(refs):
        if ref.is_video:
            videos.setdefault(MediaRef(uri=ref.uri), []).append(position)
    return videos


def _check_gaps(refs: Sequence[MediaRef], videos: Mapping[MediaRef, Sequence[int]], seconds: float) -> None:
    for positions in videos.values():
        times = sorted(refs[position].pts_ns or 0 for position in positions)
        for first, second in pairwise(times):
            if second - first > seconds * 1e9:
                raise FrameError(
                    f"{(second - first) / 1e9:g} s lie between the frames at {first} and {second} ns, more than "
                    f"gap_threshold={seconds:g}, and allow_gap is False: {shown(refs[positions[0]].uri)}"
                )
