"""The other codecs and policies: what is lossless is identical, and what is copied is the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools import Manifest, Settings, convert, open_dataset, verify
from mediaref_tools.dataset.manifest import TopicCodec
from mediaref_tools.report import Report
from mediaref_tools.sample import frame_number, numbered_image, viewable
from mediaref_tools.samples.rawimages import yuv_planes
from tests.encodings.matrix import CASES, COUNT, Case, messages, psnr, same
from tests.smalllogs import log_of, rows_of
from tests.stocklogs import stock_messages


def converted(folder: Path, chosen: list[Case], **settings: Any) -> tuple[Path, Report]:
    source = log_of(folder, "mcap", messages(chosen))
    report = convert(source, folder / "out", settings=Settings(**settings))
    found = verify(folder / "out", against=source)
    assert found.ok, found.problems
    assert verify(folder / "out").ok
    assert (report.wrong, report.missing, report.embedded) == (0, 0, 0)
    return folder / "out", report


def codecs(report: Report) -> dict[str, str]:
    return {topic.topic: topic.codec for topic in report.topics}


def stock_packets(dataset: Path, topic: str) -> list[bytes]:
    """The packets of a topic's segments, by libavformat."""
    found = []
    for entry in Manifest.read(dataset).topics:
        for segment in entry.segments if entry.topic == topic else ():
            with av.open(str(dataset / segment.uri)) as container:
                stream = container.streams.video[0]
                assert stream.codec_context.name == segment.codec
                found += [bytes(packet) for packet in container.demux(stream) if packet.size]
    return found


def stock_frames(dataset: Path, topic: str) -> list[av.VideoFrame]:
    found = []
    for entry in Manifest.read(dataset).topics:
        for segment in entry.segments if entry.topic == topic else ():
            with av.open(str(dataset / segment.uri)) as container:
                found += list(container.decode(video=0))
    return found


def expected_codec(case: Case, codec: str) -> str:
    copied = {"copy": ("jpeg", "png"), "lossless": ("jpeg",)}[codec]
    kind = case.encoding.split("-")[0]
    return {"jpeg": "mjpeg", "png": "png"}[kind] if case.is_file and kind in copied else "ffv1"


@pytest.mark.parametrize("codec", ["lossless", "copy"])
def test_nothing_is_lost(tmp_path: Path, codec: Any) -> None:
    dataset, report = converted(tmp_path, CASES, codec=codec)
    video = [case for case in CASES if case.fate != "kept"]
    assert codecs(report) == {case.topic: expected_codec(case, codec) for case in video}
    assert {topic.topic for topic in report.kept} == {case.topic for case in CASES if case.fate == "kept"}
    assert {row["psnr_db"] for row in rows_of(dataset)} == {np.inf}
    with open_dataset(dataset) as opened:
        for case in video:
            got = opened[case.topic].batch(range(COUNT)).data
            assert [frame_number(viewable(frame)) for frame in got] == list(case.numbers()), case.topic
            if expected_codec(case, codec) != "ffv1":
                files = [message.body.data.tobytes() for message in case.messages()]
                assert stock_packets(dataset, case.topic) == files, case.topic
            if case.is_yuv:
                check_planes(dataset, case)
            elif not case.is_mosaic and not case.encoding.startswith(("jpeg", "avif")) and case.encoding != "webp":
                assert same(got, case.natural()), case.topic


def check_planes(dataset: Path, case: Case) -> None:
    """The planes of yuv are in the file as they were in the message, without a trip through RGB."""
    height, width = case.size
    for number, frame in zip(case.numbers(), stock_frames(dataset, case.topic), strict=True):
        planes = yuv_planes(numbered_image(number, width, height), case.encoding)
        assert frame.format.name in ("yuv420p", "yuv422p", "yuv444p")
        for plane, wanted in zip(frame.planes, planes, strict=True):
            rows = np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)
            assert np.array_equal(rows[: wanted.shape[0], : wanted.shape[1]], wanted), case.topic


def test_yuv_is_shown_in_limited_range_whatever_codes_it(tmp_path: Path) -> None:
    """Levels, not PSNR: a wrong range or matrix is a few levels everywhere."""
    chosen = [case for case in CASES if case.is_yuv]
    for codec in ("h264", "av1", "lossless"):
        dataset, _ = converted(tmp_path / codec, chosen, codec=codec)
        with open_dataset(dataset) as opened:
            for case in chosen:
                got, expected = opened[case.topic].batch(range(COUNT)).data, case.natural()
                assert np.abs((got.astype(float) - expected).mean((0, 1, 2))).max() < 2, (codec, case.topic)
                assert psnr(got, expected) > 27, (codec, case.topic)


DEPTH = [case for case in CASES if case.is_depth or case.encoding in ("mono16", "png-gray16")]


def test_depth_as_video_has_the_very_integers(tmp_path: Path) -> None:
    dataset, report = converted(tmp_path, DEPTH, depth="ffv1")
    floats = {case.topic for case in DEPTH if case.encoding == "32FC1"}
    assert {topic.topic for topic in report.kept} == floats
    assert codecs(report) == {case.topic: "ffv1" for case in DEPTH if case.topic not in floats}
    with open_dataset(dataset) as opened:
        for case in DEPTH:
            if case.encoding.startswith("compressedDepth"):
                integers = case.depth_integers()
                assert same(opened[case.topic].batch(range(COUNT), "native").data, integers)
                frames = stock_frames(dataset, case.topic)
                assert {frame.format.name for frame in frames} == {"gray16le"}
                height, width = case.size
                stored = [frame.to_ndarray()[:height, :width] for frame in frames]
                assert np.array_equal(np.stack(stored), integers)
            if case.readable:
                assert same(opened[case.topic].batch(range(COUNT)).data, case.natural())
            if case.readable and case.is_depth:
                check_metres(opened[case.topic].batch(range(COUNT), "metres").data, case)


