"""Topics of pictures, and numbers beside them, in a recording of Rerun's."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.dataset.topic import Topic
from mediaref_tools.errors import FrameError, MediarefError, OutputError
from mediaref_tools.extra import extra_module
from mediaref_tools.log import LogReader, OpenOptions
from mediaref_tools.media.trust import inside
from mediaref_tools.plugins import claimed, open_log
from mediaref_tools.progress import Meter, OnProgress, no_progress
from mediaref_tools.rerunlog.numbers import numbers
from mediaref_tools.rerunlog.samples import SAMPLES
from mediaref_tools.selection import select
from mediaref_tools.staging import Staging
from mediaref_tools.viewer.jpeg import JpegEncoder

__all__ = ["TIMELINE", "rerun_module", "save_rerun"]

TIMELINE: Final = "recorded"
"""The timeline's name: log times. Rerun takes `log_time` for its own."""

_SHOWN: Final = ("image/jpeg", "image/png")


def rerun_module() -> Any:
    """The package `rerun`, told to report nothing to anybody.

    Raises:
        ExtraError: It is not installed.
    """
    os.environ["RERUN_ANALYTICS"] = "0"
    return extra_module("rerun", "rerun")


def save_rerun(
    dataset: Dataset,
    out: str | os.PathLike[str],
    *,
    topics: Sequence[str] = ("*",),
    start_ns: int | None = None,
    overwrite: bool = False,
    on_progress: OnProgress = no_progress,
) -> Path:
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
        TopicError: A glob matches no topic with frames.
        FrameError: No frame lies there.
        OutputError: Something is at `out`, or it can't be written.
        MediarefError: A frame can't be read.
    """
    rerun = rerun_module()
    out = Path(out)
    chosen = [dataset[name] for name in sorted(select(set(dataset), tuple(topics), (), what="topic with frames"))]
    wanted = [_from(topic, start_ns) for topic in chosen]
    if not sum(len(indices) for indices in wanted):
        raise FrameError(f"no frames to record: {dataset.path}")
    if not out.parent.is_dir():
        raise OutputError(f"there is no folder to write to; make it first: {out.parent}")
    try:
        with Staging(out, maker="recording") as staging:
            if os.path.lexists(out) and (not overwrite or out.is_dir()):
                raise OutputError(f"output exists already: choose another file, or --overwrite it: {out}")
            staging.clear()
            recording = _Recording(rerun, str(dataset.path), staging.new)
            with recording.opened:
                meter = Meter(on_progress, "rerun", sum(len(indices) for indices in wanted))
                for topic, indices in zip(chosen, wanted, strict=True):
                    recording.frames(topic, indices, meter)
                meter.end()
                with _log(dataset) as log:
                    for topic_name, time_ns, values in () if log is None else numbers(log, topics, start_ns):
                        recording.numbers(topic_name, time_ns, values)
            staging.commit(replace=overwrite)
    except MediarefError:
        raise
    except OSError as error:
        raise OutputError(f"recording can't be written: {error.strerror or error}: {out}") from error
    return out


def _from(topic: Topic, start_ns: int | None) -> NDArray[np.int64]:
    """The frames that are shown from a time on, and those before that the first of them needs."""
    begin = 0
    if start_ns is not None and len(topic):
        begin = max(0, int(topic.index_at([start_ns])[0]))
        keys = np.flatnonzero(topic.keyframes[: begin + 1])
        begin = int(keys[-1]) if len(keys) else begin
    return np.arange(begin, len(topic), dtype=np.int64)


def _log(dataset: Dataset) -> Any:
    """The log beside the pictures, as a context; None in it where there is none on this machine."""
    path = dataset.path
    if not isinstance(path, Path):
        return nullcontext(None)
    if (path / MANIFEST).exists():
        return _opened(inside(path, dataset.manifest.log), dataset.manifest.settings.opening)
    return _opened(path, OpenOptions()) if claimed(path) else nullcontext(None)


def _opened(path: Path, options: OpenOptions) -> LogReader:
    return open_log(path, options)


class _Recording:
    """A file of Rerun's that is being written; `opened` is to be left when all is in it."""

    def __init__(self, rerun: Any, name: str, path: Path) -> None:
        self._rerun = rerun
        self._stream = rerun.RecordingStream("mediaref", recording_id=Path(name).name or "mediaref")
        self.opened = ExitStack()
        self.opened.callback(self._stream.disconnect)
        self._stream.save(path)
        self._jpeg = JpegEncoder()

    def frames(self, topic: Topic, indices: NDArray[np.int64], meter: Meter) -> None:
        """Add frames of a topic, ascending."""
        entities: dict[str, list[str]] = {}
        times = topic.log_times_ns
        for index, stored in zip(indices.tolist(), topic.stored(indices), strict=True):
            codec = "" if stored is None else stored.media_type.partition("video/")[2]
            if stored is not None and codec in SAMPLES:
                sort, item = codec, None
            elif stored is not None and stored.media_type in _SHOWN and not topic.look(index)[1]:
                sort = "image"
                item = self._rerun.EncodedImage(contents=stored.data, media_type=stored.media_type)
            else:
                sort, item = self._decoded(topic, index)
            if sort not in entities:
                parts = _entity(topic.name)
                entities[sort] = [*parts, sort] if entities else parts
                if codec in SAMPLES:
                    self._stream.log(entities[sort], self._rerun.VideoStream(codec), static=True)
            if stored is not None and codec in SAMPLES:
                sample = SAMPLES[codec](stored.data, stored.extradata)
                item = self._rerun.VideoStream.from_fields(sample=sample)
            self._at(int(times[index]))
            self._stream.log(entities[sort], item)
            meter.step()

    def numbers(self, topic: str, time_ns: int, values: list[tuple[str, float]]) -> None:
        """Add the numbers of one message."""
        self._at(time_ns)
        for name, value in values:
            parts = [*_entity(topic), *(part for part in name.split("/") if part)]
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
