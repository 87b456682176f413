"""What cameras record: streams of numbered pictures, one packet a message, by every encoder that we have."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.camera.source import decode_payloads
from mediaref_tools.camera.survey import CameraPlan, survey
from mediaref_tools.camera.unit import Unit, UnitReader, payload
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, VideoCodec
from mediaref_tools.sample import numbered_image
from mediaref_tools.segments.remux import RemuxWriter

START_NS = 1_700_000_000_000_000_000
SIZE = (96, 64)


class Camera(NamedTuple):
    """An encoder and its settings. `loses`: whether its packets tell that one is missing."""

    codec: VideoCodec
    encoder: str
    options: dict[str, str]
    b_frames: int = 0
    loses: bool = True


def _x264(params: str, b_frames: int = 0) -> Camera:
    return Camera("h264", "libx264", {"preset": "veryfast", "x264-params": f"scenecut=0:{params}"}, b_frames)


def _x265(params: str, b_frames: int = 0) -> Camera:
    fixed = "log-level=none:pools=none:frame-threads=1:repeat-headers=1:scenecut=0"
    return Camera("h265", "libx265", {"x265-params": f"{fixed}:bframes={b_frames}:{params}"}, b_frames)


CAMERAS = {
    "h264": _x264("keyint=10"),
    "h264 pyramid": _x264("keyint=11:b-pyramid=normal:b-adapt=0", 3),
    "h264 strict": _x264("keyint=12:b-pyramid=strict:b-adapt=0:ref=4", 5),
    "h264 open": _x264("keyint=11:b-pyramid=normal:b-adapt=0:open-gop=1", 3),
    "h264 refresh": _x264("keyint=9:intra-refresh=1"),
    "h264 verbose": _x264(
        "keyint=8:repeat-headers=1:aud=1:slices=4:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900:weightp=2:ref=3"
    ),
    "h264 intra": _x264("keyint=1"),
    "h265": _x265("keyint=10:aud=1:hrd=0"),
    "h265 closed": _x265("keyint=11:open-gop=0:b-adapt=0:b-pyramid=1", 4),
    "h265 open": _x265("keyint=12:min-keyint=12:open-gop=1:b-adapt=0:b-pyramid=1", 4),
    "h265 radl": _x265("keyint=11:open-gop=0:radl=2:b-adapt=0", 3),
    "vp9": Camera("vp9", "libvpx-vp9", {"g": "10", "deadline": "realtime", "cpu-used": "8"}, loses=False),
    "vp9 superframes": Camera(
        "vp9", "libvpx-vp9", {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10", "cpu-used": "8"}, loses=False
    ),
    "av1": Camera("av1", "libsvtav1", {"g": "10", "preset": "12", "svtav1-params": "lp=1"}),
    "av1 low delay": Camera("av1", "libsvtav1", {"g": "10", "preset": "12", "svtav1-params": "lp=1:pred-struct=1"}),
}


class Recording(NamedTuple):
    """Packets in their order, and the number that each one's picture shows."""

    codec: VideoCodec
    packets: tuple[bytes, ...]
    numbers: tuple[int, ...]


def picture(number: int, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(numbered_image(number, *size)).reformat(format="yuv420p")


def record(camera: Camera, count: int = 32, size: tuple[int, int] = SIZE, first: int = 0) -> Recording:
    """Let an encoder of its own take pictures: Annex B, parameter sets in the first packet at least."""
    os.environ.setdefault("SVT_LOG", "1")
    context = av.CodecContext.create(camera.encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 25)
    context.framerate = Fraction(25)
    context.max_b_frames = camera.b_frames
    context.thread_count = 1
    context.options = camera.options
    packets = []
    for number in range(count):
        frame = picture(first + number, size)
        frame.pts = number
        packets += context.encode(frame)
    packets += context.encode(None)
    numbers = tuple(first + packet.pts for packet in packets if packet.pts is not None)
    return Recording(camera.codec, tuple(bytes(packet) for packet in packets), numbers)


@cache
def recording(name: str) -> Recording:
    return record(CAMERAS[name])


def log_time_ns(index: int) -> int:
    """Irregular, as real ones are."""
    return START_NS + index * 40_000_000 + index * 7919 % 13 * 100_001


def planned(codec: str, packets: Sequence[bytes], times_ns: Sequence[int] | None = None) -> CameraPlan:
    times = [log_time_ns(index) for index in range(len(packets))] if times_ns is None else times_ns
    return survey((time, ImageValue(data, codec, "packet")) for time, data in zip(times, packets, strict=True))


def units(codec: VideoCodec, packets: Sequence[bytes]) -> list[Unit | None]:
    """Each packet's unit, None where it is refused; those that are not give back their bytes."""
    reader, found = UnitReader(codec), list[Unit | None]()
    for data in packets:
        try:
            unit = reader.unit(data)
        except ImageError:
            found.append(None)
            continue
        assert payload(unit.data, unit.framing) == data
        found.append(unit)
    return found


def remuxed(
    folder: Path, codec: VideoCodec, packets: Sequence[bytes], plan: CameraPlan
) -> dict[int, NDArray[np.uint8]]:
    """Write a plan's segments; what each packet's frame looks like at its time in them: (3H/2, W) planes."""
    found = units(codec, packets)
    frames: dict[int, NDArray[np.uint8]] = {}
    for number, segment in enumerate(plan.segments):
        path = folder / f"{number:06}.mp4"
        rows = np.flatnonzero(plan.segment == number).tolist()
        writer = RemuxWriter(path, segment.codec, segment.config, segment.width, segment.height)
        for row in rows:
            unit = found[row]
            assert unit is not None
            writer.add(unit.data, int(plan.pts_us[row]), int(plan.dts_us[row]), bool(plan.keyframe[row]))
        file = writer.close()
        assert (file.coded_width, file.coded_height) == (segment.width, segment.height)
        with av.open(str(path)) as container:
            shown = {frame.pts: planes(frame) for frame in container.decode(video=0)}
        assert len(shown) == len(rows)
        frames |= {row: shown[int(plan.pts_us[row])] for row in rows}
        path.unlink()
    return frames


@cache
def complete(name: str) -> dict[int, NDArray[np.uint8]]:
    """What each packet decodes to where none is missing, by its index."""
    found = recording(name)
    return decoded(found.codec, found.packets)


def decoded(
    codec: VideoCodec, packets: Sequence[bytes], plan: CameraPlan | None = None
) -> dict[int, NDArray[np.uint8]]:
    """What each packet decodes to without any file, those that a plan embeds left out."""
    remuxed = [True] * len(packets) if plan is None else (plan.segment >= 0).tolist()
    rows = ((at, data, remuxed[at]) for at, data in enumerate(packets))
    return {index: planes(frame) for index, frame in decode_payloads(rows, codec)}


def planes(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """All planes of a frame of yuv420p, one below the other."""
    assert frame.format.name in ("yuv420p", "yuvj420p")
    return frame.to_ndarray().astype(np.uint8, copy=False)
