"""Small videos of every container and codec that can be written here, whose frames carry their own number.

A frame's number stands in it as ten bars, black or white, which survive lossy coding; so a test knows which frame it
was given, whatever the pixels became.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import cast

os.environ.setdefault("SVT_LOG", "1")  # else the encoder greets on stderr

import av
import numpy as np
from av.stream import Disposition
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mediaref_tools.segments.scheduling import leave_realtime

__all__ = ["ODD", "OddVideo", "Shown", "number", "numbered", "sequential"]

BITS = 10
MS = Fraction(1, 1000)


@dataclass(frozen=True)
class OddVideo:
    """A recipe. `ticks` are the pts given to the encoder, in ticks of `base`; what the muxer makes of them is its."""

    name: str
    codec: str
    ticks: Sequence[int]
    base: Fraction = MS
    rate: Fraction = Fraction(30)
    pixels: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    gop: int = 12
    options: Mapping[str, str] = field(default_factory=dict)
    muxer: Mapping[str, str] = field(default_factory=dict)
    format: str | None = None
    extra: str = ""  # "audio", "data", "cover"
    rotation: int = 0
    patch: Callable[[bytes], bytes] | None = None  # of the written file

    def write(self, folder: Path) -> Path:
        """Write the video; returns its path."""
        path = folder / self.name
        with av.open(str(path), "w", format=self.format, options=dict(self.muxer)) as out:
            if self.extra == "cover" and path.suffix == ".mkv":
                out.add_attachment("cover.png", "image/png", _still("png"))
            sound = out.add_stream("aac", rate=44100) if self.extra == "audio" else None
            notes = out.add_data_stream("klv") if self.extra == "data" else None
            stream = cast("VideoStream", out.add_stream(self.codec, rate=self.rate, options=dict(self.options)))
            stream.width, stream.height = self.size
            stream.pix_fmt = self.pixels
            stream.codec_context.time_base = stream.time_base = self.base
            stream.codec_context.gop_size = self.gop
            stream.codec_context.thread_count = 1  # libvpx's threads wait by spinning, for minutes where cores are few
            if self.rotation:
                stream.set_display_rotation(self.rotation)
            if self.extra == "cover" and path.suffix == ".mp4":
                cover = out.add_stream("png", rate=1)
                cover.width, cover.height, cover.pix_fmt = 16, 16, "rgb24"
                cover.disposition = Disposition.attached_pic
                out.start_encoding()
                packet = av.Packet(_still("png"))
                packet.stream, packet.pts, packet.dts = cover, 0, 0
                out.mux(packet)
            if sound is not None:
                for at in range(40):
                    quiet = av.AudioFrame("fltp", "mono", 1024)
                    quiet.planes[0].update(bytes(quiet.planes[0].buffer_size))
                    quiet.sample_rate, quiet.pts = 44100, at * 1024
                    out.mux(sound.encode(quiet))
                out.mux(sound.encode(None))
            if not self.ticks:
                out.start_encoding()  # else there would be no file at all
            for index, tick in enumerate(self.ticks):
                if notes is not None and index % 10 == 0:
                    note = av.Packet(b"\x06\x0e\x2b\x34 a note")
                    note.stream, note.time_base = notes, self.base
                    note.pts = note.dts = tick
                    out.mux(note)
                frame = numbered(index, self.pixels, self.size)
                frame.pts, frame.time_base = tick, self.base
                out.mux(stream.encode(frame))
                if self.codec == "libsvtav1" and index == 0:
                    leave_realtime()  # else the threads of every codec after it spin at the machine's expense
            out.mux(stream.encode(None))
        if self.patch:
            path.write_bytes(self.patch(path.read_bytes()))
        return path


@dataclass(frozen=True)
class Shown:
    """A frame as sequential decoding gives it: `tick` of the container's clock, RGB pixels."""

    tick: int
    rgb: NDArray[np.uint8]


def numbered(index: int, pixels: str = "yuv420p", size: tuple[int, int] = (64, 48)) -> av.VideoFrame:
    """A frame that carries a number of up to ten bits."""
    width, height = size
    picture = np.full((height, width, 3), 40, np.uint8)
    for bit in range(BITS):
        if index >> bit & 1:
            picture[:, bit * width // BITS : (bit + 1) * width // BITS] = 220
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)


def number(picture: NDArray[np.uint8]) -> int:
    """The number that an (H, W, …) picture carries."""
    width = picture.shape[1]
    found = 0
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        found |= int(picture[:, left + 1 : right - 1].mean() > 130) << bit
    return found


