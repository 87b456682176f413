"""`mediaref play` where there is no terminal; `tests/test_player.py` has those with one."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import click
import pytest

from mediaref_tools.commands.play import command
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.sample import START_NS, frame_number

from ..screens import Cells
from .conftest import Run

LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"
QUIET = {"NO_COLOR": "", "FORCE_COLOR": "", "CLICOLOR_FORCE": "", "COLUMNS": "", "LINES": ""}


def indices(text: str, topic: str) -> list[int]:
    """What the labels of a topic say, page by page."""
    return [int(index) for index in re.findall(rf"{re.escape(topic)}\s+(\d+)/", text)]


def numbers(text: str, columns: int) -> list[int]:
    paper = Cells(columns, None)
    paper.feed(text)
    return [frame_number(picture) for picture in paper.pictures()]


def test_one_moment_as_plain_text(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("play", sample_dataset, "--terminal", **QUIET)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.isascii()
    lines = done.stdout.splitlines()
    assert 60 < max(map(len, lines)) <= 80
    assert len(lines) < 24
    # The first moment at which every topic has a picture.
    assert indices(done.stdout, RIGHT) == [0]
    assert LEFT in done.stdout
    assert "begins at" not in done.stdout


def test_width(mediaref: Run, sample_dataset: Path) -> None:
    for columns in (20, 50, 132):
        done = mediaref("play", sample_dataset, **{**QUIET, "COLUMNS": str(columns)})
        assert done.returncode == 0
        widest = max(map(len, done.stdout.splitlines()))
        assert columns // 2 < widest <= columns


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--color", "always"], {}),
        ([], {"FORCE_COLOR": "1"}),
        ([], {"CLICOLOR_FORCE": "1"}),
        (["--color", "always"], {"NO_COLOR": "1"}),
    ],
)
def test_colour_where_it_is_asked_for(
    mediaref: Run, sample_dataset: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    environment = {**QUIET, "COLUMNS": "160", **environment, "PYTHONIOENCODING": "utf-8"}
    done = mediaref("play", sample_dataset, "--frames", 4, *arguments, **environment)
    assert done.returncode == 0
    # Pictures show what their labels say.
    said = [int(index) for index in re.findall(r"image_raw\S*\x1b\[0m\s+(\d+)/", done.stdout)]
    assert numbers(done.stdout, 160) == said
    assert len(said) >= 6


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "FORCE_COLOR": "1"}, {"FORCE_COLOR": "0"}, {}])
def test_no_colour_otherwise(mediaref: Run, sample_dataset: Path, environment: dict[str, str]) -> None:
    assert "\x1b" not in mediaref("play", sample_dataset, **{**QUIET, **environment}).stdout
    assert "\x1b" not in mediaref("play", sample_dataset, "--color", "never", FORCE_COLOR="1").stdout


def test_every_frame_in_order(mediaref: Run, sample_dataset: Path) -> None:
    """Pages go from time to time at which any topic has a frame: each frame is on one of them."""
    done = mediaref("play", sample_dataset, "--frames", 10_000, **{**QUIET, "COLUMNS": "130"})
    assert done.returncode == 0
    for topic, count in ((LEFT, 30), (RIGHT, 14)):
        shown = indices(done.stdout, topic)
        assert shown == sorted(shown)
        assert sorted(set(shown)) == list(range(count))
    with open_dataset(sample_dataset) as dataset:
        times = {int(time_ns) for topic in dataset.values() for time_ns in topic.log_times_ns}
    assert done.stdout.count(f"{RIGHT}  ") == len(times)


def test_frames_and_loop(mediaref: Run, sample_dataset: Path) -> None:
    arguments = ["play", sample_dataset, "--topic", "*right*"]
    assert indices(mediaref(*arguments, "--frames", 3, **QUIET).stdout, RIGHT) == [0, 1, 2]
    assert indices(mediaref(*arguments, "--frames", 16, **QUIET).stdout, RIGHT) == list(range(14))
    looped = mediaref(*arguments, "--frames", 16, "--loop", **QUIET).stdout
    assert indices(looped, RIGHT) == [*range(14), 0, 1]


def test_topics(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("play", sample_dataset, "--topic", "*left*", **QUIET)
    assert LEFT in done.stdout
    assert RIGHT not in done.stdout
    both = mediaref("play", sample_dataset, "--topic", "*left*", "--topic", RIGHT, **QUIET)
    assert LEFT in both.stdout
    assert RIGHT in both.stdout
    none = mediaref("play", sample_dataset, "--topic", "/imu*", **QUIET)
    assert (none.returncode, none.stdout) == (1, "")
    assert "'/imu*'" in none.stderr
    assert none.stderr.count("\n") == 1


def test_at(mediaref: Run, sample_dataset: Path) -> None:
    with open_dataset(sample_dataset) as dataset:
        times_ns = dataset[RIGHT].log_times_ns.tolist()
        # Relative times count from the log's first message, which is no picture.
        assert dataset.manifest.source.start_ns == START_NS
    for at, index in [
        ("0.5s", max(i for i, time_ns in enumerate(times_ns) if time_ns <= START_NS + 500_000_000)),
        (times_ns[5], 5),
        (times_ns[5] - 1, 4),
        ("2023-11-14T22:13:20.9Z", max(i for i, time_ns in enumerate(times_ns) if time_ns <= START_NS + 900_000_000)),
    ]:
        assert indices(mediaref("play", sample_dataset, "--at", at, **QUIET).stdout, RIGHT) == [index]
    before = mediaref("play", sample_dataset, "--at", "0s", **QUIET)
    assert before.returncode == 0
    assert before.stdout.count("begins at +0.01") == 2


def test_times_that_are_none(mediaref: Run, sample_dataset: Path) -> None:
    done = mediaref("play", sample_dataset, "--at", "noon")
    assert done.returncode == 2
    assert "'noon'" in done.stderr
    assert "ISO 8601" in done.stderr
    for at in ("12", "2s", "2020-01-01T00:00:00Z"):
        done = mediaref("play", sample_dataset, "--at", at)
        assert (done.returncode, done.stdout) == (1, "")
        assert "outside of what can be played" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--speed", "0"], ["--speed", "-1"], ["--speed", "nan"], ["--frames", "0"]])
def test_wrong_usage(mediaref: Run, sample_dataset: Path, arguments: list[str]) -> None:
    done = mediaref("play", sample_dataset, *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


@pytest.mark.parametrize(("text", "speed"), [("2", Fraction(2)), ("0.1", Fraction(1, 10)), ("1.5x", Fraction(3, 2))])
def test_speed_is_exact(text: str, speed: Fraction) -> None:
    option = next(parameter for parameter in command.params if parameter.name == "speed")
    assert option.type.convert(text, option, click.Context(command)) == speed


def test_what_is_no_dataset(mediaref: Run, tmp_path: Path) -> None:
    done = mediaref("play", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "manifest.json" in done.stderr


def test_a_reader_that_leaves_ends_it(sample_dataset: Path) -> None:
    """`mediaref play … | head -1`, and a standard input that is closed."""
    play = [sys.executable, "-m", "mediaref_tools", "play", str(sample_dataset), "--frames", "10000", "--loop"]
    with subprocess.Popen(play, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == b""


def test_the_library_behind_it_needs_neither_click_nor_rich() -> None:
    code = (
        "import sys\n"
        "import mediaref_tools.play.player, mediaref_tools.play.screen\n"
        "print([name for name in ('click', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--save", "x.rrd"], "add --rerun"),
        (["--rerun", "--overwrite"], "add that"),
        (["--rerun", "--terminal"], "goes with"),
        (["--rerun", "--port", "0"], "goes with"),
    ],
)
def test_rerun_wrong_usage(mediaref: Run, sample_dataset: Path, arguments: list[str], said: str) -> None:
    done = mediaref("play", sample_dataset, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_rerun_that_is_not_installed(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "rerun.py").write_text("raise ImportError('No module named rerun')\n")
    out = tmp_path / "x.rrd"
    done = mediaref("play", sample_dataset, "--rerun", "--save", out, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "pip install 'mediaref-tools[rerun]'" in done.stderr
    assert not out.exists()


def test_rerun_saves_a_recording_once(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk, 170 MB, is not installed: pip install -e '.[rerun]'")
    out = tmp_path / "x.rrd"
    done = mediaref("play", sample_dataset, "--rerun", "--save", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("recorded: ")
    content = out.read_bytes()
    assert content.startswith(b"RRF2")
    done = mediaref("play", sample_dataset, "--rerun", "--save", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--overwrite" in done.stderr
    assert out.read_bytes() == content
    done = mediaref("play", sample_dataset, "--rerun", "--save", tmp_path / "none" / "x.rrd")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["x.rrd"]
