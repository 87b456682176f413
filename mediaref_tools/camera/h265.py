"""H.265 packets in order: parameter sets, missing references by reference sets, picture order (ITU-T H.265 8.3)."""

from __future__ import annotations

from collections.abc import Sequence

from mediaref_tools.camera.framing import join_nals, split_annexb
from mediaref_tools.camera.h265syntax import (
    Pps,
    Slice,
    Sps,
    kind_of,
    layer_of,
    parse_pps,
    parse_slice,
    parse_sps,
)
from mediaref_tools.camera.picture import EARLY, EMPTY, LOST, REPEATED, TWO, UNSET, Picture
from mediaref_tools.errors import ImageError

__all__ = ["H265Stream"]

_VPS, _SPS, _PPS, _END, _END_OF_STREAM = 32, 33, 34, 36, 37
_IDR = (19, 20)
_BLA = (16, 17, 18)
_RASL, _LEADING = (8, 9), (6, 7, 8, 9)


class H265Stream:
    """Follows a stream of H.265.

    Every picture lists all that must still be there (its reference picture set), so exactly those can be decoded
    whose own references are. After a missing one, the next keyframe begins anew, as after a cut.
    """

    def __init__(self) -> None:
        self.config = b""
        self.width = self.height = 0
        self._vpss: dict[int, bytes] = {}
        self._spss: dict[int, Sps] = {}
        self._ppss: dict[int, Pps] = {}
        self._begun = False
        self._ended = True  # the next keyframe begins a coded video sequence
        self._broken = True  # something is missing since the last keyframe
        self._sequence = -1
        self._last = b""
        self._previous = 0  # picture order of the last picture that others count from
        self._held: set[int] = set()  # orders of the pictures that are there to be referred to

    def lose(self) -> None:
        """A packet is missing."""
        self._held.clear()
        self._broken = True

    def read(self, payload: bytes) -> Picture:
        """Take the next packet; see `picture.Stream`."""
        nals, framing = split_annexb(payload)
        slices, ends = self._parse(nals)
        picture = Picture(join_nals(nals), framing)
        if payload == self._last:
            return picture._replace(fault=REPEATED)
        if not slices:
            self._ended |= ends
            return picture._replace(fault=EMPTY)
        self._last = payload
        if not slices[0][2] & 128:
            raise ImageError("video packet lacks the first slice of its picture")
        if sum(nal[2] >> 7 for nal in slices) > 1:
            self.lose()
            return picture._replace(fault=TWO)
        part = parse_slice(slices[0], self._spss, self._ppss)
        if part is None:
            self.lose()
            keyframe = 16 <= kind_of(slices[0]) <= 23
            return picture._replace(fault=UNSET if keyframe or self._begun else EARLY)
        picture = self._follow(picture, part, slices[0])
        self._ended |= ends
        return picture

    def _parse(self, nals: Sequence[bytes]) -> tuple[list[bytes], bool]:
        slices, ends = [], False
        for nal in nals:
            # End of sequence and of bitstream have no content.
            if len(nal) < 2 or (len(nal) < 3 and kind_of(nal) not in (_END, _END_OF_STREAM)):
                raise ImageError("video packet ends within a header")
            if nal[0] & 128:
                raise ImageError("video packet holds a NAL unit that is marked as damaged")
            kind = kind_of(nal)
            if layer_of(nal):
                continue
            if kind == _VPS:
                self._vpss[nal[2] >> 4] = nal
            elif kind == _SPS:
                sps = parse_sps(nal)
                self._spss[sps.number] = sps
            elif kind == _PPS:
                pps = parse_pps(nal)
                self._ppss[pps.number] = pps
            elif kind < 32:
                slices.append(nal)
            ends |= kind in (_END, _END_OF_STREAM)
        return slices, ends

    def _follow(self, picture: Picture, part: Slice, nal: bytes) -> Picture:
        kind = kind_of(nal)
        sps = self._spss[self._ppss[part.pps].sps]
        keyframe = 16 <= kind <= 23
        fresh = keyframe and (self._broken or self._ended)
        resets = kind in (*_IDR, *_BLA)
        if fresh or resets:
            self._sequence += 1
            self._held.clear()
            self._broken = self._ended = False
            base = 0
        else:
            base = self._base(sps, part.poc_lsb)
        if keyframe:
            self._begun = part.shown
            self.config = self._hvcc(sps)
            self.width, self.height = sps.width, sps.height
        order = base + part.poc_lsb
        if nal[1] & 7 == 1 and kind not in _LEADING and (kind > 15 or kind % 2):
            self._previous = order
        there = self._refer(sps, part, order) or keyframe
        if not part.shown:
            fault = EMPTY
        elif not self._begun:
            fault = EARLY
        else:
            fault = "" if there else LOST
        if not fault:
            self._held.add(order)
        elif kind not in _RASL:  # to which nothing but their like refers
            self._broken = True
        return picture._replace(
            keyframe=keyframe, sequence=self._sequence, order=order, leading=kind in _RASL, fresh=fresh, resets=resets,
            fault=fault,
        )  # fmt: skip

    def _base(self, sps: Sps, low: int) -> int:
        """The upper bits of a picture's order (8.3.1)."""
        span = 1 << sps.poc_bits
        before = self._previous & span - 1
        base = self._previous - before
        if low < before and before - low >= span // 2:
            return base + span
        if low > before and low - before > span // 2:
            return base - span
        return base

    def _refer(self, sps: Sps, part: Slice, order: int) -> bool:
        """Keep what the picture's reference set keeps (8.3.2); whether all that it uses is there."""
        whole = order not in self._held
        kept = set()
        for distance, used in part.refs:
            if order + distance in self._held:
                kept.add(order + distance)
            elif used:
                whole = False
        for number, low, used in part.long:
            span = (1 << sps.poc_bits) - 1
            found = {held for held in self._held if (held & span == number if low else held == order + number)}
            kept |= found
            whole &= bool(found) or not used
        self._held = kept
        return whole

    def _hvcc(self, sps: Sps) -> bytes:
        """An HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 8.3.3.1) with lengths of four bytes."""
        ppss = [pps.nal for pps in self._ppss.values() if pps.sps == sps.number]
        vpss = [self._vpss[sps.vps]] if sps.vps in self._vpss else []
        record = b"\1" + sps.profile + b"\xf0\0\xfc"
        record += bytes((0xFC | sps.chroma, 0xF8 | sps.depth_luma, 0xF8 | sps.depth_chroma, 0, 0))
        arrays = [(kind, nals) for kind, nals in ((_VPS, vpss), (_SPS, [sps.nal]), (_PPS, ppss)) if nals]
        record += bytes((sps.layers << 3 | sps.nested << 2 | 3, len(arrays)))
        for kind, nals in arrays:
            record += bytes((0x80 | kind,)) + len(nals).to_bytes(2, "big")
            record += b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)
        return record
