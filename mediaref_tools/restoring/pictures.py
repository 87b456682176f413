"""The pictures of one topic as its messages had them: what can be given back byte for byte is, the rest made anew."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, NamedTuple

import av

from mediaref_tools.camera.unit import payload
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.dataset.manifest import Segment
from mediaref_tools.errors import DatasetError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import Record
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.pixels.encodings import layout, mosaic
from mediaref_tools.pixels.filedata import FileData
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.pixels.rawdata import RawData
from mediaref_tools.pixels.transport import is_zstd, pack_zstd
from mediaref_tools.proof.segmentframes import SegmentFrames, read_bytes

__all__ = ["Promise", "RestoredImage", "TopicPictures"]

Promise = Literal["identical", "pixels", "near"]
"""What a picture made again is: the very bytes, a new file of the very pixels, or what is left after lossy video."""

_OPEN: Final = 4  # segments of one topic that lie side by side, as a conversion writes them
_REST_MAX: Final = 2**31


class RestoredImage(NamedTuple):
    """A picture made again. `whole` says that its data is not the picture's, but all of the message."""

    image: ImageValue
    promise: Promise
    whole: bool = False


class TopicPictures:
    """Makes one topic's pictures again, row by row, in their order. For one thread at a time."""

    def __init__(
        self,
        dataset: Path,
        segments: Mapping[str, Segment],
        policy: Policy,
        *,
        corrected: bool = False,
        threads: int = 1,
    ) -> None:
        """Begin.

        Args:
            dataset: What uris are relative to.
            segments: The topic's, by uri.
            policy: How its pictures were decoded.
            corrected: Whether red and blue were put right before that: raw pixels may have been files then.
            threads: Of each decoder.
        """
        self._dataset, self._segments, self._policy, self._threads = dataset, segments, policy, threads
        self._corrected = corrected
        self._shown: dict[str, SegmentFrames] = {}
        self._raw, self._file = RawData(), FileData()

    def take(self, row: FrameRow, record: Record) -> RestoredImage:
        """The picture of the next row, and of the record that stands for it in the log.

        Raises:
            DatasetError: It is not where the row says, or not what it says.
            ImageError: Its bytes are not those of the segment that the row names.
            EncodeError: A new file can't be made of it.
        """
        image = _said(row, record)
        if row.status == "embedded":
            found = DataURI.from_uri(row.uri)
            whole = found.mimetype.startswith("application/x-")
            return RestoredImage(replace(image, data=found.decoded_data), "identical", whole)
        if row.status == "remuxed":
            return RestoredImage(
                replace(image, data=payload(read_bytes(self._dataset, row), row.source_framing)), "identical"
            )
        segment = self._segments.get(row.uri)
        if segment is None:
            raise DatasetError(f"a row names a segment that the manifest does not list: {row.uri}")
        if segment.holds_files:
            return RestoredImage(replace(image, data=read_bytes(self._dataset, row)), "identical")
        frame = self._frame(row)
        lossless = segment.codec == "ffv1" and not (self._policy.debayer and _is_mosaic(row))
        image = replace(image, height=row.height, width=row.width)
        if image.kind == "raw" and layout(image.encoding) is not None:
            rest = b"" if row.source_rest is None else _inflated(row.source_rest)
            data = self._raw.of(frame, image, _size(row, image), rest)
            exact = lossless and not self._corrected
            return RestoredImage(replace(image, data=data), "identical" if exact else "near")
        if is_zstd(image):
            raw = replace(image, encoding=row.source_framing, kind="raw")
            data = pack_zstd(replace(raw, data=self._raw.of(frame, raw, _size(row, raw))))
        else:
            data = self._file.of(frame, image, row.source_framing, lossless=lossless)
        return RestoredImage(replace(image, data=data), "pixels" if lossless else "near")

    def _frame(self, row: FrameRow) -> av.VideoFrame:
        shown = self._shown.pop(row.uri, None)
        if shown is None:
            if len(self._shown) == _OPEN:
                self._shown.pop(next(iter(self._shown))).close()
            shown = SegmentFrames(self._dataset, self._threads)
        self._shown[row.uri] = shown
        frame = shown.at(row)
        if frame is None:
            raise DatasetError(f"nothing decodes at pts_ns {row.pts_ns}: {row.uri}")
        return frame

    def close(self) -> None:
        """Let go of the open segments."""
        while self._shown:
            self._shown.popitem()[1].close()
        self._raw, self._file = RawData(), FileData()  # the old ones' scalers hold a megabyte


def _said(row: FrameRow, record: Record) -> ImageValue:
    """What the message said of its picture, by its row, or by its record where the row is of an earlier format."""
    step, is_bigendian = record.step, record.is_bigendian
    if row.source_layout is not None:
        step, is_bigendian, _ = _layout(row.source_layout)
    return ImageValue(
        b"",
        row.source_encoding or row.source_format,
        "file" if row.source_format else "raw",
        record.height or row.height,
        record.width or row.width,
        step,
        is_bigendian,
        stamp_ns=row.stamp_ns,
        frame_id=row.frame_id,
        envelope=row.source_envelope,
    )


def _layout(text: str) -> tuple[int, bool, int]:
    try:
        step, order, size = text.split(" ")
        return int(step), order == "big", int(size)
    except ValueError as error:
        raise DatasetError(
            f"the frames table says {text[:60]!r} of how pixels lie: expected as in '96 big 960'"
        ) from error


def _size(row: FrameRow, image: ImageValue) -> int:
    """How many bytes of raw data there were."""
    size = 0 if row.source_layout is None else _layout(row.source_layout)[2]
    if size:
        return size
    known = layout(image.encoding)
    planes = {"yuv420p": 3, "yuv444p": 6}.get(known.pixel_format, 2) if known is not None else 2
    whole = image.step * image.height
    return whole * planes // 2 if known is not None and known.order in ("nv12", "nv21", "planar") else whole


def _inflated(rest: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(rest, _REST_MAX)
    except zlib.error as error:
        raise DatasetError(f"the frames table has bytes between rows that can't be inflated: {error}") from error


def _is_mosaic(row: FrameRow) -> bool:
    return mosaic(row.source_encoding or row.source_framing or row.source_format) is not None
