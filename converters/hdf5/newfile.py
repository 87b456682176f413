"""A new HDF5 file that has all of another one, but what is written instead of some datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from mediaref_tools.errors import MediarefError, OutputError

from .copy import Instead, copy_tree
from .file import reading

__all__ = ["NewFile"]


class NewFile:
    """A file that is being written.

    Raises:
        LogError: The source holds what can't be carried over.
        OutputError: `out` exists, or can't be written.
    """

    def __init__(self, source: h5py.File, path: Path, out: Path, instead: Instead) -> None:
        """Copy everything.

        Args:
            source: Open.
            path: Its own.
            out: Must not exist.
            instead: Asked for each dataset, as in `copy_tree`.
        """
        self._source, self._path, self._out = source, path, out
        with self.writing():
            order = source["/"].id.get_create_plist().get_link_creation_order()
            # Attributes may be longer than 64 kB from version 1.8 of the format on.
            self.file = h5py.File(
                out, "x", libver=("v108", "latest"), userblock_size=source.userblock_size, track_order=bool(order)
            )
        try:
            with self.writing(), reading(path):
                copy_tree(source, self.file, instead)
        except BaseException:
            self.abort()
            raise

    def commit(self) -> None:
        """Close it, carry the user block over, which comes before all that HDF5 knows of, and sync.

        Raises:
            OutputError: It can't be written.
        """
        with self.writing():
            size = int(self._source.userblock_size)
            self.file.close()
            with self._out.open("r+b") as file:
                if size:
                    with self._path.open("rb") as source:
                        file.write(source.read(size))
                file.flush()
                os.fsync(file.fileno())

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            self.file.close()
        except (OSError, RuntimeError, ValueError):  # its last bytes can't be written: nobody wants them
            return

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn whatever h5py raises for what can't be written into ours.

        Raises:
            OutputError: It raised something.
        """
        try:
            yield
        except MediarefError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
            raise OutputError(f"log can't be written ({error}): is the disk full? {self._out}") from error
