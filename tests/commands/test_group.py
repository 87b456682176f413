"""The group: what it imports, and how errors leave it."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import click
import pytest

from mediaref_tools import commands
from mediaref_tools.commands import COMMANDS, exits, group, main
from mediaref_tools.errors import LogError, OutputError, TopicError
from mediaref_tools.summary import LogSummary, inspect

from .conftest import Run

HEAVY = {"av", "numpy", "pydantic", "pyarrow", "rich", "PIL", "h5py", "rosbags", "mcap", "importlib.metadata"}
PACKAGE = Path(commands.__file__).parents[1]


def modules_after(*arguments: str, **environment: str) -> set[str]:
    """What is in sys.modules once `mediaref` has run with these arguments."""
    script = (
        "import sys\n"
        "from mediaref_tools.commands import main\n"
        f"sys.argv = ['mediaref', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "sys.stderr.write('\\n'.join(['MODULES', *sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return set(done.stderr.partition("MODULES\n")[2].split("\n"))


@pytest.mark.parametrize("arguments", [("--help",), ("convert", "--help"), ("info", "--help"), ("export", "--help")])
def test_help_imports_click_and_nothing_heavy(arguments: tuple[str, ...]) -> None:
    loaded = modules_after(*arguments)
    assert "click" in loaded
    assert not loaded & HEAVY
    if arguments == ("--help",):
        assert not [name for name in loaded if name.startswith("mediaref_tools.commands.") and name[24:] in COMMANDS]


def test_completion_imports_nothing_heavy() -> None:
    loaded = modules_after(_MEDIAREF_COMPLETE="bash_complete", COMP_WORDS="mediaref con", COMP_CWORD="1")
    assert not loaded & HEAVY


def test_shell_completion(sample_log: Path, sample_dataset: Path, tmp_path: Path) -> None:
    def complete(words: str) -> list[str]:
        script = "from mediaref_tools.commands import main; import sys; sys.argv = ['mediaref']; main()"
        environment = {"_MEDIAREF_COMPLETE": "bash_complete", "COMP_WORDS": words}
        environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            check=False,
        )
        return [line.partition(",")[2] for line in done.stdout.split()]

    assert complete("mediaref con") == ["convert", "converters"]
    assert complete("mediaref convert --co") == ["--codec"]
    assert complete("mediaref convert --codec ") == ["h264", "av1", "copy", "lossless"]
    summary = inspect(sample_log)
    assert isinstance(summary, LogSummary)
    cameras = [channel.topic for channel in summary.channels if channel.role == "image"]
    assert len(cameras) == 2
    for path in (sample_log, sample_dataset):
        assert complete(f"mediaref convert {path} --topic ") == cameras
    assert complete(f"mediaref play {sample_dataset} --topic {cameras[1][:-2]}") == cameras[1:]
    (tmp_path / "notes.txt").write_text("no log")
    for nothing in (tmp_path / "notes.txt", tmp_path / "none", tmp_path):
        assert complete(f"mediaref export {nothing} --topic /") == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    command = import_module(f"mediaref_tools.commands.{name}").command
    assert isinstance(command, click.Command)
    assert command.help
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help or isinstance(param.type, click.Choice), f"{name} {param.name}"


@pytest.mark.parametrize("name", ["convert", "info", "verify", "export", "converters"])
def test_one_line_help_is_the_commands_own(name: str) -> None:
    command = import_module(f"mediaref_tools.commands.{name}").command
    assert command.short_help == COMMANDS[name]


def test_library_imports_neither_click_nor_rich() -> None:
    for path in PACKAGE.glob("*.py"):
        if path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("click", "rich"), path
                assert not name.startswith("mediaref_tools.commands"), path


def test_help_lists_commands(mediaref: Run) -> None:
    done = mediaref("--help")
    assert done.returncode == 0
    for name, text in COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert text in done.stdout


def test_version(mediaref: Run) -> None:
    done = mediaref("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("mediaref-tools")


@pytest.mark.parametrize("arguments", [["nope"], ["convert"], ["info", "--nope", "x"], ["export", "x", "--to", "gif"]])
def test_usage_errors(mediaref: Run, arguments: list[str]) -> None:
    done = mediaref(*arguments)
    assert done.returncode == exits.USAGE
    assert done.stdout == ""
    assert "Usage:" in done.stderr


@pytest.mark.skipif(not hasattr(click.exceptions, "NoSuchCommand"), reason="this click makes no suggestions")
def test_mistyped_command_is_told_what_it_may_mean(mediaref: Run) -> None:
    assert "convert" in mediaref("convrt").stderr


def test_error_of_ours_is_one_line(mediaref: Run, tmp_path: Path) -> None:
    done = mediaref("info", tmp_path / "nowhere")
    assert done.returncode == exits.FAILED
    assert done.stdout == ""
    assert done.stderr == f"mediaref: no such file or folder: {tmp_path / 'nowhere'}\n"


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make `mediaref info X` raise something."""

    def fail(error: BaseException) -> None:
        @click.command()
        @click.argument("path")
        def command(path: str) -> None:
            raise error

        module = ModuleType("mediaref_tools.commands.info")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return fail


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (LogError("two\nlines: /a"), exits.FAILED, "two lines: /a"),
        (LogError("red \x1b[31m and \udcff and \u202e: /a"), exits.FAILED, r"red \x1b[31m and \udcff and \u202e: /a"),
        (TopicError("no topic 'x'"), exits.FAILED, "no topic 'x'"),
        (OutputError("in the way: /b"), exits.FAILED, "in the way: /b"),
        (OSError(errno.ENOSPC, "No space left on device", "/c"), exits.FAILED, "No space left on device: /c"),
        (PermissionError(errno.EACCES, "Permission denied", b"/d"), exits.FAILED, "Permission denied: /d"),
        (OSError("odd"), exits.FAILED, "odd"),
        (KeyboardInterrupt(), exits.INTERRUPTED, "interrupted"),
    ],
)
def test_main_turns_errors_into_a_line(
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    line: str,
) -> None:
    failing(error)
    with pytest.raises(SystemExit) as end:
        main(["info", "x"])
    assert end.value.code == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.lstrip("\n") == f"mediaref: {line}\n"


def test_bug_shows_its_traceback_and_asks_for_a_report(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ZeroDivisionError("so there"))
    with pytest.raises(SystemExit) as end:
        main(["info", "x"])
    assert end.value.code == exits.FAILED
    lines = capsys.readouterr().err.splitlines()
    assert "Traceback" in lines[0]
    assert "ZeroDivisionError: so there" in lines
    assert lines[-1].startswith("mediaref: this is a bug")


BUFFERED = """
import sys, types, click
from mediaref_tools import commands
@click.command()
def command(): sys.stdout.write("left in the buffer")
sys.modules["mediaref_tools.commands.info"] = types.SimpleNamespace(command=command)
commands.main(["info"])
"""


@pytest.mark.parametrize("how", ["rich", "click", "buffered"])
def test_broken_pipe_is_quiet(sample_log: Path, how: str) -> None:
    commands = {
        "rich": ["-m", "mediaref_tools", "info", str(sample_log)],
        "click": ["-m", "mediaref_tools", "info", str(sample_log), "--json"],
        "buffered": ["-c", BUFFERED],
    }
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, *commands[how]],
            stdout=pipe,
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
            check=False,
        )
    assert done.stderr == b""
    assert done.returncode == exits.FAILED


def test_group_knows_only_its_table() -> None:
    context = click.Context(group)
    assert group.list_commands(context) == sorted(COMMANDS)
    assert group.get_command(context, "exits") is None
