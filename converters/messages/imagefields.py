"""What an image message says, whatever it is serialised as, checked and made an image value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageKind, ImageValue, video_codec
from mediaref_tools.log import Message

from .envelope import Envelope

__all__ = ["FOXGLOVE", "PLAIN", "Fields", "broken", "image_value", "nanoseconds"]

Fields = Mapping[str, Any]
"""Values by field name, None or absent where the message has none: `data` (bytes or a view of them), `timestamp` (int
nanoseconds), `frame_id`, `format` or `encoding` (str), `width`, `height`, `step`, `is_bigendian`, `pts` (int)."""

FOXGLOVE: Final[Mapping[str, ImageKind]] = {
    "foxglove.RawImage": "raw",
    "foxglove.CompressedImage": "file",
    "foxglove.CompressedVideo": "packet",
}
"""Foxglove's image types, as protobuf, JSON and FlatBuffers spell them (https://docs.foxglove.dev, message schemas)."""

PLAIN: Final = ("frame_id", "format", "encoding", "width", "height", "step")
"""Their fields that are text or a number; the others are `timestamp` and `data`."""

_UNSIGNED = {"width": 32, "height": 32, "step": 32, "is_bigendian": 8, "pts": 64}
_TEXTS = ("frame_id", "format", "encoding")


def broken(message: Message, reason: object) -> ImageError:
    """The error that a message does not hold what its channel says."""
    text = (str(reason) or type(reason).__name__)[:300]
    return ImageError(
        f"message of {message.channel.type} at log time {message.log_time_ns} can't be deserialised from its "
        f"{len(message.data)} bytes: {text}"
    )


def nanoseconds(seconds: int, fraction: int) -> int:
    """A time of two integers, in nanoseconds.

    Raises:
        ImageError: They are no integers, or no 64 bits hold the time.
    """
    if type(seconds) is not int or type(fraction) is not int:
        raise ImageError(f"its time is ({seconds!r:.40}, {fraction!r:.40}): expected integers")
    stamp_ns = seconds * 1_000_000_000 + fraction
    if not -(2**63) <= stamp_ns < 2**63:
        raise ImageError(f"its time of {seconds} s is not within 292 years of 1970")
    return stamp_ns


def image_value(message: Message, kind: ImageKind, fields: Fields, envelope: Envelope | None) -> ImageValue:
    """The image value of a message's fields.

    Args:
        message: Where they are from.
        kind: What its type stands for; a file whose format names a video codec is a packet nonetheless, as cameras
            send H.264 in a CompressedImage.
        fields: Its fields.
        envelope: All else.

    Raises:
        ImageError: A field is not what its name says.
    """
    data = fields.get("data")
    if not isinstance(data, bytes | memoryview):
        raise broken(message, f"its data is of type {type(data).__name__}: expected bytes")
    texts = {name: _text(message, name, fields.get(name)) for name in _TEXTS}
    numbers = {name: _unsigned(message, name, fields.get(name)) for name in _UNSIGNED}
    encoding = texts["encoding"] or texts["format"]
    if kind == "file" and video_codec(encoding) is not None:
        kind = "packet"
    return ImageValue(
        data,
        encoding,
        kind=kind,
        height=numbers["height"],
        width=numbers["width"],
        step=numbers["step"],
        is_bigendian=bool(numbers["is_bigendian"]),
        stamp_ns=fields.get("timestamp"),
        frame_id=texts["frame_id"],
        type=message.channel.type,
        counter=None if fields.get("pts") is None else numbers["pts"],
        envelope=None if envelope is None else envelope.pack(),
    )


def _text(message: Message, name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise broken(message, f"its {name} is of type {type(value).__name__}: expected text")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half of a pair, which JSON can spell and no table can hold
        raise broken(message, f"its {name} is no Unicode text: {error.reason}") from error
    return value


def _unsigned(message: Message, name: str, value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or not 0 <= value < 1 << _UNSIGNED[name]:
        raise broken(message, f"its {name} is {value!r:.40}: expected an unsigned integer of {_UNSIGNED[name]} bits")
    return int(value)
