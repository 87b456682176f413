"""The shape of work that the seed published its figures for, as closely as what it says of it allows."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.bench.decode.clips import Clip
from tests.bench.decode.contenders import CONTENDERS
from tests.bench.decode.judge import looks_of
from tests.bench.decode.rounds import Ready, Row, run_calls

__all__ = ["trained"]

WINDOW, STRIDE = 16, 4  # frames of a window, and how far they lie apart: 3.2 s at 5 Hz
NAMES = (
    "ours, dataset",
    "ours, batch_decode",
    "open + seek per frame",
    "mediaref 1.0.0",
    "mediaref 2.1.0",
    "torchcodec",
)


def trained(
    pythons: Mapping[str, str], clips: list[Clip], rounds: int, folder: Path, *, quick: bool, logs: Path
) -> list[Row]:
    """Windows from episodes in shuffled order, all files kept open, and each opened for its window."""
    looks = [looks_of(Path(clip.path), folder / f"{clip.name}.npy") for clip in clips]
    for clip in clips:
        Path(clip.path).read_bytes()
    rows: list[Row] = []
    with ExitStack() as stack:
        taking_part = [contender for contender in CONTENDERS if contender.name in NAMES and contender.name in pythons]
        ready = Ready(taking_part, pythons, clips, logs, stack)
        for number in range(rounds):
            dice = random.Random(f"training {number}")
            calls = []
            for _ in range(4 if quick else 32):
                file = dice.randrange(len(clips))
                start = dice.randrange(len(clips[file].pts_ns) - WINDOW * STRIDE)
                calls.append((file, list(range(start, start + WINDOW * STRIDE, STRIDE))))
            for cold in dice.sample((False, True), 2):
                for contender in dice.sample(taking_part, len(taking_part)):
                    process, error = ready.of(contender)
                    row: Row = {"file": "episodes", "round": number, "contender": contender.name}
                    row["workload"] = "training, cold" if cold else "training"
                    if process is None:
                        row |= {"calls": len(calls), "frames": WINDOW * len(calls), "error": error}
                    else:
                        row |= run_calls(process, clips, looks, calls, cold)
                    rows.append(row)
            sys.stderr.write(f"episodes: round {number + 1} of {rounds}\n")
    return rows
