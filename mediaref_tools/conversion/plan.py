"""The plan: which topics of a log become video and how, and why the others stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mediaref_tools.camera.survey import CameraPlan
from mediaref_tools.conversion.cameratrack import camera_plan
from mediaref_tools.conversion.coding import coding
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.dataset.pictures import can_read
from mediaref_tools.errors import EncodeError, ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.log import LogReader, Message
from mediaref_tools.pixels.depth import is_depth
from mediaref_tools.pixels.encodings import layout
from mediaref_tools.pixels.picture import FileBytes, PixelDecoder
from mediaref_tools.pixels.transport import is_zstd, peek_zstd
from mediaref_tools.plaintext import encodable
from mediaref_tools.report import KeptTopic
from mediaref_tools.segments.segment import SegmentWriter
from mediaref_tools.selection import select

__all__ = ["Plan", "TopicPlan", "plan"]

_TRIES = 8  # a topic whose first frames all fail stays as it is; one that fails later has that frame embedded


class TopicPlan(NamedTuple):
    """What will happen to one image topic that was asked for.

    Attributes:
        topic, type: As the container spells them; the type of its first channel of images.
        encoding: `Image.encoding`, or the `format` text, of its first image; "" where none can be read.
        messages, bytes: Of images.
        codec: What its first picture becomes, "h264", "ffv1", "mjpeg" …; None where the topic is kept.
        reason: Why it is kept.
        asked: Whether it is kept because the settings say so.
        readable: Whether a reader can give out its pictures where it is kept.
        camera: What becomes of each packet of a camera's own video.
    """

    topic: str
    type: str
    encoding: str
    messages: int
    bytes: int
    codec: str | None
    reason: str = ""
    asked: bool = False
    readable: bool = False
    camera: CameraPlan | None = None


class Plan(NamedTuple):
    """`topics` are those that were asked for, sorted; `messages` are all of the log."""

    topics: tuple[TopicPlan, ...]
    messages: int

    @property
    def converted(self) -> dict[str, TopicPlan]:
        """Those that become video, by name."""
        return {one.topic: one for one in self.topics if one.codec is not None}

    @property
    def kept(self) -> tuple[KeptTopic, ...]:
        """Those that can't, or are not to."""
        return tuple(
            KeptTopic(
                topic=encodable(one.topic),
                reason=one.reason,
                messages=one.messages,
                asked=one.asked,
                readable=one.readable,
            )
            for one in self.topics
            if one.codec is None
        )


class _Verdict(NamedTuple):
    encoding: str
    codec: str | None
    reason: str = ""
    asked: bool = False
    readable: bool = False
    camera: CameraPlan | None = None


def plan(log: LogReader, settings: Settings, scratch: Path) -> Plan:
    """Look at the first frames of each image topic and decide.

    Args:
        log: The open source.
        settings: Which topics are asked for, and how each is to be coded.
        scratch: A folder in which the encoder may be tried.

    Raises:
        TopicError: A glob matches no image topic.
    """
    types: dict[str, str] = {}
    verdicts: dict[str, _Verdict] = {}
    for channel in log.channels:
        if channel.role == "image":
            types[channel.topic] = channel.type
            verdicts.pop(channel.topic, None)
        elif channel.role == "unsupported" and channel.topic not in types:
            types[channel.topic] = channel.type
            verdicts[channel.topic] = _Verdict("", None, f"messages of type {channel.type} are not handled")
    for name in types:
        if encodable(name) != name:  # it could be written neither to the frames table nor to the manifest
            verdicts[name] = _Verdict("", None, "the topic's name is not UTF-8")
    topic_of = {channel.id: channel.topic for channel in log.channels}
    wanted = {channel.id for channel in log.channels if channel.role in ("image", "unsupported")}
    messages: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    total = 0
    for channel_id, stats in log.stats().items():
        total += stats.messages
        if channel_id in wanted:
            messages[topic_of[channel_id]] += stats.messages
            sizes[topic_of[channel_id]] += stats.bytes
    names = select(set(types), settings.topics, settings.exclude, what="image topic")
    names = [name for name in names if messages[name]]
    verdicts |= _survey(log, {name for name in names if name not in verdicts}, settings, scratch)
    topics = (
        TopicPlan(name, types[name], messages=messages[name], bytes=sizes[name], **verdicts[name]._asdict())
        for name in names
    )
    return Plan(tuple(topics), total)


