"""Pictures as JPEG files, by encoders that stay open: a fraction of what opening one for each would take."""

from __future__ import annotations

from collections import OrderedDict
from fractions import Fraction
from typing import Final, Literal

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.pixels.colour import ACCURATE

__all__ = ["Form", "JpegEncoder"]

Form = Literal["rgb", "yuv", "yuv444"]
"""(H, W, 3) RGB; the planes of 4:2:0, (H * 3 / 2, W); those of 4:4:4, (3, H, W); full range BT.601."""

_FORMATS: Final = {"rgb": "rgb24", "yuv": "yuvj420p", "yuv444": "yuvj444p"}
_OPEN: Final = 4
_QUALITY: Final = "3"  # the quantiser's scale: 2 is the best


class JpegEncoder:
    """Encodes pictures, at their own width or a smaller one. For one thread at a time."""

    def __init__(self) -> None:
        self._encoders: OrderedDict[tuple[int, int, str], av.VideoCodecContext] = OrderedDict()
        self._reformatter = VideoReformatter()
        self._number = 0

    def encode(self, picture: NDArray[np.uint8], form: Form, width: int) -> bytes:
        """A picture as a JPEG file, not wider than `width`; its height goes along.

        Args:
            picture: uint8, as its form says.
            form: How the pixels lie.
            width: In pixels; 4:4:4 is taken as it is.
        """
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=_FORMATS[form])
        target = "yuvj444p" if form == "yuv444" else "yuvj420p"
        if form != "yuv444" and (width < frame.width or form == "rgb"):
            width = min(width, frame.width)
            height = max(1, round(frame.height * width / frame.width))
            frame = self._reformatter.reformat(
                frame, width, height, format=target, interpolation=ACCURATE, dst_color_range=2, threads=1
            )
        encoder = self._encoder(frame.width, frame.height, target)
        frame.pts = self._number = self._number + 1
        return b"".join(bytes(packet) for packet in encoder.encode(frame))

    def _encoder(self, width: int, height: int, pixel_format: str) -> av.VideoCodecContext:
        key = (width, height, pixel_format)
        if key not in self._encoders:
            while len(self._encoders) >= _OPEN:
                self._encoders.popitem(last=False)
            encoder = av.CodecContext.create("mjpeg", "w")
            assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - for the type checker
            encoder.width, encoder.height, encoder.pix_fmt = key
            encoder.framerate = Fraction(25)
            encoder.thread_count = 1  # more would hold pictures back
            encoder.color_range = 2
            encoder.options = {"flags": "+qscale", "qmin": _QUALITY, "qmax": _QUALITY}
            self._encoders[key] = encoder
        self._encoders.move_to_end(key)
        return self._encoders[key]
