"""H.264 packets in order: parameter sets, missing references, picture order (ITU-T H.264 7.4.3, 8.2.1)."""

from __future__ import annotations

from mediaref_tools.camera.framing import join_nals, split_annexb
from mediaref_tools.camera.h264syntax import Pps, Slice, Sps, parse_pps, parse_slice, parse_sps, recovers
from mediaref_tools.camera.picture import EARLY, EMPTY, LATE, LOST, REPEATED, TWO, UNSET, Picture
from mediaref_tools.errors import ImageError

__all__ = ["H264Stream"]


class H264Stream:
    """Follows a stream of H.264.

    A reference picture's `frame_num` is one more than that of the one before. Where it is not, one is missing, and
    nothing up to the next keyframe is trusted; that holds where `gaps_in_frame_num_value_allowed_flag` is set too,
    as nobody can tell there what a camera left out from what a recorder lost. A missing picture that nothing refers
    to leaves no gap. What can't be seen: as many references missing as `frame_num` counts before it begins anew.
    """

    def __init__(self) -> None:
        self.config = b""
        self.width = self.height = 0
        self._spss: dict[int, Sps] = {}
        self._ppss: dict[int, Pps] = {}
        self._fault = EARLY
        self._sequence = -1
        self._last = b""
        self._frame_num = 0  # of the last reference
        self._previous = (0, 0)  # picture order of the last reference: what its low bits count from, low bits
        self._counted = (0, 0)  # frame_num of the last picture, and what was added to it
        self._key_order = 0  # picture order of the last keyframe
        self._latest: list[int] = []  # the highest picture orders of the sequence
        self._open = self._fresh = (
            False  # whether it is one whose leading pictures refer to what is before it; began anew
        )

    def lose(self) -> None:
        """A packet is missing."""
        if self._fault != EARLY:
            self._fault = LOST

    def read(self, payload: bytes) -> Picture:
        """Take the next packet; see `picture.Stream`."""
        nals, framing = split_annexb(payload)
        slices, recovery = self._parse(nals)
        picture = Picture(join_nals(nals), framing)
        if payload == self._last:
            return picture._replace(fault=REPEATED)
        if not slices:
            return picture._replace(fault=EMPTY)
        self._last = payload
        first = slices[0]
        if first is None or None in slices:
            idr = any(nal[0] & 31 == 5 for nal in nals)
            return self._broken(picture, EARLY if self._fault == EARLY and not idr else UNSET)
        whole = [part for part in slices if part is not None and not part.redundant]
        if sum(part.first == 0 for part in whole) > 1 or any(part.same != first.same for part in whole):
            return self._broken(picture, TWO)
        if not any(part.first == 0 for part in whole):
            raise ImageError("video packet lacks the first slice of its picture")
        return self._follow(picture, first, recovery and all(part.intra for part in whole))

    def _parse(self, nals: list[bytes]) -> tuple[list[Slice | None], bool]:
        slices: list[Slice | None] = []
        recovery = False
        for nal in nals:
            kind = nal[0] & 31
            if nal[0] & 128:
                raise ImageError("video packet holds a NAL unit that is marked as damaged")
            if kind == 7:
                sps = parse_sps(nal)
                self._spss[sps.number] = sps
            elif kind == 8:
                pps = parse_pps(nal)
                self._ppss[pps.number] = pps
            elif kind == 6:
                recovery |= recovers(nal)
            elif kind in (1, 5):
                slices.append(parse_slice(nal, self._spss, self._ppss))
            elif kind in (2, 3, 4):
                raise ImageError("video packet holds a partitioned slice, which decoders do not know")
        return slices, recovery

    def _broken(self, picture: Picture, fault: str) -> Picture:
        self.lose()
        return picture._replace(fault=fault)

    def _follow(self, picture: Picture, part: Slice, recovery: bool) -> Picture:
        sps = self._spss[self._ppss[part.pps].sps]
        span = 1 << sps.frame_num_bits
        if not part.idr and part.frame_num != (self._frame_num + 1) % span:
            self.lose()
        keyframe = part.idr or recovery
        fresh = keyframe and self._fault != ""
        if part.idr or fresh:
            self._fault = ""
            self._sequence += 1
            self._previous = self._counted = (0, 0)
            self._latest = []
        if keyframe:
            self.config = _avcc(sps, [pps for pps in self._ppss.values() if pps.sps == sps.number])
            self.width, self.height = sps.width, sps.height
        order = self._order(sps, part)
        if keyframe:
            self._key_order = order
            self._open, self._fresh = not part.idr, fresh
        if part.ref:
            self._frame_num = part.frame_num
        if part.resets:
            # It and all that follows is shown after what came before, and counts from it (8.2.1).
            order = self._frame_num = self._key_order = 0
            self._sequence += 1
            self._counted, self._previous = (0, 0), (0, max(0, -part.delta[0]))
            self._open, self._latest = False, []
        leading = not keyframe and order < self._key_order and self._open
        fault = self._fault or (LOST if leading and self._fresh else "")
        if not fault and sum(other > order for other in self._latest) > sps.reorder:
            # No reference could come out of order without a gap. Decoders drop such a frame.
            fault = LATE
        if not fault:
            self._latest = sorted((*self._latest, order))[-17:]
        return picture._replace(
            keyframe=keyframe, sequence=self._sequence, order=order, leading=leading, fresh=fresh, resets=part.idr,
            fault=fault,
        )  # fmt: skip

    def _order(self, sps: Sps, part: Slice) -> int:
        """The picture order count of a frame (8.2.1): the lesser of its two fields'."""
        if sps.poc_type == 0:
            base, low = self._previous
            span = 1 << sps.poc_bits
            if part.poc_lsb < low and low - part.poc_lsb >= span // 2:
                base += span
            elif part.poc_lsb > low and part.poc_lsb - low > span // 2:
                base -= span
            if part.ref:
                self._previous = (base, part.poc_lsb)
            top = base + part.poc_lsb
            return min(top, top + part.delta[0])
        number, added = self._counted
        if part.idr:
            added = 0
        elif number > part.frame_num:
            added += 1 << sps.frame_num_bits
        self._counted = (part.frame_num, added)
        count = added + part.frame_num
        if sps.poc_type == 2:
            return 2 * count - (not part.ref)
        if not sps.cycle:
            count = 0
        elif not part.ref and count > 0:
            count -= 1
        top = 0 if part.ref else sps.offset_non_ref
        if count > 0:
            cycles, within = divmod(count - 1, len(sps.cycle))
            top += cycles * sum(sps.cycle) + sum(sps.cycle[: within + 1])
        top += part.delta[1]
        return min(top, top + sps.offset_bottom + part.delta[2])


def _avcc(sps: Sps, ppss: list[Pps]) -> bytes:
    """An AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1) with lengths of four bytes."""
    record = bytes((1, *sps.nal[1:4], 0xFF, 0xE1)) + len(sps.nal).to_bytes(2, "big") + sps.nal
    record += bytes((len(ppss),)) + b"".join(len(pps.nal).to_bytes(2, "big") + pps.nal for pps in ppss)
    if sps.nal[1] in (100, 110, 122, 144, 244):
        record += bytes((0xFC | sps.chroma, 0xF8 | sps.depth_luma, 0xF8 | sps.depth_chroma, 0))
    return record
