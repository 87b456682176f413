"""Looking one message ahead on each topic of images, without holding much."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from mediaref_tools.log import Message

__all__ = ["with_following"]


class _Waiting:
    """A message, and the one that follows it on its topic once that is known."""

    __slots__ = ("following", "known", "message")

    def __init__(self, message: Message, known: bool) -> None:
        self.message, self.known = message, known
        self.following: Message | None = None


def with_following(
    messages: Iterable[Message], is_followed: Callable[[Message], bool], *, most_bytes: int, most_items: int
) -> Iterator[tuple[Message, Message | None]]:
    """Give out messages in order, each with the next one of its topic.

    What is given out depends on the messages alone, never on timing.

    Args:
        messages: Of any topics.
        is_followed: Whether a message's follower is asked for; others have none.
        most_bytes, most_items: How much is held at most while a follower is waited for. Where it does not come in
            time, or there is none, it is None.
    """
    held: deque[_Waiting] = deque()
    last: dict[str, _Waiting] = {}
    size = 0

    def ready() -> bool:
        return bool(held) and (held[0].known or size > most_bytes or len(held) > most_items)

    for message in messages:
        followed = is_followed(message)
        waiting = _Waiting(message, known=not followed)
        if followed:
            before = last.get(message.channel.topic)
            if before is not None:
                before.following, before.known = message, True
            last[message.channel.topic] = waiting
        held.append(waiting)
        size += len(message.data)
        while ready():
            first = held.popleft()
            size -= len(first.message.data)
            if last.get(first.message.channel.topic) is first:
                del last[first.message.channel.topic]
            yield first.message, first.following
    for waiting in held:
        yield waiting.message, waiting.following
