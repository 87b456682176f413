"""In which forms the reader gives out each kind of picture: `format=`, of video and of what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools import Dataset, Settings, convert, open_dataset
from mediaref_tools.dataset.manifest import TopicCodec
from mediaref_tools.errors import FrameError
from mediaref_tools.sample import frame_number
from tests.encodings.matrix import CASES, COUNT, Case, messages, psnr, same
from tests.smalllogs import log_of, times

# A kept picture costs its chunk each time: odd forms are read by test_default.py.
FORM_CASES = [case for case in CASES if not case.topic.endswith("_odd")]
FORMS = ("natural", "native", "rgb", "bgr", "gray", "metres")
# How the same values went through libswscale's arithmetic.
CLOSE = 2
LOSSLESS = ("lossless", "copy")


@pytest.fixture(scope="module", params=["h264", "lossless", "copy", "keep"])
def dataset(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Dataset]]:
    folder = tmp_path_factory.mktemp(request.param)
    how = request.param
    settings = Settings(topic_codecs=(TopicCodec(glob="*", codec=how),), depth="ffv1" if how in LOSSLESS else None)
    source = log_of(folder, "mcap", messages(FORM_CASES))
    report = convert(source, folder / "out", settings=settings)
    kept = {topic.topic: (topic.readable, topic.asked) for topic in report.kept}
    asked = how == "keep"
    assert kept == {case.topic: (case.readable, asked) for case in FORM_CASES if asked or is_kept(case, how)}
    with open_dataset(folder / "out") as opened:
        yield how, opened


def is_kept(case: Case, how: str) -> bool:
    return case.fate == "kept" and not (how in LOSSLESS and case.encoding.startswith("compressedDepth"))


def test_every_form_of_every_kind(dataset: tuple[str, Dataset]) -> None:
    how, opened = dataset
    wrong: dict[str, list[str]] = {}
    for case in FORM_CASES:
        if case.topic in opened:
            found = [told for form in FORMS for told in faults(opened, case, form, how)]
            if found:
                wrong[case.topic] = found
        else:
            assert not case.readable
    assert wrong == {}


def faults(opened: Dataset, case: Case, form: Any, how: str) -> list[str]:
    topic = opened[case.topic]
    headless = case.encoding.endswith("-32FC1") and not case.settings.get("depth_header", True)
    if (form == "metres" and not case.is_depth) or (headless and form != "native"):
        with pytest.raises(FrameError if not headless else Exception, match="metres"):
            topic.batch([0], form)
        return []
    if headless:
        return []
    got, expected = topic.batch(range(COUNT), form).data, wanted(case, form, how)
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        return [f"{form} is {got.dtype} {got.shape}, not {expected.dtype} {expected.shape}"]
    if expected.dtype == np.uint8 and not exact(case, form, how):
        least = 18 if case.is_mosaic else 20 if case.encoding == "jpeg-cmyk" else 25
        found = [] if psnr(got, expected) > least else [f"{form}: PSNR {psnr(got, expected):.1f}"]
        if case.is_mosaic or not case.is_depth:
            seen = [frame_number(frame) for frame in got]
            found += [] if seen == list(case.numbers()) else [f"{form} shows {seen}"]
        return found
    if form == "gray" and got.dtype == np.uint8 and not case.is_gray:
        return [] if np.abs(got.astype(int) - expected).max() <= CLOSE else ["gray is not luma"]
    return [] if same(got, expected) else [f"{form} has other values"]


def exact(case: Case, form: str, how: str) -> bool:
    """Whether nothing stands between the message's values and those that are given out."""
    if case.fate == "lossy" and (how == "h264" or case.encoding in ("jpeg", "webp", "avif")):
        return False
    if case.encoding.startswith(("jpeg", "avif")) or case.encoding == "webp":
        return False
    return not case.is_yuv and not (case.is_mosaic and form != "native")


def wanted(case: Case, form: str, how: str) -> NDArray[Any]:
    """What a form shall be, from the numbered values by formulas of its own."""
    values = case.natural()
    if form == "natural":
        return values
    if form == "native":
        if case.encoding.startswith("compressedDepth"):
            return case.depth_integers()
        stored = case.stored()
        rgba = case.encoding in ("rgba8", "bgra8", "8UC4") and stored.shape[3:] == (3,)
        if rgba and how != "h264":  # not told from what is see-through: it is what is stored
            return np.concatenate((stored, np.full((*stored.shape[:3], 1), 255, np.uint8)), axis=3)
        return stored
    if case.is_depth:
        metres = values if values.dtype == np.float32 else np.where(values == 0, np.nan, values / np.float32(1000))
        if form == "metres":
            return np.asarray(metres, np.float32)
        near = np.float32(16) + np.float32(239) * np.clip(np.float32(1) - metres / np.float32(10), 0, 1)
        shown = np.where(np.isnan(metres), 0, near).astype(np.uint8)
        return shown if form == "gray" else shown[..., None].repeat(3, -1)
    shown = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
    if form == "gray":
        return shown if shown.ndim == 3 else np.rint(shown @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    rgb = shown[..., None].repeat(3, -1) if shown.ndim == 3 else shown
    return rgb[..., ::-1] if form == "bgr" else rgb


def test_every_way_to_ask_gives_the_same(dataset: tuple[str, Dataset]) -> None:
    _, opened = dataset
    chosen = [case for case in FORM_CASES if case.topic in opened and case.readable][::7]
    for case in chosen:
        topic = opened[case.topic]
        for form in FORMS:
            if form == "metres" and not case.is_depth:
                continue
            whole = topic.batch(range(COUNT), form).data  # type: ignore[arg-type]
            at = topic.at([time + 5 for time in times(COUNT)][::-1], form).data  # type: ignore[arg-type]
            assert same(at[::-1], whole)
            parts = [batch.data for batch in topic.batches(3, format=form)]  # type: ignore[arg-type]
            assert [len(part) for part in parts] == [3, 3, 2]
            assert same(np.concatenate(parts), whole)
            for time_ns, frames in opened.sync([case.topic], every_ns=33_333_333, format=form):  # type: ignore[arg-type]
                frame = frames[case.topic]
                assert frame is not None
                assert same(frame.data, whole[times(COUNT).index(time_ns)])
        assert same(topic[2].data, topic.batch([2]).data[0])
        assert same(topic.batch([], "rgb").data, np.empty((0, 0, 0, 3), np.uint8))
        with pytest.raises(FrameError, match="format 'RGB' is none of natural, rgb"):
            topic.batch([0], "RGB")  # type: ignore[arg-type]


def test_topics_of_different_kinds_in_step(dataset: tuple[str, Dataset]) -> None:
    _, opened = dataset
    by_encoding = {case.encoding: case for case in FORM_CASES[::-1] if case.topic in opened}
    chosen = [by_encoding[name] for name in ("rgb8", "16UC1", "32FC1", "bayer_rggb8", "mono16")]
    steps = list(opened.sync([case.topic for case in chosen], every_ns=33_333_333))
    assert len(steps) == COUNT
    for case in chosen:
        shown = [frames[case.topic].data for _, frames in steps if frames[case.topic] is not None]  # type: ignore[union-attr]
        assert same(np.stack(shown), opened[case.topic].batch(range(COUNT)).data)
    with pytest.raises(FrameError, match="metres of a picture of"):
        list(opened.sync([case.topic for case in chosen], every_ns=33_333_333, format="metres"))
