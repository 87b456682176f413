"""Conversions that are killed, and run again. A process of its own forks them, so that each costs no start of Python.

    python -m tests.conversion.kills '{"log": …, "folder": …, "kills": 50, "seed": 1}'

prints what became of them as JSON, or ends with an assertion.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from mediaref_tools import Settings, convert
from mediaref_tools.errors import OutputError
from mediaref_tools.plugins import installed
from tests.conversion.mixedlog import fingerprint

__all__ = ["main"]

_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.scandir", "shutil.rmtree", "os.truncate"}
"""What a process tells its audit hooks just before it does it to the file system."""

_BEFORE, _AFTER = 6, 4
"""So many events before and after a dataset's rename are watched closely."""


class Conversions:
    """One conversion, again and again in a folder."""

    def __init__(self, log: Path, folder: Path, settings: Settings, old: Path | None) -> None:
        """`old` is a dataset to be replaced, if there is to be one."""
        self.log, self.out, self.old, self._settings = log, folder / "out", old, settings
        self.partial = folder / "out.partial"

    def prepare(self) -> None:
        """Have nothing there but the old dataset."""
        for path in (self.out, self.partial):
            shutil.rmtree(path, ignore_errors=True)
        if self.old is not None:
            shutil.copytree(self.old, self.out)

    def run(self) -> int:
        """Convert; segments that an earlier run had finished."""
        overwrite = self.old is not None
        return convert(self.log, self.out, settings=self._settings, overwrite=overwrite).segments_reused


def _looks(dataset: Path) -> dict[str, str]:
    """Checksums of all files but an HDF5 one, in which groups carry the time of their making."""
    return {name: sha256 for name, sha256 in fingerprint(dataset).items() if not name.endswith(".hdf5")}


def _fork(work: Callable[[], Any], told: Path) -> int:
    """Do it in a child, which leaves what came of it in a file as JSON."""
    told.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            told.write_text(json.dumps(work()))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    return child


def _hook(act: Callable[[int, str, tuple[Any, ...]], None]) -> None:
    """Call `act` with each event's number, name and arguments, from here to this process's end."""
    numbers = count()
    sys.addaudithook(lambda event, values: act(next(numbers), event, values) if event in _EVENTS else None)


def _counted(conversions: Conversions) -> tuple[int, int]:
    """How many events there are, and the number of the dataset's rename."""
    last = commit = -1

    def note(number: int, event: str, values: tuple[Any, ...]) -> None:
        nonlocal last, commit
        last = number
        if event == "os.rename" and Path(values[1]) == conversions.out:
            commit = number

    _hook(note)
    conversions.run()
    return last + 1, commit


def _until(conversions: Conversions, event: int) -> None:
    _hook(lambda number, *_: os.kill(os.getpid(), signal.SIGKILL) if number == event else None)
    conversions.run()


def _beyond(conversions: Conversions, event: int) -> None:
    """Be killed at so many events after the one that puts the dataset in place: at 0, just before it is."""
    left: int | None = None

    def act(_: int, name: str, values: tuple[Any, ...]) -> None:
        nonlocal left
        if left is not None:
            left -= 1
        elif name == "os.rename" and Path(values[1]) == conversions.out:
            left = event
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _hook(act)
    conversions.run()


def _again(conversions: Conversions, whole: bool) -> int:
    try:
        return conversions.run()
    except OutputError as error:
        assert whole and "output exists" in str(error), error
        return -1


def _moments(kills: int, commit: int, rng: random.Random) -> Iterator[tuple[str, float]]:
    """Two fifths by the clock, two by events up to the dataset's rename, the rest around it; each evenly spread.

    Threads let a run have an event more or less than another: from the rename on they are counted anew.
    """
    near = max(kills // 5, min(kills, 10) // 2)
    far = (kills - near) // 2
    for index in range(far):
        yield "clock", (index + rng.random()) / far
    for index in range(kills - near - far):
        yield "event", int((index + rng.random()) / (kills - near - far) * commit)
    yield "beyond", 0
    for index in range(1, near):
        place = int((index + rng.random()) / near * (_BEFORE + _AFTER)) - _BEFORE
        yield ("event", commit + place) if place < 0 else ("beyond", place)


def main(log: str, folder: str, kills: int, seed: int, settings: dict[str, Any], old: str | None = None) -> Any:
    """Kill conversions at random moments; each must end as an undisturbed one does once it is run again."""
    told = Path(folder) / "told"
    conversions = Conversions(Path(log), Path(folder), Settings(**settings), None if old is None else Path(old))
    source = fingerprint(conversions.log.parent)
    before = None if old is None else _looks(Path(old))

    conversions.prepare()
    installed()  # imported once, and not in each child
    begun = time.monotonic()
    os.waitpid(_fork(conversions.run, told), 0)
    seconds = time.monotonic() - begun
    assert json.loads(told.read_text()) == 0
    wanted = _looks(conversions.out)
    conversions.prepare()
    os.waitpid(_fork(partial(_counted, conversions), told), 0)
    events, commit = json.loads(told.read_text())
    assert _looks(conversions.out) == wanted, "two undisturbed runs differ"

    found = {"killed": 0, "whole": 0, "between": 0, "resumed": 0, "events": events, "commit": commit}
    for how, moment in _moments(kills, commit, random.Random(seed)):
        conversions.prepare()
        work: dict[str, Callable[[], Any]] = {
            "clock": conversions.run,
            "event": partial(_until, conversions, int(moment)),
            "beyond": partial(_beyond, conversions, int(moment)),
        }
        child = _fork(work[how], told)
        if how == "clock":
            time.sleep(moment * seconds)
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        found["killed"] += killed
        where = f"killed at {how} {moment}"
        there = _looks(conversions.out) if conversions.out.exists() else None
        if there is None:
            assert killed, where
            assert before is None or _looks(conversions.partial / "old") == before, where
            found["between"] += before is not None
        else:
            assert there in (wanted, before), where
            assert there == wanted or killed, where
        found["whole"] += there == wanted
        os.waitpid(_fork(partial(_again, conversions, there == wanted), told), 0)
        found["resumed"] += json.loads(told.read_text()) > 0
        assert _looks(conversions.out) == wanted, where
        assert not conversions.partial.exists(), where
    assert fingerprint(conversions.log.parent) == source, "the source was changed"
    return found


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
