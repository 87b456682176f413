"""Packets that no other picture needs: where nobody asks for their own, they need not be decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from mediaref_tools.camera.av1syntax import Sequence, obus_of, parse_frame, parse_sequence
from mediaref_tools.errors import ImageError

__all__ = ["spare_test"]

Data: TypeAlias = bytes | memoryview
_H265_SPS = 33
_AV1_HEADERS, _AV1_TILES, _AV1_IDLE = (3, 6), (4,), (2, 5, 15)  # OBU types (AV1 6.2.2)


def _never(_: Data) -> bool:
    return False


def spare_test(codec: str, extradata: bytes) -> Callable[[Data], bool]:
    """What tells of a packet of an MP4 or Matroska track whether leaving it out changes no other picture.

    Where that can't be told it says no. It is told for H.264 (`nal_ref_idc`, ITU-T H.264 7.4.1), for H.265 without
    temporal layers (sub-layer non-reference pictures, ITU-T H.265 7.4.2.2) and for AV1 (`refresh_frame_flags`, AV1
    5.9.2, which stands for its probabilities too). VP9's frames leave probabilities behind besides.

    Args:
        codec: libavcodec's name of the decoder.
        extradata: avcC, hvcC or av1C.
    """
    if codec == "h264" and len(extradata) > 6 and extradata[0] == 1:
        return _Nals((extradata[4] & 3) + 1, _h264_spare).test
    if codec == "hevc" and len(extradata) > 22 and extradata[0] == 1 and not _has_layers(extradata):
        return _Nals((extradata[21] & 3) + 1, _h265_spare).test
    if codec == "libdav1d" and len(extradata) > 4 and extradata[0] == 0x81:
        try:
            for obu in obus_of(extradata[4:]):
                if obu.kind == 1:
                    return _Av1(parse_sequence(obu)).test
        except ImageError:
            return _never
    return _never


def _h264_spare(head: Data) -> bool | None:
    """Of a NAL unit: True for a slice of such a picture, None for what does not matter, False for all else."""
    kind = head[0] & 31
    if kind == 1:
        return not head[0] & 0x60
    return None if kind in (6, 9, 12) else False  # SEI, delimiter, filler


def _h265_spare(head: Data) -> bool | None:
    kind = head[0] >> 1 & 63
    if kind < 16:
        return kind & 1 == 0 and head[1] & 7 == 1  # TemporalId 0
    return None if kind in (35, 38, 39, 40) else False


def _has_layers(hvcc: bytes) -> bool:
    """Whether a stream of H.265 has temporal layers: pictures of a higher one may refer to any of a lower one.

    By its parameter sets (ITU-T H.265 7.3.2.2), as some muxers write no or a wrong numTemporalLayers.
    """
    at, told = 23, False
    for _ in range(hvcc[22]):  # HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1)
        kind, count = hvcc[at : at + 1], int.from_bytes(hvcc[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            size = int.from_bytes(hvcc[at : at + 2], "big")
            nal = hvcc[at + 2 : at + 2 + size]
            at += 2 + size
            if not kind or len(nal) < 3:
                return True
            if kind[0] & 63 == _H265_SPS:
                told = True
                if nal[2] >> 1 & 7:  # sps_max_sub_layers_minus1
                    return True
    return not told


class _Nals:
    """Samples of NAL units behind their lengths."""

    def __init__(self, width: int, spare: Callable[[Data], bool | None]) -> None:
        self._width, self._spare = width, spare

    def test(self, data: Data) -> bool:
        at, found = 0, False
        while at < len(data):
            start = at + self._width
            size = int.from_bytes(data[at:start], "big")
            at = start + size
            if size < 2 or at > len(data):
                return False
            told = self._spare(data[start : start + 2])
            if told is False:
                return False
            found |= told is True
        return found


class _Av1:
    """Temporal units of AV1."""

    def __init__(self, sequence: Sequence) -> None:
        self._sequence = sequence

    def test(self, data: Data) -> bool:
        found = False
        try:
            for obu in obus_of(bytes(data)):
                if obu.kind in _AV1_HEADERS:
                    frame = parse_frame(obu, self._sequence)
                    # One that is shown again may be a keyframe, which fills the slots anew (7.21).
                    if frame.existing >= 0 or frame.refresh:
                        return False
                    found = True
                elif obu.kind not in (*_AV1_TILES, *_AV1_IDLE):
                    return False
        except ImageError:
            return False
        return found
