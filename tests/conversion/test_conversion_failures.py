"""All or nothing: whatever stops `convert` leaves no output, an untouched source, and one of our errors.

What it may leave is `out.partial`, where something is finished and nothing says that it could be wrong.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mediaref_tools.converters.rosbag1.writer import Rosbag1Writer

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.conversion import building, conversion
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import FrameParts
from mediaref_tools.errors import EncodeError, MediarefError, OutputError, ProofError
from mediaref_tools.progress import Progress
from mediaref_tools.sample import Container
from mediaref_tools.segments.segment import SegmentWriter
from tests.smalllogs import camera, every_container, log_of, others

Fault = Callable[[pytest.MonkeyPatch], None]
ORIGINAL_ADD, ORIGINAL_CLOSE = SegmentWriter.add, SegmentWriter.close


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Path]:
    """A log in a folder of its own, which must be the same after the test, as must the process's threads."""
    log = log_of(tmp_path / "source", "rosbag1", camera(count=40) + others())
    before = fingerprint(log.parent)
    threads = threading.active_count()
    yield log
    assert fingerprint(log.parent) == before, "the source was changed"
    assert threading.active_count() <= threads


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def raising(error: BaseException, on: int = 10) -> Callable[..., Any]:
    """What fails at its `on`-th call."""
    calls = [0]

    def fail(self: Any, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] >= on:
            raise error
        return ORIGINAL_ADD(self, *arguments) if isinstance(self, SegmentWriter) else None

    return fail


def row_pts(rows: list[FrameRow]) -> list[FrameRow]:
    return [replace(row, pts_ns=None if row.pts_ns is None else row.pts_ns + 1000) for row in rows]


