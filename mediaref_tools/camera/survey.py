"""A topic of camera video, seen once through: which packets can be remuxed, into which segments, at which times."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.camera.order import MAX_GAP_NS, packet_times
from mediaref_tools.camera.picture import Picture, Stream
from mediaref_tools.camera.unit import open_stream, read_packet
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, VideoCodec, video_codec

__all__ = ["CameraPlan", "CameraSegment", "survey"]

_MOST_REASONS = 100  # texts that are kept apart
_OTHER: Final = "is not a picture that can be remuxed"
_KEY, _FRESH, _LEADING, _RESETS = 1, 2, 4, 8
_REORDERED = 16  # packets: how far a sender that has B-frames may count out of order
_NO_CODEC: Final = "names no codec that is known: expected h264, h265, vp9 or av1"


class CameraSegment(NamedTuple):
    """One segment: what `RemuxWriter` is opened with, the first packet's log time, and whether it has B-frames."""

    codec: VideoCodec
    config: bytes
    width: int
    height: int
    first_log_time_ns: int
    b_frames: bool


class CameraPlan(NamedTuple):
    """What becomes of each packet of a topic, in their order.

    Attributes:
        segment: (N,) int64: number of its segment, -1 where it is to be embedded.
        pts_us, dts_us: (N,) int64, from the segment's start; -1 where embedded.
        keyframe: (N,) bool: the file is to say that decoding can begin there.
        reasons: The texts that `reason` points at; the first is "".
        reason: (N,) int32: why it is embedded.
        segments: By number.
    """

    segment: NDArray[np.int64]
    pts_us: NDArray[np.int64]
    dts_us: NDArray[np.int64]
    keyframe: NDArray[np.bool_]
    reasons: tuple[str, ...]
    reason: NDArray[np.int32]
    segments: tuple[CameraSegment, ...]


class _Setup(NamedTuple):
    codec: VideoCodec
    config: bytes
    width: int
    height: int


class _Table:
    """A few numbers a packet."""

    def __init__(self) -> None:
        self.log_times_ns, self.sequence, self.order = array("q"), array("q"), array("q")
        self.flags, self.reason, self.setup = array("B"), array("i"), array("i")
        self.reasons: dict[str, int] = {"": 0}
        self.setups: dict[_Setup, int] = {}

    def add(self, log_time_ns: int, picture: Picture, sequence: int, setup: _Setup | None, fault: str) -> None:
        if fault not in self.reasons and len(self.reasons) >= _MOST_REASONS:
            fault = _OTHER
        self.log_times_ns.append(log_time_ns)
        self.sequence.append(sequence)
        self.order.append(picture.order)
        self.flags.append(
            _KEY * picture.keyframe | _FRESH * picture.fresh | _LEADING * picture.leading | _RESETS * picture.resets
        )
        self.reason.append(self.reasons.setdefault(fault, len(self.reasons)))
        self.setup.append(-1 if setup is None else self.setups.setdefault(setup, len(self.setups)))


def survey(packets: Iterable[tuple[int, ImageValue]], *, segment_ns: int = 60_000_000_000) -> CameraPlan:
    """Look at every packet of a topic once, and plan its segments.

    A packet that can't be decoded from what the log has is embedded: its reason says why. A segment begins with a
    keyframe. Another one begins at a keyframe where the codec, the size or the parameter sets change, where a frame
    was lost and leading pictures with it, and at the first from which all that follows can be decoded after log time
    ran backwards, after a gap of more than 1000 s, and after `segment_ns`.

    Args:
        packets: Log time and image value of each message, in the log's order. Nothing of them is kept.
        segment_ns: A segment's length, up to the next such keyframe.
    """
    table = _Table()
    stream: Stream | None = None
    codec: VideoCodec | None = None
    counter: int | None = None
    sequence, last = 0, -1
    for log_time_ns, image, ahead in _looking_ahead(packets):
        named = video_codec(image.encoding)
        if named is None:
            if stream is not None:
                stream.lose()
            table.add(log_time_ns, Picture(b"", ""), sequence, None, _NO_CODEC)
            continue
        if stream is None or named != codec:
            stream, codec, counter, last = open_stream(named), named, None, -1
        if _skips(counter, image.counter, ahead):
            stream.lose()
        counter = _latest(counter, image.counter)
        try:
            picture = read_packet(stream, image.data)
            fault = picture.fault
        except ImageError as error:
            picture, fault = Picture(b"", ""), str(error)
        if not fault and picture.sequence != last:
            sequence, last = sequence + 1, picture.sequence
        setup = _Setup(codec, stream.config, stream.width, stream.height) if picture.keyframe else None
        table.add(log_time_ns, picture, sequence, setup, fault)
    return _plan(table, segment_ns)


