"""A still image, decoded: by Pillow, and by libavcodec where Pillow would lose 16 bits."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from mediaref_tools.errors import ExtraError, MediaError, MediarefError, RefError
from mediaref_tools.image import sniff
from mediaref_tools.limits import MAX_PIXELS, MAX_STILL_BYTES
from mediaref_tools.pixels.raster import Format, check_format, deep_array, reordered

__all__ = ["Still", "encode_still"]

_PIL_MODES = {"rgb": "RGB", "rgba": "RGBA", "gray": "L"}
_INPUTS = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
_PLUGINS = {  # Pillow's own name, and the package that brings it where Pillow does not
    "image/avif": ("AVIF", "pillow-avif-plugin"),
    "image/heic": ("HEIF", "pillow-heif"),
    "image/jxl": ("JXL", "pillow-jxl-plugin"),
}
_JPEG_QUALITY = 90
_ORIENTATION = 274  # TIFF 6.0, and EXIF
_BITS_PER_SAMPLE = 258
_SIDEWAYS = (5, 6, 7, 8)
_PNG_EXIF = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")  # where Pillow looks for the orientation
_UNDONE = {6: 8, 8: 6}  # the others undo themselves


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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                with Image.open(io.BytesIO(self._data)) as image:
                    sideways = self._turn(image) in _SIDEWAYS
                    return (image.width, image.height) if sideways else (image.height, image.width)
            except Exception:  # as in `_array`
                height, width = self._array("native").shape[:2]
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
        check_format(format)
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
                if image.format == "EPS":  # a program, which Pillow hands to another program to draw
                    raise MediaError(f"EPS is no image that is decoded: {self._name}")
                if image.format == "PNG" and _is_damaged(self._data):
                    raise MediaError(f"image is damaged or cut: a checksum of its pixels is wrong: {self._name}")
                # A TIFF's is gone once it is loaded. A PNG's may follow the pixels, and asking for it loads them: first
                # comes the load that says what is wrong with them.
                turn = self._turn(image) if image.format == "TIFF" else 1
                image.load()
                turn = turn if image.format == "TIFF" else self._turn(image)
                if wanted == "native" and self._has_deep_colour(image):
                    return self._deep(turn)
                return _turned(self._pixels(image, wanted), turn)
        except MediarefError:
            raise
        except UnidentifiedImageError as error:
            return self._unidentified(wanted, error)
        except Exception as error:  # Pillow's decoders raise what they stumble over, such as struct.error
            raise MediaError(f"image can't be decoded ({self._media_type}): {error}: {self._name}") from error

    def _turn(self, image: Image.Image) -> int:
        """The EXIF orientation that the loaded picture is still to be turned by; 1 is none."""
        if image.format == "PNG" and not any(mark in self._data for mark in _PNG_EXIF):
            return 1
        try:
            turn = int(image.getexif().get(_ORIENTATION, 1))
        except Exception:  # a picture can be whole where what is told about it is not
            return 1
        if image.format == "TIFF":  # which Pillow turns itself
            return 1 if self._upright else _UNDONE.get(turn, turn)
        return turn if self._upright else 1

    def _has_deep_colour(self, image: Image.Image) -> bool:
        """Whether it has colours of 16 bits, which Pillow reads as 8, but libavcodec as they are."""
        if image.mode not in ("RGB", "RGBA"):
            return False
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            return 16 in image.tag_v2.get(_BITS_PER_SAMPLE, ())
        return self._media_type == "image/png" and self._data[24] == 16

    def _deep(self, turn: int) -> NDArray[np.uint8]:
        """The picture as libavcodec decodes it, natively. `turn` is a PNG's: a TIFF's own is read here."""
        if self._media_type == "image/tiff":
            turn = _tiff_turn(self._data) if self._upright else 1
        return _turned(deep_array(self._media_type.removeprefix("image/"), self._data, self._name), turn)

    def _pixels(self, image: Image.Image, wanted: Format) -> NDArray[np.uint8]:
        if image.mode in ("I", "F"):
            if wanted != "native":
                raise MediaError(
                    f"image has 32-bit {'integer' if image.mode == 'I' else 'float'} pixels, which 8 bits can't show: "
                    f'ask for format="native": {self._name}'
                )
            return np.array(image)
        if image.mode.startswith("I;16"):
            return _as_format(np.array(image).astype(np.uint16), wanted)
        return self._shallow(image, wanted)

    def _shallow(self, image: Image.Image, wanted: Format) -> NDArray[np.uint8]:
        if wanted == "native":
            gray = image.mode in ("L", "1")
            mode = "L" if gray else "RGBA" if image.has_transparency_data else "RGB"
        else:
            mode = _PIL_MODES[wanted.replace("bgr", "rgb")]
        return _writable(np.asarray(image.convert(mode)), wanted)

    def _unidentified(self, wanted: Format, error: Exception) -> NDArray[np.uint8]:
        if self._media_type == "image/tiff":  # some of 16-bit colour, Pillow does not know
            return _as_format(self._deep(1), wanted)
        if self._media_type.startswith("video/"):
            raise RefError(
                f"this is a video ({self._media_type}): a reference to one of its frames has pts_ns: {self._name}"
            ) from error
        plugin, package = _PLUGINS.get(self._media_type, ("PNG", ""))
        if plugin not in Image.OPEN:
            raise ExtraError(
                f"this Pillow can't decode {self._media_type}: install {package} and register it: {self._name}"
            ) from error
        told = "" if self._media_type == "application/octet-stream" else f" ({self._media_type})"
        raise MediaError(
            f"not an image that can be decoded{told}, it begins with {self._data[:8]!r}: {self._name}"
        ) from error


def _as_format(array: NDArray[np.uint16] | NDArray[np.uint8], wanted: Format) -> NDArray[np.uint8]:
    """A gray or colour array of 8 or 16 bits in a format; 16 bits are cut to their upper 8 in all but "native"."""
    if wanted == "native":
        return cast("NDArray[np.uint8]", array)
    eight = (array >> 8).astype(np.uint8) if array.dtype == np.uint16 else array.astype(np.uint8)
    return _writable(np.asarray(Image.fromarray(eight).convert(_PIL_MODES[wanted.replace("bgr", "rgb")])), wanted)


def _writable(array: NDArray[np.uint8], wanted: Format) -> NDArray[np.uint8]:
    """Pillow's own memory, which is read-only, copied in the order that a format names."""
    return np.array(reordered(array, wanted), order="C")


