"""`mediaref convert`."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import click
import numpy as np
import pytest

from mediaref_tools.commands.convert import command
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.report import Report
from mediaref_tools.sample import SampleMessage, header, numbered_topic, write_log

from .conftest import Run

LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"log{number}.mcap" for number in count())


def times_ns(frames: int) -> list[int]:
    return [1_700_000_000_000_000_000 + 33_000_000 * number for number in range(frames)]


def broken(message: SampleMessage) -> SampleMessage:
    """The same, with a JPEG that ends in its header."""
    body = SimpleNamespace(**vars(message.body))
    body.data = body.data[:40]
    return message._replace(body=body)


def depth(topic: str, frames: int) -> list[SampleMessage]:
    """An image topic that can't become video."""
    return [
        SampleMessage(
            topic,
            "sensor_msgs/msg/Image",
            time_ns,
            SimpleNamespace(
                header=header(time_ns, "depth"),
                height=4,
                width=4,
                encoding="32FC1",
                is_bigendian=0,
                step=16,
                data=np.zeros(64, np.uint8),
            ),
        )
        for time_ns in times_ns(frames)
    ]


def test_says_what_it_did(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out)
    assert done.returncode == 0
    assert done.stderr == ""
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.startswith("/")}
    assert rows[LEFT][1:3] == ["h264", "30"]
    assert rows[RIGHT][1:3] == ["h264", "14"]
    assert "proved: 44 references, 0 wrong, 0 missing · " in done.stdout
    assert "\x1b" not in done.stdout
    assert (out / "manifest.json").is_file()


def test_json_and_report_are_the_same(mediaref: Run, sample_log: Path, out: Path, tmp_path: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, "--json", "--report", tmp_path / "report.json")
    assert done.returncode == 0
    report = Report.model_validate_json(done.stdout)
    assert report.frames == 44
    assert {topic.topic for topic in report.topics} == {LEFT, RIGHT}
    assert (tmp_path / "report.json").read_text() == done.stdout


def test_report_may_lie_in_the_dataset(mediaref: Run, sample_log: Path, out: Path) -> None:
    assert mediaref("convert", sample_log, "--out", out, "--report", out / "report.json").returncode == 0
    assert json.loads((out / "report.json").read_text())["frames"] == 44


