"""What `convert` and `verify` found, as values and as JSON (`--report`, `--json`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "IDENTICAL_DB",
    "KeptTopic",
    "LossReport",
    "Report",
    "TopicReport",
    "VerifyReport",
    "first_percentile",
    "quality",
]

IDENTICAL_DB = 100.0
"""What a frame of identical pixels counts in PSNR statistics, since its own PSNR is infinite."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TopicReport(_Model):
    """One converted topic. PSNR is of luma, in dB, over frames in video; p1 is the first percentile."""

    topic: str
    frames: int = Field(description="image messages of the topic: frames in video, and embedded ones")
    embedded: int = Field(description="frames kept as data URIs with their original bytes")
    codec: str = Field(description="of its segments; several are joined by +")
    segments: int
    width: int
    height: int
    bytes_in: int = Field(description="image message payloads in the source")
    bytes_out: int = Field(description="segments and embedded frames")
    psnr_mean_db: float | None
    psnr_p1_db: float | None
    ssim_p1: float | None = Field(default=None, description="of luma, measured where a floor of it was asked for")
    reason: str | None = Field(default=None, description="why the first embedded frame could not become video")


class KeptTopic(_Model):
    """An image topic that stays in the log as it was."""

    topic: str
    reason: str
    messages: int
    asked: bool = Field(default=False, description="whether the settings say so: it is no loss then")
    readable: bool = Field(default=False, description="whether the reader can give out its pictures from the log")


class LossReport(_Model):
    """Something the source claims and that could not be read, or that had to be recovered."""

    where: str
    what: str
    messages: int | None


class Report(_Model):
    """What a conversion did. A dataset is only committed with `wrong` and `missing` both 0."""

    source: str
    container: str
    out: str
    frames: int
    wrong: int
    missing: int
    embedded: int
    kept: tuple[KeptTopic, ...]
    losses: tuple[LossReport, ...]
    messages_in: int
    messages_out: int
    bytes_in: int = Field(description="the log as it was")
    bytes_out: int = Field(description="the whole dataset folder")
    ratio: float = Field(description="bytes_out / bytes_in")
    seconds: float
    segments_reused: int = Field(default=0, description="finished by an earlier run that was stopped")
    topics: tuple[TopicReport, ...]
    warnings: tuple[str, ...]
    missed: tuple[str, ...] = Field(default=(), description="what of the quality or size asked for was not reached")

    @property
    def lossless(self) -> bool:
        """Whether nothing was kept, embedded, lost or missed: the difference between exit code 0 and 3."""
        kept = any(not topic.asked for topic in self.kept)
        return not (self.embedded or self.losses or self.missed or kept)


class VerifyReport(_Model):
    """What `verify` found. `psnr_*` comes from the frames table, or from the source where `against` is given."""

    dataset: str
    against: str | None
    frames: int
    wrong: int
    missing: int
    embedded: int
    psnr_mean_db: float | None
    psnr_p1_db: float | None
    messages_compared: int | None = None
    messages_different: int | None = None
    problems: tuple[str, ...] = Field(default=(), description="one line each, the first hundred")
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every reference and every message is as it should be."""
        return not (self.wrong or self.missing or self.messages_different or self.problems)


def quality(psnr_db: Iterable[NDArray[np.float32]]) -> tuple[float | None, float | None]:
    """Mean and first percentile of frames' PSNR in dB, rounded to 0.01.

    Args:
        psnr_db: (N,) arrays. NaN (embedded, not decoded) is left out; identical frames count as 100 dB, since one
            black frame would make every mean infinite.

    Returns:
        None, None where there is no frame. The percentile is a value that a frame has: the lower of two.
    """
    parts = [array[~np.isnan(array)] for array in psnr_db]
    values = np.minimum(np.concatenate(parts) if parts else np.empty(0, np.float32), IDENTICAL_DB)
    if len(values) == 0:
        return None, None
    return round(float(values.mean(dtype=np.float64)), 2), round(first_percentile(values), 2)


def first_percentile(values: Sequence[float] | NDArray[np.float32]) -> float:
    """The first percentile of (N,) values, N at least 1: the lower one of the two that it lies between."""
    return float(np.percentile(np.asarray(values, np.float64), 1, method="lower"))
