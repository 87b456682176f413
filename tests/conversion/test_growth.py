"""Video that turns out larger than the image files it is of: these go in instead, and every frame is the right one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.conversion.track import Track
from mediaref_tools.errors import LogError
from mediaref_tools.log import Message
from mediaref_tools.sample import SampleMessage, frame_number
from tests.conversion.mixedlog import fingerprint
from tests.smalllogs import camera, log_of, rows_of

SIZE = (96, 128)
COUNT = 150
SETTINGS = Settings(crf=1, segment_ns=2 * 10**9)


def growing(encoding: str = "jpeg", count: int = COUNT) -> list[SampleMessage]:
    """Files that video can't beat: JPEG that has lost nearly all its noise, PNG of a pattern that repeats."""
    messages = camera(count=count, size=SIZE, encoding=encoding)
    chance = np.random.default_rng(4)
    for message in messages:
        picture = np.asarray(Image.open(io.BytesIO(message.body.data.tobytes()))).astype(np.float64)
        if encoding == "jpeg":
            picture = picture + chance.normal(0, 30, picture.shape)
        else:
            tile = chance.integers(0, 256, (8, 8, 3))
            picture[SIZE[0] // 2 :] = np.tile(tile, (SIZE[0] // 16, SIZE[1] // 8, 1))
        whole = io.BytesIO()
        Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(whole, encoding, quality=25)
        message.body.data = np.frombuffer(whole.getvalue(), np.uint8)
    return messages


def codecs(dataset: Path, topic: str = "/camera") -> list[str]:
    with open_dataset(dataset) as opened:
        (entry,) = (entry for entry in opened.manifest.topics if entry.topic == topic)
    return [segment.codec for segment in entry.segments]


@pytest.mark.parametrize("encoding", ["jpeg", "png"])
def test_files_go_in_where_their_video_would_be_larger(tmp_path: Path, encoding: str) -> None:
    log = log_of(tmp_path, "mcap", growing(encoding=encoding))
    report = convert(log, tmp_path / "out", settings=SETTINGS)
    (topic,) = report.topics
    copied = "mjpeg" if encoding == "jpeg" else "png"
    assert (report.frames, report.wrong, report.missing, topic.codec) == (COUNT, 0, 0, f"h264+{copied}")
    # Begun anew after two seconds of each; of five seconds three are tried, and most of each is copied.
    assert codecs(tmp_path / "out") == ["h264", copied] * 3
    rows = rows_of(tmp_path / "out")
    identical = [row["index"] for row in rows if np.isinf(row["psnr_db"])]
    assert len(identical) > COUNT / 3
    with open_dataset(tmp_path / "out") as dataset:
        shown = dataset["/camera"].batch(range(COUNT))
        assert [frame_number(frame) for frame in shown.data] == list(range(COUNT))
    again = verify(tmp_path / "out", against=log)
    assert (again.frames, again.wrong, again.missing, again.messages_different) == (COUNT, 0, 0, 0)


def test_what_shrinks_is_all_video(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", growing())
    convert(log, tmp_path / "out", settings=Settings(crf=30))
    assert codecs(tmp_path / "out") == ["h264"]


def test_a_few_files_tell_nothing(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", growing("png", count=15))
    convert(log, tmp_path / "out", settings=Settings(codec="lossless"))
    assert codecs(tmp_path / "out") == ["ffv1"]
    (tmp_path / "more").mkdir()
    log = log_of(tmp_path / "more", "mcap", growing("png", count=40))
    report = convert(log, tmp_path / "more" / "out", settings=Settings(codec="lossless"))
    assert codecs(tmp_path / "more" / "out") == ["ffv1", "png"]
    assert (report.frames, report.wrong, report.topics[0].psnr_p1_db) == (40, 0, 100.0)


def test_raw_pictures_are_never_copied(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera(count=COUNT, size=SIZE, encoding="rgb8"))
    convert(log, tmp_path / "out", settings=SETTINGS)
    assert set(codecs(tmp_path / "out")) == {"h264"}


def test_files_with_red_and_blue_swapped_are_put_right_at_any_size(tmp_path: Path) -> None:
    messages = growing()
    for message in messages:
        message.body.format = "bgr8; jpeg compressed rgb8"
    log = log_of(tmp_path, "mcap", messages)
    convert(log, tmp_path / "out", settings=SETTINGS)
    assert set(codecs(tmp_path / "out")) == {"h264"}


def test_a_file_that_was_copied_and_altered_is_found(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", growing())
    convert(log, tmp_path / "out", settings=SETTINGS)
    row = next(row for row in rows_of(tmp_path / "out") if np.isinf(row["psnr_db"]))
    path = tmp_path / "out" / row["media"]["uri"]
    data = bytearray(path.read_bytes())
    comment = row["byte_offset"] + row["byte_size"] - 40  # in the picture's own data
    data[comment] ^= 0x10
    path.write_bytes(data)
    found = verify(tmp_path / "out", against=log)
    assert found.wrong + found.missing >= 1


def test_a_run_that_was_stopped_goes_on_with_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(tmp_path, "mcap", growing())
    convert(log, tmp_path / "whole", settings=SETTINGS)
    add = Track.add
    for stop in (20, 45, 80, 119):

        def stopped(self: Track, message: Message, *args: Any, at: int = stop) -> Any:
            if self.ledger.frames == at:
                raise LogError("the disk is gone")
            return add(self, message, *args)

        out = tmp_path / f"out-{stop}"
        with monkeypatch.context() as patch:
            patch.setattr(Track, "add", stopped)
            with pytest.raises(LogError, match="gone"):
                convert(log, out, settings=SETTINGS)
        assert convert(log, out, settings=SETTINGS).frames == COUNT
        assert fingerprint(out) == fingerprint(tmp_path / "whole")
