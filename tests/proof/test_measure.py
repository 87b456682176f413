"""PSNR and SSIM of a finished file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.errors import EncodeError
from mediaref_tools.pixels.picture import Picture
from mediaref_tools.proof.measure import measure, ssim
from mediaref_tools.sample import numbered_image
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape


def gray(number: int, noise: float = 0.0) -> NDArray[np.uint8]:
    picture = numbered_image(number, 96, 64)[..., 1].astype(np.float64)
    picture += np.random.default_rng(number).normal(0, noise, picture.shape) if noise else 0
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def by_libavfilter(decoded: NDArray[np.uint8], source: NDArray[np.uint8], folder: Path) -> float:
    """What libavfilter's `ssim` says of two pictures."""
    log = folder / "ssim.log"
    graph = av.filter.Graph()
    inputs = [
        graph.add_buffer(width=96, height=64, format=av.VideoFormat("gray"), time_base=Fraction(1, 25), name=name)
        for name in "ab"
    ]
    compared, sink = graph.add("ssim", f"stats_file={log}"), graph.add("buffersink")
    for place, one in enumerate(inputs):
        one.link_to(compared, 0, place)
    compared.link_to(sink)
    graph.configure()
    for one, array in zip(inputs, (decoded, source), strict=True):
        frame = av.VideoFrame.from_ndarray(array, format="gray")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        one.push(frame)
        one.push(None)
    sink.pull()
    del graph, inputs, compared, sink
    return float(log.read_text().split("Y:")[1].split()[0])


@pytest.mark.parametrize("noise", [0.0, 2.0, 12.0, 60.0])
def test_ssim_is_libavfilter_s(tmp_path: Path, noise: float) -> None:
    decoded, source = gray(7, noise), gray(7)
    assert ssim(decoded, source) == pytest.approx(by_libavfilter(decoded, source, tmp_path), abs=2e-4)


def test_ssim_of_equal_pictures_is_one_and_of_others_is_less() -> None:
    assert ssim(gray(3), gray(3)) == 1
    assert ssim(gray(3, 5), gray(3)) < ssim(gray(3, 2), gray(3)) < 1
    assert ssim(255 - gray(3), gray(3)) < 0
    flat = np.full((64, 96), 128, np.uint8)
    assert ssim(flat, flat) == 1


def pictures(count: int) -> list[Picture]:
    found = []
    for number in range(count):
        frame = av.VideoFrame(96, 64, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        rows = np.frombuffer(memoryview(frame.planes[0]), np.uint8).reshape(-1, frame.planes[0].line_size)
        rows[:64, :96] = gray(number)
        found.append(Picture(frame, 96, 64))
    return found


def written(path: Path, count: int, crf: int = 30) -> Path:
    writer = SegmentWriter(path, Encoding("h264", crf, 10), Shape(96, 64))
    for number, picture in enumerate(pictures(count)):
        writer.add(picture.frame, number * 1000)
    writer.close()
    return path


def test_the_lowest_of_few_frames_is_what_counts(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", 12)
    right = measure(path, pictures(12), with_ssim=True)
    assert 25 < right.psnr_p1_db < 50
    assert 0.5 < right.ssim_p1 < 1
    one_off = pictures(12)
    one_off[5] = pictures(40)[39]
    wrong = measure(path, one_off, with_ssim=True)
    assert wrong.psnr_p1_db < right.psnr_p1_db
    assert wrong.ssim_p1 < right.ssim_p1
    assert np.isnan(measure(path, pictures(12), with_ssim=False).ssim_p1)


def test_a_file_that_is_short_or_damaged_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="after 4 frames"):
        measure(written(tmp_path / "a.mp4", 4), pictures(5), with_ssim=False)
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    with pytest.raises(EncodeError, match="does not decode"):
        measure(tmp_path / "b.mp4", pictures(5), with_ssim=False)
