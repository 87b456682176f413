"""All of an image message but the picture's bytes, so that the very same message can be made again.

A message is a head, the data and a tail; the head ends with how long the data is, if the serialisation says so.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from mediaref_tools.errors import ImageError

__all__ = ["Envelope", "split"]

_SIZES = struct.Struct("<II")  # bytes of the head, bytes of data


class Envelope(NamedTuple):
    """What stands before and after the data, and how many bytes of data there were."""

    head: bytes
    tail: bytes
    size: int

    def pack(self) -> bytes:
        """As bytes."""
        return _SIZES.pack(len(self.head), self.size) + self.head + self.tail

    @classmethod
    def unpack(cls, data: bytes) -> Envelope:
        """The envelope that some bytes are.

        Raises:
            ImageError: They are none.
        """
        if len(data) < _SIZES.size:
            raise ImageError(f"an envelope of {len(data)} bytes is none")
        length, size = _SIZES.unpack_from(data)
        rest = data[_SIZES.size :]
        if length > len(rest):
            raise ImageError(f"an envelope says that its head has {length} bytes, and has {len(rest)} in all")
        return cls(rest[:length], rest[length:], size)

    def around(self, data: bytes | memoryview) -> bytes:
        """The message: of data as long as it was."""
        return b"".join((self.head, data, self.tail))


def split(message: bytes | memoryview, data: memoryview) -> Envelope:
    """The envelope of a message and of the part of it that is its data.

    Args:
        message: All of it.
        data: A view into the very same memory, or a copy of what is there.

    Raises:
        ImageError: It is neither.
    """
    whole = np.frombuffer(message, np.uint8)
    if len(data) == 0:  # nobody can tell where: a message without data is all head
        return Envelope(whole.tobytes(), b"", 0)
    start = _address(np.frombuffer(data, np.uint8)) - _address(whole)
    if not 0 <= start <= len(whole) - len(data):  # a copy, as rosbags makes of what is big-endian
        start = bytes(message).rfind(data)
        if start < 0:
            raise ImageError("its data is no part of it as it is")
    return Envelope(whole[:start].tobytes(), whole[start + len(data) :].tobytes(), len(data))


def _address(array: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> int:
    return int(array.__array_interface__["data"][0])
