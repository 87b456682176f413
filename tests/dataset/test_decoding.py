"""Whatever is asked of the reader, in any number of threads, equals sequential decoding pixel for pixel."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.media import gopdecoder
from mediaref_tools.pixels.raster import Raster
from mediaref_tools.sample import START_NS, numbered_topic, write_log
from tests.camera.cameras import CAMERAS, Camera, record, recording
from tests.conversion.test_camera import recording_log

MS = 1_000_000


class Made(NamedTuple):
    """A dataset of one topic, and each of its frames as sequential decoding gives it: (N, H, W, 3) uint8 RGB."""

    path: Path
    frames: NDArray[np.uint8]


def sequential(path: Path) -> NDArray[np.uint8]:
    with open_dataset(path) as dataset:
        (topic,) = dataset.values()
        height, width = topic.sizes[0].tolist()
        raster, at = Raster(), {(ref.uri, ref.pts_ns): index for index, ref in enumerate(topic.refs)}
        frames = np.zeros((len(topic), height, width, 3), np.uint8)
        for segment in dataset.manifest.topics[0].segments:
            with av.open(str(path / segment.uri)) as file:
                for frame in file.decode(video=0):
                    assert frame.pts is not None
                    assert frame.time_base is not None
                    index = at.pop((segment.uri, round(frame.pts * frame.time_base * 1_000_000_000)))
                    frames[index] = raster.array(frame)[:height, :width]
    assert not at
    return frames


def camera(dice: random.Random) -> Camera:
    params = ":".join(
        [
            "scenecut=0",
            f"keyint={dice.randrange(1, 30)}",
            f"b-pyramid={dice.choice(['none', 'normal', 'strict'])}",
            f"b-adapt={dice.randrange(2)}",
            f"open-gop={dice.randrange(2)}",
            f"ref={dice.randrange(1, 5)}",
            f"weightp={dice.randrange(3)}",
            f"slices={dice.choice([1, 1, 3])}",
        ]
    )
    return Camera("h264", "libx264", {"preset": "veryfast", "x264-params": params}, dice.randrange(8))


def dataset_of(folder: Path, seed: int) -> Path:
    """A dataset by chance: codec, distance of keyframes, B-frames of a camera, times, size, lengths of segments."""
    dice = random.Random(seed)
    kind = ("camera", "h264", "av1", "lossless")[seed % 4]
    size = dice.choice([(64, 96), (81, 97), (48, 130)])
    count = dice.randrange(25, 45)
    if kind == "camera":
        log = recording_log(folder, record(camera(dice), count, (size[1] & ~1, size[0] & ~1)))
        settings = Settings()
    else:
        times = np.cumsum([dice.choice([1, 7, 33, 34, 120, 900]) * MS for _ in range(count)]) + START_NS
        messages = numbered_topic("/camera", times.tolist(), size=size, encoding="rgb8")
        log = write_log(folder / "log.mcap", "mcap", messages)
        segment_ns = dice.choice([60_000, 2_000]) * MS
        settings = Settings(codec=kind, gop=dice.randrange(1, 25), segment_ns=segment_ns)  # type: ignore[arg-type]
    report = convert(log, folder / "set", settings=settings)
    assert report.lossless
    return folder / "set"


def requests(dice: random.Random, count: int) -> Iterator[list[int]]:
    """Requests by chance: scattered, dense, sparse, with repeats, backwards, and those that follow each other."""
    for _ in range(6):
        yield dice.choices(range(count), k=dice.randrange(1, 12))
    begin = dice.randrange(count // 2)
    yield list(range(begin, dice.randrange(begin, count) + 1))
    yield list(range(count))[:: -dice.randrange(1, 9)]
    at = 0
    while at < count:  # going on, with and without an overlap
        length = dice.randrange(1, 5)
        yield list(range(at, min(count, at + length)))
        at += dice.choice([length, length, 1, length + 3])
    at = 0
    while at < count:
        yield [at]
        at += dice.randrange(3)


SEEDS = range(24)


@pytest.fixture(scope="module", params=[*SEEDS, *CAMERAS], ids=str)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("decoding")
    if isinstance(request.param, int):
        path = dataset_of(folder, request.param)
    else:
        path = folder / "set"
        convert(recording_log(folder, recording(request.param)), path)
    return Made(path, sequential(path))


@pytest.fixture
def retried(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What it took to decode a group that failed: nothing should, here."""
    made, init = list[bool](), gopdecoder._Decoder.__init__

    def told(decoder: Any, *given: Any, strict: bool = False) -> None:
        made.extend([True] * strict)
        init(decoder, *given, strict=strict)

    monkeypatch.setattr(gopdecoder._Decoder, "__init__", told)
    return made


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_request_equals_sequential_decoding(
    made: Made, threads: int, request: pytest.FixtureRequest, retried: list[bool]
) -> None:
    dice = random.Random(request.node.name)
    with open_dataset(made.path, threads=threads) as dataset:
        (topic,) = dataset.values()
        for wanted in requests(dice, len(topic)):
            batch = topic.batch(wanted, "rgb")
            wrong = (batch.data != made.frames[wanted]).any(axis=(1, 2, 3))
            assert not wrong.any(), (wanted, np.flatnonzero(wrong))
    assert not retried


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    times = [START_NS + index * 33 * MS for index in range(40)]
    log = write_log(folder / "log.mcap", "mcap", numbered_topic("/camera", times, size=(48, 80), encoding="rgb8"))
    convert(log, folder / "set", settings=Settings(gop=4))
    return folder / "set"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is measured through /proc")
def test_many_calls_leave_nothing_behind(small: Path) -> None:
    def pages() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1])

    before = threading.active_count()
    with open_dataset(small, threads=2) as dataset:
        (topic,) = dataset.values()
        dice = random.Random(1)
        grown = []
        for _ in range(4):
            for _ in range(2500):
                topic.batch([dice.randrange(40)])
            topic.batch(dice.choices(range(40), k=12))
            grown.append(pages())
        files = [each for each in Path("/proc/self/fd").iterdir() if each.exists() and each.readlink().suffix == ".mp4"]
        assert not files
    assert grown[-1] - grown[0] < 500  # 2 MB after 7500 calls: a frame left behind by each would be 30 MB
    assert threading.active_count() == before
