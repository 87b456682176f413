"""How each `sensor_msgs/Image` encoding lies in memory.

Source: image_encodings.hpp of sensor_msgs, and what drivers emit beside it: nv12 and i420, upper case, "rgb888".
Generic `8UC3` and the like are blue first, as OpenCV, which they come from, has them.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

__all__ = ["LAYOUTS", "MOSAICS", "Layout", "canonical", "layout", "mosaic"]


class Layout(NamedTuple):
    """Where an encoding's values are.

    Attributes:
        pixel_format: libav's name of a frame that holds the very same values.
        pixel: Bytes of one pixel in the message's rows; of luma where there are several planes.
        order: "packed" is the frame's own order; the others are taken apart into its planes.
        kind: What the values mean; a mosaic has one of three colours a pixel.
    """

    pixel_format: str
    pixel: int
    order: Literal["packed", "uyvy", "yuyv", "nv12", "nv21", "planar"] = "packed"
    kind: Literal["colour", "gray", "mosaic", "yuv"] = "colour"

    @property
    def deep(self) -> bool:
        """Whether values have 16 bits."""
        return self.pixel_format.endswith("le")


MOSAICS: Final = ("rggb", "bggr", "gbrg", "grbg")
"""The colours of a mosaic's upper left four pixels, row by row."""

LAYOUTS: Final[dict[str, Layout]] = {
    "rgb8": Layout("rgb24", 3),
    "bgr8": Layout("bgr24", 3),
    "rgba8": Layout("rgba", 4),
    "bgra8": Layout("bgra", 4),
    "8uc3": Layout("bgr24", 3),
    "8uc4": Layout("bgra", 4),
    "mono8": Layout("gray", 1, kind="gray"),
    "8uc1": Layout("gray", 1, kind="gray"),
    "rgb16": Layout("rgb48le", 6),
    "bgr16": Layout("bgr48le", 6),
    "rgba16": Layout("rgba64le", 8),
    "bgra16": Layout("bgra64le", 8),
    "16uc3": Layout("bgr48le", 6),
    "16uc4": Layout("bgra64le", 8),
    "mono16": Layout("gray16le", 2, kind="gray"),
    "16uc1": Layout("gray16le", 2, kind="gray"),
    **{f"bayer_{colours}8": Layout("gray", 1, kind="mosaic") for colours in MOSAICS},
    **{f"bayer_{colours}16": Layout("gray16le", 2, kind="mosaic") for colours in MOSAICS},
    "uyvy": Layout("yuv422p", 2, "uyvy", "yuv"),
    "yuyv": Layout("yuv422p", 2, "yuyv", "yuv"),
    "nv12": Layout("yuv420p", 1, "nv12", "yuv"),
    "nv21": Layout("yuv420p", 1, "nv21", "yuv"),
    "nv24": Layout("yuv444p", 1, "nv12", "yuv"),
    "i420": Layout("yuv420p", 1, "planar", "yuv"),
}
"""By the encoding in lower case."""

_ALIASES: Final = {
    "8uc": "8uc1",
    "16uc": "16uc1",
    "32fc": "32fc1",
    "rgb888": "rgb8",
    "bgr888": "bgr8",
    "yuv422": "uyvy",
    "yuv422_yuy2": "yuyv",
    "yuy2": "yuyv",
    "yuv420": "i420",
    "yuv420p": "i420",
}


def canonical(encoding: str) -> str:
    """An encoding in lower case, under the one name that stands for all of its spellings."""
    name = encoding.strip().lower()
    return _ALIASES.get(name, name)


def layout(encoding: str) -> Layout | None:
    """The layout of an encoding; None where it is none that becomes video (floats, signed, two channels, unknown)."""
    return LAYOUTS.get(canonical(encoding))


def mosaic(text: str) -> str | None:
    """The colours of the mosaic that an encoding or a `format` text tells ("bayer_rggb8; jpeg compressed"), or None."""
    name = text.strip().lower()[:10]
    return name[6:] if name.startswith("bayer_") and name[6:] in MOSAICS else None
