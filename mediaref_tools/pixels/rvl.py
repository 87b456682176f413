"""RVL: run lengths and variable-length differences of 16-bit depth, as `compressedDepth` of format "rvl" carries it.

Source: A. D. Wilson, "Fast Lossless Depth Image Compression" (ISS 2017), and the layout that
compressed_depth_image_transport gives it: `<u32 columns><u32 rows>`, then 32-bit little-endian words of eight nibbles
each, the highest first. A number is coded in groups of three bits, the lowest first; a nibble's fourth bit says that
another follows. Numbers alternate: how many pixels are zero, how many are not, and of those the differences from the
last that was not zero, with the sign in the lowest bit.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.limits import MAX_PIXELS

__all__ = ["decode_rvl"]

_HEADER = struct.Struct("<II")
_LONGEST = 11  # nibbles of one number: 33 bits hold any that 32 bits can


def decode_rvl(data: bytes | memoryview) -> NDArray[np.uint16]:
    """Decode a picture.

    Args:
        data: Columns, rows and words, without the 12 bytes that `compressedDepth` puts before them.

    Returns:
        (H, W) uint16.

    Raises:
        ImageError: It is cut, claims a size that can't be, or its numbers do not add up to its pixels.
    """
    if len(data) < _HEADER.size:
        raise ImageError(f"RVL image of {len(data)} bytes: its header alone has {_HEADER.size}")
    columns, rows = _HEADER.unpack_from(data)
    pixels = columns * rows
    if not 0 < pixels <= MAX_PIXELS:
        raise ImageError(f"RVL image of {columns}x{rows} pixels: between 1 and {MAX_PIXELS} pixels are handled")
    numbers = _numbers(memoryview(data)[_HEADER.size :])
    where, deltas = _runs(numbers, pixels)
    picture = np.zeros(pixels, np.uint16)
    # Differences go on from the last pixel that was not zero, whatever lies between; they wrap as 16 bits do.
    picture[where] = np.cumsum(deltas, dtype=np.int64).astype(np.uint16)
    return picture.reshape(rows, columns)


def _numbers(words: memoryview) -> NDArray[np.int64]:
    """All numbers of the stream, those that pad its last word included."""
    packed = np.frombuffer(words, "<u4", len(words) // 4)
    shifts = np.arange(28, -1, -4, dtype=np.uint32)
    nibbles = ((packed[:, None] >> shifts) & 15).astype(np.int64).ravel()
    ends = np.flatnonzero(nibbles < 8)
    if not len(ends):
        return np.empty(0, np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise ImageError(f"RVL image has a number of {int(lengths.max())} nibbles: it is damaged")
    nibbles = nibbles[: ends[-1] + 1]
    place = np.arange(len(nibbles)) - np.repeat(starts, lengths)
    return np.asarray(np.add.reduceat((nibbles & 7) << (3 * place), starts), np.int64)


def _runs(numbers: NDArray[np.int64], pixels: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which pixels are not zero, and their differences."""
    where = np.zeros(pixels, np.bool_)
    pieces: list[NDArray[np.int64]] = []
    pixel = at = 0
    while pixel < pixels:
        if at >= len(numbers):
            raise ImageError(f"RVL image ends after {pixel} of {pixels} pixels")
        pixel += int(numbers[at])
        # Where zeros fill the picture to its end, nothing need follow them.
        filled = int(numbers[at + 1]) if at + 1 < len(numbers) and pixel < pixels else 0
        if pixel + filled > pixels or (filled == 0 and numbers[at] == 0):
            raise ImageError(f"RVL image has a run that does not fit, after {pixel} of {pixels} pixels: it is damaged")
        coded = numbers[at + 2 : at + 2 + filled]
        if len(coded) < filled:
            raise ImageError(f"RVL image ends after {pixel + len(coded)} of {pixels} pixels")
        where[pixel : pixel + filled] = True
        pieces.append((coded >> 1) ^ -(coded & 1))
        pixel += filled
        at += 2 + filled
    return where, np.concatenate(pieces)
