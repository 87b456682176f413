"""The proof of a camera's own video: bytes and pictures against what was recorded.

Every packet must be the recorded one, byte for byte, and the frame that lies at a reference's time must be the one that
the message's own packet decodes to: libavcodec decodes the recorded payloads once more, without the file, and says of
each frame which packet it came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av

from mediaref_tools.camera.source import PayloadDecoder
from mediaref_tools.camera.unit import payload
from mediaref_tools.dataset.framerow import FrameRow
from mediaref_tools.errors import DatasetError, ImageError
from mediaref_tools.image import ImageValue, VideoCodec, video_codec
from mediaref_tools.media.trust import inside
from mediaref_tools.pixels.plane import same_pixels
from mediaref_tools.proof.segmentframes import decoded_frames, read_bytes

__all__ = ["CameraFrames"]


class CameraFrames:
    """Compares the rows of one topic with its messages, in their order. `wrong` and `missing` are by row index."""

    def __init__(self, dataset: Path) -> None:
        """`dataset` is what uris are relative to."""
        self.wrong: dict[int, str] = {}
        self.missing: dict[int, str] = {}
        self.identical: set[int] = set()
        """Rows whose packet and picture are the recorded ones."""
        self._dataset = dataset
        self._decoder: PayloadDecoder | None = None
        self._codec: VideoCodec | None = None
        self._rows: dict[int, FrameRow] = {}
        self._uri = ""
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._next: tuple[int, av.VideoFrame] | None = None
        self._shown: dict[str, set[int]] = {}

    def add(self, row: FrameRow, image: ImageValue) -> None:
        """Compare a row with its own message. What follows a message may be known only later."""
        codec = video_codec(image.encoding) if image.kind == "packet" else None
        if row.status != "remuxed":
            if self._decoder is not None and codec == self._codec:
                self._match(self._decoder.push(row.index, image.data, remuxed=False))
            return
        if codec is None:
            self.wrong[row.index] = f"there is video for a message of {image.encoding!r}, which names no codec"
            return
        try:
            if payload(read_bytes(self._dataset, row), row.source_framing) != image.data:
                self.wrong[row.index] = "its packet is not the message's own"
                return
        except (DatasetError, ImageError) as error:
            self.wrong[row.index] = str(error)
            return
        if self._decoder is None or codec != self._codec:
            self._flush()
            self._decoder, self._codec = PayloadDecoder(codec), codec
        self._rows[row.index] = row
        self._match(self._decoder.push(row.index, image.data, remuxed=True))

    def finish(self) -> None:
        """Nothing comes any more: what was not shown by now is missing."""
        self._flush()
        for row in self._rows.values():
            self.missing[row.index] = f"nothing decodes at pts_ns {row.pts_ns}: {row.uri}"
        self._rows.clear()
        self._close()

    def show(self, row: FrameRow) -> None:
        """Look whether a row's frame decodes, with no message to compare it with."""
        if row.uri not in self._shown:
            self._shown = {row.uri: {pts_ns for pts_ns, _ in decoded_frames(inside(self._dataset, row.uri))}}
        if row.pts_ns not in self._shown[row.uri]:
            self.missing[row.index] = f"nothing decodes at pts_ns {row.pts_ns}: {row.uri}"

    def _flush(self) -> None:
        if self._decoder is not None:
            self._match(self._decoder.flush())
        self._decoder = None

    def _match(self, frames: Iterator[tuple[int, av.VideoFrame]]) -> None:
        for index, frame in frames:
            row = self._rows.pop(index, None)
            if row is None:
                continue
            shown = self._at(row)
            if shown is None:
                self.missing[index] = f"nothing decodes at pts_ns {row.pts_ns}: {row.uri}"
            elif not same_pixels(shown, frame, row.width, row.height):
                self.wrong[index] = f"another picture than its packet's is at pts_ns {row.pts_ns}: {row.uri}"
            else:
                self.identical.add(index)

    def _at(self, row: FrameRow) -> av.VideoFrame | None:
        """The frame at a row's time: rows come in the order in which their frames are shown."""
        if row.uri != self._uri:
            self._close()
            self._uri = row.uri
            self._frames = decoded_frames(inside(self._dataset, row.uri))
            self._next = next(self._frames, None)
        while self._next is not None and row.pts_ns is not None and self._next[0] < row.pts_ns:
            self._next = next(self._frames, None)
        return self._next[1] if self._next is not None and self._next[0] == row.pts_ns else None

    def _close(self) -> None:
        self._uri, self._next, self._frames = "", None, iter(())
