"""Packets as Rerun wants them: units behind start codes, with the decoder's configuration before each keyframe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from mediaref_tools.errors import DatasetError

__all__ = ["SAMPLES"]

_START: Final = b"\0\0\0\1"


def _h264(data: bytes, config: bytes, is_key: bool) -> bytes:
    return _annexb([*(_avc_sets(config) if is_key else ()), *_units(data, (config[4] & 3) + 1)])


def _h265(data: bytes, config: bytes, is_key: bool) -> bytes:
    return _annexb([*(_hevc_sets(config) if is_key else ()), *_units(data, (config[21] & 3) + 1)])


def _av1(data: bytes, config: bytes, is_key: bool) -> bytes:
    header = config[4:]  # the sequence header, which most keyframes have too
    return header + data if is_key and header not in data else data


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


SAMPLES: Final[dict[str, Callable[[bytes, bytes, bool], bytes]]] = {"h264": _h264, "h265": _h265, "av1": _av1}
"""What makes Rerun's sample, by codec: of an MP4 file's, its configuration record, and whether it is a keyframe."""
