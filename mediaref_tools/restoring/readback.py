"""Reading a restored log back, and holding it against what was written and what was converted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.log import NOTE, Channel, LogReader, Message, WholeReader
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import Meter, OnProgress
from mediaref_tools.proof.comparison import MessageSet, fingerprint

__all__ = ["Bare", "Written", "bare_differences", "differences"]


class Written:
    """A hash of the messages that a restoration wrote, those that were copied and those that were made again."""

    def __init__(self, *, declared: bool) -> None:
        """`declared` is whether the dataset says all of the channels that were made again, not their types alone."""
        self.declared = declared
        self.copied, self.made = MessageSet(), MessageSet()
        self._known: dict[int, tuple[Channel, bytes]] = {}
        self._plain: dict[int, Channel] = {}

    def copy(self, message: Message) -> None:
        """Take in a message that was copied."""
        self.copied.add(fingerprint(message, self._known))

    def put(self, message: Message) -> None:
        """Take in one that was made again; its channel is the one that it had."""
        channel = self._plain.get(message.channel.id)
        if channel is None:
            channel = self._plain[message.channel.id] = self._of_record(message.channel)
        self.made.add(fingerprint(message._replace(channel=channel), self._known))

    def _of_record(self, channel: Channel) -> Channel:
        """A channel without what its converter made of it, which is no part of the log."""
        if not self.declared:
            return Channel(0, channel.topic, channel.type, channel.encoding)
        return replace(channel, attributes={key: value for key, value in channel.attributes.items() if key != NOTE})


class Bare:
    """A hash of messages as any container has them: topic, log time and data."""

    def __init__(self) -> None:
        self.messages = MessageSet()
        self._channels: dict[str, Channel] = {}
        self._known: dict[int, tuple[Channel, bytes]] = {}

    def add(self, message: Message, data: bytes | memoryview) -> None:
        """Take in a message."""
        topic = message.channel.topic
        channel = self._channels.setdefault(topic, Channel(0, topic, "", ""))
        self.messages.add(fingerprint(Message(channel, message.log_time_ns, None, None, data), self._known))


def bare_differences(path: Path, written: Bare, on_progress: OnProgress) -> Iterator[str]:
    """What of a log of another container is not as it was written: a line each."""
    there = Bare()
    meter = Meter(on_progress, "verify", written.messages.messages)
    with open_log(path) as back:
        for message in back.messages():
            there.add(message, message.data)
            meter.step()
        meter.end()
        yield from (f"{loss.where}: {loss.what}" for loss in back.losses)
    if there.messages.messages != written.messages.messages:
        yield f"{there.messages.messages} messages are there, and {written.messages.messages} were written"
    elif there.messages.digest != written.messages.digest:
        yield "messages are not what was written: their hashes differ"


def differences(
    path: Path, log: LogReader, manifest: Manifest, written: Written, topics: Collection[str], on_progress: OnProgress
) -> Iterator[str]:
    """What of a restored log is not as it should be: a line each.

    Args:
        path: The log.
        log: The dataset's.
        manifest: The dataset's.
        written: What was written.
        topics: Whose records became messages again.
        on_progress: Told of stage "verify".
    """
    there = Written(declared=written.declared)
    meter = Meter(on_progress, "verify", manifest.messages)
    with open_log(path, manifest.settings.opening) as back:
        images = {channel.id for channel in back.channels if channel.topic in topics and channel.role == "image"}
        for message in back.messages():
            if message.channel.id in images:
                there.put(message)
            else:
                there.copy(message)
            meter.step()
        meter.end()
        yield from (f"{loss.where}: {loss.what}" for loss in back.losses)
        yield from _extras(log, back, topics)
    pairs = (("copied", there.copied, written.copied), ("made again", there.made, written.made))
    for what, found, wanted in pairs:
        if found.messages != wanted.messages:
            yield f"{found.messages} messages are there that were {what}, and {wanted.messages} were written"
        elif found.digest != wanted.digest:
            yield f"messages that were {what} are not what was written: their hashes differ"
    if manifest.copied_digest is not None and there.copied.digest != manifest.copied_digest:
        yield "messages that are no images are not those that were converted: their hashes differ"


def _extras(log: LogReader, back: LogReader, topics: Collection[str]) -> Iterator[str]:
    if not (isinstance(log, WholeReader) and isinstance(back, WholeReader)):
        return
    mine, theirs = Counter(log.extras(topics)), Counter(back.extras(topics))
    for name, _ in (mine - theirs).elements():
        yield f"{name} of the dataset's log is not there, or another"
    for name, _ in (theirs - mine).elements():
        yield f"{name} is not of the dataset's log"
