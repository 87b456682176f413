"""The zstd transport packs raw images of any encoding: each comes back as it would without it."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zstandard

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.dataset.looks import PixelFormat
from mediaref_tools.dataset.manifest import TopicCodec
from mediaref_tools.sample import SampleMessage, frame_number, numbered_pixels, numbered_topic, viewable
from tests.encodings.matrix import same
from tests.smalllogs import log_of, rows_of, times

COUNT = 6
SIZE = (73, 97)


def packed(message: SampleMessage, size: tuple[int, int]) -> SampleMessage:
    raw, name = message.body, message.body.encoding.encode()
    head = struct.pack("<IIBII", *size, raw.is_bigendian, raw.step, len(name)) + name
    data = np.frombuffer(head + zstandard.compress(raw.data.tobytes()), np.uint8)
    body = SimpleNamespace(header=raw.header, format="zstd", data=data)
    return message._replace(type="sensor_msgs/msg/CompressedImage", body=body)


@pytest.mark.parametrize("how", ["h264", "lossless", "keep"])
@pytest.mark.parametrize("encoding", ["mono8", "16UC1", "mono16", "rgb16", "bayer_gbrg8", "bayer_gbrg16", "32FC1"])
def test_every_kind(tmp_path: Path, encoding: Any, how: Any) -> None:
    settings = {"step_padding": 4, "big_endian": True}
    raw = numbered_topic("/raw", times(COUNT), encoding=encoding, size=SIZE, **settings)  # type: ignore[arg-type]
    zstd = [packed(message, SIZE)._replace(topic="/zstd") for message in raw]
    # One of another size, which is embedded where it is not kept.
    (stray,) = numbered_topic("/zstd", times(1), encoding=encoding, size=(74, 98), first=3, **settings)  # type: ignore[arg-type]
    zstd[3] = packed(stray, (74, 98))._replace(topic="/zstd", log_time_ns=times(COUNT)[3])
    source = log_of(tmp_path, "mcap", raw + zstd)
    how = "keep" if encoding == "32FC1" else how
    report = convert(source, tmp_path / "out", settings=Settings(topic_codecs=(TopicCodec(glob="*", codec=how),)))
    assert verify(tmp_path / "out", against=source).ok
    assert report.embedded == (how != "keep")
    assert {topic.readable for topic in report.kept} <= {True}
    assert len({topic.codec for topic in report.topics}) <= 1
    with open_dataset(tmp_path / "out") as dataset:
        one, other = dataset["/raw"], dataset["/zstd"]
        assert other.sizes.tolist() == [[74, 98] if index == 3 else list(SIZE) for index in range(COUNT)]
        forms: tuple[PixelFormat, ...] = ("natural", "native", "rgb", "gray", "metres")
        for form in forms:
            if form == "metres" and encoding not in ("16UC1", "32FC1"):
                continue
            for index in range(COUNT):
                shown = other.batch([index], form).data[0]
                beside = one.batch([index], form).data[0]
                assert shown.dtype == beside.dtype
                if index != 3 and not (encoding == "mono8" and how == "h264"):
                    assert same(shown, beside)
                if form == "natural":
                    assert frame_number(viewable(shown)) == index
        if encoding != "mono8":
            assert same(other.batch([3], "native").data[0], numbered_pixels(3, encoding, (74, 98)))
    told = [row["source_framing"] for row in rows_of(tmp_path / "out") if row["topic"] == "/zstd"]
    assert told == ([] if how == "keep" else ["" if index == 3 else encoding for index in range(COUNT)])


def test_depth_in_it_is_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    raw = numbered_topic("/raw", times(COUNT), encoding="16UC1", size=SIZE)
    source = log_of(tmp_path, "mcap", [packed(message, SIZE) for message in raw])
    report = convert(source, tmp_path / "out", settings=Settings(depth="keep"))
    assert [(topic.asked, topic.readable) for topic in report.kept] == [(True, True)]
    assert report.lossless


def test_mosaics_in_it_become_colour_where_that_is_asked_for(tmp_path: Path) -> None:
    raw = numbered_topic("/raw", times(COUNT), encoding="bayer_rggb8", size=SIZE)
    source = log_of(tmp_path, "mcap", [packed(message, SIZE) for message in raw])
    report = convert(source, tmp_path / "out", settings=Settings(debayer=True))
    assert [topic.codec for topic in report.topics] == ["h264"]
    with open_dataset(tmp_path / "out") as dataset:
        shown = dataset["/raw"].batch(range(COUNT)).data
        assert [frame_number(frame) for frame in shown] == list(range(COUNT))
        assert same(shown, dataset["/raw"].batch(range(COUNT), "native").data), "no mosaic is left"
