"""What lies where an export is to go: nothing, or an earlier export that may be replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mediaref_tools.errors import OutputError

__all__ = ["refuse_taken"]


def refuse_taken(out: Path, overwrite: bool, is_export: Callable[[Path], bool]) -> None:
    """Refuse to write where something lies, unless it is an export that may be overwritten.

    Args:
        out: Where the export is to go.
        overwrite: Whether an earlier one may be replaced.
        is_export: Tells whether what is there is one of the same kind; it is no link.

    Raises:
        OutputError: Something else is there, or nothing may be overwritten.
    """
    if not os.path.lexists(out):
        return
    if not overwrite:
        raise OutputError(f"output exists: choose another, or --overwrite it: {out}")
    if out.is_symlink() or not is_export(out):
        raise OutputError(f"only an earlier export may be overwritten, and this is none: {out}")
