"""How encoders are set, by what a dataset is for: chosen by measuring them on recorded pictures (docs/choices.md)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["DEFAULT_CODEC", "TUNINGS", "LossyCodec", "Purpose", "Tuning"]

LossyCodec = Literal["h264", "av1"]
Purpose = Literal["play", "train", "archive"]


class Tuning(NamedTuple):
    """One encoder's setting: `crf` and `gop` where none is asked for, and what `Encoding` has."""

    crf: int
    gop: int
    preset: str
    params: str = ""


# How bits are shared out within a frame: files a fifth smaller at the same first percentile of PSNR.
_AQ: Final = "aq-mode=2:aq-strength=0.7"
_CHEAP: Final = "cabac=0:no-deblock=1:weightp=0"  # half of a decoder's work is gone, for a third more bytes

TUNINGS: Final[dict[Purpose, dict[LossyCodec, Tuning]]] = {
    "play": {"h264": Tuning(23, 15, "veryfast", _AQ), "av1": Tuning(30, 15, "9")},
    "train": {"h264": Tuning(22, 10, "veryfast", f"{_AQ}:{_CHEAP}"), "av1": Tuning(30, 10, "9")},
    "archive": {"h264": Tuning(23, 60, "faster", _AQ), "av1": Tuning(30, 60, "7")},
}
# SVT-AV1 4.1 from preset 10 on skips blocks that changed, in frames between others (mean square error 1950 where its
# neighbours have 5), on pictures that jump; 9 does not.

DEFAULT_CODEC: Final[dict[Purpose, LossyCodec]] = {"play": "h264", "train": "h264", "archive": "av1"}
