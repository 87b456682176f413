"""The interleaved run: in each round every contender does every workload, in an order drawn by lot."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.decode.clips import Clip
from tests.bench.decode.contenders import Contender, NotInstalled, python_of
from tests.bench.decode.driver import Process
from tests.bench.decode.judge import judged, looks_of
from tests.bench.decode.workloads import WORKLOADS

__all__ = ["Row", "installed", "measured", "run_calls"]

Row = dict[str, Any]
Calls = list[list[int]]


def installed(
    contenders: Sequence[Contender], environments: Path, log: Path
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The Python of each contender that is there by name, and what is there or why not."""
    pythons: dict[str, str] = {}
    notes: list[dict[str, Any]] = []
    failed: dict[tuple[str, ...], str] = {}
    for contender in contenders:
        note: dict[str, Any] = {"contender": contender.name, "requires": list(contender.requires)}
        try:
            if contender.requires in failed:
                raise NotInstalled(failed[contender.requires])
            python = python_of(contender.requires, environments)
        except NotInstalled as error:
            failed[contender.requires] = str(error)
            notes.append({**note, "error": f"did not install: {error}"})
            continue
        with Process(contender, python, log) as process:
            answer = process.ask("versions")
        if "error" in answer:
            notes.append({**note, "error": f"does not load: {answer['error']}"})
            continue
        pythons[contender.name] = python
        notes.append({**note, "versions": dict(answer)})
    return pythons, notes


def run_calls(
    process: Process,
    clips: Sequence[Clip],
    looks: Sequence[NDArray[np.uint8]],
    calls: list[tuple[int, list[int]]],
    cold: bool,
) -> Row:
    """Let a contender do some calls, `(file, places of frames)`, and judge what came."""
    asked = [
        (file, [(place, clips[file].pts_ns[place], clips[file].log_times_ns[place]) for place in places])
        for file, places in calls
    ]
    row: Row = {"calls": len(calls), "frames": sum(len(places) for _, places in calls)}
    answer = dict(process.ask("run", calls=asked, cold=cold))
    if "error" in answer:
        return {**row, "error": answer["error"]}
    wrong, first, colour_error = 0, "", 0.0
    for (file, places), found in zip(calls, answer.pop("found"), strict=True):
        verdict = judged(places, found, looks[file])
        wrong, first = wrong + verdict.wrong, first or verdict.first
        colour_error = max(colour_error, verdict.colour_error)
    row |= answer | {"wrong": wrong, "colour_error": colour_error}
    return row | {"first_wrong": first} if wrong else row


def measured(
    contenders: Sequence[Contender],
    pythons: Mapping[str, str],
    clip: Clip,
    rounds: int,
    folder: Path,
    *,
    quick: bool,
    workloads: Sequence[str],
    logs: Path,
) -> list[Row]:
    """All rounds of one file. Nothing is left out: what failed or was wrong is a row as well."""
    looks = looks_of(Path(clip.path), folder / f"{clip.name}.npy")
    Path(clip.path).read_bytes()  # into the page cache
    chosen = [workload for workload in WORKLOADS if workload.name in workloads]
    rows: list[Row] = []
    with ExitStack() as stack:
        taking_part = [c for c in contenders if c.name in pythons and (clip.dataset or not c.own)]
        ready = Ready(taking_part, pythons, [clip], logs, stack)
        for number in range(rounds):
            dice = random.Random(f"{clip.name} {number}")
            begun = time.monotonic()
            for workload in dice.sample(chosen, len(chosen)):
                calls = workload.draw(dice, len(clip.pts_ns), quick)
                for contender in dice.sample(taking_part, len(taking_part)):
                    if workload.cold and contender.role == "limit":
                        continue
                    mine = calls[:1] if contender.per_frame and workload.name == "sequential" else calls
                    process, error = ready.of(contender)
                    row: Row = {"file": clip.name, "round": number, "workload": workload.name}
                    row["contender"] = contender.name
                    if process is None:
                        row |= {"calls": len(mine), "frames": sum(map(len, mine)), "error": error}
                    else:
                        row |= run_calls(process, [clip], [looks], [(0, call) for call in mine], workload.cold)
                    rows.append(row)
            sys.stderr.write(f"{clip.name}: round {number + 1} of {rounds}, {time.monotonic() - begun:.0f} s\n")
    return rows


class Ready:
    """Processes that have the files open and have decoded a frame of each; started anew where one died."""

    def __init__(
        self,
        contenders: Sequence[Contender],
        pythons: Mapping[str, str],
        clips: Sequence[Clip],
        logs: Path,
        stack: ExitStack,
    ) -> None:
        self._pythons, self._clips, self._logs, self._stack = pythons, clips, logs, stack
        self._processes: dict[str, Process] = {}
        self._errors: dict[str, str] = {}
        for contender in contenders:
            self.of(contender)

    def of(self, contender: Contender) -> tuple[Process | None, str]:
        """Its process; or None, and why it does not open the files."""
        name = contender.name
        process = self._processes.get(name)
        if name not in self._errors and (process is None or not process.running):
            process = Process(contender, self._pythons[name], self._logs / "workers.log")
            self._stack.enter_context(process)
            self._processes[name] = process
            files = [{"path": clip.path, "dataset": clip.dataset, "topic": clip.topic} for clip in self._clips]
            answer = process.ask("open", files=files)
            if "error" in answer:
                self._errors[name] = answer["error"]
                process.close()
            else:
                # What is imported at first use, and set up once: for several frames, too.
                warm = [
                    (file, [(at, clip.pts_ns[at], clip.log_times_ns[at]) for at in (0, len(clip.pts_ns) // 2)])
                    for file, clip in enumerate(self._clips)
                ]
                process.ask("run", calls=warm, cold=False)
        return (None, self._errors[name]) if name in self._errors else (self._processes[name], "")
