"""A new ROS 1 bag of another container's messages, written by rosbags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosbags.rosbag1 import Writer, WriterError

from mediaref_tools.log import Channel

from ..messages.rosauthor import RosAuthor
from ..rosbag2.qos import is_latched
from ..storage.scratch import flush

__all__ = ["Rosbag1Author"]


class Rosbag1Author(RosAuthor):
    """Writes a bag; see `mediaref_tools.restorable.Author`.

    Raises:
        LogError: A channel's messages have no equal in ROS 1.
        OutputError: `out` is taken, or can't be written.
    """

    _failures = (OSError, WriterError)

    def __init__(self, out: Path, channels: Sequence[Channel]) -> None:
        super().__init__(out, channels, "ros1")
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
        except self._failures as error:
            raise self._unwritten(error) from error

    def commit(self) -> None:
        """Write the index, and close.

        Raises:
            OutputError: It can't be written.
        """
        try:
            self._writer.close()
            flush(self._out)
        except self._failures as error:
            raise self._unwritten(error) from error

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        try:
            if self._writer.bio is not None:
                self._writer.bio.close()
        except OSError:
            return
