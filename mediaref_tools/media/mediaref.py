"""The MediaRef value: a pointer to one still image or one video frame (MediaRef Specification 1.0)."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Annotated, Any, Literal, SupportsIndex

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mediaref_tools.errors import RefError
from mediaref_tools.media.uri import is_relative, joined, normalised, scheme, shown

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

    from mediaref_tools.media.datauri import DataURI
    from mediaref_tools.media.opening import DecoderName
    from mediaref_tools.media.storage import StorageOptions
    from mediaref_tools.pixels.raster import Format

__all__ = ["MediaRef", "fault"]

INT64_MAX = 2**63 - 1
_EXACT = 2**53  # up to here, a float names one integer


def _text(value: object) -> object:
    """A `DataURI` is its text. Another reference is not: its `pts_ns` would be lost."""
    uri = getattr(value, "uri", None)
    return uri if isinstance(uri, str) and not isinstance(value, (str, BaseModel)) else value


def _integer(value: object) -> object:
    """NumPy's integers, and floats that are whole and exact, as ints; all else is left for pydantic to judge."""
    if isinstance(value, bool):
        raise ValueError("pts_ns is a number of nanoseconds, not a truth value")  # noqa: TRY004 - pydantic wraps it
    if isinstance(value, float):
        if not value.is_integer() or abs(value) > _EXACT:
            raise ValueError(f"pts_ns is a whole number of nanoseconds: {value!r} is a float that names none exactly")
        return int(value)
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return value


