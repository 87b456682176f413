"""Every encoding in every container, converted as it is by default and read back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools import Dataset, convert, open_dataset, verify
from mediaref_tools.report import Report
from mediaref_tools.sample import Container, frame_number, viewable
from tests.encodings.matrix import CASES, COUNT, Case, messages, places, psnr, same, write_protobuf
from tests.smalllogs import every_container, log_of, rows_of
from tests.stocklogs import stock_messages

# Chroma of half the size, ink, and 8 colours a channel: what a file's own coding costs comes on top.
LEAST_DB = {"jpeg-cmyk": 20, "png-palette": 25}


@every_container
def test_every_encoding(tmp_path: Path, container: Container) -> None:
    source = log_of(tmp_path, container, messages())
    check(tmp_path, source, container, CASES)


def test_every_encoding_in_foxglove_s_protobuf(tmp_path: Path) -> None:
    # RawImage has no flag for it, and is little-endian.
    chosen = [case for case in CASES if case.is_file or not case.settings.get("big_endian")]
    source = write_protobuf(tmp_path / "log.mcap", chosen)
    check(tmp_path, source, "mcap", chosen)


def check(folder: Path, source: Path, container: Container, chosen: Sequence[Case]) -> None:
    report = convert(source, folder / "out")
    with open_dataset(folder / "out") as dataset:
        check_report(report, dataset, chosen)
        wrong = {case.topic: told for case in chosen if case.topic in dataset for told in faults(dataset, case)}
        assert wrong == {}
    check_rows(folder / "out", chosen)
    kept = {case.topic for case in chosen if case.fate == "kept"}
    before, after = (stock_messages(path, container) for path in (source, folder / "out" / source.name))
    assert [m for m in before if m.topic in kept] == [m for m in after if m.topic in kept]
    assert len(before) == len(after)
    found = verify(folder / "out", against=source)
    assert found.ok, found.problems
    assert (found.frames, found.messages_compared) == (report.frames, COUNT * len(kept))


def check_report(report: Report, dataset: Dataset, chosen: Sequence[Case]) -> None:
    """The counts add up, and each topic became what it should."""
    video = [case for case in chosen if case.fate != "kept"]
    kept = [case for case in chosen if case.fate == "kept"]
    assert (report.wrong, report.missing, report.embedded, report.losses) == (0, 0, 0, ())
    swapped = [case.topic for case in video if "swapped" in case.encoding]
    assert [warning.partition(" has red and blue swapped ")[0] for warning in report.warnings] == swapped
    assert report.frames == COUNT * len(video) == sum(topic.frames for topic in report.topics)
    assert report.messages_in == report.messages_out == COUNT * len(chosen)
    assert not report.lossless, "there are topics that were kept, and nobody asked for that"
    became = {topic.topic: (topic.codec, topic.segments, topic.height, topic.width) for topic in report.topics}
    codecs = {"lossy": "h264", "lossless": "ffv1"}
    assert became == {case.topic: (codecs[case.fate], 1, *case.size) for case in video}
    told = {topic.topic: (topic.messages, topic.readable, topic.asked) for topic in report.kept}
    assert told == {case.topic: (COUNT, case.readable, False) for case in kept}
    for topic in report.kept:
        case = next(case for case in kept if case.topic == topic.topic)
        assert ("compressedDepth" if case.is_file else case.spelling or case.encoding) in topic.reason
    assert set(dataset) == set(became) | {case.topic for case in kept if case.readable}


def check_rows(dataset: Path, chosen: Sequence[Case]) -> None:
    """The frames table has each topic's messages in order, and PSNR says what was lost."""
    rows = rows_of(dataset)
    for case in chosen:
        mine = [row for row in rows if row["topic"] == case.topic]
        assert [row["index"] for row in mine] == (list(range(COUNT)) if case.fate != "kept" else [])
        for row in mine:
            assert row["status"] == "video"
            assert (row["height"], row["width"]) == case.size
            assert (row["psnr_db"] == np.inf) == (case.fate == "lossless"), case.topic
            assert row["psnr_db"] > 30, case.topic
            assert (row["source_encoding"] == "") == case.is_file


def faults(dataset: Dataset, case: Case) -> list[str]:
    """What is wrong with a topic as the reader gives it out."""
    topic = dataset[case.topic]
    got, expected = topic.batch(range(COUNT)).data, case.natural()
    if (got.shape, got.dtype) != (expected.shape, expected.dtype):
        return [f"{got.dtype} {got.shape}, not {expected.dtype} {expected.shape}"]
    found = []
    if numbers(got) != list(case.numbers()):
        found.append(f"it shows {numbers(got)}")
    if case.is_mosaic:
        found += mosaic_faults(got, topic.batch(range(COUNT), "native").data, case)
    elif case.fate != "lossy" and not same(got, expected):
        found.append("values are not the message's own")
    elif case.fate == "lossy":
        least = LEAST_DB.get(case.encoding, 28)
        if psnr(got, expected) < least:
            found.append(f"PSNR {psnr(got, expected):.1f}")
        bias = np.abs((got.astype(float) - expected).mean(axis=(0, 1, 2))).max()
        if bias > 2:
            found.append(f"{bias:.1f} levels off, on average")
    return found


def mosaic_faults(rgb: NDArray[Any], native: NDArray[Any], case: Case) -> list[str]:
    """The mosaic is exact; and of the colours, each pixel's own, which nothing had to be made up for."""
    stored = case.stored()
    found = [] if same(native, stored) else ["values are not the mosaic's own"]
    shown = stored if stored.dtype == np.uint8 else (stored >> 8).astype(np.uint8)
    own = np.take_along_axis(rgb, places(case.encoding[6:10], case.size)[None, ..., None], axis=3)[..., 0]
    return found + ([] if np.array_equal(own, shown) else ["colours are not where the mosaic has them"])


def numbers(pixels: NDArray[Any]) -> list[int]:
    return [frame_number(viewable(frame)) for frame in pixels]


@pytest.mark.parametrize("case", [case for case in CASES if case.topic.startswith(("/t0_", "/t60_"))])
def test_a_log_of_one_topic_is_lossless_or_not(tmp_path: Path, case: Case) -> None:
    """What makes the exit code 0 or 3: nothing was kept, embedded or lost."""
    report = convert(log_of(tmp_path, "mcap", case.messages()), tmp_path / "out")
    assert report.lossless == (case.fate != "kept")
