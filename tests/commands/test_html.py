"""`--html` of `convert` and `verify`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mediaref_tools.sample import make_sample
from tests.tamper import flipped
from tests.webreport.reading import Page

from .conftest import Run

TOPIC = "/camera/left/image_raw/compressed"


def recorded(page: Page) -> list[str]:
    return [alt for alt, _ in page.pictures if alt.endswith(f"{TOPIC}, as it was recorded")]


def test_convert_writes_a_page_besides(mediaref: Run, sample_log: Path, tmp_path: Path) -> None:
    file, told = tmp_path / "set" / "page.html", tmp_path / "report.json"
    done = mediaref("convert", sample_log, "--out", tmp_path / "set", "--html", file, "--report", told)
    assert (done.returncode, done.stderr) == (0, "")
    page = Page(file.read_text("utf-8"))
    proved = next(line for line in done.stdout.splitlines() if line.startswith("proved"))
    assert all(part[1:] in page.words for part in proved.split(" · "))
    assert f"{json.loads(told.read_text())['bytes_in']:,}".replace(",", " ") in page.words
    assert recorded(page)


def test_verify_writes_a_page_whatever_it_finds(mediaref: Run, sample_log: Path, tmp_path: Path) -> None:
    dataset, file = tmp_path / "set", tmp_path / "page.html"
    assert mediaref("convert", sample_log, "--out", dataset, "-q").returncode == 0
    assert mediaref("verify", dataset, "--html", file, "-q").returncode == 0
    assert not recorded(Page(file.read_text("utf-8")))
    assert mediaref("verify", dataset, "--against", sample_log, "--html", file, "-q").returncode == 0
    assert recorded(Page(file.read_text("utf-8")))
    segment = next((dataset / "media").rglob("*.mp4"))
    flipped(segment, segment.stat().st_size // 2, 200)
    assert mediaref("verify", dataset, "--html", file, "-q").returncode == 1
    assert "NOT as it should be." in Page(file.read_text("utf-8")).words


def test_the_page_is_made_before_the_log_is_deleted(mediaref: Run, tmp_path: Path) -> None:
    log = make_sample(tmp_path / "a.mcap", container="mcap", seconds=1)
    file = tmp_path / "page.html"
    done = mediaref("convert", log, "--out", tmp_path / "set", "--delete-source", "--html", file, "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert not log.exists()
    assert recorded(Page(file.read_text("utf-8")))


def test_a_log_whose_page_cannot_be_written_stays(mediaref: Run, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full to write to")
    log = make_sample(tmp_path / "a.mcap", container="mcap", seconds=0.5)
    done = mediaref("convert", log, "--out", tmp_path / "set", "--delete-source", "--html", "/dev/full", "-q")
    assert done.returncode == 1
    assert "the dataset is made, but its page can't be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert log.exists()
    assert (tmp_path / "set" / "manifest.json").is_file()


def test_several_logs_are_one_page(mediaref: Run, tmp_path: Path) -> None:
    logs = [make_sample(tmp_path / f"{name}.mcap", container="mcap", seconds=0.5) for name in "ab"]
    broken = tmp_path / "c.mcap"
    broken.write_bytes(b"nothing")
    file = tmp_path / "page.html"
    done = mediaref("convert", *logs, broken, "--out", tmp_path / "sets", "--html", file)
    assert done.returncode == 1
    page = Page(file.read_text("utf-8"))
    rows = [" ".join(line.split()) for line in done.stdout.splitlines() if line[:6] in ("a.mcap", "b.mcap", "c.mcap")]
    assert len(rows) == 3
    assert all(row in page.words for row in rows)
    assert "1 of 3 logs failed." in page.words
    assert len(recorded(page)) == 8


@pytest.mark.parametrize("command", ["convert", "verify"])
def test_a_place_that_cannot_be_is_refused_at_once(
    mediaref: Run, sample_log: Path, sample_dataset: Path, tmp_path: Path, command: str
) -> None:
    told = ["convert", sample_log, "--out", tmp_path / "set"] if command == "convert" else ["verify", sample_dataset]
    for place, why in ((tmp_path / "no" / "page.html", "there is no folder"), (tmp_path, "is a folder")):
        done = mediaref(*told, "--html", place)
        assert (done.returncode, done.stdout) == (2, "")
        assert "'--html'" in done.stderr
        assert why in done.stderr
    assert not (tmp_path / "set").exists()
    if os.geteuid() != 0:
        (tmp_path / "page.html").touch(mode=0o400)
        assert mediaref(*told, "--html", tmp_path / "page.html").returncode == 2


def test_a_conversion_that_fails_leaves_a_page_alone(mediaref: Run, sample_log: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text("before")
    (tmp_path / "a.mcap").write_bytes(b"nothing")
    assert mediaref("convert", tmp_path / "a.mcap", "--out", tmp_path / "set", "--html", file).returncode == 1
    done = mediaref("convert", sample_log, "--dry-run", "--html", file)
    assert (done.returncode, file.read_text()) == (2, "before")
    assert "--html" in done.stderr