def _looking_ahead(
    packets: Iterable[tuple[int, ImageValue]],
) -> Iterator[tuple[int, ImageValue, list[int | None]]]:
    """Each packet, and the counts of those that follow it."""
    waiting: deque[tuple[int, ImageValue]] = deque()
    for packet in chain(packets, repeat(None, _REORDERED)):
        if packet is not None:
            waiting.append(packet)
        if len(waiting) > _REORDERED or (packet is None and waiting):
            first = waiting.popleft()
            yield *first, [image.counter for _, image in waiting]


def _skips(most: int | None, counter: int | None, ahead: Sequence[int | None]) -> bool:
    """Whether, after counts up to `most`, there comes a `counter` before which one is missing."""
    if most is None or counter is None:
        return False
    if not -_REORDERED <= counter - most <= _REORDERED:
        return True  # a new sender, or many that are missing
    return any(between not in ahead for between in range(most + 1, counter))


def _latest(most: int | None, counter: int | None) -> int | None:
    if most is None or counter is None:
        return most if counter is None else counter
    return counter if abs(counter - most) > _REORDERED else max(most, counter)


def _plan(table: _Table, segment_ns: int) -> CameraPlan:
    log_times_ns = np.array(table.log_times_ns, dtype=np.int64)
    sequence, order = np.array(table.sequence, dtype=np.int64), np.array(table.order, dtype=np.int64)
    reason = np.array(table.reason, dtype=np.int32)
    flags = np.array(table.flags, dtype=np.uint8)
    keyframe = (flags & _KEY > 0) & (reason == 0)
    segment, starts = _segments(table, flags, segment_ns)
    pts_us, dts_us = np.full((2, len(segment)), -1, dtype=np.int64)
    setups = list(table.setups)
    segments = []
    rows_of = np.split(np.flatnonzero(segment >= 0), np.flatnonzero(np.diff(segment[segment >= 0])) + 1)
    for start, rows in zip(starts, rows_of, strict=False):
        pts_us[rows], dts_us[rows] = packet_times(log_times_ns[rows], sequence[rows], order[rows])
        setup = setups[table.setup[start]]
        segments.append(CameraSegment(*setup, int(log_times_ns[rows[0]]), bool((pts_us[rows] != dts_us[rows]).any())))
    return CameraPlan(segment, pts_us, dts_us, keyframe & (segment >= 0), tuple(table.reasons), reason, tuple(segments))


def _segments(table: _Table, flags: NDArray[np.uint8], segment_ns: int) -> tuple[NDArray[np.int64], list[int]]:
    """The segment of each packet, and the packet that each begins with."""
    closed = _closed(table, flags)
    segment = np.full(len(flags), -1, dtype=np.int64)
    starts: list[int] = []
    due = False
    before = 0
    for at, log_time_ns in enumerate(table.log_times_ns):
        if table.reason[at]:
            continue
        if starts:
            due |= not 0 <= log_time_ns - before <= MAX_GAP_NS
            due |= log_time_ns - table.log_times_ns[starts[-1]] >= segment_ns
        before = log_time_ns
        if flags[at] & _KEY:
            changed = not starts or table.setup[at] != table.setup[starts[-1]]
            cut = flags[at] & _FRESH and not (starts and flags[at] & _RESETS)
            if cut or ((changed or due) and closed[at]):
                starts.append(at)
                due = False
        if starts:
            segment[at] = len(starts) - 1
    return segment, starts


def _closed(table: _Table, flags: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether a keyframe parts what is before from what is after it: decoding, and the order of showing."""
    closed = np.zeros(len(flags), dtype=np.bool_)
    key = -1
    latest: tuple[int, int] | None = None  # sequence and order of what is shown last so far
    for at in range(len(flags)):
        if table.reason[at]:
            continue
        shown = (table.sequence[at], table.order[at])
        if flags[at] & _KEY:
            key = at
            closed[at] = latest is None or latest < shown
        elif flags[at] & _LEADING and key >= 0:
            closed[key] = False
        latest = shown if latest is None else max(latest, shown)
    return closed
