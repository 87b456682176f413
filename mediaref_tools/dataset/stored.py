"""What a frame is stored as: the bytes of an image file, or a packet of video."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mediaref_tools.dataset.decoder import holds_files
from mediaref_tools.dataset.manifest import Segment
from mediaref_tools.media.gop import PacketTable

__all__ = ["Stored", "packet_type"]


class Stored(NamedTuple):
    """A frame as its own bytes, not decoded.

    Attributes:
        media_type: "image/jpeg" or whatever the file is; of a packet "video/" and its segment's codec.
        data: The file, or the packet as a sample of an MP4 file.
        extradata: The decoder's configuration (avcC, hvcC, av1C …); for a file, nothing to go by.
    """

    media_type: str
    data: bytes
    extradata: bytes = b""


def packet_type(segment: Segment, table: PacketTable) -> str | None:
    """The media type of a segment's packets; None where they are padded, or stored in another order than shown in."""
    if holds_files(segment):
        return "image/jpeg" if segment.codec == "mjpeg" else f"image/{segment.codec}"
    is_padded = (segment.width, segment.height) != (segment.coded_width, segment.coded_height)
    is_turned = bool((np.diff(table.shown) <= 0).any())
    return None if is_padded or is_turned else f"video/{segment.codec}"
