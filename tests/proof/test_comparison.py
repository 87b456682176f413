"""Comparing two streams of messages: nothing may be lost, added or changed, and nothing is held."""

from __future__ import annotations

import itertools
import random
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from mediaref_tools.log import Channel, Message
from mediaref_tools.proof import comparison
from mediaref_tools.proof.comparison import Comparison, compare, fingerprint

IMU = Channel(3, "/imu", "sensor_msgs/msg/Imu", "cdr", b"float64 x", {"qos": "10", "callerid": "/node"})
TF = Channel(4, "/tf", "tf2_msgs/msg/TFMessage", "cdr", b"float64 y")


def stream(channels: tuple[Channel, ...] = (IMU, TF)) -> list[Message]:
    """Thirty messages of two channels, some at one time, two of them equal in everything."""
    messages = [
        Message(channels[n % 2], 1000 + n // 3 * 10, 900 + n, n // 2, bytes([n, 255 - n]) * 20, n) for n in range(30)
    ]
    messages.insert(15, messages[14]._replace(position=99))
    return messages


def test_equal_streams_are_equal() -> None:
    assert compare(stream(), stream()) == Comparison(31, 0)
    assert compare([], []) == Comparison(0, 0)


def test_what_a_rewrite_may_change_is_not_compared() -> None:
    """Channel ids and places in the file; bytes may be a view; channels may be made anew for each message."""
    other = [
        message._replace(
            channel=replace(message.channel, id=70 - message.channel.id, role="unsupported"),
            position=message.position * 7,
            data=memoryview(b"x" + bytes(message.data))[1:],
        )
        for message in stream()
    ]
    assert compare(stream(), other) == Comparison(31, 0)
    reordered = replace(IMU, attributes={"callerid": "/node", "qos": "10"})
    assert compare(stream(), stream((reordered, TF))) == Comparison(31, 0)


def test_file_order_among_equal_times_does_not_matter() -> None:
    groups = [list(group) for _, group in itertools.groupby(stream(), key=lambda message: message.log_time_ns)]
    rng = random.Random(1)
    for group in groups:
        rng.shuffle(group)
    assert compare(stream(), itertools.chain.from_iterable(groups)) == Comparison(31, 0)


CHANGES: dict[str, Callable[[Message], Message]] = {
    "payload, one byte": lambda m: m._replace(data=bytes(m.data[:-1]) + bytes([m.data[-1] ^ 1])),
    "payload, one byte more": lambda m: m._replace(data=bytes(m.data) + b"\0"),
    "payload, empty": lambda m: m._replace(data=b""),
    "log time": lambda m: m._replace(log_time_ns=m.log_time_ns + 1),
    "publish time": lambda m: m._replace(publish_time_ns=(m.publish_time_ns or 0) - 1),
    "publish time, none": lambda m: m._replace(publish_time_ns=None),
    "sequence": lambda m: m._replace(sequence=(m.sequence or 0) + 1),
    "sequence, none": lambda m: m._replace(sequence=None),
    "times, exchanged": lambda m: m._replace(log_time_ns=m.publish_time_ns or 0, publish_time_ns=m.log_time_ns),
    "topic": lambda m: m._replace(channel=replace(m.channel, topic="/imu2")),
    "type": lambda m: m._replace(channel=replace(m.channel, type="sensor_msgs/Imu")),
    "encoding": lambda m: m._replace(channel=replace(m.channel, encoding="ros1")),
    "definition": lambda m: m._replace(channel=replace(m.channel, definition=b"float64 x ")),
    "no definition": lambda m: m._replace(channel=replace(m.channel, definition=b"")),
    "attribute's value": lambda m: m._replace(
        channel=replace(m.channel, attributes={**m.channel.attributes, "qos": "9"})
    ),
    "attribute's name": lambda m: m._replace(channel=replace(m.channel, attributes={"qoz": "10", "callerid": "/node"})),
    "attribute lost": lambda m: m._replace(channel=replace(m.channel, attributes={"callerid": "/node"})),
    "attributes run together": lambda m: m._replace(
        channel=replace(m.channel, attributes={"callerid": "/nodeqos", "": "10"})
    ),
    "topic and type run together": lambda m: m._replace(
        channel=replace(m.channel, topic="/imus", type="ensor_msgs/msg/Imu")
    ),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("at", [0, 17, 29])
def test_one_message_that_differs_is_counted_on_both_sides(change: str, at: int) -> None:
    other = stream()
    assert other[at].channel is IMU
    other[at] = CHANGES[change](other[at])
    other.sort(key=lambda message: message.log_time_ns)
    assert compare(stream(), other) == Comparison(31, 2)
    assert compare(other, stream()) == Comparison(31, 2)


@pytest.mark.parametrize("at", [0, 14, 15, 30])
def test_missing_and_doubled_messages_are_counted(at: int) -> None:
    whole, less = stream(), stream()
    del less[at]
    more = [*whole[:at], whole[at], *whole[at:]]
    assert compare(whole, less) == Comparison(31, 1)
    assert compare(less, whole) == Comparison(30, 1)
    assert compare(whole, more) == Comparison(31, 1)
    assert compare(more, whole) == Comparison(32, 1)
    assert compare(more, less) == Comparison(32, 2)
    # One lost and another one doubled: the numbers are the same, the multisets are not.
    doubled = [*less, less[-1]]
    assert compare(whole, doubled).different == 2


def test_all_of_it_missing_is_all_of_it_different() -> None:
    assert compare(stream(), []) == Comparison(31, 31)
    assert compare([], stream()) == Comparison(0, 31)


def test_two_messages_that_exchanged_their_payloads_are_counted() -> None:
    other = stream()
    other[3], other[20] = other[3]._replace(data=other[20].data), other[20]._replace(data=other[3].data)
    assert compare(stream(), other) == Comparison(31, 4)


def test_more_differences_than_are_held_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MOST", 10)
    other = [message._replace(sequence=-1) for message in stream()]
    assert compare(stream(), other).different == 62
    assert compare(stream(), []).different == 31
    assert compare(stream(), stream()).different == 0


def test_more_messages_at_one_time_than_are_held_still_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MOST", 10)
    messages = [Message(IMU, 0, 0, n, b"x") for n in range(30)]
    assert compare(messages, list(messages)) == Comparison(30, 0)


def long(count: int, size: int = 1000) -> Iterator[Message]:
    return (Message(IMU, n, n, n, n.to_bytes(4, "little") * (size // 4)) for n in range(count))


def test_streams_are_consumed_side_by_side_and_not_held() -> None:
    lead = [0, 0]
    worst = 0

    def watched(side: int) -> Iterator[Message]:
        nonlocal worst
        for message in long(5000):
            lead[side] += 1
            worst = max(worst, abs(lead[0] - lead[1]))
            yield message

    tracemalloc.start()
    try:
        assert compare(watched(0), watched(1)) == Comparison(5000, 0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert worst <= 2
    assert peak < 500_000  # of 10 MB


@pytest.mark.parametrize("missing", [0, 1])
def test_streams_stay_side_by_side_where_one_has_more(missing: int) -> None:
    lead, worst = [0, 0], 0

    def watched(side: int) -> Iterator[Message]:
        nonlocal worst
        for message in long(2000):
            lead[side] += 1
            worst = max(worst, abs(lead[0] - lead[1]))
            if side != missing or message.log_time_ns % 100 != 7:
                yield message

    assert compare(watched(0), watched(1)).different == 20
    assert worst <= 2


def test_what_differs_costs_a_fingerprint_and_no_payload() -> None:
    tracemalloc.start()
    try:
        assert compare(long(3000, 4000), iter(())) == Comparison(3000, 3000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_500_000  # of 12 MB


def test_an_error_of_a_stream_comes_through() -> None:
    def broken() -> Iterator[Message]:
        yield from long(3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        compare(long(10), broken())


def test_fingerprints_are_128_bits_and_their_cache_is_only_a_cache() -> None:
    cache: dict[int, tuple[Channel, bytes]] = {}
    prints = {fingerprint(message, cache) for message in stream()}
    assert len(prints) == 30
    assert {len(found) for found in prints} == {16}
    assert prints == {fingerprint(message, {}) for message in stream()}
    # An id of a channel that is gone may be another's.
    cache[id(TF)] = (IMU, b"wrong")
    assert fingerprint(stream()[1], cache) == fingerprint(stream()[1], {})
