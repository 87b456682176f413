"""What libx264 may use of this machine's processor, for the same frames to become the same bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["x264_processor"]

_CPUINFO = Path("/proc/cpuinfo")
# Whatever has AVX-512 has all of these. x264 takes the list as it is: it does not look whether that is so.
_BELOW_AVX512 = "MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI1,BMI2,LZCNT,AVX2"


@cache
def x264_processor() -> str:
    """The option of `x264-params` that leaves out AVX-512; "" where there is none, or nobody can tell.

    With it, libx264 165 makes other bytes of the same frames now and then: 7 of 40 conversions of a small log had a
    segment that differed; without it, or without macroblock trees, none of 40. Either way the video is right, but a
    conversion that goes on where another was stopped would not make the very same files.
    """
    try:
        has = any(line.startswith("flags") and " avx512f" in line for line in _CPUINFO.read_text().splitlines())
    except OSError:
        return ""
    return f":asm={_BELOW_AVX512}" if has else ""
