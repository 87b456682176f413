"""Pieces of remote files: fetched side by side, each byte once, and kept up to a number of bytes."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from mediaref_tools.errors import MediaError
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.media.crew import Crew
from mediaref_tools.media.storage import Ranges

__all__ = ["Fetched", "Pieces", "Wanted"]

KEPT_BYTES = 2**26
"""How much is held that no call is using, 64 MiB; what calls use is held beside it."""

_AT_ONCE = 64  # requests on their way: one batch of frames that lie far apart
_PIECE_BYTES = 2**22  # neighbours are one request up to that
_GAP_SHARE = 16  # a request may fetch a 16th more than is wanted
_OPEN_FILES = 64


class Wanted(NamedTuple):
    """Bytes `[begin, stop)` of a file."""

    name: str
    begin: int
    stop: int


class Fetched(NamedTuple):
    """What was fetched so far: requests, and the bytes of their answers."""

    requests: int
    bytes: int


class _Piece:
    """Bytes of a file that are held, or on their way."""

    __slots__ = ("begin", "data", "name", "stop", "users")

    def __init__(self, name: str, begin: int, stop: int) -> None:
        self.name, self.begin, self.stop = name, begin, stop
        self.data: Future[bytes] = Future()
        self.users = 0  # calls that will read it


class Pieces:
    """Fetches and holds pieces. Any thread may ask; what several ask for is fetched once. A fork begins with nothing.

    What could not be fetched is not held: whoever asks next tries again.
    """

    def __init__(self, open_file: Callable[[str], Ranges]) -> None:
        """Fetch nothing yet. `open_file` says how ranges of a file are had; it is asked again for one long not used."""
        self._open_file = open_file
        self._crew = Crew(_AT_ONCE + 1)
        self._files: OrderedDict[str, Ranges] = OrderedDict()
        self._busy: dict[str, int] = {}
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._rows: dict[str, list[_Piece]] = {}  # of each file, by place; no two have a byte in common
        self._used: OrderedDict[_Piece, None] = OrderedDict()  # the latest last
        self._bytes = 0
        self._busy.clear()
        self._requests = self._fetched = 0

    @property
    def fetched(self) -> Fetched:
        """What was fetched so far, in this process."""
        return Fetched(self._requests, self._fetched)

    def ask(self, wanted: Iterable[Wanted]) -> None:
        """Begin to fetch what is neither held nor on its way, and don't wait for it. Once closed, do nothing."""
        if not self._crew.closed:
            self._asked(wanted, 0)

    @contextmanager
    def held(self, wanted: Iterable[Wanted]) -> Iterator[None]:
        """As `ask`; and nothing of it is let go of before the end."""
        pieces = self._asked(wanted, 1)
        try:
            yield
        finally:
            with self._lock:
                for piece in pieces:
                    piece.users -= 1

    def read(self, wanted: Wanted) -> bytes:
        """Some bytes, as soon as they are there.

        Raises:
            MediarefError: As `Ranges.fetch`.
        """
        _, begin, stop = wanted
        pieces = self._asked([wanted], 0)
        found = [p.data.result()[max(begin - p.begin, 0) : stop - p.begin] for p in pieces]
        return found[0] if len(found) == 1 else b"".join(found)

    def is_near(self, wanted: Iterable[Wanted]) -> bool:
        """Whether all is held or on its way."""
        self._check_process()
        with self._lock:
            return not any(self._found(each)[1] for each in wanted)

    def close(self) -> None:
        """Let go of everything, once what is on its way is there. Safe to call again."""
        if self._process != os.getpid():
            return
        self._crew.close()
        with self._lock:
            files = list(self._files.values())
            self._files.clear()
            self._rows.clear()
            self._used.clear()
            self._bytes = 0
        for file in files:
            file.close()

    def _check_process(self) -> None:
        if self._process != os.getpid():  # what is on its way arrives at the parent
            self._start()

    def _asked(self, wanted: Iterable[Wanted], users: int) -> list[_Piece]:
        """The pieces that have the wanted bytes, in their order."""
        self._check_process()
        new: list[_Piece] = []
        pieces: dict[_Piece, None] = {}
        with self._lock:
            for each in _merged(wanted):
                found, gaps = self._found(each)
                for begin, stop in gaps:
                    piece = _Piece(each.name, begin, stop)
                    row = self._rows.setdefault(each.name, [])
                    row.insert(bisect_right(row, begin, key=_begin), piece)
                    self._bytes += stop - begin
                    found.append(piece)
                    new.append(piece)
                for piece in sorted(found, key=_begin):
                    pieces[piece] = None
                    self._used[piece] = None
                    self._used.move_to_end(piece)
            for piece in pieces:
                piece.users += users
            self._let_go(pieces)
        for piece in new:
            self._crew.start(partial(self._fill, piece))
        return list(pieces)

    def _found(self, wanted: Wanted) -> tuple[list[_Piece], list[tuple[int, int]]]:
        """The pieces that have some of the wanted bytes, and the gaps between them. With the lock."""
        name, at, stop = wanted
        row = self._rows.get(name, [])
        first = bisect_right(row, at, key=_begin) - 1
        pieces, gaps = list[_Piece](), list[tuple[int, int]]()
        for piece in row[max(0, first) :]:
            if piece.begin >= stop:
                break
            if piece.stop > at:
                if piece.begin > at:
                    gaps.append((at, piece.begin))
                pieces.append(piece)
                at = piece.stop
        if at < stop:
            gaps.append((at, stop))
        return pieces, gaps

    def _let_go(self, wanted: dict[_Piece, None]) -> None:
        """Let go of what was not used for longest, down to the bound. With the lock."""
        for piece in list(self._used) if self._bytes > KEPT_BYTES else []:
            if self._bytes <= KEPT_BYTES:
                return
            if not piece.users and piece.data.done() and piece not in wanted:
                self._forget(piece)

    def _forget(self, piece: _Piece) -> None:
        if self._used.pop(piece, piece) is None:
            self._rows[piece.name].remove(piece)
            self._bytes -= piece.stop - piece.begin
            if not self._rows[piece.name]:
                del self._rows[piece.name]

    def _fill(self, piece: _Piece) -> None:
        try:
            if piece.stop - piece.begin > MAX_STILL_BYTES:
                raise MediaError(
                    f"{piece.stop - piece.begin} bytes at once, for no more than a few packets, of which the largest "
                    f"may have {MAX_STILL_BYTES}: {piece.name}"
                )
            with self._file(piece.name) as file:
                data = file.fetch(piece.begin, piece.stop)
        except BaseException as error:  # raised to whoever reads it
            with self._lock:
                self._forget(piece)
            piece.data.set_exception(error)
            return
        with self._lock:
            self._requests += 1
            self._fetched += len(data)
        piece.data.set_result(data)

    @contextmanager
    def _file(self, name: str) -> Iterator[Ranges]:
        with self._lock:
            if name not in self._files:
                self._files[name] = self._open_file(name)
            file = self._files[name]
            self._files.move_to_end(name)
            self._busy[name] = self._busy.get(name, 0) + 1
            idle = [each for each in self._files if not self._busy.get(each)]
            closing = [self._files.pop(each) for each in idle[: max(0, len(self._files) - _OPEN_FILES)]]
        try:
            for old in closing:
                old.close()
            yield file
        finally:
            with self._lock:
                self._busy[name] -= 1
                if not self._busy[name]:
                    del self._busy[name]


def _begin(piece: _Piece) -> int:
    return piece.begin


def _merged(wanted: Iterable[Wanted]) -> Sequence[Wanted]:
    """Requests for what is wanted, by file and place: what overlaps is one, and what lies near each other."""
    found: list[Wanted] = []
    useful = 0  # bytes of the last
    for each in sorted(wanted):
        last = found[-1] if found and found[-1].name == each.name else None
        if last is not None:
            stop = max(last.stop, each.stop)
            more = max(0, each.stop - max(each.begin, last.stop))
            gaps = stop - last.begin - useful - more
            fits = stop - last.begin <= _PIECE_BYTES and gaps * _GAP_SHARE <= useful + more
            if fits or each.begin < last.stop:
                found[-1] = Wanted(each.name, last.begin, stop)
                useful += more
                continue
        found.append(each)
        useful = each.stop - each.begin
    return found
