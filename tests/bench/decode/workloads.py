"""What is asked for: calls of frames, drawn anew for each round and the same for all contenders."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["WORKLOADS", "Workload"]

Calls = list[list[int]]


class Workload(NamedTuple):
    """`draw` gives the places of frames, call by call, of a file of so many; `cold` opens and closes for each call."""

    name: str
    title: str
    draw: Callable[[random.Random, int, bool], Calls]
    cold: bool = False


def _random(dice: random.Random, count: int, quick: bool) -> Calls:
    return [dice.sample(range(count - 1), 16 if quick else 64)]


def _windows(dice: random.Random, count: int, quick: bool) -> Calls:
    starts = [dice.randrange(count - 8 * 5) for _ in range(3 if quick else 12)]
    return [list(range(start, start + 8 * 5, 5)) for start in starts]


def _strided(dice: random.Random, count: int, quick: bool) -> Calls:
    wanted = min(12 if quick else 64, (count - 20) // 20)
    start = dice.randrange(count - 20 * wanted)
    return [list(range(start, start + 20 * wanted, 20))]


def _sequential(dice: random.Random, count: int, quick: bool) -> Calls:
    calls = 2 if quick else 9
    start = dice.randrange(count - 32 * calls)
    return [list(range(start + 32 * call, start + 32 * (call + 1))) for call in range(calls)]


def _single(dice: random.Random, count: int, quick: bool) -> Calls:
    return [[place] for place in dice.sample(range(count - 1), 4 if quick else 24)]


def _cold(dice: random.Random, count: int, quick: bool) -> Calls:
    return [[place] for place in dice.sample(range(count - 1), 2 if quick else 8)]


WORKLOADS = (
    Workload("random", "64 random", _random),
    Workload("windows", "windows of 8, stride 5", _windows),
    Workload("strided", "every 20th", _strided),
    Workload("sequential", "sequential", _sequential),
    Workload("single", "one frame", _single),
    Workload("cold", "one frame, cold", _cold, cold=True),
)
"""The last frame of a file is never asked for alone: when it ends is not for all readers to tell."""
