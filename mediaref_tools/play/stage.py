"""Topics side by side as text: where each is, what it shows, and what its label says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import MediarefError
from mediaref_tools.plaintext import printable, seconds_text
from mediaref_tools.play.terminal import Tile, grid, tile_lines, width_of
from mediaref_tools.times import iso_time

if TYPE_CHECKING:
    from mediaref_tools.dataset.topic import Topic

__all__ = ["Stage", "label"]


class Stage:
    """Draws topics as text. Holds one decoded frame of each.

    Args:
        topics: Of one dataset.
        start_ns: Where relative times count from.
        color: Half blocks in colour; else characters.
    """

    def __init__(self, topics: Sequence[Topic], *, start_ns: int, color: bool) -> None:
        self.topics = topics
        self.start_ns = start_ns
        self.color = color
        self.tiles: list[Tile] = []
        """Where the topics are; fewer than topics where the rest don't fit."""
        self._held: dict[int, tuple[int, NDArray[np.uint8] | str]] = {}
        self._sizes = [_usual_size(topic) for topic in topics]
        self._longest = _longest_label(topics, start_ns)

    def lay_out(self, columns: int, rows: int | None) -> None:
        """Place the tiles: on a screen, or on paper where `rows` is None."""
        self.tiles = grid(self._sizes, columns, rows, self._longest)

    def tile(self, place: int, index: int) -> list[str]:
        """The lines of a topic's tile, with its frame `index`; -1 is before the first."""
        fields = label(self.topics[place], index, self.start_ns)
        content = self._content(place, index)
        return tile_lines(content, fields, self.tiles[place], size=self._sizes[place], color=self.color)

    def page(self, shown: Sequence[int]) -> list[str]:
        """All tiles as lines of a page, each topic with its frame in `shown`."""
        lines = []
        for _, group in groupby(range(len(self.tiles)), key=lambda place: self.tiles[place].row):
            row = [self.tile(place, shown[place]) for place in group]
            lines += [" ".join(parts).rstrip() for parts in zip(*row, strict=True)] + [""]
        return lines[:-1]

    def _content(self, place: int, index: int) -> NDArray[np.uint8] | str:
        """A frame's pixels, or why there are none."""
        topic = self.topics[place]
        if index < 0:
            if not len(topic):
                return "no frames"
            return f"begins at {seconds_text(int(topic.log_times_ns[0]) - self.start_ns)}"
        held = self._held.get(place)
        if held is None or held[0] != index:
            try:
                content: NDArray[np.uint8] | str = topic.batch([index], "rgb")[0].data
            except MediarefError as error:
                content = str(error)
            held = self._held[place] = (index, content)
        return held[1]


def _usual_size(topic: Topic) -> tuple[int, int]:
    """(height, width) of the first frame that has one."""
    known = np.flatnonzero((topic.sizes > 0).all(axis=1))
    if not len(known):
        return 3, 4
    height, width = topic.sizes[known[0]].tolist()
    return height, width


def _longest_label(topics: Sequence[Topic], start_ns: int) -> list[str]:
    """Fields at least as long as those of any label to come, so that no picture has to move for its label."""
    labels = [label(topic, len(topic) - 1, start_ns) for topic in topics]
    longest = [max(fields, key=width_of) for fields in zip(*labels, strict=True)]
    longest[-1] = f"pts {max((int(topic.pts_ns.max()) for topic in topics if len(topic)), default=0)}"
    return longest


def label(topic: Topic, index: int, start_ns: int) -> list[str]:
    """What is said of a topic's frame: name, index and count, log time from the start and as it is, pts.

    Returns:
        Five fields. The index counts from 0, as `topic[index]` does; "-" is before the first frame.
    """
    name = printable(topic.name)
    if index < 0:
        return [name, f"-/{len(topic)}", "", "", ""]
    time_ns, pts_ns = int(topic.log_times_ns[index]), int(topic.pts_ns[index])
    return [
        name,
        f"{index}/{len(topic)}",
        seconds_text(time_ns - start_ns),
        iso_time(time_ns),
        str(topic.status[index]) if pts_ns < 0 else f"pts {pts_ns}",
    ]
