"""The packets of a media file's video stream, decoded from its start or from a keyframe on, up to where it is damaged.

Where packets lack or don't decode, the frames shown before that are given and nothing after: `sure` is the decoding
time of the first packet that is not whole, and no packet that follows it is shown earlier. A cut can't be seen where
the container does not say how much it should hold (a transport stream): there, of frames that are stored out of order,
those that were cut off are missing without a word just before the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import IO, cast

import av
from av.video.stream import VideoStream

from mediaref_tools.errors import MediaError
from mediaref_tools.media.clock import Clock
from mediaref_tools.media.gop import PacketTable
from mediaref_tools.media.guard import GuardedFile
from mediaref_tools.media.mediafile import claimed_size, file_size, open_container, video_stream
from mediaref_tools.media.mp4index import mp4_table

__all__ = ["Packets", "no_times"]

_DAMAGE = (av.FFmpegError, IndexError)  # the second where a packet is of a stream that the headers didn't tell of
_FAR = 2**62  # libavformat's ticks are int64
# Where each frame has its own time: elsewhere (MPEG program streams, raw ones, MXF without its index) libavformat
# counts them up from the start, and guesses where it is in the middle.
_TIMED = (
    "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "flv", "nut", "asf", "ivf", "gif", "apng",
    "yuv4mpegpipe",
)  # fmt: skip
_INDEXED = ("mov", "matroska", "avi")
# Their headers tell an end, and nothing tells whether the file was cut before it.
_BOASTING = ("flv", "nut", "asf", "mxf", "ivf", "rm", "wtv")


class Packets:
    """An open media file and its first video stream, for one thread at a time.

    Attributes:
        stream: PyAV's stream.
        clock: Of the stream.
        counts: Whether frames have no times but their number: in AVI, H.264's only times are the order of its packets,
            which B-frames turn round.
        resumable: Whether frames can be told from the middle on: else decoding always begins at the start.
        trouble: What ended the frames before the stream's end; empty if nothing did.
        key: The decoding time of the keyframe that `from_keyframe` last began with.
        closed: Whether `close` was called.
        sure: With `trouble`, the tick before which every frame was given; None where that can't be told.
    """

    def __init__(self, file: Path | IO[bytes], name: str) -> None:
        """Open the file, which this object then owns; nothing but headers and index is read.

        Raises:
            RefError: It is a still image.
            MediaError: It is no media file, or has no video.
        """
        self._file = file if isinstance(file, Path) else cast("IO[bytes]", GuardedFile(file))
        self._name = name
        self._open()
        base = self.stream.time_base
        if not base:
            raise MediaError(f"video tells no time base: {name}")
        self.clock = Clock(Fraction(base))
        context = self.stream.codec_context
        self.counts = self._format == "avi" and bool(context.has_b_frames and context.name in ("h264", "hevc"))
        self.resumable = self._format in _TIMED and not self.counts
        if self._format == "avi" and len(self._index) != self.stream.frames:
            self.resumable = False  # its times are places in the index, which is cut or damaged
        self._has_index = self._format.startswith(_INDEXED) and len(self._index) > 1
        self.trouble = ""
        self.sure: int | None = None
        self._cause: Exception | None = None
        self.closed = False
        self.key: int | None = None

    @property
    def end(self) -> int | None:
        """The tick at which the stream ends, as the container tells; None where it does not, or can't be believed."""
        if self._format in _BOASTING:
            return None
        if self.stream.duration is not None:
            return (self.stream.start_time or 0) + self.stream.duration
        if self._container.duration is not None:
            # Matroska tells when it ends; libavformat makes a length of it by not taking the start off.
            start = 0 if self._format.startswith("matroska") else self._container.start_time or 0
            return int(Fraction(start + self._container.duration, av.time_base) / self.clock.tick_seconds)
        return None

    @property
    def frame_count(self) -> int | None:
        """Frames that are shown, as headers tell; None where they don't."""
        if self._format.startswith("mov") and any(entry.is_discard for entry in self._index):  # by an edit list
            return None
        return self.stream.frames or None

    def keyframe(self, tick: int) -> int | None:
        """The decoding time of the last keyframe not after a tick, where the file has an index of them."""
        if not self._has_index:
            return None
        entry = self._index.search_timestamp(_reachable(tick), backward=True, any_frame=False)
        return self._index[entry].timestamp if entry >= 0 else None

    def from_start(self) -> Iterator[av.VideoFrame]:
        """All frames, as plain decoding gives them."""
        self._to_start()
        frames = self._decoded(self._demuxed(), None)
        return _counted(frames) if self.counts else frames

    def from_keyframe(self, tick: int) -> Iterator[av.VideoFrame]:
        """Frames from a keyframe near before a tick on, without those that are shown before it; none if there is none.

        Raises:
            MediaError: While it is iterated over: a packet before the keyframe can't be read.
        """
        self.trouble, self.key = "", None
        # Near the time of a keyframe, libavformat moves to the one before it: its frames need not be decoded.
        nearest = self.keyframe(tick) if self._format.startswith("mov") else None
        try:
            with self._checked():
                self._container.seek(_reachable(tick), stream=self.stream, backward=True)
        except av.FFmpegError:
            return
        packets = self._demuxed()
        try:
            for key in packets:
                if key.is_keyframe and key.size and (nearest is None or key.dts is None or key.dts >= nearest):
                    break
                if key.dts is not None and key.dts > tick:  # keyframes from here on are too late
                    return
            else:
                return
            if key.pos is None and self._format == "mpegts":  # not the first of several frames under one time
                self.resumable = False
                return
        except _DAMAGE as error:
            self._stop(error, None)
            return

        self.key = key.dts

        def rest() -> Iterator[av.Packet[VideoStream]]:
            yield key
            yield from packets

        yield from self._decoded(rest(), key.pts)

    def ticks(self) -> list[int]:
        """The pts of every frame that is shown, ascending; nothing is decoded.

        Raises:
            MediaError: The file is damaged or cut.
        """
        self._to_start()
        if self.counts and self.stream.frames and not self._is_troubled(None):
            return list(range(self.stream.frames))
        found: list[int] = []
        try:
            packets = self._demuxed()
            found += [p.pts for p in packets if p.size and not p.is_discard and p.pts is not None]
        except _DAMAGE as error:
            self._stop(error, None)
        if self._is_troubled(None):
            raise self.error()
        if not found:
            raise MediaError(f"video has no frame, or is cut: {self._name}")
        return list(range(len(found))) if self.counts else sorted(set(found))

    def table(self) -> PacketTable | None:
        """Where the packets of an MP4 file lie; None where that can't be told. The place in the file is lost.

        Of a file that is not local, headers alone are read.

        Raises:
            MediaError: They can't be.
        """
        if not self._format.startswith("mov"):
            return None
        try:
            if not isinstance(self._file, Path):
                with self._checked():
                    return mp4_table(self._file, self.stream, None)
            self._to_start()
            return mp4_table(self._file, self.stream, self._demuxed)
        except (*_DAMAGE, OSError):
            return None

    def error(self) -> MediaError:
        """What `trouble` is to be raised as."""
        error = MediaError(f"{self.trouble}: {self._name}")
        error.__cause__ = self._cause
        return error

    def close(self) -> None:
        """Close the file. Safe to call again."""
        self.closed = True
        self._container.close()
        if not isinstance(self._file, Path):
            self._file.close()

    def _open(self) -> None:
        if not isinstance(self._file, Path):
            self._file.seek(0)
        with self._checked():
            self._container = open_container(self._file, self._name)
        try:
            self.stream = video_stream(self._container, self._name)
        except BaseException:
            self._container.close()
            raise
        self._index = self.stream.index_entries
        self._format = self._container.format.name

    def _checked(self) -> AbstractContextManager[None]:
        """Around whatever reads: raises why the file could not be read."""
        return self._file.checked() if isinstance(self._file, GuardedFile) else nullcontext()

    def _demuxed(self) -> Iterator[av.Packet[VideoStream]]:
        packets = self._container.demux(self.stream)
        if isinstance(self._file, Path):
            yield from packets
            return
        while True:
            with self._checked():
                packet = next(packets, None)
            if packet is None:
                return
            yield packet

    def _to_start(self) -> None:
        self.trouble = ""
        try:
            if self._format == "mpegts":
                # Where its clock is about to wrap, a search by time misses the start.
                with self._checked():
                    self._container.seek(0, unsupported_byte_offset=True)
            else:
                # Not before the first timestamp that there can be: some demuxers would not move.
                with self._checked():
                    self._container.seek(min(0, self._container.start_time or 0))
        except av.FFmpegError:
            self._container.close()
            self._open()

    def _decoded(self, packets: Iterator[av.Packet[VideoStream]], begin: int | None) -> Iterator[av.VideoFrame]:
        """Frames of some packets that are not shown before `begin`, up to the first packet that is not whole."""
        sure: int | None = None
        try:
            for packet in packets:
                if packet.size:
                    sure = packet.dts
                if packet.is_corrupt:
                    self._stop(None, sure)
                if self._is_troubled(sure) if not packet.size else self.trouble:
                    break
                for frame in packet.decode():
                    if begin is not None and self._pts(frame) < begin:
                        continue
                    if frame.is_corrupt:
                        self._stop(None, frame.pts)
                        return
                    yield frame
        except _DAMAGE as error:
            self._stop(error, sure)
        if self.sure is not None and self.trouble:
            yield from self._held(self.sure, begin)

    def _held(self, sure: int, begin: int | None) -> Iterator[av.VideoFrame]:
        """The frames before a tick that the decoder still holds, and the one that it began with."""
        try:
            for frame in self.stream.codec_context.decode(None):
                pts = self._pts(frame)
                if not frame.is_corrupt and (pts == begin or (begin or pts) <= pts < sure):
                    yield frame
        except av.FFmpegError:
            return

    def _stop(self, error: Exception | None, sure: int | None) -> None:
        near = f" at {self.clock.ns(sure)} ns" if sure is not None else ""
        reason = f": {error}" if error is not None else ""
        self.trouble = f"video is damaged or cut{near}{reason}"
        self.sure, self._cause = None if self.counts else sure, error

    def _is_troubled(self, sure: int | None) -> bool:
        """Whether packets are damaged, or the file lacks some that its header or index names.

        Without that, a file that was cut would show its last frame to the end that it claims.
        """
        if not self.trouble:
            with self._checked():
                size, claimed = file_size(self._file), claimed_size(self._file)
            if self._has_index:
                entry = self._index[len(self._index) - 1]
                claimed = max(claimed, entry.pos + entry.size)
            if claimed > size:
                self.trouble = f"video is cut: it names {claimed} bytes, the file has {size}: copy it again"
                self.sure, self._cause = None if self.counts else sure, None
        return bool(self.trouble)

    def _pts(self, frame: av.VideoFrame) -> int:
        if frame.pts is None:
            raise no_times(self._name)
        return frame.pts


def no_times(name: str) -> MediaError:
    """What a stream is refused with whose frames have no times."""
    return MediaError(
        "video has frames without times (it is a raw stream, or has several frames under one time): "
        f"put it into a container such as MP4: {name}"
    )


def _reachable(tick: int) -> int:
    return max(-_FAR, min(_FAR, tick))


def _counted(frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    for number, frame in enumerate(frames):
        frame.pts = number
        yield frame
