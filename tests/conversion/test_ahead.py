"""Looking one message ahead: order, followers, bounds; and that timing has no say in it."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.conversion.ahead import with_following
from mediaref_tools.log import Channel, Message

CHANNELS = {topic: Channel(number, topic, "x", "cdr") for number, topic in enumerate("abt")}


def message(topic: str, number: int, size: int = 1) -> Message:
    return Message(CHANNELS[topic], number, None, None, b"x" * size)


def is_image(one: Message) -> bool:
    return one.channel.topic in "ab"


@given(st.lists(st.sampled_from("abt")))
def test_each_has_the_next_of_its_topic(topics: list[str]) -> None:
    messages = [message(topic, number) for number, topic in enumerate(topics)]
    found = list(with_following(messages, is_image, most_bytes=10**9, most_items=10**9))
    assert [one for one, _ in found] == messages
    for one, following in found:
        after = [other for other in messages[one.log_time_ns + 1 :] if other.channel is one.channel]
        assert following == (after[0] if after and is_image(one) else None)


@given(st.lists(st.tuples(st.sampled_from("abt"), st.integers(0, 50))), st.integers(0, 100), st.integers(0, 5))
def test_no_more_than_asked_for_is_held(parts: list[tuple[str, int]], most_bytes: int, most_items: int) -> None:
    taken: list[Message] = []

    def source() -> Iterator[Message]:
        for number, (topic, size) in enumerate(parts):
            taken.append(message(topic, number, size))
            yield taken[-1]

    given_out = 0
    for one, following in with_following(source(), is_image, most_bytes=most_bytes, most_items=most_items):
        held = taken[given_out:]
        given_out += 1
        assert one is held[0]
        # The one that came last made it too much, or known.
        assert sum(len(other.data) for other in held[:-1]) <= most_bytes
        assert len(held) <= most_items + 1
        assert following is None or following in held
    assert given_out == len(parts)


def test_a_slow_topic_does_not_hold_up_the_rest() -> None:
    messages = [message("a", 0), *[message("t", number) for number in range(1, 100)], message("a", 100)]
    found = list(with_following(messages, is_image, most_bytes=10**9, most_items=10))
    assert [one for one, _ in found] == messages
    assert [following for _, following in found] == [None] * len(messages)