def _of(
    verdict: _Verdict, messages: int, size: int
) -> tuple[str, int, int, str | None, str, bool, bool, CameraPlan | None]:
    return verdict.encoding, messages, size, *verdict[1:]


def _survey(log: LogReader, names: set[str], settings: Settings, scratch: Path) -> Mapping[str, _Verdict]:
    """What becomes of each topic, by the first of its frames that can be decoded."""
    verdicts: dict[str, _Verdict] = {}
    undecided: dict[str, _Verdict | None] = dict.fromkeys(names)
    tries: Counter[str] = Counter()
    start_ns: int | None = None
    seen: set[tuple[str, int, int]] = set()
    while undecided:
        for message in log.messages(set(undecided), start_ns=start_ns):
            topic = message.channel.topic
            key = (topic, message.log_time_ns, message.position)
            if message.channel.role != "image" or key in seen:
                continue
            seen.add(key)
            verdict = _verdict(log, message, settings, scratch)
            if verdict.codec is None:
                undecided[topic] = verdict = undecided[topic] or verdict
                tries[topic] += 1
                if tries[topic] < _TRIES:
                    continue
            verdicts[topic] = verdict
            del undecided[topic]
            # Again from here without that topic, so that an index can skip it.
            start_ns = message.log_time_ns
            break
        else:
            verdicts |= {topic: verdict or _Verdict("", None, "no image") for topic, verdict in undecided.items()}
            undecided = {}
    return verdicts


def _verdict(log: LogReader, message: Message, settings: Settings, scratch: Path) -> _Verdict:
    """What would become of one message's picture."""
    image: ImageValue | None = None
    how = coding(settings, message.channel.topic)
    try:
        image = log.image(message)
        if settings.of_topic(message.channel.topic).codec == "keep":
            return _kept(image, "it is kept, as was asked for", asked=True)
        if image.kind == "packet":
            return _camera(log, message.channel.topic, image, settings)
        taken = PixelDecoder(how.policy).take(image)
        form = how.form(taken)
        if not isinstance(taken, FileBytes):
            path = scratch / "try.mp4"
            try:
                SegmentWriter(path, how.encoding(form), form.shape).abort()
            finally:
                path.unlink(missing_ok=True)
    except (ImageError, EncodeError) as error:
        if image is None:
            return _Verdict("", None, str(error))
        return _kept(image, str(error), asked=settings.depth == "keep" and _is_any_depth(image))
    return _Verdict(image.encoding, form.codec)


def _camera(log: LogReader, topic: str, image: ImageValue, settings: Settings) -> _Verdict:
    """What would become of a camera's own video, all of which is gone through."""
    found = camera_plan(log, topic, settings.segment_ns)
    if found.segments:
        return _Verdict(image.encoding, "+".join(dict.fromkeys(one.codec for one in found.segments)), camera=found)
    reason = found.reasons[int(found.reason[0])] or "there is no keyframe"
    return _Verdict(image.encoding, None, f"none of its packets can be decoded: the first {reason}")


def _kept(image: ImageValue, reason: str, *, asked: bool) -> _Verdict:
    return _Verdict(image.encoding, None, reason, asked, readable=can_read(image))


def _is_any_depth(image: ImageValue) -> bool:
    if is_zstd(image):
        try:
            image = peek_zstd(image)
        except ImageError:
            return False
    if image.kind == "file":
        return is_depth(image.encoding)
    known = layout(image.encoding)
    return known is not None and known.kind == "gray" and known.deep
