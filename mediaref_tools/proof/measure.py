"""How much of its pictures a finished file has kept: PSNR and SSIM of luma, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import EncodeError
from mediaref_tools.pixels.picture import Picture, luma
from mediaref_tools.pixels.plane import plane
from mediaref_tools.proof.judge import psnr_db
from mediaref_tools.report import first_percentile, quality

__all__ = ["Quality", "measure", "ssim"]

# Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment" (IEEE Transactions on Image Processing, 2004), over
# sums of 8x8 windows that lie 4 apart instead of Gaussian ones, as x264 and libavfilter's `ssim` have it.
_C1, _C2 = 0.01**2 * 255**2 * 64, 0.03**2 * 255**2 * 64 * 63


class Quality(NamedTuple):
    """First percentiles over frames. `ssim_p1` is NaN where it was not asked for."""

    psnr_p1_db: float
    ssim_p1: float


def measure(path: Path, sources: Iterable[Picture], *, with_ssim: bool) -> Quality:
    """Decode a file from its beginning, and compare each frame with its source.

    Args:
        path: Of the file.
        sources: One a frame, in order.
        with_ssim: Whether to measure that, too.

    Raises:
        EncodeError: It does not decode, or has fewer frames.
    """
    psnr: list[float] = []
    similar: list[float] = []
    try:
        with av.open(str(path)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            frames = container.decode(video=0)
            for source in sources:
                frame = next(frames, None)
                if frame is None:
                    raise EncodeError(f"segment ends after {len(psnr)} frames: {path}")
                decoded, wanted = plane(frame, 0)[: source.height, : source.width], luma(source)
                psnr.append(psnr_db(decoded, wanted))
                if with_ssim:
                    similar.append(ssim(decoded, wanted))
    except av.FFmpegError as error:
        raise EncodeError(f"segment does not decode: {error}: {path}") from error
    _, lowest = quality([np.array(psnr, np.float32)])
    assert lowest is not None  # noqa: S101 - no segment is empty
    return Quality(lowest, first_percentile(similar) if with_ssim else float("nan"))


def ssim(decoded: NDArray[np.uint8], source: NDArray[np.uint8]) -> float:
    """Structural similarity of two 8-bit planes of at least 8x8, at most 1; columns and rows beyond 4s are left out."""
    rows, columns = source.shape[0] // 4, source.shape[1] // 4
    one, other = (
        part[: rows * 4, : columns * 4].astype(np.float32).reshape(rows, 4, columns, 4) for part in (decoded, source)
    )
    mine, theirs = _windows(one.sum(axis=(1, 3))), _windows(other.sum(axis=(1, 3)))
    squares = _windows((one * one + other * other).sum(axis=(1, 3)))
    product = _windows((one * other).sum(axis=(1, 3)))
    variance = squares * 64 - mine * mine - theirs * theirs
    covariance = product * 64 - mine * theirs
    found = (2 * mine * theirs + _C1) * (2 * covariance + _C2)
    found /= (mine * mine + theirs * theirs + _C1) * (variance + _C2)
    return float(found.mean())


def _windows(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = blocks.astype(np.float64)
    return wide[:-1, :-1] + wide[1:, :-1] + wide[:-1, 1:] + wide[1:, 1:]
