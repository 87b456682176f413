"""A conversion that was stopped: what its next run goes on from, and from what it does not."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partialmethod
from pathlib import Path

import pytest

from mediaref_tools import Settings, convert
from mediaref_tools.conversion import identity
from mediaref_tools.conversion.batch import convert_folder
from mediaref_tools.conversion.journal import Entry, Journal
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import FrameParts
from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.progress import Progress
from mediaref_tools.segments.segment import SegmentWriter
from tests.conversion.mixedlog import SEGMENT_NS, fingerprint, mixed_log
from tests.smalllogs import camera, log_of, others

SETTINGS = Settings(segment_ns=SEGMENT_NS)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return log_of(tmp_path / "source", "mcap", camera(count=60) + others())


def stop(progress: Progress) -> None:
    """Ctrl-C once everything is encoded."""
    if progress.stage == "prove":
        raise KeyboardInterrupt


def stopped(log: Path, out: Path, settings: Settings = SETTINGS) -> Path:
    """What a run leaves that was stopped."""
    with pytest.raises(KeyboardInterrupt) as caught:
        convert(log, out, settings=settings, on_progress=stop)
    partial = out.with_name(out.name + ".partial")
    assert str(partial) in caught.value.__notes__[0]
    return partial


def test_what_is_finished_is_not_encoded_again(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = convert(log, tmp_path / "whole", settings=SETTINGS)
    assert whole.segments_reused == 0
    stopped(log, tmp_path / "out")
    encoded: list[int] = []
    monkeypatch.setattr(SegmentWriter, "add", lambda _self, _frame, pts_us: encoded.append(pts_us))
    report = convert(log, tmp_path / "out", settings=SETTINGS)
    assert report.segments_reused == sum(topic.segments for topic in report.topics) > 3
    assert not encoded
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole")
    assert not (tmp_path / "out.partial").exists()
    same = {"out", "seconds", "segments_reused"}
    assert report.model_dump(exclude=same) == whole.model_dump(exclude=same)


def test_no_resume_starts_afresh(tmp_path: Path, log: Path) -> None:
    stopped(log, tmp_path / "out")
    assert convert(log, tmp_path / "out", settings=SETTINGS, resume=False).segments_reused == 0


DAMAGE: dict[str, Callable[[Path], object]] = {
    "segment": lambda partial: cut(partial / "new/media/camera/000001.mp4"),
    "segment's content": lambda partial: flip(partial / "new/media/camera/000001.mp4"),
    "segment gone": lambda partial: (partial / "new/media/camera/000001.mp4").unlink(),
    "rows": lambda partial: flip(next((partial / "journal").rglob("00000001.parquet"))),
    "entry": lambda partial: cut(next((partial / "journal").rglob("00000001.json"))),
    "entry of another place": lambda partial: point_outside(next((partial / "journal").rglob("00000001.json"))),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def point_outside(path: Path) -> None:
    entry = json.loads(path.read_text())
    entry["segments"][0]["uri"] = "../../source/source.mcap"
    path.write_text(json.dumps(entry))


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_counts_for_nothing(tmp_path: Path, log: Path, damage: str) -> None:
    """A disk that loses power may have written files in any order."""
    convert(log, tmp_path / "whole", settings=SETTINGS)
    before = fingerprint(log.parent)
    DAMAGE[damage](stopped(log, tmp_path / "out"))
    assert convert(log, tmp_path / "out", settings=SETTINGS).segments_reused == 1
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole")
    assert fingerprint(log.parent) == before


def refused(log: Path, out: Path, match: str, settings: Settings = SETTINGS) -> None:
    """Nothing of what is there is deleted, and the message says how to go on."""
    before = fingerprint(out.parent)
    with pytest.raises(OutputError, match=match) as caught:
        convert(log, out, settings=settings)
    assert "--no-resume" in str(caught.value)
    assert fingerprint(out.parent) == before


def test_other_settings_are_refused(tmp_path: Path, log: Path) -> None:
    stopped(log, tmp_path / "out")
    refused(log, tmp_path / "out", "its crf is None, not 30", Settings(segment_ns=SEGMENT_NS, crf=30))
    assert convert(log, tmp_path / "out", settings=SETTINGS).segments_reused


def test_another_version_is_refused(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(log, tmp_path / "out")
    monkeypatch.setattr(identity, "version", lambda _: "99.0")
    refused(log, tmp_path / "out", r"made by mediaref-tools \d.*, not mediaref-tools 99\.0")


def test_a_mark_of_another_form_is_refused(tmp_path: Path, log: Path) -> None:
    mark = stopped(log, tmp_path / "out") / ".mediaref-partial"
    mark.write_bytes(mark.read_bytes().replace(b'"settings"', b'"options"'))
    refused(log, tmp_path / "out", "another version")


def test_a_mark_that_was_not_written_to_its_end_says_nothing(tmp_path: Path, log: Path) -> None:
    mark = stopped(log, tmp_path / "out") / ".mediaref-partial"
    mark.write_bytes(b"conv")
    assert convert(log, tmp_path / "out", settings=SETTINGS).segments_reused == 0


@pytest.mark.parametrize("change", ["name", "size", "content"])
def test_another_log_is_refused(tmp_path: Path, log: Path, change: str) -> None:
    stopped(log, tmp_path / "out")
    if change == "name":
        log = log.rename(log.with_name("other.mcap"))
    elif change == "size":
        shutil.copy(log_of(tmp_path / "longer", "mcap", camera(count=70) + others()), log)
    else:
        flip(log)
    refused(log, tmp_path / "out", "changed since" if change == "content" else "it is of the log source.mcap of")


def test_the_same_log_may_have_been_copied(tmp_path: Path, log: Path) -> None:
    """Its times are others then, but its content is not."""
    stopped(log, tmp_path / "out")
    os.utime(log, ns=(1, 1))
    (tmp_path / "elsewhere").mkdir()
    moved = log.rename(tmp_path / "elsewhere" / log.name)
    assert convert(moved, tmp_path / "out", settings=SETTINGS).segments_reused


def test_log_that_changes_meanwhile_makes_no_dataset(tmp_path: Path, log: Path) -> None:
    def touch(progress: Progress) -> None:
        if progress.stage == "prove":
            with log.open("ab") as stream:
                stream.write(b"more")

    with pytest.raises(LogError, match="changed while"):
        convert(log, tmp_path / "out", settings=SETTINGS, on_progress=touch)
    assert [path.name for path in tmp_path.iterdir()] == ["source"], "nobody knows of what its segments are"


def test_log_that_vanishes_can_be_gone_on_with(tmp_path: Path) -> None:
    """A rosbag2 folder on a disk that is pulled out."""
    source = mixed_log(tmp_path / "source", "rosbag2-sqlite3")
    convert(source, tmp_path / "whole", settings=SETTINGS)
    away = tmp_path / "away"

    def vanish(progress: Progress) -> None:
        if progress.stage == "prove" and not away.exists():
            source.rename(away)
            raise OSError(5, "Input/output error", str(source))

    with pytest.raises(OSError, match="Input/output"):
        convert(source, tmp_path / "out", settings=SETTINGS, on_progress=vanish)
    assert not (tmp_path / "out").exists()
    with pytest.raises(LogError):
        convert(source, tmp_path / "out", settings=SETTINGS)
    away.rename(source)
    assert convert(source, tmp_path / "out", settings=SETTINGS).segments_reused
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole")


def test_full_disk_is_gone_on_from(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    convert(log, tmp_path / "whole", settings=SETTINGS)
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(FrameParts, "join", full)
        with pytest.raises(OutputError, match="no space left") as caught:
            convert(log, tmp_path / "out", settings=SETTINGS)
        assert "goes on from there" in caught.value.__notes__[0]
    assert convert(log, tmp_path / "out", settings=SETTINGS).segments_reused
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole")


def test_second_conversion_at_once_is_refused(tmp_path: Path, log: Path) -> None:
    """By another process that holds the lock; a conversion within this one is told the same."""
    told: list[str] = []

    def second(progress: Progress) -> None:
        if progress.stage == "prove" and not told:
            with pytest.raises(OutputError) as caught:
                convert(log, tmp_path / "out", settings=SETTINGS, resume=False)
            told.append(str(caught.value))
            done = mediaref("convert", log, "--out", tmp_path / "out", "--no-resume")
            assert done.returncode == 1
            told.append(done.stderr)

    report = convert(log, tmp_path / "out", settings=SETTINGS, on_progress=second)
    assert all("another conversion, export or restoration is writing there right now" in line for line in told)
    assert len(told) == 2
    assert report.wrong == 0


def test_an_export_and_a_conversion_share_the_lock(tmp_path: Path, log: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    with (tmp_path / "out.partial" / ".mediaref-partial").open("xb") as mark:
        mark.write(b"export\n")
        mark.flush()
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="right now"):
            convert(log, tmp_path / "out")
    with pytest.raises(OutputError, match="unfinished export left"):  # its process is dead now, and so is its lock
        convert(log, tmp_path / "out", resume=False)
    assert (tmp_path / "out.partial" / ".mediaref-partial").read_bytes() == b"export\n"


def mediaref(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaref_tools", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def interrupted(*arguments: object, when: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Run a command and press Ctrl-C once something is so."""
    command = [sys.executable, "-m", "mediaref_tools", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while process.poll() is None and not when():
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def finished(partial: Path) -> bool:
    return next((partial / "journal").rglob("*.json"), None) is not None


@pytest.fixture
def long_log(tmp_path: Path) -> Path:
    """A second's work."""
    return log_of(tmp_path / "logs", "rosbag1", camera(count=240, size=(240, 320)))


def test_interrupted_command_says_so_and_goes_on(tmp_path: Path, long_log: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / "out.partial"
    command = ("convert", long_log, "--out", out, "--segment", "0.5")
    done = interrupted(*command, when=lambda: finished(partial))
    assert done.returncode == 130
    assert done.stderr.strip() == (
        f"mediaref: interrupted; what is finished stays in {partial}: the same conversion goes on from there, or "
        "begins anew with --no-resume"
    )
    assert not out.exists()
    again = mediaref(*command, "--report", tmp_path / "report.json")
    assert again.returncode == 0
    reused = json.loads((tmp_path / "report.json").read_text())["segments_reused"]
    assert f"resumed: an earlier run, which was stopped, had finished {reused} segment" in again.stdout
    assert reused >= 1


def test_interrupted_batch_goes_on(tmp_path: Path, long_log: Path) -> None:
    folder, out = long_log.parent, tmp_path / "sets"
    first = log_of(folder / "a", "rosbag1", camera(count=5))
    command = ("convert", folder, "--out", out, "--segment", "0.5")
    done = interrupted(*command, when=lambda: finished(out / "source.partial"))
    assert done.returncode == 130
    assert done.stderr.strip().startswith("mediaref: interrupted; what is finished stays in")
    assert not (out / "source").exists()
    again = mediaref(*command)
    assert again.returncode == 0, again.stderr
    assert "resumed: an earlier run" in again.stdout
    assert "1 converted, 1 present before, 0 failed" in again.stdout
    assert first.exists()
    assert sorted(path.name for path in out.iterdir()) == ["a", "source"]


def test_batch_sweeps_up_behind_a_conversion_that_was_killed_at_its_very_end(tmp_path: Path, log: Path) -> None:
    out = tmp_path / "sets" / "source"
    shutil.copytree(stopped(log, out, Settings()), tmp_path / "kept")
    convert(log, out)
    shutil.copytree(tmp_path / "kept", tmp_path / "sets" / "source.partial")
    shutil.rmtree(tmp_path / "sets" / "source.partial" / "new")
    assert convert_folder(log.parent, tmp_path / "sets").present == 1
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["source"]


def test_old_dataset_is_put_back(tmp_path: Path, log: Path) -> None:
    """Killed between the two renames that replace it, a run leaves it in its folder."""
    out = tmp_path / "out"
    convert(log, out)
    before = fingerprint(out)
    with pytest.raises(KeyboardInterrupt):
        convert(log, out, settings=SETTINGS, overwrite=True, on_progress=stop)
    out.rename(tmp_path / "out.partial" / "old")
    with pytest.raises(OutputError, match="output exists"):
        convert(log, out, settings=SETTINGS)
    assert fingerprint(out) == before
    assert convert(log, out, settings=SETTINGS, overwrite=True).segments_reused
    assert fingerprint(out) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_stopped_behind_each_entry_of_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = mixed_log(tmp_path / "source")
    entries: list[str] = []
    add = Journal.add

    def counted(self: Journal, entry: Entry, rows: Sequence[FrameRow], at: int = 0) -> None:
        add(self, entry, rows)
        entries.append(entry.topic)
        if len(entries) == at:
            raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "add", counted)
    convert(log, tmp_path / "whole", settings=SETTINGS)
    whole, number = fingerprint(tmp_path / "whole"), len(entries)
    assert entries.count("/video") > 1
    for at in range(1, number + 1):
        entries.clear()
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Journal, "add", partialmethod(counted, at=at))
            convert(log, tmp_path / "out", settings=SETTINGS)
        assert (tmp_path / "out.partial").exists()
        convert(log, tmp_path / "out", settings=SETTINGS)
        assert number <= len(entries) < number + 4, "what was finished was finished again"
        assert fingerprint(tmp_path / "out") == whole, f"stopped behind entry {at}"
        shutil.rmtree(tmp_path / "out")
