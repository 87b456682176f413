"""A segment to a budget: as few bytes as a floor of quality allows, or the best picture that a size allows.

Nobody can tell from a codec's scale what a picture will look like, so settings are tried: first on some groups of the
segment's pictures, then on the whole of it, and what was made is decoded and compared with its source. The segment's
messages wait on the disk for that, so that memory does not grow with its length. The same messages and settings give
the same file, whatever came before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from mediaref_tools.conversion.coding import Coding, Form
from mediaref_tools.conversion.spool import Spool
from mediaref_tools.dataset.manifest import SegmentCodec
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import FileBytes, Picture, PixelDecoder
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.proof.measure import Quality, measure
from mediaref_tools.segments.file import SegmentFile
from mediaref_tools.segments.remux import RemuxWriter
from mediaref_tools.segments.segment import SegmentWriter

__all__ = ["BudgetWriter"]

_CRFS: Final = {"h264": (1, 51), "av1": (1, 63)}  # from the best to the cheapest
_WINDOWS, _LEAST = 3, 10  # parts of a sample, and frames of each at least
_TRIES = 6  # of the whole segment
_DB, _SSIM = 0.8, 0.004  # about what one step of crf costs
_HALVES = {"h264": 6.0, "av1": 10.0}  # about how many steps halve the size
_COPIED = Policy(lossless=True, copied=frozenset({"image/jpeg"}))


class _Trial(NamedTuple):
    """What a setting gave. `room` is how many steps of crf it could be cheaper by, or better; negative, it misses."""

    room: float
    file: SegmentFile


class BudgetWriter:
    """Takes a segment's messages, and encodes them at the end. For one thread at a time.

    Where no setting of the codec meets the floor, or the JPEG files themselves are no larger than what would, these go
    into the segment as they are; other pictures are coded without loss.
    """

    def __init__(self, path: Path, coding: Coding, form: Form) -> None:
        """Start a segment.

        Args:
            path: Must not exist. What is tried lies beside it.
            coding: With a budget.
            form: Of all pictures; `codec` is h264 or av1.

        Raises:
            OutputError: The disk has no room for what waits.
        """
        assert coding.budget is not None  # noqa: S101 - else nothing is to be tried
        self.path, self.bytes_out = path, 0
        self.codec: SegmentCodec = form.codec
        """What it has become, once it is closed."""
        self._coding, self._form, self._budget = coding, form, coding.budget
        self._decoder = PixelDecoder(coding.policy)
        self._spool = Spool(path.with_suffix(".spool"))
        self._writer: SegmentWriter | RemuxWriter | None = None

    def add(self, image: ImageValue, pts_us: int) -> None:
        """Take one image of the segment's form, later than the one before.

        Raises:
            OutputError: It can't be put on the disk.
        """
        self._spool.add(image, pts_us)

    def close(self) -> SegmentFile:
        """Find the setting, and write the file.

        Raises:
            OutputError, EncodeError: As of `SegmentWriter`.
        """
        try:
            file = self._settled(self._found())
            self._path("try").replace(self.path)
        except BaseException:
            self.abort()
            raise
        self._tidy()
        self.bytes_out = int(file.packets.size.sum())
        return file

    def _found(self) -> _Trial | None:
        """The setting's trial, whose file is the best so far; None where no setting meets the budget."""
        everything = range(len(self._spool))
        crfs = self._crfs
        sample = self._sample()
        at = _largest(lambda at: self._try(crfs[at], sample), crfs.index(self._coding.crf), len(crfs))
        best: _Trial | None = None
        tried: set[int] = set()
        while at >= 0 and at not in tried and len(tried) < _TRIES:
            tried.add(at)
            trial = self._try(crfs[at], everything)
            if trial.room < 0:
                if best is not None:
                    break
                at = max(at + min(-1, math.floor(trial.room)), 0) if at else -1
                continue
            self._path("try").replace(self._path("best"))
            better = best is not None
            best = trial
            if better or trial.room < 2 or at == len(crfs) - 1:
                break
            at = min(at + int(trial.room), len(crfs) - 1)
        return best

    @property
    def _crfs(self) -> Sequence[int]:
        """From the one that is sure to meet the budget, if one does, to the one that asks most of it."""
        best, cheapest = _CRFS[self.codec]
        return range(best, cheapest + 1) if self._budget.max_ratio is None else range(cheapest, best - 1, -1)

    def _settled(self, best: _Trial | None) -> SegmentFile:
        """The file of the setting that was found, or of what stands in for it."""
        floor = self._budget.max_ratio is None
        if floor and (best is None or best.file.bytes >= self._spool.bytes):
            copied = self._copied()
            if copied is not None:
                self.codec = "mjpeg"
                return copied
        if best is not None:
            self._path("best").replace(self._path("try"))
            return best.file
        if floor:
            self.codec = "h264"
        return self._encoded(0 if floor else self._crfs[0], range(len(self._spool)))

    def _try(self, crf: int, which: Sequence[int]) -> _Trial:
        file = self._encoded(crf, which)
        room = math.inf
        if self._budget.max_ratio is not None:
            source = sum(self._spool.size(number) for number in which)
            room = _HALVES[self.codec] * math.log2(self._budget.max_ratio * source / file.bytes)
        else:
            found = self._measured(which)
            if self._budget.min_psnr_db is not None:
                room = min(room, (found.psnr_p1_db - self._budget.min_psnr_db) / _DB)
            if self._budget.min_ssim is not None:
                room = min(room, (found.ssim_p1 - self._budget.min_ssim) / _SSIM)
        return _Trial(room, file)

    def _encoded(self, crf: int, which: Sequence[int]) -> SegmentFile:
        path = self._path("try")
        path.unlink(missing_ok=True)
        encoding = self._coding.lossy("h264" if self.codec == "h264" else "av1", crf)
        writer = self._writer = SegmentWriter(path, encoding, self._form.shape)
        for picture, pts_us in self._pictures(which):
            writer.add(picture.frame, pts_us)
        return writer.close()

    def _measured(self, which: Sequence[int]) -> Quality:
        sources = (picture for picture, _ in self._pictures(which))
        return measure(self._path("try"), sources, with_ssim=self._budget.min_ssim is not None)

    def _pictures(self, which: Sequence[int]) -> Iterator[tuple[Picture, int]]:
        for number in which:
            image, pts_us = self._spool.read(number)
            taken = self._decoder.take(image)
            assert isinstance(taken, Picture)  # noqa: S101 - its form said so
            yield taken, pts_us

    def _copied(self) -> SegmentFile | None:
        """The JPEG files as they are; None where they are none, or not all alike."""
        decoder = PixelDecoder(_COPIED)
        alike: tuple[int, int, str] | None = None
        for number in range(len(self._spool)):
            taken = decoder.take(self._spool.read(number)[0])
            if not isinstance(taken, FileBytes) or taken.codec != "mjpeg":
                return None
            mine = (taken.width, taken.height, taken.pixel_format)
            if mine != (alike or mine):
                return None
            alike = mine
        assert alike is not None  # noqa: S101 - no segment is empty
        self._path("try").unlink(missing_ok=True)
        writer = self._writer = RemuxWriter(self._path("try"), "mjpeg", b"", alike[0], alike[1])
        for number in range(len(self._spool)):
            image, pts_us = self._spool.read(number)
            writer.add(image.data, pts_us, pts_us, keyframe=True)
        return writer.close()

    def _sample(self) -> Sequence[int]:
        """Whole groups of pictures from the segment's beginning, middle and end; all of it where it is short."""
        frames, gop = len(self._spool), self._coding.gop
        length = gop * -(-_LEAST // gop)
        if frames <= 2 * _WINDOWS * length:
            return range(frames)
        starts = np.linspace(0, frames - length, _WINDOWS).astype(int).tolist()
        return [start + number for start in starts for number in range(length)]

    def _path(self, what: str) -> Path:
        return self.path.with_suffix(f".{what}")

    def _tidy(self) -> None:
        self._spool.close()
        for what in ("try", "best"):
            self._path(what).unlink(missing_ok=True)

    def abort(self) -> None:
        """Let go of all files."""
        if self._writer is not None:
            self._writer.abort()
        self._tidy()


def _largest(attempt: Callable[[int], _Trial], guess: int, count: int) -> int:
    """The largest of 0 … `count` - 1 whose trial has room, as far as trials tell; -1 if none has."""
    good, bad, at = -1, count, guess
    while bad - good > 1:
        room = attempt(at).room
        if room >= 0:
            good, at = at, min(at + max(1, int(min(room, count))), bad - 1)
        else:
            bad, at = at, max(at + min(-1, math.floor(max(room, -count))), good + 1)
    return good
