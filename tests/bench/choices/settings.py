"""The settings that are tried, each at several crf."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from mediaref_tools.segments.segment import Encoding

__all__ = ["CRFS", "SETTINGS", "Choice", "choices"]

CRFS = {"h264": (20, 23, 26), "av1": (24, 30, 36)}
AQ = "aq-mode=2:aq-strength=0.7"
CHEAP = "cabac=0:no-deblock=1:weightp=0"


class Choice(NamedTuple):
    """A setting: all but its crf. `name` is what tables call it."""

    name: str
    codec: Literal["h264", "av1"]
    preset: str
    gop: int
    b_frames: int = 0
    params: str = ""

    def encoding(self, crf: int) -> Encoding:
        """For `SegmentWriter`, with one thread."""
        return Encoding(self.codec, crf, self.gop, 1, self.b_frames, self.preset, self.params)


def x264(name: str, preset: str = "veryfast", gop: int = 15, b_frames: int = 0, params: str = "") -> Choice:
    """A setting of libx264."""
    return Choice(f"x264 {name}", "h264", preset, gop, b_frames, params)


def svt(name: str, preset: int = 9, gop: int = 15, params: str = "") -> Choice:
    """A setting of libsvtav1."""
    return Choice(f"SVT-AV1 {name}", "av1", str(preset), gop, 0, params)


def choices() -> Iterator[Choice]:
    """All of them; the first is what tables compare the others with."""
    yield x264("veryfast")
    for preset in ("superfast", "faster", "fast", "medium"):
        yield x264(preset, preset)
    yield x264("medium, GOP 30", "medium", 30)
    for gop in (5, 10, 30, 60, 250):
        yield x264(f"veryfast, GOP {gop}", gop=gop)
    for params in ("psy=0", "subme=4", "trellis=1", "mbtree=0"):
        yield x264(f"veryfast, {params}", params=params)
    for mode, strength in ((0, 1.0), (1, 0.7), (1, 1.3), (2, 0.7), (2, 1.0), (3, 0.7)):
        params = f"aq-mode={mode}:aq-strength={strength}"
        yield x264(f"veryfast, AQ {mode} of {strength}", params=params)
    yield x264("veryfast, AQ, trellis", params=f"{AQ}:trellis=1")
    yield x264("faster, AQ", "faster", params=AQ)
    for gop in (10, 30):
        yield x264(f"veryfast, AQ, GOP {gop}", gop=gop, params=AQ)
    for gop in (10, 15):
        yield x264(f"veryfast, AQ, cheap, GOP {gop}", gop=gop, params=f"{AQ}:{CHEAP}")
    yield x264("veryfast, AQ, no CABAC, GOP 10", gop=10, params=f"{AQ}:cabac=0")
    yield x264("veryfast, AQ, no deblocking, GOP 10", gop=10, params=f"{AQ}:no-deblock=1")
    for frames in (1, 3, 7):
        yield x264(f"veryfast, AQ, GOP 16, {frames} B", gop=16, b_frames=frames, params=f"{AQ}:b-adapt=0")
    yield x264("veryfast, AQ, cheap, GOP 16, 3 B", gop=16, b_frames=3, params=f"{AQ}:b-adapt=0:{CHEAP}")
    for preset in ("faster", "medium"):
        yield x264(f"{preset}, AQ, GOP 60", preset, 60, params=AQ)
    yield x264("medium, GOP 60, 3 B", "medium", 60, 3)
    for number in (6, 7, 8, 9, 10, 12):
        yield svt(f"{number}", number)
    for gop in (10, 30, 60):
        yield svt(f"9, GOP {gop}", gop=gop)
    yield svt("8, GOP 30", 8, 30)
    for number in (8, 7, 6):
        yield svt(f"{number}, GOP 60", number, 60)
    for params in ("tune=0", "tune=2", "fast-decode=2", "enable-variance-boost=1"):
        yield svt(f"9, {params}", params=params)


SETTINGS = tuple(choices())
