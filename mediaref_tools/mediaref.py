"""The MediaRef value: a pointer to one still image or one video frame (MediaRef Specification 1.0)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["MediaRef"]

INT64_MAX = 2**63 - 1


class MediaRef(BaseModel):
    """A pointer to one frame: `uri` names the media, `pts_ns` the frame's time from the stream's start.

    Args:
        uri: A POSIX path (relative ones belong to a base that the consumer knows), an RFC 3986 URI, or an
            RFC 2397 data URI.
        pts_ns: Nanoseconds from the stream's start, 0 to 2**63 - 1; None for a still image.

    Raises:
        pydantic.ValidationError: On an empty uri, a `pts_ns` out of range, or any other field.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    uri: Annotated[str, Field(min_length=1)]
    pts_ns: Annotated[int, Field(ge=0, le=INT64_MAX)] | None = None

    @property
    def is_embedded(self) -> bool:
        """Whether the media is inside the uri itself (`data:`)."""
        return self.uri[:5].lower() == "data:"

    @property
    def is_video(self) -> bool:
        """Whether this points to a frame of a video."""
        return self.pts_ns is not None

    def to_json(self) -> str:
        """The specification's canonical JSON: a still has no `pts_ns` key."""
        return self.model_dump_json(exclude_none=True)
