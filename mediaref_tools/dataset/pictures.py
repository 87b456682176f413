"""Pictures that are no video: in messages that were kept, or embedded with their original bytes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.dataset.looks import Facts, Look, natural
from mediaref_tools.dataset.rendering import Renderer, preview
from mediaref_tools.errors import FrameError, ImageError, MediarefError
from mediaref_tools.image import ImageValue
from mediaref_tools.limits import MAX_PIXELS
from mediaref_tools.media.still import Still
from mediaref_tools.pixels.depth import depth_size, is_depth
from mediaref_tools.pixels.encodings import canonical, layout
from mediaref_tools.pixels.file import file_frame, file_size, told_format
from mediaref_tools.pixels.picture import FileBytes, PixelDecoder
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.pixels.transport import is_zstd, peek_zstd, unpack_zstd

__all__ = ["PictureReader", "can_read", "picture_facts", "picture_size"]

_EVERYTHING = Policy(lossless=True, depth="ffv1")


class PictureReader:
    """Decodes image values into arrays. Holds scalers: one object a thread."""

    def __init__(self) -> None:
        self._decoder = PixelDecoder(_EVERYTHING)
        self._renderer = Renderer(exact=True)
        self._reformatter = VideoReformatter()

    def into(self, image: ImageValue, look: Look, out: NDArray[Any], size: tuple[int, int] | None = None) -> None:
        """Decode an image into an array of a form and size.

        Args:
            image: To be decoded.
            look, out: The form, and an array of it.
            size: Height and width that the picture has, where `out` has other ones: it is resized.

        Raises:
            ImageError: It can't be decoded.
            FrameError: It is of another size, or can't be given in that form.
        """
        if size is not None and size != look.size(out):
            self._renderer.resize(partial(self.into, image, look), look, out, size)
            return
        if look.name == "yuv":
            raise FrameError("no yuv of a picture that is no video: ask for rgb")
        if is_zstd(image):
            image = unpack_zstd(image)
        if image.kind == "raw" and canonical(image.encoding) == "32fc1":
            _put_floats(_floats(image), look, out)
            return
        try:
            taken = self._decoder.take(image)
        except ImageError:
            if image.kind != "file" or look.name not in ("rgb", "gray"):
                raise
            # Video would lose something of it, or it is damaged, which this tells as well. Not turned by its EXIF
            # orientation: the frames beside it are not either.
            data = Still(bytes(image.data), "embedded image", upright=False).array(
                "rgb" if look.name == "rgb" else "gray"
            )
            _check_size(data.shape[:2], out)
            out[:] = data
            return
        _check_size((taken.height, taken.width), out)
        if isinstance(taken, FileBytes):  # a JPEG of a mosaic
            frame, framing = file_frame(image, self._reformatter), ""
        else:
            frame, framing = taken.frame, taken.framing
        facts = picture_facts(image)._replace(pixel_format=frame.format.name, framing=framing)
        self._renderer.into(frame, facts, look, out)


def can_read(image: ImageValue) -> bool:
    """Whether an image can be given out, in its natural form."""
    height, width = picture_size(image)
    if not 0 < height * width <= MAX_PIXELS:
        return False
    try:
        look = natural(picture_facts(image))
        PictureReader().into(image, look, np.empty(look.shape(height, width), look.dtype))
    except MediarefError:
        return False
    return True


def picture_facts(image: ImageValue) -> Facts:
    """What tells the kind of an image that is not decoded."""
    if image.kind == "raw":
        known = layout(image.encoding)
        return Facts("" if known is None else known.pixel_format, image.encoding, "")
    if is_zstd(image):
        try:
            raw = picture_facts(peek_zstd(image))
        except ImageError:
            return Facts("", "", image.encoding)
        return raw._replace(encoding="", format=image.encoding, framing=raw.encoding)
    if is_depth(image.encoding):
        return Facts("gray16le", "", image.encoding)
    return Facts("" if image.kind == "packet" else told_format(image.data), "", image.encoding)


def picture_size(image: ImageValue) -> tuple[int, int]:
    """Height and width, as the message or the file's header tells; (0, 0) where neither does."""
    if is_zstd(image):
        try:
            image = peek_zstd(image)
        except ImageError:
            return 0, 0
    if image.kind != "file":
        return image.height, image.width
    width, height = depth_size(image.data) if is_depth(image.encoding) else file_size(image.data)
    return height, width


def _check_size(size: tuple[int, ...], out: NDArray[Any]) -> None:
    if size != out.shape[:2]:
        raise FrameError(f"image of {size[1]}x{size[0]} where {out.shape[1]}x{out.shape[0]} is expected")


def _floats(image: ImageValue) -> NDArray[np.float32]:
    height, width, step = image.height, image.width, image.step
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ImageError(f"image of {width}x{height} pixels: between 1 and {MAX_PIXELS} pixels are handled")
    if step < 4 * width or len(image.data) < step * height:
        raise ImageError(f"{len(image.data)} bytes of data are less than step {step} x height {height}")
    rows = np.frombuffer(image.data, np.uint8, step * height).reshape(height, step)[:, : 4 * width]
    kind = ">f4" if image.is_bigendian else "<f4"
    return np.ascontiguousarray(rows).view(kind).astype(np.float32)


def _put_floats(metres: NDArray[np.float32], look: Look, out: NDArray[Any]) -> None:
    _check_size(metres.shape, out)
    if look.name == "metres":
        out[:] = metres
    elif look.name in ("rgb", "bgr", "gray"):
        shown = preview(metres)
        out[:] = shown if look.name == "gray" else shown[..., None]
    else:
        raise FrameError(f"{look.name} of an image of floats")
