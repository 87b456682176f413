"""The manifest: what a dataset holds, where it came from, and what a decoder needs to know of each segment."""

from __future__ import annotations

from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.errors import DatasetError, MediarefError
from mediaref_tools.log import OpenOptions, RecordKind
from mediaref_tools.media.storage import StorageOptions, open_remote
from mediaref_tools.media.uri import member, shown
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.report import KeptTopic, LossReport
from mediaref_tools.segments.tuning import DEFAULT_CODEC, TUNINGS, Purpose

__all__ = [
    "FORMAT_VERSION",
    "Manifest",
    "Segment",
    "SegmentCodec",
    "Settings",
    "Source",
    "SourceChannel",
    "Tool",
    "TopicCodec",
    "TopicEntry",
]

FORMAT_VERSION: Final = 3
"""2 added `source_framing` to the frames table, 3 what messages are restored of; datasets of 1 and 2 are read."""

Codec = Literal["h264", "av1", "copy", "lossless"]
SegmentCodec = Literal["h264", "h265", "vp9", "av1", "ffv1", "mjpeg", "png"]


_MOST_BYTES: Final = 2**28  # of what a server sends
_COPIED: Final = {"copy": frozenset({"image/jpeg", "image/png"}), "lossless": frozenset({"image/jpeg"})}


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(_Model):
    """What wrote the dataset."""

    name: str = "mediaref-tools"
    version: str
    av: str = Field(description="PyAV")
    libavcodec: str


class TopicCodec(_Model):
    """A codec of their own for the topics that match a glob. None is what the settings say for all."""

    glob: str
    codec: Literal["h264", "av1", "copy", "lossless", "keep"]
    crf: int | None = Field(default=None, ge=0, le=63)
    gop: int | None = Field(default=None, ge=1, le=1000)


class Settings(_Model):
    """How a log is converted.

    What 8-bit video would lose is coded without loss whatever the codec: 16-bit images, Bayer mosaics, transparency. A
    camera's own video is never coded anew.

    Args:
        topics, exclude: Globs of topic names; a topic is converted if it matches one of `topics` and none of
            `exclude`.
        purpose: What the dataset is for, which sets encoders: "play" for all uses; "train" for the least work of a
            decoder, in larger files; "archive" for the least bytes, in much more time.
        codec: Where it is not told, av1 for "archive", else h264. "h264" and "av1" are lossy; "copy" keeps the bytes
            of JPEG and PNG files and codes all else without loss; "lossless" keeps those of JPEG alone.
        crf, gop: crf None is the codec's default; gop is the distance between keyframes, in frames: 15 where it is not
            told, 10 for "train", 60 for "archive".
        topic_codecs: Other choices for some topics; of several globs that match, the last counts.
        debayer: Bayer mosaics become colour video.
        depth: "ffv1" codes compressedDepth without loss, too, instead of keeping it; "keep" keeps raw 16-bit gray
            as well.
        record: "typed" keeps the image's header; "string" is the seed's `std_msgs/String` of JSON.
        segment_ns: A segment's length at most.
        fps: Pictures a second, for a log whose container has no times (HDF5): a number, or a text such as "30000/1001".
        profile: The convention that such a log follows: "aloha", "robomimic" …
        swap_rb: Red and blue of such a log's pictures are swapped, and are to be corrected.
        min_psnr_db, min_ssim: Instead of crf, what the first percentile over a segment's frames, of luma, is at least:
            the cheapest crf that reaches it is searched for each segment.
        target_ratio: Instead of crf, bytes of video to bytes of image messages, at most: the best crf that reaches it
            is searched for each segment.
    """

    topics: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    purpose: Purpose = "play"
    codec: Codec = "h264"
    crf: int | None = Field(default=None, ge=0, le=63)
    gop: int = Field(default=15, ge=1, le=1000)
    topic_codecs: tuple[TopicCodec, ...] = ()
    debayer: bool = False
    depth: Literal["keep", "ffv1"] | None = None
    record: RecordKind = "typed"
    segment_ns: int = Field(default=60_000_000_000, ge=1_000_000)
    fps: str | None = None
    profile: str | None = None
    swap_rb: bool = False
    min_psnr_db: float | None = Field(default=None, ge=20, le=100)
    min_ssim: float | None = Field(default=None, gt=0, lt=1)
    target_ratio: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _by_purpose(cls, values: Any) -> Any:
        """Choose codec and gop where they are not told."""
        if not isinstance(values, dict) or values.get("purpose", "play") not in TUNINGS:
            return values
        purpose: Purpose = values.get("purpose", "play")
        codec = values.get("codec", DEFAULT_CODEC[purpose])
        lossy = codec if codec in ("h264", "av1") else DEFAULT_CODEC[purpose]
        return {"codec": codec, "gop": TUNINGS[purpose][lossy].gop, **values}

    @model_validator(mode="after")
    def _one_quality(self) -> Self:
        floor = self.min_psnr_db is not None or self.min_ssim is not None
        if (self.crf is not None) + floor + (self.target_ratio is not None) > 1:
            raise ValueError("of crf, a floor (min_psnr_db, min_ssim) and target_ratio only one can be given")
        return self

    @field_validator("fps", mode="before")
    @classmethod
    def _exact(cls, value: object) -> object:
        """A number as the fraction that it is written as: 29.97 is 2997/100."""
        if value is None:
            return None
        try:
            fps = Fraction(str(value))
        except ZeroDivisionError as error:
            raise ValueError(f"fps {value!r} is no number") from error
        if not 0 < fps <= 1000:
            raise ValueError(f"fps {value!r} is not in the range 0<x<=1000")
        return str(fps)

    @property
    def opening(self) -> OpenOptions:
        """What these settings say of the log itself."""
        fps = None if self.fps is None else Fraction(self.fps)
        return OpenOptions(fps, self.profile, self.swap_rb, self.topics)

    def of_topic(self, topic: str) -> TopicCodec:
        """What holds for one topic. `crf` is None where it is the codec's default."""
        chosen = next((one for one in reversed(self.topic_codecs) if fnmatchcase(topic, one.glob)), None)
        if chosen is None:
            return TopicCodec(glob=topic, codec=self.codec, crf=self.crf, gop=self.gop)
        # The settings' own crf is on their own codec's scale.
        crf = self.crf if chosen.crf is None and chosen.codec == self.codec else chosen.crf
        return TopicCodec(glob=topic, codec=chosen.codec, crf=crf, gop=self.gop if chosen.gop is None else chosen.gop)

    def policy(self, topic: str) -> Policy:
        """How a topic's pictures are decoded."""
        codec = self.of_topic(topic).codec
        copied = _COPIED.get(codec, frozenset())
        return Policy(lossless=codec in _COPIED, copied=copied, debayer=self.debayer, depth=self.depth)


