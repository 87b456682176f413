"""A still image, decoded: by Pillow, and by libavcodec where Pillow would lose 16 bits."""

from __future__ import annotations

import io
import warnings
from typing import cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mediaref_tools.errors import ExtraError, MediaError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_PIXELS, MAX_STILL_BYTES
from mediaref_tools.raster import Format, deep_array, reordered

__all__ = ["Still", "encode_still"]

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, Image.DecompressionBombError)
_PIL_MODES = {"rgb": "RGB", "rgba": "RGBA", "gray": "L"}
_INPUTS = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
_JPEG_QUALITY = 90


class Still:
    """The bytes of an image file. Its EXIF orientation is applied; of an animation, the first picture is taken."""

    def __init__(self, data: bytes, name: str, *, upright: bool = True) -> None:
        """Look at the bytes; nothing is decoded yet.

        Args:
            data: An image file.
            name: What messages call it.
            upright: Whether to turn the picture as its EXIF orientation says.

        Raises:
            MediaError: It is empty or too large.
        """
        self._data, self._name, self._upright = data, name, upright
        if not data:
            raise MediaError(f"image of 0 bytes: {name}")
        if len(data) > MAX_STILL_BYTES:
            raise MediaError(f"image of {len(data)} bytes is larger than {MAX_STILL_BYTES} bytes: {name}")
        self._media_type = sniff(data)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture as `array` gives it, told by the header where that can."""
        try:
            with warnings.catch_warnings(), Image.open(io.BytesIO(self._data)) as image:
                warnings.simplefilter("ignore")
                turned = self._upright and image.getexif().get(274, 1) in (5, 6, 7, 8)
                return (image.width, image.height) if turned else (image.height, image.width)
        except _BROKEN:
            height, width = self.array().shape[:2]
            return height, width

    def array(self, format: Format = "rgb") -> NDArray[np.uint8]:  # noqa: A002 - the name that scripts use
        """Decode to an array.

        Args:
            format: "rgb" or "bgr" for (H, W, 3), "rgba" or "bgra" for (H, W, 4), "gray" for (H, W), all uint8;
                "native" keeps what the file has: (H, W) for gray, (H, W, 3 or 4) in RGB order else, uint16 where it
                has 16 bits, int32 or float32 in such TIFFs.

        Raises:
            RefError: No such format, or it is a video.
            MediaError: It can't be decoded, or has too many pixels.
        """
        if format not in get_args(Format):
            raise RefError(f"format {format!r} is none of {', '.join(get_args(Format))}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._array(format)

    def pil(self, format: str = "rgb") -> Image.Image:  # noqa: A002 - the name that scripts use
        """Decode to a PIL image: format "rgb", "rgba" or "gray"."""
        if format not in _PIL_MODES:
            raise RefError(f"format {format!r} is none of {', '.join(_PIL_MODES)}")
        return Image.fromarray(self.array(cast("Format", format)))

    def _array(self, wanted: Format) -> NDArray[np.uint8]:
        try:
            with Image.open(io.BytesIO(self._data)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise MediaError(
                        f"image of {image.width}x{image.height} pixels is larger than {MAX_PIXELS} pixels: {self._name}"
                    )
                deep = self._deep(image, wanted)
                if deep is not None:
                    return deep
                if self._upright:
                    return self._shallow(ImageOps.exif_transpose(image), wanted)
                return self._shallow(image, wanted)
        except UnidentifiedImageError as error:
            return self._unidentified(wanted, error)
        except _BROKEN as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(f"image can't be decoded ({self._media_type}): {error}: {self._name}") from error

    def _deep(self, image: Image.Image, wanted: Format) -> NDArray[np.uint8] | None:
        """The picture where it has more than 8 bits a channel; None where it has not."""
        if image.mode in ("I", "F"):
            if wanted != "native":
                raise MediaError(
                    f"image has 32-bit {'integer' if image.mode == 'I' else 'float'} pixels, which 8 bits can't show: "
                    f'ask for format="native": {self._name}'
                )
            return np.asarray(ImageOps.exif_transpose(image) if self._upright else image)
        if image.mode.startswith("I;16"):
            upright = ImageOps.exif_transpose(image) if self._upright else image
            gray = np.asarray(upright).astype(np.uint16)
            return _as_format(gray, wanted)
        # Pillow reads 16-bit colour as 8 bits: libavcodec keeps them.
        if wanted == "native" and self._media_type == "image/png" and self._data[24] == 16:
            return self._turned(deep_array("png", self._data, self._name), image)
        return None

    def _turned(self, array: NDArray[np.uint8], image: Image.Image) -> NDArray[np.uint8]:
        """An array, turned as the image's EXIF orientation (TIFF 6.0 tag 274) says."""
        turn = image.getexif().get(274, 1) if self._upright else 1
        if turn in (5, 6, 7, 8):
            array = array.swapaxes(0, 1)
        if turn in (2, 3, 6, 7):
            array = array[:, ::-1]
        if turn in (3, 4, 7, 8):
            array = array[::-1]
        return np.ascontiguousarray(array)

    def _shallow(self, image: Image.Image, wanted: Format) -> NDArray[np.uint8]:
        if wanted == "native":
            gray = image.mode in ("L", "1")
            mode = "L" if gray else "RGBA" if image.has_transparency_data else "RGB"
        else:
            mode = _PIL_MODES[wanted.replace("bgr", "rgb")]
        if image.mode == "P" and image.has_transparency_data:
            image = image.convert("RGBA")
        array: NDArray[np.uint8] = np.asarray(image.convert(mode))
        return np.ascontiguousarray(reordered(array, wanted))

    def _unidentified(self, wanted: Format, error: Exception) -> NDArray[np.uint8]:
        if self._media_type == "image/tiff":  # Pillow knows no TIFF of 16-bit colour
            return _as_format(deep_array("tiff", self._data, self._name), wanted)
        if self._media_type.startswith("video/"):
            raise RefError(
                f"this is a video ({self._media_type}): a reference to one of its frames has pts_ns: {self._name}"
            ) from error
        if self._media_type in ("image/avif", "image/jxl"):
            raise ExtraError(f"this Pillow can't decode {self._media_type}: upgrade it: {self._name}") from error
        told = "" if self._media_type == "application/octet-stream" else f" ({self._media_type})"
        raise MediaError(
            f"not an image that can be decoded{told}, it begins with {self._data[:8]!r}: {self._name}"
        ) from error


