"""A new ROS 1 bag of another container's messages, written by rosbags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosbags.rosbag1 import Writer, WriterError

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Channel, Loss, Message

from ..messages.transcoding import Transcoder
from ..rosbag2.qos import is_latched
from ..storage.omissions import Omissions
from ..storage.scratch import flush

__all__ = ["Rosbag1Author"]


class Rosbag1Author:
    """Writes a bag; see `mediaref_tools.restorable.Author`.

    Raises:
        LogError: A channel's messages have no equal in ROS 1.
        OutputError: `out` is taken, or can't be written.
    """

    def __init__(self, out: Path, channels: Sequence[Channel]) -> None:
        self._out = out
        self._transcoder = Transcoder(channels, "ros1")
        self._omissions = Omissions()
        self._connections: dict[int, Any] = {}
        try:
            self._writer = Writer(out)
            self._writer.open()
            known: dict[object, Any] = {}
            for channel in channels:
                latched, name = is_latched(channel), self._transcoder.type_of(channel)
                callerid = channel.attributes.get("callerid", "/mediaref")
                key = (channel.topic, name, callerid, latched)
                if key not in known:
                    known[key] = self._writer.add_connection(
                        channel.topic,
                        name,
                        typestore=self._transcoder.store,
                        callerid=callerid,
                        latching=int(latched),
                    )
                self._connections[channel.id] = known[key]
                if "offered_qos_profiles" in channel.attributes:
                    self._omissions.note("QoS", "offered QoS profiles, of which latching alone has a place in ROS 1")
        except (OSError, WriterError) as error:
            raise OutputError(f"log can't be written: {error}: {out}") from error

    @property
    def losses(self) -> Sequence[Loss]:
        """What a bag has no place for."""
        return self._omissions.losses

    def add(self, message: Message) -> bytes | memoryview | None:
        """Write a message as ROS 1 bytes; one that can't be is left out, and a loss.

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
        """Write the index, and close.

        Raises:
            OutputError: It can't be written.
        """
        try:
            self._writer.close()
            flush(self._out)
        except (OSError, WriterError) as error:
            raise OutputError(f"log can't be written: {error}: {self._out}") from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            if self._writer.bio is not None:
                self._writer.bio.close()
        except OSError:
            return
