"""The files that all contenders read: segments of our own datasets, and one that our encoder would not write."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.sample import START_NS, SampleMessage, header, write_log
from tests.bench.decode.footage import frames, sources

__all__ = ["CLIPS", "EPISODES", "Clip", "ClipSpec", "built"]

TOPIC = "/camera/image_raw/compressed"
JITTER = 0.25  # of a period, to either side
CRF_H264 = 23


@dataclass(frozen=True)
class ClipSpec:
    """What a file is to be. `seed` is that of its log, which files share; b_frames are not our encoder's."""

    name: str
    title: str
    size: tuple[int, int]
    hertz: int
    codec: str
    gop: int
    b_frames: int = 0
    seed: int = 0

    @property
    def log(self) -> str:
        return f"{self.size[0]}x{self.size[1]}-{self.hertz}hz-{self.seed}"


@dataclass(frozen=True)
class Clip:
    """A file that is there: `pts_ns` of frame 0, 1, 2 …, each the number that it shows; no dataset where foreign."""

    name: str
    title: str
    path: str
    dataset: str
    topic: str
    pts_ns: list[int]
    log_times_ns: list[int]
    bytes: int
    footage: list[str]


VGA, HD, SMALL = (640, 480), (1280, 720), (640, 360)
CLIPS = (
    ClipSpec("h264-vga-g30", "H.264 640x480, GOP 30", VGA, 20, "h264", 30),
    ClipSpec("h264-vga-g10", "H.264 640x480, GOP 10", VGA, 20, "h264", 10),
    ClipSpec("av1-vga-g30", "AV1 640x480, GOP 30", VGA, 20, "av1", 30),
    ClipSpec("h264-720p-g30", "H.264 1280x720, GOP 30", HD, 10, "h264", 30),
    ClipSpec("av1-720p-g30", "AV1 1280x720, GOP 30", HD, 10, "av1", 30),
    ClipSpec("h264-vga-bf3", "H.264 640x480, GOP 30, 3 B-frames", VGA, 20, "h264", 30, b_frames=3),
    ClipSpec("h264-vga-g250", "H.264 640x480, GOP 250", VGA, 20, "h264", 250),
)
EPISODES = tuple(
    ClipSpec(f"episode-{seed}", f"H.264 640x360, GOP 30, episode {seed}", SMALL, 20, "h264", 30, seed=seed)
    for seed in (1, 2, 3, 4)
)


def built(specs: tuple[ClipSpec, ...], folder: Path, seconds: int) -> list[Clip]:
    """The files of `seconds` in `folder`, made where they are not there yet; says on stderr what takes long."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for spec in specs:
        note = folder / f"{spec.name}.json"
        if not note.exists() or json.loads(note.read_text())["footage"] != sources(spec.size):
            begun = time.monotonic()
            sys.stderr.write(f"making {spec.name} …\n")
            clip = _foreign(spec, folder, seconds) if spec.b_frames else _dataset(spec, folder, seconds)
            note.write_text(json.dumps(asdict(clip)))
            sys.stderr.write(f"made {spec.name}: {clip.bytes / 1e6:.1f} MB in {time.monotonic() - begun:.0f} s\n")
        found.append(Clip(**json.loads(note.read_text())))
    for log in folder.glob("*.mcap"):  # hundreds of MB of JPEG, and no longer needed
        if all((folder / f"{spec.name}.json").exists() for spec in (*CLIPS, *EPISODES) if spec.log == log.stem):
            log.unlink()
    return found


def times_ns(spec: ClipSpec, seconds: int) -> list[int]:
    """When each frame comes, whole microseconds from 0 on: irregular by a quarter of a period to either side."""
    count, period = seconds * spec.hertz, 10**6 // spec.hertz
    off = np.random.default_rng(spec.seed).integers(-round(JITTER * period), round(JITTER * period), count)
    times = np.arange(count) * period + off
    return [int(each) * 1000 for each in times - times[0]]


def _log(spec: ClipSpec, folder: Path, seconds: int) -> Path:
    path = folder / f"{spec.log}.mcap"
    if path.exists():
        return path

    def messages() -> Iterator[SampleMessage]:
        times = times_ns(spec, seconds)
        for number, picture in enumerate(frames(spec.size, len(times), spec.seed)):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "jpeg", quality=90, subsampling="4:2:0")
            log_time_ns = START_NS + times[number]
            body = SimpleNamespace(
                header=header(log_time_ns, "camera", number),
                format="rgb8; jpeg compressed bgr8",
                data=np.frombuffer(file.getvalue(), np.uint8),
            )
            yield SampleMessage(TOPIC, "sensor_msgs/msg/CompressedImage", log_time_ns, body)

    partial = folder / f"{spec.log}.partial"
    partial.unlink(missing_ok=True)
    write_log(partial, "mcap", messages(), in_order=False)
    return partial.rename(path)


def _dataset(spec: ClipSpec, folder: Path, seconds: int) -> Clip:
    out = folder / spec.name
    settings = mrt.Settings(
        codec="av1" if spec.codec == "av1" else "h264",
        crf=None if spec.codec == "av1" else CRF_H264,
        gop=spec.gop,
        segment_ns=2 * seconds * 10**9,
    )
    mrt.convert(_log(spec, folder, seconds), out, settings=settings, overwrite=True)
    with mrt.open_dataset(out) as dataset:
        camera = dataset[TOPIC]
        uris = {ref.uri for ref in camera.refs[:]}
        if len(uris) != 1 or camera.pts_ns.tolist() != times_ns(spec, seconds):
            raise SystemExit(f"{spec.name}: expected one segment with the times of its log, got {len(uris)}")
        path = out / next(iter(uris))
        return Clip(
            spec.name,
            spec.title,
            str(path),
            str(out),
            TOPIC,
            camera.pts_ns.tolist(),
            camera.log_times_ns.tolist(),
            path.stat().st_size,
            sources(spec.size),
        )


def _foreign(spec: ClipSpec, folder: Path, seconds: int) -> Clip:
    """As a camera or a phone might write it. Colours are tagged as ours are, so that readers agree on them."""
    path, times = folder / f"{spec.name}.mp4", times_ns(spec, seconds)
    tick = Fraction(1, 10**6)
    with av.open(path, "w", options={"movflags": "faststart"}) as container:
        options = {
            "preset": "veryfast",
            "crf": str(CRF_H264),
            "x264-params": f"scenecut=0:b-pyramid=none:bframes={spec.b_frames}",
        }
        stream = container.add_stream("libx264", rate=spec.hertz, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = spec.size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = tick
        stream.codec_context.gop_size = spec.gop
        stream.codec_context.max_b_frames = spec.b_frames
        for number, picture in enumerate(frames(spec.size, len(times), spec.seed)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = times[number] // 1000, tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(path) as container:
        video = container.streams.video[0]
        shown = sorted(packet.pts for packet in container.demux(video) if packet.pts is not None)
        assert video.time_base is not None
        if [round(pts * video.time_base * 10**9) for pts in shown] != times:
            raise SystemExit(f"{spec.name}: the muxer changed the times")
    return Clip(spec.name, spec.title, str(path), "", "", times, times, path.stat().st_size, sources(spec.size))
