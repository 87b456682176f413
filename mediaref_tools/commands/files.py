"""Files that a command writes beside what it makes."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mediaref_tools.errors import OutputError

__all__ = ["check_place", "write"]


def check_place(path: Path | None, option: str, *, made: Path | None = None) -> None:
    """Refuse a file that can't be written, before any work is done for it.

    Args:
        path: Of the file; None where there is to be none.
        option: Names it in the message.
        made: A folder that will be there by then.

    Raises:
        click.BadParameter: Its folder is not there, or it or the folder can't be written to.
    """
    if path is None:
        return
    folder = path.parent
    if path.is_dir():
        raise click.BadParameter(f"{str(path)!r} is a folder.", param_hint=f"'{option}'")
    if made is not None and made.resolve() == folder.resolve():
        return
    if not folder.is_dir():
        raise click.BadParameter(f"there is no folder {str(folder)!r}.", param_hint=f"'{option}'")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise click.BadParameter(f"{str(path)!r} can't be written to.", param_hint=f"'{option}'")


def write(what: str, path: Path, content: str, *, append: bool = False) -> None:
    """Write a text, or append it.

    Raises:
        OutputError: It can't be; `what` says in the message what it was.
    """
    try:
        with path.open("a" if append else "w", encoding="utf-8") as stream:
            stream.write(content)
    except OSError as error:
        raise OutputError(f"{what} can't be written: {error.strerror or error}: {path}") from error
