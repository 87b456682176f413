"""Comparing the messages of two logs, without holding either: everything that is not an image must be the same."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from heapq import merge
from typing import Literal, NamedTuple

from mediaref_tools.log import Channel, Message

__all__ = ["Comparison", "compare", "fingerprint"]

_MOST = 100_000  # fingerprints of differing messages kept: beyond it only their number


class Comparison(NamedTuple):
    """How many messages the first log has, and how many of both have no equal in the other."""

    compared: int
    different: int


def compare(first: Iterable[Message], second: Iterable[Message]) -> Comparison:
    """Compare two streams of messages as multisets: topic, type, definition, attributes, times, sequence, payload.

    Args:
        first, second: In log-time order, so that equal messages meet and cancel; memory holds what differs.
    """
    channels: dict[int, tuple[Channel, bytes]] = {}
    open_: Counter[bytes] = Counter()
    compared = beyond = 0
    streams = (_marked(first, 1), _marked(second, -1))
    for _, sign, message in merge(*streams, key=lambda item: item[0]):
        key = fingerprint(message, channels)
        compared += sign > 0
        if open_[key] == -sign:
            del open_[key]
        elif key in open_ or len(open_) < _MOST:
            open_[key] += sign
        else:
            beyond += 1
    return Comparison(compared, beyond + sum(abs(count) for count in open_.values()))


def _marked(messages: Iterable[Message], sign: Literal[1, -1]) -> Iterator[tuple[int, int, Message]]:
    return ((message.log_time_ns, sign, message) for message in messages)


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
