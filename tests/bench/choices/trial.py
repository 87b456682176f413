"""One setting, tried on some pictures: bytes, quality, and seconds of CPU of encoding and of decoding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from mediaref_tools import VideoDecoder
from mediaref_tools.pixels.picture import Picture, luma
from mediaref_tools.pixels.plane import plane
from mediaref_tools.proof.judge import psnr_db
from mediaref_tools.proof.measure import ssim
from mediaref_tools.report import first_percentile
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape

__all__ = ["tried"]

RANDOM, WINDOWS, LENGTH, STRIDE = 48, 8, 8, 5
CEILING_DB = 100.0


def tried(pictures: Sequence[Picture], pts_us: Sequence[int], encoding: Encoding, path: Path) -> dict[str, Any]:
    """Encode the pictures into a file, decode it, and say what it took and gave."""
    path.unlink(missing_ok=True)
    first = pictures[0].frame
    shape = Shape(first.width, first.height, first.format.name)
    begun = time.process_time()
    writer = SegmentWriter(path, encoding, shape)
    for picture, pts in zip(pictures, pts_us, strict=True):
        writer.add(picture.frame, pts)
    closed = writer.close()
    spent = time.process_time() - begun
    psnr, similar = quality(pictures, path)
    count = len(pictures)
    chance = np.random.default_rng(3)
    random = chance.integers(0, count, RANDOM)  # asked for by twos, which seldom lie in one group of pictures
    starts = chance.integers(0, count - LENGTH * STRIDE, WINDOWS)
    windows = [start + np.arange(LENGTH) * STRIDE for start in starts]
    times = np.array(pts_us, np.int64) * 1000
    return {
        "bytes": closed.bytes,
        "frames": count,
        "encode_ms": 1e3 * spent / count,
        "random_ms": 1e3 * decoding(path, list(times[random].reshape(-1, 2))) / RANDOM,
        "windows_ms": 1e3 * decoding(path, [times[window] for window in windows]) / (WINDOWS * LENGTH),
        "psnr_mean_db": float(np.mean(psnr)),
        "psnr_p1_db": first_percentile(psnr),
        "ssim_mean": float(np.mean(similar)),
        "ssim_p1": first_percentile(similar),
    }


def quality(pictures: Sequence[Picture], path: Path) -> tuple[list[float], list[float]]:
    """PSNR in dB and SSIM of luma, frame by frame."""
    psnr: list[float] = []
    similar: list[float] = []
    with av.open(str(path)) as container:
        for frame, source in zip(container.decode(video=0), pictures, strict=True):
            shown, wanted = plane(frame, 0)[: source.height, : source.width], luma(source)
            psnr.append(min(psnr_db(shown, wanted), CEILING_DB))
            similar.append(ssim(shown, wanted))
    return psnr, similar


def decoding(path: Path, calls: Sequence[np.ndarray[Any, np.dtype[np.int64]]]) -> float:
    """Seconds of CPU that some calls take, of an open file, by one thread."""
    with VideoDecoder(path, threads=1) as video:
        list(video.frames_at(calls[0][:2]))  # it is open, and its index is read
        begun = time.process_time()
        for call in calls:
            for _ in video.frames_at(call):
                pass
        return time.process_time() - begun
