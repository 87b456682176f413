"""Small videos for tests of references: every frame carries its own number, at a time that the test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.samples.scene import frame_number, numbered_image

__all__ = ["MS", "frame_number", "picture", "write_video"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

_SIZE = (96, 64)


def write_video(
    path: Path,
    times_ms: Sequence[int],
    *,
    last_ms: int = 40,
    durations_ms: Sequence[int] | None = None,
    first: int = 0,
    codec: str = "libx264",
    gop: int = 5,
    size: tuple[int, int] = _SIZE,
) -> Path:
    """Write frames that show `first`, `first` + 1, … at some times; the container is told by the path's ending.

    Args:
        path: The file.
        times_ms: When each frame comes on screen.
        last_ms: How long the last one stays.
        durations_ms: What each packet says of its own duration, which no reader may go by.
        first: The first frame's number.
        codec, gop, size: Of the encoder.
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"bf": "0"} if codec == "libx264" else {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        stream.codec_context.gop_size = gop
        packets: list[av.Packet[av.VideoStream]] = []
        for index, time in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(first + index, size), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for index, packet in enumerate(packets):
            packet.duration = last_ms if index == len(packets) - 1 else (durations_ms or (0,) * len(packets))[index]
            out.mux(packet)
    return path


def picture(number: int, size: tuple[int, int] = _SIZE) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB that carries a number."""
    return numbered_image(number, *size)
