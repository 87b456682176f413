"""Headers of H.264: parameter sets and slices, as ITU-T H.264 7.3 lays them out."""

from __future__ import annotations

from typing import NamedTuple

from mediaref_tools.camera.bits import Bits, unescape
from mediaref_tools.camera.picture import check_size
from mediaref_tools.errors import ImageError

__all__ = ["Pps", "Slice", "Sps", "parse_pps", "parse_slice", "parse_sps", "recovers"]

_HIGH = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)


class Sps(NamedTuple):
    """A sequence parameter set: what the picture order and a slice's header depend on.

    `reorder`: how many frames may come before one that is shown before them.
    """

    nal: bytes
    number: int
    chroma: int
    depth_luma: int
    depth_chroma: int
    planes: bool
    frame_num_bits: int
    poc_type: int
    poc_bits: int
    delta_zero: bool
    offset_non_ref: int
    offset_bottom: int
    cycle: tuple[int, ...]
    frames_only: bool
    width: int
    height: int
    reorder: int


class Pps(NamedTuple):
    """A picture parameter set."""

    nal: bytes
    number: int
    sps: int
    bottom: bool
    refs: tuple[int, int]
    weighted: bool
    weighted_b: int
    redundant: bool


class Slice(NamedTuple):
    """A slice's header. `same` is equal among the slices of one picture (7.4.1.2.4)."""

    first: int
    intra: bool
    idr: bool
    ref: bool
    pps: int
    frame_num: int
    poc_lsb: int
    delta: tuple[int, int, int]
    redundant: int
    resets: bool
    same: tuple[int, ...]


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set (7.3.2.1.1).

    Raises:
        ImageError: It is damaged.
    """
    bits = Bits(unescape(nal[1:]))
    profile = bits.u(8)
    bits.u(16)
    number = bits.ue(31)
    chroma, planes, depth_luma, depth_chroma = 1, False, 0, 0
    if profile in _HIGH:
        chroma = bits.ue(3)
        planes = bits.flag() if chroma == 3 else False
        depth_luma, depth_chroma = bits.ue(6), bits.ue(6)
        bits.u(1)
        if bits.flag():
            for at in range(12 if chroma == 3 else 8):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if at < 6 else 64)
    frame_num_bits = bits.ue(12) + 4
    poc_type = bits.ue(2)
    poc_bits, delta_zero, offset_non_ref, offset_bottom = 0, False, 0, 0
    cycle: tuple[int, ...] = ()
    if poc_type == 0:
        poc_bits = bits.ue(12) + 4
    elif poc_type == 1:
        delta_zero = bits.flag()
        offset_non_ref, offset_bottom = bits.se(), bits.se()
        cycle = tuple(bits.se() for _ in range(bits.ue(255)))
    bits.ue(16)
    bits.u(1)
    width, units = 16 * (bits.ue(2**14) + 1), 16 * (bits.ue(2**14) + 1)
    frames_only = bits.flag()
    height = units * (1 if frames_only else 2)
    if not frames_only:
        bits.u(1)
    bits.u(1)
    if bits.flag():
        across = 2 if chroma in (1, 2) and not planes else 1
        down = (2 if chroma == 1 and not planes else 1) * (1 if frames_only else 2)
        left, right, top, bottom = (bits.ue(2**15) for _ in range(4))
        width -= across * (left + right)
        height -= down * (top + bottom)
    check_size(width, height)
    return Sps(
        nal, number, chroma, depth_luma, depth_chroma, planes, frame_num_bits, poc_type, poc_bits, delta_zero,
        offset_non_ref, offset_bottom, cycle, frames_only, width, height, _reorder(bits),
    )  # fmt: skip


def _reorder(bits: Bits) -> int:
    """max_num_reorder_frames, at the end of video usability information (E.1.1); 16 where there is none."""
    if not bits.flag():
        return 16
    if bits.flag() and bits.u(8) == 255:
        bits.u(32)
    if bits.flag():
        bits.u(1)
    if bits.flag():
        bits.u(4)
        if bits.flag():
            bits.u(24)
    if bits.flag():
        bits.ue(5), bits.ue(5)
    if bits.flag():
        bits.u(65)
    models = 0
    for _ in range(2):
        if bits.flag():
            models += 1
            count = bits.ue(31) + 1
            bits.u(8)
            for _ in range(count):
                bits.ue(), bits.ue()
                bits.u(1)
            bits.u(20)
    bits.u(2 if models else 1)
    if not bits.flag():
        return 16
    bits.u(1)
    for _ in range(4):
        bits.ue()
    return bits.ue(16)


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def parse_pps(nal: bytes) -> Pps:
    """Read a picture parameter set (7.3.2.2).

    Raises:
        ImageError: It is damaged, or has slice groups.
    """
    bits = Bits(unescape(nal[1:]))
    number, sps = bits.ue(255), bits.ue(31)
    bits.u(1)
    bottom = bits.flag()
    if bits.ue(7):
        raise ImageError("video packet has slice groups, which decoders do not know")
    refs = (bits.ue(31) + 1, bits.ue(31) + 1)
    weighted, weighted_b = bits.flag(), bits.u(2)
    bits.se(), bits.se(), bits.se()
    bits.u(2)
    return Pps(nal, number, sps, bottom, refs, weighted, weighted_b, bits.flag())


def parse_slice(nal: bytes, spss: dict[int, Sps], ppss: dict[int, Pps]) -> Slice | None:
    """Read a slice's header (7.3.3).

    Returns:
        None where its parameter sets are not known.

    Raises:
        ImageError: It is damaged, or belongs to a field.
    """
    bits = Bits(unescape(nal[1:]))
    idr, ref = nal[0] & 31 == 5, nal[0] >> 5 & 3 > 0
    first, kind, number = bits.ue(2**20), bits.ue(9) % 5, bits.ue(255)
    pps = ppss.get(number)
    sps = None if pps is None else spss.get(pps.sps)
    if pps is None or sps is None:
        return None
    if sps.planes:
        bits.u(2)
    frame_num = bits.u(sps.frame_num_bits)
    if not sps.frames_only and bits.flag():
        raise ImageError("video packet holds a field: half of an interlaced frame")
    idr_id = bits.ue(65535) if idr else -1
    poc_lsb = bottom = first_delta = second_delta = 0
    if sps.poc_type == 0:
        poc_lsb = bits.u(sps.poc_bits)
        bottom = bits.se() if pps.bottom else 0
    elif sps.poc_type == 1 and not sps.delta_zero:
        first_delta = bits.se()
        second_delta = bits.se() if pps.bottom else 0
    redundant = bits.ue(127) if pps.redundant else 0
    # Whether it resets the order counts stands at the header's end, and only in what is a reference.
    resets = ref and not idr and _resets(bits, sps, pps, kind)
    delta = (bottom, first_delta, second_delta)
    same = (number, frame_num, int(ref), int(idr), idr_id, poc_lsb, *delta)
    return Slice(first, kind == 2, idr, ref, number, frame_num, poc_lsb, delta, redundant, resets, same)


def _resets(bits: Bits, sps: Sps, pps: Pps, kind: int) -> bool:
    """Whether the picture's marking holds memory_management_control_operation 5 (7.4.3.3)."""
    lists = (1, 2, 0, 1, 0)[kind]  # P, B, I, SP, SI
    if kind == 1:
        bits.u(1)
    refs = list(pps.refs[:lists])
    if lists and bits.flag():
        refs = [bits.ue(31) + 1 for _ in range(lists)]
    for _ in range(lists):
        if bits.flag():
            while bits.ue(5) != 3:
                bits.ue()
    if (pps.weighted and kind in (0, 3)) or (pps.weighted_b == 1 and kind == 1):
        colour = sps.chroma != 0 and not sps.planes
        bits.ue(7)
        if colour:
            bits.ue(7)
        for count in refs:
            for _ in range(count):
                for values in (2, 4) if colour else (2,):
                    if bits.flag():
                        for _ in range(values):
                            bits.se()
    if not bits.flag():
        return False
    resets = False
    while operation := bits.ue(6):
        resets |= operation == 5
        for _ in range((0, 1, 1, 2, 1, 0, 1)[operation]):
            bits.ue()
    return resets


def recovers(nal: bytes) -> bool:
    """Whether an SEI NAL unit says that all is exact from this very picture on (D.1.8)."""
    data = unescape(nal[1:], 2**16)
    at = 0
    while at + 2 < len(data):  # what is left is a message, and not the trailing bits
        numbers = [0, 0]
        for part in range(2):
            while at < len(data) and data[at] == 255:
                numbers[part] += 255
                at += 1
            numbers[part] += data[at] if at < len(data) else 0
            at += 1
        if numbers[0] == 6:
            bits = Bits(data[at : at + numbers[1]])
            count, exact, broken = bits.ue(), bits.flag(), bits.flag()
            return count == 0 and exact and not broken
        at += numbers[1]
    return False
