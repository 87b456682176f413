"""The benchmark of encoders' settings: its arithmetic, and that what `--for` sets is among what it tries."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import Picture
from mediaref_tools.sample import numbered_image
from mediaref_tools.segments.segment import Encoding
from mediaref_tools.segments.tuning import TUNINGS
from tests.bench.choices import tables
from tests.bench.choices.fronts import REFERENCE, points
from tests.bench.choices.settings import CRFS, SETTINGS
from tests.bench.choices.trial import tried
from tests.pictures import taken


def row(choice: str, crf: int, size: int, psnr: float, ssim: float = 0.9, milliseconds: float = 1.0) -> dict[str, Any]:
    took = dict.fromkeys(("encode_ms", "random_ms", "windows_ms"), milliseconds)
    return {"content": "c", "choice": choice, "crf": crf, "bytes": size, "psnr_p1_db": psnr, "ssim_p1": ssim, **took}


def raw(*rows: dict[str, Any]) -> dict[str, Any]:
    reference = [row(REFERENCE, crf, size, psnr) for crf, size, psnr in ((20, 2000, 44), (23, 1000, 42), (26, 500, 40))]
    content = {"name": "c", "title": "a content", "frames": 3}
    return {"machine": {"processor": "a machine"}, "contents": [content], "rows": [*reference, *rows]}


def test_sizes_are_those_at_the_same_quality() -> None:
    others = [
        row("b", 20, 1600, 43.0, 0.99, 3.0),
        row("b", 23, 400, 41.0, 0.95, 2.0),
        row("b", 26, 100, 39.0, 0.8, 1.0),
    ]
    reference, found = points(raw(*others))
    assert reference.psnr is not None and found.psnr is not None and found.ssim is not None
    assert reference.psnr.ratio == pytest.approx(1.0)
    assert found.psnr.ratio == pytest.approx(0.8)  # halfway between 1600 and 400, in factors of two
    assert 0.1 < found.ssim.ratio < 0.4 and not found.ssim.bound
    assert (found.encode, found.random, found.windows) == (2.0, 2.0, 2.0)


def test_sizes_out_of_reach_are_bounds_or_none() -> None:
    good = [row("good", crf, size, 50.0, 0.95) for crf, size in ((24, 900), (30, 600), (36, 300))]
    bad = [row("bad", crf, size, 30.0, 0.5) for crf, size in ((20, 900), (23, 600), (26, 300))]
    _, over, under = points(raw(*good, *bad))
    assert over.psnr == (0.3, True)
    assert under.psnr is under.ssim is None
    shown = tables.table(raw(*good, *bad))
    assert "| good | <0.30 | <0.30 |" in shown
    assert "| bad | - | - |" in shown


def test_the_chart_is_a_picture_of_all_that_has_a_size() -> None:
    others = [row("b", crf, size, psnr, 0.9, 2.0) for crf, size, psnr in ((20, 1600, 43.0), (23, 400, 41.0))]
    drawn = ET.fromstring(tables.chart(raw(*others)))
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}circle")) == 2 * 2


@pytest.mark.parametrize("choice", SETTINGS, ids=lambda choice: choice.name)
def test_every_setting_is_one_that_its_encoder_takes(tmp_path: Path, choice: Any) -> None:
    pictures = [taken_picture(number) for number in range(41)]
    times = [number * 33_333 for number in range(41)]
    found = tried(pictures, times, choice.encoding(CRFS[choice.codec][1]), tmp_path / "tried.mp4")
    assert found["frames"] == 41
    assert found["psnr_p1_db"] > 20
    assert found["encode_ms"] > 0 and found["random_ms"] > 0 and found["windows_ms"] > 0


def taken_picture(number: int) -> Picture:
    pixels = numbered_image(number, 96, 64)
    return taken(ImageValue(pixels.tobytes(), "rgb8", "raw", 64, 96, 288))


def test_what_a_purpose_sets_was_tried() -> None:
    names = {one.name: one for one in SETTINGS}
    for name, purpose in tables.CHOSEN.items():
        codec = names[name].codec
        tuning = TUNINGS[purpose][codec]  # type: ignore[index]
        assert names[name].encoding(tuning.crf) == Encoding(
            codec, tuning.crf, tuning.gop, preset=tuning.preset, params=tuning.params
        )
