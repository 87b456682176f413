"""Playing in a real terminal: what is on the screen, keys, sizes, and the terminal given back."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import FrameError
from mediaref_tools.play.player import ColorChoice, play, wants_color
from mediaref_tools.play.screen import Screen
from mediaref_tools.sample import frame_number, numbered_topic, write_log
from tests.screens import Cells, Terminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="terminals here are POSIX ones")

START_NS = 1_700_000_000_000_000_000
A_NS = [START_NS + round(i * 1e9 / 15) for i in range(30)]
B_NS = [START_NS + 20_000_000 + round(i * 1e9 / 6.7) for i in range(13)]
UP, DOWN, LEFT, RIGHT = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two topics that number their pictures from 0 and from 1000, two seconds long."""
    folder = tmp_path_factory.mktemp("player")
    messages = numbered_topic("/a", A_NS, size=(120, 156)) + numbered_topic("/b", B_NS, size=(120, 156), first=1000)
    convert(write_log(folder / "log.bag", "rosbag1", messages), folder / "dataset")
    return folder / "dataset"


def labels(cells: Cells) -> list[tuple[str, int]]:
    """Topics on screen and the indices that their labels say, in the order of their pictures."""
    return [(name, int(index)) for name, index in re.findall(r"(/[ab]) +(\d+)/\d+", cells.text)]


def frames(cells: Cells) -> dict[str, int]:
    """The number that each topic's picture shows, by its label: they must agree."""
    said = labels(cells)
    numbers = [frame_number(image) for image in cells.pictures()]
    assert len(numbers) == len(said), cells.text
    shown = {name: number - (1000 if name == "/b" else 0) for (name, _), number in zip(said, numbers, strict=True)}
    assert shown == dict(said)
    return shown


def status(cells: Cells) -> str:
    return cells.lines()[cells.rows - 1] if cells.rows and cells.height == cells.rows else ""


def paused_at(cells: Cells) -> dict[str, int] | None:
    return frames(cells) if status(cells).startswith("paused") else None


def showing(wanted: dict[str, int]) -> Callable[[Cells], bool]:
    return lambda cells: frames(cells) == wanted


def test_pictures_labels_and_clock_agree_while_playing(dataset: Path) -> None:
    seen: list[dict[str, int]] = []
    with Terminal("play", dataset, columns=130, rows=32) as terminal:
        while "end" not in status(terminal.cells):
            now = terminal.until(lambda cells: labels(cells) and frames(cells))
            if not seen or seen[-1] != now:
                seen.append(now)
            terminal.read(0.2)
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.restored()
        assert terminal.error() == ""
    for name, last in (("/a", 29), ("/b", 12)):
        indices = [now[name] for now in seen if name in now]
        assert indices == sorted(indices)
        assert indices[-1] == last
    # What is on screen together is what the log's clock shows together.
    for now in seen:
        if len(now) == 2:
            a, b = now["/a"], now["/b"]
            assert B_NS[b] < (A_NS[a + 1] if a < 29 else 2**63)
            assert A_NS[a] < (B_NS[b + 1] if b < 12 else 2**63)


def test_stepping_shows_every_frame(dataset: Path) -> None:
    with Terminal("play", dataset, "--at", "0.5s", "--speed", "0.001", columns=130, rows=32) as terminal:
        terminal.press(" ")
        now = terminal.until(paused_at)
        events = sorted(
            [(time_ns, "/a", i) for i, time_ns in enumerate(A_NS)] + [(t, "/b", i) for i, t in enumerate(B_NS)]
        )
        place = max(events.index((A_NS[now["/a"]], "/a", now["/a"])), events.index((B_NS[now["/b"]], "/b", now["/b"])))
        expected = dict(now)
        for key in (".", RIGHT, ".", RIGHT, "\x1bOC", ".", "."):
            place += 1
            expected[events[place][1]] = events[place][2]
            terminal.press(key)
            terminal.until(showing(expected))
        for key in (",", LEFT, ",", "\x1bOD", ","):
            expected[events[place][1]] -= 1
            place -= 1
            terminal.press(key)
            terminal.until(showing(expected))
        # Keys that mean nothing do nothing: arrows up and down, with shift, an odd letter.
        terminal.press(UP + DOWN + "\x1b[1;2C" + "x\x7f")
        terminal.press(".")
        place += 1
        expected[events[place][1]] = events[place][2]
        terminal.until(showing(expected))
        terminal.press("q")
        assert terminal.wait() == 0


