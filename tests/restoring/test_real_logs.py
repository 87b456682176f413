"""Recorded logs, converted and restored: byte for byte where nothing was lost, the right frames elsewhere."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest

import mediaref_tools as mrt
from mediaref_tools.plugins import open_log
from tests.reallogs import FOUND, real_log
from tests.test_real_logs import RECORDED


def content(path: Path) -> Counter[Any]:
    with open_log(path) as log:
        return Counter(
            (
                message.channel.topic,
                message.channel.type,
                message.channel.encoding,
                message.channel.definition,
                tuple(sorted(message.channel.attributes.items())),
                *message[1:4],
                bytes(message.data),
            )
            for message in log.messages()
        )


@pytest.mark.parametrize("codec", ["copy", "h264"])
@pytest.mark.parametrize("name", RECORDED)
def test_recorded_log(name: str, codec: Literal["copy", "h264"], tmp_path: Path) -> None:
    log = real_log(name)
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec=codec))
    report = mrt.restore(tmp_path / "dataset", tmp_path / f"again{log.suffix}", verify=True)
    assert report.problems == ()
    assert report.kept_its_word
    before, after = content(log), content(tmp_path / f"again{log.suffix}")
    made = sum(topic.near + topic.pixels for topic in report.topics)
    assert (before - after).total() == (after - before).total() == made
    assert made == 0 or codec == "h264"
    again = mrt.convert(tmp_path / f"again{log.suffix}", tmp_path / "second", settings=mrt.Settings(codec=codec))
    assert (again.wrong, again.missing) == (0, 0)


@pytest.mark.parametrize("name", FOUND)
def test_found_log(name: str, tmp_path: Path) -> None:
    log = real_log(f"found/{name}")
    mrt.convert(log, tmp_path / "dataset", settings=mrt.Settings(codec="copy"))
    report = mrt.restore(tmp_path / "dataset", tmp_path / f"again{log.suffix}", verify=True)
    assert report.kept_its_word
    assert content(log) == content(tmp_path / f"again{log.suffix}")


def test_every_thirtieth_file_of_the_mcap_conformance_suite(tmp_path: Path) -> None:
    for number, log in enumerate(sorted(real_log("found/mcap_conformance").glob("*.mcap"))[::30]):
        mrt.convert(log, tmp_path / f"{number}")
        report = mrt.restore(tmp_path / f"{number}", tmp_path / f"{number}.mcap", verify=True)
        assert report.kept_its_word, log
        assert content(log) == content(tmp_path / f"{number}.mcap"), log
