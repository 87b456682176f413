"""The scene in every kind of file that `sensor_msgs/CompressedImage` carries, and in what its transports pack there.

Written without the code that reads such files, so that one can be tested with the other: by Pillow, and by hand where
Pillow can't.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.samples.rawimages import RawImage, deep_of, gray_of, millimetres, raw_image

__all__ = ["FileEncoding", "ImageFile", "can_write", "file_pixels", "image_file", "quantised"]

FileEncoding = Literal[
    "jpeg", "jpeg-422", "jpeg-444", "jpeg-gray", "jpeg-progressive", "jpeg-cmyk", "jpeg-exif", "jpeg-swapped",
    "png", "png-gray", "png-gray16", "png-rgb16", "png-alpha", "png-palette", "png-swapped",
    "webp", "webp-lossless", "tiff", "bmp", "avif",
    "compressedDepth-png-16UC1", "compressedDepth-png-32FC1",
    "compressedDepth-rvl-16UC1", "compressedDepth-rvl-32FC1",
    "zstd-gzip", "zstd-zlib", "zstd-frame",
]  # fmt: skip
"""A file and its kind; "-swapped" has red and blue the wrong way round, as `format` says; of zstd, what packs it."""

_FORMATS = {
    "jpeg-gray": "mono8; jpeg compressed mono8", "jpeg-cmyk": "jpeg", "jpeg-exif": "jpeg",
    "jpeg-swapped": "rgb8; jpeg compressed",
    "png-gray": "mono8; png compressed ", "png-gray16": "mono16; png compressed ",
    "png-rgb16": "rgb16; png compressed bgr16", "png-alpha": "rgba8; png compressed bgra8", "png-palette": "png",
    "png-swapped": "bgr8; png compressed rgb8",
    "webp": "webp", "webp-lossless": "webp", "bmp": "bmp", "avif": "avif",
}  # fmt: skip
_JPEG_SUBSAMPLING = {"jpeg-422": "4:2:2", "jpeg-444": "4:4:4"}

# The transport's own defaults: depth_quantization 100, depth_max 10 m.
_Z0, _Z_MAX = np.float32(100), np.float32(10)
_A = _Z0 * (_Z0 + np.float32(1))
_B = np.float32(1) - _A / _Z_MAX


class ImageFile(NamedTuple):
    """Fields of a `sensor_msgs/CompressedImage`."""

    format: str
    data: bytes


def can_write(encoding: str) -> bool:
    """Whether the installed Pillow writes this kind: not every one has AVIF and WebP."""
    from PIL import features

    kind = encoding.split("-")[0]
    return kind not in ("avif", "webp") or bool(features.check(kind))


def file_pixels(rgb: NDArray[np.uint8], encoding: str) -> NDArray[Any]:
    """The values of a picture in a kind of file, as a reader should give them: exact where the kind is lossless.

    Returns:
        Colour as (H, W, 3) RGB uint8, with alpha (H, W, 4), of 16 bits uint16; gray as (H, W) uint8 or uint16. Lossy
        kinds as the picture was before. Depth of 16UC1 in millimetres, uint16; of 32FC1 in metres, float32, NaN for
        holes, as its quantisation leaves it. A zstd transport's as bgr8: RGB.
    """
    if encoding.startswith("compressedDepth"):
        if encoding.endswith("16UC1"):
            return millimetres(rgb)
        stored = quantised(rgb)
        return np.where(stored == 0, np.float32(np.nan), _A / (stored.astype(np.float32) - _B))
    if encoding in ("jpeg-gray", "png-gray"):
        return gray_of(rgb)
    if encoding == "png-gray16":
        return deep_of(gray_of(rgb))
    if encoding == "png-rgb16":
        return deep_of(rgb)
    if encoding == "png-alpha":
        return np.dstack((rgb, _alpha(*rgb.shape[:2])))
    if encoding == "png-palette":
        return _palette()[_indices(rgb)]
    return rgb


def quantised(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Depth of the scene as the transport stores 32FC1: q = A / d + B without its fraction, 0 for holes.

    Returns:
        (H, W) uint16.
    """
    depth = millimetres(rgb)
    metres = np.maximum(depth, 1).astype(np.float32) / np.float32(1000)
    return np.where(depth == 0, 0, (_A / metres + _B).astype(np.uint16)).astype(np.uint16)


