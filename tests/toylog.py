"""A converter as a stranger would write it, from the protocol alone: lines of JSON, the first one naming channels."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from mediaref_tools.errors import ImageError, LogError, OutputError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, ChannelStats, Loss, Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef

__all__ = ["MAGIC", "ToyConverter", "write_toy_log"]

MAGIC = '{"toy": '
ROLES: dict[str, Any] = {"picture": "image", "reference": "record"}


class ToyConverter:
    name: ClassVar[str] = "toy"

    def claims(self, path: Path) -> bool:
        try:
            with path.open("rb") as stream:
                return stream.read(len(MAGIC)) == MAGIC.encode()
        except OSError:
            return False

    def open(self, path: Path) -> ToyReader:
        return ToyReader(path)


class ToyReader:
    container: str = "toy"
    losses: Sequence[Loss] = ()

    def __init__(self, path: Path) -> None:
        if not ToyConverter().claims(path):
            raise LogError(f"not a toy log: {path}")
        self._lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.channels: Sequence[Channel] = [
            Channel(number, topic, kind, "json", role=ROLES.get(kind, "other"))
            for number, (topic, kind) in enumerate(self._lines[0]["toy"])
        ]
        self._open = True

    def stats(self) -> Mapping[int, ChannelStats]:
        found: dict[int, ChannelStats] = {}
        for message in self.messages():
            count, size, first, _ = found.get(message.channel.id, (0, 0, message.log_time_ns, None))
            found[message.channel.id] = ChannelStats(count + 1, size + len(message.data), first, message.log_time_ns)
        return found

    def messages(
        self, topics: Collection[str] | None = None, *, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Message]:
        if not self._open:
            raise LogError("this log is closed")
        return (
            Message(self.channels[line["channel"]], line["time"], None, None, line["data"].encode(), position)
            for position, line in sorted(enumerate(self._lines[1:]), key=lambda item: int(item[1]["time"]))
            if (topics is None or self.channels[line["channel"]].topic in topics)
            and (start_ns is None or line["time"] >= start_ns)
            and (stop_ns is None or line["time"] < stop_ns)
        )

    def image(self, message: Message) -> ImageValue:
        try:
            content = json.loads(bytes(message.data))
            data = base64.b64decode(content["file"], validate=True)
        except (ValueError, KeyError, TypeError) as error:
            raise ImageError(f"not a picture: {error}") from error
        return ImageValue(data, "jpeg", kind="file", stamp_ns=content["stamp"], type=message.channel.type)

    def record(self, message: Message) -> Record | None:
        try:
            content = json.loads(bytes(message.data))
            return Record(MediaRef(uri=content["uri"], pts_ns=content.get("pts_ns")), **content.get("image", {}))
        except (ValueError, KeyError, TypeError):
            return None

    def rewriter(self, out: Path, topics: Collection[str], kind: RecordKind) -> ToyWriter:
        return ToyWriter(out, self.channels, topics, kind)

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class ToyWriter:
    def __init__(self, out: Path, channels: Sequence[Channel], topics: Collection[str], kind: RecordKind) -> None:
        self._kind = kind
        new = "reference" if kind == "typed" else "text"
        kinds = [new if each.role == "image" and each.topic in topics else each.type for each in channels]
        try:
            self._stream = out.open("x")
        except OSError as error:
            raise OutputError(f"log can't be written: {error.strerror}: {out}") from error
        head = [(channel.topic, type_) for channel, type_ in zip(channels, kinds, strict=True)]
        self._stream.write(json.dumps({"toy": head}) + "\n")

    def _write(self, message: Message, data: str) -> None:
        line = {"channel": message.channel.id, "time": message.log_time_ns, "data": data}
        self._stream.write(json.dumps(line) + "\n")

    def copy(self, message: Message) -> None:
        self._write(message, bytes(message.data).decode())

    def record(self, message: Message, record: Record) -> None:
        content: dict[str, Any] = record.ref.model_dump(exclude_none=True)
        if self._kind == "typed":
            names = ("stamp_ns", "frame_id", "source_type", "source_encoding", "height", "width", "step")
            content["image"] = {name: getattr(record, name) for name in names}
        self._write(message, json.dumps(content))

    def commit(self) -> None:
        self._stream.close()

    def abort(self) -> None:
        self._stream.close()


def write_toy_log(path: Path, pictures: Sequence[tuple[int, bytes]]) -> Path:
    """A log of one topic of JPEG files, at these times, with a word before each."""
    lines: list[dict[str, Any]] = [{"toy": [("/camera", "picture"), ("/words", "text")]}]
    for time_ns, data in pictures:
        content = {"file": base64.b64encode(data).decode(), "stamp": time_ns - 5}
        lines.append({"channel": 1, "time": time_ns, "data": json.dumps({"word": "ü"})})
        lines.append({"channel": 0, "time": time_ns, "data": json.dumps(content)})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
