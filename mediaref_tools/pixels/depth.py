"""Depth as compressed_depth_image_transport carries it, in a `CompressedImage` whose format says "compressedDepth".

Source: compression_common.h and codec.cpp of image_transport_plugins. The payload is 12 bytes, `<i32 format><f32 A>
<f32 B>`, then a PNG of 16-bit gray or an RVL picture; some drivers leave the 12 bytes out. From 16UC1 the integers are
what the camera measured, in millimetres; from 32FC1 they are quantised inverse depth: q = A / d + B, with d in metres.
Zero is a hole in both.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.pixels.file import decoded, file_size
from mediaref_tools.pixels.plane import plane
from mediaref_tools.pixels.rvl import decode_rvl, encode_rvl, rvl_size

__all__ = [
    "DepthImage",
    "depth_bytes",
    "depth_size",
    "is_depth",
    "is_quantised",
    "metres_of",
    "read_depth",
    "write_depth",
]

_HEADER = struct.Struct("<iff")
_HEADER_FORMATS = (0, -1)  # INV_DEPTH, UNDEFINED: neither can be how many columns an RVL picture has
_PNG = b"\x89PNG\r\n\x1a\n"
_TRANSPORT = "compresseddepth"


@dataclass(frozen=True, slots=True, eq=False)
class DepthImage:
    """One picture of depth, as coded.

    Attributes:
        stored: (H, W) uint16, 0 for holes: millimetres, or quantised inverse depth.
        quantised: Whether it was quantised from 32FC1.
        a, b: What it was quantised with; NaN where the payload has no header.
        framing: What the payload held beside the integers: "png" or "rvl", and its header in hexadecimal.
    """

    stored: NDArray[np.uint16]
    quantised: bool
    a: np.float32
    b: np.float32
    framing: str = ""

    def __repr__(self) -> str:
        height, width = self.stored.shape
        how = f"quantised, a={self.a}, b={self.b}" if self.quantised else "millimetres"
        return f"DepthImage({width}x{height}, {how})"

    def metres(self) -> NDArray[np.float32]:
        """Depth in metres, (H, W) float32: stored / 1000, or where quantised a / (stored - b).

        Holes are NaN, and so is what that formula gives no positive, finite depth for.

        Raises:
            ImageError: It is quantised, and the payload does not say how, or in a way that can't be.
        """
        if not self.quantised:
            return np.where(self.stored == 0, np.float32(np.nan), self.stored / np.float32(1000))
        if not (np.isfinite(self.a) and np.isfinite(self.b) and self.a > 0):
            raise ImageError(
                f"depth quantised with a={self.a}, b={self.b} has no metres: expected a finite a above 0 and a "
                "finite b, from the 12 bytes before the picture; its stored integers can be read"
            )
        with np.errstate(divide="ignore", over="ignore"):
            depth = self.a / (self.stored.astype(np.float32) - self.b)
        return np.where((self.stored != 0) & np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))


def is_depth(image_format: str) -> bool:
    """Whether a `CompressedImage.format` names this transport: "16UC1; compressedDepth png", "compressedDepth" …"""
    return _TRANSPORT in image_format.lower()


def read_depth(data: bytes | memoryview, image_format: str) -> DepthImage:
    """Decode the payload of a message.

    What codes it is told by its bytes first: a PNG by its magic, at the start or after the 12 bytes; else it is RVL,
    unless the format says "png". An 8-bit PNG is refused: the transport takes 16-bit and float images alone, and its
    subscriber would make an image of it that holds half of the bytes which its encoding asks for. A picture of holes
    alone is read, though the subscriber's own check (pixels <= 5 x bytes) throws it away.

    Args:
        data: `CompressedImage.data`.
        image_format: `CompressedImage.format`, in upper or lower case: "ORIGINAL; compressedDepth[ png|rvl]", or
            "compressedDepth" alone, which is read as 16UC1.

    Raises:
        ImageError: The format names no such transport, or a source that is no depth; the payload is cut, damaged,
            larger than `MAX_PIXELS`, or no 16-bit gray picture.
    """
    if not is_depth(image_format):
        raise ImageError(f"format {image_format!r} names no depth: expected 'compressedDepth' in it")
    way = image_format.lower().rpartition(_TRANSPORT)[2]
    quantised = is_quantised(image_format)
    headed = len(data) >= _HEADER.size and _HEADER.unpack_from(data)[0] in _HEADER_FORMATS
    _, a, b = _HEADER.unpack_from(data) if headed else (0, np.nan, np.nan)
    coded = memoryview(data)[_HEADER.size if headed else 0 :]
    if coded[: len(_PNG)] == _PNG:
        stored = _read_png(coded)
    elif "png" in way:
        raise ImageError(f"depth of {len(data)} bytes in format {image_format!r} holds no PNG at its start or byte 12")
    else:
        stored = decode_rvl(coded)
    framing = ("png" if coded[: len(_PNG)] == _PNG else "rvl") + (f" {data[: _HEADER.size].hex()}" if headed else "")
    return DepthImage(stored, quantised, np.float32(a), np.float32(b), framing)


def depth_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height that a payload's picture tells, without decoding it; (0, 0) where nothing does."""
    headed = len(data) >= _HEADER.size and _HEADER.unpack_from(data)[0] in _HEADER_FORMATS
    coded = memoryview(data)[_HEADER.size if headed else 0 :]
    if coded[: len(_PNG)] == _PNG:
        return file_size(coded)
    return rvl_size(coded)


