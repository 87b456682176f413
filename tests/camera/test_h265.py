"""H.265 where the encoder at hand does not go: reference sets that predict each other, long-term references."""

from __future__ import annotations

import pytest

from mediaref_tools.camera import h265syntax
from mediaref_tools.camera.bits import Bits
from mediaref_tools.camera.framing import split_annexb
from mediaref_tools.camera.h265 import H265Stream
from mediaref_tools.camera.h265syntax import RefSet, Slice, parse_sps
from mediaref_tools.camera.picture import EARLY, EMPTY, LOST, UNSET, Picture
from mediaref_tools.errors import ImageError
from tests.camera.cameras import recording
from tests.camera.test_h264 import bits_of


def ref_set(sets: list[RefSet], *parts: str | int, within_slice: bool = False) -> RefSet:
    text = bits_of(*parts) + "1"
    text += "0" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return h265syntax._ref_set(Bits(data), sets, within_slice=within_slice)


def distances(refs: RefSet) -> list[int]:
    return [distance for distance, _ in refs]


def test_reference_sets_predict_each_other() -> None:
    """The first of a hierarchy of eight, as the reference encoder's random access settings list them."""
    sets = [ref_set([], 4, 0, 7, "1", 1, "1", 1, "1", 3, "1")]
    assert sets[0] == ((-8, True), (-10, True), (-12, True), (-16, True))
    sets.append(ref_set(sets, "1", "0", 3, "1", "1", "00", "00", "1"))  # 4 on: two, without two, and that one itself
    assert distances(sets[1]) == [-4, -6, 4]
    sets.append(ref_set(sets, "1", "0", 1, "1", "1", "1", "1"))
    assert distances(sets[2]) == [-2, -4, 2, 6]
    sets.append(ref_set(sets, "1", "1", 0, "1", "1", "1", "01", "1"))  # 1 back
    assert sets[3] == ((-1, True), (-3, True), (-5, True), (1, True), (5, False))
    # In a slice, from any of those: here three back, from the second.
    assert distances(ref_set(sets, "1", 2, "0", 3, "1", "1", "1", "1", within_slice=True)) == [-2, 4, 8]
    with pytest.raises(ImageError):
        ref_set(sets, "1", 4, "0", 3, within_slice=True)


def test_long_term_references() -> None:
    """Low bits of their order, or how far they lie (equation 7-52), listed in the parameter set or not."""
    nals, _ = split_annexb(recording("h265").packets[0])
    sps = parse_sps(next(nal for nal in nals if nal[0] >> 1 == 33))
    assert sps.poc_bits == 8
    parts = (1, 2, "1", "0", f"{5:08b}", "1", "1", 2, f"{6:08b}", "0", "1", 1)
    text = bits_of(*parts) + "1"
    text += "0" * (-len(text) % 8)
    bits = Bits(int(text, 2).to_bytes(len(text) // 8, "big"))
    listed = ((17, True), (33, False))
    refs = h265syntax._long_refs(bits, listed, sps, 40)
    assert refs == ((33, True, False), (5 - 40 - 2 * 256, False, True), (6 - 40 - 3 * 256, False, False))


def test_a_picture_is_lost_where_one_that_it_uses_is() -> None:
    stream = H265Stream()
    packets = recording("h265").packets
    for data in packets[:3]:
        stream.read(data)
    sps = next(iter(stream._spss.values()))
    held = set(stream._held)
    assert 2 in held
    for refs, long, whole in (
        (((-1, True),), (), True),
        (((-9, True),), (), False),
        (((-9, False),), (), True),  # kept for later ones only
        ((), ((2, True, True),), True),
        ((), ((-1, False, True),), True),
        ((), ((77, True, True),), False),
        ((), ((77, True, False),), True),
    ):
        stream._held = set(held)
        assert stream._refer(sps, Slice(0, True, 3, refs, long), 3) is whole
        assert stream._held <= held
    stream._held = {3}
    assert not stream._refer(sps, Slice(0, True, 3, (), ()), 3)  # there is one of that order already


def test_picture_order_counts_from_references_of_the_lowest_layer() -> None:
    """Not from what others may be dropped with: 8.3.1."""
    stream = H265Stream()
    packet = recording("h265").packets[0]
    stream.read(packet)
    (number, sps), *_ = stream._spss.items()
    stream._spss[number] = sps._replace(poc_bits=4)
    pps = next(iter(stream._ppss))

    def order(kind: int, layer: int, low: int) -> int:
        nal = bytes((kind << 1, layer + 1, 0x80))
        return stream._follow(Picture(b"", ""), Slice(pps, True, low, (), ()), nal).order

    trail_n, trail_r, radl_n, rasl_r = 0, 1, 6, 9
    assert order(trail_r, 0, 6) == 6
    for kind, layer in ((trail_n, 0), (trail_r, 1), (radl_n, 0), (rasl_r, 0)):
        assert order(kind, layer, 1) == 1
    assert order(trail_r, 0, 12) == 12
    assert order(trail_r, 0, 2) == 18
    assert order(trail_n, 0, 15) == 15


def test_end_of_sequence_begins_another() -> None:
    packets = recording("h265 open").packets
    end = b"\0\0\0\1\x48\1"
    keyframes = [at for at, data in enumerate(packets) if H265Stream().read(data).keyframe]
    for place in (keyframes[1] - 1, None):
        stream = H265Stream()
        sequences, leading = [], []
        for at, data in enumerate(packets):
            picture = stream.read(data + end if at == place else data)
            sequences.append(picture.sequence)
            if picture.leading:
                leading.append(picture.fault)
        assert sequences[keyframes[1]] == (1 if place else 0)
        assert leading
        # What leads the keyframe that begins the stream anew needs what is before it.
        assert (LOST in leading) == (place is not None)
        assert "" in leading or place is not None


def test_what_needs_parameter_sets_that_are_embedded_is_embedded_too() -> None:
    packets = recording("h265").packets
    nals, _ = split_annexb(packets[0])
    same = b"".join(b"\0\0\0\1" + nal for nal in nals if 32 <= nal[0] >> 1 <= 34)
    other = b"\0\0\0\1\x44\1" + int(bits_of(9, 0, "00000") + "1" + "0" * 3, 2).to_bytes(2, "big")
    for sets, fault in ((same, ""), (other, LOST)):
        got = H265Stream()
        faults = [got.read(data).fault for data in (*packets[:2], sets, *packets[2:11])]
        assert faults == ["", "", EMPTY, *[fault] * 8, ""]


def test_without_parameter_sets() -> None:
    packets = recording("h265").packets
    nals, _ = split_annexb(packets[0])
    bare = b"".join(b"\0\0\0\1" + nal for nal in nals if nal[0] >> 1 < 32)
    stream = H265Stream()
    assert [stream.read(data).fault for data in (bare, packets[1], packets[0], packets[1])] == [UNSET, EARLY, "", ""]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0\0\0\1\x26", "ends within a header"),
        (b"\0\0\0\1\x26\1", "ends within a header"),
        (b"\0\0\0\1\xa6\1\xff", "marked as damaged"),
        (b"\0\0\0\1\x26\1\x7f", "lacks the first slice"),
        (b"\0\0\0\1\x42\1\1", "ends within a header"),
    ],
)
def test_what_nobody_decodes_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        H265Stream().read(data)
