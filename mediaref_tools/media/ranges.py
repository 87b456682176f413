"""A file that lies elsewhere, read in ranges: what was fetched is kept in blocks, of which only so many are held."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["RangedFile"]

_BLOCK_BYTES = 2**17
_BLOCKS = 128  # held at most: 16 MiB
_LONGEST_RUN = 16  # blocks in one request: 2 MiB


class RangedFile(io.RawIOBase):
    """Reads and seeks in a file through ranges. For one thread at a time.

    A far jump fetches one block. Where reading goes on behind what was fetched, half as much again is fetched: a long
    piece costs few requests, and no piece many more bytes than it has.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, close: Callable[[], None]) -> None:
        """Take what is needed; nothing is fetched yet.

        Args:
            fetch: Gives the bytes of `[start, stop)`, all of them; it raises where it can't.
            size: Of the file, in bytes.
            close: Called once, when this is closed.
        """
        self._fetch, self._size, self._close = fetch, size, close
        self._at = 0
        # Block number to its bytes, and how many blocks its run had when it came; latest use last.
        self._blocks: OrderedDict[int, tuple[bytes, int]] = OrderedDict()

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """Where the next byte is read from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as files do; nothing is fetched."""
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise ValueError(f"can't seek to {at}, before the file's start")
        self._at = at
        return at

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer at the end only; all that are left with -1 or None."""
        if self.closed:
            raise ValueError("file is closed")
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        pieces: list[bytes] = []
        while self._at < end:
            number, begin = divmod(self._at, _BLOCK_BYTES)
            piece = self._block(number, -(-end // _BLOCK_BYTES))[begin : begin + end - self._at]
            pieces.append(piece)
            self._at += len(piece)
        return b"".join(pieces)

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into a buffer; how many bytes were read."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file. Safe to call again."""
        if not self.closed:
            self._blocks.clear()
            super().close()
            self._close()

    def _block(self, number: int, stop: int) -> bytes:
        """A block; if it must be fetched, then with what follows it, up to block `stop` at the least."""
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number][0]
        before = self._blocks[number - 1][1] if number - 1 in self._blocks else 0
        length = min(max(before // 2, stop - number, 1), _LONGEST_RUN)
        last = number + 1
        while last < number + length and last * _BLOCK_BYTES < self._size and last not in self._blocks:
            last += 1
        start = number * _BLOCK_BYTES
        data = self._fetch(start, min(last * _BLOCK_BYTES, self._size))
        for each in range(number, last):
            at = each * _BLOCK_BYTES - start
            self._blocks[each] = data[at : at + _BLOCK_BYTES], before + last - number
        while len(self._blocks) > _BLOCKS:
            self._blocks.popitem(last=False)
        return self._blocks[number][0]
