"""Writing an HDF5 file anew, with pictures again where references stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from mediaref_tools.errors import OutputError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, Loss, Message
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.media.still import Still
from mediaref_tools.reftable import NO_PTS, REPEATS

from ..storage.scratch import Scratch
from .column import Column, Movie, Was
from .file import Tree, address, attribute
from .newfile import NewFile

__all__ = ["Hdf5Restorer"]


class Hdf5Restorer:
    """Writes an open HDF5 file again; see `mediaref_tools.restorable.RestoringWriter`.

    Raises:
        LogError: The source does not say what its references stand for.
        OutputError: `out` exists, or can't be written.
    """

    def __init__(self, source: h5py.File, path: Path, tree: Tree, out: Path, originals: Mapping[int, Channel]) -> None:
        self._source, self._out = source, out
        self._losses: list[Loss] = []
        self.losses: Sequence[Loss] = self._losses
        self._scratch = Scratch()
        self._channels = {tree.datasets[channel.topic]: number for number, channel in originals.items()}
        self._columns: dict[int, Column | Movie] = {}
        self._repeats: list[tuple[Column, str]] = []
        self._topics = {channel.topic: number for number, channel in originals.items()}
        self._new = NewFile(source, path, out, self._instead)

    def _instead(self, found: h5py.Dataset, group: h5py.Group, name: str) -> bool:
        base = attribute(found, REPEATS)
        number = self._channels.get(address(found))
        if number is not None:
            was = Was.of(found)
            if was.layout == "video":
                encoding = str(attribute(found, "source_encoding"))
                self._columns[number] = Movie(group, name, found, self._scratch, encoding)
            else:
                self._columns[number] = Column(group, name, was, found)
        elif base in self._topics:
            self._repeats.append((Column(group, name, Was.of(found), found), str(base)))
        else:
            return False
        return True

    def copy(self, message: Message) -> None:
        """Take a row over: its dataset is there already.

        Raises:
            OutputError: Its dataset becomes pictures.
        """
        if message.channel.id in self._columns:
            raise OutputError(f"{message.channel.topic} becomes pictures: its rows can't be copied: {self._out}")

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write a picture's row.

        Raises:
            OutputError: Its dataset stays as it is, another row's turn has come, or it can't be written.
        """
        column = self._columns.get(message.channel.id)
        if column is None:
            raise OutputError(f"row of {message.channel.topic!r} can't be replaced: its dataset stays: {self._out}")
        with self._new.writing():
            if isinstance(column, Movie):
                column.add(message.log_time_ns, data)
            else:
                column.add(message.position >> 32, data)

    def commit(self) -> None:
        """Write what waits, and what repeats other pictures; sync and close.

        Raises:
            OutputError: The file can't be written, or a row is missing.
        """
        with self._new.writing():
            for column in self._columns.values():
                if isinstance(column, Movie):
                    column.finish()
                    where, what = str(column.references.name)[1:], "the video is muxed anew, of the same packets"
                    self._losses.append(Loss(where, f"{what}: their times are in whole microseconds", 0))
                else:
                    self._finish(column)
            for column, base in self._repeats:
                self._repeat(column, base)
                self._finish(column)
        self._new.commit()
        self._scratch.close()

    def _finish(self, column: Column) -> None:
        column.flush()
        if column.written != column.was.shape[0]:
            raise OutputError(f"{column.written} of {column.was.shape[0]} rows of {column.dataset.name} are there")
        if column.widened:
            what = f"rows have {column.widened} bytes instead of {column.was.row_bytes}: files made anew are longer"
            self._losses.append(Loss(str(column.dataset.name)[1:], what, 0))

    def _repeat(self, column: Column, base: str) -> None:
        """Write the pictures that are those of `base`, mostly one row on; others stand in the reference itself."""
        other = self._columns[self._topics[base]]
        if isinstance(other, Movie):
            raise OutputError(f"{column.dataset.name} repeats a video, which has no rows: {self._out}")
        mine, theirs = column.references, other.references
        known = [(value["uri"], int(value["pts_ns"])) for value in theirs[:]]
        places = {ref: row for row, ref in enumerate(known)}
        for row, value in enumerate(mine[:]):
            ref = value["uri"], int(value["pts_ns"])
            near = next((at for at in (row + 1, row) if at < len(known) and known[at] == ref), places.get(ref))
            if near is not None:
                column.add(row, np.ascontiguousarray(other.dataset[near]).tobytes())
            elif ref[1] == NO_PTS:
                column.add(row, column.was.row(_still(value["uri"].decode("utf-8"), mine)))
            else:
                raise OutputError(f"row {row} of {column.dataset.name} is no picture of {base}: {self._out}")

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        self._new.abort()
        self._scratch.close()


def _still(uri: str, references: h5py.Dataset) -> ImageValue:
    """The picture in a reference itself: a file, or raw pixels that became a PNG."""
    data = DataURI.from_uri(uri).decoded_data
    if references.attrs["source_layout"] == "file":
        return ImageValue(data, "", "file")
    pixels = Still(data, "a picture in a reference", upright=False).array("native")
    if str(attribute(references, "source_encoding")).startswith("bgr"):
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return ImageValue(pixels.astype(pixels.dtype.newbyteorder("<"), order="C").tobytes(), "", "raw")
