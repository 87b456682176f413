"""`mediaref export`."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.export.export import ExportReport
from mediaref_tools.sample import numbered_topic, write_log

from .conftest import Run

START_NS = 1_700_000_000_000_000_000
RIGHT = "camera-right-image_raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "frames"


def times_ns(folder: Path) -> list[int]:
    with (folder / "frames.csv").open(newline="") as stream:
        return [int(row["log_time_ns"]) for row in csv.DictReader(stream)]


def test_says_what_it_wrote(mediaref: Run, sample_dataset: Path, out: Path) -> None:
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out)
    assert done.returncode == 0
    assert done.stderr == ""
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("/camera/right"))
    assert row[:3] == ["/camera/right/image_raw", RIGHT, "14"]
    assert f"exported: 44 frames · {row[3]}"[:20] in done.stdout
    assert str(out) in done.stdout
    assert len(list((out / RIGHT).glob("*.png"))) == 14


def test_json(mediaref: Run, sample_dataset: Path, out: Path) -> None:
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, "--json", "--topic", "*right*")
    assert done.returncode == 0
    assert ExportReport.model_validate_json(done.stdout).frames == 14


def test_quiet(mediaref: Run, sample_dataset: Path, out: Path) -> None:
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, "-q", "--every", 9)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(times_ns(out / RIGHT)) == 2


def test_name_of_output_is_shown_as_it_is(mediaref: Run, sample_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "[bold]:smile:"
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, "--every", 9)
    assert done.stdout.endswith(f"{out}\n")


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("0.25s", "0.75s"),
        (str(START_NS + 250_000_000), str(START_NS + 750_000_000)),
        ("2023-11-14T22:13:20.25Z", "2023-11-14T23:13:20.750+01:00"),
    ],
)
def test_every_form_of_time(mediaref: Run, sample_dataset: Path, out: Path, start: str, stop: str) -> None:
    options = ["--start", start, "--stop", stop, "--topic", "*right*", "--format", "jpeg", "--quality", 80]
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, *options)
    assert done.returncode == 0
    found = times_ns(out / RIGHT)
    assert len(found) == 7
    assert found[0] >= START_NS + 250_000_000
    assert found[-1] < START_NS + 750_000_000
    assert len(list((out / RIGHT).glob("*.jpg"))) == 7


@pytest.mark.parametrize(
    "options",
    [
        ["--start", "soon"],
        ["--stop", "1e3"],
        ["--every", "0"],
        ["--quality", "0"],
        ["--quality", "101"],
        ["--format", "gif"],
        ["--to", "video"],
    ],
)
def test_wrong_options_are_usage_errors(mediaref: Run, sample_dataset: Path, out: Path, options: list[str]) -> None:
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, *options)
    assert done.returncode == 2
    assert options[0] in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("options", [["--topic", "/nope"], ["--start", "99s"]])
def test_nothing_to_export(mediaref: Run, sample_dataset: Path, out: Path, options: list[str]) -> None:
    done = mediaref("export", sample_dataset, "--to", "frames", "--out", out, *options)
    assert done.returncode == 1
    assert done.stderr.startswith("mediaref: no ")
    assert done.stderr.count("\n") == 1


def test_existing_output(mediaref: Run, sample_dataset: Path, out: Path) -> None:
    command = ["export", sample_dataset, "--to", "frames", "--out", out, "--every", 9]
    assert mediaref(*command).returncode == 0
    refused = mediaref(*command)
    assert refused.returncode == 1
    assert "--overwrite" in refused.stderr
    assert mediaref(*command, "--overwrite").returncode == 0


def test_embedded_frames_exit_with_3(mediaref: Run, tmp_path: Path, out: Path) -> None:
    messages = numbered_topic("/cam", [START_NS + 10**8 * number for number in range(4)], size=(96, 128))
    broken = SimpleNamespace(**vars(messages[2].body))
    broken.data = broken.data[:100]
    messages[2] = messages[2]._replace(body=broken)
    convert(write_log(tmp_path / "log.mcap", "mcap", messages), tmp_path / "dataset")
    done = mediaref("export", tmp_path / "dataset", "--to", "frames", "--out", out)
    assert done.returncode == 3
    assert "embedded 1 of 4 frames of /cam with the original bytes" in done.stdout
