"""A terminal taken over for as long as something plays on it, and given back as it was, whatever happens."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import termios
import threading
import tty
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Final, Self, TextIO

__all__ = ["Screen"]

# What is between these a terminal that knows them shows at once.
_BEGIN: Final = "\x1b[?2026h"
_END: Final = "\x1b[?2026l"
# Alternate screen, cursor hidden, no wrapping at the last column; and back. Ctrl-Z and Ctrl-C throw away what the
# terminal was not sent yet, so the end of the last update may have been lost.
_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE: Final = f"{_END}\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"

# A key is a character or an escape sequence; the rest is the beginning of one that has not all come yet.
_KEY: Final = re.compile(r"\x1b\[[0-9:;<=>?]*[ -/]*[@-~]|\x1bO.|\x1b(?=[^\[O])|[^\x1b]", re.DOTALL)
_NAMES: Final[Mapping[str, str]] = {"\x1b[C": "right", "\x1bOC": "right", "\x1b[D": "left", "\x1bOD": "left"}


class Screen:
    """A terminal's whole screen, and its keys where standard input is one too. A context manager.

    Args:
        output: Goes to a terminal.
        keys: Where keys come from; None, or no terminal, means that there are none.
    """

    def __init__(self, output: TextIO, keys: TextIO | None) -> None:
        self._output = output
        self._keys = keys.fileno() if keys is not None and keys.isatty() else None
        self._saved: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._wake: tuple[int, int] | None = None
        self._wakeup_fd = -1
        self._pending = ""
        # Set by signals and looked at between writes: a handler must not write, for it may interrupt a write.
        self._suspended = self._continued = False
        self.resized = False
        """Whether the size or the whole screen has changed since this was last set to False."""

    @property
    def has_keys(self) -> bool:
        """Whether somebody can press keys."""
        return self._keys is not None

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows now."""
        try:
            size = os.get_terminal_size(self._output.fileno())
        except OSError:
            size = shutil.get_terminal_size()
        return (size.columns or 80, size.lines or 24)

    def show(self, text: str) -> None:
        """Write text that places itself."""
        self._output.write(f"{_BEGIN}{text}{_END}")
        self._output.flush()

    def wait(self, seconds: float | None) -> Sequence[str]:
        """Wait for keys, a new size or some time, whichever comes first.

        Returns:
            The keys pressed: printable characters, "left", "right". "q" where the terminal is gone.
        """
        watched = [fd for fd in (self._keys, self._wake[0] if self._wake else None) if fd is not None]
        ready, _, _ = select.select(watched, [], [], seconds)
        if self._wake and self._wake[0] in ready:
            os.read(self._wake[0], 512)
        if self._suspended:
            self._suspended = False
            self._give_back()
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._continued:
            self._continued = False
            self._take()
        if self._keys is None or self._keys not in ready:
            return ()
        pressed = os.read(self._keys, 512)
        return self._named(pressed) if pressed else ("q",)

    def _named(self, pressed: bytes) -> list[str]:
        text = self._pending + pressed.decode("ascii", "ignore")
        keys, place = [], 0
        while match := _KEY.match(text, place):
            keys.append(_NAMES.get(match[0], match[0]))
            place = match.end()
        self._pending = text[place:]
        # Of the sequences only those with a name; no key that we know of has none and is longer than one.
        return [key for key in keys if key in _NAMES.values() or (len(key) == 1 and key.isprintable())]

    def __enter__(self) -> Self:
        if self._keys is not None:
            self._saved = termios.tcgetattr(self._keys)
        try:
            self._listen()
            self._take()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._give_back()
        finally:
            self._stop_listening()

    def _take(self) -> None:
        if self._keys is not None:
            # TCSANOW: what was typed ahead still counts.
            tty.setcbreak(self._keys, termios.TCSANOW)
        self._output.write(_ENTER)
        self._output.flush()
        self.resized = True

    def _give_back(self) -> None:
        try:
            # A terminal that is gone needs nothing back.
            with suppress(OSError, ValueError):
                self._output.write(_LEAVE)
                self._output.flush()
        finally:  # for whoever presses Ctrl-C twice
            if self._keys is not None and self._saved is not None:
                with suppress(termios.error):
                    termios.tcsetattr(self._keys, termios.TCSADRAIN, self._saved)

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread may: a screen of another one just isn't told of new sizes
        self._wake = os.pipe()
        for end in self._wake:
            os.set_blocking(end, False)
        self._wakeup_fd = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        handlers: list[tuple[int, Callable[[int, FrameType | None], None]]] = [
            (signal.SIGWINCH, self._on_resize),
            (signal.SIGTSTP, self._on_suspend),
            (signal.SIGCONT, self._on_continue),
            (signal.SIGTERM, _on_end),
            (signal.SIGHUP, _on_end),
        ]
        for number, handler in handlers:
            self._handlers[number] = signal.signal(number, handler)

    def _stop_listening(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        if self._wake is not None:
            signal.set_wakeup_fd(self._wakeup_fd)
            for end in self._wake:
                os.close(end)
            self._wake = None

    def _on_resize(self, _number: int, _frame: FrameType | None) -> None:
        self.resized = True

    def _on_suspend(self, _number: int, _frame: FrameType | None) -> None:
        self._suspended = True

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._continued = True


def _on_end(number: int, _frame: FrameType | None) -> None:
    # Leaves through every `finally`; 128 + the signal is what a shell would say.
    raise SystemExit(128 + number)
