"""Packets as Rerun wants them: units behind start codes, with the decoder's configuration before each keyframe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from mediaref_tools.errors import DatasetError

__all__ = ["SAMPLES"]

_START: Final = b"\0\0\0\1"


def _h264(data: bytes, config: bytes) -> bytes:
    nals = list(_units(data, (config[4] & 3) + 1))
    is_key = any(nal[0] & 31 == 5 for nal in nals)
    return _annexb([*_avc_sets(config), *nals] if is_key else nals)


def _h265(data: bytes, config: bytes) -> bytes:
    nals = list(_units(data, (config[21] & 3) + 1))
    is_key = any(16 <= nal[0] >> 1 & 63 <= 21 for nal in nals)
    return _annexb([*_hevc_sets(config), *nals] if is_key else nals)


def _av1(data: bytes, config: bytes) -> bytes:
    # Only a keyframe may have one before it, and a decoder takes it again.
    header = config[4:]
    return data if not header or _has_header(data) else header + data


def _has_header(data: bytes) -> bool:
    """Whether OBUs begin with a sequence header, or need none: behind delimiters, a frame that is no keyframe."""
    at = 0
    while at < len(data):
        kind, has_extension, has_size = data[at] >> 3 & 15, data[at] & 4, data[at] & 2
        start = at + 1 + bool(has_extension)
        length, shift = 0, 0
        while has_size:
            length |= (data[start] & 127) << shift
            start, shift = start + 1, shift + 7
            if data[start - 1] < 128:
                break
        if kind == 1:
            return True
        if kind in (3, 6):  # show_existing_frame, then frame_type: 0 is a keyframe
            return start < len(data) and data[start] & 0xE0 != 0
        if not has_size:
            return True
        at = start + length
    return True


def _annexb(nals: list[bytes]) -> bytes:
    return b"".join(part for nal in nals for part in (_START, nal))


def _units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        start = at + length_bytes
        at = start + int.from_bytes(data[at:start], "big")
        if not start < at <= len(data):
            raise DatasetError(f"segment is damaged: a packet of {len(data)} bytes ends within a NAL unit")
        yield data[start:at]


def _avc_sets(config: bytes) -> Iterator[bytes]:
    """SPS and PPS of an avcC."""
    at = 5
    for mask in (31, 255):
        count, at = config[at] & mask, at + 1
        for _ in range(count):
            length = int.from_bytes(config[at : at + 2], "big")
            yield config[at + 2 : at + 2 + length]
            at += 2 + length


def _hevc_sets(config: bytes) -> Iterator[bytes]:
    """VPS, SPS and PPS of an hvcC."""
    at = 23
    for _ in range(config[22]):
        count, at = int.from_bytes(config[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            length = int.from_bytes(config[at : at + 2], "big")
            yield config[at + 2 : at + 2 + length]
            at += 2 + length


SAMPLES: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {"h264": _h264, "h265": _h265, "av1": _av1}
"""What makes Rerun's sample of a codec of an MP4 file's and its configuration record."""
