"""Topics of pictures, and numbers beside them, in a recording of Rerun's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.stored import Stored
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError, ImageError, MediarefError, OutputError
from mediaref_tools.extra import extra_module
from mediaref_tools.log import LogReader
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import claimed, open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.rerunlog.numbers import Number, number_topics, numbers
from mediaref_tools.rerunlog.samples import SAMPLES
from mediaref_tools.selection import select
from mediaref_tools.staging import Staging
from mediaref_tools.viewer.jpeg import JpegEncoder

__all__ = ["TIMELINE", "LeftOut", "RerunReport", "save_rerun"]

TIMELINE: Final = "recorded"
"""The timeline's name: log times. Rerun takes `log_time` for its own."""

_SHOWN: Final = ("image/jpeg", "image/png")


class LeftOut(NamedTuple):
    """Frames of a topic that can't be decoded: how many, and why the first can't."""

    topic: str
    frames: int
    reason: str


class RerunReport(NamedTuple):
    """What `save_rerun` wrote: frames, and messages with numbers; and the frames that it had to leave out."""

    out: Path
    frames: int
    numbers: int
    left_out: tuple[LeftOut, ...]


def save_rerun(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    topics: Sequence[str] = ("*",),
    start_ns: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = no_progress,
) -> RerunReport:
    """Write topics as a recording of Rerun's, an `.rrd` file; nothing is opened. Needs the extra `rerun`.

    Each topic is the entity of its name, on a timeline `recorded`: log times in ns. H.264, H.265 and AV1 go as they are
    (`VideoStream`), and so do JPEG and PNG files, embedded ones among them (`EncodedImage`). All else is decoded: depth
    becomes `DepthImage`, gray and 16 bits `Image`, other colour JPEG. That holds for video with B-frames as well, which
    Rerun can't take. Frames of another sort on the same topic lie in an entity below it. Numbers of ROS messages
    (`std_msgs` of one number, `Imu`, `JointState`) become `Scalars`.

    Args:
        dataset: An open dataset, or what `open_playable` opened.
        out: The file; nothing is there until all is written.
        topics: Globs, of topics of numbers too.
        start_ns: A log time: begin with what is on screen then, or the keyframe that it needs.
        overwrite: Replace what is at `out`.
        on_progress: Is told of stage "rerun", in frames.

    Raises:
        ExtraError: rerun-sdk is not installed.
        TopicError: A glob matches no topic with frames or numbers.
        FrameError: There is nothing.
        OutputError: Something is at `out`, or it can't be written.
        MediarefError: A file is damaged or missing. Frames that can't be decoded are left out.
    """
    rerun = extra_module("rerun", "rerun")
    out = Path(out)
    with _log(dataset) as log:
        there = set() if log is None else number_topics(log) - set(dataset)
        names = select({*dataset, *there}, tuple(topics), (), what="topic with frames or numbers")
        frames = {name: _from(dataset[name], start_ns) for name in names if name in dataset}
        total, counted = sum(map(len, frames.values())), [name for name in names if name in there]
        if not total and not counted:
            raise FrameError(f"nothing to record: {dataset.path}")
        if not out.parent.is_dir():
            raise OutputError(f"there is no folder to write to; make it first: {out.parent}")
        try:
            with Staging(out, maker="recording") as staging:
                if os.path.lexists(out) and (not overwrite or out.is_dir()):
                    raise OutputError(f"output exists already: choose another file, or --overwrite it: {out}")
                staging.clear()
                recording = _Recording(rerun, str(dataset.path), staging.new)
                with recording.opened:
                    meter = Meter(on_progress, "rerun", total)
                    found = {name: recording.frames(dataset[name], each, meter) for name, each in frames.items()}
                    meter.end()
                    messages = 0
                    for number in () if log is None else numbers(log, counted, start_ns):
                        recording.numbers(number)
                        messages += 1
                left_out = tuple(LeftOut(name, *each) for name, each in found.items() if each[0])
                shown = total - sum(each.frames for each in left_out)
                if not shown and not messages:
                    raise FrameError(f"nothing can be recorded: {left_out[0].reason if left_out else 'no messages'}")
                staging.commit(replace=overwrite)
        except MediarefError:
            raise
        except OSError as error:
            raise OutputError(f"recording can't be written: {error.strerror or error}: {out}") from error
    return RerunReport(out, shown, messages, left_out)


