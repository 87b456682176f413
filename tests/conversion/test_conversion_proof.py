"""The proof that `convert` gives: with a fault put into the encoder, the tables or the writer, there is no dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from mediaref_tools.converters.rosbag1.writer import Rosbag1Writer
from numpy.typing import NDArray

from mediaref_tools import Settings, convert
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.frames import FrameParts
from mediaref_tools.dataset.manifest import Codec
from mediaref_tools.errors import MediarefError, ProofError
from mediaref_tools.log import Message, Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.segments.file import SegmentFile
from mediaref_tools.segments.segment import SegmentWriter
from tests.smalllogs import camera, log_of, others

ORIGINAL_ADD, ORIGINAL_CLOSE = SegmentWriter.add, SegmentWriter.close


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return log_of(tmp_path / "source", "rosbag1", camera(count=40) + others())


def nothing_left(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["source"]


def reordered(monkeypatch: pytest.MonkeyPatch, order: Callable[[int], int]) -> None:
    """Hand frame `order(i)` of each segment to the encoder as frame i."""

    def add(self: Any, frame: av.VideoFrame, pts_us: int) -> None:
        self.__dict__.setdefault("held", []).append((frame, pts_us))

    def close(self: Any) -> SegmentFile:
        held = self.__dict__["held"]
        for number, (_, pts_us) in enumerate(held):
            ORIGINAL_ADD(self, held[order(number)][0], pts_us)
        return ORIGINAL_CLOSE(self)

    monkeypatch.setattr(SegmentWriter, "add", add)
    monkeypatch.setattr(SegmentWriter, "close", close)


ORDERS: dict[str, Callable[[int], int]] = {
    "all one late": lambda number: max(0, number - 1),
    "all one early": lambda number: min(39, number + 1),
    "all three late": lambda number: max(0, number - 3),
    "two neighbours swapped": lambda number: {20: 21, 21: 20}.get(number, number),
    "one repeated": lambda number: {20: 19}.get(number, number),
    "first and second swapped": lambda number: {0: 1, 1: 0}.get(number, number),
    "last repeated": lambda number: {39: 38}.get(number, number),
    "backwards": lambda number: 39 - number,
    "always the first": lambda number: 0,
    "swapped with the next but one": lambda number: {20: 22, 22: 20}.get(number, number),
    "swapped with a far one": lambda number: {10: 30, 30: 10}.get(number, number),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_proof_finds_frames_in_the_wrong_place(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, order: str, codec: Any
) -> None:
    with monkeypatch.context() as patch, pytest.raises(ProofError, match="wrong"):
        reordered(patch, ORDERS[order])
        convert(source, tmp_path / "out", settings=Settings(codec=codec))
    assert nothing_left(tmp_path)


def test_faults_above_are_no_others(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reordered(monkeypatch, lambda number: number)
    assert convert(source, tmp_path / "out").wrong == 0


def test_proof_finds_frames_of_another_topic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = log_of(tmp_path, "rosbag1", camera("/left") + camera("/right", first=30_000))
    frames: dict[str, list[av.VideoFrame]] = {}

    def close(self: Any) -> SegmentFile:
        other = frames["right" if self.path.parent.name == "left" else "left"]
        for frame, pts_us in zip(other, self.__dict__["times"], strict=True):
            ORIGINAL_ADD(self, frame, pts_us)
        return ORIGINAL_CLOSE(self)

    def add(self: Any, frame: av.VideoFrame, pts_us: int) -> None:
        frames.setdefault(self.path.parent.name, []).append(frame)
        self.__dict__.setdefault("times", []).append(pts_us)

    monkeypatch.setattr(SegmentWriter, "add", add)
    monkeypatch.setattr(SegmentWriter, "close", close)
    with pytest.raises(ProofError, match="wrong"):
        convert(source, tmp_path / "out", threads=1)


@pytest.mark.parametrize("fault", ["rows", "times", "one time", "index", "log time"])
def test_proof_finds_references_that_are_not_the_frame_s(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    add = FrameParts.add

    def rows_with(change: Callable[[FrameRow], FrameRow]) -> Callable[..., Path]:
        return lambda self, topic, rows: add(self, topic, [change(row) for row in rows])

    changes: dict[str, Callable[[FrameRow], FrameRow]] = {
        "rows": lambda row: replace(row, pts_ns=(row.pts_ns or 0) + 1000),
        "index": lambda row: replace(row, index=row.index + 1),
        "log time": lambda row: replace(row, log_time_ns=row.log_time_ns + 1),
    }
    if fault in changes:
        monkeypatch.setattr(FrameParts, "add", rows_with(changes[fault]))
    elif fault == "times":
        monkeypatch.setattr(SegmentWriter, "add", lambda self, frame, pts: ORIGINAL_ADD(self, frame, pts + 7))
    else:
        monkeypatch.setattr(
            SegmentWriter, "add", lambda self, frame, pts: ORIGINAL_ADD(self, frame, pts + 1 * (pts > 10**6))
        )
    with pytest.raises(MediarefError):
        convert(source, tmp_path / "out")
    assert nothing_left(tmp_path)


def test_proof_finds_a_message_that_was_changed_or_lost(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Rosbag1Writer.copy
    with monkeypatch.context() as patch, pytest.raises(ProofError):
        patch.setattr(Rosbag1Writer, "copy", lambda self, m: copy(self, m._replace(data=bytes(m.data)[:-1] + b"!")))
        convert(source, tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(ProofError):
        patch.setattr(Rosbag1Writer, "copy", lambda self, m: None if m.channel.topic == "/empty" else copy(self, m))
        convert(source, tmp_path / "out")
    with monkeypatch.context() as patch, pytest.raises(ProofError):
        patch.setattr(Rosbag1Writer, "copy", lambda self, m: copy(self, m._replace(log_time_ns=m.log_time_ns + 1)))
        convert(source, tmp_path / "out")
    assert nothing_left(tmp_path)


@pytest.mark.parametrize("fault", ["pts_ns", "uri", "still", "the one before"])
def test_proof_finds_a_record_that_says_something_else(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The table is right, and the log is not."""
    write = Rosbag1Writer.record
    last: list[MediaRef] = []

    def record(self: Rosbag1Writer, message: Message, record: Record) -> None:
        last.append(record.ref)
        changed = {
            "pts_ns": record.ref.model_copy(update={"pts_ns": (record.ref.pts_ns or 0) + 1}),
            "uri": record.ref.model_copy(update={"uri": record.ref.uri.replace("000000", "000001")}),
            "still": MediaRef(uri=record.ref.uri),
            "the one before": last[max(0, len(last) - 2)],
        }
        write(self, message, replace(record, ref=changed[fault]))

    monkeypatch.setattr(Rosbag1Writer, "record", record)
    with pytest.raises(ProofError):
        convert(source, tmp_path / "out")
    assert nothing_left(tmp_path)