def check_metres(got: NDArray[Any], case: Case) -> None:
    """Within what the transport's own coding costs, of the scene itself: holes are NaN, nothing else is."""
    truth = next(one for one in CASES if one.encoding == "16UC1")._replace(first=case.first, size=case.size).stored()
    assert np.array_equal(np.isnan(got), truth == 0)
    assert np.nanmax(np.abs(got - truth / 1000)) < 0.001 + 3.1**2 / 10100


def test_depth_that_is_to_be_kept(tmp_path: Path) -> None:
    dataset, report = converted(tmp_path, DEPTH, depth="keep")
    video = {"/t" + case.topic[2:] for case in DEPTH if case.encoding == "png-gray16"}
    assert set(codecs(report)) == video, "a PNG file of 16 bits is no raw image of depth"
    kept = {topic.topic: (topic.asked, topic.readable) for topic in report.kept}
    floats = {case.topic for case in DEPTH if case.encoding == "32FC1"}
    assert kept == {c.topic: (c.topic not in floats, c.readable) for c in DEPTH if c.topic not in video}
    assert not report.lossless
    before, after = (stock_messages(path, "mcap") for path in (tmp_path / "source.mcap", dataset / "source.mcap"))
    assert [m for m in before if m.topic in kept] == [m for m in after if m.topic in kept]
    with open_dataset(dataset) as opened:
        for case in DEPTH:
            assert (case.topic in opened) == case.readable
            if case.readable:
                assert same(opened[case.topic].batch(range(COUNT)).data, case.natural())


def test_what_was_asked_for_is_no_loss(tmp_path: Path) -> None:
    _, report = converted(tmp_path, [case for case in DEPTH if case.encoding != "32FC1"], depth="keep")
    assert report.kept
    assert report.lossless


@pytest.mark.parametrize("codec", ["h264", "lossless"])
def test_debayer_makes_colour_of_mosaics(tmp_path: Path, codec: Any) -> None:
    chosen = [case for case in CASES if case.is_mosaic] + CASES[:1]
    dataset, report = converted(tmp_path, chosen, debayer=True, codec=codec)
    assert set(codecs(report).values()) == {"h264" if codec == "h264" else "ffv1"}
    plain, _ = converted(tmp_path / "plain", chosen)
    with open_dataset(dataset) as coloured, open_dataset(plain) as mosaics:
        for case in chosen[:-1]:
            got = coloured[case.topic].batch(range(COUNT)).data
            assert [frame_number(frame) for frame in got] == list(case.numbers())
            expected = mosaics[case.topic].batch(range(COUNT)).data
            # Colours that were made up at sharp edges do not live in chroma of half the size.
            assert same(got, expected) if codec == "lossless" else psnr(got, expected) > 20
            assert np.abs((got.astype(float) - expected).mean((0, 1, 2))).max() < 3
            assert same(coloured[case.topic].batch(range(COUNT), "native").data, got), "no mosaic is left"


def test_topics_of_their_own_codec(tmp_path: Path) -> None:
    by_encoding: dict[str, Case] = {case.encoding: case for case in CASES[::-1]}
    names = ("rgb8", "bgr8", "mono8", "jpeg", "png", "bayer_rggb8", "mono16")
    rgb, bgr, mono, jpeg, png, bayer, deep = chosen = [by_encoding[name] for name in names]
    choices = (
        TopicCodec(glob="*", codec="av1", crf=40),
        TopicCodec(glob=jpeg.topic, codec="copy"),
        TopicCodec(glob=png.topic, codec="lossless"),
        TopicCodec(glob=mono.topic, codec="keep"),
        TopicCodec(glob=bgr.topic, codec="h264", crf=10, gop=4),
    )
    dataset, report = converted(tmp_path, chosen, topic_codecs=choices)
    wanted = ((rgb, "av1"), (bgr, "h264"), (jpeg, "mjpeg"), (png, "ffv1"), (bayer, "ffv1"), (deep, "ffv1"))
    assert codecs(report) == {case.topic: codec for case, codec in wanted}
    assert [(topic.topic, topic.asked, topic.readable) for topic in report.kept] == [(mono.topic, True, True)]
    assert report.lossless
    quality = {topic.topic: topic.psnr_mean_db for topic in report.topics}
    assert quality[bgr.topic] > quality[rgb.topic] + 5  # type: ignore[operator]
    with open_dataset(dataset) as opened:
        assert np.flatnonzero(opened[bgr.topic].keyframes).tolist() == [0, 4]
        assert same(opened[png.topic].batch(range(COUNT)).data, png.natural())
        assert same(opened[mono.topic].batch(range(COUNT)).data, mono.natural())
        for case in chosen:
            shown = opened[case.topic].batch(range(COUNT)).data
            assert [frame_number(viewable(frame)) for frame in shown] == list(case.numbers())
    assert stock_packets(dataset, jpeg.topic) == [message.body.data.tobytes() for message in jpeg.messages()]