def _from(topic: Topic, start_ns: int | None) -> NDArray[np.int64]:
    """The frames that are shown from a time on, and those before that the first of them needs."""
    begin = 0
    if start_ns is not None and len(topic):
        begin = max(0, int(topic.index_at([start_ns])[0]))
        keys = np.flatnonzero(topic.keyframes[: begin + 1])
        begin = int(keys[-1]) if len(keys) else begin
    return np.arange(begin, len(topic), dtype=np.int64)


def _log(dataset: Dataset) -> AbstractContextManager[LogReader | None]:
    """The log with the numbers; None where it is not on this machine, or there is none."""
    path = dataset.path
    if not isinstance(path, Path):
        return nullcontext()
    if (path / MANIFEST).exists():
        return open_log(inside(path, dataset.manifest.log), dataset.manifest.settings.opening)
    return open_log(path) if claimed(path) else nullcontext()


class _Recording:
    """A file of Rerun's that is being written; `opened` is to be left when all is in it."""

    def __init__(self, rerun: Any, name: str, path: Path) -> None:
        self._rerun = rerun
        self._stream = rerun.RecordingStream("mediaref", recording_id=Path(name).name or "mediaref")
        self.opened = ExitStack()
        self.opened.callback(self._stream.disconnect)
        self._stream.save(path)
        self._jpeg = JpegEncoder()

    def frames(self, topic: Topic, indices: NDArray[np.int64], meter: Meter) -> tuple[int, str]:
        """Add frames of a topic, ascending; gives how many can't be decoded, and why the first can't."""
        entities: dict[str, list[str]] = {}
        left_out, reason = 0, ""
        times_ns, keyframes = topic.log_times_ns, topic.keyframes
        for index, stored in zip(indices.tolist(), topic.stored(indices), strict=True):
            meter.step()
            try:
                sort, item = self._item(topic, index, stored, is_key=bool(keyframes[index]))
            except (FrameError, ImageError) as error:
                left_out, reason = left_out + 1, reason or str(error)
                continue
            if sort not in entities:
                parts = _entity(topic.name)
                entities[sort] = [*parts, sort] if entities else parts
                if sort in SAMPLES:
                    self._stream.log(entities[sort], self._rerun.VideoStream(sort), static=True)
            self._at(int(times_ns[index]))
            self._stream.log(entities[sort], item)
        return left_out, reason

    def _item(self, topic: Topic, index: int, stored: Stored | None, *, is_key: bool) -> tuple[str, Any]:
        """What a frame becomes, and of which sort it is."""
        if stored is not None:
            codec = stored.media_type.removeprefix("video/")
            if codec in SAMPLES:
                sample = SAMPLES[codec](stored.data, stored.extradata, is_key)
                return codec, self._rerun.VideoStream.from_fields(sample=sample)
            if stored.media_type in _SHOWN and not topic.look(index)[1]:
                return "image", self._rerun.EncodedImage(contents=stored.data, media_type=stored.media_type)
        return self._decoded(topic, index)

    def numbers(self, number: Number) -> None:
        """Add the numbers of one message."""
        self._at(number.log_time_ns)
        for name, value in number.values:
            parts = [*_entity(number.topic), *(part for part in name.split("/") if part)]
            self._stream.log(parts, self._rerun.Scalars(value))

    def _at(self, time_ns: int) -> None:
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(time_ns, "ns"))

    def _decoded(self, topic: Topic, index: int) -> tuple[str, Any]:
        kind, is_depth = topic.look(index)
        picture = topic.batch([index])[0].data
        if kind == "metres":
            return "depth", self._rerun.DepthImage(picture, meter=1.0)
        if is_depth:
            return "depth", self._rerun.DepthImage(picture, meter=1000.0)
        if picture.ndim == 2:
            return "pixels", self._rerun.Image(picture, "L")
        if picture.dtype != np.uint8:
            return "pixels", self._rerun.Image(picture, "RGB")
        data = self._jpeg.encode(picture, "rgb", picture.shape[1])
        return "image", self._rerun.EncodedImage(contents=data, media_type="image/jpeg")


def _entity(topic: str) -> list[str]:
    return [part for part in topic.split("/") if part] or [topic or "topic"]
