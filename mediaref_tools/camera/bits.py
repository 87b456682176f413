"""Reading bits of a header, never past its end."""

from __future__ import annotations

from mediaref_tools.errors import ImageError

__all__ = ["Bits", "unescape"]

_HEAD = 1024  # bytes; slice headers are some tens, the largest parameter sets some hundreds


def unescape(nal: bytes, most: int = _HEAD) -> bytes:
    """The first bytes of a NAL unit, `most` of them, without emulation prevention (ITU-T H.264 7.4.1, H.265 7.4.2)."""
    return nal[:most].replace(b"\0\0\3", b"\0\0")


class Bits:
    """A cursor over the bits of some bytes, most significant first.

    Every read raises ImageError where the bytes end: loops over what a header claims end there.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._end = 8 * len(data)

    def u(self, count: int) -> int:
        """An unsigned number of `count` bits."""
        start, stop = self._at, self._at + count
        if stop > self._end:
            raise ImageError("video packet ends within a header")
        self._at = stop
        last = (stop + 7) >> 3
        return int.from_bytes(self._data[start >> 3 : last], "big") >> (8 * last - stop) & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.u(1) == 1

    def ue(self, most: int = 2**32 - 2) -> int:
        """An unsigned Exp-Golomb number (ITU-T H.264 9.1), at most `most`."""
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 32:
                raise ImageError("video packet has a header with a number of more than 32 bits")
        value = (1 << zeros) - 1 + self.u(zeros)
        if value > most:
            raise ImageError(f"video packet has a header with {value} where at most {most} may stand")
        return value

    def se(self) -> int:
        """A signed Exp-Golomb number."""
        value = self.ue()
        return (value + 1) // 2 if value & 1 else -(value // 2)
