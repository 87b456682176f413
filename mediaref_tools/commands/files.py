"""Files that a command writes beside what it makes."""

from __future__ import annotations

from pathlib import Path

from mediaref_tools.errors import OutputError

__all__ = ["write"]


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