def _turned(array: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """An array, turned as an EXIF orientation says."""
    if turn in _SIDEWAYS:
        array = array.swapaxes(0, 1)
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def _is_damaged(png: bytes) -> bool:
    """Whether a checksum of the pixels is wrong, which Pillow does not look at."""
    whole, at = memoryview(png), 8
    while at + 8 <= len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        end = at + 8 + size
        if kind == b"IDAT" and zlib.crc32(whole[at + 4 : end]) != int.from_bytes(whole[end : end + 4]):
            return True
        at = end + 4
    return False


def _tiff_turn(data: bytes) -> int:
    """The orientation that a TIFF's first directory tells; 1 where it tells none."""
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        stream = io.BytesIO(data)
        stream.seek(directory.next)
        directory.load(stream)
        return int(directory.get(_ORIENTATION, 1))
    except Exception:  # as in `Still._turn`
        return 1


def encode_still(
    image: NDArray[np.uint8] | Image.Image, file_format: str, quality: int | None = None, order: str = "rgb"
) -> bytes:
    """A picture as an image file: "png" keeps alpha and 16 bits, "jpeg" and "bmp" don't.

    Args:
        image: (H, W), (H, W, 3) or (H, W, 4) uint8, or a PIL image of any mode.
        file_format: "png", "jpeg" or "bmp".
        quality: Of a JPEG, 1 to 100.
        order: An array's channel order; four channels are RGBA where it is "rgb", BGRA where it is "bgr".

    Raises:
        RefError: Not such an image, format, quality or order.
    """
    if file_format not in ("png", "jpeg", "bmp"):
        raise RefError(f"format {file_format!r} is none of png, jpeg, bmp")
    if quality is not None and not 1 <= quality <= 100:
        raise RefError(f"quality {quality} is not from 1 to 100")
    if order not in _INPUTS:
        raise RefError(f"input_format {order!r} is none of {', '.join(_INPUTS)}")
    options = {"quality": _JPEG_QUALITY if quality is None else quality} if file_format == "jpeg" else {}
    stream = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else _picture(image, order)
    try:
        _for_file(picture, file_format).save(stream, file_format, **options)
    except MediarefError:
        raise
    except Exception as error:  # as in `Still._array`: a picture may be decoded only now
        raise RefError(
            f"picture of {picture.width}x{picture.height} pixels, mode {picture.mode}, can't be written as "
            f"{file_format}: {error}"
        ) from error
    return stream.getvalue()


def _for_file(picture: Image.Image, file_format: str) -> Image.Image:
    """The picture in a mode that the format has, with as much of it as that can hold."""
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        values = np.asarray(picture)
        if mode == "F" or values.min() < 0 or values.max() > 65535:
            raise RefError(f"picture of 32-bit values, mode {mode}, is more than {file_format} holds: scale it first")
        deep = values.astype(np.uint16)
        return Image.fromarray(deep if file_format == "png" else (deep >> 8).astype(np.uint8))
    if file_format == "png":
        kept = mode in ("1", "L", "LA", "P", "RGB", "RGBA")
        return picture if kept else picture.convert("RGBA" if mode in ("PA", "La", "RGBa") else "RGB")
    return picture.convert("L" if mode in ("1", "L", "LA", "La") else "RGB")


def _picture(array: NDArray[np.uint8], order: str) -> Image.Image:
    array = np.asarray(array)
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (4, _INPUTS[order]))
    if array.dtype != np.uint8 or not fits or 0 in array.shape:
        raise RefError(
            f"image array of shape {array.shape} and dtype {array.dtype}: expected uint8 (H, W) or "
            f"(H, W, {_INPUTS[order]}) for input_format {order!r}"
        )
    if array.ndim == 3 and order.startswith("bgr"):
        array = reordered(array, "bgra" if array.shape[2] == 4 else "bgr")
    return Image.fromarray(np.ascontiguousarray(array))
