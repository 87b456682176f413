"""What a frame is stored as: the bytes of an image file, or a packet of video."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Stored"]


class Stored(NamedTuple):
    """A frame as its own bytes, not decoded.

    Attributes:
        media_type: "image/jpeg" or whatever the file is; of a packet "video/" and its segment's codec.
        data: The file, or the packet as a sample of an MP4 file.
        extradata: The decoder's configuration (avcC, hvcC, av1C …); b"" for a file.
    """

    media_type: str
    data: bytes
    extradata: bytes = b""
