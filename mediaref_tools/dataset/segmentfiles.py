"""The segment files of a dataset folder, on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, Protocol

from mediaref_tools.dataset.manifest import Manifest, Segment
from mediaref_tools.errors import DatasetError
from mediaref_tools.media.gop import Group, PacketTable
from mediaref_tools.media.packetfile import PacketFile, PacketReader
from mediaref_tools.media.pieces import Fetched, Pieces, Wanted
from mediaref_tools.media.remotepackets import RemotePackets, wanted_packets
from mediaref_tools.media.storage import Ranges, StorageOptions
from mediaref_tools.media.trust import inside, inside_remote
from mediaref_tools.media.uri import shown

__all__ = ["LocalSegments", "Part", "RemoteSegments", "SegmentFiles"]


class Part(NamedTuple):
    """What is decoded of a segment."""

    segment: Segment
    table: PacketTable
    groups: Sequence[Group]


class SegmentFiles(Protocol):
    """Opens segments. Any thread may ask.

    Attributes:
        name: What messages call the folder.
        is_remote: Whether reading goes faster where it is known what is read next.
    """

    name: str
    is_remote: bool

    def open(self, segment: Segment) -> PacketReader:
        """Open a segment, which must lie in the folder.

        Raises:
            TrustError: It does not.
            MediarefError: It is not there.
        """
        ...

    def held(self, parts: Iterable[Part]) -> AbstractContextManager[None]:
        """Around the decoding of some parts: makes ready what is read."""
        ...

    def ask(self, parts: Iterable[Part]) -> None:
        """Begin to make ready what is likely to be read next."""
        ...


class LocalSegments:
    """Of a folder on this machine."""

    is_remote = False

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def open(self, segment: Segment) -> PacketReader:
        """As `SegmentFiles.open`."""
        return PacketFile(inside(self._folder, segment.uri), "segment", DatasetError)

    def held(self, parts: Iterable[Part]) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing needs to be made ready."""
        return nullcontext()

    def ask(self, parts: Iterable[Part]) -> None:
        """Nothing needs to be made ready."""


class RemoteSegments:
    """Of a folder that a uri names. No segment's size is asked for: the manifest tells it."""

    is_remote = True

    def __init__(self, folder: str, storage_options: StorageOptions | None, manifest: Manifest) -> None:
        self.name = shown(folder)
        self._folder, self._options = folder, storage_options
        sizes = {segment.uri: segment.bytes for topic in manifest.topics for segment in topic.segments}
        self._pieces = Pieces(lambda uri: Ranges(inside_remote(folder, uri), storage_options, sizes[uri]))

    def open(self, segment: Segment) -> PacketReader:
        """As `SegmentFiles.open`."""
        place = inside_remote(self._folder, segment.uri)
        return RemotePackets(self._pieces, segment.uri, "segment", DatasetError, place)

    def held(self, parts: Iterable[Part]) -> AbstractContextManager[None]:
        """As `SegmentFiles.held`: fetches everything at once."""
        return self._pieces.held(_wanted(parts))

    def ask(self, parts: Iterable[Part]) -> None:
        """As `SegmentFiles.ask`."""
        self._pieces.ask(_wanted(parts))

    @property
    def fetched(self) -> Fetched:
        """What packets cost so far, in this process."""
        return self._pieces.fetched

    def close(self) -> None:
        """Let go of what was fetched. Safe to call again."""
        self._pieces.close()


def _wanted(parts: Iterable[Part]) -> Iterator[Wanted]:
    for segment, table, groups in parts:
        yield from wanted_packets(segment.uri, table, groups)
