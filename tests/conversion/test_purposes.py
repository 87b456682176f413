"""What a dataset is for: the encoder's settings that follow, and the right frames whatever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.conversion.coding import Form, coding
from mediaref_tools.dataset.manifest import Manifest, TopicCodec
from mediaref_tools.sample import frame_number
from mediaref_tools.segments.segment import Shape
from mediaref_tools.segments.tuning import DEFAULT_CODEC, TUNINGS, Purpose
from tests.smalllogs import camera, log_of, rows_of

PURPOSES: tuple[Purpose, ...] = ("play", "train", "archive")
SIZE = (120, 160)
COUNT = 75


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_every_purpose_shows_the_right_frames(tmp_path: Path, purpose: Purpose, codec: Any) -> None:
    log = log_of(tmp_path, "mcap", camera(count=COUNT, size=SIZE))
    report = convert(log, tmp_path / "out", settings=Settings(purpose=purpose, codec=codec))
    assert (report.frames, report.wrong, report.missing, report.topics[0].codec) == (COUNT, 0, 0, codec)
    with open_dataset(tmp_path / "out") as dataset:
        shown = dataset["/camera"].batch(range(COUNT))
        assert [frame_number(frame) for frame in shown.data] == list(range(COUNT))
    gop = TUNINGS[purpose][codec].gop
    assert [row["index"] for row in rows_of(tmp_path / "out") if row["keyframe"]] == list(range(0, COUNT, gop))


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_not_told_follows_from_the_purpose(purpose: Purpose) -> None:
    settings = Settings(purpose=purpose)
    codec = DEFAULT_CODEC[purpose]
    assert (settings.codec, settings.gop, settings.crf) == (codec, TUNINGS[purpose][codec].gop, None)
    told = Settings(purpose=purpose, codec="h264", gop=7, crf=30)
    assert (told.codec, told.gop, told.crf) == ("h264", 7, 30)
    assert Settings(purpose=purpose, codec="copy").gop == settings.gop
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize("purpose", PURPOSES)
def test_encoders_are_set_by_the_purpose(purpose: Purpose) -> None:
    choices = (TopicCodec(glob="/a", codec="av1"), TopicCodec(glob="/h", codec="h264", crf=40, gop=3))
    settings = Settings(purpose=purpose, topic_codecs=choices)
    for topic, codec, crf, gop in (("/a", "av1", None, settings.gop), ("/h", "h264", 40, 3)):
        tuning = TUNINGS[purpose][codec]  # type: ignore[index]
        how = coding(settings, topic)
        encoding = how.encoding(Form(codec, 640, 480, Shape(640, 480)))  # type: ignore[arg-type]
        assert (encoding.preset, encoding.params) == (tuning.preset, tuning.params)
        assert (encoding.crf, encoding.gop, encoding.b_frames) == (tuning.crf if crf is None else crf, gop, 0)


def test_datasets_that_know_no_purpose_are_read(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(count=3, size=SIZE))
    convert(log, tmp_path / "out", settings=Settings(gop=4))
    path = tmp_path / "out" / "manifest.json"
    text = path.read_text().replace(' "purpose": "play",\n', "")
    assert "purpose" not in text
    path.write_text(text)
    assert Manifest.read(tmp_path / "out").settings == Settings(gop=4)


def test_a_purpose_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="purpose"):
        Settings.model_validate({"purpose": "fun"})
