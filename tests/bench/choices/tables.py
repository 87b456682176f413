"""The tables of docs/choices.md, and its chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["everything", "write"]


def everything(raw: Mapping[str, Any]) -> str:
    return ""


def write(raw: Mapping[str, Any], page: Path, picture: Path) -> None:
    pass