def still(size: tuple[int, int], contrast: float, seed: int) -> NDArray[np.uint8]:
    """(20, H, W) grey noise in blocks of 8x8 pixels that does not move."""
    height, width = size
    rows, columns = -(-height // 8), -(-width // 8)
    blocks = np.random.default_rng(seed).normal(128, contrast, (rows, columns))
    picture = np.kron(blocks, np.ones((8, 8)))[:height, :width]
    grey: NDArray[np.uint8] = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return grey[None].repeat(20, 0)


def flicker(size: tuple[int, int], contrast: float, seed: int) -> NDArray[np.uint8]:
    """(20, H, W) white noise."""
    noise = np.random.default_rng(seed).normal(128, contrast, (20, *size))
    return np.clip(np.rint(noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("crf", [None, 51])
@pytest.mark.parametrize("contrast", [5.0, 8.0])
def test_proof_leaves_a_still_picture_alone_however_coarse(tmp_path: Path, contrast: float, crf: int | None) -> None:
    """A lens in fog: next to no contrast, and what there is goes lost at this crf."""
    source = grey_log(tmp_path, still((120, 160), contrast, 0))
    assert convert(source, tmp_path / "out", settings=Settings(crf=crf)).wrong == 0


@pytest.mark.parametrize("codec", ["h264", "av1"])
@pytest.mark.parametrize(("size", "stored"), [((2, 2), "ffv1"), ((7, 90), "ffv1"), ((90, 7), "ffv1"), ((8, 8), "")])
def test_proof_leaves_tiny_pictures_alone(tmp_path: Path, codec: Codec, size: tuple[int, int], stored: str) -> None:
    """One block of 2x2 pixels is what a mean would be taken of: such pictures are stored without loss."""
    source = grey_log(tmp_path, flicker(size, 20.0, 0))
    report = convert(source, tmp_path / "out", settings=Settings(codec=codec))
    assert (report.wrong, report.topics[0].codec) == (0, stored or codec)


def grey_log(folder: Path, pictures: NDArray[np.uint8]) -> Path:
    messages = camera(encoding="mono8")
    for message, picture in zip(messages, pictures, strict=True):
        height, width = picture.shape
        message.body.height, message.body.width, message.body.step = height, width, width
        message.body.data = picture.reshape(-1)
    return log_of(folder, "mcap", messages)