FAULTS: dict[str, tuple[type[BaseException], Fault]] = {
    "encoder": (EncodeError, lambda patch: patch.setattr(SegmentWriter, "add", raising(EncodeError("no")))),
    "segment's end": (EncodeError, lambda patch: patch.setattr(SegmentWriter, "close", raising(EncodeError("no"), 1))),
    "interrupted": (KeyboardInterrupt, lambda patch: patch.setattr(SegmentWriter, "add", raising(KeyboardInterrupt()))),
    "record": (OutputError, lambda patch: patch.setattr(Rosbag1Writer, "record", raising(OutputError("no"), 1))),
    "copy": (OutputError, lambda patch: patch.setattr(Rosbag1Writer, "copy", raising(OutputError("no"), 1))),
    "log's end": (OutputError, lambda patch: patch.setattr(Rosbag1Writer, "commit", raising(OutputError("no"), 1))),
    "parts": (OSError, lambda patch: patch.setattr(FrameParts, "add", raising(OSError(5, "no"), 1))),
    "table": (OSError, lambda patch: patch.setattr(FrameParts, "join", raising(OSError(5, "no"), 1))),
    "proof": (
        ProofError,
        lambda patch: patch.setattr(conversion, "check", raising(ProofError("no"), 1)),
    ),
    "sync": (
        OSError,
        lambda patch: patch.setattr(building, "sync", raising(OSError(5, "no"), 1)),
    ),
    "bug": (ZeroDivisionError, lambda patch: patch.setattr(conversion, "check", raising(ZeroDivisionError(), 1))),
    "memory": (MemoryError, lambda patch: patch.setattr(conversion, "check", raising(MemoryError(), 1))),
}
STAYS = {"log's end", "table", "sync", "memory"}
"""After these, the one segment of the log is finished, and there is nothing wrong with it."""


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_leaves_nothing(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    error, install = FAULTS[fault]
    with monkeypatch.context() as patch, pytest.raises(error):
        install(patch)
        convert(source, tmp_path / "out")
    assert names_in(tmp_path) == (["out.partial", "source"] if fault in STAYS else ["source"])
    report = convert(source, tmp_path / "out")
    assert (report.wrong, report.segments_reused) == (0, fault in STAYS)
    assert names_in(tmp_path) == ["out", "source"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_leaves_the_dataset_that_was_there(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    convert(source, tmp_path / "out", settings=Settings(gop=3))
    before = fingerprint(tmp_path / "out")
    error, install = FAULTS[fault]
    with monkeypatch.context() as patch, pytest.raises(error):
        install(patch)
        convert(source, tmp_path / "out", overwrite=True)
    assert fingerprint(tmp_path / "out") == before
    assert names_in(tmp_path) == ["out", *(["out.partial"] if fault in STAYS else []), "source"]


@pytest.mark.parametrize("stage", ["encode", "prove"])
def test_whoever_watches_may_stop_it(tmp_path: Path, source: Path, stage: str) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(source, tmp_path / "out", on_progress=stop)
    assert names_in(tmp_path) == (["source"] if stage == "encode" else ["out.partial", "source"])


def test_killed_leaves_no_output_and_the_next_run_clears_up(tmp_path: Path, source: Path) -> None:
    script = (
        "import os, signal, sys\nfrom mediaref_tools import convert\n"
        "def die(progress):\n    if progress.stage == 'prove': os.kill(os.getpid(), signal.SIGKILL)\n"
        "convert(sys.argv[1], sys.argv[2], on_progress=die)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(source), str(tmp_path / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert names_in(tmp_path) == ["out.partial", "source"]
    (tmp_path / "out.partial" / "new" / "media" / "of before.mp4").write_bytes(b"x")
    convert(source, tmp_path / "out")
    assert names_in(tmp_path) == ["out", "source"]
    assert not list((tmp_path / "out").rglob("of before.mp4"))
    assert verify(tmp_path / "out", against=source).ok


def test_folder_of_a_stranger_in_the_way_is_not_touched(tmp_path: Path, source: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"out\.partial"):
        convert(source, tmp_path / "out")
    assert (tmp_path / "out.partial" / "thesis.tex").read_text() == "years of work"
    assert not (tmp_path / "out").exists()


def test_output_that_exists_is_refused_or_replaced(tmp_path: Path, source: Path) -> None:
    convert(source, tmp_path / "out", settings=Settings(gop=3))
    before = fingerprint(tmp_path / "out")
    with pytest.raises(OutputError, match="exists"):
        convert(source, tmp_path / "out")
    assert fingerprint(tmp_path / "out") == before
    convert(source, tmp_path / "out", overwrite=True)
    assert names_in(tmp_path) == ["out", "source"]
    with open_dataset(tmp_path / "out") as dataset:
        assert dataset.manifest.settings.gop == 15
    assert verify(tmp_path / "out", against=source).ok


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file"])
def test_only_a_dataset_is_overwritten(tmp_path: Path, source: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    else:
        out.mkdir()
    if kind == "folder":
        (out / "file").write_text("mine")
    before = fingerprint(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="out"):
            convert(source, out, overwrite=overwrite)
    assert fingerprint(tmp_path) == before


@pytest.mark.parametrize("where", ["the same", "inside", "deep inside", "around", "through a link"])
def test_output_and_source_may_not_lie_in_each_other(tmp_path: Path, where: str) -> None:
    log = log_of(tmp_path, "rosbag2-sqlite3", camera(count=3))
    before = fingerprint(tmp_path)
    (tmp_path / "link").symlink_to(log)
    outs = {
        "the same": log,
        "inside": log / "out",
        "deep inside": log / "a" / "b",
        "around": tmp_path,
        "through a link": tmp_path / "link" / "out",
    }
    for overwrite in (False, True):
        with pytest.raises(OutputError):
            convert(log, outs[where], overwrite=overwrite)
    (tmp_path / "link").unlink()
    assert fingerprint(tmp_path) == before


def test_source_in_the_folder_that_would_be_cleared_survives(tmp_path: Path) -> None:
    """Of a conversion that was killed, somebody converts the log that it left behind."""
    log = log_of(tmp_path / "out.partial", "rosbag1", camera(count=3))
    (tmp_path / "out.partial" / ".mediaref-partial").touch()
    with pytest.raises(OutputError):
        convert(log, tmp_path / "out")
    assert log.exists()


@pytest.mark.parametrize("out", ["", ".", "/", "a\0b", "x" * 300, "x" * 250])
def test_output_that_can_not_be_is_refused(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError):
        convert(source, out)
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("name", ["manifest.json", "frames.parquet", "media", ".hidden", "frames.parquet.new"])
def test_log_s_name_does_not_matter(tmp_path: Path, source: Path, name: str) -> None:
    log = Path(shutil.copy(source, tmp_path / name))
    convert(log, tmp_path / "out")
    assert verify(tmp_path / "out", against=log).ok


def test_topic_s_name_may_be_long(tmp_path: Path) -> None:
    source = log_of(tmp_path, "mcap", camera("/" + "long" * 80, 3))
    try:
        assert convert(source, tmp_path / "out").wrong == 0
    except MediarefError:
        assert not (tmp_path / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here: that needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@every_container
@pytest.mark.parametrize("full_of", ["pictures", "messages"])
def test_full_disk_is_told_and_cleared(tmp_path: Path, small_disk: Path, container: Container, full_of: str) -> None:
    messages = camera(count=60, size=(120, 160), encoding="rgb8")
    for message in messages:
        message.body.data = np.frombuffer(os.urandom(len(message.body.data)), np.uint8)
    extra = others()
    if full_of == "messages":
        messages = messages[:4]
        for message in extra:
            if message.topic == "/talk":
                message.body.data = os.urandom(40_000).hex()
    source = log_of(tmp_path, container, messages + extra)
    with pytest.raises(OutputError, match=r"(?i)space|full") as caught:
        convert(source, small_disk / "out", settings=Settings(crf=0 if full_of == "pictures" else 40, gop=1))
    assert "\n" not in str(caught.value)
    left = small_disk / "out.partial"
    assert list(small_disk.iterdir()) == ([left] if list(left.rglob("*.json")) else [])
