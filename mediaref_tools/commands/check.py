"""`mediaref check`: refuse logs that could be smaller, before a commit or an upload."""

from __future__ import annotations

from pathlib import Path

import click

from mediaref_tools import plaintext as text
from mediaref_tools.commands import exits
from mediaref_tools.commands.params import BYTES, PATH

__all__ = ["command"]


@click.command(short_help="Refuse logs that still hold their pictures, before a commit.")
@click.argument("files", metavar="FILE...", type=PATH, nargs=-1)
@click.option(
    "--max-size", metavar="BYTES", type=BYTES, default="5MB", show_default=True, help="Bytes of pictures that may stay."
)
def command(files: tuple[Path, ...], max_size: int) -> None:
    """Tell which FILEs are logs with pictures that `mediaref convert` would turn into video.

    FILEs that are no logs are let pass, whatever their size. Exits with 3 and a line for each log that is refused, with
    1 where a log can't be read.
    """
    from mediaref_tools.commands.consoles import error_console, output_console
    from mediaref_tools.errors import MediarefError
    from mediaref_tools.unshrunk import unshrunk

    code = 0
    for file in files:
        try:
            found = unshrunk(file, max_size)
        except (MediarefError, OSError) as error:
            error_console().print(text.one_line(f"{file}: {error}"), soft_wrap=True)
            code = exits.FAILED
            continue
        if found is not None:
            topics = f"{', '.join(found.topics[:3])}{' …' if len(found.topics) > 3 else ''}"
            line = f"{file}: {text.size(found.bytes)} of pictures on {topics}: mediaref convert makes video of them"
            output_console().print(text.one_line(line), soft_wrap=True)
            code = code or exits.INCOMPLETE
    click.get_current_context().exit(code)
