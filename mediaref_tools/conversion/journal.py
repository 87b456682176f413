"""The journal of a conversion: what is finished, so that a run that is stopped need not be for nothing.

A topic's segments that are open side by side are closed at once. Each time, the rows up to there go into a file, and
an entry beside it says what was closed, with checksums. What of the two is not whole counts for nothing, so it does not
matter in which order a disk that loses power has written them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import FrameParts
from mediaref_tools.dataset.manifest import Segment
from mediaref_tools.errors import DatasetError
from mediaref_tools.media.trust import inside
from mediaref_tools.staging import remove, sync

__all__ = ["Entry", "Journal"]

_ENTRY = ".json"


class Entry(BaseModel):
    """Where a topic stood when its segments were closed: what its next image goes on from.

    Attributes:
        topic: Its name.
        embedded, bytes_embedded, begun, reason, strays, copied_until_ns: As in `Ledger`.
        segments: Those that were closed since the entry before.
        rows_sha256: Of the file of rows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    embedded: int
    bytes_embedded: int
    begun: int
    reason: str | None
    strays: tuple[tuple[int, int], ...]
    copied_until_ns: int
    segments: tuple[Segment, ...]
    rows_sha256: str = ""


class Journal:
    """Takes and gives out entries, and rows as parts of the frames table. A topic is for one thread at a time."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        """Open it.

        Args:
            folder: Of entries and rows, of an earlier run perhaps; made as needed.
            dataset: The folder that is being built, which has the segments.
        """
        self.dataset = dataset
        self.parts = FrameParts(folder)
        self._folder = folder

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever finished."""
        return next(self._folder.rglob(f"*{_ENTRY}"), None) is None

    def entries(self, topic: str) -> list[Entry]:
        """What an earlier run finished of a topic, as far as it is whole: `add` goes on from there."""
        found: list[Entry] = []
        while (entry := self._entry(topic, len(found))) is not None:
            found.append(entry)
        self.parts.go_on(topic, len(found))
        kept = {self.parts.path(topic, number).with_suffix("").name for number in range(len(found))}
        folder = self.parts.path(topic, 0).parent
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.with_suffix("").name not in kept:
                remove(path)
        return found

    def _entry(self, topic: str, number: int) -> Entry | None:
        path = self.parts.path(topic, number)
        try:
            entry = Entry.model_validate_json(path.with_suffix(_ENTRY).read_bytes())
            files = [(path, entry.rows_sha256)]
            files += [(inside(self.dataset, segment.uri), segment.sha256) for segment in entry.segments]
            whole = entry.topic == topic and all(_sha256(file) == sha256 for file, sha256 in files)
        except (OSError, ValidationError, DatasetError):
            return None
        return entry if whole else None

    def rows(self, topic: str) -> Iterator[FrameRow]:
        """The rows that belong to a topic's entries, in order."""
        return self.parts.rows(topic)

    def add(self, entry: Entry, rows: Sequence[FrameRow]) -> None:
        """Write down that a topic's next segments are finished.

        Args:
            entry: Their files are on the disk.
            rows: From the entry before up to there; at least one.
        """
        path = self.parts.add(entry.topic, rows)
        sync(path)
        whole = entry.model_copy(update={"rows_sha256": _sha256(path)})
        with path.with_suffix(_ENTRY).open("xb") as stream:
            stream.write(whole.model_dump_json().encode())
            stream.flush()
            os.fsync(stream.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
