"""Headers of H.265: parameter sets and the first slice segment, as ITU-T H.265 7.3 lays them out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mediaref_tools.camera.bits import Bits, unescape
from mediaref_tools.camera.picture import check_size
from mediaref_tools.errors import ImageError

__all__ = ["Pps", "RefSet", "Slice", "Sps", "kind_of", "layer_of", "parse_pps", "parse_slice", "parse_sps"]

RefSet = tuple[tuple[int, bool], ...]
"""Short-term references: how far each lies in picture order, and whether the picture itself uses it."""


class Sps(NamedTuple):
    """A sequence parameter set: what the configuration record, and a slice's header depend on."""

    nal: bytes
    number: int
    vps: int
    profile: bytes
    layers: int
    nested: bool
    chroma: int
    planes: bool
    depth_luma: int
    depth_chroma: int
    poc_bits: int
    sets: tuple[RefSet, ...]
    long: tuple[tuple[int, bool], ...] | None
    width: int
    height: int


class Pps(NamedTuple):
    """A picture parameter set."""

    nal: bytes
    number: int
    sps: int
    output: bool
    extra: int


class Slice(NamedTuple):
    """The header of a picture's first slice segment.

    `long`: of each long-term reference how far it lies in picture order, or the low bits of its order; whether it is
    the latter; whether the picture itself uses it.
    """

    pps: int
    shown: bool
    poc_lsb: int
    refs: RefSet
    long: tuple[tuple[int, bool, bool], ...]


def kind_of(nal: bytes) -> int:
    """nal_unit_type."""
    return nal[0] >> 1 & 63


def layer_of(nal: bytes) -> int:
    """nuh_layer_id: above 0 are the layers of extensions."""
    return (nal[0] & 1) << 5 | nal[1] >> 3


def parse_sps(nal: bytes) -> Sps:
    """Read a sequence parameter set (7.3.2.2), up to its long-term references.

    Raises:
        ImageError: It is damaged.
    """
    data = unescape(nal[2:])
    bits = Bits(data)
    vps, more, nested = bits.u(4), bits.u(3), bits.flag()
    profile = data[1:13]
    bits.u(96)
    present = [(bits.flag(), bits.flag()) for _ in range(more)]
    bits.u(2 * (8 - more) if more else 0)
    for has_profile, has_level in present:
        bits.u(88 * has_profile + 8 * has_level)
    number, chroma = bits.ue(15), bits.ue(3)
    planes = bits.flag() if chroma == 3 else False
    width, height = bits.ue(2**16), bits.ue(2**16)
    if bits.flag():
        across, down = 2 if chroma in (1, 2) else 1, 2 if chroma == 1 else 1
        left, right, top, bottom = (bits.ue(2**16) for _ in range(4))
        width -= across * (left + right)
        height -= down * (top + bottom)
    check_size(width, height)
    depth_luma, depth_chroma, poc_bits = bits.ue(8), bits.ue(8), bits.ue(12) + 4
    for _ in range(more + 1 if bits.flag() else 1):
        bits.ue(), bits.ue(), bits.ue()
    for _ in range(6):
        bits.ue()
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.u(2)
    if bits.flag():
        bits.u(8)
        bits.ue(), bits.ue()
        bits.u(1)
    sets: list[RefSet] = []
    for _ in range(bits.ue(64)):
        sets.append(_ref_set(bits, sets, within_slice=False))
    long = None
    if bits.flag():
        long = tuple((bits.u(poc_bits), bits.flag()) for _ in range(bits.ue(32)))
    return Sps(
        nal, number, vps, profile, more + 1, nested, chroma, planes, depth_luma, depth_chroma, poc_bits, tuple(sets),
        long, width, height,
    )  # fmt: skip


def _skip_scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 1 << (4 + (size << 1)))):
                bits.se()


def _ref_set(bits: Bits, sets: Sequence[RefSet], *, within_slice: bool) -> RefSet:
    """A short-term reference picture set (7.3.7, 7.4.8)."""
    if sets and bits.flag():
        back = bits.ue(len(sets) - 1) + 1 if within_slice else 1
        negative, distance = bits.flag(), bits.ue(2**15) + 1
        delta = -distance if negative else distance
        refs = []
        for order, _ in (*sets[-back], (0, False)):
            used = bits.flag()
            if used or bits.flag():
                refs.append((order + delta, used))
    else:
        refs = []
        counts = bits.ue(16), bits.ue(16)
        for sign, count in zip((-1, 1), counts, strict=True):
            order = 0
            for _ in range(count):
                order += sign * (bits.ue(2**15) + 1)
                refs.append((order, bits.flag()))
    # What a later set adds to: before the picture from the nearest on, then after it from the nearest on.
    return tuple(sorted((ref for ref in refs if ref[0]), key=lambda ref: (ref[0] > 0, abs(ref[0]))))


def parse_pps(nal: bytes) -> Pps:
    """Read a picture parameter set (7.3.2.3), as far as slices need it.

    Raises:
        ImageError: It is damaged.
    """
    bits = Bits(unescape(nal[2:]))
    number, sps = bits.ue(63), bits.ue(15)
    bits.u(1)
    return Pps(nal, number, sps, bits.flag(), bits.u(3))


def parse_slice(nal: bytes, spss: dict[int, Sps], ppss: dict[int, Pps]) -> Slice | None:
    """Read the header of a slice segment that is a picture's first (7.3.6.1).

    Returns:
        None where its parameter sets are not known.

    Raises:
        ImageError: It is damaged.
    """
    kind = kind_of(nal)
    bits = Bits(unescape(nal[2:]))
    bits.u(1)  # that it is the first
    if 16 <= kind <= 23:
        bits.u(1)
    number = bits.ue(63)
    pps = ppss.get(number)
    sps = None if pps is None else spss.get(pps.sps)
    if pps is None or sps is None:
        return None
    bits.u(pps.extra)
    bits.ue(2)
    shown = bits.flag() if pps.output else True
    if sps.planes:
        bits.u(2)
    if kind in (19, 20):
        return Slice(number, shown, 0, (), ())
    poc_lsb = bits.u(sps.poc_bits)
    if not bits.flag():
        refs = _ref_set(bits, sps.sets, within_slice=True)
    else:
        at = bits.u((len(sps.sets) - 1).bit_length()) if sps.sets else 0
        if at >= len(sps.sets):
            raise ImageError(f"video packet names reference set {at} of {len(sps.sets)}")
        refs = sps.sets[at]
    return Slice(number, shown, poc_lsb, refs, () if sps.long is None else _long_refs(bits, sps.long, sps, poc_lsb))


def _long_refs(
    bits: Bits, listed: tuple[tuple[int, bool], ...], sps: Sps, poc_lsb: int
) -> tuple[tuple[int, bool, bool], ...]:
    """Long-term references: their orders relative to the picture's own, or their low bits (7.4.7.1, equation 8-5)."""
    from_sps = bits.ue(32) if listed else 0
    count = from_sps + bits.ue(32)
    refs, cycle = [], 0
    for at in range(count):
        if at < from_sps:
            index = bits.u((len(listed) - 1).bit_length())
            if index >= len(listed):
                raise ImageError(f"video packet names long-term reference {index} of {len(listed)}")
            low, used = listed[index]
        else:
            low, used = bits.u(sps.poc_bits), bits.flag()
        if at in (0, from_sps):
            cycle = 0
        if bits.flag():
            cycle += bits.ue(2**24)
            refs.append((low - poc_lsb - (cycle << sps.poc_bits), False, used))
        else:
            refs.append((low, True, used))
    return tuple(refs)
