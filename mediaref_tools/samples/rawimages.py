"""The scene in every encoding of `sensor_msgs/Image`: its exact pixel values, and the bytes of a message.

Written without the code that reads such images, so that one can be tested with the other. Source of names and layouts:
image_encodings.hpp of common_interfaces. Chroma of the yuv encodings is the mean of the pixels that share it, by BT.601
in limited range, which is how cv_bridge reads them.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError

__all__ = [
    "RawEncoding",
    "RawImage",
    "Yuv",
    "deep_of",
    "gray_of",
    "millimetres",
    "raw_image",
    "raw_pixels",
    "viewable",
    "yuv_planes",
]

RawEncoding = Literal[
    "rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC1", "8UC3", "8UC4",
    "rgb16", "bgr16", "rgba16", "bgra16", "mono16", "16UC1",
    "bayer_rggb8", "bayer_bggr8", "bayer_gbrg8", "bayer_grbg8",
    "bayer_rggb16", "bayer_bggr16", "bayer_gbrg16", "bayer_grbg16",
    "uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21", "nv24", "i420",
    "32FC1", "64FC1", "8SC1", "16SC1", "32SC1", "8UC2", "32FC3",
]  # fmt: skip

# The order of channels; those that have none of their own are read as OpenCV would.
_COLOURS = {
    "rgb8": "rgb", "bgr8": "bgr", "rgba8": "rgba", "bgra8": "bgra", "8UC3": "bgr", "8UC4": "bgra",
    "rgb16": "rgb", "bgr16": "bgr", "rgba16": "rgba", "bgra16": "bgra", "32FC3": "rgb",
}  # fmt: skip
# How many columns and rows share one chroma value.
_SHARED = {
    "uyvy": (2, 1), "yuv422": (2, 1), "yuyv": (2, 1), "yuv422_yuy2": (2, 1),
    "nv12": (2, 2), "nv21": (2, 2), "i420": (2, 2), "nv24": (1, 1),
}  # fmt: skip
_PADDING = 0xAA  # a reader that ignores `step`, or reads on, shows it

_NEAREST_MM, _MM_A_LEVEL = 500, 10


class Yuv(NamedTuple):
    """Planes of a picture: luma (H, W) uint8, and chroma of the same or half the size."""

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]


class RawImage(NamedTuple):
    """Fields of a `sensor_msgs/Image`."""

    encoding: str
    is_bigendian: int
    step: int
    data: bytes


def gray_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Luma by BT.601, in full range: (H, W) uint8."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(np.rint(rgb @ weights), np.uint8)


def millimetres(rgb: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The scene as depth: (H, W) uint16, 0 where holes are, else 500 to 3059.

    Ten millimetres a level of gray, so that the number can be read; a texture of less than that, so that every bit
    counts; and holes in the lower half, so that they spare the number.
    """
    height, width = rgb.shape[:2]
    down, across = np.mgrid[0:height, 0:width]
    depth = _NEAREST_MM + _MM_A_LEVEL * gray_of(rgb).astype(np.uint16) + ((across + 3 * down) % _MM_A_LEVEL)
    holes = (down >= height // 2) & ((down // 4 + across // 4) % 9 == 4)
    return np.where(holes, 0, depth).astype(np.uint16)


def deep_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """The same in 16 bits: the picture in the high byte, a texture in the low one, uint16.

    Not 257 times as much: either byte order would give the same.
    """
    down, across = np.mgrid[0 : pixels.shape[0], 0 : pixels.shape[1]]
    low = (7 * across + 13 * down)[..., None] + 37 * np.arange(pixels[0, 0].size)
    deep: NDArray[np.uint16] = pixels.astype(np.uint16) << 8 | (low & 255).astype(np.uint16).reshape(pixels.shape)
    return deep


def raw_pixels(rgb: NDArray[np.uint8], encoding: str) -> NDArray[Any]:
    """The exact values of a picture in an encoding, as a reader should give them.

    Returns:
        Colour as (H, W, 3) RGB: uint8, uint16 (`deep_of`), or float32 of 0 to 1 for 32FC3; yuv as the RGB of
        its formula, each chroma value repeated. Gray and mosaics as (H, W) uint8 or uint16. 16UC1 in millimetres,
        uint16, 0 for holes; 32FC1 and 64FC1 in metres, NaN for holes; 8SC1, 16SC1 and 32SC1 with black below 0; 8UC2
        as (H, W, 2) uint8, gray and its negative.
    """
    if encoding in _SHARED:
        return _rgb_of(yuv_planes(rgb, encoding))
    if encoding.startswith("bayer_"):
        mosaic = _mosaic(rgb, encoding[6:10])
        return deep_of(mosaic) if encoding.endswith("16") else mosaic
    if encoding in _COLOURS:
        if encoding == "32FC3":
            return rgb.astype(np.float32) / np.float32(255)
        return deep_of(rgb) if encoding.endswith("16") else rgb
    gray = gray_of(rgb)
    if encoding in ("mono8", "8UC1"):
        return gray
    if encoding == "8UC2":
        return np.asarray(np.stack((gray, 255 - gray), axis=-1))
    if encoding == "mono16":
        return deep_of(gray)
    if encoding in ("16UC1", "32FC1", "64FC1"):
        depth = millimetres(rgb)
        metres = np.where(depth == 0, np.nan, depth / 1000)
        return depth if encoding == "16UC1" else metres.astype(np.float32 if encoding == "32FC1" else np.float64)
    if encoding == "8SC1":
        return (gray.astype(np.int16) - 128).astype(np.int8)
    if encoding == "16SC1":
        return (deep_of(gray).astype(np.int32) - 2**15).astype(np.int16)
    if encoding == "32SC1":
        deep = deep_of(gray).astype(np.int64)
        return ((deep << 16 | deep ^ 0x55AA) - 2**31).astype(np.int32)
    raise ImageError(f"can't make an image of encoding {encoding!r}: one of {', '.join(get_args(RawEncoding))}")


def viewable(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels of `raw_pixels`, or what a reader made of them, as a picture whose number `frame_number` reads.

    Args:
        pixels: uint8 as it is; uint16 of one channel with no value above 4000 is depth in millimetres, and of others
            the high byte is taken; floats of one channel are metres, of three 0 to 1; int8, int16 and int32 start at
            their least value.

    Returns:
        (H, W), or (H, W, 3), uint8; holes are black.
    """
    kind = pixels.dtype
    if kind == np.uint8:
        return np.asarray(pixels[..., 0] if pixels.shape[2:] == (2,) else pixels)
    if kind == np.uint16 and (pixels.ndim > 2 or pixels.max() > 4000):
        return np.asarray(pixels >> 8).astype(np.uint8)
    if kind.kind == "f" and pixels.ndim > 2:
        return np.asarray(np.rint(np.clip(pixels, 0, 1) * 255), np.uint8)
    if kind.kind == "f":
        pixels = np.rint(np.nan_to_num(pixels.astype(np.float64)) * 1000)
    elif kind.kind == "i":
        bits = 8 * kind.itemsize
        return np.asarray((pixels.astype(np.int64) + 2 ** (bits - 1)) >> (bits - 8), np.uint8)
    return np.clip((pixels.astype(np.int64) - _NEAREST_MM) // _MM_A_LEVEL, 0, 255).astype(np.uint8)


def yuv_planes(rgb: NDArray[np.uint8], encoding: str) -> Yuv:
    """The planes of a picture in one of the yuv encodings, exactly as its message holds them.

    Raises:
        ImageError: It has no even number of columns (or rows) where two of them share chroma.
    """
    columns, rows = _SHARED[encoding]
    height, width = rgb.shape[:2]
    if width % columns or height % rows:
        raise ImageError(f"can't make {encoding} of {width}x{height}: every {columns}x{rows} pixels share their chroma")
    r, g, b = (rgb[..., index].astype(np.float64) / 255 for index in range(3))
    planes = (
        16 + 65.481 * r + 128.553 * g + 24.966 * b,
        128 - 37.797 * r - 74.203 * g + 112.0 * b,
        128 + 112.0 * r - 93.786 * g - 18.214 * b,
    )
    y, u, v = (
        np.rint(plane.reshape(height // down, down, width // across, across).mean(axis=(1, 3))).astype(np.uint8)
        for plane, down, across in zip(planes, (1, rows, rows), (1, columns, columns), strict=True)
    )
    return Yuv(y, u, v)


def _rgb_of(planes: Yuv) -> NDArray[np.uint8]:
    y = (planes.y.astype(np.float64) - 16) * 255 / 219
    down, across = (size // small for size, small in zip(planes.y.shape, planes.u.shape, strict=True))
    u, v = ((plane.astype(np.float64) - 128).repeat(down, 0).repeat(across, 1) * 255 / 224 for plane in planes[1:])
    # 1.402 and 1.772 are 2 (1 - Kr) and 2 (1 - Kb) of BT.601; green has what they leave over.
    rgb = (y + 1.402 * v, y - (0.114 * 1.772 * u + 0.299 * 1.402 * v) / 0.587, y + 1.772 * u)
    return np.clip(np.rint(np.stack(rgb, axis=-1)), 0, 255).astype(np.uint8)


def _mosaic(rgb: NDArray[np.uint8], pattern: str) -> NDArray[np.uint8]:
    """One channel of each pixel: the pattern names those of two columns in the first row, then in the second."""
    mosaic = np.empty(rgb.shape[:2], np.uint8)
    for place, name in enumerate(pattern):
        where = (slice(place // 2, None, 2), slice(place % 2, None, 2))
        mosaic[where] = rgb[(*where, "rgb".index(name))]
    return mosaic


def raw_image(
    rgb: NDArray[np.uint8],
    encoding: str,
    *,
    big_endian: bool = False,
    step_padding: int = 0,
    trailing: int = 0,
) -> RawImage:
    """What a message holds for a picture.

    Args:
        rgb: (H, W, 3) uint8.
        encoding: Its encoding.
        big_endian: The order of bytes in a value, and the message's flag.
        step_padding: Bytes of 0xAA after each row. Rows of chroma planes have as much, the half, or twice as much, as
            they have bytes.
        trailing: Bytes of 0xAA after the last row.

    Raises:
        ImageError: The encoding is unknown, or the size not one that it can have.
    """
    if encoding in _SHARED:
        planes = _yuv_rows(yuv_planes(rgb, encoding), encoding)
    else:
        planes = [_rows(raw_pixels(rgb, encoding), encoding, big_endian)]
    width = planes[0].shape[1]
    step = width + step_padding
    data = b""
    for rows in planes:
        padding, rest = divmod(step_padding * rows.shape[1], width)
        if rest:
            raise ImageError(f"can't pad rows of {encoding} with {step_padding} bytes: its chroma has half as many")
        data += np.pad(rows, ((0, 0), (0, padding)), constant_values=_PADDING).tobytes()
    return RawImage(encoding, int(big_endian), step, data + bytes([_PADDING]) * trailing)


def _rows(pixels: NDArray[Any], encoding: str, big_endian: bool) -> NDArray[np.uint8]:
    """Pixels as the encoding has them, (H, bytes a row) uint8."""
    if encoding in _COLOURS:
        channels = _COLOURS[encoding]
        opaque = np.full((*pixels.shape[:2], 1), 65535 if pixels.dtype == np.uint16 else 255).astype(pixels.dtype)
        pixels = np.concatenate((pixels, opaque), axis=2)[:, :, ["rgba".index(name) for name in channels]]
    ordered = pixels.astype(pixels.dtype.newbyteorder(">" if big_endian else "<"))
    return np.frombuffer(ordered.tobytes(), np.uint8).reshape(len(pixels), -1)


def _yuv_rows(planes: Yuv, encoding: str) -> list[NDArray[np.uint8]]:
    y, u, v = planes
    height = len(y)
    if encoding == "i420":
        return [y, u, v]
    if encoding.startswith("nv"):
        return [y, np.stack((v, u) if encoding == "nv21" else (u, v), axis=-1).reshape(len(u), -1)]
    even, odd = y[:, 0::2], y[:, 1::2]
    order = (u, even, v, odd) if encoding in ("uyvy", "yuv422") else (even, u, odd, v)
    return [np.stack(order, axis=-1).reshape(height, -1)]
