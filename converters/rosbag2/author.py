"""A new rosbag2 folder in sqlite3 storage of another container's messages, written by rosbags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from mediaref_tools.log import Channel

from ..messages.rosauthor import RosAuthor
from ..storage.scratch import flush
from .qos import profiles

__all__ = ["Rosbag2Author"]

_VERSION = 8  # of metadata.yaml: what every ROS 2 that is in use can read


class Rosbag2Author(RosAuthor):
    """Writes a folder; see `mediaref_tools.restorable.Author`.

    Raises:
        LogError: A channel's messages have no equal in ROS 2.
        OutputError: `out` is taken, or can't be written.
    """

    _failures = (OSError, WriterError)

    def __init__(self, out: Path, channels: Sequence[Channel]) -> None:
        super().__init__(out, channels, "cdr")
        try:
            self._writer = Writer(out, version=_VERSION, storage_plugin=StoragePlugin.SQLITE3)
            self._writer.open()
            known: dict[object, Any] = {}
            for channel in channels:
                name, offered = self._transcoder.type_of(channel), profiles(channel)
                key = (channel.topic, name, tuple(offered))
                if key not in known:
                    known[key] = self._writer.add_connection(
                        channel.topic, name, typestore=self._transcoder.store, offered_qos_profiles=offered
                    )
                self._connections[channel.id] = known[key]
                if channel.encoding == "ros1":
                    self._omissions.note("ROS 1", "connections' callerid, and the seq of their messages' headers")
        except self._failures as error:
            raise self._unwritten(error) from error

    def commit(self) -> None:
        """Write `metadata.yaml`, and close.

        Raises:
            OutputError: It can't be written.
        """
        try:
            self._writer.close()
            for path in [*self._out.iterdir(), self._out]:
                flush(path)
        except self._failures as error:
            raise self._unwritten(error) from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            self._writer.close()
        except Exception:  # sqlite3.Error, WriterError …: its last rows can't be written, nobody wants them
            return