class Source(_Model):
    """The log as it was. The sha256 of a folder is over the sorted names, sizes and sha256 of its files."""

    name: str
    container: str
    bytes: int
    sha256: str
    messages: int
    start_ns: int | None
    end_ns: int | None


class Segment(_Model):
    """One video file, with all that its decoder needs, so that nobody has to open it to read a frame.

    `width` and `height` are the picture's; the coded size may be larger (even, at least 16), the picture in its
    upper left corner. Times are log times.
    """

    uri: str
    codec: SegmentCodec
    extradata: str = Field(description="base64 of the decoder's configuration (avcC, hvcC, av1C …)")
    width: int
    height: int
    coded_width: int
    coded_height: int
    pixel_format: str
    color_range: str
    color_space: str
    frames: int
    first_log_time_ns: int
    last_log_time_ns: int
    bytes: int
    sha256: str

    @property
    def holds_files(self) -> bool:
        """Whether its packets are image files as they were."""
        return self.codec in ("mjpeg", "png")


class SourceChannel(_Model):
    """One of a topic's channels, as the source declared it; see `mediaref_tools.log.Channel`."""

    type: str
    encoding: str
    definition: str = Field(description="base64 of the schema or message definition")
    attributes: dict[str, str]
    images: bool = Field(description="whether its messages are records now")


class TopicEntry(_Model):
    """One topic that became video."""

    topic: str
    type: str
    frames: int = Field(description="image messages: rows of the frames table")
    embedded: int
    bytes_in: int = Field(description="image message payloads in the source")
    bytes_out: int = Field(description="segments, and embedded frames' own bytes")
    psnr_mean_db: float | None
    psnr_p1_db: float | None
    reason: str | None
    segments: tuple[Segment, ...]
    channels: tuple[SourceChannel, ...] = Field(
        default=(), description="in the order of the rewritten log's; none in datasets of format 1 and 2"
    )

    @property
    def codec(self) -> str:
        """The codec of its segments; several are joined by "+"."""
        return "+".join(dict.fromkeys(segment.codec for segment in self.segments)) or "none"


class Manifest(_Model):
    """`manifest.json` of a dataset."""

    format_version: Literal[1, 2, 3] = FORMAT_VERSION
    mediaref_spec: Literal["1.0"] = "1.0"
    tool: Tool
    source: Source
    settings: Settings
    log: str = Field(description="the rewritten log, relative to the dataset")
    messages: int = Field(description="in the rewritten log")
    topics: tuple[TopicEntry, ...]
    copied_digest: str | None = Field(
        default=None, description="sum of the 128-bit hashes of all messages that are no records; none before format 3"
    )
    kept: tuple[KeptTopic, ...]
    losses: tuple[LossReport, ...]
    warnings: tuple[str, ...]

    @classmethod
    def read(cls, dataset: Path | str, storage_options: StorageOptions | None = None) -> Manifest:
        """Read a dataset's manifest.

        Args:
            dataset: Its folder; a `str` is a uri.
            storage_options: For fsspec.

        Raises:
            DatasetError: There is none, or it is not one that this version can read.
            MediarefError: The uri's storage does not give it.
        """
        path = dataset / MANIFEST if isinstance(dataset, Path) else shown(member(dataset, MANIFEST))
        try:
            return cls.model_validate_json(_content(dataset, storage_options))
        except FileNotFoundError:
            name = dataset if isinstance(dataset, Path) else shown(dataset)
            raise DatasetError(
                f"no {MANIFEST}: a dataset is a folder that `mediaref convert LOG --out FOLDER` made: {name}"
            ) from None
        except MediarefError:
            raise
        except OSError as error:
            raise DatasetError(f"{MANIFEST} can't be read: {error.strerror or error}: {path}") from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole file"
            raise DatasetError(
                f"{MANIFEST} is not one that this version (format {FORMAT_VERSION}) can read: {where}: {first['msg']}; "
                f"convert again, or use the version that wrote it: {path}"
            ) from error

    def write(self, dataset: Path) -> None:
        """Write it into a dataset folder."""
        (dataset / MANIFEST).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _content(dataset: Path | str, storage_options: StorageOptions | None) -> bytes:
    if isinstance(dataset, Path):
        return (dataset / MANIFEST).read_bytes()
    uri = member(dataset, MANIFEST)
    with open_remote(uri, storage_options) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise DatasetError(f"{MANIFEST} is larger than {_MOST_BYTES} bytes: {shown(uri)}")
    return data
