"""One row of the frames table: a frame, and what its message said."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message
from mediaref_tools.pixels.transport import is_zstd, peek_zstd

__all__ = ["FrameRow", "Status", "digest_of", "layout_of", "told_by"]

Status = Literal["video", "remuxed", "embedded"]

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame. Embedded frames have no `pts_ns`, `byte_offset` and `byte_size`; sizes are the picture's.

    `source_encoding` is `Image.encoding`, `source_format` is `CompressedImage.format` or what else names a codec: one
    of them is "". `source_framing` is what the message's payload held around the picture, "" for nothing.

    The last four are what the message is made of again, None where there is no such thing or nobody wrote it down: how
    raw pixels lay (`layout_of`), what stood between them (`rest_of`, deflated), its `ImageValue.envelope`, and a hash
    of its bytes (`digest_of`).
    """

    index: int
    log_time_ns: int
    publish_time_ns: int | None
    stamp_ns: int | None
    frame_id: str
    uri: str
    pts_ns: int | None
    keyframe: bool
    width: int
    height: int
    source_encoding: str
    source_format: str
    source_framing: str
    byte_offset: int | None
    byte_size: int | None
    status: Status
    source_layout: str | None = None
    source_rest: bytes | None = None
    source_envelope: bytes | None = None
    source_digest: bytes | None = None


def told_by(message: Message, image: ImageValue) -> dict[str, Any]:
    """What a row says of its message beside its log time, by the names of `FrameRow`."""
    return {
        "publish_time_ns": message.publish_time_ns,
        "stamp_ns": image.stamp_ns,
        "frame_id": image.frame_id,
        "source_encoding": image.encoding if image.kind == "raw" else "",
        "source_format": "" if image.kind == "raw" else image.encoding,
        "source_layout": layout_of(image),
        "source_envelope": image.envelope,
    }


def digest_of(serialized: bytes | memoryview) -> bytes:
    """What a row says of its message's bytes: the first 16 of their SHA-256."""
    return sha256(serialized).digest()[:_DIGEST_BYTES]


def layout_of(image: ImageValue) -> str | None:
    """How an image's raw pixels lie: step, byte order and bytes, "1920 little 921600"; None of files and packets.

    Of a message of the zstd transport it is that of the image within, 0 bytes standing for as many as it takes.
    """
    if is_zstd(image):
        try:
            image = peek_zstd(image)
        except ImageError:
            return None
    if image.kind != "raw":
        return None
    return f"{image.step} {'big' if image.is_bigendian else 'little'} {len(image.data)}"