def test_report_that_cant_be_written(mediaref: Run, sample_log: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    refused = mediaref("convert", sample_log, "--out", out, "--report", tmp_path / "folder")
    assert refused.returncode == 2
    assert "is a folder" in refused.stderr
    assert not out.exists()
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full to write to")
    done = mediaref("convert", sample_log, "--out", out, "--report", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("mediaref: the dataset is made, but ")
    assert done.stderr.count("\n") == 1
    assert (out / "manifest.json").is_file()


def test_quiet(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert out.is_dir()


def test_options_reach_the_settings(mediaref: Run, sample_log: Path, out: Path) -> None:
    options = ["--topic", "/camera/*", "--exclude", "*/right/*", "--crf", 30, "--gop", 5, "--record", "string"]
    done = mediaref("convert", sample_log, "--out", out, "--segment", "0.5", *options)
    assert done.returncode == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"] == {
        "topics": ["/camera/*"],
        "exclude": ["*/right/*"],
        "purpose": "play",
        "codec": "h264",
        "crf": 30,
        "gop": 5,
        "record": "string",
        "segment_ns": 500_000_000,
        "fps": None,
        "profile": None,
        "swap_rb": False,
        "topic_codecs": [],
        "min_psnr_db": None,
        "min_ssim": None,
        "target_ratio": None,
        "debayer": False,
        "depth": None,
    }
    assert [topic["topic"] for topic in manifest["topics"]] == [LEFT]
    assert len(manifest["topics"][0]["segments"]) == 2


def test_defaults_are_the_librarys() -> None:
    values = command.make_context("convert", ["log", "--out", "dataset"]).params
    defaults = Settings()
    assert values["purpose"] == defaults.purpose
    assert values["codec"] is values["gop"] is values["crf"] is defaults.crf is None
    assert values["record"] == defaults.record
    assert values["segment"] == defaults.segment_ns


@pytest.mark.parametrize("name", ["codec", "purpose", "record"])
def test_choices_are_the_librarys(name: str) -> None:
    option = next(param for param in command.params if param.name == name)
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == get_args(Settings.model_fields[name].annotation)


def test_kept_topic_is_told_and_exits_with_3(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    messages = [*numbered_topic("/cam", times_ns(3), size=(96, 128)), *depth("/depth", 2)]
    done = mediaref("convert", write_log(next(logs), "mcap", messages), "--out", out)
    assert done.returncode == 3
    assert done.stderr == ""
    kept = [line for line in done.stdout.splitlines() if line.startswith("kept ")]
    assert len(kept) == 1
    assert kept[0].startswith("kept /depth (2 messages): ")
    assert "32FC1" in kept[0]


def test_kept_topic_still_exits_with_3_when_quiet(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    log = write_log(next(logs), "mcap", depth("/depth", 2))
    done = mediaref("convert", log, "--out", out, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_only_kept_topics(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    done = mediaref("convert", write_log(next(logs), "mcap", depth("/depth", 2)), "--out", out)
    assert done.returncode == 3
    assert "no topic became video: all 2 messages are as they were" in done.stdout


def test_embedded_frame_is_told_and_exits_with_3(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    messages = numbered_topic("/cam", times_ns(5), size=(96, 128))
    messages[3] = broken(messages[3])
    done = mediaref("convert", write_log(next(logs), "mcap", messages), "--out", out)
    assert done.returncode == 3
    assert "embedded 1 of 5 frames of /cam with the original bytes: " in done.stdout


def test_no_image_topics_is_a_copy(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    messages = [
        SampleMessage("/chatter", "std_msgs/msg/String", time_ns, SimpleNamespace(data="hi")) for time_ns in times_ns(7)
    ]
    done = mediaref("convert", write_log(next(logs), "mcap", messages), "--out", out)
    assert done.returncode == 0
    assert "no image topics to convert: 7 messages copied as they are" in done.stdout


def test_glob_that_matches_nothing(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, "--topic", "/nope*")
    assert done.returncode == 1
    assert done.stderr.startswith("mediaref: ")
    assert done.stderr.count("\n") == 1
    assert "'/nope*'" in done.stderr
    assert LEFT in done.stderr
    assert not out.exists()


def test_existing_output(mediaref: Run, sample_log: Path, out: Path) -> None:
    assert mediaref("convert", sample_log, "--out", out, "-q").returncode == 0
    before = (out / "manifest.json").stat().st_ino
    refused = mediaref("convert", sample_log, "--out", out)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert (out / "manifest.json").stat().st_ino == before
    assert mediaref("convert", sample_log, "--out", out, "--overwrite").returncode == 0
    assert (out / "manifest.json").stat().st_ino != before


@pytest.mark.parametrize(
    "options",
    [
        ["--crf", "52"],
        ["--crf", "64", "--codec", "av1"],
        ["--gop", "0"],
        ["--segment", "0"],
        ["--segment", "-1"],
        ["--segment", "nan"],
        ["--segment", "1e-10"],
        ["--segment", "soon"],
        ["--codec", "vp9"],
        ["--report", "/nowhere/at/all/report.json"],
    ],
)
def test_wrong_options_are_usage_errors(mediaref: Run, sample_log: Path, out: Path, options: list[str]) -> None:
    done = mediaref("convert", sample_log, "--out", out, *options)
    assert done.returncode == 2
    assert options[0] in done.stderr
    assert not out.exists()


def test_no_place_to_write(mediaref: Run, sample_log: Path) -> None:
    done = mediaref("convert", sample_log, "--out", "/proc/dataset")
    assert done.returncode == 1
    assert done.stderr.startswith("mediaref: ")
    assert done.stderr.count("\n") == 1


def test_terminal_is_asked_for_nothing_where_output_is_ascii(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "0 missing; " in done.stdout
    assert " -> " in done.stdout


def on_terminal(arguments: list[str], **environment: str) -> tuple[int, str, str]:
    """Run with standard error on a terminal of 80 columns: exit code, stdout, what the terminal got."""
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mediaref_tools", *arguments],
        stdout=subprocess.PIPE,
        stderr=inner,
        text=True,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **environment},
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            read = os.read(outer, 65536)
        except OSError:  # how Linux says that nobody holds the other end any more
            break
        if not read:
            break
        shown += read
    os.close(outer)
    stdout = process.communicate(timeout=60)[0]
    return process.returncode, stdout, shown.decode()


def test_bars_on_a_terminal(sample_log: Path, out: Path) -> None:
    code, stdout, shown = on_terminal(["convert", str(sample_log), "--out", str(out)])
    assert code == 0
    assert "encode" in shown
    assert "prove" in shown
    assert "100 %" in shown
    assert "msg/s" in shown
    assert "\x1b" not in stdout
    assert "proved: 44" in stdout
    assert "proved" not in shown


def test_no_bars_when_quiet_or_dumb(sample_log: Path, out: Path) -> None:
    assert on_terminal(["convert", str(sample_log), "--out", str(out), "-q"])[2] == ""
    assert on_terminal(["convert", str(sample_log), "--out", str(out), "--overwrite"], TERM="dumb")[2] == ""


def test_no_colour_on_the_terminal_if_unwanted(sample_log: Path, out: Path) -> None:
    shown = on_terminal(["convert", str(sample_log), "--out", str(out)], NO_COLOR="1")[2]
    assert "encode" in shown
    assert "\x1b[3" not in shown.replace("\x1b[39m", "").replace("\x1b[3m", "")


def test_topics_with_any_name(mediaref: Run, logs: Iterator[Path], out: Path) -> None:
    odd = "/[bold]/:smile:/\x1b[31m/größe"
    done = mediaref(
        "convert", write_log(next(logs), "mcap", numbered_topic(odd, times_ns(2), size=(96, 128))), "--out", out
    )
    assert done.returncode == 0
    assert r"/[bold]/:smile:/\x1b[31m/größe" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_floor_and_a_size_reach_the_settings(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, "--min-psnr", 35, "--min-ssim", 0.9, "--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["missed"] == []
    assert all(topic["psnr_p1_db"] >= 35 and topic["ssim_p1"] >= 0.9 for topic in report["topics"])
    settings = json.loads((out / "manifest.json").read_text())["settings"]
    assert (settings["min_psnr_db"], settings["min_ssim"], settings["target_ratio"]) == (35, 0.9, None)


def test_a_size_that_is_missed_is_a_line_and_exit_code_3(mediaref: Run, sample_log: Path, out: Path) -> None:
    done = mediaref("convert", sample_log, "--out", out, "--target-size", 0.0001)
    assert done.returncode == 3
    assert sum(line.startswith("missed: /camera/") for line in done.stdout.splitlines()) == 2
    assert out.is_dir()


@pytest.mark.parametrize(
    "options",
    [
        ["--crf", 20, "--min-psnr", 40],
        ["--min-ssim", 0.9, "--target-size", 0.5],
        ["--codec", "copy", "--min-psnr", 40],
        ["--min-psnr", 10],
        ["--min-ssim", 1],
        ["--target-size", 0],
    ],
)
def test_quality_is_chosen_in_one_way(mediaref: Run, sample_log: Path, out: Path, options: list[object]) -> None:
    done = mediaref("convert", sample_log, "--out", out, *options)
    assert done.returncode == 2
    assert not out.exists()
