"""Headers of AV1: OBUs, the sequence header and the first part of a frame's (AV1 bitstream specification 5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mediaref_tools.camera.bits import Bits
from mediaref_tools.camera.picture import check_size
from mediaref_tools.errors import ImageError

__all__ = ["Frame", "Obu", "Sequence", "obus_of", "parse_frame", "parse_sequence"]

_HEAD = 512
KEY, INTER, INTRA, SWITCH = range(4)


class Obu(NamedTuple):
    """One open bitstream unit: its type, all of its bytes, and where its content begins."""

    kind: int
    data: bytes
    body: int

    @property
    def bits(self) -> Bits:
        """A cursor at its content."""
        return Bits(self.data[self.body : self.body + _HEAD])


class Sequence(NamedTuple):
    """What of a sequence header the configuration record and frame headers need."""

    obu: bytes
    record: bytes
    width: int
    height: int
    reduced: bool
    decoder_model: tuple[int, int, int] | None
    equal_interval: bool
    operating: tuple[tuple[int, bool], ...]
    frame_id: int
    frame_id_delta: int
    order_bits: int
    screen: int
    integer_mv: int


class Frame(NamedTuple):
    """The start of a frame's header. `existing` is the slot that it shows, or -1; `order` its order hint."""

    existing: int
    kind: int
    shown: bool
    order: int
    refresh: int
    resized: bool


def obus_of(data: bytes) -> Iterator[Obu]:
    """The OBUs of a temporal unit in low-overhead format (5.3).

    Raises:
        ImageError: It is something else, or an OBU does not say its size.
    """
    at = 0
    while at < len(data):
        start, head = at, data[at]
        if head & 0x81:
            raise ImageError("video packet does not consist of AV1's units (OBUs)")
        if not head & 2:
            raise ImageError("video packet has an AV1 unit (OBU) that does not say its size, which a MP4 file needs")
        at += 2 if head & 4 else 1
        size = 0
        for place in range(8):
            if at >= len(data):
                raise ImageError("video packet ends within a header")
            byte = data[at]
            at += 1
            size |= (byte & 127) << 7 * place
            if byte < 128:
                break
        body, at = at, at + size
        if at > len(data):
            raise ImageError(f"video packet has an AV1 unit (OBU) of {size} bytes, which it does not hold")
        yield Obu(head >> 3 & 15, data[start:at], body - start)


def parse_sequence(obu: Obu) -> Sequence:
    """Read a sequence header (5.5).

    Raises:
        ImageError: It is damaged.
    """
    bits = obu.bits
    profile, _, reduced = bits.u(3), bits.u(1), bits.flag()
    model: tuple[int, int, int] | None = None
    equal, level, tier = False, 0, 0
    operating: list[tuple[int, bool]] = []
    if reduced:
        level = bits.u(5)
    else:
        if bits.flag():
            bits.u(64)
            equal = bits.flag()
            if equal:
                bits.ue()
            if bits.flag():
                delay = bits.u(5) + 1
                bits.u(32)
                model = (delay, bits.u(5) + 1, bits.u(5) + 1)
        initial = bits.flag()
        for point in range(bits.u(5) + 1):
            idc, its_level = bits.u(12), bits.u(5)
            its_tier = bits.u(1) if its_level > 7 else 0
            if point == 0:
                level, tier = its_level, its_tier
            has_model = model is not None and bits.flag()
            if has_model and model is not None:
                bits.u(2 * model[0] + 1)
            if initial and bits.flag():
                bits.u(4)
            operating.append((idc, has_model))
    width_bits, height_bits = bits.u(4) + 1, bits.u(4) + 1
    width, height = bits.u(width_bits) + 1, bits.u(height_bits) + 1
    check_size(width, height)
    frame_id = frame_id_delta = order_bits = 0
    if not reduced and bits.flag():
        frame_id_delta = bits.u(4) + 2
        frame_id = bits.u(3) + frame_id_delta + 1
    bits.u(3)
    screen = integer_mv = 2
    if not reduced:
        bits.u(4)
        order_hints = bits.flag()
        bits.u(2 if order_hints else 0)
        screen = 2 if bits.flag() else bits.u(1)
        integer_mv = 2 if not screen or bits.flag() else bits.u(1)
        order_bits = bits.u(3) + 1 if order_hints else 0
    bits.u(3)
    record = bytes((0x81, profile << 5 | level, tier << 7 | _colour(bits, profile), 0)) + obu.data
    return Sequence(
        obu.data, record, width, height, reduced, model, equal, tuple(operating), frame_id, frame_id_delta,
        order_bits, screen, integer_mv,
    )  # fmt: skip


def _colour(bits: Bits, profile: int) -> int:
    """The colour bits of an AV1CodecConfigurationRecord, from color_config (5.5.2)."""
    high = bits.u(1)
    twelve = bits.u(1) if profile == 2 and high else 0
    mono = bits.u(1) if profile != 1 else 0
    described = (bits.u(8), bits.u(8), bits.u(8)) if bits.flag() else (2, 2, 2)
    across, down, place = 1, 1, 0
    if mono:
        bits.u(1)
    elif described == (1, 13, 0):
        across = down = 0
    else:
        bits.u(1)
        if profile == 1:
            across = down = 0
        elif profile == 2:
            across = bits.u(1) if twelve else 1
            down = bits.u(1) if twelve and across else 0
        place = bits.u(2) if across and down else 0
    return high << 6 | twelve << 5 | mono << 4 | across << 3 | down << 2 | place


def parse_frame(obu: Obu, sequence: Sequence) -> Frame:
    """Read the start of a frame's header (5.9.2).

    Raises:
        ImageError: It is damaged.
    """
    bits = obu.bits
    if sequence.reduced:
        return Frame(-1, KEY, True, 0, 255, False)
    if bits.flag():  # show_existing_frame
        return Frame(bits.u(3), INTER, True, 0, 0, False)
    kind, shown = bits.u(2), bits.flag()
    timed = sequence.decoder_model is not None
    if shown and timed and not sequence.equal_interval:
        bits.u(sequence.decoder_model[2] if sequence.decoder_model else 0)
    if not shown:
        bits.u(1)
    resilient = True if kind == SWITCH or (kind == KEY and shown) else bits.flag()
    bits.u(1)
    screen = bits.u(1) if sequence.screen == 2 else sequence.screen
    if screen and sequence.integer_mv == 2:
        bits.u(1)
    bits.u(sequence.frame_id)
    override = True if kind == SWITCH else bits.flag()
    order = bits.u(sequence.order_bits)
    if kind not in (KEY, INTRA) and not resilient:
        bits.u(3)
    if timed and bits.flag() and sequence.decoder_model:
        temporal, spatial = (obu.data[1] >> 5, obu.data[1] >> 3 & 3) if obu.data[0] & 4 else (0, 0)
        for idc, has_model in sequence.operating:
            if has_model and (not idc or (idc >> temporal & 1 and idc >> spatial + 8 & 1)):
                bits.u(sequence.decoder_model[1])
    refresh = 255 if kind == SWITCH or (kind == KEY and shown) else bits.u(8)
    # A size that the sequence header does not give: some scaled frame's, or that of one layer.
    return Frame(-1, kind, shown, order, refresh, override)
