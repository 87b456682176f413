"""Playing topics in a terminal at their real times, or printing some of their frames as text."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Literal, TextIO

from mediaref_tools.errors import FrameError
from mediaref_tools.plaintext import seconds_text
from mediaref_tools.play.playback import Playback
from mediaref_tools.play.stage import Stage
from mediaref_tools.play.terminal import HALF_BLOCK, message_box, wrap
from mediaref_tools.times import iso_time

if TYPE_CHECKING:
    from mediaref_tools.dataset.topic import Topic
    from mediaref_tools.play.screen import Screen

__all__ = ["KEYS", "ColorChoice", "play", "wants_color"]

ColorChoice = Literal["auto", "always", "never"]

KEYS: Final[Mapping[str, str]] = {
    "space": "pause, go on",
    "right .": "next frame",
    "left ,": "frame before",
    "+ -": "faster, slower",
    "q": "quit",
    "?": "this help",
}
"""Keys and what they do."""

_REDRAW_NS: Final = 16_000_000
_STATUS_NS: Final = 100_000_000


def play(
    topics: Sequence[Topic],
    *,
    start_ns: int,
    time_ns: int | None = None,
    frames: int | None = None,
    speed: Fraction = Fraction(1),
    loop: bool = False,
    color: ColorChoice = "auto",
    output: TextIO | None = None,
    keys: TextIO | None = None,
) -> None:
    """Play topics in a terminal, or print some of their frames where there is none.

    On a terminal they play side by side, each frame at its real time, until somebody quits; without keys until the
    last frame. What can't be drawn in time is left out: the clock waits for nothing. Elsewhere `frames` of them are
    printed as fast as can be, one after the other: each time at which a topic has a frame, all topics at that time.

    Args:
        topics: Of one dataset.
        start_ns: Where relative times count from.
        time_ns: The log time to begin at. None is the first frame; or, if one is to be printed, where each topic
            has one.
        frames: Stop after that many; None prints one.
        speed: Log time per time.
        loop: Begin again after the last frame.
        color: "auto" asks the terminal, and NO_COLOR, FORCE_COLOR and CLICOLOR_FORCE.
        output: Standard output by default.
        keys: Standard input by default.

    Raises:
        FrameError: No topic has a frame, the time lies outside of theirs, or speed or frames are not positive.
    """
    output = sys.stdout if output is None else output
    keys = sys.stdin if keys is None else keys
    if frames is not None and frames < 1:
        raise FrameError(f"can't show {frames!r} frames: expected at least 1")
    playback = Playback(topics, time_ns=time_ns, speed=speed, loop=loop)
    if time_ns is not None and not min(start_ns, playback.first_ns) <= time_ns < playback.stop_ns:
        raise FrameError(
            f"time {time_ns!r} ({iso_time(time_ns)}) lies outside of what can be played: expected "
            f"{playback.first_ns} ({iso_time(playback.first_ns)}) to {playback.stop_ns - 1}; "
            "with an s at its end, a number is seconds from the start"
        )
    stage = Stage(topics, start_ns=start_ns, color=wants_color(color, output, os.environ))
    if not _is_screen(output, os.environ):
        if time_ns is None and frames is None:
            playback.seek(max(int(topic.log_times_ns[0]) for topic in topics if len(topic)))
        _print(playback, stage, output, frames or 1)
        return
    from mediaref_tools.play.screen import Screen

    with Screen(output, keys) as screen:
        _Player(playback, stage, screen).run(frames)
    if frames is not None:
        # The screen is as it was before; what was asked for should stay.
        _print(playback, stage, output, 1)


def wants_color(choice: ColorChoice, output: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether to write in colour: as told, else as NO_COLOR and FORCE_COLOR say, else on terminals.

    Never where the half block can't be encoded.
    """
    try:
        HALF_BLOCK.encode(output.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if any(environment.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return _is_screen(output, environment)


def _is_screen(output: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether text can be placed: not on paper, nor where there is no termios to ask for keys one by one."""
    return os.name == "posix" and output.isatty() and environment.get("TERM", "dumb") not in ("", "dumb", "unknown")


def _print(playback: Playback, stage: Stage, output: TextIO, frames: int) -> None:
    stage.lay_out(max(1, shutil.get_terminal_size().columns), None)
    for number in range(frames):
        if number and not playback.step(1):
            if not playback.loop:
                break
            playback.rewind()
        _, shown = playback.shown()
        output.write("\n".join([*([""] if number else []), *stage.page(shown)]) + "\n")
    output.flush()


class _Player:
    """The loop behind a screen."""

    def __init__(self, playback: Playback, stage: Stage, screen: Screen) -> None:
        self._playback, self._stage, self._screen = playback, stage, screen
        # What stands on the screen (nothing after it was cleared), and what was drawn last.
        self._shown: list[int] = []
        self._last: list[int] = []
        self._drawn = self._dropped = 0
        self._help = self._stepped = False
        self._columns = self._rows = 0
        self._state = "playing"

    def run(self, frames: int | None) -> None:
        """Play until the end, `frames` or "q"."""
        self._playback.play()
        while True:
            began_ns = monotonic_ns()
            self._draw()
            if frames is not None and self._drawn >= frames:
                return
            if self._state == "end" and not self._screen.has_keys:
                return
            for key in self._screen.wait(self._pause_s(began_ns)):
                if key == "q":
                    return
                self._press(key)

    def _pause_s(self, began_ns: int) -> float | None:
        """How long nothing changes; None is until a key is pressed."""
        change_ns = self._playback.next_change_ns()
        if change_ns is None:
            # The clock may have come to the end since it was drawn.
            return None if self._state != "playing" and self._screen.has_keys else 0.0
        return max(min(change_ns, _STATUS_NS), began_ns + _REDRAW_NS - monotonic_ns(), 0) / 1e9

    def _press(self, key: str) -> None:
        if self._help or key == "?":
            self._help = not self._help
            self._screen.resized = True
        elif key == " ":
            if self._playback.paused:
                self._playback.play()
            else:
                self._playback.pause()
        elif key in ("right", ".", "left", ","):
            self._playback.step(1 if key in ("right", ".") else -1)
            self._stepped = True
        elif key in ("+", "="):
            self._playback.faster()
        elif key in ("-", "_"):
            self._playback.slower()

    def _draw(self) -> None:
        parts = []
        if self._screen.resized:
            self._screen.resized = False
            self._columns, self._rows = self._screen.size
            self._stage.lay_out(self._columns, max(1, self._rows - 1))
            self._shown = []
            parts.append("\x1b[0m\x1b[2J")
        # Asked first, for the clock may come to the end in between: then what is drawn is not the end yet.
        paused = self._playback.paused
        time_ns, shown = self._playback.shown()
        self._state = "playing" if not paused else "end" if time_ns >= self._playback.stop_ns else "paused"
        if self._help:
            width = max(map(len, KEYS))
            lines = [f"{key:<{width}}  {what}" for key, what in KEYS.items()]
            parts += self._placed(message_box(lines, self._columns, max(1, self._rows - 1)), 0, 0)
        else:
            parts += self._changed(shown)
        parts.append(f"\x1b[{self._rows};1H{self._status(time_ns)}")
        self._screen.show("".join(parts))

    def _changed(self, shown: list[int]) -> list[str]:
        """The topics that show another frame than they did."""
        parts: list[str] = []
        before = self._shown or [-2] * len(shown)
        for place, tile in enumerate(self._stage.tiles):
            if before[place] != shown[place]:
                parts += self._placed(self._stage.tile(place, shown[place]), tile.column, tile.row)
            if not self._stepped and 0 <= before[place] < shown[place]:
                self._dropped += shown[place] - before[place] - 1
        # Frames that are drawn again, in another size say, are no new ones.
        self._drawn += shown != self._last
        self._stepped = False
        self._shown = self._last = shown
        return parts

    def _placed(self, lines: Sequence[str], column: int, row: int) -> list[str]:
        """Lines at a place on the screen, as far as there is one above the status."""
        fitting = lines[: max(0, self._rows - 1 - row)]
        return [f"\x1b[{row + 1 + number};{column + 1}H{line}" for number, line in enumerate(fitting)]

    def _status(self, time_ns: int) -> str:
        playback, stage = self._playback, self._stage
        length_ns = playback.stop_ns - stage.start_ns
        fields = [
            f"{self._state} {float(playback.speed):g}x",
            f"{seconds_text(time_ns - stage.start_ns)} of {seconds_text(length_ns)[1:]}",
            "? help",
            f"drawn {self._drawn}, dropped {self._dropped}",
        ]
        if len(stage.tiles) < len(stage.topics):
            fields.insert(1, f"{len(stage.tiles)} of {len(stage.topics)} topics fit")
        line = wrap(fields, self._columns)[0].ljust(self._columns)
        return f"\x1b[7m{line}\x1b[0m" if stage.color else line
