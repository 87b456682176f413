"""The data URI: media inside the reference itself (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import unquote_to_bytes

from mediaref_tools.errors import MediaError, MediaNotFound, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_STILL_BYTES
from mediaref_tools.media.still import Still, encode_still
from mediaref_tools.media.uri import shown
from mediaref_tools.pixels.raster import Format

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

__all__ = ["DataURI"]

_HEAD = re.compile(r"data:(?P<type>[^,]*?)(?P<base64>;[Bb][Aa][Ss][Ee]64)?,", re.IGNORECASE)
_TOKEN = r"[A-Za-z0-9!#$&^_.+-]+"  # RFC 6838, 4.2  # noqa: S105 - no password
_TYPE = re.compile(rf"(?P<essence>{_TOKEN}/{_TOKEN})?(?:;{_TOKEN}=[^;,]*)*")
_DEFAULT_TYPE = "text/plain;charset=US-ASCII"
_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class DataURI:
    """Media bytes and their type, as `data:<mediatype>;base64,<data>`.

    Attributes:
        decoded_data: The media's bytes, such as a whole PNG file.
        mimetype: Its media type, such as "image/png", parameters included.
        uri: The URI's text: the one it was parsed from, else in base64.

    Examples:
        >>> picture = mrt.MediaRef(uri="photo.png").to_ndarray()
        >>> data = mrt.DataURI.from_image(picture, format="jpeg", quality=80)
        >>> data.uri[:30], data.is_image
        ('data:image/jpeg;base64,/9j/4AA', True)
        >>> mrt.MediaRef(uri=data).to_ndarray().shape
        (48, 80, 3)
    """

    decoded_data: bytes
    mimetype: str
    uri: str

    def __len__(self) -> int:
        """Characters of the URI."""
        return len(self.uri)

    def __str__(self) -> str:
        return self.uri

    def __repr__(self) -> str:
        return f"DataURI({self.mimetype!r}, {len(self.decoded_data)} bytes)"

    @property
    def is_image(self) -> bool:
        """Whether the media type is `image/…`."""
        return self.mimetype.lower().startswith("image/")

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, mimetype: str) -> Self:
        """Wrap bytes, in base64.

        Raises:
            RefError: `mimetype` is no media type.
        """
        if not mimetype or not _TYPE.fullmatch(mimetype):
            raise RefError(f"{mimetype!r} is no media type: write it as in 'image/png'")
        return cls(bytes(data), mimetype, f"data:{mimetype};base64,{base64.b64encode(data).decode('ascii')}")

    @classmethod
    def from_image(
        cls,
        image: NDArray[np.uint8] | PIL.Image.Image,
        format: Literal["png", "jpeg", "bmp"] = "png",  # noqa: A002 - the name that scripts use
        quality: int | None = None,
        input_format: Literal["rgb", "bgr", "rgba", "bgra"] = "rgb",
    ) -> Self:
        """Encode a picture and wrap it. PNG keeps alpha; JPEG and BMP drop it.

        Args:
            image: (H, W, 3) or (H, W, 4) uint8 in the order of `input_format` ("rgb" and "bgr" take alpha too), (H, W)
                uint8 gray, or a PIL image, whose own pixels are taken: its EXIF orientation is not applied.
            format: The image file format.
            quality: Of a JPEG, 1 to 100; 90 by default.
            input_format: The order of an array's channels: "bgr" for what OpenCV reads.

        Raises:
            RefError: Not such an image, format or quality.
        """
        return cls.from_bytes(encode_still(image, format, quality, input_format), f"image/{format}")

    @classmethod
    def from_file(cls, path: str | Path, format: str | None = None) -> Self:  # noqa: A002 - the name that scripts use
        """Wrap a file's bytes as they are.

        Args:
            path: The file.
            format: The image format ("png") or media type ("image/png"); else told by the first bytes, else by the
                file's ending.

        Raises:
            MediaNotFound: There is no such file.
            MediaError: It can't be read, is too large, or nothing tells what it is.
        """
        path = Path(path)
        try:
            if path.stat().st_size > MAX_STILL_BYTES:
                raise MediaError(f"file is larger than {MAX_STILL_BYTES} bytes, too large to embed: {path}")
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise MediaNotFound(f"no such file: {path}") from error
        except (OSError, ValueError) as error:
            raise MediaError(f"file can't be read: {error}: {path}") from error
        if format is not None:
            return cls.from_bytes(data, format if "/" in format else f"image/{format.replace('jpg', 'jpeg')}")
        told = sniff(data)
        guessed = told if told != "application/octet-stream" else mimetypes.guess_type(path.name)[0]
        if guessed is None:
            raise MediaError(f"nothing tells what this file is: pass format=: {path}")
        return cls.from_bytes(data, guessed)

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Parse a data URI, in base64 or percent-encoded.

        Raises:
            RefError: It is malformed: not `data:`, no comma, no media type, or broken base64.
            MediaError: It holds more than a still image may.
        """
        match = _HEAD.match(uri)
        if match is None:
            wanted = "has no comma before its data" if uri[:5].lower() == "data:" else "does not begin with 'data:'"
            raise RefError(f"data URI {wanted}: write data:image/png;base64,…: {shown(uri)}")
        kind = _TYPE.fullmatch(match["type"])
        if kind is None:
            raise RefError(
                f"data URI has the media type {match['type'][:60]!r}, expected one like image/png: {shown(uri)}"
            )
        if len(uri) > 2 * MAX_STILL_BYTES:
            raise MediaError(f"data URI of {len(uri)} characters is larger than what is handled: {shown(uri)}")
        mimetype = (
            match["type"] if kind["essence"] else _DEFAULT_TYPE if not match["type"] else f"text/plain{match['type']}"
        )
        return cls(_payload(uri, match.end(), match["base64"] is not None), mimetype, uri)

    def to_ndarray(self, format: Format = "rgb") -> NDArray[np.uint8]:  # noqa: A002 - the name that scripts use
        """Decode the image: shapes and channel orders as in `MediaRef.to_ndarray`.

        Raises:
            RefError: The media type is not an image's.
            MediaError: It can't be decoded.
        """
        return self._still().array(format)

    def to_pil_image(self, format: Literal["rgb", "rgba", "gray"] = "rgb") -> PIL.Image.Image:  # noqa: A002
        """Decode the image, as `MediaRef.to_pil_image` does."""
        return self._still().pil(format)

    def _still(self) -> Still:
        if not self.is_image:
            raise RefError(f"data URI holds {self.mimetype}, no image: {shown(self.uri)}")
        return Still(self.decoded_data, shown(self.uri))


def _payload(uri: str, start: int, is_base64: bool) -> bytes:
    text = uri[start:]
    if "#" in text:
        raise RefError(f"data URI has a '#', which begins a fragment: write %23: {shown(uri)}")
    if _ESCAPED.search(text):
        raise RefError(f"data URI has a '%' that is no escape: write %25: {shown(uri)}")
    if not is_base64:
        return unquote_to_bytes(text)
    if "%" in text:
        text = unquote_to_bytes(text).decode("latin-1")
    # Padding may be left off, as browsers allow; wrong padding, and anything outside of the alphabet, is damage.
    body = text.rstrip("=")
    padding = len(text) - len(body)
    try:
        if padding and padding != -len(body) % 4:
            raise ValueError("wrong padding")
        return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefError(f"data URI has broken base64: {error}: {shown(uri)}") from error
