"""Checking one converted topic, row by row: against the messages it replaced, or by its own files alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from math import inf, nan
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.framerow import FrameRow, told_by
from mediaref_tools.dataset.frames import FramesTable
from mediaref_tools.errors import DatasetError, ImageError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Message, Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.pixels.picture import FileBytes, PixelDecoder, luma
from mediaref_tools.pixels.plane import plane, same_pixels
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.proof.camera import CameraFrames
from mediaref_tools.proof.judge import Judge, psnr_db
from mediaref_tools.proof.measure import ssim
from mediaref_tools.proof.segmentframes import SegmentFrames, read_bytes

__all__ = ["TopicCheck"]


class TopicCheck:
    """What is right and wrong with one topic. `wrong` and `missing` are indices of frames.

    `add` and `decode` are for one thread at a time, `record` for one other.
    """

    def __init__(
        self,
        dataset: Path,
        table: FramesTable,
        topic: str,
        policy: Policy,
        *,
        copies: Collection[str] = (),
        threads: int = 1,
        with_ssim: bool = False,
    ) -> None:
        """Begin with a topic's first row; `copies` are the uris of segments that hold image files as they were."""
        self.topic = topic
        self.wrong: dict[int, str] = {}
        self.missing: dict[int, str] = {}
        self.frames = 0
        self.embedded = 0
        self.segments: Counter[tuple[str, int, int]] = Counter()
        """Rows that lie in segments, by uri, width and height."""
        self.ssim: list[float] = []
        """Of frames that are lossy video, where it is measured."""
        self._with_ssim = with_ssim
        self._copies = frozenset(copies)
        self._psnr_db: list[float] = []
        self._rows = table.rows(topic)
        self._records = table.rows(topic)
        self._recorded = 0
        self._shown = SegmentFrames(dataset, threads)
        self._judge = Judge()
        self._decoder = PixelDecoder(policy)
        self._camera = CameraFrames(dataset)
        self._dataset = dataset

    @property
    def psnr_db(self) -> NDArray[np.float32]:
        """PSNR of each row's frame against its source, (N,) float32; NaN where it is embedded or did not decode."""
        found = np.array(self._psnr_db, np.float32)
        found[list(self._camera.identical)] = inf
        return found

    def add(self, message: Message, read: Callable[[Message], ImageValue]) -> None:
        """Compare the next image message of the source with the frame that its row's reference shows."""
        row = next(self._rows, None)
        if row is None:
            self.missing[self.frames] = "the frames table has no row for it"
            self.frames += 1
            return
        self._count(row)
        if row.log_time_ns != message.log_time_ns:
            self.wrong[row.index] = f"its row is for log time {row.log_time_ns}, its message for {message.log_time_ns}"
        try:
            image = read(message)
        except ImageError:
            image = ImageValue(message.data, "", "raw")
        self._hold(row, told_by(message, image))
        self._psnr_db.append(self._compare(row, image))

    def _hold(self, row: FrameRow, facts: Mapping[str, Any]) -> None:
        """Hold what a row says of its message against what that says itself, or what its record does."""
        for name, value in facts.items():
            said = getattr(row, name)
            # Of a dataset of an earlier format nobody knows what messages are restored of.
            if said != value and not (said is None and name in ("source_layout", "source_envelope")):
                self.wrong[row.index] = f"its row says {name} {said!r}, its message {value!r}"

    def _compare(self, row: FrameRow, image: ImageValue) -> float:
        """PSNR of the frame that a row's reference shows; NaN where it shows none to compare, or not yet."""
        if row.status == "remuxed" or image.kind == "packet":
            self._camera.add(row, image)
        if row.status == "embedded" and not _embeds(row.uri, image.data):
            self.wrong[row.index] = "its data URI does not hold the message's own bytes"
        if row.status != "video":
            return nan
        shown = self._show(row)
        try:
            source = self._decoder.take(image)
        except ImageError as error:
            self.wrong[row.index] = f"there is video for a message whose image can't be decoded: {error}"
            return nan
        if shown is None:
            return nan
        if (row.width, row.height) != (source.width, source.height):
            self.wrong[row.index] = f"shows {row.width}x{row.height} of {source.width}x{source.height}"
            return nan
        if isinstance(source, FileBytes) or row.uri in self._copies:
            return self._equal(
                row, read_bytes(self._dataset, row) == image.data, "its packet is not the message's own bytes"
            )
        if source.lossless:
            same = same_pixels(shown, source.frame, source.width, source.height)
            return self._equal(row, same, "its pixels are not the message's own")
        decoded = plane(shown, 0)[: row.height, : row.width]
        self._judge.add(row.index, decoded, luma(source))
        if self._with_ssim:
            self.ssim.append(ssim(decoded, luma(source)))
        return psnr_db(decoded, luma(source))

    def _equal(self, row: FrameRow, equal: bool, otherwise: str) -> float:
        """Infinite, where what shall be identical is."""
        if equal:
            return inf
        self.wrong[row.index] = otherwise
        return nan

    def decode(self) -> None:
        """Decode every frame that the rows name, with no source to compare it with."""
        for row in self._rows:
            self._count(row)
            if row.status == "remuxed":
                self._camera.show(row)
            else:
                self._show(row)
        self._shown.close()

    def finish(self) -> None:
        """Count what the source did not ask for, and judge the last frame."""
        self._judge.finish()
        self._shown.close()
        for row in self._rows:
            self._count(row)
            self.wrong[row.index] = "there is no message that it stands for"
        self.wrong |= dict.fromkeys(self._judge.wrong, "shows the picture of the frame before or after it")
        self._camera.finish()
        self.wrong |= self._camera.wrong
        self.missing |= self._camera.missing

    def record(self, message: Message, record: Record | None) -> None:
        """Compare the next record of the rewritten log with its row."""
        row = next(self._records, None)
        number = self._recorded
        self._recorded += 1
        if row is None:
            self.wrong[number] = "the frames table has no row for its record"
        elif record is None:
            self.wrong[number] = "its message in the log is no record"
        elif (record.ref.uri, record.ref.pts_ns, message.log_time_ns) != (row.uri, row.pts_ns, row.log_time_ns):
            self.wrong[number] = (
                f"its record says {record.ref.uri[:100]} {record.ref.pts_ns} at log time {message.log_time_ns}, "
                f"its row {row.uri[:100]} {row.pts_ns} at {row.log_time_ns}"
            )
        elif record.source_type:
            # A typed record has no other way to say that there is no stamp than 0.
            stamp_ns = row.stamp_ns if row.stamp_ns is None and record.stamp_ns == 0 else record.stamp_ns
            self._hold(row, {"stamp_ns": stamp_ns, "frame_id": record.frame_id})

    def finish_records(self) -> None:
        """Count rows that no record stands for."""
        for row in self._records:
            self.missing[row.index] = "the log has no record for it"

    def problems(self) -> list[str]:
        """One line a frame that is wrong or missing."""
        return [
            f"{self.topic} frame {frame} is {what}: {why}"
            for what, found in (("wrong", self.wrong), ("missing", self.missing))
            for frame, why in sorted(found.items())
        ]

    def _count(self, row: FrameRow) -> None:
        if row.index != self.frames:
            self.wrong[row.index] = f"row {self.frames} of the topic has index {row.index}"
        self.frames += 1
        if row.status == "embedded":
            self.embedded += 1
        else:
            self.segments[row.uri, row.width, row.height] += 1

    def _show(self, row: FrameRow) -> av.VideoFrame | None:
        if row.status == "embedded":
            return None
        try:
            shown = self._shown.at(row)
        except DatasetError as error:
            self.wrong[row.index] = str(error)
            return None
        if shown is None:
            self.missing[row.index] = f"nothing decodes at pts_ns {row.pts_ns}: {row.uri}"
        return shown


def _embeds(uri: str, data: bytes | memoryview) -> bool:
    try:
        return DataURI.from_uri(uri).decoded_data == data
    except MediarefError:
        return False
