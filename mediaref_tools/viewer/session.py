"""What a page is told of the topics that it shows: their times, marks and labels, as JSON and binary columns."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.playable import open_playable
from mediaref_tools.errors import DatasetError, MediarefError, TopicError
from mediaref_tools.selection import select
from mediaref_tools.times import iso_time
from mediaref_tools.viewer.comparison import Comparison, original
from mediaref_tools.viewer.pictures import JpegStore, TopicPictures

__all__ = ["EMBEDDED", "SEGMENT", "Session", "Source"]

EMBEDDED: Final = 1
"""The mark of a frame that is no video."""
SEGMENT: Final = 2
"""The mark of the first frame of a segment."""
_KEYFRAME: Final = 4
_LONGEST_URI: Final = 200
_HELD_BYTES: Final = 128_000_000  # of decoded frames, of all topics


class Source:
    """What is played: where it is, and whether it is still what it was when it was opened."""

    def __init__(
        self,
        path: Path,
        *,
        topics: Sequence[str] = ("*",),
        allow: Sequence[str] = (),
        against: Path | None = None,
        among: Sequence[Path] = (),
    ) -> None:
        self.path, self.topics, self.allow, self.against = path, tuple(topics), tuple(allow), against
        self.among = tuple(among) or (path,)
        self._watched = path / MANIFEST if (path / MANIFEST).exists() else path

    def identity(self) -> tuple[int, ...]:
        """What changes when something else is put in its place; () where nothing is there."""
        try:
            found = self._watched.stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


class Session:
    """An open dataset, log or video, for a page. Any thread may ask; `close` it once nobody does any more.

    Args:
        source: What to open.
        number: Tells this opening from those before it.

    Raises:
        MediarefError: It can't be opened, or no topic matches.
    """

    def __init__(self, source: Source, number: int) -> None:
        self.source, self.number = source, number
        self.identity = source.identity()
        with ExitStack() as opened:
            self._dataset = open_playable(source.path, allow=source.allow)
            opened.callback(self._dataset.close)
            names = select(set(self._dataset), source.topics, (), what="topic with frames") if self._dataset else set()
            self._names = [name for name in self._dataset if name in names]
            log = original(self._dataset, source.against)
            if log is not None:
                opened.callback(log.close)
            recorded = set() if log is None else {one.topic for one in log.log.channels if one.role == "image"}
            planes, store = _planes(self._dataset), JpegStore()
            self.pictures = [
                TopicPictures(
                    self._dataset[name],
                    store,
                    planes=name in planes,
                    held_bytes=_HELD_BYTES // len(self._names),
                    comparison=Comparison(log, self._dataset[name]) if log is not None and name in recorded else None,
                )
                for name in self._names
            ]
            self._close = opened.pop_all().close
        self._start_ns: int | None = None

    @property
    def is_replaced(self) -> bool:
        """Whether something else is in its place by now, or nothing."""
        return self.source.identity() != self.identity

    @property
    def log_start_ns(self) -> int:
        """The log time from which people count: the log's, not its pictures'."""
        return self._dataset.start_ns

    @property
    def start_ns(self) -> int:
        """The log time of the first frame of all."""
        if self._start_ns is None:
            times = [one.topic.log_times_ns for one in self.pictures]
            self._start_ns = min((int(each[0]) for each in times if len(each)), default=0)
        return self._start_ns

    def topic(self, number: int) -> TopicPictures:
        """A topic by its number in the summary.

        Raises:
            TopicError: There is none.
        """
        if not 0 <= number < len(self.pictures):
            raise TopicError(f"no topic {number}: there are {len(self.pictures)}")
        return self.pictures[number]

    def summary(self) -> dict[str, Any]:
        """All but the columns; a log that was not converted is gone through first."""
        start_ns = self.start_ns
        times = [one.topic.log_times_ns for one in self.pictures]
        last_ns = max((int(each[-1]) for each in times if len(each)), default=start_ns)
        usual_ns = min((int(np.median(np.diff(each))) for each in times if len(each) > 1), default=1_000_000_000)
        path = self.source.path.absolute()
        return {
            "version": 1,
            "number": self.number,
            "title": path.name,
            "path": str(path),
            "recordings": [each.name for each in self.source.among],
            "recording": self.source.among.index(self.source.path),
            "start_ns": str(start_ns),
            "start": iso_time(start_ns),
            # The last frame is shown for as long as the quickest topic's usually are.
            "duration_ns": last_ns - start_ns + max(1, usual_ns),
            "export": f"mediaref export {shlex.quote(str(path))} --to frames" if self._is_dataset else None,
            "topics": [self._topic_summary(number) for number in range(len(self.pictures))],
        }

    def _topic_summary(self, number: int) -> dict[str, Any]:
        pictures = self.pictures[number]
        topic = pictures.topic
        about: dict[str, Any] = {"id": number, "name": topic.name, "frames": len(topic), "width": 4, "height": 3}
        about |= {"sort": "colour", "compare": pictures.comparison is not None, "quoted": shlex.quote(topic.name)}
        if len(topic):
            try:
                known = np.flatnonzero((topic.sizes > 0).all(axis=1))
                if len(known):
                    about["height"], about["width"] = topic.sizes[known[0]].tolist()
                    about["sort"] = pictures.sort(int(known[0]))
            except MediarefError:  # the frames say so themselves when they are asked for
                about["sort"] = "colour"
        return about

    def times(self, number: int) -> bytes:
        """When each frame of a topic comes on screen, ns after `start_ns`: little-endian float64.

        They are exact up to 104 days.
        """
        return (self.topic(number).topic.log_times_ns - self.start_ns).astype("<f8").tobytes()

    def marks(self, number: int) -> bytes:
        """What is special about each frame of a topic, uint8: `EMBEDDED`, `SEGMENT` and 4 for a keyframe, added up."""
        topic = self.topic(number).topic
        marks = np.where(topic.keyframes, _KEYFRAME, 0).astype(np.uint8)
        if len(topic.refs):
            uris = topic.refs.uris
            marks[topic.status == "embedded"] |= EMBEDDED
            marks[1:][(uris[1:] != uris[:-1]) & (topic.pts_ns[1:] >= 0)] |= SEGMENT
        return marks.tobytes()

    def psnr(self, number: int) -> bytes:
        """PSNR of each frame of a topic, little-endian float32; NaN where nobody knows, infinite where identical."""
        return self.topic(number).topic.psnr_db.astype("<f4").tobytes()

    def label(self, number: int, index: int) -> dict[str, Any]:
        """What is said of a frame, beside its picture: all times as text, for they are more than JSON's numbers hold.

        Raises:
            FrameError: There is no such frame.
        """
        topic = self.topic(number).topic
        name, is_depth = topic.look(index)
        height, width = topic.sizes[index].tolist()
        stamp_ns, psnr_db = int(topic.stamps_ns[index]), float(topic.psnr_db[index])
        found: dict[str, Any] = {
            "index": index,
            "log_time_ns": str(topic.log_times_ns[index]),
            "stamp_ns": None if stamp_ns == NO_STAMP else str(stamp_ns),
            "pts_ns": None if topic.pts_ns[index] < 0 else str(topic.pts_ns[index]),
            "status": str(topic.status[index]),
            "psnr_db": None if np.isnan(psnr_db) else "inf" if np.isinf(psnr_db) else round(psnr_db, 2),
            "keyframe": bool(topic.keyframes[index]),
            "width": width,
            "height": height,
            "kind": name,
            "unit": "m" if name == "metres" else "mm" if is_depth else None,
            "uri": None,
        }
        if len(topic.refs):
            uri = topic.refs[index].uri
            found["uri"] = uri if len(uri) <= _LONGEST_URI else f"{uri[:60]}…"
        return found

    def reference(self, number: int, index: int) -> dict[str, Any]:
        """What is copied of a frame: its MediaRef as JSON, None where it has none, and Python that decodes it.

        Raises:
            FrameError: There is no such frame.
        """
        topic = self.topic(number).topic
        topic.look(index)  # whether there is such a frame
        ref = topic.refs[index].model_dump_json() if len(topic.refs) else None
        opened = "open_dataset" if self._is_dataset else "open_playable"
        lines = [
            "import mediaref_tools as mrt",
            "",
            f"with mrt.{opened}({str(self.source.path.absolute())!r}) as dataset:",
            f"    frame = dataset[{topic.name!r}][{index}]  # on screen from {int(topic.log_times_ns[index])} ns on",
            "    print(frame.data.shape, frame.log_time_ns)",
        ]
        return {"ref": ref, "python": "\n".join(lines) + "\n"}

    @property
    def _is_dataset(self) -> bool:
        try:
            return bool(self._dataset.manifest)
        except DatasetError:
            return False

    def told(self, error: MediarefError) -> str:
        """An error for people who look at this: files are named within what is played."""
        place = self.source.path
        return str(error).replace(f"{place.resolve()}/", "").replace(f"{place.absolute()}/", "")

    def close(self) -> None:
        """Close what is open. Safe to call again."""
        for one in self.pictures:
            one.close()
        self._close()


def _planes(dataset: Dataset) -> set[str]:
    """Topics whose video has the planes of a JPEG file, so that nothing is to be converted."""
    try:
        manifest = dataset.manifest
    except DatasetError:
        return set()
    return {
        entry.topic
        for entry in manifest.topics
        if all(
            (one.pixel_format, one.color_range) in (("yuvj420p", "full"), ("yuv420p", "full"))
            and one.color_space == "bt601"
            and one.width % 2 == one.height % 2 == 0
            and not one.holds_files
            for one in entry.segments
        )
    }
