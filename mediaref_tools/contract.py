"""The reading half of the converter contract: see `mediaref_tools.testing`."""
# ruff: noqa: S101  these are tests

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediaref_tools.errors import LogError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import ChannelStats, Converter, LogReader, Message, Record

__all__ = ["ReadingContract", "fingerprint", "is_image"]


class ReadingContract:
    """What a converter promises of telling its logs and reading them."""

    def converter(self) -> Converter:
        """A new converter."""
        raise NotImplementedError

    def log(self, folder: Path) -> Path:
        """Write a log into a new, empty folder and return its path (of a file, or of a folder inside).

        It is whole and undamaged. It holds a channel of images, one of something else, and a few messages on each; no
        two messages of a topic with images share a log time. It is a better one with several topics, publishers and
        chunks, with equal log times on other topics, and with messages that do not lie in the order of their times.
        """
        raise NotImplementedError

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        """A log of its own for every test."""
        folder = tmp_path / "source"
        folder.mkdir()
        return self.log(folder)

    @pytest.fixture
    def reader(self, path: Path) -> Iterator[LogReader]:
        """That log, open."""
        with self.converter().open(path) as reader:
            yield reader

    @pytest.fixture
    def out(self, tmp_path: Path, path: Path) -> Path:
        """Where a rewritten log goes: it does not exist, its parent does."""
        folder = tmp_path / "out"
        folder.mkdir()
        return folder / path.name

    def test_has_a_name(self) -> None:
        """The name is a word that a user can type."""
        name = self.converter().name
        assert name
        assert name == name.strip().lower()
        assert " " not in name

    def test_claims_its_log(self, path: Path) -> None:
        """A log is claimed, and `open` gives a reader that says which container it is."""
        assert self.converter().claims(path) is True
        with self.converter().open(path) as reader:
            assert isinstance(reader.container, str)
            assert reader.container

    @pytest.mark.parametrize("kind", ["empty file", "text file", "folder", "nothing"])
    def test_declines_what_is_not_its_own(self, tmp_path: Path, path: Path, kind: str) -> None:
        """Declining is not failing, and a name with the right ending is no reason to claim."""
        other = _other(tmp_path / f"other{path.suffix}", kind)
        assert self.converter().claims(other) is False

    @pytest.mark.parametrize("kind", ["empty file", "text file", "folder", "nothing"])
    def test_opening_what_is_no_log_is_a_log_error(self, tmp_path: Path, path: Path, kind: str) -> None:
        """Not a bare OSError, KeyError or struct.error."""
        other = _other(tmp_path / f"other{path.suffix}", kind)
        with pytest.raises(LogError), self.converter().open(other):
            pass

    def test_channels_are_consistent(self, reader: LogReader) -> None:
        """Ids are unique, messages are of declared channels, roles are known, and there is something to convert."""
        channels = {channel.id: channel for channel in reader.channels}
        assert len(channels) == len(reader.channels), "two channels share an id"
        for message in reader.messages():
            assert channels[message.channel.id] == message.channel
        for channel in reader.channels:
            assert channel.role in ("image", "record", "unsupported", "other")
            assert isinstance(channel.definition, bytes)
            assert all(isinstance(each, str) for pair in channel.attributes.items() for each in pair)
        assert any(channel.role == "image" for channel in reader.channels), "`log` has no channel of images"
        assert any(channel.role != "image" for channel in reader.channels), "`log` has nothing but images"

    def test_channels_are_the_same_at_every_open(self, path: Path) -> None:
        """Their ids too."""
        with self.converter().open(path) as one, self.converter().open(path) as two:
            assert list(one.channels) == list(two.channels)

    def test_a_whole_log_has_no_losses(self, reader: LogReader) -> None:
        """Neither when it is opened nor when it was read."""
        for _ in reader.messages():
            pass
        assert list(reader.losses) == []

    def test_messages_are_in_order(self, reader: LogReader) -> None:
        """By log time, as integers of nanoseconds."""
        times_ns = [message.log_time_ns for message in reader.messages()]
        assert all(isinstance(time_ns, int) for time_ns in times_ns)
        assert times_ns == sorted(times_ns)

    def test_messages_are_repeatable(self, reader: LogReader) -> None:
        """Again, and two iterations at once: the same messages in the same order."""
        first = [_full(message) for message in reader.messages()]
        again = list(zip(map(_full, reader.messages()), map(_full, reader.messages()), strict=True))
        assert [pair[0] for pair in again] == first
        assert [pair[1] for pair in again] == first

    @pytest.mark.parametrize("collection", [list, tuple, set, frozenset, dict.fromkeys])
    def test_topics_are_any_collection(
        self, reader: LogReader, collection: Callable[[Iterable[str]], Sequence[str]]
    ) -> None:
        """Every subset of one or two topics, and none at all, give what filtering by hand gives."""
        topics = sorted({channel.topic for channel in reader.channels})
        everything = list(map(_full, reader.messages()))
        for wanted in ([], topics[:1], topics[-1:], topics[:2], topics):
            found = list(map(_full, reader.messages(collection(wanted))))
            assert found == [each for each in everything if each[0] in wanted], wanted

    def test_an_unknown_topic_has_no_messages(self, reader: LogReader) -> None:
        """It is the core that tells the user so."""
        assert list(reader.messages(["/no such topic"])) == []

    def test_time_ranges_are_half_open(self, reader: LogReader) -> None:
        """At, just before and just after each of some messages, open at either end."""
        everything = list(map(_full, reader.messages()))
        times_ns = sorted({message.log_time_ns for message in reader.messages()})
        some = {times_ns[0], times_ns[len(times_ns) // 2], times_ns[-1]}
        edges = [None, *sorted({time_ns + step for time_ns in some for step in (-1, 0, 1)})]
        for start_ns in edges:
            for stop_ns in edges:
                found = list(map(_full, reader.messages(start_ns=start_ns, stop_ns=stop_ns)))
                expected = [
                    each
                    for each in everything
                    if (start_ns is None or each[1] >= start_ns) and (stop_ns is None or each[1] < stop_ns)
                ]
                assert found == expected, (start_ns, stop_ns)

    def test_topics_and_times_filter_together(self, reader: LogReader) -> None:
        """Both hold."""
        messages = list(reader.messages())
        middle = messages[len(messages) // 2]
        found = list(map(_full, reader.messages([middle.channel.topic], start_ns=middle.log_time_ns)))
        assert found == [
            _full(message)
            for message in messages
            if message.channel.topic == middle.channel.topic and message.log_time_ns >= middle.log_time_ns
        ]

    def test_a_closed_log_says_so_at_the_call(self, path: Path) -> None:
        """Not at the first `next`, where nobody looks for it. Closing twice is fine."""
        reader = self.converter().open(path)
        reader.close()
        reader.close()
        with pytest.raises(LogError):
            reader.messages()

    def test_stats_equal_counting(self, reader: LogReader) -> None:
        """A channel without messages may be left out."""
        expected: dict[int, ChannelStats] = {}
        for message in reader.messages():
            count, size, first_ns, _ = expected.get(message.channel.id, ChannelStats(0, 0, message.log_time_ns, None))
            expected[message.channel.id] = ChannelStats(
                count + 1, size + len(message.data), first_ns, message.log_time_ns
            )
        nothing = ChannelStats(0, 0, None, None)
        stats = reader.stats()
        assert stats.keys() <= {channel.id for channel in reader.channels}
        for channel in reader.channels:
            assert stats.get(channel.id, nothing) == expected.get(channel.id, nothing), channel.topic

    def test_images_are_image_values(self, reader: LogReader) -> None:
        """Of every message on a channel whose role is "image"; others hold no record, or one that can be read."""
        for message in reader.messages():
            if message.channel.role == "image":
                value = reader.image(message)
                assert isinstance(value, ImageValue)
                assert len(value.data) > 0
                assert value.kind != "raw" or value.height * value.step <= len(value.data)
                assert value.type == message.channel.type
            else:
                assert isinstance(reader.record(message), Record | None)

    def test_images_are_for_any_thread(self, reader: LogReader) -> None:
        """While messages are being read, too."""
        with ThreadPoolExecutor(4) as pool:
            jobs = [(message, pool.submit(reader.image, message)) for message in reader.messages() if is_image(message)]
            found = [bytes(job.result().data) for _, job in jobs]
        assert found == [bytes(reader.image(message).data) for message, _ in jobs]

    def test_reading_leaves_the_source_alone(self, path: Path) -> None:
        """Not a file of its folder is changed or added."""
        before = fingerprint(path.parent)
        with self.converter().open(path) as reader:
            reader.stats()
            for message in reader.messages():
                if is_image(message):
                    reader.image(message)
            assert fingerprint(path.parent) == before, "while the log is open"
        assert fingerprint(path.parent) == before


def _other(path: Path, kind: str) -> Path:
    if kind == "empty file":
        path.touch()
    elif kind == "text file":
        path.write_text("stamp,x,y\n" * 1000)
    elif kind == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("nothing of yours")
    return path


def is_image(message: Message) -> bool:
    """Whether it is one of images."""
    return message.channel.role == "image"


_Full = tuple[str, int, int | None, int | None, int, bytes]


def _full(message: Message) -> _Full:
    """A message without its payload's buffer, which may be let go of."""
    return (
        message.channel.topic,
        message.log_time_ns,
        message.publish_time_ns,
        message.sequence,
        message.channel.id,
        bytes(message.data),
    )


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file of a folder: when it was changed, and what it holds."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
