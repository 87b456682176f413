"""From decoded frames to the arrays that a reader gives out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mediaref_tools.dataset.looks import Facts, Look
from mediaref_tools.errors import FrameError
from mediaref_tools.pixels.depth import metres_of
from mediaref_tools.pixels.mosaic import demosaic
from mediaref_tools.pixels.plane import cropped
from mediaref_tools.pixels.raster import Raster, reordered

__all__ = ["Renderer", "preview"]

_DEEP = ("gbrp16le", "gbrap16le", "rgb48le", "rgba64le")
_FAR_METRES = 10.0  # what a preview shows as black; compressedDepth's own default


class Renderer:
    """Turns frames into arrays. Holds scalers: one object a thread."""

    def __init__(self, *, exact: bool = False) -> None:
        """`exact` is as `Raster` has it."""
        self._raster = Raster(exact=exact)
        self._reformatter = VideoReformatter()

    def into(
        self, frame: av.VideoFrame, facts: Facts, look: Look, out: NDArray[Any], size: tuple[int, int] | None = None
    ) -> None:
        """Convert a frame, or the upper left part of it, into an array of a form and size.

        Args:
            frame, facts: What was decoded, and what it is.
            look, out: The form, and an array of it.
            size: Height and width of the picture, where `out` has other ones: it is resized.

        Raises:
            FrameError: The frame is smaller than the picture, or can't be given in that form.
        """
        height, width = size or look.size(out)
        if (height, width) == look.size(out):
            size = None
        is_deep = frame.format.name == "gray16le" or frame.format.name in _DEEP
        is_mosaic = bool(facts.mosaic) and look.name in ("rgb", "bgr", "gray")
        if frame.height < height or frame.width < width:
            raise FrameError(f"frame of {frame.width}x{frame.height} where {width}x{height} is expected")
        if look.name == "yuv":
            self._raster.yuv(frame, out, (height, width))
        elif look.name in ("rgb", "bgr") and not is_deep and not is_mosaic:
            self._raster.into(frame, out if look.name == "rgb" else reordered(out, "bgr"), size)
        elif size is not None:
            self.resize(partial(self.into, frame, facts, look), look, out, size)
        elif is_mosaic:
            colours = demosaic(_values(frame, width, height), facts.mosaic or "", self._reformatter)
            self.into(colours, facts._replace(encoding="rgb8", format="", framing=""), look, out)
        elif frame.format.name == "gray16le":
            _deep_gray(_values(frame, width, height), facts, look, out)
        elif look.name == "metres":
            raise FrameError(f"metres of a frame stored as {frame.format.name}, which is no depth")
        elif look.name in ("rgb", "bgr"):
            rgb = out if look.name == "rgb" else reordered(out, "bgr")
            rgb[:] = self._raster.array(frame, "native")[:height, :width, :3] >> 8
        elif look.name in ("gray", "mosaic", "rgba"):
            out[:] = self._raster.array(frame, "rgba" if look.name == "rgba" else "gray")[:height, :width]
        else:
            deep = self._raster.array(frame, "native")[:height, :width]
            if deep.dtype != np.uint16 or deep.ndim != 3:
                raise FrameError(f"{look.name} of a frame stored as {frame.format.name}")
            out[..., : deep.shape[2]] = deep[..., : look.channels]
            out[..., deep.shape[2] :] = 65535  # opaque

    def resize(
        self, into: Callable[[NDArray[Any]], None], look: Look, out: NDArray[Any], size: tuple[int, int]
    ) -> None:
        """Have a picture of a size written by `into`, and resize it to that of `out`."""
        whole = np.empty(look.shape(*size), look.dtype)
        into(whole)
        self._raster.resize(whole, out)


def _values(frame: av.VideoFrame, width: int, height: int) -> NDArray[Any]:
    rows: NDArray[Any] = cropped(frame, 0, width, height)
    return rows.view("<u2") if frame.format.name == "gray16le" else rows


def _deep_gray(values: NDArray[np.uint16], facts: Facts, look: Look, out: NDArray[Any]) -> None:
    if look.name == "gray16":
        out[:] = values
    elif look.name == "metres":
        out[:] = metres_of(values, facts.format, facts.framing)
    else:
        shallow = (
            preview(metres_of(values, facts.format, facts.framing))
            if facts.is_depth
            else (values >> 8).astype(np.uint8)
        )
        out[:] = shallow if look.name == "gray" else shallow[..., None]


def preview(metres: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth for people, (H, W) uint8: near is bright, 10 m and beyond dark, holes are black."""
    near = np.clip(1.0 - metres / _FAR_METRES, 0.0, 1.0)
    return np.asarray(np.where(np.isnan(metres), 0, 16 + 239 * near), np.uint8)
