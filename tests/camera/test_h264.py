"""H.264 where encoders at hand do not go: picture order of types 1, marking that resets it, no word on reordering."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mediaref_tools.camera import h264syntax
from mediaref_tools.camera.bits import Bits, unescape
from mediaref_tools.camera.framing import split_annexb
from mediaref_tools.camera.h264 import H264Stream
from mediaref_tools.camera.h264syntax import parse_sps
from mediaref_tools.camera.picture import EARLY, EMPTY, LATE, LOST, Picture
from mediaref_tools.camera.survey import survey
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from tests.camera.cameras import complete, decoded, planned, recording, remuxed


def bits_of(*parts: str | int | tuple[str, int]) -> str:
    """Bits as text, from bits as text, unsigned Exp-Golomb numbers, and signed ones ("se", n)."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        number = part if isinstance(part, int) else 2 * part[1] - 1 if part[1] > 0 else -2 * part[1]
        code = f"{number + 1:b}"
        text += "0" * (len(code) - 1) + code
    return text


def nal(head: int, *parts: str | int | tuple[str, int]) -> bytes:
    text = bits_of(*parts) + "1"
    text += "0" * (-len(text) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big")
    for low in range(4):
        body = body.replace(bytes((0, 0, low)), bytes((0, 0, 3, low)))
    return b"\0\0\0\1" + bytes((head,)) + body


def sps(
    poc: Sequence[str | int | tuple[str, int]], *, gaps: int = 0, frames_only: str = "1", size: tuple[int, int] = (5, 3)
) -> bytes:
    baseline = f"{66:08b}{0:08b}{30:08b}"
    shown = (*size, frames_only, *(() if frames_only == "1" else ("0",)), "0", "0", "0")
    return nal(0x67, baseline, 0, 0, *poc, 2, str(gaps), *shown)


PPS = nal(0x68, 0, 0, "0", "1", 0, 0, 0, "0", "00", ("se", 0), ("se", 0), ("se", 0), "000")


def slice_(frame_num: int, order: str, *, ref: bool = True, idr: bool = False, marking: str = "0") -> bytes:
    """A slice's header: frame_num of four bits, then `order` as the type of picture order wants it."""
    kind = ("1" if idr else "") + ("00" if idr else marking if ref else "")
    head = (0x60 if ref else 0) | (5 if idr else 1)
    refs = () if idr else ("0", "0")  # no override, no modification
    return nal(
        head,
        0,
        7 if idr else 5,
        0,
        f"{frame_num:04b}",
        *((0,) if idr else ()),
        order,
        *refs,
        kind[-2:] if idr else kind,
    )


def read(packets: Sequence[bytes]) -> list[Picture]:
    stream = H264Stream()
    return [stream.read(data) for data in packets]


def test_picture_order_type_1() -> None:
    """Two references a cycle, 2 and 4 further on, what is no reference 1 before it: 8.2.1.2 by hand."""
    head = sps((1, "0", ("se", -1), ("se", 0), 2, ("se", 2), ("se", 4)))
    delta = bits_of(("se", 0), ("se", 0))
    packets = [
        head + PPS + slice_(0, delta, idr=True),
        slice_(1, delta),
        slice_(2, bits_of(("se", 10), ("se", 0))),
        slice_(3, delta, ref=False),
        slice_(3, delta),
    ]
    got = read(packets)
    assert [picture.order for picture in got] == [0, 2, 16, 6 - 1, 8]
    assert [picture.fault for picture in got] == [""] * 5


def low(order: int, bottom: int = 0) -> str:
    return f"{order:04b}" + bits_of(("se", bottom))


TYPE_0 = sps((0, 0))


def test_picture_order_type_0_wraps() -> None:
    packets = [TYPE_0 + PPS + slice_(0, low(0), idr=True)]
    packets += [slice_(n % 16, low(4 * n % 16)) for n in range(1, 20)]
    assert [picture.order for picture in read(packets)] == [4 * n for n in range(20)]
    assert [picture.order for picture in read([*packets[:4], slice_(4, low(10), ref=False)])][-1] == 10
    # What is no reference is nothing to count from.
    got = read([packets[0], slice_(1, low(6)), slice_(2, low(1), ref=False), slice_(2, low(12))])
    assert [picture.order for picture in got] == [0, 6, 1, 12]
    # The order of a frame is that of the field which is shown first.
    assert read([*packets[:2], slice_(2, low(8, -3))])[-1].order == 5


def test_marking_that_resets_begins_a_sequence_of_its_own() -> None:
    reset = "1" + bits_of(5, 0)
    packets = [
        TYPE_0 + PPS + slice_(0, low(0), idr=True),
        slice_(1, low(4)),
        slice_(2, low(8, -2), marking=reset),
        slice_(1, low(4)),
        slice_(2, low(8)),
    ]
    got = read(packets)
    assert [(picture.sequence, picture.order) for picture in got] == [(0, 0), (0, 4), (1, 0), (1, 4), (1, 8)]
    assert [picture.fault for picture in got] == [""] * 5
    other = "1" + bits_of(1, 0, 2, 0, 3, 0, 1, 4, 1, 6, 0, 0)
    assert read([*packets[:2], slice_(2, low(8), marking=other)])[-1].sequence == 0


def test_what_needs_parameter_sets_that_are_embedded_is_embedded_too() -> None:
    """A message of parameter sets alone does not get into the file: new ones are not there for what follows."""
    first = TYPE_0 + PPS + slice_(0, low(0), idr=True)
    other = nal(0x68, 1, 0, "0", "1", 0, 0, 0, "0", "00", ("se", 0), ("se", 0), ("se", 0), "000")
    for sets, fault in ((TYPE_0 + PPS, ""), (other, LOST)):
        packets = [first, slice_(1, low(2)), sets, slice_(2, low(4)), slice_(0, low(0), idr=True), slice_(1, low(2))]
        assert [picture.fault for picture in read(packets)] == ["", "", EMPTY, fault, "", ""]


@pytest.mark.parametrize("gaps", [0, 1])
def test_a_gap_is_a_loss_whether_allowed_or_not(gaps: int) -> None:
    packets = [
        sps((0, 0), gaps=gaps) + PPS + slice_(0, low(0), idr=True),
        slice_(1, low(2)),
        slice_(3, low(6)),
        slice_(4, low(8)),
        slice_(0, low(0), idr=True),
    ]
    assert [picture.fault for picture in read(packets)] == ["", "", LOST, LOST, ""]


def recovery(count: int, exact: int, broken: int = 0) -> bytes:
    text = bits_of(count) + f"{exact}{broken}00"
    text += "1" + "0" * (-(len(text) + 1) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big")
    user = b"\5\xff\1" + bytes(range(1, 129)) * 2  # 256 bytes of something else before it
    return b"\0\0\0\1\6" + user + b"\6" + bytes((len(body),)) + body + b"\x80"


def intra(frame_num: int, order: int) -> bytes:
    return nal(0x61, 0, 7, 0, f"{frame_num:04b}", low(order), "0")


def test_a_recovery_point_that_is_exact_at_once_is_a_keyframe() -> None:
    first = TYPE_0 + PPS + slice_(0, low(0), idr=True)
    for sei, is_key in (
        (recovery(0, 1), True),
        (recovery(1, 1), False),
        (recovery(0, 0), False),
        (recovery(0, 1, 1), False),
    ):
        got = read([first, sei + intra(1, 2)])
        assert (got[1].keyframe, got[1].fault) == (is_key, "")
        alone = read([TYPE_0 + PPS + sei + intra(5, 10)])
        assert (alone[0].keyframe, alone[0].fresh, alone[0].fault) == (is_key, is_key, "" if is_key else EARLY)
    predicted = recovery(0, 1) + slice_(1, low(2))
    assert not read([first, predicted])[1].keyframe


def test_no_segment_begins_at_a_keyframe_that_is_shown_before_what_came_before_it() -> None:
    first = TYPE_0 + PPS + slice_(0, low(0), idr=True)
    for order, starts in ((2, [0]), (6, [0, 2])):
        packets = [first, slice_(1, low(4)), recovery(0, 1) + intra(2, order), slice_(3, low(8))]
        values = [(at, ImageValue(data, "h264", "packet")) for at, data in enumerate(packets)]
        plan = survey(values, segment_ns=1)
        assert [int(np.flatnonzero(plan.segment == n)[0]) for n in range(len(plan.segments))] == starts


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (sps((0, 0), frames_only="0") + PPS + nal(0x65, 0, 7, 0, "0000", "1", "0"), "holds a field"),
        (TYPE_0 + PPS + nal(0x65, 9, 7, 0, "0000", 0, low(0), "00"), "lacks the first slice"),
        (b"\0\0\0\1\x62\x80\x80", "partitioned slice"),
        (b"\0\0\0\1\xe5\x80\x80", "marked as damaged"),
        (sps((0, 0), size=(16384, 16384)), "claims a size of 262160x262160"),
        (nal(0x68, 0, 0, "0", "1", 1), "slice groups"),
        (TYPE_0[:8], "ends within a header"),
        (b"\0\0\0\1\x67\x42\0\x1e" + b"\0\0\3" * 3 + b"\1", "number of more than 32 bits"),
        (sps((0, 0))[:8] + bytes((0x80, 0x04)), "ends within a header"),
    ],
)
def test_what_nobody_decodes_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        H264Stream().read(data)