def _as_format(array: NDArray[np.uint16] | NDArray[np.uint8], wanted: Format) -> NDArray[np.uint8]:
    """A gray or colour array of 8 or 16 bits in a format; 16 bits are cut to their upper 8 in all but "native"."""
    if wanted == "native":
        return cast("NDArray[np.uint8]", array)
    eight = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array.astype(np.uint8)
    image = Image.fromarray(eight).convert(_PIL_MODES[wanted.replace("bgr", "rgb")])
    return np.ascontiguousarray(reordered(np.asarray(image), wanted))


def encode_still(
    image: NDArray[np.uint8] | Image.Image, file_format: str, quality: int | None = None, order: str = "rgb"
) -> bytes:
    """A picture as an image file: "png" keeps alpha, "jpeg" and "bmp" drop it. `order` is an array's channel order.

    Raises:
        RefError: Not such an image, format, quality or order.
    """
    if file_format not in ("png", "jpeg", "bmp"):
        raise RefError(f"format {file_format!r} is none of png, jpeg, bmp")
    if quality is not None and not 1 <= quality <= 100:
        raise RefError(f"quality {quality} is not from 1 to 100")
    picture = image if isinstance(image, Image.Image) else _picture(image, order)
    if file_format != "png":
        picture = picture.convert("L" if picture.mode == "L" else "RGB")
    stream = io.BytesIO()
    options = {"quality": _JPEG_QUALITY if quality is None else quality} if file_format == "jpeg" else {}
    picture.save(stream, file_format, **options)
    return stream.getvalue()


def _picture(array: NDArray[np.uint8], order: str) -> Image.Image:
    if order not in _INPUTS:
        raise RefError(f"input_format {order!r} is none of {', '.join(_INPUTS)}")
    array = np.asarray(array)
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == _INPUTS[order])
    if array.dtype != np.uint8 or not fits or 0 in array.shape:
        raise RefError(
            f"image array of shape {array.shape} and dtype {array.dtype}: expected uint8 (H, W) or "
            f"(H, W, {_INPUTS[order]}) for input_format {order!r}"
        )
    return Image.fromarray(np.ascontiguousarray(array if array.ndim == 2 else reordered(array, cast("Format", order))))