def sequential(path: Path) -> tuple[Fraction, list[Shown]]:
    """The stream's time base, and its frames as plain decoding from the start gives them.

    Of H.264 with B-frames in AVI, times are frame counts: libavformat's are in disorder.
    """
    with av.open(str(path)) as source:
        stream = next(s for s in source.streams.video if not s.disposition & Disposition.attached_pic)
        counted = path.suffix == ".avi" and stream.codec_context.name == "h264" and stream.codec_context.has_b_frames
        frames = []
        for index, frame in enumerate(source.decode(stream)):
            assert frame.pts is not None
            rgb = cast("NDArray[np.uint8]", frame.to_ndarray(format="rgb24"))
            frames.append(Shown(index if counted else frame.pts, rgb))
        assert stream.time_base is not None
        return Fraction(stream.time_base), frames


def _still(codec: str) -> bytes:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.time_base = 16, 16, "rgb24", Fraction(1, 25)
    return b"".join(bytes(p) for p in [*context.encode(av.VideoFrame(16, 16, "rgb24")), *context.encode(None)])


# Boxes of ISO base media files, for what no muxer writes.


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        yield kind, data[at + 8 : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def _remade(data: bytes, path: Sequence[bytes], change: Callable[[bytes], bytes]) -> bytes:
    """The boxes of `data` with the content of one of them changed; it must lie behind all media data."""
    if not path:
        return change(data)
    return b"".join(
        _box(kind, _remade(content, path[1:], change) if kind == path[0] else content) for kind, content in _boxes(data)
    )


def edited(*entries: tuple[int, int]) -> Callable[[bytes], bytes]:
    """A patch: the edit list of an MP4's video becomes `(duration in ms, media time in ticks; -1 is empty)`."""
    content = struct.pack(">II", 0, len(entries)) + b"".join(struct.pack(">IiI", *entry, 1 << 16) for entry in entries)
    return lambda data: _remade(data, (b"moov", b"trak", b"edts", b"elst"), lambda _: content)


def _cover_first(data: bytes) -> bytes:
    def change(moov: bytes) -> bytes:
        boxes = list(_boxes(moov))
        boxes.sort(key=lambda box: box[0] != b"udta")
        return b"".join(_box(*box) for box in boxes)

    return _remade(data, (b"moov",), change)


_RANDOM = random.Random(3)
IRREGULAR = [0, *accumulate(_RANDOM.choice([7, 20, 33, 34, 50, 120]) for _ in range(59))]
GAPS = [0, *accumulate(_RANDOM.choice([1, 1, 2, 30, 40, 9_000]) for _ in range(59))]
COUNTED = range(60)
MS_30 = [i * 33 for i in range(60)]
B3 = {"bf": "3"}
OPEN = {"bf": "3", "x264-params": "open-gop=1:b-pyramid=normal"}
QUIET = {"x265-params": "log-level=none"}
NTSC = Fraction(1001, 30000)


def _h264(name: str, ticks: Sequence[int] = IRREGULAR, **more: object) -> OddVideo:
    return replace(OddVideo(name, "libx264", ticks), **more)  # type: ignore[arg-type]


_ALL = [
    # H.264: without B-frames, with, pyramid, open GOP, no keyframes but the first
    _h264("h264.mp4"),
    _h264("h264_b.mp4", options=B3),
    _h264("h264_pyramid.mp4", options={"bf": "7", "x264-params": "b-pyramid=normal:b-adapt=0"}),
    _h264("h264_open.mp4", options=OPEN),
    _h264("h264_refresh.mp4", options={"x264-params": "intra-refresh=1"}),
    _h264("h264_long.mp4", gop=1000, options=B3),
    _h264("h264_gaps.mp4", GAPS, options=B3),
    _h264("h264.mkv", options=B3),
    _h264("h264_open.mkv", options=OPEN),
    _h264("h264_long.mkv", gop=1000),
    _h264("h264_gaps.mkv", GAPS),
    _h264("h264.ts", MS_30, options=B3),
    _h264("h264_open.ts", MS_30, options=OPEN),
    _h264("h264_refresh.ts", MS_30, options={"x264-params": "intra-refresh=1"}),
    _h264("h264_long.ts", MS_30, gop=1000),
    _h264("h264.avi", COUNTED, base=Fraction(1, 30), options={"bf": "0"}),
    _h264("h264_b.avi", COUNTED, base=Fraction(1, 30), options={"bf": "2"}),
    _h264("h264_ntsc.avi", COUNTED, base=NTSC, rate=1 / NTSC, options={"bf": "0"}),
    _h264("h264.flv", options={"bf": "2"}),
    _h264("h264_long.flv", gop=1000),
    _h264("h264.nut", options={"bf": "2"}),
    _h264("h264.mov", options=B3),
    # clocks
    _h264("h264_90k.mp4", [i * 3003 + i % 3 for i in COUNTED], base=Fraction(1, 90_000), options=B3),
    _h264("h264_15360.mp4", [i * 512 for i in COUNTED], base=Fraction(1, 15_360), options=B3),
    _h264("h264_ntsc.mp4", COUNTED, base=NTSC, rate=1 / NTSC, options=B3),
    _h264("h264_ntsc.nut", COUNTED, base=NTSC, rate=1 / NTSC),
    _h264("h264_us.mp4", [i * 16_683 + i * i for i in COUNTED], base=Fraction(1, 10**6)),
    _h264("h264_1ns.mp4", [i * 33_333_333 + i * i for i in COUNTED], base=Fraction(1, 10**9)),
    _h264("h264_7th.mp4", COUNTED, base=Fraction(1, 7), rate=Fraction(7), options=B3),
    # where they begin
    _h264("h264_start.mp4", [5000 + t for t in IRREGULAR], options=B3),
    _h264("h264_start.mkv", [5000 + t for t in IRREGULAR]),
    _h264("h264_negative.mp4", [t - 200 for t in IRREGULAR]),
    _h264("h264_negative.mkv", [t - 200 for t in IRREGULAR]),
    _h264("h264_negative_frag.mp4", [t - 200 for t in IRREGULAR], muxer={"movflags": "frag_keyframe+delay_moov"}),
    _h264("h264_negative.ts", [t - 200 for t in IRREGULAR], muxer={"avoid_negative_ts": "disabled"}),
    _h264("h264_far.flv", [2**31 - 200 + t for t in IRREGULAR]),
    # MP4's ways
    _h264("h264_noedit.mp4", options=B3, muxer={"use_editlist": "0"}),
    _h264("h264_ctsneg.mp4", options=B3, muxer={"use_editlist": "0", "movflags": "negative_cts_offsets"}),
    _h264("h264_frag.mp4", options=B3, muxer={"movflags": "frag_keyframe+empty_moov"}),
    _h264("h264_frag_delay.mp4", options=B3, muxer={"movflags": "frag_keyframe+delay_moov+default_base_moof"}),
    _h264("h264_sidx.mp4", options=B3, muxer={"movflags": "frag_keyframe+empty_moov+dash+global_sidx"}),
    _h264("h264_faststart.mp4", options=B3, muxer={"movflags": "faststart"}),
    _h264("h264_edit_mid.mp4", [t - 300 for t in IRREGULAR], options=B3),
    _h264("h264_edit_empty.mp4", patch=edited((500, -1), (3000, 0)), options=B3),
    _h264("h264_edit_out.mp4", patch=edited((900, 400)), options=B3),
    _h264("h264_edit_twice.mp4", patch=edited((600, 0), (600, 0)), options=B3),
    _h264("h264_edit_pause.mp4", patch=edited((600, 0), (600, -1), (600, 8000)), options=B3),
    # other codecs
    OddVideo("hevc.mp4", "libx265", IRREGULAR, options=QUIET),
    OddVideo("hevc_open.mkv", "libx265", IRREGULAR, options={"x265-params": "log-level=none:open-gop=1:bframes=4"}),
    OddVideo("hevc.ts", "libx265", MS_30, options=QUIET),
    OddVideo("vp8.webm", "libvpx", IRREGULAR, options={"auto-alt-ref": "1", "lag-in-frames": "16"}),
    OddVideo("vp9.webm", "libvpx-vp9", IRREGULAR, options={"auto-alt-ref": "1", "lag-in-frames": "16"}),
    OddVideo("vp9.mp4", "libvpx-vp9", IRREGULAR),
    OddVideo("vp9.ivf", "libvpx-vp9", COUNTED, base=Fraction(1, 30)),
    OddVideo("av1.mp4", "libsvtav1", IRREGULAR, options={"preset": "10", "svtav1-params": "lp=1"}),
    OddVideo("av1.mkv", "libsvtav1", IRREGULAR, options={"preset": "10", "svtav1-params": "lp=1"}),
    OddVideo("mjpeg.avi", "mjpeg", COUNTED, base=Fraction(1, 30), pixels="yuvj420p"),
    OddVideo("mjpeg.mp4", "mjpeg", IRREGULAR, pixels="yuvj420p"),
    OddVideo("mjpeg_gaps.mkv", "mjpeg", GAPS, pixels="yuvj420p"),
    OddVideo("ffv1.mkv", "ffv1", IRREGULAR),
    OddVideo("ffv1_gaps.nut", "ffv1", GAPS),
    OddVideo("ffv1_gray16.mp4", "ffv1", IRREGULAR, pixels="gray16le"),
    OddVideo("h264_gray.mp4", "libx264", IRREGULAR, pixels="gray"),
    OddVideo("h264_10bit.mp4", "libx264", IRREGULAR, pixels="yuv420p10le"),
    OddVideo("h264_444.mkv", "libx264", IRREGULAR, pixels="yuv444p", size=(67, 45)),
    OddVideo("h264_odd.mp4", "libx264", IRREGULAR, size=(66, 50), options=B3),
    OddVideo("raw.avi", "rawvideo", COUNTED, base=Fraction(1, 30)),
    OddVideo("raw.nut", "rawvideo", GAPS),
    OddVideo("hevc_10bit.mp4", "libx265", IRREGULAR, pixels="yuv420p10le", options=QUIET),
    OddVideo("hevc_gray12.mp4", "libx265", IRREGULAR, pixels="gray12le", options=QUIET),
    OddVideo("ffv1_bgra.mkv", "ffv1", IRREGULAR, pixels="bgra"),
    OddVideo("ffv1_odd.mkv", "ffv1", IRREGULAR, size=(67, 45)),
    OddVideo("vp9_odd.webm", "libvpx-vp9", IRREGULAR, size=(67, 45)),
    OddVideo("mjpeg_odd.mp4", "mjpeg", IRREGULAR, pixels="yuvj420p", size=(67, 45)),
    OddVideo("qtrle.mov", "qtrle", IRREGULAR, pixels="rgb24"),
    OddVideo("apng.apng", "apng", COUNTED, base=Fraction(1, 30), pixels="rgb24"),
    OddVideo("mpeg2.mxf", "mpeg2video", COUNTED, base=Fraction(1, 25), rate=Fraction(25), options={"bf": "2"}),
    OddVideo("vp8.ogg", "libvpx", COUNTED, base=Fraction(1, 30)),
    OddVideo("av1.obu", "libsvtav1", COUNTED, base=Fraction(1, 30), options={"preset": "10", "svtav1-params": "lp=1"}),
    OddVideo("mjpeg.mjpeg", "mjpeg", COUNTED, base=Fraction(1, 30), pixels="yuvj420p", format="mjpeg"),
    OddVideo("prores.mov", "prores_ks", IRREGULAR, pixels="yuv422p10le"),
    OddVideo("png.mov", "png", IRREGULAR, pixels="rgb24"),
    OddVideo("mpeg2.ts", "mpeg2video", COUNTED, base=Fraction(1, 25), rate=Fraction(25), options={"bf": "2"}),
    OddVideo("mpeg2.mpg", "mpeg2video", COUNTED, base=Fraction(1, 25), rate=Fraction(25), options={"bf": "2"}),
    OddVideo("mpeg4.avi", "mpeg4", COUNTED, base=Fraction(1, 30), options={"bf": "2"}),
    OddVideo("mpeg4.mp4", "mpeg4", COUNTED, base=Fraction(1, 30), options={"bf": "2"}),
    OddVideo("wmv2.asf", "wmv2", COUNTED, base=Fraction(1, 30)),
    OddVideo("flv1.flv", "flv", MS_30),
    OddVideo("gif.gif", "gif", [i * 4 for i in COUNTED], base=Fraction(1, 100), pixels="rgb8"),
    # beside the video
    _h264("audio.mp4", extra="audio", options=B3),
    _h264("audio.mkv", extra="audio", options=B3),
    _h264("audio.ts", MS_30, extra="audio"),
    _h264("data.ts", MS_30, extra="data"),
    _h264("cover.mp4", extra="cover", patch=_cover_first),
    _h264("cover.mkv", extra="cover"),
    _h264("turned.mp4", rotation=90),
    _h264("turned.mkv", rotation=-180),
]
ODD = {video.name: video for video in _ALL}
"""Every recipe by its file's name."""
