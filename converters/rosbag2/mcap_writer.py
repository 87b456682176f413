"""Writing a ROS 2 bag in MCAP storage anew: each file by the MCAP converter, and the folder around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Channel, Loss, Message, Record

from ..mcap.reader import McapReader
from ..mcap.writer import McapWriter
from ..storage.packed_writer import PackedWriter
from .folder import Folder

__all__ = ["Rosbag2McapWriter", "Split"]

_Writer = McapWriter | PackedWriter


class Split(NamedTuple):
    """One storage file: its reader, and the log's channels by the file's own ids."""

    reader: McapReader
    channel_of: Mapping[int, Channel]


class Rosbag2McapWriter:
    """Writes a folder again, file for file; see `mediaref_tools.log.LogWriter`.

    Args:
        folder: The source.
        splits: Its files.
        out: The folder to write.
        metadata: Its `metadata.yaml`.
        start: Starts a file's own writer.
    """

    def __init__(
        self,
        folder: Folder,
        splits: Sequence[Split],
        out: Path,
        metadata: str | None,
        start: Callable[[Split, Path], _Writer],
    ) -> None:
        if out.resolve().is_relative_to(folder.path.resolve()):
            raise OutputError(f"log can't be written into the folder that it is read from, {folder.path}: {out}")
        self.losses: Sequence[Loss] = ()
        self._folder, self._splits, self._out = folder, splits, out
        self._metadata = metadata
        self._channels = [{channel.id: channel for channel in split.reader.channels} for split in splits]
        self._own = [{log.id: own for own, log in split.channel_of.items()} for split in splits]
        self._writers: list[_Writer] = []
        try:
            out.mkdir()
        except OSError as error:
            raise OutputError(
                f"log can't be written ({error.strerror}): expected a path with nothing there yet: {out}"
            ) from error
        try:
            for split in splits:
                self._writers.append(start(split, out / split.reader.path.name))
        except BaseException:
            self.abort()
            raise

    def copy(self, message: Message) -> None:
        """Take a message over unchanged, into the file that it came from."""
        number, own = self._locate(message)
        self._writers[number].copy(own)

    def record(self, message: Message, record: Record) -> None:
        """Write a record in the place of an image message, in the file that it came from."""
        number, own = self._locate(message)
        self._writers[number].record(own, record)

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write data in the place of a message, in the file that it came from."""
        number, own = self._locate(message)
        self._writers[number].put(own, data)

    def commit(self) -> None:
        """Finish the files, copy what else is in the folder, and have it all on the disk.

        Raises:
            LogError: The source can't be read.
            OutputError: The output can't be written.
        """
        for writer in self._writers:
            writer.commit()
        try:
            self._folder.copy_rest(self._out, [split.reader.path for split in self._splits], self._metadata)
        except (LogError, OutputError):
            raise
        except OSError as error:
            raise OutputError(f"log can't be written ({error.strerror}): is the disk full? {self._out}") from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        for writer in self._writers:
            writer.abort()

    def _locate(self, message: Message) -> tuple[int, Message]:
        position, number = divmod(message.position, len(self._splits))
        channel = self._channels[number][self._own[number][message.channel.id]]
        return number, message._replace(channel=channel, position=position)
