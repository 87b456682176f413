"""Image files as frames that hold the very same values: by libavcodec, or by Pillow where that knows more."""

from __future__ import annotations

import io
import warnings
from typing import Final, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, sniff
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.pixels.plane import plane

__all__ = ["FILE_CODECS", "decoded", "file_frame", "file_size", "told_format"]

FILE_CODECS: Final = {"image/jpeg": "mjpeg", "image/png": "png", "image/tiff": "tiff"}
"""libavcodec's decoder of an image file, by media type."""

_PILLOW: Final = ("image/webp", "image/bmp", "image/gif", "image/avif", "image/heic", "image/jxl")
_MODES: Final = {"L": "gray", "RGB": "rgb24", "RGBA": "rgba", "I;16": "gray16le"}
_SHALLOW: Final = {"1": "L", "CMYK": "RGB", "YCbCr": "RGB", "LA": "RGBA", "La": "RGBA", "RGBX": "RGB", "RGBa": "RGBA"}
# What libavcodec gives, as what the rest of the package knows: the same values in another order.
_ORDERS: Final = {
    "pal8": "rgba", "ya8": "rgba", "argb": "rgba", "abgr": "rgba", "monob": "gray", "monow": "gray",
    "gray16be": "gray16le", "rgb48be": "rgb48le", "rgba64be": "rgba64le", "ya16be": "rgba64le", "ya16le": "rgba64le",
}  # fmt: skip


def file_frame(image: ImageValue, reformatter: VideoReformatter) -> av.VideoFrame:
    """Decode an image file: rgb24, rgba, gray or yuvj4xxp of its own size; of 16 bits, rgb48le, rgba64le or gray16le.

    A picture's EXIF orientation is not applied. Alpha that is opaque throughout is left out.

    Args:
        image: The file.
        reformatter: The caller's, which is for one thread at a time.

    Raises:
        ImageError: It is empty, of a kind that is not handled, damaged, cut, or too large; or it is an animation.
    """
    if len(image.data) == 0:
        raise ImageError("image of 0 bytes")
    media_type = sniff(image.data)
    codec = FILE_CODECS.get(media_type)
    if codec is None and media_type not in _PILLOW:
        raise ImageError(
            f"image file of type {media_type} (told by its first bytes; format says {image.encoding!r}) is not handled"
        )
    if codec == "mjpeg" and _is_cut(image.data):
        raise ImageError(f"jpeg of {len(image.data)} bytes is cut: its last scan has no end marker")
    if codec is None:
        frame = _by_pillow(image.data, media_type)
    else:
        frame = decoded(codec, image.data, "crccheck" if codec == "tiff" else "explode")
        if codec == "mjpeg" and frame.format.name == "gbrap":  # inks, in one of two senses
            frame = _by_pillow(image.data, media_type)
    if frame.width * frame.height > MAX_PIXELS:
        raise _too_large(frame)
    return _known(frame, media_type, reformatter)


def _too_large(picture: av.VideoFrame | Image.Image) -> ImageError:
    return ImageError(
        f"image of {picture.width}x{picture.height} pixels is larger than {MAX_PIXELS} pixels (MEDIAREF_MAX_PIXELS)"
    )


def _known(frame: av.VideoFrame, media_type: str, reformatter: VideoReformatter) -> av.VideoFrame:
    name = frame.format.name
    if name in _ORDERS:
        frame = reformatter.reformat(frame, format=_ORDERS[name], threads=1)
    elif name.startswith("yuv"):
        if any(part.bits > 8 for part in frame.format.components):
            raise ImageError(f"{media_type} of {frame.format.components[0].bits} bits a channel would lose its depth")
        frame.color_range, frame.colorspace = ColorRange.JPEG, Colorspace.ITU601
    elif name not in ("gray", "gray16le", "rgb24", "bgr24", "rgba", "rgb48le", "rgba64le"):
        raise ImageError(f"{media_type} of pixel format {name} is not handled")
    if frame.format.name in ("rgba", "rgba64le") and _is_opaque(frame):
        frame = reformatter.reformat(
            frame, format={"rgba": "rgb24", "rgba64le": "rgb48le"}[frame.format.name], threads=1
        )
    return frame


def _is_opaque(frame: av.VideoFrame) -> bool:
    rows = plane(frame, 0)
    if frame.format.name == "rgba":
        return bool((rows[:, 3 : 4 * frame.width : 4] == 0xFF).all())
    return bool((rows.view("<u2")[:, 3 : 4 * frame.width : 4] == 0xFFFF).all())


def decoded(codec: str, data: bytes | memoryview, err_detect: str = "explode") -> av.VideoFrame:
    """The picture of an image file, by libavcodec's decoder of that name.

    Raises:
        ImageError: It can't be decoded, or has no whole picture.
    """
    # A new context each time (0.05 ms): libavcodec's PNG decoder leaks the last picture's bottom row into the top row
    # of the next one, and an abbreviated JPEG would take its tables from whatever came before.
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, av.VideoCodecContext)  # noqa: S101 - for the type checker
    context.thread_count = 1
    context.options = {"max_pixels": str(MAX_PIXELS), "err_detect": err_detect}
    name = codec.replace("mjpeg", "jpeg")
    try:
        frames = context.decode(av.Packet(cast("bytes", data)))
    except (av.FFmpegError, ValueError) as error:
        raise ImageError(f"{name} of {len(data)} bytes can't be decoded: {error}") from error
    if not frames or frames[0].is_corrupt:
        raise ImageError(f"{name} of {len(data)} bytes holds no whole picture")
    return frames[0]


def _by_pillow(data: bytes | memoryview, media_type: str) -> av.VideoFrame:
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(image)
            if getattr(image, "n_frames", 1) > 1:
                raise ImageError(f"{media_type} is an animation, which would lose all but its first picture")
            image.load()
            mode = "RGBA" if image.mode in ("P", "PA") and image.has_transparency_data else image.mode
            picture = image.convert(_SHALLOW.get(mode, "RGB" if mode in ("P", "PA") else mode))
            if picture.mode not in _MODES:
                raise ImageError(f"{media_type} of mode {image.mode} would lose its depth")
            pixels = np.asarray(picture)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders raise what they stumble over, such as struct.error
        raise ImageError(f"{media_type} of {len(data)} bytes can't be decoded: {error}") from error
    frame = av.VideoFrame(pixels.shape[1], pixels.shape[0], _MODES[picture.mode])
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1).view(np.uint8)
    plane(frame, 0)[:, : rows.shape[1]] = rows
    return frame


def _is_cut(data: bytes | memoryview) -> bool:
    """Whether a JPEG lacks the end marker after its last scan: libavcodec would fill it up with grey, silently."""
    whole = bytes(data)
    return whole.rfind(b"\xff\xd9") < whole.rfind(b"\xff\xda")


def file_size(data: bytes | memoryview) -> tuple[int, int]:
    """Width and height that an image file's header tells, without decoding it; (0, 0) where nothing does."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, 0


def told_format(data: bytes | memoryview) -> str:
    """What `file_frame` would give for a file of 16 bits or with alpha, by its header; "" of others."""
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")
            deep = image.format == "PNG" and data[24] == 16  # which Pillow cuts to 8
            if image.mode == "I;16":
                return "gray16le"
            if image.has_transparency_data:
                return "rgba64le" if deep else "rgba"
            return "rgb48le" if deep else ""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