def without_usability(name: str, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A stream that does not say how far its frames are reordered: its SPS cut where that would stand."""
    at: list[int] = []

    def stop(bits: Bits) -> int:
        at.append(bits._at)
        return 16

    changed = []
    for data in recording(name).packets:
        nals, _ = split_annexb(data)
        for number, unit in enumerate(nals):
            if unit[0] & 31 == 7:
                with monkeypatch.context() as patch:
                    patch.setattr(h264syntax, "_reorder", stop)
                    parse_sps(unit)
                body = unescape(unit[1:])
                kept = f"{int.from_bytes(body, 'big'):0{8 * len(body)}b}"[: at[-1]]
                nals[number] = nal(unit[0], kept, "0")[4:]
        changed.append(b"".join(b"\0\0\0\1" + unit for unit in nals))
    return changed


@pytest.mark.parametrize("name", ["h264 pyramid", "h264 strict", "h264 open"])
def test_a_stream_that_says_nothing_of_reordering(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = without_usability(name, monkeypatch)
    assert packets[0] != recording(name).packets[0]
    plan = planned("h264", packets)
    assert (plan.segment == 0).all()
    alone = decoded("h264", packets, plan)
    assert sorted(alone) == list(range(len(packets)))
    for at, frame in remuxed(tmp_path, "h264", packets, plan).items():
        assert np.array_equal(frame, complete(name)[at])
        assert np.array_equal(frame, alone[at])


def test_a_frame_that_comes_later_than_its_stream_allows_is_left_out() -> None:
    found = recording("h264 pyramid").packets
    faults = set()
    for at in range(len(found) - 1):
        plan = planned("h264", [*found[:at], found[at + 1], found[at], *found[at + 2 :]])
        late = [plan.reasons[reason] for reason in plan.reason]
        faults |= set(late)
        if LATE in late:
            assert (plan.segment < 0).sum() <= 2
    assert LATE in faults
