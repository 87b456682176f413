"""The manifest: what a dataset holds, where it came from, and what a decoder needs to know of each segment."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mediaref_tools.dataset.layout import MANIFEST
from mediaref_tools.errors import DatasetError
from mediaref_tools.log import OpenOptions, RecordKind
from mediaref_tools.report import KeptTopic, LossReport

__all__ = ["FORMAT_VERSION", "Manifest", "Segment", "Settings", "Source", "Tool", "TopicEntry"]

FORMAT_VERSION: Final = 1

Codec = Literal["h264", "av1"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tool(_Model):
    """What wrote the dataset."""

    name: str = "mediaref-tools"
    version: str
    av: str = Field(description="PyAV")
    libavcodec: str


class Settings(_Model):
    """How a log is converted.

    Args:
        topics, exclude: Globs of topic names; a topic is converted if it matches one of `topics` and none of
            `exclude`.
        codec, crf, gop: crf None is the codec's default; gop is the distance between keyframes, in frames.
        record: "typed" keeps the image's header; "string" is the seed's `std_msgs/String` of JSON.
        segment_ns: A segment's length at most.
        fps: Pictures a second, for a log whose container has no times (HDF5): a number, or a text such as "30000/1001".
        profile: The convention that such a log follows: "aloha", "robomimic" …
        swap_rb: Red and blue of such a log's pictures are swapped, and are to be corrected.
    """

    topics: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    codec: Codec = "h264"
    crf: int | None = Field(default=None, ge=0, le=63)
    gop: int = Field(default=15, ge=1, le=1000)
    record: RecordKind = "typed"
    segment_ns: int = Field(default=60_000_000_000, ge=1_000_000)
    fps: str | None = None
    profile: str | None = None
    swap_rb: bool = False

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
    codec: Codec
    extradata: str = Field(description="base64 of the decoder's configuration record (avcC, av1C)")
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


class Manifest(_Model):
    """`manifest.json` of a dataset."""

    format_version: Literal[1] = FORMAT_VERSION
    mediaref_spec: Literal["1.0"] = "1.0"
    tool: Tool
    source: Source
    settings: Settings
    log: str = Field(description="the rewritten log, relative to the dataset")
    messages: int = Field(description="in the rewritten log")
    topics: tuple[TopicEntry, ...]
    kept: tuple[KeptTopic, ...]
    losses: tuple[LossReport, ...]
    warnings: tuple[str, ...]

    @classmethod
    def read(cls, dataset: Path) -> Manifest:
        """Read a dataset's manifest.

        Raises:
            DatasetError: There is none, or it is not one that this version can read.
        """
        path = dataset / MANIFEST
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise DatasetError(
                f"no {MANIFEST}: a dataset is a folder that `mediaref convert LOG --out FOLDER` made: {dataset}"
            ) from None
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
