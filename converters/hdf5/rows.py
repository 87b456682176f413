"""Rows of HDF5 datasets of pictures: read by chunk, and turned into image values."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message

from .pictures import Pictures

__all__ = ["file_of", "image_of", "read_rows", "spans"]

_SPAN_BYTES = 2**20
_VARIABLE_ROWS = 16
_QUALITY = 97
_SWAPPED = {"rgb8": "bgr8", "rgba8": "bgra8"}


def spans(dataset: h5py.Dataset, pictures: Pictures, budget: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows to be read together, so that each chunk is inflated once, or as seldom as `budget` bytes allow.

    gzip's usual "auto" chunks hold parts of many pictures: row by row, each would be inflated for every row.
    """
    size, chunk = pictures.row_bytes, 1 if dataset.chunks is None else int(dataset.chunks[0])
    if size is None:
        step = _VARIABLE_ROWS
    elif chunk * size <= budget:
        step = chunk * max(1, _SPAN_BYTES // (chunk * size))
    else:
        step = max(1, budget // size)
    start = 0
    while start < pictures.rows:
        stop = min(start + step, pictures.rows)
        if step < chunk:
            stop = min(stop, start - start % chunk + chunk)
        yield start, stop
        start = stop


def read_rows(dataset: h5py.Dataset, start: int, stop: int) -> list[bytes | memoryview]:
    """The bytes of some rows as they lie, padding included; views into one array where all have one length."""
    values = dataset[start:stop]
    if values.dtype.kind == "O":
        return [value if isinstance(value, bytes) else np.asarray(value).tobytes() for value in values]
    flat = np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)
    return [row.data for row in flat]


def image_of(message: Message, pictures: Pictures, *, swap: bool) -> ImageValue:
    """The picture in a row.

    Args:
        message: Its row.
        pictures: The dataset that it is of.
        swap: Red and blue are the wrong way round.

    Raises:
        ImageError: A file has to be decoded for `swap`, and can't be.
    """
    kind = message.channel.type
    if pictures.layout == "video":
        return ImageValue(message.data, pictures.encoding, "packet", type=kind)
    if pictures.layout == "file":
        # Neither JPEG nor PNG ends in a zero byte, and no length beside them can be trusted.
        whole = bytes(message.data)
        data = whole.rstrip(b"\0")
        if swap:
            return _recoloured(data, kind)
        padding = str(len(whole) - len(data)).encode()  # of rows that have a length of their own nobody else tells it
        return ImageValue(data, pictures.encoding, "file", type=kind, envelope=padding)
    height, width, channels = pictures.height, pictures.width, pictures.channels
    if len(message.data) == 0:
        raise ImageError("a row that could not be read")
    data_: bytes | memoryview = message.data
    if pictures.dtype.byteorder == ">" or pictures.layout == "CHW":
        pixels: Any = np.frombuffer(message.data, pictures.dtype)
        if pictures.layout == "CHW":
            pixels = pixels.reshape(channels, height, width).transpose(1, 2, 0)
        data_ = pixels.astype(pictures.dtype.newbyteorder("<"), order="C").tobytes()
    encoding = _SWAPPED.get(pictures.encoding, pictures.encoding) if swap else pictures.encoding
    step = width * channels * int(pictures.dtype.itemsize)
    return ImageValue(data_, encoding, "raw", height, width, step, type=kind)


def _recoloured(data: bytes, kind: str) -> ImageValue:
    """An image file's pixels, with what it calls red taken for blue."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG", "WEBP")) as image:
            if image.mode not in ("RGB", "L"):
                raise ImageError(f"{image.format} of mode {image.mode}: its red and blue can't be swapped")
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, EOFError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"image file of {len(data)} bytes can't be decoded to swap red and blue: {error}") from error
    height, width, _ = pixels.shape
    return ImageValue(pixels.tobytes(), "bgr8", "raw", height, width, width * 3, type=kind)


def file_of(image: ImageValue) -> bytes:
    """A JPEG whose red and blue are the wrong way round again, of pixels where they were put right."""
    pixels = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "jpeg", quality=_QUALITY)
    return stream.getvalue()
