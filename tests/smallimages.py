"""Small image files of every kind, for tests of stills; those that Pillow can't write are put together by hand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["colours", "deep", "exif", "png", "png16", "saved", "tiff16"]


def colours(height: int = 16, width: int = 24, *, channels: int = 3) -> NDArray[np.uint8]:
    """(H, W, channels) uint8 of slow ramps, no two of whose turned forms are alike."""
    rows, columns = np.mgrid[0:height, 0:width]
    ramps = (rows * 200 // height, columns * 200 // width + 30, (rows + columns) * 4 + 10, 255 - columns * 5)
    return np.stack(ramps[:channels], axis=-1).astype(np.uint8)


def deep(*shape: int) -> NDArray[np.uint16]:
    """Noise of 16 bits."""
    return np.random.default_rng(16).integers(0, 2**16, shape).astype(np.uint16)


def saved(picture: NDArray[Any] | Image.Image, file_format: str, **options: Any) -> bytes:
    """An image file as Pillow writes it."""
    stream = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(stream, file_format, **options)
    return stream.getvalue()


def exif(orientation: int) -> bytes:
    """EXIF that tells an orientation and nothing else."""
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


def png(width: int, height: int, bits: int, colour: int, data: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from its rows, each of which begins with its filter; `chunks` come before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in parts
    )


def png16(pixels: NDArray[np.uint16], orientation: int = 0) -> bytes:
    """A PNG of 16 bits: gray, gray with alpha, RGB or RGBA by the number of channels."""
    height, width = pixels.shape[:2]
    colour = {(): 0, (2,): 4, (3,): 2, (4,): 6}[pixels.shape[2:]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    turn = [(b"eXIf", exif(orientation).removeprefix(b"Exif\0\0"))] if orientation else []
    return png(width, height, 16, colour, rows, *turn)


def tiff16(pixels: NDArray[np.uint16], orientation: int = 0, order: str = "<") -> bytes:
    """A TIFF of 16-bit RGB or RGBA in one strip, little-endian or ">"."""
    height, width, channels = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    tags = {256: width, 257: height, 258: 0, 259: 1, 262: 2, 273: 0, 277: channels, 278: height, 279: len(data)}
    tags |= {338: 2} if channels == 4 else {}
    tags |= {274: orientation} if orientation else {}
    bits_at = 8 + 2 + 12 * len(tags) + 4
    tags |= {258: bits_at, 273: bits_at + 2 * channels}
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, value in sorted(tags.items()):
        kind = 4 if tag in (273, 279) else 3
        body = struct.pack(
            f"{order}I" if kind == 4 or tag == 258 else f"{order}HH",
            *([value] if kind == 4 or tag == 258 else [value, 0]),
        )
        out += struct.pack(f"{order}HHI", tag, kind, channels if tag == 258 else 1) + body
    return out + struct.pack(f"{order}I", 0) + struct.pack(f"{order}{channels}H", *[16] * channels) + data
