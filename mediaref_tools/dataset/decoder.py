"""What decoding a segment takes, from what the dataset already knows: no file is probed or scanned."""

from __future__ import annotations

import base64

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from mediaref_tools.dataset.manifest import Segment
from mediaref_tools.media.gop import Coding, PacketTable

__all__ = ["holds_files", "segment_table", "tag"]

_DECODERS = {
    "h264": "h264",
    "h265": "hevc",
    "vp9": "vp9",
    "av1": "libdav1d",
    "ffv1": "ffv1",
}
_RANGES = {"full": ColorRange.JPEG, "limited": ColorRange.MPEG}


def holds_files(segment: Segment) -> bool:
    """Whether its packets are image files of their own."""
    return segment.codec not in _DECODERS


def segment_table(
    segment: Segment,
    offset: NDArray[np.int64],
    size: NDArray[np.int64],
    keyframe: NDArray[np.bool_],
    pts_ns: NDArray[np.int64],
) -> PacketTable:
    """The packets of a segment, (N,) each: where they lie, which are keyframes, and when they are shown."""
    decoder = _DECODERS.get(segment.codec, segment.codec)
    coding = Coding(decoder, base64.b64decode(segment.extradata), segment.coded_width, segment.coded_height)
    return PacketTable(coding, offset, size, keyframe, pts_ns)


def tag(frame: av.VideoFrame, segment: Segment) -> None:
    """Say of a decoded frame how its colours are to be taken, where its codec (FFV1) does not."""
    if frame.color_range == ColorRange.UNSPECIFIED:
        frame.color_range = _RANGES.get(segment.color_range, ColorRange.UNSPECIFIED)
        if frame.format.name.startswith("yuv"):
            frame.colorspace = Colorspace.ITU601