def metres_of(stored: NDArray[np.uint16], image_format: str, framing: str) -> NDArray[np.float32]:
    """Depth in metres of integers that `read_depth` gave, and of what it gave beside them; see `DepthImage.metres`.

    Where the format names no transport they are millimetres, as in raw 16UC1.

    Raises:
        ImageError: The framing is none, or as `DepthImage.metres`.
    """
    quantised = is_depth(image_format) and is_quantised(image_format)
    header = framing.partition(" ")[2]
    try:
        _, a, b = _HEADER.unpack(bytes.fromhex(header)) if header else (0, np.nan, np.nan)
    except (ValueError, struct.error) as error:
        raise ImageError(
            f"depth with framing {framing[:80]!r}: expected 'png' or 'rvl', and a header of 12 bytes"
        ) from error
    return DepthImage(stored, quantised, np.float32(a), np.float32(b)).metres()


def is_quantised(image_format: str) -> bool:
    """Whether a format of this transport says that floats were quantised.

    Raises:
        ImageError: It names a source that is no depth.
    """
    source = image_format.lower().rpartition(_TRANSPORT)[0].rstrip(" ;")
    if source in ("", "mono16") or re.fullmatch(r"16[us]c1?", source):
        return False
    if re.fullmatch(r"32fc1?", source):
        return True
    raise ImageError(f"depth in format {image_format!r} is of no source that is known: expected 16UC1 or 32FC1")


def _read_png(data: memoryview) -> NDArray[np.uint16]:
    frame = decoded("png", data)
    if frame.format.name != "gray16be":
        raise ImageError(f"depth in a PNG of pixels {frame.format.name}: expected 16-bit gray")
    rows = plane(frame, 0).view(">u2")
    return rows[: frame.height, : frame.width].astype(np.uint16)


def depth_bytes(
    stored: NDArray[np.uint16],
    coding: Literal["png", "rvl"] = "png",
    *,
    a: float = 0,
    b: float = 0,
    header: bool = True,
) -> bytes:
    """Encode a payload, as the transport does.

    Args:
        stored: (H, W) uint16, what `DepthImage.stored` gives back.
        coding: What codes it.
        a, b: For the header: what it was quantised with.
        header: Whether the 12 bytes stand before it.

    Raises:
        ImageError: It is no such array, or has no pixel, or more than can be decoded.
    """
    coded = encode_rvl(stored) if coding == "rvl" else _write_png(stored)
    return (_HEADER.pack(_HEADER_FORMATS[0], a, b) if header else b"") + coded


def write_depth(stored: NDArray[np.uint16], framing: str) -> bytes:
    """Encode a payload with what `DepthImage.framing` says was beside its integers, the header's own bytes.

    Raises:
        ImageError: The framing is none, or as `depth_bytes`.
    """
    coding, _, header = framing.partition(" ")
    try:
        head = bytes.fromhex(header)
    except ValueError:
        head, coding = b"", ""
    if coding not in ("png", "rvl"):
        raise ImageError(f"depth with framing {framing[:80]!r}: expected 'png' or 'rvl', and a header of 12 bytes")
    return head + (encode_rvl(stored) if coding == "rvl" else _write_png(stored))


def _write_png(stored: NDArray[np.uint16]) -> bytes:
    if stored.dtype != np.uint16 or stored.ndim != 2 or not 0 < stored.size <= MAX_PIXELS:
        raise ImageError(
            f"can't write {stored.dtype} {stored.shape} as PNG: expected uint16 (H, W) of 1 to {MAX_PIXELS} pixels"
        )
    stream = io.BytesIO()
    Image.fromarray(stored).save(stream, "png", compress_level=1)
    return stream.getvalue()
