"""Logs side by side in processes, in shards, from several inputs, and deleted once they are proved."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import mediaref_tools as mrt
from mediaref_tools.conversion import batch, removal
from mediaref_tools.conversion.inputs import Shard, batch_logs
from mediaref_tools.conversion.workers import Died, side_by_side
from mediaref_tools.errors import LogNotFound, OutputError
from mediaref_tools.log import FolderReader
from mediaref_tools.plugins import open_log
from mediaref_tools.progress import OnProgress, Progress
from mediaref_tools.sample import make_sample
from tests.converters import hdf5logs


def samples(folder: Path, *names: str) -> Path:
    """Short logs of a folder."""
    for name in names:
        make_sample(folder / name, container="rosbag1", seconds=0.2)
    return folder


def drawn(number: int, on_progress: OnProgress) -> int:
    on_progress(Progress("encode", number, 9))
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        os.abort()
    return number * number


def raising(on_progress: OnProgress) -> int:
    raise ZeroDivisionError("so there")


def test_a_process_that_is_killed_takes_only_its_own_work_with_it() -> None:
    told: list[tuple[int, int]] = []
    works = [partial(drawn, number) for number in range(6)]
    found = dict(side_by_side(2, works, lambda number, state: told.append((number, state.done))))
    assert {number: result for number, result in found.items() if not isinstance(result, Died)} == {
        0: 0, 1: 1, 4: 16, 5: 25,
    }  # fmt: skip
    assert [str(found[number]) for number in (2, 3)] == ["ended by SIGKILL", "ended by SIGABRT"]
    assert sorted(told) == [(number, number) for number in range(6)]


def test_a_bug_in_a_process_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError, match="so there"):
        list(side_by_side(2, [raising], lambda *_: None))


def test_side_by_side_gives_what_one_after_the_other_gives(tmp_path: Path) -> None:
    logs = samples(tmp_path / "logs", "a.bag", "b.bag", "c.bag")
    (logs / "cut.bag").write_bytes((logs / "a.bag").read_bytes()[:20])
    states: list[Progress] = []
    one = mrt.convert_folder(logs, tmp_path / "one")
    two = mrt.convert_logs([logs], tmp_path / "two", jobs=2, on_progress=states.append)

    def plain(report: mrt.BatchReport) -> Any:
        return [
            (each.log, each.out, each.state, each.error, each.report and each.report.topics) for each in report.logs
        ]

    assert plain(one) == plain(two)
    assert [entry.state for entry in two.logs] == ["converted", "converted", "converted", "failed"]
    assert (states[0].done, states[-1].done, states[-1].total) == (0, 4, 4)
    assert [state.done for state in states] == sorted(state.done for state in states)
    assert states[-1].bytes_in == sum(t.bytes_in for e in two.logs if e.report for t in e.report.topics)
    again = mrt.convert_logs([logs], tmp_path / "two", jobs=2)
    assert (again.present, again.failed, again.frames) == (3, 1, 0)
    for before, now in zip(two.logs, again.logs, strict=True):
        if before.report is not None and now.report is not None:
            changed = {"seconds": now.report.seconds}
            assert before.report.model_copy(update=changed) == now.report


def test_ctrl_c_ends_all_and_the_next_run_goes_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_sample(tmp_path / "logs" / f"{name}.bag", container="rosbag1", seconds=40)
    script = textwrap.dedent("""
        import sys, mediaref_tools as mrt
        if __name__ == "__main__":
            settings = mrt.Settings(segment_ns=500_000_000)
            report = mrt.convert_logs([sys.argv[1]], sys.argv[2], settings=settings, jobs=2)
            print(report.converted, sum(e.report.segments_reused for e in report.logs))
    """)
    (tmp_path / "run.py").write_text(script)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "logs"), str(tmp_path / "out")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.cwd())
    limit = time.monotonic() + 60
    entries = [tmp_path / "out" / f"{name}.partial" / "journal" for name in ("a", "b")]
    while not all(any(entry.rglob("*.json")) for entry in entries) and time.monotonic() < limit:
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode != 0
    assert errors.count("Traceback") == 1, errors  # the script's own, of nobody's worker
    assert not (tmp_path / "out" / "a").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    converted, reused = map(int, done.stdout.split())
    assert converted == 2
    assert reused >= 2


def test_several_inputs(tmp_path: Path) -> None:
    logs = samples(tmp_path / "logs", "a.bag", "in/b.bag")
    hdf5logs.aloha(logs / "a.hdf5", 2, ("cam",))
    drive = make_sample(tmp_path / "drive", container="rosbag2-sqlite3", seconds=0.2)
    found = batch_logs([drive, logs, logs / "a.bag"], tmp_path / "out")
    assert {(log.name.as_posix(), log.out.as_posix()) for log in found} == {
        ("drive", "drive"),
        ("in/b.bag", "in/b"),
        ("a.hdf5", "a.hdf5"),
        ("a.bag", "a.bag"),
    }
    report = mrt.convert_logs([drive, logs / "in", tmp_path / "nowhere.bag"], tmp_path / "out")
    assert [(entry.log, entry.state) for entry in report.logs] == [
        ("drive", "converted"),
        ("b.bag", "converted"),
        ("nowhere.bag", "failed"),
    ]
    samples(tmp_path / "other", "a.bag")
    with pytest.raises(OutputError, match="two logs of one name"):
        batch_logs([logs, tmp_path / "other"], tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogNotFound):
        batch_logs([logs, tmp_path / "empty"], tmp_path / "out")


def test_each_log_is_in_one_shard_and_stays_there(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    samples(logs, "0.bag")
    for number in range(1, 30):
        shutil.copyfile(logs / "0.bag", logs / f"{number}.bag")
    shards = [Shard(number, 4) for number in range(1, 5)]
    few = batch_logs([logs], tmp_path / "out")
    parts = {log.name: [shard.number for shard in shards if shard.has(log)] for log in few}
    assert all(len(part) == 1 for part in parts.values())
    assert {part[0] for part in parts.values()} == {1, 2, 3, 4}
    shutil.copyfile(logs / "0.bag", logs / "00.bag")
    for log in batch_logs([logs], tmp_path / "out"):
        assert parts.get(log.name, [shard.number for shard in shards if shard.has(log)]) == [
            shard.number for shard in shards if shard.has(log)
        ]
    done = [mrt.convert_logs([logs], tmp_path / "out", shard=(number, 20)) for number in (1, 2, 3)]
    names = [entry.log for report in done for entry in report.logs]
    assert len(names) == len(set(names))
    for shard in ((0, 2), (3, 2)):
        with pytest.raises(ValueError, match="shard"):
            mrt.convert_logs([logs], tmp_path / "out", shard=shard)


def deleted(log: Path, out: Path, **more: Any) -> mrt.BatchEntry:
    return mrt.convert_logs([log], out, delete_source=True, **more).logs[0]


def test_a_log_is_deleted_once_it_is_proved(tmp_path: Path) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    shutil.copyfile(log, tmp_path / "copy")
    entry = deleted(log, tmp_path / "out")
    assert (entry.source_deleted, entry.source_stays, log.exists()) == (True, None, False)
    assert mrt.verify(tmp_path / "out" / "a", against=tmp_path / "copy").ok


@pytest.mark.parametrize("container", ["rosbag2-sqlite3", "rosbag2-mcap"])
def test_a_folder_is_deleted_whole_or_not_at_all(tmp_path: Path, container: Any) -> None:
    log = make_sample(tmp_path / "drive", container=container, seconds=0.2)
    (log / "notes.txt").write_text("mine")
    entry = deleted(log, tmp_path / "out")
    assert not entry.source_deleted
    assert entry.source_stays == "its folder holds what is no part of the log: notes.txt"
    (log / "notes.txt").unlink()
    (log / "link").symlink_to(tmp_path)
    with open_log(log) as reader:
        assert isinstance(reader, FolderReader)
        assert list(reader.strangers()) == [log / "link"]
    assert deleted(log, tmp_path / "again").source_stays
    (log / "link").unlink()
    shutil.rmtree(tmp_path / "out")
    assert deleted(log, tmp_path / "out").source_deleted
    assert [path.name for path in tmp_path.iterdir() if "drive" in path.name] == []


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    link = tmp_path / "link.bag"
    link.symlink_to(log)
    entry = deleted(link, tmp_path / "out")
    assert "it is a link" in (entry.source_stays or "")
    assert str(log) in (entry.source_stays or "")
    assert link.is_symlink()
    assert log.is_file()


def test_what_lost_something_stays(tmp_path: Path) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    log.write_bytes(log.read_bytes()[:-300])
    entry = deleted(log, tmp_path / "out")
    assert (entry.state, entry.source_stays) == ("converted", "its conversion was not without loss")
    assert log.is_file()


def test_what_is_not_proved_stays(tmp_path: Path) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    report = mrt.convert(log, tmp_path / "set")
    segment = next((tmp_path / "set" / "media").rglob("*.mp4"))
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0xFF
    segment.write_bytes(content)
    assert "not proved" in removal.delete_source(log, tmp_path / "set", report)
    assert log.is_file()


def test_what_changes_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    report = mrt.convert(log, tmp_path / "set")

    def touched(*values: Any, **more: Any) -> Any:
        found = mrt.verify(*values, **more)
        os.utime(log, ns=(1, 1))
        return found

    monkeypatch.setattr(removal, "verify", touched)
    assert "changed" in removal.delete_source(log, tmp_path / "set", report)
    assert log.is_file()


@pytest.mark.parametrize("moment", ["before", "in the midst"])
def test_killed_between_commit_and_deletion(tmp_path: Path, moment: str) -> None:
    log = make_sample(tmp_path / "drive", container="rosbag2-sqlite3", seconds=0.2)
    script = textwrap.dedent(f"""
        import os, signal, sys
        import mediaref_tools as mrt
        from mediaref_tools.conversion import removal
        kill = lambda *_, **more: os.kill(os.getpid(), signal.SIGKILL)
        setattr(removal, "verify" if {moment!r} == "before" else "remove", kill)
        mrt.convert_logs([sys.argv[1]], sys.argv[2], delete_source=True)
    """)
    killed = subprocess.run([sys.executable, "-c", script, log, tmp_path / "out"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "out" / "drive" / "manifest.json").is_file()
    if moment == "before":
        entry = deleted(log, tmp_path / "out")
        assert (entry.state, entry.source_deleted) == ("present", True)
    assert not log.exists()


def test_a_dataset_that_is_there_is_proved_and_its_log_deleted(tmp_path: Path) -> None:
    log = samples(tmp_path, "a.bag") / "a.bag"
    first = batch.convert_log(log, tmp_path / "set")
    assert (first.present, first.stays) == (False, None)
    second = batch.convert_log(log, tmp_path / "set", delete_source=True)
    assert (second.present, second.stays, log.exists()) == (True, "", False)
