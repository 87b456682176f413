"""The recordings of a folder that holds several: datasets, or logs that are not converted."""

from __future__ import annotations

from pathlib import Path

from mediaref_tools.conversion.inputs import natural_order
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.plugins import claimed

__all__ = ["recordings"]


def recordings(path: Path) -> list[Path]:
    """Datasets and logs right in a folder, in natural order; what is no such folder is the only one itself."""
    if not path.is_dir() or (path / MANIFEST).exists() or claimed(path):
        return [path]
    entries = sorted(path.iterdir(), key=lambda entry: natural_order(entry.name))
    found = [entry for entry in entries if not entry.name.startswith(".") and _is_one(entry)]
    return found or [path]


def _is_one(path: Path) -> bool:
    return (path / MANIFEST).exists() or claimed(path)
