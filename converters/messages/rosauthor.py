"""What a new ROS 1 bag and a new rosbag2 folder of another container's messages have in common: rosbags writes both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Channel, Loss, Message

from ..storage.omissions import Omissions
from .transcoding import Transcoder

__all__ = ["RosAuthor"]


class RosAuthor:
    """Writes messages of one generation of ROS; see `mediaref_tools.restorable.Author`.

    A subclass opens `_writer`, of rosbags, and fills `_connections`; errors of `_failures` are those of its writer.
    """

    _failures: tuple[type[Exception], ...] = (OSError,)

    def __init__(self, out: Path, channels: Sequence[Channel], generation: Literal["ros1", "cdr"]) -> None:
        """Learn what the channels hold.

        Raises:
            LogError: A channel's messages have no equal in that generation.
        """
        self._out = out
        self._transcoder = Transcoder(channels, generation)
        self._omissions = Omissions()
        self._connections: dict[int, Any] = {}
        self._writer: Any = None

    @property
    def losses(self) -> Sequence[Loss]:
        """What the container has no place for."""
        return self._omissions.losses

    def add(self, message: Message) -> bytes | memoryview | None:
        """Write a message, its bytes laid out anew; one that can't be is left out, and a loss.

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
        except self._failures as error:
            raise self._unwritten(error) from error
        return data

    def _unwritten(self, error: Exception) -> OutputError:
        return OutputError(f"log can't be written: {error}: {self._out}")
