"""A terminal for tests: cells told from what a program wrote, and a real one (a pty) to run a program in."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

HALF_BLOCK = "\N{UPPER HALF BLOCK}"
# A sequence in whose middle another one begins is none: a write that a signal ends leaves such.
_TOKEN = re.compile(
    r"\x1b\[(?P<private>\??)(?P<numbers>[0-9;]*)((?P<final>[A-Za-z])|(?=\x1b))|\x1b(?=\x1b)|(?P<char>[^\x1b])",
    re.DOTALL,
)

Color = tuple[int, int, int]


class Cell(NamedTuple):
    char: str = " "
    front: Color | None = None
    back: Color | None = None


class Cells:
    """What a terminal shows. Knows what the player uses, and fails on anything else."""

    def __init__(self, columns: int, rows: int | None) -> None:
        """A screen; or paper, which grows and never wraps, where `rows` is None."""
        self.columns, self.rows = columns, rows
        self.modes: dict[str, bool] = {}
        self.written = ""
        self._rest = ""
        self._cells: dict[tuple[int, int], Cell] = {}
        self._column = self._row = 0
        self._front: Color | None = None
        self._back: Color | None = None

    def feed(self, text: str) -> None:
        """Show more text."""
        self.written += text
        text = self._rest + text
        place = 0
        while match := _TOKEN.match(text, place):
            place = match.end()
            if match["char"] is not None:
                self._put(match["char"])
            elif match["final"] is not None:
                self._do(match["private"], [int(n or 0) for n in match["numbers"].split(";")], match["final"])
        self._rest = text[place:]
        assert len(self._rest) < 40, f"not understood: {self._rest[:40]!r}"

    def _put(self, char: str) -> None:
        if char == "\r":
            self._column = 0
        elif char == "\n":
            self._column, self._row = 0, self._row + 1
        else:
            assert char.isprintable(), f"control character {char!r}"
            assert self._column < self.columns, f"beyond the last column: {char!r} in row {self._row}"
            if self.modes.get("1049"):
                assert self.rows is not None
                assert self._row < self.rows, "below the last row"
            self._cells[self._row, self._column] = Cell(char, self._front, self._back)
            self._column += 1

    def _do(self, private: str, numbers: list[int], final: str) -> None:
        if private:
            self.modes[str(numbers[0])] = final == "h"
            if numbers[0] == 1049:
                self._cells.clear()
                self._row = self._column = 0
        elif final == "H":
            self._row, self._column = numbers[0] - 1, numbers[1] - 1
        elif final == "J":
            self._cells.clear()
        else:
            assert final == "m", f"unknown sequence {final!r}"
            while numbers:
                kind = numbers.pop(0)
                if kind in (38, 48):
                    assert numbers.pop(0) == 2
                    color = (numbers.pop(0), numbers.pop(0), numbers.pop(0))
                    self._front, self._back = (color, self._back) if kind == 38 else (self._front, color)
                elif kind == 0:
                    self._front = self._back = None

    @property
    def height(self) -> int:
        """Rows with anything in them."""
        return 1 + max((row for row, _ in self._cells), default=-1)

    def lines(self) -> list[str]:
        """The characters, row by row."""
        cells = [
            [self._cells.get((row, column), Cell()) for column in range(self.columns)] for row in range(self.height)
        ]
        return ["".join(cell.char for cell in row).rstrip() for row in cells]

    @property
    def text(self) -> str:
        """The characters."""
        return "\n".join(self.lines())

    def pictures(self) -> list[NDArray[np.uint8]]:
        """Rectangles of half blocks, (H, W, 3) uint8 RGB with two pixels a cell, from left to right in each row."""
        left = {place for place, cell in self._cells.items() if cell.char == HALF_BLOCK}
        found = []
        while left:
            row, column = min(left)
            bottom, right = row, column
            while (row, right + 1) in left:
                right += 1
            while (bottom + 1, column) in left:
                bottom += 1
            places = [[(r, c) for c in range(column, right + 1)] for r in range(row, bottom + 1)]
            assert all(place in left for line in places for place in line), "no rectangle"
            left -= {place for line in places for place in line}
            pixels = [[getattr(self._cells[p], side) for p in line] for line in places for side in ("front", "back")]
            found.append(np.array(pixels, np.uint8))
        return found


class Terminal:
    """A program that runs in a terminal of its own. A context manager."""

    def __init__(
        self, *arguments: object, columns: int = 80, rows: int = 24, keys: bool = True, **environment: str
    ) -> None:
        """Run `mediaref` with these arguments; `keys` False gives it no terminal to read keys from."""
        self.master, self.slave = pty.openpty()
        self.cells = Cells(columns, rows)
        # A read may end in the middle of a character, and a signal may end a write there.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._set_size(columns, rows)
        self.settings = termios.tcgetattr(self.slave)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mediaref_tools", *map(str, arguments)],
            stdin=self.slave if keys else subprocess.DEVNULL,
            stdout=self.slave,
            stderr=subprocess.PIPE,
            env={**inherited, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment},
            start_new_session=True,
            preexec_fn=self._control,
        )

    def _control(self) -> None:
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size."""
        self.read()
        self.cells = Cells(columns, rows)
        self._set_size(columns, rows)

    def read(self, seconds: float = 0.0) -> bool:
        """Take in what was written by now; wait for a little if nothing was."""
        ready, _, _ = select.select([self.master], [], [], seconds)
        if not ready:
            return False
        self.cells.feed(self._decoder.decode(os.read(self.master, 1 << 20)))
        return True

    def until(self, met: Callable[[Cells], Any], seconds: float = 60) -> Any:
        """Read until a condition is met; gives what it gave."""
        stop = time.monotonic() + seconds
        while True:
            # Only between whole updates is the screen what the program means it to be.
            if not self.cells.modes.get("2026") and (value := met(self.cells)):
                return value
            assert time.monotonic() < stop, f"not met:\n{self.cells.text}"
            if not self.read(0.1) and self.process.poll() is not None and not self.read():
                assert met(self.cells), f"ended before:\n{self.cells.text}\n{self.error()}"
                return met(self.cells)

    def wait(self, seconds: float = 60) -> int:
        """Let the program end; gives its exit code."""
        stop = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < stop, f"still runs:\n{self.cells.text}"
            self.read(0.05)
        while self.read():
            pass
        return self.process.returncode

    def error(self) -> str:
        """What it wrote to standard error, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def restored(self) -> bool:
        """Whether the terminal is as it was before."""
        modes = self.cells.modes
        given_back = not modes.get("1049") and modes.get("25", True) and modes.get("7", True) and not modes.get("2026")
        return given_back and termios.tcgetattr(self.slave) == self.settings
