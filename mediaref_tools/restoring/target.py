"""Where a restored log goes when it is not to be of the dataset's own container."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mediaref_tools.errors import LogError, PluginError
from mediaref_tools.log import Channel, LogReader, Loss, Message, WholeReader
from mediaref_tools.plugins import installed
from mediaref_tools.restorable import Author, AuthoringConverter
from mediaref_tools.restoring.readback import Bare

__all__ = ["Target", "author_of"]


class Target:
    """Hands messages on to another container's author; see `mediaref_tools.restorable.RestoringWriter`."""

    def __init__(
        self,
        converter: AuthoringConverter,
        out: Path,
        log: LogReader,
        originals: Mapping[int, Channel],
        *,
        verify: bool,
    ) -> None:
        """Start it.

        Args:
            converter: Of the other container.
            out: Must not exist.
            log: The dataset's.
            originals: What channels of records were, by the id that they have now.
            verify: Whether what is written will be read back.

        Raises:
            LogError: A topic's messages have no equal there; nothing is written.
            OutputError: `out` is taken, or can't be written.
        """
        counts = log.stats()
        there = [originals.get(channel.id, channel) for channel in log.channels]
        used = [channel for channel in there if channel.id in counts and counts[channel.id].messages]
        self._originals = originals
        self.written = Bare() if verify else None
        """What was written, for `readback`."""
        self._lost = [Loss("channels", f"{len(there) - len(used)} without messages are left out", 0)]
        self._lost = self._lost if len(used) < len(there) else []
        if isinstance(log, WholeReader):
            extras = Counter(name for name, _ in log.extras({channel.topic for channel in originals.values()}))
            self._lost += [Loss(name, "it is no message, and left out", 0) for name in extras]
        try:
            self._author: Author = converter.author(out, used)
        except LogError as error:
            raise LogError(f"this log can't become one of {converter.name}: {error}") from error

    @property
    def losses(self) -> Sequence[Loss]:
        """What the container has no place for."""
        return [*self._lost, *self._author.losses]

    def copy(self, message: Message) -> None:
        """Write a message."""
        data = self._author.add(message)
        if self.written is not None and data is not None:
            self.written.add(message, data)

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write the message that a record stands for."""
        self.copy(message._replace(channel=self._originals[message.channel.id], data=data))

    def commit(self) -> None:
        """Write the index, and close."""
        self._author.commit()

    def abort(self) -> None:
        """Close without finishing. Never raises."""
        self._author.abort()


def author_of(container: str) -> AuthoringConverter:
    """The converter that writes new logs of a container: of "rosbag2" and its like, whichever storage has one.

    Raises:
        PluginError: None does.
    """
    able: dict[str, AuthoringConverter] = {}
    for plugin in installed():
        converter: object = plugin.converter
        if isinstance(converter, AuthoringConverter):
            able[plugin.name] = converter
    for name, found in able.items():
        if name == container or name.startswith(f"{container}-"):
            return found
    raise PluginError(f"no converter writes new logs of {container!r}: expected one of {', '.join(sorted(able))}")
