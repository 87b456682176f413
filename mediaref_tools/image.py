"""The image value: one image message, taken out of its container but not decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from mediaref_tools.errors import ImageError

__all__ = ["ImageKind", "ImageValue", "VideoCodec", "sniff", "video_codec"]

ImageKind = Literal["raw", "file", "packet"]
"""What an image message carries: raw pixels, an image file, or one packet of a camera's own video."""

VideoCodec = Literal["h264", "h265", "vp9", "av1"]

_OCTETS: Final = "application/octet-stream"
_RAW: Final = "application/vnd.mediaref.raw-image"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_.+-]+")
# The spellings of codecs, and of encoders after which drivers name what they send.
_CODECS: Final[dict[str, VideoCodec]] = {
    "h264": "h264", "h.264": "h264", "avc": "h264", "avc1": "h264", "libx264": "h264", "x264": "h264",
    "h265": "h265", "h.265": "h265", "hevc": "h265", "libx265": "h265", "x265": "h265",
    "vp9": "vp9", "libvpx-vp9": "vp9",
    "av1": "av1", "libsvtav1": "av1", "libaom-av1": "av1", "librav1e": "av1",
}  # fmt: skip
_HARDWARE: Final = ("nvenc", "nvmpi", "vaapi", "qsv", "amf", "v4l2m2m", "videotoolbox", "omx", "rkmpp", "mf", "cuvid")

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
        data: Raw pixels (rows of `step` bytes), the bytes of an image file, or those of a video packet.
        encoding: The `sensor_msgs/Image` encoding ("bgr8"), the `format` text of a compressed image, or what names a
            packet's codec ("h264", "hevc_nvenc;yuv420p;bgr8;bgr8").
        kind: Which of these it is.
        height, width, step: Rows, columns, bytes a row; 0 where the file or packet knows.
        is_bigendian: The message's flag, as it stands (often wrong on 8-bit data).
        stamp_ns: header.stamp, or None where the message has no header.
        frame_id: header.frame_id, or "".
        type: The message's type as the container spells it.
        counter: The sender's own count of a packet, where it has one: a gap in it is a packet that is missing.
        envelope: All of the message but `data`, as its converter writes it down: what `RestorableReader.serialized`
            makes the very same message of. None where the converter has no such thing, or can't promise it.
        serialized: The message's own bytes, where they are not `Message.data`: that may be compressed.
    """

    data: bytes | memoryview
    encoding: str
    kind: ImageKind
    height: int = 0
    width: int = 0
    step: int = 0
    is_bigendian: bool = False
    stamp_ns: int | None = None
    frame_id: str = ""
    type: str = ""
    counter: int | None = None
    envelope: bytes | None = field(default=None, compare=False)
    serialized: bytes | memoryview | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        shape = f"{self.width}x{self.height} step={self.step}" if self.kind == "raw" else self.kind
        return f"ImageValue({self.encoding!r}, {shape}, {len(self.data)} bytes, stamp_ns={self.stamp_ns})"

    @property
    def media_type(self) -> str:
        """The media type: a file's told by its first bytes, a packet's by its codec; raw pixels tell how they lie."""
        if self.kind == "packet":
            codec = video_codec(self.encoding)
            return _OCTETS if codec is None else f"video/{codec}"
        if self.kind == "file":
            return sniff(self.data)
        if not _TOKEN.fullmatch(self.encoding):
            return _OCTETS
        parts = ("encoding", self.encoding), ("height", self.height), ("width", self.width), ("step", self.step)
        told = "".join(f";{name}={value}" for name, value in (*parts, ("big-endian", int(self.is_bigendian))))
        return f"{_RAW}{told}"

    @classmethod
    def embedded(cls, data: bytes, media_type: str, format: str = "") -> ImageValue:  # noqa: A002
        """The image of some bytes and the media type that they were embedded under; `format` was its message's.

        Raises:
            ImageError: The media type is one of raw pixels, and malformed.
        """
        if not media_type.startswith(_RAW):
            return cls(data, format, "packet" if media_type.startswith("video/") else "file")
        try:
            told = dict(part.split("=", 1) for part in media_type.split(";")[1:])
            height, width, step = (int(told[name]) for name in ("height", "width", "step"))
            return cls(data, told["encoding"], "raw", height, width, step, told["big-endian"] == "1")
        except (KeyError, ValueError) as error:
            raise ImageError(f"media type {media_type[:80]!r} does not tell how its pixels lie") from error


def video_codec(text: str) -> VideoCodec | None:
    """The codec that a text names, whatever else it says: "h264", "H265", "hevc_nvenc;yuv420p;bgr8;bgr8" …

    Returns:
        None where it names none that is known ("jpeg", "rgb8; png compressed").
    """
    name = text.split(";")[0].strip().lower()
    name, _, way = name.partition("_")
    return _CODECS.get(name) if way in ("", *_HARDWARE) else None


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