class MediaRef(BaseModel):
    """A pointer to one frame: `uri` names the media, `pts_ns` the frame's time from the stream's start.

    Two references are equal, and have one hash, when they are equivalent: the same uri after RFC 3986 normalisation
    (`data:` uris verbatim), and the same `pts_ns`.

    Args:
        uri: A POSIX path (relative ones belong to a base that the consumer knows), an RFC 3986 URI, an RFC 2397 data
            URI, or a `DataURI`.
        pts_ns: Nanoseconds on the clock of the container, 0 to 2**63 - 1; None for a still image.

    Raises:
        pydantic.ValidationError: A ValueError, on an empty uri, a `pts_ns` out of range, or any other field.

    Examples:
        >>> ref = mrt.MediaRef(uri="clips/clip.mp4", pts_ns=500_000_000)
        >>> ref.to_ndarray().shape  # the frame on screen half a second in
        (480, 640, 3)
        >>> mrt.MediaRef(uri="photo.png").to_ndarray("gray").shape
        (48, 80)
        >>> ref.to_json()
        '{"uri":"clips/clip.mp4","pts_ns":500000000}'
        >>> mrt.MediaRef.model_validate_json('{"uri": "photo.png", "pts_ns": null}')
        MediaRef(uri='photo.png')
        >>> len({mrt.MediaRef(uri="s3://bucket/%7Eme/a.png"), mrt.MediaRef(uri="S3://bucket/./~me/a.png")})
        1
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        json_schema_extra={
            "description": "A pointer to one still image or one video frame (MediaRef Specification 1.0). uri: an RFC "
            "3986 URI, an RFC 2397 data URI or a POSIX path. pts_ns: nanoseconds on the clock of the video's "
            "container; null or absent for a still image."
        },
    )

    uri: Annotated[str, Field(min_length=1)]
    pts_ns: Annotated[int, Field(ge=0, le=INT64_MAX)] | None = None

    if TYPE_CHECKING:  # what the validators below take, for type checkers

        def __init__(self, *, uri: str | DataURI, pts_ns: SupportsIndex | float | None = None) -> None: ...

    _uri_text = field_validator("uri", mode="before")(_text)
    _pts_integer = field_validator("pts_ns", mode="before")(_integer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MediaRef):
            return NotImplemented
        return self.pts_ns == other.pts_ns and (self.uri == other.uri or normalised(self.uri) == normalised(other.uri))

    def __hash__(self) -> int:
        return hash((normalised(self.uri), self.pts_ns))

    def __repr__(self) -> str:
        pts = "" if self.pts_ns is None else f", pts_ns={self.pts_ns}"
        return f"MediaRef(uri={shown(self.uri)!r}{pts})"

    def __str__(self) -> str:
        return repr(self)

    @property
    def is_embedded(self) -> bool:
        """Whether the media is inside the uri itself (`data:`)."""
        return scheme(self.uri) == "data"

    @property
    def is_video(self) -> bool:
        """Whether this points to a frame of a video."""
        return self.pts_ns is not None

    @property
    def is_remote(self) -> bool:
        """Whether the media is fetched over `http:` or `https:`."""
        return scheme(self.uri) in ("http", "https")

    @property
    def is_cloud_uri(self) -> bool:
        """Whether the uri goes to fsspec: any scheme but `file:` and `data:`, so `http:` too."""
        return scheme(self.uri) not in ("", "file", "data")

    @property
    def is_relative_path(self) -> bool:
        """Whether the uri is a path that a base folder must complete."""
        return is_relative(self.uri)

    def to_json(self) -> str:
        """The specification's preferred JSON: a still has no `pts_ns` key."""
        return self.model_dump_json(exclude_none=True)

    def to_ndarray(
        self,
        format: Format = "rgb",  # noqa: A002 - the name that scripts use
        *,
        decoder: DecoderName = "pyav",
        decoder_options: Mapping[str, Any] | None = None,
        storage_options: StorageOptions | None = None,
    ) -> NDArray[np.uint8]:
        """Decode the picture.

        Args:
            format: "rgb" or "bgr" for (H, W, 3), "rgba" or "bgra" for (H, W, 4), "gray" for (H, W), all uint8;
                "native" keeps gray as (H, W), and what has more than 8 bits as uint16.
            decoder: For video: "pyav" or "torchcodec".
            decoder_options: For the decoder, such as `{"device": "cuda"}`.
            storage_options: For fsspec, such as `{"anon": True}`.

        Raises:
            RefError: The uri is malformed, or `pts_ns` is missing or too much for what it names.
            MediaNotFound: There is nothing there.
            MediaError: It can't be decoded.
            FrameError: `pts_ns` is outside of the video's stream.
            ExtraError: A package for it is not installed.
        """
        from mediaref_tools.media.opening import open_still, open_video

        if self.pts_ns is None:
            return open_still(self.uri, storage_options).array(format)
        with open_video(self.uri, decoder, decoder_options, storage_options) as video:
            ((_, frame),) = video.frames_at([self.pts_ns], format)
            return frame.data

    def to_pil_image(
        self,
        format: Literal["rgb", "rgba", "gray"] = "rgb",  # noqa: A002 - the name that scripts use
        *,
        decoder: DecoderName = "pyav",
        decoder_options: Mapping[str, Any] | None = None,
        storage_options: StorageOptions | None = None,
    ) -> PIL.Image.Image:
        """Decode the picture as a PIL image, 8 bits a channel. Arguments and errors as `to_ndarray`."""
        from PIL import Image

        if format not in ("rgb", "rgba", "gray"):
            raise RefError(f"format {format!r} is none of rgb, rgba, gray")
        return Image.fromarray(
            self.to_ndarray(format, decoder=decoder, decoder_options=decoder_options, storage_options=storage_options)
        )

    def resolve_relative_path(
        self, base_path: str | PathLike[str], on_unresolvable: Literal["error", "warn", "ignore"] = "warn"
    ) -> MediaRef:
        """The same reference with its relative path completed by a base folder; absolute ones come back unchanged.

        This trusts the reference: `..` may lead out of the folder. `open_dataset` does not.

        Args:
            base_path: A folder, or the uri of one (`s3://bucket/run`).
            on_unresolvable: What to do with a `data:` or cloud uri, which no folder completes: refuse, warn and return
                it unchanged, or just that.

        Raises:
            RefError: It can't be resolved, and `on_unresolvable` is "error".
        """
        if on_unresolvable not in ("error", "warn", "ignore"):
            raise RefError(f"on_unresolvable {on_unresolvable!r} is none of error, warn, ignore")
        if self.is_embedded or self.is_cloud_uri:
            message = f"no folder completes this uri, it is absolute: {shown(self.uri)}"
            if on_unresolvable == "error":
                raise RefError(message)
            if on_unresolvable == "warn":
                warnings.warn(message, stacklevel=2)
            return self
        if not self.is_relative_path:
            return self
        return MediaRef(uri=joined(fspath(base_path), self.uri), pts_ns=self.pts_ns)

    def validate_uri(self, *, storage_options: StorageOptions | None = None) -> bool:
        """Whether there is something where the uri points; what is embedded is there.

        Raises:
            MediarefError: Its storage can't be asked.
        """
        from mediaref_tools.media.storage import exists

        return exists(self.uri, storage_options)


def fault(error: ValidationError) -> str:
    """What is wrong with a value that was to be a MediaRef, in one line: the field, and why."""
    first = error.errors()[0]
    return "".join(f"{part}: " for part in first["loc"]) + first["msg"]
