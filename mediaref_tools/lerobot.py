"""References to and from LeRobot's video frames, whose times are float seconds. LeRobot itself is not needed.

A frame at i/30 s begins between two whole nanoseconds; the one before it still belongs to the frame before. So a time
becomes the smallest whole ns that is not below the time meant. LeRobot's tables keep `timestamp` as float32, which is
off by up to microseconds: only the video can tell which frame that was.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from os import PathLike, fspath
from typing import Any, TypedDict

import numpy as np

from mediaref_tools.errors import FrameError, RefError
from mediaref_tools.media.mediaref import INT64_MAX, MediaRef
from mediaref_tools.media.storage import StorageOptions
from mediaref_tools.media.uri import scheme, shown
from mediaref_tools.media.video import VideoDecoder

__all__ = ["VideoFrameDict", "from_videoframe", "lerobot_episode_to_refs", "to_videoframe"]

_NS = 1_000_000_000
_NOISE_ULPS = 2  # 0.1 + 0.2 is 0.3 and one step; noise that pulls down is lifted anyway


class VideoFrameDict(TypedDict):
    """LeRobot's VideoFrame: the video's path or uri, and the frame's time in it in seconds."""

    path: str
    timestamp: float


def from_videoframe(
    frame: Mapping[str, Any],
    *,
    snap: bool | None = False,
    tolerance_s: float = 1e-4,
    storage_options: StorageOptions | None = None,
) -> MediaRef:
    """The reference for a LeRobot VideoFrame, `{"path": …, "timestamp": …}`; other keys are passed over.

    Args:
        frame: The path (or uri) of a video, and a frame's time in it, in seconds. A float32 time may mean the frame
            before: snap it.
        snap, tolerance_s, storage_options: As in `lerobot_episode_to_refs`; by default, the video is not opened.

    Raises:
        KeyError: A key is missing.
        TypeError: It is no mapping, or a value is of the wrong type.
        RefError, FrameError, MediaError: As `lerobot_episode_to_refs`.
    """
    if not isinstance(frame, Mapping):
        raise TypeError(f"a VideoFrame is a dict of path and timestamp, not a {type(frame).__name__}")
    path, time = frame["path"], _number(frame["timestamp"], "timestamp")
    (ref,) = lerobot_episode_to_refs(
        path, 0.0, [time], snap=snap, tolerance_s=tolerance_s, storage_options=storage_options
    )
    return ref


def to_videoframe(ref: MediaRef) -> VideoFrameDict:
    """The LeRobot VideoFrame for a reference; `from_videoframe` gives the same reference back.

    Raises:
        RefError: A ValueError: it is a still, which has no time.
    """
    if ref.pts_ns is None:
        raise RefError(f"a VideoFrame is a frame of a video, this reference is a still: {shown(ref.uri)}")
    return {"path": ref.uri, "timestamp": ref.pts_ns / _NS}


def lerobot_episode_to_refs(
    video_path: str | PathLike[str],
    from_timestamp: float,
    frame_timestamps: Iterable[float],
    *,
    snap: bool | None = None,
    tolerance_s: float = 1e-4,
    storage_options: StorageOptions | None = None,
) -> list[MediaRef]:
    """References for the frames of one episode, in a video that holds several (LeRobot v3.0).

    Args:
        video_path: The video, a path or a uri; it becomes the references' uri as it is.
        from_timestamp: Where the episode begins in the video, in seconds: `videos/<key>/from_timestamp`.
        frame_timestamps: The times of N frames from there, in seconds: the column `timestamp`.
        snap: Whether each time is moved to the nearest frame of the video, whose packets are read for that. None does
            so where the video is a file on this machine; True demands it of any uri; False never does, and then
            float32 times may point at the frame before.
        tolerance_s: How far the nearest frame may be, in seconds; LeRobot's own by default.
        storage_options: For fsspec.

    Returns:
        N references.

    Raises:
        TypeError: A value is of the wrong type.
        RefError: A time is negative or not finite.
        FrameError: No frame of the video is near a time; the message names both.
        MediaError: The video can't be read.
    """
    if not isinstance(video_path, (str, PathLike)):
        raise TypeError(f"path of a video is a {type(video_path).__name__}, expected a str")
    uri = fspath(video_path)
    begin = _number(from_timestamp, "from_timestamp")
    times = _numbers(frame_timestamps)
    pts_ns = [_whole_ns(begin, time, f"frame {at}", uri) for at, time in enumerate(times)]
    if snap is None:
        snap = scheme(uri) in ("", "file") and MediaRef(uri=uri).validate_uri()
    if snap:
        pts_ns = _snapped(pts_ns, uri, tolerance_s, storage_options)
    early = next((at for at, time in enumerate(pts_ns) if time < 0), None)
    if early is not None:
        raise RefError(f"frame {early} is at {begin + times[early]} s, before the video: {shown(uri)}")
    return [MediaRef(uri=uri, pts_ns=time) for time in pts_ns]


def _snapped(wanted: list[int], uri: str, tolerance_s: float, storage_options: StorageOptions | None) -> list[int]:
    with VideoDecoder(uri, storage_options=storage_options) as video:
        there = video.pts_ns
    if not wanted:
        return []
    if not len(there):
        raise FrameError(f"video has no frames to move times to: {shown(uri)}")
    times = np.array(wanted, np.int64)
    after = np.searchsorted(there, times).clip(max=len(there) - 1)
    before = (after - 1).clip(min=0)
    nearest = np.where(np.abs(there[before] - times) <= np.abs(there[after] - times), there[before], there[after])
    far = np.flatnonzero(np.abs(nearest - times) > tolerance_s * _NS)
    if len(far):
        at = int(far[0])
        raise FrameError(
            f"frame {at} is at {wanted[at]} ns, where the nearest frame of the video is at {int(nearest[at])} ns, "
            f"further than tolerance_s={tolerance_s:g}: {shown(uri)}"
        )
    found: list[int] = nearest.tolist()
    return found


def _whole_ns(begin: float, time: float, what: str, uri: str) -> int:
    """The smallest whole ns that is not below the sum of two times in seconds, but for the noise of float64."""
    if not (math.isfinite(begin) and math.isfinite(time)):
        raise RefError(f"{what} is at {begin} + {time} s, which is no time: {shown(uri)}")
    exact = (Fraction(begin) + Fraction(time)) * _NS
    noise = _NOISE_ULPS * (Fraction(math.ulp(begin)) + Fraction(math.ulp(time))) * _NS
    whole = round(exact)
    whole_ns = whole if abs(exact - whole) <= noise else math.ceil(exact)
    if abs(whole_ns) > INT64_MAX:
        raise RefError(f"{what} is at {begin} + {time} s, more than int64 holds in ns: {shown(uri)}")
    return whole_ns


def _numbers(values: Iterable[float]) -> list[float]:
    """Times as float64, exactly: of a list, an array, a tensor or a Series."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"frame_timestamps is a {type(values).__name__}, expected a flat list of numbers")
    return [_number(value, f"frame_timestamps[{at}]") for at, value in enumerate(values)]


def _number(value: Any, what: str) -> float:
    """A number as float64; scalars of NumPy, pyarrow and torch too."""
    plain = value
    for name in ("item", "as_py"):
        if getattr(value, "ndim", 0) == 0 and hasattr(value, name):
            plain = getattr(value, name)()
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise TypeError(f"{what} is a {type(value).__name__}, expected a number of seconds")
    return float(plain)
