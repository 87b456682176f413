"""How many threads a conversion has: it shows the same frames, and goes on with as many as it began with."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mediaref_tools import Settings, convert, open_dataset
from mediaref_tools.lanes import cores
from mediaref_tools.progress import Progress
from mediaref_tools.sample import frame_number
from mediaref_tools.segments import segment
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape
from tests.conversion.mixedlog import fingerprint
from tests.smalllogs import camera, log_of

SIZE = (256, 320)  # libx264 takes fewer threads for pictures of few rows


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return log_of(tmp_path_factory.mktemp("log"), "mcap", camera(count=60, size=SIZE))


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[Encoding]:
    """Those that segments are written with."""
    found: list[Encoding] = []
    init = SegmentWriter.__init__

    def told(self: SegmentWriter, path: Path, encoding: Encoding, shape: Shape) -> None:
        found.append(encoding)
        init(self, path, encoding, shape)

    monkeypatch.setattr(segment.SegmentWriter, "__init__", told)
    return found


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_shows_the_same_frames(tmp_path: Path, log: Path, codec: str, threads: int) -> None:
    settings = Settings.model_validate({"codec": codec, "segment_ns": 10**9})
    report = convert(log, tmp_path / "out", settings=settings, threads=threads)
    assert (report.frames, report.wrong, report.missing) == (60, 0, 0)
    with open_dataset(tmp_path / "out") as dataset:
        assert [frame_number(frame) for frame in dataset["/camera"].batch(range(60)).data] == list(range(60))


def test_encoders_share_them(tmp_path: Path, log: Path, encodings: list[Encoding]) -> None:
    convert(log, tmp_path / "one", threads=4)
    two = log_of(tmp_path, "mcap", camera("/a", 8) + camera("/b", 8))
    convert(two, tmp_path / "two", threads=5)
    convert(two, tmp_path / "few", threads=1)
    convert(log, tmp_path / "many", threads=64)
    lanes = [encoding.threads for encoding in encodings if encoding.threads != 1]
    assert sorted(lanes) == [2, 2, 4, 8]


def test_nobody_says_how_many(tmp_path: Path, log: Path, encodings: list[Encoding]) -> None:
    convert(log, tmp_path / "out")
    assert encodings[-1].threads == min(cores(), 8)


def test_the_same_number_makes_the_same_files(tmp_path: Path, log: Path) -> None:
    for name in ("one", "other"):
        convert(log, tmp_path / name, threads=3)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "other")


def test_what_goes_on_has_as_many_as_it_began_with(tmp_path: Path, log: Path) -> None:
    settings = Settings(segment_ns=10**9)
    convert(log, tmp_path / "whole", settings=settings, threads=4)
    convert(log, tmp_path / "single", settings=settings, threads=1)

    def stop(progress: Progress) -> None:
        if progress.stage == "encode" and progress.done > 40:
            raise KeyboardInterrupt

    for threads in (4, 2):  # stopped twice: by whoever began, and by who went on
        with pytest.raises(KeyboardInterrupt):
            convert(log, tmp_path / "out", settings=settings, threads=threads, on_progress=stop)
    assert convert(log, tmp_path / "out", settings=settings, threads=1).segments_reused
    assert fingerprint(tmp_path / "out") == fingerprint(tmp_path / "whole") != fingerprint(tmp_path / "single")


def test_the_proof_tells_how_far_it_has_come(tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a log that holds images alone, too."""
    seconds = itertools.count()
    monkeypatch.setattr("mediaref_tools.progress.time.monotonic", lambda: float(next(seconds)))
    told: list[int] = []
    convert(log, tmp_path / "out", on_progress=lambda now: told.append(now.done) if now.stage == "prove" else None)
    assert told == [*range(1, 61), 60]