def test_pause_speed_and_help(dataset: Path) -> None:
    with Terminal("play", dataset, "--loop", columns=100, rows=30) as terminal:
        terminal.until(lambda cells: status(cells).startswith("playing 1x"))
        terminal.press(" ")
        now = terminal.until(paused_at)
        time.sleep(0.3)
        terminal.read()
        assert frames(terminal.cells) == now
        terminal.press("++")
        terminal.until(lambda cells: "paused 4x" in status(cells))
        terminal.press("---")
        terminal.until(lambda cells: "paused 0.5x" in status(cells))
        terminal.press("?")
        terminal.until(lambda cells: "faster, slower" in cells.text and not cells.pictures())
        terminal.press("?")
        assert terminal.until(paused_at) == now
        terminal.press(" ")
        terminal.until(lambda cells: status(cells).startswith("playing 0.5x") and frames(cells) != now)
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.restored()


@pytest.mark.parametrize(("columns", "rows"), [(200, 50), (70, 24), (100, 12), (14, 7), (1, 1)])
def test_a_new_size_is_drawn_anew(dataset: Path, columns: int, rows: int) -> None:
    with Terminal("play", dataset, "--at", "1s", "--speed", "0.001", columns=90, rows=30) as terminal:
        terminal.press(" ")
        now = terminal.until(paused_at)
        terminal.resize(columns, rows)
        # Cells fail on anything written outside of them.
        terminal.until(lambda cells: cells.height >= 1 and cells.modes.get("2026") is False)
        if columns >= 64 and rows >= 24:
            assert terminal.until(paused_at) == now
            assert max(image.shape[1] for image in terminal.cells.pictures()) >= min(columns // 2, rows) - 3
        terminal.resize(120, 40)
        assert terminal.until(paused_at) == now
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.restored()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["term", "hup", "int"]
)
def test_a_signal_gives_the_terminal_back(dataset: Path, number: int, code: int) -> None:
    with Terminal("play", dataset, "--loop") as terminal:
        terminal.until(labels)
        if number == signal.SIGINT:
            terminal.press("\x03")
        else:
            terminal.process.send_signal(number)
        assert terminal.wait() == code
        assert terminal.restored()
        assert "Traceback" not in terminal.error()


def test_a_suspended_player_gives_the_terminal_back_and_takes_it_again(dataset: Path) -> None:
    with Terminal("play", dataset, "--loop") as terminal:
        terminal.until(labels)
        terminal.press("\x1a")
        terminal.until(lambda _: terminal.restored())
        while Path(f"/proc/{terminal.process.pid}/stat").read_text().split()[2] != "T":
            time.sleep(0.02)
        terminal.read()
        terminal.cells = Cells(80, 24)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda cells: cells.modes.get("1049") and labels(cells) and frames(cells))
        assert not terminal.restored()
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.restored()


def test_an_update_whose_end_was_thrown_away_is_ended_all_the_same() -> None:
    """Ctrl-Z and Ctrl-C empty the terminal's queue: it would wait for the update's end for ever, and show nothing."""
    output = io.StringIO()
    with Screen(output, None) as screen:
        screen.show("half of it")
        kept = output.getvalue()[:-20]
    cells = Cells(80, 24)
    cells.feed(kept + output.getvalue()[len(kept) + 20 :])
    assert cells.modes["2026"] is False
    assert cells.modes["1049"] is False


def test_an_error_while_playing_gives_the_terminal_back(dataset: Path, tmp_path: Path) -> None:
    """A bug, that is: our own errors are shown in a tile."""
    (tmp_path / "sitecustomize.py").write_text(
        "import mediaref_tools.play.player as player\n"
        "def broken(self, key):\n    raise RuntimeError('planted')\n"
        "player._Player._press = broken\n"
    )
    with Terminal("play", dataset, "--loop", PYTHONPATH=str(tmp_path)) as terminal:
        terminal.until(labels)
        terminal.press("x")
        assert terminal.wait() == 1
        assert terminal.restored()
        assert "planted" in terminal.error()


