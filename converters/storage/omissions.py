"""What another container's messages said and a new log has no place for, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mediaref_tools.log import Loss, Message

__all__ = ["Omissions"]


class Omissions:
    """Counts, and tells as losses."""

    def __init__(self) -> None:
        self._found: Counter[tuple[str, str]] = Counter()
        self._gone: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}

    def note(self, where: str, what: str) -> None:
        """Count one of a kind."""
        self._found[where, what] += 1

    def leave(self, message: Message, reason: object) -> None:
        """Count a message that is not there at all."""
        topic = message.channel.topic
        self._gone[topic] += 1
        self._reasons.setdefault(topic, str(reason))

    def look(self, message: Message, *, keeps_publish: bool, keeps_sequence: bool) -> None:
        """Count what a message says beside its data."""
        if not keeps_publish and message.publish_time_ns not in (None, message.log_time_ns):
            self.note("publish times", "of messages that were published at another time than they were received")
        if not keeps_sequence and message.sequence:
            self.note("sequence numbers", "of messages")

    @property
    def losses(self) -> Sequence[Loss]:
        """One of each kind."""
        told = [Loss(where, f"{count} {what}", 0) for (where, what), count in self._found.items()]
        what = "messages are left out, the first because"
        return told + [Loss(topic, f"{what} {self._reasons[topic]}", count) for topic, count in self._gone.items()]
