"""Comparing the messages of two logs, without holding either: everything that is not an image must be the same."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from mediaref_tools.log import Channel, Message

__all__ = ["Comparison", "MessageSet", "compare", "fingerprint"]

_SUM = 2**128
_MOST = 100_000  # fingerprints of differing messages kept: beyond it only their number


class Comparison(NamedTuple):
    """How many messages the first log has, and how many of both have no equal in the other."""

    compared: int
    different: int


class MessageSet:
    """A hash of messages, whatever their order: their own hashes' sum."""

    def __init__(self) -> None:
        self._sum = 0
        self.messages = 0

    def add(self, key: bytes) -> None:
        """Take in a message by its `fingerprint`."""
        self._sum = (self._sum + int.from_bytes(key, "little")) % _SUM
        self.messages += 1

    @property
    def digest(self) -> str:
        """32 hexadecimal digits."""
        return f"{self._sum:032x}"


def compare(first: Iterable[Message], second: Iterable[Message], whole: MessageSet | None = None) -> Comparison:
    """Compare two streams of messages as multisets: topic, type, definition, attributes, times, sequence, payload.

    Args:
        first, second: In log-time order, so that equal messages meet and cancel; memory holds what differs.
        whole: Takes in the first's messages.
    """
    channels: dict[int, tuple[Channel, bytes]] = {}
    open_: Counter[bytes] = Counter()
    compared = beyond = 0
    for sign, message in _in_step(iter(first), iter(second)):
        key = fingerprint(message, channels)
        compared += sign > 0
        if sign > 0 and whole is not None:
            whole.add(key)
        if open_[key] == -sign:
            del open_[key]
        elif key in open_ or len(open_) < _MOST:
            open_[key] += sign
        else:
            beyond += 1
    return Comparison(compared, beyond + sum(abs(count) for count in open_.values()))


def _in_step(first: Iterator[Message], second: Iterator[Message]) -> Iterator[tuple[int, Message]]:
    """Both streams by log time, by turns where that is equal: equal logs meet message by message."""
    left, right = next(first, None), next(second, None)
    turn = 1
    while left is not None or right is not None:
        if right is None:
            turn = 1
        elif left is None:
            turn = -1
        elif left.log_time_ns != right.log_time_ns:
            turn = 1 if left.log_time_ns < right.log_time_ns else -1
        if turn > 0 and left is not None:
            yield 1, left
            left = next(first, None)
        elif right is not None:
            yield -1, right
            right = next(second, None)
        turn = -turn


def fingerprint(message: Message, channels: dict[int, tuple[Channel, bytes]]) -> bytes:
    """A 128-bit hash of all that a message is, but not of its place in the file.

    Args:
        message: The message.
        channels: A cache of channels' hashes, filled here; any empty dict will do.
    """
    channel = message.channel
    known = channels.get(id(channel))
    if known is None or known[0] is not channel:
        known = channels[id(channel)] = (channel, _identity(channel))
    times = f"{message.log_time_ns} {message.publish_time_ns} {message.sequence} "
    digest = blake2b(known[1], digest_size=16)
    digest.update(times.encode("ascii"))
    digest.update(message.data)
    return digest.digest()


def _identity(channel: Channel) -> bytes:
    digest = blake2b(digest_size=16)
    texts = [channel.topic, channel.type, channel.encoding]
    texts += [text for item in sorted(channel.attributes.items()) for text in item]
    for part in (*(text.encode("utf-8", "surrogateescape") for text in texts), channel.definition):
        digest.update(struct.pack("<Q", len(part)))
        digest.update(part)
    return digest.digest()
