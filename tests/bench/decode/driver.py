"""The driver's end of a contender's process."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.bench.decode.contenders import ROOT, Contender, tidy

__all__ = ["Process"]

PATIENCE = 180.0  # seconds for one answer


class Process:
    """A contender's process, idle but for when it is asked. A context manager."""

    def __init__(self, contender: Contender, python: str, log: Path) -> None:
        """Start it; what it prints goes to `log`."""
        self.contender = contender
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [python, "-m", "tests.bench.decode.worker", contender.module, json.dumps(contender.options)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def ask(self, do: str, patience: float = PATIENCE, **what: Any) -> Mapping[str, Any]:
        """Its answer; where it has none, `error` says why."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            return {"error": self._ended()}
        # Answers are one line each, and none comes unasked: nothing is left in the buffer between them.
        if not select.select([process.stdout], [], [], patience)[0]:
            process.kill()
            return {"error": f"no answer in {patience:.0f} s"}
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            return {"error": self._ended()}
        answer: dict[str, Any] = json.loads(line)
        return {**answer, "error": tidy(answer["error"])} if "error" in answer else answer

    def _ended(self) -> str:
        return f"its process ended with {self._process.wait(30)}"

    @property
    def running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
