"""`mediaref restore`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings, TopicCodec
from mediaref_tools.plugins import open_log
from mediaref_tools.restoring.report import RestoreReport
from tests.smalllogs import camera, log_of, others

from .conftest import Run


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restore")
    log = log_of(folder, "mcap", [*camera(), *camera("/raw", encoding="mono8"), *others()])
    convert(log, folder / "dataset", settings=Settings(topic_codecs=(TopicCodec(glob="/raw", codec="lossless"),)))
    return folder / "dataset"


def test_says_what_it_wrote(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.mcap"
    done = mediaref("restore", dataset, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split()[1:4] for line in done.stdout.splitlines() if line.startswith("/")}
    assert rows == {"/camera": ["h264", "0", "20"], "/raw": ["ffv1", "20", "0"]}
    assert "identical  re-encoded" in done.stdout
    assert "DIFFERENT" not in done.stdout
    assert f"{len(others())} copied" in done.stdout
    assert done.stdout.rstrip().endswith(str(out))
    with open_log(out) as log:
        assert sum(1 for _ in log.messages()) == 40 + len(others())


def test_verify_json_and_report(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = mediaref("restore", dataset, "--out", tmp_path / "a.mcap", "--verify", "--json", "--report", report)
    assert done.returncode == 0
    found = RestoreReport.model_validate_json(done.stdout)
    assert (found.verified, found.problems, found.losses) == (True, (), ())
    assert RestoreReport.model_validate_json(report.read_text()) == found


def test_quiet(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    done = mediaref("restore", dataset, "--out", tmp_path / "a.mcap", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_losses_of_another_container_are_exit_3(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    done = mediaref("restore", dataset, "--out", tmp_path / "a.bag", "--to", "rosbag1")
    assert done.returncode == 3
    assert "publish times" in done.stdout + done.stderr
    with open_log(tmp_path / "a.bag") as log:
        assert log.container == "rosbag1"


def test_a_message_that_is_another_is_exit_3(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    from tests import tamper

    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))

    def change(rows: list[dict[str, Any]]) -> None:
        next(row for row in rows if row["topic"] == "/raw")["source_digest"] = bytes(16)

    tamper.edit_rows(copy, change)
    done = mediaref("restore", copy, "--out", tmp_path / "a.mcap")
    assert done.returncode == 3
    assert "DIFFERENT" in done.stdout
    assert "/raw frame 0 is not the message that was converted" in done.stdout + done.stderr
    assert (tmp_path / "a.mcap").exists()


def test_bad_input_is_one_line_and_exit_1(mediaref: Run, dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    next((copy / "media").rglob("*.mp4")).unlink()
    for arguments in (
        ("restore", copy, "--out", tmp_path / "a.mcap"),
        ("restore", tmp_path / "nothing", "--out", tmp_path / "a.mcap"),
        ("restore", dataset, "--out", copy),
    ):
        done = mediaref(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "a.mcap").exists()


@pytest.mark.parametrize("arguments", [("--to", "floppy"), ("--report", "no/such/folder/r.json"), ()])
def test_wrong_usage(mediaref: Run, dataset: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    out = ("--out", tmp_path / "a.mcap") if arguments else ()
    assert mediaref("restore", dataset, *out, *arguments).returncode == 2
    assert not (tmp_path / "a.mcap").exists()
