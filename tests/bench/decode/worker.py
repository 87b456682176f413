"""The process of one contender: answers a driver's questions, one line of JSON each, over stdin and stdout.

`python -m tests.bench.decode.worker MODULE OPTIONS` by the Python of the contender's own environment, so nothing but
numpy and the contender may be imported here. Only its calls to decode are timed: what it decoded is looked at
between them.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Contender", "Reader", "Target", "digest"]

CODE_STEP = 4  # every fourth pixel: the blocks of the code are 32 wide and more
LOOK_STEP = 16


class Target(NamedTuple):
    """A frame that is asked for: its place in the file, its time there, and its log time in the dataset."""

    place: int
    pts_ns: int
    log_time_ns: int


class Reader(Protocol):
    """An open file. What `decode` returns is the contender's own; `pictures` is not timed."""

    def decode(self, targets: Sequence[Target]) -> Any: ...
    def pictures(self, decoded: Any) -> Sequence[NDArray[np.uint8]]: ...
    def close(self) -> None: ...


class Contender(Protocol):
    """What each module of `peers` has."""

    def versions(self) -> dict[str, str]: ...
    def reader(self, file: dict[str, Any], options: dict[str, Any]) -> Reader: ...


def digest(picture: NDArray[np.uint8]) -> dict[str, Any]:
    """What tells which frame a picture is, and whether its colours are right: the code along its edge, a few pixels.

    Args:
        picture: (H, W, 3) uint8 RGB.
    """
    height, width = picture.shape[:2]
    code = np.ascontiguousarray(picture[: max(1, width // 10) : CODE_STEP, ::CODE_STEP, 1])
    look = np.ascontiguousarray(picture[::LOOK_STEP, ::LOOK_STEP])
    return {
        "size": [height, width],
        "code": base64.b64encode(code.tobytes()).decode(),
        "code_shape": code.shape,
        "look": base64.b64encode(look.tobytes()).decode(),
    }


class _Session:
    def __init__(self, contender: Contender, options: dict[str, Any]) -> None:
        self._contender, self._options = contender, options
        self._files: list[dict[str, Any]] = []
        self._readers: list[Reader] = []

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        what = question["do"]
        if what == "versions":
            return {"python": sys.version.split()[0], **self._contender.versions()}
        if what == "open":
            self._files = question["files"]
            begun = time.perf_counter()
            self._readers = [self._open(file) for file in self._files]
            return {"seconds": time.perf_counter() - begun}
        if what == "close":
            while self._readers:
                self._readers.pop().close()
            return {}
        calls = [(file, [Target(*target) for target in targets]) for file, targets in question["calls"]]
        return self._run(calls, cold=question["cold"])

    def _open(self, file: dict[str, Any]) -> Reader:
        return self._contender.reader(file, self._options)

    def _run(self, calls: list[tuple[int, list[Target]]], *, cold: bool) -> dict[str, Any]:
        """Decode call by call; `cold` opens and closes a file for each, and counts that."""
        wall = cpu = 0.0
        behind = _other_threads()
        read, asking = 0, _read_bytes()
        asking = _read_bytes() - asking
        found = []
        for file, targets in calls:
            at_work = _other_threads()
            read_before, cpu_before, begun = _read_bytes(), time.process_time(), time.perf_counter()
            reader = self._open(self._files[file]) if cold else self._readers[file]
            decoded = reader.decode(targets)
            if cold:
                reader.close()
            wall, cpu = wall + time.perf_counter() - begun, cpu + time.process_time() - cpu_before
            read += max(0, _read_bytes() - read_before - asking)
            pictures = reader.pictures(decoded)
            behind += _other_threads() - at_work  # within the call, and to make pictures to be judged
            if len(pictures) != len(targets):
                raise ValueError(f"{len(pictures)} frames came for {len(targets)}")
            found.append([digest(np.asarray(picture)) for picture in pictures])
            del decoded, pictures
        answer = {
            "seconds": wall,
            "cpu_seconds": cpu,
            "cpu_seconds_between": max(0.0, _other_threads() - behind),
            "bytes_read": read,
            "peak_rss": _peak_rss(),
            "found": found,
        }
        least = [getattr(self._readers[file], "least_bytes", lambda _: None)(targets) for file, targets in calls]
        return answer if None in least else {**answer, "least_bytes": sum(least)}


def _other_threads() -> float:
    """CPU seconds of all threads but this one: what they do between calls is decoding that nobody times."""
    return time.process_time() - time.thread_time()


def _read_bytes() -> int:
    """What the process has read by system calls, from files and all else; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/io").read_text("ascii").split()[1])
    except OSError:
        return 0


def _peak_rss() -> int:
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def main() -> None:
    # Answers have a channel of their own: some libraries print.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    name, options = sys.argv[1], json.loads(sys.argv[2])
    session: _Session | None = None
    for line in sys.stdin:
        try:
            if session is None:
                session = _Session(importlib.import_module(f"tests.bench.decode.peers.{name}"), options)
            answer = session.answer(json.loads(line))
        except Exception as error:  # whatever a library raises is this contender's answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
