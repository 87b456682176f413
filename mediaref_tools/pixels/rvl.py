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

__all__ = ["decode_rvl", "encode_rvl", "rvl_size"]

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
    runs, end = _runs(numbers, pixels)
    picture = np.zeros(pixels, np.uint16)
    if end > 2 * len(runs):
        is_delta = np.ones(end, np.bool_)
        is_delta[runs] = is_delta[runs + 1] = False
        coded = numbers[:end][is_delta]
        # Differences go on from the last pixel that was not zero, whatever lies between; they wrap as 16 bits do.
        values = np.cumsum((coded >> 1) ^ -(coded & 1), dtype=np.int64).astype(np.uint16)
        filled = np.repeat(np.tile((False, True), len(runs)), numbers[np.add.outer(runs, (0, 1)).ravel()])
        picture[: len(filled)][filled] = values
    return picture.reshape(rows, columns)


def encode_rvl(picture: NDArray[np.uint16]) -> bytes:
    """Encode a picture, into the bytes that the transport writes: `decode_rvl` is the exact inverse.

    Args:
        picture: (H, W) uint16.

    Returns:
        Columns, rows and words.

    Raises:
        ImageError: It is no such array, or has no pixel, or more than can be decoded.
    """
    if picture.dtype != np.uint16 or picture.ndim != 2 or not 0 < picture.size <= MAX_PIXELS:
        raise ImageError(
            f"can't encode {picture.dtype} {picture.shape} as RVL: expected uint16 (H, W) of 1 to {MAX_PIXELS} pixels"
        )
    pixels = np.ascontiguousarray(picture).ravel()
    filled = pixels != 0
    values = pixels[filled].astype(np.int64)
    deltas = np.diff(values, prepend=0)
    # Where the picture changes between zeros and others, from zeros at its very beginning, even if there are none.
    edges = np.flatnonzero(np.diff(filled, prepend=False, append=False))
    lengths = np.diff(edges, prepend=0)
    if pixels[-1] == 0:
        lengths = np.concatenate((lengths, (len(pixels) - (edges[-1] if len(edges) else 0), 0)))
    # Each pair of lengths comes before the differences that it announces.
    before = np.cumsum(lengths[1::2]) - lengths[1::2]
    numbers = np.insert((deltas << 1) ^ (deltas >> 63), np.repeat(before, 2), lengths)
    rows, columns = picture.shape
    return _HEADER.pack(columns, rows) + _words(numbers)


def _numbers(words: memoryview) -> NDArray[np.int64]:
    """All numbers of the stream, those that pad its last word included."""
    # The highest nibble first: the bytes of each word from its last to its first.
    packed = np.frombuffer(words, np.uint8, len(words) // 4 * 4).reshape(-1, 4)[:, ::-1].ravel()
    nibbles = np.stack((packed >> 4, packed & 15), axis=1).ravel()
    ends = np.flatnonzero(nibbles < 8)
    starts = np.concatenate((ends[:1] * 0, ends[:-1] + 1))
    lengths = ends - starts + 1
    groups = nibbles & 7
    numbers = groups[starts].astype(np.int64)
    longer = np.flatnonzero(lengths > 1)
    place = 1
    while len(longer):
        if place == _LONGEST:
            raise ImageError(f"RVL image has a number of more than {_LONGEST} nibbles: it is damaged")
        numbers[longer] |= groups[starts[longer] + place].astype(np.int64) << (3 * place)
        place += 1
        longer = longer[lengths[longer] > place]
    return numbers


def _words(numbers: NDArray[np.int64]) -> bytes:
    """The reverse of `_numbers`: the last word is filled up with zeros."""
    lengths = np.ones(len(numbers), np.int64)
    longer = np.flatnonzero(numbers >> 3)
    while len(longer):
        lengths[longer] += 1
        longer = longer[numbers[longer] >> (3 * lengths[longer]) != 0]
    ends = np.cumsum(lengths)
    nibbles = np.zeros(-(-int(ends[-1]) // 8) * 8, np.uint8)
    nibbles[: ends[-1]] = 8
    nibbles[ends - 1] = 0
    starts = ends - lengths
    some = np.arange(len(numbers))
    place = 0
    while len(some):
        nibbles[starts[some] + place] |= (numbers[some] >> (3 * place) & 7).astype(np.uint8)
        place += 1
        some = some[lengths[some] > place]
    packed = nibbles[0::2] << 4 | nibbles[1::2]
    return packed.reshape(-1, 4)[:, ::-1].tobytes()


def _runs(numbers: NDArray[np.int64], pixels: int) -> tuple[NDArray[np.int64], int]:
    """Where among the numbers a pair of lengths stands (zeros, others), and where the last one's differences end."""
    runs: list[int] = []
    seen = numbers.data  # a memoryview: indexing it is cheaper than indexing an array
    count = len(seen)
    pixel = at = 0
    while pixel < pixels:
        if at >= count:
            raise ImageError(f"RVL image ends after {pixel} of {pixels} pixels")
        pixel += seen[at]
        # Where zeros fill the picture to its end, nothing need follow them.
        if pixel == pixels:
            break
        filled = seen[at + 1] if at + 1 < count else 0
        if pixel + filled > pixels or (filled == 0 and seen[at] == 0):
            raise ImageError(f"RVL image has a run that does not fit, after {pixel} of {pixels} pixels: it is damaged")
        if at + 2 + filled > count:
            raise ImageError(f"RVL image ends after {pixel + count - at - 2} of {pixels} pixels")
        runs.append(at)
        pixel += filled
        at += 2 + filled
    return np.array(runs, np.int64), at


def rvl_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height that a picture's header tells; (0, 0) where it is cut."""
    if len(data) < _HEADER.size:
        return 0, 0
    columns, rows = _HEADER.unpack_from(data)
    return columns, rows
