"""AV1 packets in order: the sequence header, missing frames by their order hints (AV1 specification 5.9.2, 7.20)."""

from __future__ import annotations

from mediaref_tools.camera.av1syntax import KEY, Sequence, obus_of, parse_frame, parse_sequence
from mediaref_tools.camera.framing import DELIMITER
from mediaref_tools.camera.picture import EARLY, EMPTY, LOST, REPEATED, RESIZED, TWO, UNSET, Picture
from mediaref_tools.errors import ImageError

__all__ = ["Av1Stream"]

_SEQUENCE, _TEMPORAL_DELIMITER, _FRAME_HEADER, _FRAME = 1, 2, 3, 6
_KEPT = (_SEQUENCE, _FRAME_HEADER, 4, 5, _FRAME)  # and tile groups, and metadata


class Av1Stream:
    """Follows a stream of AV1.

    Frames are shown in the order of their hints, each one more than the last: a gap is a frame that is missing, and
    as nothing says what it left behind, nothing up to the next keyframe is trusted. Where hints are off, a missing
    frame shows in what the sender counts, and nowhere else.
    """

    def __init__(self) -> None:
        self.config = b""
        self.width = self.height = 0
        self._set: Sequence | None = None
        self._fault = EARLY
        self._sequence = -1
        self._count = 0
        self._last = b""
        self._slots = [0] * 8  # order hints of the frames that can be referred to
        self._shown = 0  # order hint of the last frame

    def lose(self) -> None:
        """A packet is missing."""
        if self._fault != EARLY:
            self._fault = LOST

    def read(self, payload: bytes) -> Picture:
        """Take the next packet; see `picture.Stream`."""
        if not payload:
            raise ImageError("video packet is empty")
        delimited = payload.startswith(DELIMITER)
        data = payload[len(DELIMITER) :] if delimited else payload
        picture = Picture(data, "obu:td" if delimited else "obu:")
        obus = list(obus_of(data))
        for obu in obus:
            if obu.kind == _TEMPORAL_DELIMITER:
                raise ImageError("video packet holds more than one temporal unit")
            if obu.kind not in _KEPT:
                raise ImageError(
                    f"video packet has an AV1 unit (OBU) of type {obu.kind}, which a MP4 file does not keep"
                )
            if obu.kind == _SEQUENCE:
                self._set = parse_sequence(obu)
        heads = [obu for obu in obus if obu.kind in (_FRAME, _FRAME_HEADER)]
        if not heads:
            return picture._replace(fault=EMPTY)
        if self._set is None:
            self.lose()
            return picture._replace(fault=UNSET)
        if payload == self._last and self._set.order_bits:
            return picture._replace(fault=REPEATED)
        self._last = payload
        frames = [parse_frame(obu, self._set) for obu in heads]
        shown = sum(frame.shown for frame in frames)
        keyframe = frames[0].kind == KEY and frames[0].shown and frames[0].existing < 0
        resized = any(frame.resized for frame in frames)
        if shown != 1 or resized:
            self.lose()
            return picture._replace(fault=RESIZED if resized else TWO if shown else EMPTY)
        fresh = keyframe and self._fault != ""
        if keyframe:
            self._fault = ""
            self._sequence += 1
            self.config, self.width, self.height = self._set.record, self._set.width, self._set.height
        for frame in frames:
            order = self._slots[frame.existing] if frame.existing >= 0 else frame.order
            if frame.shown:
                if not keyframe and self._set.order_bits and (order - self._shown - 1) % (1 << self._set.order_bits):
                    self.lose()
                self._shown = order
            self._slots = [order if frame.refresh >> at & 1 else was for at, was in enumerate(self._slots)]
        self._count += 1
        return picture._replace(
            keyframe=keyframe, sequence=self._sequence, order=self._count, fresh=fresh, resets=keyframe,
            fault=self._fault,
        )  # fmt: skip
