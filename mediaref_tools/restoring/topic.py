"""One topic's records on their way back to messages, each held against the hash of what it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mediaref_tools.dataset.framerow import FrameRow, digest_of
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.dataset.manifest import Settings, TopicEntry
from mediaref_tools.errors import DatasetError, EncodeError, ImageError, RefError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, Message, Record
from mediaref_tools.restoring.pictures import Promise, TopicPictures
from mediaref_tools.restoring.report import RestoredTopic

__all__ = ["TopicRestorer"]

_PROBLEMS: Final = 20  # of one topic


class TopicRestorer:
    """Makes one topic's messages again, in their order. For one thread at a time."""

    def __init__(
        self,
        dataset: Path,
        table: FramesTable,
        entry: TopicEntry,
        settings: Settings,
        channels: Mapping[int, Channel],
        threads: int = 1,
    ) -> None:
        """Begin.

        Args:
            dataset: Its folder.
            table: Its frames table.
            entry: What its manifest says of the topic.
            settings: Of the conversion.
            channels: What the channels of the topic's records were, by the id that they have now.
            threads: Of each decoder.
        """
        self.entry = entry
        self.channels = channels
        self.problems: list[str] = []
        segments = {segment.uri: segment for segment in entry.segments}
        self._pictures = TopicPictures(
            dataset, segments, settings.policy(entry.topic), corrected=settings.swap_rb, threads=threads
        )
        self._rows = table.rows(entry.topic)
        self._counts: Counter[str] = Counter()
        self._bytes = 0

    def next_row(self, message: Message, record: Record | None) -> tuple[FrameRow, Record]:
        """The row and record of the topic's next message in the dataset's log: to be asked for in their order.

        Raises:
            DatasetError: The log and the table contradict each other.
        """
        row = next(self._rows, None)
        topic = self.entry.topic
        if row is None or record is None:
            lacking = "the frames table has no row" if row is None else "the log has no record"
            raise DatasetError(f"{lacking} for the message of {topic} at log time {message.log_time_ns}: copy it again")
        said = (record.ref.uri, record.ref.pts_ns, message.log_time_ns)
        if said != (row.uri, row.pts_ns, row.log_time_ns):
            raise DatasetError(
                f"the record of {topic} at log time {message.log_time_ns} says {said[0][:100]} {said[1]}, row "
                f"{row.index} of the frames table {row.uri[:100]} {row.pts_ns} at {row.log_time_ns}: `mediaref verify` "
                "tells more"
            )
        return row, record

    def make(
        self,
        row: FrameRow,
        channel: Channel,
        record: Record,
        serialized: Callable[[Channel, ImageValue], bytes | memoryview],
    ) -> bytes | memoryview:
        """The message that a row's record stands for.

        Args:
            row: The one whose turn it is.
            channel: As it was.
            record: What the log says.
            serialized: The reader's own.

        Raises:
            DatasetError: It can't be made at all.
        """
        try:
            image, promise, whole = self._pictures.take(row, record)
            data = image.data if whole else serialized(channel, image)
        except (ImageError, EncodeError, RefError) as error:
            raise DatasetError(f"{self.entry.topic} frame {row.index} can't be restored: {error}") from error
        self._count(row, promise, data)
        if row.index + 1 == self.entry.frames:
            self._pictures.close()
        return data

    def _count(self, row: FrameRow, promise: Promise, data: bytes | memoryview) -> None:
        self._bytes += len(data)
        if row.source_digest is not None and row.source_digest == digest_of(data):
            self._counts["identical"] += 1
        elif promise != "identical":
            self._counts[promise] += 1
        elif row.source_digest is None:
            self._counts["unproved"] += 1
        else:
            self._counts["different"] += 1
            if len(self.problems) < _PROBLEMS:
                self.problems.append(
                    f"{self.entry.topic} frame {row.index} is not the message that was converted: its SHA-256 begins "
                    f"with {digest_of(data).hex()}, that one's with {row.source_digest.hex()}"
                )

    def finish(self) -> RestoredTopic:
        """What became of the topic.

        Raises:
            DatasetError: There are rows of which the log has no record.
        """
        self._pictures.close()
        row = next(self._rows, None)
        if row is not None:
            raise DatasetError(f"the log has no record for row {row.index} of {self.entry.topic}: copy it again")
        names = ("identical", "unproved", "pixels", "near", "different")
        counts = {name: self._counts[name] for name in names}
        return RestoredTopic(
            topic=self.entry.topic, type=self.entry.type, codec=self.entry.codec, bytes=self._bytes, **counts
        )
