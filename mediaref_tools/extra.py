"""Packages that only some features need: each is imported where it is used, and belongs to an extra."""

from __future__ import annotations

import importlib
from typing import Any

from mediaref_tools.errors import ExtraError

__all__ = ["extra_module"]


def extra_module(name: str, extra: str) -> Any:
    """Import a package that an extra brings.

    Raises:
        ExtraError: It can't be imported; the message says which extra to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExtraError(f"{name} can't be imported ({error}): pip install 'mediaref-tools[{extra}]'") from error
