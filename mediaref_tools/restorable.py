"""What a converter has besides if its logs can be turned back, or be made of another container's messages.

Nothing here needs to be subclassed; see `mediaref_tools.log`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, Loss, Message

__all__ = ["Author", "AuthoringConverter", "RestorableReader", "RestoringWriter"]


class RestoringWriter(Protocol):
    """Writes a log again whose records become messages of what they stand for. As for a `LogWriter` until `commit`."""

    def copy(self, message: Message) -> None:
        """Take a message over unchanged, byte for byte."""
        ...

    def put(self, message: Message, data: bytes | memoryview) -> None:
        """Write `data`, an image message's own bytes, in the place of its record: same topic, same times."""
        ...

    @property
    def losses(self) -> Sequence[Loss]:
        """What is not as it was, nevertheless: complete after `commit`."""
        ...

    def commit(self) -> None:
        """Write what is not messages (metadata, attachments), the index, and close."""
        ...

    def abort(self) -> None:
        """Close without finishing. Never raises; the caller removes what was written."""
        ...


@runtime_checkable
class RestorableReader(Protocol):
    """What a `LogReader` has besides if a log that its `rewriter` wrote can be turned back: without it, none can."""

    def serialized(self, channel: Channel, image: ImageValue) -> bytes | memoryview:
        """The message that says what an image does, on a channel as it was. For any thread.

        Args:
            channel: With the type, encoding, definition and attributes that it had; its id is the record channel's.
            image: With the `envelope` that the message's own image had, the result is that very message, if `data` is
                the same. With other data it is a message that says all else as it did; without an envelope, one that
                says what the other fields do.

        Raises:
            ImageError: Nothing of the kind can be said on such a channel, or without an envelope.
        """
        ...

    def restorer(self, out: Path, originals: Mapping[int, Channel]) -> RestoringWriter:
        """Start the log anew at `out`, as it was before its records were written.

        Args:
            out: Must not exist; its parent does.
            originals: What channels of records were before, by the id that they have now.

        Raises:
            LogError: That can't be told, or not be written.
            OutputError: `out` is taken.
        """
        ...


class Author(Protocol):
    """Writes a new log of messages that another container held. Nothing is at its path for good before `commit`."""

    @property
    def losses(self) -> Sequence[Loss]:
        """What the container has no place for: complete after `commit`."""
        ...

    def add(self, message: Message) -> bytes | memoryview | None:
        """Write a message of one of the channels that it was started with, as the container's own kind.

        Returns:
            Its data as it was written; None where it is left out, which is a loss.
        """
        ...

    def commit(self) -> None:
        """Write the index, and close."""
        ...

    def abort(self) -> None:
        """Close without finishing. Never raises; the caller removes what was written."""
        ...


@runtime_checkable
class AuthoringConverter(Protocol):
    """What a `Converter` has besides if logs of its container can be made of others' messages."""

    name: ClassVar[str]

    def author(self, out: Path, channels: Sequence[Channel]) -> Author:
        """Start a log at `out`, which must not exist.

        Raises:
            LogError: A channel's type or encoding has no equal there; nothing is written.
            OutputError: `out` is taken, or can't be written.
        """
        ...
