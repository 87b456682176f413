"""A conversion's flow: where a part of it is slow nothing is dropped, and memory does not grow with the log."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.conversion import rewriting
from mediaref_tools.conversion.track import Track
from mediaref_tools.log import Message
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import frame_number
from mediaref_tools.segments.segment import SegmentWriter
from tests.smalllogs import camera, log_of, others

COUNT = 90


def slowed(method: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """That method, after a while."""

    def slow(*args: Any) -> Any:
        time.sleep(seconds)
        return method(*args)

    return slow


def kinds(log: Path) -> tuple[type[Any], type[Any]]:
    """The classes that read and that write such a log."""
    with open_log(log) as reader:
        writer = reader.rewriter(log.with_name("try.mcap"), [], "typed")
        writer.abort()
        log.with_name("try.mcap").unlink(missing_ok=True)
        return type(reader), type(writer)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return log_of(tmp_path, "mcap", [*camera("/left", COUNT), *camera("/right", COUNT), *others()])


def held(monkeypatch: pytest.MonkeyPatch, log: Path) -> list[int]:
    """How many messages were read and not yet written, each time that one is read to be converted."""
    found: list[int] = []
    passes: list[None] = []
    counts = {"read": 0, "written": 0}
    lock = threading.Lock()
    reading, writing = kinds(log)
    messages, copy, record = reading.messages, writing.copy, writing.record

    def read(self: Any, *args: Any, **named: Any) -> Iterator[Message]:
        everything = not args and not named
        passes.extend([None] * everything)
        converting = everything and len(passes) == 1  # the passes after it are the proof's
        for message in messages(self, *args, **named):
            if converting:
                with lock:
                    counts["read"] += 1
                    found.append(counts["read"] - counts["written"])
            yield message

    def written(self: Any, method: Any, *args: Any) -> None:
        method(self, *args)
        with lock:
            counts["written"] += 1

    monkeypatch.setattr(reading, "messages", read)
    monkeypatch.setattr(writing, "copy", lambda self, message: written(self, copy, message))
    monkeypatch.setattr(writing, "record", lambda self, message, ref: written(self, record, message, ref))
    return found


def check(log: Path, out: Path) -> None:
    """Everything is there, in order, and shows its own picture."""
    report = convert(log, out, settings=Settings(segment_ns=10**9), threads=2)
    assert (report.frames, report.wrong, report.missing) == (2 * COUNT, 0, 0)
    assert report.messages_in == report.messages_out == 2 * COUNT + len(others())
    with open_dataset(out) as dataset:
        for topic in ("/left", "/right"):
            assert [frame_number(frame) for frame in dataset[topic].batch(range(COUNT)).data] == list(range(COUNT))


def test_a_slow_encoder_holds_up_the_reader_and_drops_nothing(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Track.add

    def slow(self: Track, *args: Any) -> Any:
        time.sleep(0.003 if self.ledger.topic == "/left" else 0)
        return add(self, *args)

    monkeypatch.setattr(Track, "add", slow)
    monkeypatch.setattr(rewriting, "_BACKLOG_ITEMS", 16)
    monkeypatch.setattr(rewriting, "_AHEAD_ITEMS", 8)
    found = held(monkeypatch, log)
    check(log, tmp_path / "out")
    assert 16 <= max(found) <= 16 + 8 + 2


def test_a_backlog_of_bytes_holds_up_the_reader_too(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Track, "add", slowed(Track.add, 0.003))
    size = max(len(message.body.data) for message in camera(count=COUNT))
    monkeypatch.setattr(rewriting, "_BACKLOG_BYTES", 10 * size)
    monkeypatch.setattr(rewriting, "_AHEAD_ITEMS", 8)
    check(log, tmp_path / "out")


@pytest.mark.parametrize("what", ["segments", "log"])
def test_a_slow_disk_drops_nothing(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "segments":
        monkeypatch.setattr(SegmentWriter, "_mux", slowed(SegmentWriter._mux, 0.002))
    else:
        writing = kinds(log)[1]
        monkeypatch.setattr(writing, "record", slowed(writing.record, 0.002))
    found = held(monkeypatch, log)
    check(log, tmp_path / "out")
    assert max(found) <= rewriting._BACKLOG_ITEMS + rewriting._AHEAD_ITEMS + 2


PEAK = """
import sys
import mediaref_tools as mrt
settings = mrt.Settings(segment_ns=10**10)
report = mrt.convert(sys.argv[1], sys.argv[2], settings=settings, threads=2)
assert (report.wrong, report.missing) == (0, 0)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(report.frames, peak.split()[1])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a process's peak of memory")
def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    peaks = []
    for count in (900, 9000):
        folder = tmp_path / str(count)
        folder.mkdir()
        log = log_of(folder, "mcap", camera(count=count))
        asked = [sys.executable, "-c", PEAK, str(log), str(folder / "out")]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        frames, peak_kb = map(int, done.stdout.split())
        assert frames == count
        peaks.append(peak_kb)
    assert peaks[1] <= 1.05 * peaks[0]
