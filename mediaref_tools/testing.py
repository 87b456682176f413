"""The converter contract as tests: a converter's package inherits them, and pytest runs them on its own log.

::

    import pytest

    # Asserts that show what they compared.
    pytest.register_assert_rewrite("mediaref_tools.contract", "mediaref_tools.testing")
    from mediaref_tools.testing import ConverterContract

    class TestMyConverter(ConverterContract):
        def converter(self) -> Converter:
            return MyConverter()

        def log(self, folder: Path) -> Path:
            ...  # write a small log into `folder`, return its path

Needs pytest; nothing else of this package imports this module.
"""
# ruff: noqa: S101  these are tests

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mediaref_tools.contract import ReadingContract, fingerprint, is_image
from mediaref_tools.errors import MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Channel, LogReader, Message, Record, RecordKind
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.restorable import RestorableReader

__all__ = ["ConverterContract"]


class ConverterContract(ReadingContract):
    """What every converter promises. A subclass gives `converter` and `log`, and is named `Test…`."""

    def test_a_rewrite_that_copies_everything_equals(self, reader: LogReader, out: Path) -> None:
        """Channels and messages, byte for byte; and the source is left alone."""
        writer = reader.rewriter(out, [], "typed")
        for message in reader.messages():
            writer.copy(message)
        writer.commit()
        assert self.converter().claims(out)
        with self.converter().open(out) as copy:
            assert copy.container == reader.container
            assert _channels(copy.channels) == _channels(reader.channels)
            assert _content(copy.messages()) == _content(reader.messages())
            assert list(copy.losses) == []

    @pytest.mark.parametrize("kind", ["typed", "string"])
    def test_records_stand_where_images_stood(self, reader: LogReader, out: Path, kind: RecordKind) -> None:
        """On the same topics, at the same times, with their references; all other messages are what they were."""
        topics = {channel.topic for channel in reader.channels if channel.role == "image"}
        self._rewrite(reader, out, topics, kind)
        with self.converter().open(out) as copy:
            replaced = [message for message in reader.messages() if is_image(message)]
            others = [message for message in reader.messages() if not is_image(message)]
            records = _take(copy.messages(), replaced)
            left = Counter(_content(copy.messages()))
            left.subtract(_content(record for record, _ in records))
            assert +left == _content(others)
            for index, (record, image) in enumerate(records):
                found = copy.record(record)
                assert found is not None, f"no record is read back from {record}"
                assert found.ref == _ref(index)
                if kind == "typed":
                    value = reader.image(image)
                    assert (found.stamp_ns, found.frame_id) == (value.stamp_ns, value.frame_id)
                    assert found.source_type == value.type
                    assert found.source_encoding == value.encoding
                    assert (found.height, found.width, found.step) == (value.height, value.width, value.step)
                    assert record.channel.role == "record"

    def test_one_topic_of_records_leaves_the_others(self, reader: LogReader, out: Path) -> None:
        """Images of topics that were not named stay images."""
        topic = next(channel.topic for channel in reader.channels if channel.role == "image")
        self._rewrite(reader, out, {topic}, "typed")
        with self.converter().open(out) as copy:
            others = [message for message in reader.messages() if message.channel.topic != topic]
            kept = (message for message in copy.messages() if message.channel.topic != topic)
            assert _content(kept) == _content(others)

    @pytest.mark.parametrize("kind", ["typed", "string"])
    def test_records_become_images_again(self, reader: LogReader, out: Path, kind: RecordKind) -> None:
        """Where the container can be restored: channels and messages, byte for byte."""
        if not isinstance(reader, RestorableReader):
            pytest.skip("its reader is no RestorableReader: its logs can't be restored")
        images = [message for message in reader.messages() if is_image(message)]
        self._rewrite(reader, out, {message.channel.topic for message in images}, kind)
        again = out.parent / "again" / out.name
        again.parent.mkdir()
        with self.converter().open(out) as copy:
            assert isinstance(copy, RestorableReader)
            originals = _originals(reader.channels, copy.channels)
            waiting = {message.channel.topic: iter(_of(images, message.channel.topic)) for message in images}
            writer = copy.restorer(again, originals)
            for message in copy.messages():
                if message.channel.id not in originals:
                    writer.copy(message)
                    continue
                source = next(waiting[message.channel.topic])
                value = reader.image(source)
                data = copy.serialized(originals[message.channel.id], value)
                assert bytes(data) == bytes(source.data if value.serialized is None else value.serialized)
                writer.put(message, data)
            writer.commit()
            assert list(writer.losses) == []
        with self.converter().open(again) as restored:
            assert restored.container == reader.container
            assert _channels(restored.channels) == _channels(reader.channels)
            assert _content(restored.messages()) == _content(reader.messages())
            assert list(restored.losses) == []

    def test_a_rewrite_is_repeatable(self, reader: LogReader, path: Path, out: Path) -> None:
        """What was rewritten is rewritten again, records and all; the source is left alone."""
        before = fingerprint(path.parent)
        topics = {channel.topic for channel in reader.channels if channel.role == "image"}
        self._rewrite(reader, out, topics, "typed")
        again = out.parent / "again" / out.name
        again.parent.mkdir()
        with self.converter().open(out) as copy:
            self._rewrite(copy, again, set(), "typed")
            with self.converter().open(again) as second:
                assert _content(second.messages()) == _content(copy.messages())
        assert fingerprint(path.parent) == before

    def test_abort_never_raises(self, reader: LogReader, out: Path) -> None:
        """Halfway, twice, and before anything was written."""
        writer = reader.rewriter(out, [], "typed")
        messages = list(reader.messages())
        for message in messages[: len(messages) // 2]:
            writer.copy(message)
        writer.abort()
        writer.abort()
        other = out.parent / "other" / out.name
        other.parent.mkdir()
        reader.rewriter(other, [], "string").abort()

    def test_a_rewriter_does_not_write_over_a_file(self, reader: LogReader, out: Path) -> None:
        """`out` must not exist: what is there stays as it is."""
        out.write_bytes(b"somebody's own")
        with pytest.raises(MediarefError):
            reader.rewriter(out, [], "typed")
        assert out.read_bytes() == b"somebody's own"

    def _rewrite(self, reader: LogReader, out: Path, topics: set[str], kind: RecordKind) -> None:
        writer = reader.rewriter(out, topics, kind)
        index = 0
        for message in reader.messages():
            if is_image(message) and message.channel.topic in topics:
                writer.record(message, _record(reader.image(message), index))
                index += 1
            else:
                writer.copy(message)
        writer.commit()


def _of(messages: Iterable[Message], topic: str) -> list[Message]:
    return [message for message in messages if message.channel.topic == topic]


def _originals(before: Iterable[Channel], after: Sequence[Channel]) -> dict[int, Channel]:
    """What each channel of records was: a topic's channels are in the same order before and after."""
    found = {}
    for topic in {channel.topic for channel in after}:
        now = [channel for channel in after if channel.topic == topic]
        then = [channel for channel in before if channel.topic == topic]
        for old, new in zip(then, now, strict=True):
            if old.role == "image":
                found[new.id] = replace(old, id=new.id)
    return found


def _ref(index: int) -> MediaRef:
    return MediaRef(uri=f"media/a%2Fb/{index:06}.mp4", pts_ns=None if index == 0 else index * 1000)


def _record(value: ImageValue, index: int) -> Record:
    return Record(
        _ref(index),
        stamp_ns=value.stamp_ns,
        frame_id=value.frame_id,
        source_type=value.type,
        source_encoding=value.encoding,
        height=value.height,
        width=value.width,
        step=value.step,
        is_bigendian=value.is_bigendian,
    )


def _key(channel: Channel) -> Hashable:
    """What a channel says, but its id: a container may number anew."""
    return (
        channel.topic,
        channel.type,
        channel.encoding,
        channel.definition,
        frozenset(channel.attributes.items()),
        channel.role,
    )


def _channels(channels: Iterable[Channel]) -> Counter[Hashable]:
    return Counter(map(_key, channels))


def _content(messages: Iterable[Message]) -> Counter[Hashable]:
    """Messages as a multiset: the order among equal times is the file's, and may change."""
    return Counter(
        (_key(each.channel), each.log_time_ns, each.publish_time_ns, each.sequence, bytes(each.data))
        for each in messages
    )


def _take(messages: Iterable[Message], images: Sequence[Message]) -> list[tuple[Message, Message]]:
    """Each image's record: of the same topic and times, in the same order."""

    def place(message: Message) -> tuple[str, int, int | None, int | None]:
        return message.channel.topic, message.log_time_ns, message.publish_time_ns, message.sequence

    wanted = Counter(map(place, images))
    records = [message for message in messages if wanted[place(message)] > 0 and not is_image(message)]
    assert list(map(place, records)) == list(map(place, images)), "records are not where the images were"
    return list(zip(records, images, strict=True))