def image_file(
    rgb: NDArray[np.uint8],
    encoding: str,
    *,
    quality: int = 85,
    depth_header: bool = True,
    step_padding: int = 0,
    trailing: int = 0,
) -> ImageFile:
    """What a message holds for a picture.

    Args:
        rgb: (H, W, 3) uint8.
        encoding: The kind of file.
        quality: Of those that are lossy.
        depth_header: Whether compressedDepth begins with its 12 bytes.
        step_padding, trailing: Of the raw image within a zstd transport.

    Raises:
        ImageError: The kind is unknown, or the installed Pillow can't write it.
    """
    if encoding not in get_args(FileEncoding):
        raise ImageError(f"can't make a file of encoding {encoding!r}: one of {', '.join(get_args(FileEncoding))}")
    if not can_write(encoding):
        raise ImageError(f"can't make a file of encoding {encoding!r}: the installed Pillow was built without it")
    kind = encoding.split("-")[0]
    if kind == "compressedDepth":
        return _depth(rgb, encoding, depth_header)
    if kind == "zstd":
        image = raw_image(rgb, "bgr8", step_padding=step_padding, trailing=trailing)
        return ImageFile("zstd", _packed(image, rgb.shape[0], rgb.shape[1], encoding))
    format_text = _FORMATS.get(encoding, f"rgb8; {kind} compressed bgr8")
    if encoding in ("png-gray16", "png-rgb16"):
        return ImageFile(format_text, _deep_png(file_pixels(rgb, encoding)))
    return ImageFile(format_text, _pillow(rgb, encoding, quality))


def _pillow(rgb: NDArray[np.uint8], encoding: str, quality: int) -> bytes:
    from PIL import Image

    if encoding == "png-palette":
        image = Image.fromarray(_indices(rgb)).convert("P")
        image.putpalette(_palette().tobytes())
    else:
        image = Image.fromarray(rgb[..., ::-1] if encoding.endswith("swapped") else file_pixels(rgb, encoding))
    options: dict[str, Any] = {}
    kind = encoding.split("-")[0]
    if kind == "jpeg":
        options = {"quality": quality}
        if encoding != "jpeg-gray":
            options["subsampling"] = _JPEG_SUBSAMPLING.get(encoding, "4:2:0")
        if encoding == "jpeg-progressive":
            options["progressive"] = True
        elif encoding == "jpeg-cmyk":
            image = image.convert("CMYK")
        elif encoding == "jpeg-exif":
            exif = Image.Exif()
            exif[274] = 6  # to be turned by a quarter; ROS's own subscriber does not
            options["exif"] = exif
    elif kind == "png":
        options = {"compress_level": 1}
    elif kind == "webp":
        options = {"quality": quality, "lossless": encoding == "webp-lossless", "method": 0}
    elif kind == "avif":
        options = {"quality": quality, "speed": 10, "max_threads": 1}
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def _alpha(height: int, width: int) -> NDArray[np.uint8]:
    """Opaque in the upper half, where the number is, and a ramp to transparent below."""
    ramp = np.linspace(255, 0, height - height // 2).astype(np.uint8)
    return np.concatenate((np.full(height // 2, 255, np.uint8), ramp))[:, None].repeat(width, 1)


def _indices(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Three bits of red, three of green, two of blue."""
    r, g, b = (rgb[..., index] for index in range(3))
    return np.asarray(r & 0xE0 | (g & 0xE0) >> 3 | b >> 6, np.uint8)


def _palette() -> NDArray[np.uint8]:
    index = np.arange(256)
    parts = ((index >> 5) * 255 // 7, (index >> 2 & 7) * 255 // 7, (index & 3) * 255 // 3)
    return np.stack(parts, axis=-1).astype(np.uint8)


def _deep_png(pixels: NDArray[np.uint16]) -> bytes:
    """A PNG of 16 bits, gray or RGB: no filter, one chunk of data."""
    height, width = pixels.shape[:2]
    rows = np.frombuffer(pixels.astype(">u2").tobytes(), np.uint8).reshape(height, -1)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes(), 1)
    head = struct.pack(">IIBBBBB", width, height, 16, 0 if pixels.ndim == 2 else 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _depth(rgb: NDArray[np.uint8], encoding: str, header: bool) -> ImageFile:
    from mediaref_tools.pixels.depth import depth_bytes

    _, coding, source = encoding.split("-")
    stored, a, b = (quantised(rgb), float(_A), float(_B)) if source == "32FC1" else (millimetres(rgb), 0.0, 0.0)
    data = depth_bytes(stored, "rvl" if coding == "rvl" else "png", a=a, b=b, header=header)
    return ImageFile(f"{source}; compressedDepth {coding}", data)


def _packed(image: RawImage, height: int, width: int, encoding: str) -> bytes:
    import zstandard

    name = image.encoding.encode()
    head = struct.pack("<IIBII", height, width, image.is_bigendian, image.step, len(name)) + name
    if encoding == "zstd-gzip":
        return head + gzip.compress(image.data, 3, mtime=0)
    return head + (zlib.compress(image.data, 3) if encoding == "zstd-zlib" else zstandard.compress(image.data, 3))
