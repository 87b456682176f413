"""What a converter plugin looks like: the values and protocols between a log's container and the core.

A converter is found through the entry-point group `mediaref_tools.converters`; nothing here needs to be
subclassed. Times are int nanoseconds, ranges half-open `[start_ns, stop_ns)`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar, Final, Literal, NamedTuple, Protocol, Self, runtime_checkable

from pydantic import Field

from mediaref_tools.image import ImageValue
from mediaref_tools.media.mediaref import MediaRef

__all__ = [
    "NOTE",
    "Channel",
    "ChannelStats",
    "Converter",
    "FolderReader",
    "GuidedConverter",
    "LogReader",
    "LogWriter",
    "Loss",
    "Message",
    "OpenOptions",
    "Record",
    "RecordKind",
    "Role",
    "WholeReader",
]

NOTE: Final = "mediaref:note"
"""The key of `Channel.attributes` under which a converter says what it made of a channel and why: `info` shows it."""

Role = Literal["image", "record", "unsupported", "other"]
"""What a channel is to us; see `Channel.role`."""

RecordKind = Literal["typed", "string"]
"""How a reference is written: a typed record that keeps the image's header, or the reference alone as JSON."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream of messages that a container declares: a topic may have several (one a publisher, say).

    Attributes:
        id: Unique in its log, and the same at every open.
        topic, type: As the container spells them, never normalised.
        encoding: How a message is serialised: "ros1", "cdr", "json", "protobuf" …
        definition: The schema or message definition, byte for byte; b"" where the log has none.
        attributes: What else the container says of it: callerid, latching, md5sum, offered_qos_profiles …
        role: "image" if `LogReader.image` can be asked for its messages; "record" if they are references by
            their type; "unsupported" if they are images that this converter can't read; "other" else.
    """

    id: int
    topic: str
    type: str
    encoding: str
    definition: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)
    role: Role = "other"


class ChannelStats(NamedTuple):
    """How much a channel holds: messages, payload bytes, and the log times of the first and last message."""

    messages: int
    bytes: int
    first_ns: int | None
    last_ns: int | None


class Message(NamedTuple):
    """One message, not deserialised.

    `position` is the container's own handle (a row id, an offset): opaque, and given back to its writer.
    """

    channel: Channel
    log_time_ns: int
    publish_time_ns: int | None
    sequence: int | None
    data: bytes | memoryview
    position: int = 0


class Loss(NamedTuple):
    """Something that a container claims and that is not there, or that had to be recovered.

    `messages` is how many are gone, None where nobody can know.
    """

    where: str
    what: str
    messages: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What stands in the rewritten log where an image stood: the reference, and what the image's message said.

    A record in string form carries the reference alone; its other fields have their defaults.
    """

    ref: Annotated[MediaRef, Field(alias="media_ref")]  # in JSON as in ROS, and as others name it
    stamp_ns: int | None = None
    frame_id: str = ""
    source_type: str = ""
    source_encoding: str = ""
    height: int = 0
    width: int = 0
    step: int = 0
    is_bigendian: bool = False


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """What somebody says of a log that its container does not say itself.

    Attributes:
        fps: Pictures a second, for containers without times.
        profile: The name of a convention that the log follows.
        swap_rb: Red and blue of its pictures are swapped: give them the right way round.
        topics: Globs of the topics that are asked for by name: worth a second look where a container does not say
            what is a picture. None stands for all.
    """

    fps: Fraction | None = None
    profile: str | None = None
    swap_rb: bool = False
    topics: tuple[str, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        """Names of the options, as typed, that change what a log says, and were given."""
        given = (("--fps", self.fps is not None), ("--profile", self.profile is not None), ("--swap-rb", self.swap_rb))
        return tuple(name for name, is_given in given if is_given)


class LogWriter(Protocol):
    """Writes the same log again, with image messages replaced. Nothing is at `out` for good before `commit`."""

    def copy(self, message: Message) -> None:
        """Take a message over unchanged, byte for byte."""
        ...

    def record(self, message: Message, record: Record) -> None:
        """Write `record` in the place of an image message: same topic, same times, same header."""
        ...

    def commit(self) -> None:
        """Write what is not messages (metadata, attachments), the index, and close."""
        ...

    def abort(self) -> None:
        """Close without finishing. Never raises; the caller removes what was written."""
        ...


class LogReader(Protocol):
    """An open log: a context manager. `messages` may be called any number of times, `image` from any thread."""

    container: str
    """"rosbag1", "rosbag2-sqlite3", "rosbag2-mcap", "mcap" …"""
    channels: Sequence[Channel]
    losses: Sequence[Loss]
    """Grows while messages are read: complete once `messages` was read to its end."""

    def stats(self) -> Mapping[int, ChannelStats]:
        """Messages, bytes and times by channel id, from the container's index where that can tell."""
        ...

    def messages(
        self,
        topics: Collection[str] | None = None,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Message]:
        """Messages in log-time order, in file order among equals; of all topics, or of some."""
        ...

    def image(self, message: Message) -> ImageValue:
        """The image in a message of a channel whose role is "image": the only place that deserialises.

        Raises:
            ImageError: The message can't be deserialised.
        """
        ...

    def record(self, message: Message) -> Record | None:
        """The record in a message, typed or JSON (a string of it, or the message itself); None if it holds none."""
        ...

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> LogWriter:
        """Start the same log anew at `out` (a file, or a folder where the log is one).

        Args:
            out: Must not exist; its parent does.
            topics: Those whose image messages will be given to `LogWriter.record`.
            kind: The form of the records.
        """
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class WholeReader(Protocol):
    """What a `LogReader` has besides if its container holds more than messages. It is proved to be carried over."""

    def extras(self, replaced: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Attachments, metadata, datasets of other things: each by a name for people, with a hash of all that it is.

        Args:
            replaced: Topics whose images were replaced: they are no extras.
        """
        ...


@runtime_checkable
class FolderReader(Protocol):
    """What a `LogReader` has besides if its logs are folders: without it, none of them is ever deleted whole."""

    def strangers(self) -> Iterator[Path]:
        """What lies in the folder and is no part of the log, links among it. Nothing where the log is a file."""
        ...


class Converter(Protocol):
    """The class behind an entry point: knows one container. Made without arguments."""

    name: ClassVar[str]

    def claims(self, path: Path) -> bool:
        """Whether the path is this container's, told from a few bytes. Declining is not failing: no errors."""
        ...

    def open(self, path: Path) -> LogReader:
        """Open a log.

        Raises:
            LogError: It can't be read.
        """
        ...


@runtime_checkable
class GuidedConverter(Protocol):
    """What a `Converter` has besides if its container leaves open what `OpenOptions` tell. Most have no need of it."""

    def open_with(self, path: Path, options: OpenOptions) -> LogReader:
        """Open a log, as `Converter.open` does, with what somebody says of it.

        Raises:
            LogError: It can't be read, or an option makes no sense for it.
        """
        ...
