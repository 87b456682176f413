"""`mediaref convert`: what becomes of each topic, chosen and shown before any work is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from mediaref_tools.commands.params import TOPIC_CODEC
from mediaref_tools.conversion.preview import Preview
from mediaref_tools.sample import numbered_topic, write_log

from .conftest import Run

START_NS = 1_700_000_000_000_000_000
TIMES_NS = [START_NS + 33_000_000 * number for number in range(12)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    messages = numbered_topic("/front/color", TIMES_NS, size=(96, 128))
    messages += numbered_topic("/front/mono", TIMES_NS, encoding="mono8", size=(96, 128))
    messages += numbered_topic("/front/depth", TIMES_NS, encoding="16UC1", size=(96, 128))
    messages += numbered_topic("/front/cdepth", TIMES_NS, encoding="compressedDepth-png-16UC1", size=(96, 128))
    messages += numbered_topic("/front/float", TIMES_NS, encoding="32FC1", size=(96, 128))
    messages += numbered_topic("/front/mosaic", TIMES_NS, encoding="bayer_rggb8", size=(96, 128))
    return write_log(tmp_path_factory.mktemp("log") / "log.mcap", "mcap", messages)


def codecs(done: Any) -> dict[str, str]:
    return {topic["topic"].removeprefix("/front/"): topic["codec"] for topic in json.loads(done.stdout)["topics"]}


def kept(done: Any) -> dict[str, bool]:
    return {topic["topic"].removeprefix("/front/"): topic["asked"] for topic in json.loads(done.stdout)["kept"]}


def test_defaults(mediaref: Run, log: Path, tmp_path: Path) -> None:
    done = mediaref("convert", log, "--out", tmp_path / "out", "--json")
    assert done.returncode == 3
    assert codecs(done) == {"color": "h264", "mono": "h264", "depth": "ffv1", "mosaic": "ffv1"}
    assert kept(done) == {"cdepth": False, "float": False}


def test_topics_have_codecs_of_their_own_and_the_last_that_matches_counts(
    mediaref: Run, log: Path, tmp_path: Path
) -> None:
    choices = ["/front/*=lossless", "*/color=av1,crf=40,gop=5", "/front/mosaic=keep", "*float=keep", "*cdepth=keep"]
    options = [text for choice in choices for text in ("--topic-codec", choice)]
    done = mediaref("convert", log, "--out", tmp_path / "out", "--json", *options)
    assert done.stderr == ""
    assert codecs(done) == {"color": "av1", "mono": "ffv1", "depth": "ffv1"}
    assert kept(done) == {"mosaic": True, "float": True, "cdepth": True}
    assert done.returncode == 0  # nothing but what was asked for
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert settings["topic_codecs"][1] == {"glob": "*/color", "codec": "av1", "crf": 40, "gop": 5}


@pytest.mark.parametrize(
    ("choice", "found", "left"),
    [
        ("keep", {"color": "h264", "mono": "h264", "mosaic": "ffv1"}, {"depth": True, "cdepth": True, "float": False}),
        (
            "ffv1",
            {"color": "h264", "mono": "h264", "depth": "ffv1", "mosaic": "ffv1", "cdepth": "ffv1"},
            {"float": False},
        ),
    ],
)
def test_depth(
    mediaref: Run, log: Path, tmp_path: Path, choice: str, found: dict[str, str], left: dict[str, bool]
) -> None:
    done = mediaref("convert", log, "--out", tmp_path / "out", "--json", "--depth", choice)
    assert (done.returncode, codecs(done), kept(done)) == (3, found, left)


def test_debayer(mediaref: Run, log: Path, tmp_path: Path) -> None:
    done = mediaref("convert", log, "--out", tmp_path / "out", "--json", "--debayer", "--topic", "*mosaic")
    assert (done.returncode, codecs(done)) == (0, {"mosaic": "h264"})


def test_dry_run_says_what_would_be_done_and_does_nothing(mediaref: Run, log: Path, tmp_path: Path) -> None:
    done = mediaref("convert", log, "--dry-run", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = Preview.model_validate_json(done.stdout)
    assert {one.topic: one.codec for one in found.topics} == {
        "/front/color": "h264",
        "/front/mono": "h264",
        "/front/depth": "ffv1",
        "/front/mosaic": "ffv1",
        "/front/cdepth": None,
        "/front/float": None,
    }
    assert {one.topic: one.encoding for one in found.topics}["/front/depth"] == "16UC1"
    converted = mediaref("convert", log, "--out", tmp_path / "out", "--json")
    for topic in json.loads(converted.stdout)["topics"]:
        guess = next(one for one in found.topics if one.topic == topic["topic"])
        assert guess.bytes_in == topic["bytes_in"]
        assert guess.bytes_out == pytest.approx(topic["bytes_out"], rel=0.05)  # its frames are all in the sample
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_dry_run_is_shown_as_a_table(mediaref: Run, log: Path, tmp_path: Path) -> None:
    done = mediaref("convert", log, "--dry-run", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.startswith("/")}
    assert rows["/front/depth"][1:4] == ["16UC1", "12", "ffv1"]
    assert rows["/front/float"][1:4] == ["32FC1", "12", "kept"]
    assert "nothing was written" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("kept /front/float: ")]
    assert not (tmp_path / "out").exists()


def test_out_is_needed_to_convert(mediaref: Run, log: Path) -> None:
    done = mediaref("convert", log)
    assert done.returncode == 2
    assert "Missing option '--out'" in done.stderr


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*=h264", {"glob": "*", "codec": "h264"}),
        ("/a=b/*=keep", {"glob": "/a=b/*", "codec": "keep"}),
        ("/a=b=av1,crf=0,gop=1000", {"glob": "/a=b", "codec": "av1", "crf": 0, "gop": 1000}),
        ("/x=copy,gop=7", {"glob": "/x", "codec": "copy", "gop": 7}),
    ],
)
def test_topic_codec_is_read(text: str, found: dict[str, Any]) -> None:
    assert TOPIC_CODEC.convert(text, None, None) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "h264", "=h264", "*=", "*=vp8", "*=h264,", "*=h264,crf", "*=h264,crf=", "*=h264,crf=-1", "*=h264,crf=52"),
        *("*=av1,crf=64", "*=h264,gop=0", "*=h264,gop=1001", "*=h264,gop=1.5", "*=h264,speed=3", "*=h264,crf=²"),
    ],
)
def test_topic_codec_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        TOPIC_CODEC.convert(text, None, None)
