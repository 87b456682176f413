"""Datasets that are opened when they are asked for: only so many stay open, in each process its own."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.opening import open_dataset

__all__ = ["Shelf"]

_inherited: list[Dataset] = []


class Shelf:
    """Opens datasets by path. Can be pickled and forked; for one thread at a time."""

    def __init__(self, limit: int, options: Mapping[str, Any]) -> None:
        """Open nothing yet.

        Args:
            limit: How many stay open.
            options: For `open_dataset`.
        """
        self._limit, self._options = limit, dict(options)
        self._open: OrderedDict[Path | str, Dataset] = OrderedDict()
        self._process = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict(), "_process": 0}

    def opened(self, path: Path | str) -> Dataset:
        """A dataset, by its `location`.

        Raises:
            MediarefError: As `open_dataset`.
        """
        if self._process != os.getpid():
            # A fork's copies of what its parent has open: to close them could wait for threads that were not forked.
            _inherited.extend(self._open.values())
            self._open.clear()
            self._process = os.getpid()
        if path not in self._open:
            while len(self._open) >= self._limit:
                self._open.popitem(last=False)[1].close()
            self._open[path] = open_dataset(path, **self._options)
        self._open.move_to_end(path)
        return self._open[path]

    def close(self) -> None:
        """Close what this process opened. Asking opens it again."""
        while self._open and self._process == os.getpid():
            self._open.popitem()[1].close()
