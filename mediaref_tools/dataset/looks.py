"""In which form a frame's pixels are given out: what is natural for its kind, or what is asked for."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import FrameError
from mediaref_tools.pixels.depth import is_depth, is_quantised
from mediaref_tools.pixels.encodings import canonical, layout, mosaic

__all__ = ["Facts", "Look", "PixelFormat", "named_look", "natural", "wanted_look"]

PixelFormat = Literal["natural", "rgb", "bgr", "gray", "metres", "native", "yuv"]
"""How pixels are asked for.

"natural" is what a kind of picture is by itself: (H, W, 3) uint8 RGB for colour, mosaics among it; (H, W) uint8 for
gray; (H, W) uint16 for 16-bit gray and depth; (H, W, 3) uint16 for 16-bit colour; (H, W) float32 metres with NaN for
holes where depth was quantised or is float.

"rgb", "bgr", "gray": uint8, of every kind: 16 bits are cut to their upper 8, depth is shown near bright and far dark up
to 10 m, holes black. "metres": depth alone, (H, W) float32. "native": what is stored: a mosaic as it is, RGBA where
there is transparency, else as "natural". "yuv": the planes of 8-bit 4:2:0 video without conversion, (H * 3 / 2, W)
uint8: the rows of Y, then U, then V.
"""


class Look(NamedTuple):
    """The form of one frame's array.

    "rgb", "bgr", "rgba", "gray", "mosaic", "yuv"; "rgb16", "rgba16", "gray16"; "metres".
    """

    name: str
    channels: int
    dtype: type[np.generic]

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """The array's shape for a picture of a size."""
        if self.name == "yuv":
            return (height * 3 // 2, width)
        return (height, width, self.channels) if self.channels else (height, width)

    def size(self, out: NDArray[Any]) -> tuple[int, int]:
        """Height and width of the picture that an array of this form holds."""
        return (out.shape[0] * 2 // 3 if self.name == "yuv" else out.shape[0]), out.shape[1]


_LOOKS = {
    look.name: look
    for look in (
        Look("rgb", 3, np.uint8), Look("bgr", 3, np.uint8), Look("rgba", 4, np.uint8), Look("gray", 0, np.uint8),
        Look("rgb16", 3, np.uint16), Look("rgba16", 4, np.uint16), Look("gray16", 0, np.uint16),
        Look("metres", 0, np.float32), Look("mosaic", 0, np.uint8),
        Look("yuv", 0, np.uint8),
    )
}  # fmt: skip
_STORED = {
    "gray": "gray", "gray16le": "gray16", "bgra": "rgba", "rgba": "rgba", "gbrp16le": "rgb16", "rgb48le": "rgb16",
    "bgr48le": "rgb16", "gbrap16le": "rgba16", "rgba64le": "rgba16", "bgra64le": "rgba16",
    # As libavformat calls them in a track of PNG files.
    "gray16be": "gray16", "rgb48be": "rgb16", "rgba64be": "rgba16", "ya16be": "rgba16", "ya8": "rgba",
}  # fmt: skip
_OPAQUE = {"rgba": "rgb", "rgba16": "rgb16"}


def named_look(name: str) -> Look:
    """The form of a name: "rgb", "gray16" …"""
    return _LOOKS[name]


class Facts(NamedTuple):
    """What tells the kind of a frame: how it is stored ("" where that is not known), and what its message said.

    Of a message of the zstd transport, `framing` is the encoding of the raw image within.
    """

    pixel_format: str
    encoding: str
    format: str
    framing: str = ""

    @property
    def raw_encoding(self) -> str:
        """The encoding of its raw image; "" where it was an image file."""
        return self.framing if self.format.strip().lower() == "zstd" else self.encoding

    @property
    def mosaic(self) -> str | None:
        """The colours of its mosaic, if it is one."""
        colours = mosaic(self.raw_encoding or self.format)
        return colours if colours and self.pixel_format in ("", "gray", "gray16le", "gray16be", "yuvj400p") else None

    @property
    def is_depth(self) -> bool:
        """Whether its values are distances."""
        return is_depth(self.format) or canonical(self.raw_encoding) in ("16uc1", "32fc1")


@lru_cache(maxsize=1024)
def natural(facts: Facts) -> Look:
    """The natural form of a frame."""
    if facts.mosaic:
        return _LOOKS["rgb"]
    if canonical(facts.raw_encoding) == "32fc1":
        return _LOOKS["metres"]
    if is_depth(facts.format):
        return _LOOKS["metres" if is_quantised(facts.format) else "gray16"]
    known = layout(facts.raw_encoding)
    if known is not None and known.kind == "gray":
        return _LOOKS["gray16" if known.deep else "gray"]
    if facts.format.startswith("mono8"):
        return _LOOKS["gray"]
    stored = _STORED.get(facts.pixel_format, "rgb")
    return _LOOKS[_OPAQUE.get(stored, stored)]


@lru_cache(maxsize=1024)
def wanted_look(facts: Facts, wanted: PixelFormat) -> Look:
    """The form that a frame is given out in.

    Raises:
        FrameError: There is no such format, or the frame is no depth and metres are asked for.
    """
    if wanted not in get_args(PixelFormat):
        raise FrameError(f"format {wanted!r} is none of {', '.join(get_args(PixelFormat))}")
    if wanted == "metres":
        if not facts.is_depth:
            raise FrameError(f"metres of a picture of {facts.raw_encoding or facts.format!r}, which is no depth")
        return _LOOKS["metres"]
    if wanted == "yuv" and facts.pixel_format not in ("", "yuv420p", "yuvj420p"):
        raise FrameError(
            f"yuv of a picture stored as {facts.pixel_format}: it is given of 8-bit 4:2:0 video; ask for rgb"
        )
    if wanted == "native":
        if facts.mosaic:
            return _LOOKS["gray16" if facts.pixel_format.startswith("gray16") else "mosaic"]
        stored = _STORED.get(facts.pixel_format)
        return natural(facts) if stored is None else _LOOKS[stored]
    return natural(facts) if wanted == "natural" else _LOOKS[wanted]
