"""A new rosbag2 folder in sqlite3 storage of another container's messages, written by rosbags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Channel, Loss, Message

from ..messages.transcoding import Transcoder
from ..storage.omissions import Omissions
from ..storage.scratch import flush
from .qos import profiles

__all__ = ["Rosbag2Author"]

_VERSION = 8  # of metadata.yaml: what every ROS 2 that is in use can read


class Rosbag2Author:
    """Writes a folder; see `mediaref_tools.restorable.Author`.

    Raises:
        LogError: A channel's messages have no equal in ROS 2.
        OutputError: `out` is taken, or can't be written.
    """

    def __init__(self, out: Path, channels: Sequence[Channel]) -> None:
        self._out = out
        self._transcoder = Transcoder(channels, "cdr")
        self._omissions = Omissions()
        self._connections: dict[int, Any] = {}
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
        except (OSError, WriterError) as error:
            raise OutputError(f"log can't be written: {error}: {out}") from error

    @property
    def losses(self) -> Sequence[Loss]:
        """What a rosbag2 folder has no place for."""
        return self._omissions.losses

    def add(self, message: Message) -> bytes | memoryview | None:
        """Write a message as CDR; one that can't be is left out, and a loss.

        Raises:
            OutputError: It can't be written.
        """
        try:
            data = self._transcoder.data(message)
        except LogError as error:
            self._omissions.leave(message, error)
            return None
        self._omissions.look(message, keeps_publish=False, keeps_sequence=False)
        try:
            self._writer.write(self._connections[message.channel.id], message.log_time_ns, data)
        except (OSError, WriterError) as error:
            raise OutputError(f"log can't be written: {error}: {self._out}") from error
        return data

    def commit(self) -> None:
        """Write `metadata.yaml`, and close.

        Raises:
            OutputError: It can't be written.
        """
        try:
            self._writer.close()
            for path in [*self._out.iterdir(), self._out]:
                flush(path)
        except (OSError, WriterError) as error:
            raise OutputError(f"log can't be written: {error}: {self._out}") from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            self._writer.close()
        except Exception:  # sqlite3.Error, WriterError …: its last rows can't be written, nobody wants them
            return
