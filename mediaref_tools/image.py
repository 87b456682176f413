"""The image value: one image message, taken out of its container but not decoded."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ImageValue", "sniff"]

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"BM", "image/bmp"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x1a\x45\xdf\xa3", "video/matroska"),
    (b"FLV\x01", "video/flv"),
    (b"\x00\x00\x00\x01", "video/annexb"),
    (b"\x00\x00\x01", "video/annexb"),
)
# ISO base media files are images where their major brand says so, else videos.
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
}


@dataclass(frozen=True, slots=True)
class ImageValue:
    """One image message's content. `data` may be a view into the message.

    Attributes:
        data: Raw pixels (rows of `step` bytes) or the bytes of an image file.
        encoding: The `sensor_msgs/Image` encoding ("bgr8"), or the `format` text of a compressed image.
        compressed: True for an image file (`CompressedImage`), False for raw pixels (`Image`).
        height, width, step: Rows, columns, bytes a row; 0 in a compressed image, whose file knows.
        is_bigendian: The message's flag, as it stands (often wrong on 8-bit data).
        stamp_ns: header.stamp, or None where the message has no header.
        frame_id: header.frame_id, or "".
        type: The message's type as the container spells it.
    """

    data: bytes | memoryview
    encoding: str
    compressed: bool
    height: int = 0
    width: int = 0
    step: int = 0
    is_bigendian: bool = False
    stamp_ns: int | None = None
    frame_id: str = ""
    type: str = ""

    def __repr__(self) -> str:
        kind = "compressed" if self.compressed else f"{self.width}x{self.height} step={self.step}"
        return f"ImageValue({self.encoding!r}, {kind}, {len(self.data)} bytes, stamp_ns={self.stamp_ns})"

    @property
    def media_type(self) -> str:
        """The media type told by the first bytes; raw pixels are `application/octet-stream`."""
        return sniff(self.data) if self.compressed else "application/octet-stream"


def sniff(data: bytes | memoryview) -> str:
    """The media type that the first bytes tell, never the `format` text, which drivers fill in at will.

    Returns:
        "image/jpeg", "image/png" …, or "application/octet-stream" where nothing matches.
    """
    head = bytes(data[:16])
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "video/avi"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:1] == b"G" and bytes(data[188:189]) == b"G":  # two packets of a transport stream
        return "video/mp2t"
    return "application/octet-stream"
