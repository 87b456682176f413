"""The `mediaref` command: a group whose subcommands are imported when they are asked for.

Every subcommand is a module of this package with a click command called `command`, and does three things: parse,
call the library once, show the result. Only click is imported here and at the top of those modules, so that
`--help` and shell completion don't pay for numpy, PyAV, pydantic or rich.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn, cast

import click

from mediaref_tools.commands import exits
from mediaref_tools.errors import MediarefError, with_notes
from mediaref_tools.plaintext import one_line

__all__ = ["COMMANDS", "group", "main"]

COMMANDS: Final = {
    "convert": "Turn a log's pictures into video and keep everything else.",
    "info": "Show what a log or a dataset holds.",
    "gate": "Check the report of a conversion, for CI.",
    "check": "Refuse logs that still hold their pictures, before a commit.",
    "verify": "Prove that every reference of a dataset shows its frame.",
    "play": "Watch a dataset, a log or a video, frame by frame.",
    "export": "Write a dataset out as image files, or as MCAP with video.",
    "restore": "Make the log again that a dataset was made of.",
    "converters": "List the installed converters.",
}
"""Subcommands and what `--help` says of them; the module of each has its name."""


class _LazyGroup(click.Group):
    """A group that knows its commands' names and one-line help, and imports a command when it is run."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        return cast("click.Command", import_module(f"{__name__}.{cmd_name}").command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    # Stand-ins: click lists these names, and looks among them for what a mistyped one may have meant.
    commands={name: click.Command(name, short_help=text) for name, text in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 failed, one line on stderr says why; 2 wrong usage; 3 finished, but something was "
    "kept, embedded, skipped or recovered with loss.",
)
@click.version_option(package_name="mediaref-tools", prog_name="mediaref-tools", message="%(prog)s %(version)s")
def group() -> None:
    """Robot logs keep their pictures one by one. mediaref turns those into video that decodes frame by frame,
    exactly, and leaves in the log a reference to each frame in the place of its picture."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code: the only place where an error becomes a line of text.

    Args:
        arguments: What follows the program's name; None takes it from the command line.
    """
    _escape_what_stdout_cannot_encode()
    try:
        code = group.main(arguments, standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt) as error:  # click makes the one of the other
        _fail(one_line(with_notes("interrupted", error.__cause__ or error)), exits.INTERRUPTED)
    except MediarefError as error:
        _fail(one_line(with_notes(str(error), error)), exits.FAILED)
    except BrokenPipeError:
        # Whoever read our output has left. What is still buffered would fail again at exit, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(exits.FAILED)
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        where = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
        _fail(one_line(with_notes(reason + where, error)), exits.FAILED)
    except Exception:
        traceback.print_exc()
        _fail(
            "this is a bug in mediaref-tools: please report it with the lines above and the command that you ran",
            exits.FAILED,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(line: str, code: int) -> NoReturn:
    click.echo(f"mediaref: {line}", err=True)
    sys.exit(code)


def _escape_what_stdout_cannot_encode() -> None:
    """Keep a topic's odd name from ending a long conversion with an error of the terminal's encoding."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
