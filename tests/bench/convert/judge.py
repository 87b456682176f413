"""What a converter made, measured by one ruler: quality frame by frame, and what each reference shows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools import open_dataset
from mediaref_tools.pixels.picture import Picture, PixelDecoder, luma
from mediaref_tools.plugins import open_log
from mediaref_tools.proof.judge import psnr_db
from mediaref_tools.proof.measure import ssim
from mediaref_tools.report import first_percentile
from tests.bench.convert.logs import sources

__all__ = ["Made", "judged"]

LIMITED, FULL = 1, 2
Lumas = Mapping[str, Sequence[NDArray[np.uint8]]]


class Made(NamedTuple):
    """Frames that came out, and first percentiles of their quality; references that show another frame than theirs."""

    frames: int
    psnr_p1_db: float
    ssim_p1: float
    references: int
    wrong: int

    def as_json(self) -> dict[str, Any]:
        """For the raw data."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in self._asdict().items()}


def judged(kind: str, log: Path, out: Path) -> Made:
    """Judge what lies at `out`, made by a contender of some kind."""
    source = lumas(log)
    videos = dict(decoded(kind, out, source))
    psnr: list[float] = []
    similar: list[float] = []
    frames = 0
    for topic, video in videos.items():
        for frame, wanted in zip(video, source[topic], strict=False):
            frames += 1
            shown = frame[: wanted.shape[0], : wanted.shape[1]]
            wanted_part = wanted[: shown.shape[0], : shown.shape[1]]
            psnr.append(min(psnr_db(shown, wanted_part), 100.0))
            similar.append(ssim(shown, wanted_part))
    references, wrong = shown_by_references(kind, out)
    return Made(frames, first_percentile(psnr), first_percentile(similar), references, wrong)


def lumas(log: Path) -> dict[str, list[NDArray[np.uint8]]]:
    """The source's pictures by topic: (H, W) uint8 luma of full range, as JPEG decodes to it."""
    decoder = PixelDecoder()
    found: dict[str, list[NDArray[np.uint8]]] = defaultdict(list)
    for topic, _, image in sources(log):
        taken = decoder.take(image)
        assert isinstance(taken, Picture)
        found[topic].append(luma(taken).copy())
    return found


def full(frame: av.VideoFrame, untold: int = LIMITED) -> NDArray[np.uint8]:
    """A frame's luma, of full range; `untold` is the range of a file that tells none, as libavutil counts."""
    range_ = frame.color_range or untold
    gray = frame.reformat(format="gray", src_color_range=range_, dst_color_range=2)
    return gray.to_ndarray().astype(np.uint8, copy=False)


def video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """All frames of a file, in order."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            yield full(frame)


def decoded(kind: str, out: Path, source: Lumas) -> Iterator[tuple[str, Iterator[NDArray[np.uint8]]]]:
    """Each topic's frames in the order of its messages, whatever says where they lie."""
    if kind == "ours":
        with open_dataset(out) as dataset:
            names = list(dataset)
        for name in names:
            yield name, _of_segments(out, name)
    elif kind == "seed":
        media = out.with_name(out.name + ".media")
        for topic in _topics(out):
            path = media / f"{topic.strip('/').replace('/', '_')}.mp4"
            if path.exists():
                yield topic, video(path)
    elif kind == "pymcap":
        for topic, frames in _packets(out, source).items():
            yield topic, iter(frames)


def _of_segments(out: Path, name: str) -> Iterator[NDArray[np.uint8]]:
    with open_dataset(out) as dataset:
        uris = [segment.uri for entry in dataset.manifest.topics if entry.topic == name for segment in entry.segments]
    for uri in uris:
        yield from video(out / uri)


def _topics(log: Path) -> list[str]:
    with open_log(log) as reader:
        return sorted({channel.topic for channel in reader.channels})


def _packets(log: Path, source: Lumas) -> dict[str, list[NDArray[np.uint8]]]:
    """Video that lies in the log's own messages."""
    found: dict[str, list[NDArray[np.uint8]]] = defaultdict(list)
    contexts: dict[str, av.VideoCodecContext] = {}
    untold: dict[str, int] = {}

    def put(topic: str, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            if topic not in untold:
                # Its files tell no range: of JPEG they hold the full one, of raw pictures the limited one.
                untold[topic] = max((LIMITED, FULL), key=lambda one: psnr_db(full(frame, one), source[topic][0]))
            found[topic].append(full(frame, untold[topic]))

    for topic, _, image in sources(log):
        if image.kind != "packet":
            continue
        if topic not in contexts:
            context = av.CodecContext.create("h264", "r")
            assert isinstance(context, av.VideoCodecContext)
            contexts[topic] = context
        put(topic, contexts[topic].decode(av.Packet(bytes(image.data))))
    for topic, context in contexts.items():
        put(topic, context.decode(None))
    return found


def shown_by_references(kind: str, out: Path) -> tuple[int, int]:
    """How many references there are, and how many name another frame than that of the message that they replaced.

    The nth message's picture is the nth frame: of the topic's files one after the other, in the order in which
    references name them.
    """
    if kind == "pymcap":
        return 0, 0
    references = wrong = 0
    with open_dataset(out) as dataset:
        for topic in dataset.values():
            pts_ns: dict[str, NDArray[np.int64]] = {}
            begin: dict[str, int] = {}
            frames = 0
            for place, frame in enumerate(topic):
                ref = frame.ref
                if ref.uri not in pts_ns:
                    pts_ns[ref.uri], begin[ref.uri] = times(located(kind, out, ref.uri)), frames
                    frames += len(pts_ns[ref.uri])
                chosen = int(np.searchsorted(pts_ns[ref.uri], ref.pts_ns or 0, side="right")) - 1
                references += 1
                wrong += begin[ref.uri] + chosen != place
    return references, wrong


def located(kind: str, out: Path, uri: str) -> Path:
    """The file that a relative uri names."""
    return (out if kind == "ours" else out.parent) / uri


def times(path: Path) -> NDArray[np.int64]:
    """Of a file's frames, in ns and in order: the first whole nanosecond that is not before the frame."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        base = stream.time_base
        assert base is not None
        pts = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
    return np.array(sorted(math.ceil(each * base * 10**9) for each in pts), np.int64)
