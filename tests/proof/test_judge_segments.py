"""PSNR, and the frames that references choose in a segment."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.errors import DatasetError, ProofError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import PixelDecoder, luma
from mediaref_tools.pixels.plane import plane
from mediaref_tools.proof.judge import psnr_db
from mediaref_tools.proof.segmentframes import SegmentFrames
from mediaref_tools.sample import numbered_image
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape
from tests.pictures import taken_by

Luma = NDArray[np.uint8]
X264_23 = Encoding("h264", 23, 15)


def test_psnr_is_the_plain_formula() -> None:
    rng = np.random.default_rng(3)
    for shape in ((1, 1), (7, 5), (1080, 1920)):
        one = rng.integers(0, 256, shape, dtype=np.uint8)
        changed: list[Luma] = [rng.integers(0, 256, shape, dtype=np.uint8), np.bitwise_xor(one, 1), np.invert(one)]
        for other in changed:
            error = float(np.mean((one.astype(np.float64) - other.astype(np.float64)) ** 2))
            assert psnr_db(one, other) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-3)
        assert psnr_db(one, one.copy()) == math.inf
    one = np.zeros((480, 640), np.uint8)
    other = one.copy()
    other[0, 0] = 1
    assert psnr_db(one, other) == pytest.approx(10 * math.log10(255**2 * 480 * 640), abs=1e-3)
    assert psnr_db(one, np.full_like(one, 255)) == pytest.approx(0, abs=1e-3)


def bare_row(pts_us: int | None, uri: str = "s.mp4") -> FrameRow:
    pts_ns = None if pts_us is None else pts_us * 1000
    return FrameRow(0, 0, None, None, "", uri, pts_ns, False, 91, 61, "", "", "", None, None, "video")


def test_frames_are_chosen_at_exactly_their_times(tmp_path: Path) -> None:
    times_us, decoder = [0, 7, 1000, 500_000], PixelDecoder()
    writer = SegmentWriter(tmp_path / "s.mp4", X264_23, Shape(92, 62))
    sources = []
    for number, time_us in enumerate(times_us):
        pixels = numbered_image(number * 100, 91, 61)
        picture = taken_by(decoder, ImageValue(pixels.tobytes(), "rgb8", "raw", 61, 91, 273))
        sources.append(luma(picture).copy())
        writer.add(picture.frame, time_us)
    table = np.stack(writer.close().packets, axis=1).tolist()
    packets = {time_us: (offset, size, bool(key)) for time_us, offset, size, key in table}

    def row(time_us: int | None, uri: str = "s.mp4") -> FrameRow:
        offset, size, key = packets.get(time_us or 0, (None, None, False))
        return replace(bare_row(time_us, uri), byte_offset=offset, byte_size=size, keyframe=key)

    for asked in (times_us, times_us[1::2]):  # rows may skip frames
        frames = SegmentFrames(tmp_path)
        for time_us in asked:
            shown = frames.at(row(time_us))
            assert shown is not None
            assert psnr_db(plane(shown, 0)[:61, :91], sources[times_us.index(time_us)]) > 30
        frames.close()
    frames = SegmentFrames(tmp_path)
    assert frames.at(row(None)) is None
    with pytest.raises(ProofError, match=r"pts_ns 8000 shows the frame at 7000: s\.mp4"):
        frames.at(row(8))
    assert frames.at(row(7)) is None  # that time has passed: no frame stands for two rows
    with pytest.raises(ProofError):
        SegmentFrames(tmp_path).at(row(500_001))
    assert SegmentFrames(tmp_path).at(row(-1)) is None
    assert SegmentFrames(tmp_path).at(row(0, "none.mp4")) is None
    with pytest.raises(DatasetError):
        SegmentFrames(tmp_path).at(row(0, "../s.mp4"))
