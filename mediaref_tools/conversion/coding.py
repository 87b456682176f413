"""How one topic's pictures are coded: which of them go into one segment, and what encodes that."""

from __future__ import annotations

from typing import Final, NamedTuple

from mediaref_tools.dataset.manifest import SegmentCodec, Settings
from mediaref_tools.pixels.picture import FileBytes, Picture
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.segments.segment import Encoding, Shape
from mediaref_tools.segments.tuning import TUNINGS, LossyCodec, Purpose

__all__ = ["Budget", "Coding", "Form", "coding"]

_RANGE_LIMITED: Final = 1  # ITU-T H.273, as libavutil counts


class Form(NamedTuple):
    """What frames must share to go into one segment: the codec, the picture's size and how values are stored."""

    codec: SegmentCodec
    width: int
    height: int
    shape: Shape


class Budget(NamedTuple):
    """What each segment is to reach: floors of the first percentile of PSNR or SSIM, or a most of its size."""

    min_psnr_db: float | None
    min_ssim: float | None
    max_ratio: float | None


class Coding(NamedTuple):
    """How one topic is coded. `codec` is what its 8-bit pictures become, None where they are coded without loss.

    With a budget, `crf` is only where the search for one begins.
    """

    policy: Policy
    codec: LossyCodec | None
    crf: int
    gop: int
    purpose: Purpose = "play"
    budget: Budget | None = None
    threads: int = 1

    def form(self, taken: Picture | FileBytes) -> Form:
        """The form of a picture's segment."""
        if isinstance(taken, FileBytes):
            codec: SegmentCodec = "mjpeg" if taken.codec == "mjpeg" else "png"
            return Form(codec, taken.width, taken.height, Shape(taken.width, taken.height, taken.pixel_format))
        frame = taken.frame
        full = frame.color_range != _RANGE_LIMITED
        shape = Shape(frame.width, frame.height, frame.format.name, full)
        return Form(self.codec if self.codec and not taken.lossless else "ffv1", taken.width, taken.height, shape)

    def encoding(self, form: Form) -> Encoding:
        """How a segment of encoded frames is encoded."""
        if form.codec == "ffv1":
            return Encoding("ffv1", 0, 1, self.threads)
        assert self.codec is not None  # noqa: S101 - the form says that it is lossy
        return self.lossy(self.codec, self.crf)

    def lossy(self, codec: LossyCodec, crf: int) -> Encoding:
        """How a segment is encoded with some crf."""
        tuning = TUNINGS[self.purpose][codec]
        return Encoding(codec, crf, self.gop, self.threads, preset=tuning.preset, params=tuning.params)


def coding(settings: Settings, topic: str, threads: int = 1) -> Coding:
    """How a topic is coded; `threads` is how many its encoder has."""
    chosen, purpose = settings.of_topic(topic), settings.purpose
    codec: LossyCodec | None = None
    if chosen.codec == "h264" or chosen.codec == "av1":
        codec = chosen.codec
    crf = chosen.crf
    if crf is None:
        crf = 0 if codec is None else TUNINGS[purpose][codec].crf
    asked = Budget(settings.min_psnr_db, settings.min_ssim, settings.target_ratio)
    budget = asked if any(asked) and codec is not None and chosen.crf is None else None
    return Coding(settings.policy(topic), codec, crf, chosen.gop or settings.gop, purpose, budget, threads)