def test_a_segment_that_is_gone_is_told_in_the_tile(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "dataset"
    copy.mkdir()
    for source in dataset.rglob("*"):
        target = copy / source.relative_to(dataset)
        target.mkdir() if source.is_dir() else target.write_bytes(source.read_bytes())
    (copy / "media" / "b" / "000000.mp4").unlink()
    with Terminal("play", copy, "--loop", columns=130, rows=32) as terminal:
        terminal.until(lambda cells: "No such file" in cells.text and len(cells.pictures()) == 1)
        terminal.press("q")
        assert terminal.wait() == 0


def test_without_keys_it_ends_with_the_last_frame(dataset: Path) -> None:
    with Terminal("play", dataset, "--speed", "4", keys=False) as terminal:
        assert terminal.wait() == 0
        assert terminal.restored()
        screen = Cells(80, 24)
        screen.feed(terminal.cells.written.rpartition("\x1b[?1049l")[0])
        assert frames(screen) == {"/a": 29, "/b": 12}


def test_a_number_of_frames_ends_it_and_the_last_stays(dataset: Path) -> None:
    with Terminal("play", dataset, "--frames", "3", "--topic", "/a", "--at", "1s") as terminal:
        assert terminal.wait() == 0
        assert terminal.restored()
        # After the last switch of screens there is only what was printed.
        (image,) = terminal.cells.pictures()
        ((_, index),) = labels(terminal.cells)
        assert frame_number(image) == index
        assert index >= 17


def test_a_terminal_without_colour(dataset: Path) -> None:
    with Terminal("play", dataset, "--loop", NO_COLOR="1") as terminal:
        terminal.until(lambda cells: labels(cells) and "@" in cells.text)
        terminal.press("q")
        assert terminal.wait() == 0
        assert not re.search(r"\x1b\[[0-9;]*[1-9][0-9;]*m", terminal.cells.written)


def test_a_dumb_terminal_is_paper(dataset: Path) -> None:
    with Terminal("play", dataset, TERM="dumb") as terminal:
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.cells.written


def test_a_slow_terminal_drops_pictures_and_keeps_the_clock(dataset: Path) -> None:
    """Nothing is read for half of the playing time: then the newest frame follows, not all that were missed."""
    with Terminal("play", dataset, columns=300, rows=80) as terminal:
        first = terminal.until(lambda cells: labels(cells) and frames(cells))
        time.sleep(1.5)
        terminal.until(lambda cells: status(cells).startswith("end") and frames(cells) == {"/a": 29, "/b": 12})
        dropped = re.search(r"drawn (\d+), dropped (\d+)", status(terminal.cells))
        assert dropped is not None
        drawn, lost = map(int, dropped.groups())
        assert lost >= 5
        assert drawn + lost <= 43
        assert first["/a"] < 20
        terminal.press("q")
        assert terminal.wait() == 0


class Stream(io.StringIO):
    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("choice", "terminal", "environment", "wanted"),
    [
        ("auto", True, {"TERM": "xterm"}, True),
        ("auto", True, {"TERM": "dumb"}, False),
        ("auto", True, {}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("auto", False, {"TERM": "xterm"}, False),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "0"}, False),
        ("auto", False, {"CLICOLOR_FORCE": "1"}, True),
        ("auto", False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_when_there_is_colour(choice: ColorChoice, terminal: bool, environment: dict[str, str], wanted: bool) -> None:
    assert wants_color(choice, Stream("utf-8", terminal), environment) is wanted
    assert wants_color(choice, Stream("ascii", terminal), environment) is False
    assert wants_color(choice, Stream("latin-1", terminal), environment) is False


def test_wrong_requests(dataset: Path) -> None:
    with open_dataset(dataset) as opened:
        topics = list(opened.values())
        with pytest.raises(FrameError, match="0 frames"):
            play(topics, start_ns=START_NS, frames=0, output=Stream("utf-8", False))
        with pytest.raises(FrameError, match=r"lies outside .* is seconds from the start"):
            play(topics, start_ns=START_NS, time_ns=12, output=Stream("utf-8", False))
        with pytest.raises(FrameError, match="nothing to play"):
            play([], start_ns=START_NS, output=Stream("utf-8", False))


def test_before_the_first_picture_but_after_the_log_began(dataset: Path) -> None:
    output = Stream("utf-8", False)
    with open_dataset(dataset) as opened:
        play([opened["/b"]], start_ns=START_NS, time_ns=START_NS, output=output)
    assert "begins at +0.020 s" in output.getvalue()


def test_a_topic_without_frames_is_told(dataset: Path) -> None:
    none = np.empty(0, np.int64)
    empty = SimpleNamespace(name="/none", log_times_ns=none, pts_ns=none, sizes=np.empty((0, 2), np.int64))
    empty.index_at = lambda times: np.full(len(times), -1)

    class Empty:
        def __getattr__(self, name: str) -> object:
            return getattr(empty, name)

        def __len__(self) -> int:
            return 0

    output = Stream("utf-8", False)
    with open_dataset(dataset) as opened:
        play([opened["/a"], Empty()], start_ns=START_NS, output=output)  # type: ignore[list-item]
    assert "no frames" in output.getvalue()
    assert "-/0" in output.getvalue()
