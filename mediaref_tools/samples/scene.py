"""A moving scene whose every picture carries its own number, for people to read and for tests to read back.

No threshold on a PSNR can tell that a reference shows frame 17 and not frame 16; a number in the picture can.
It stands as digits, and as black and white blocks along the upper edge that survive lossy 4:2:0 coding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError

__all__ = ["MAX_NUMBER", "frame_number", "numbered_image"]

MAX_NUMBER = 2**16 - 1
"""The largest number that the blocks can say."""

_MIN_WIDTH, _MIN_HEIGHT = 80, 48
# Not its own mirror image, nor its negative; and as neighbours differ, no other layout reads it as its own check.
_CHECK = (1, 0, 1, 1)
_BLOCKS = len(_CHECK) + 16
# One row of blocks where each is at least 16 pixels wide; narrow pictures have two or four rows.
_ROWS = (1, 2, 4)
_BLACK, _WHITE = 16, 235
_CLEAR_BLACK, _CLEAR_WHITE = 88, 168
# Three by five, a row of three bits an octal digit.
_GLYPHS = (0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717)


def numbered_image(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Picture `number` of the scene: a textured ground that pans, a disc, a box and the number, twice.

    The same arguments give the same pixels. Neighbours differ little, as a camera's do.

    Args:
        number: 0 to `MAX_NUMBER`.
        width, height: In pixels, at least 80x48; odd ones too.

    Returns:
        (H, W, 3) uint8 RGB, the caller's own.

    Raises:
        ImageError: The number or the size is out of range.
    """
    if not 0 <= number <= MAX_NUMBER:
        raise ImageError(f"can't draw number {number!r}: expected 0 to {MAX_NUMBER}, which 16 blocks can say")
    if width < _MIN_WIDTH or height < _MIN_HEIGHT:
        raise ImageError(f"can't draw a numbered picture of {width}x{height}: at least {_MIN_WIDTH}x{_MIN_HEIGHT}")
    ground = _ground(width, height)
    left = _swing(2 * number, ground.shape[1] - width)
    top = _swing(number, ground.shape[0] - height)
    rgb = ground[top : top + height, left : left + width].copy()
    _draw_disc(rgb, number)
    _draw_box(rgb, number)
    _draw_digits(rgb, number)
    bits = (*_CHECK, *(number >> place & 1 for place in range(15, -1, -1)))
    rows = next(rows for rows in _ROWS if rows == _ROWS[-1] or width * rows >= 16 * _BLOCKS)
    for bit, block in zip(bits, _blocks(width, height, rows), strict=True):
        rgb[block] = _WHITE if bit else _BLACK
    return rgb


def frame_number(rgb: NDArray[np.uint8]) -> int:
    """The number in a picture of `numbered_image`, read from its blocks.

    Works after lossy coding, in grey, and on pictures scaled to another size at the same aspect ratio.

    Args:
        rgb: (H, W, 3) or (H, W) uint8.

    Raises:
        ImageError: The blocks are not there: no such picture, or cropped, flipped or blended with another.
    """
    if rgb.dtype != np.uint8 or rgb.ndim not in (2, 3) or 0 in rgb.shape:
        raise ImageError(f"can't read a number from {rgb.dtype} {rgb.shape}: expected uint8 (H, W, 3) or (H, W)")
    found = [
        bits for bits in (_read(rgb, rows) for rows in _ROWS) if bits is not None and bits[: len(_CHECK)] == _CHECK
    ]
    if not found:
        raise ImageError(
            f"no number in this picture of {rgb.shape[1]}x{rgb.shape[0]}: its upper edge does not begin with the "
            f"blocks {_CHECK}, each clearly black or white; expected a picture of numbered_image"
        )
    number = 0
    for bit in found[0][len(_CHECK) :]:
        number = number << 1 | bit
    return number


def _blocks(width: int, height: int, rows: int) -> Iterator[tuple[slice, slice]]:
    """Where the blocks are, row by row: as high as wide, but in all no more than half of the picture."""
    columns = _BLOCKS // rows
    tall = min(width / columns, height / (2 * rows))
    for row in range(rows):
        for column in range(columns):
            yield (
                slice(round(tall * row), round(tall * (row + 1))),
                slice(width * column // columns, width * (column + 1) // columns),
            )


def _read(rgb: NDArray[np.uint8], rows: int) -> tuple[int, ...] | None:
    bits = []
    for block in _blocks(rgb.shape[1], rgb.shape[0], rows):
        values = rgb[block]
        # The middle of a block alone: its edges blur, and bleed into the next one.
        down, across = (max(size // 4, min(1, (size - 1) // 2)) for size in values.shape[:2])
        values = values[down : values.shape[0] - down, across : values.shape[1] - across]
        mean = float(values.mean()) if values.size else 128.0
        if _CLEAR_BLACK < mean < _CLEAR_WHITE:
            return None
        bits.append(int(mean >= _CLEAR_WHITE))
    return tuple(bits)


def _swing(position: int, span: int) -> int:
    """To and fro between 0 and `span`, one a step."""
    return abs((position + span) % (2 * span) - span) if span else 0


@lru_cache(maxsize=16)
def _ground(width: int, height: int) -> NDArray[np.uint8]:
    """A ground a fifth larger than the picture: a slope of colour with soft noise of a few scales."""
    from PIL import Image

    size = (width * 6 // 5, height * 6 // 5)
    rng = np.random.default_rng(17)
    down = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None]
    sky, floor = np.array([[98, 130, 164], [150, 124, 98]], np.float32)
    ground = (sky * (1 - down) + floor * down).repeat(size[0], 1)
    for cells, strength in ((4, 14.0), (12, 12.0), (40, 10.0), (size[0] // 3, 5.0)):
        small = rng.integers(0, 256, (max(2, cells * size[1] // size[0]), cells, 3), np.uint8)
        large = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), np.float32)
        # What is fine has one colour, as a camera's texture does; what is coarse has many.
        ground += ((large if cells == 4 else large[:, :, :1]) - 128) * (strength / 64)
    # Never clearly black or white, so that only the blocks look like blocks.
    pixels = np.asarray(np.clip(ground, 92, 164), np.uint8)
    pixels.setflags(write=False)
    return pixels


def _draw_disc(rgb: NDArray[np.uint8], number: int) -> None:
    height, width = rgb.shape[:2]
    radius = max(4, height // 8)
    x = radius + _swing(5 * number + width // 3, width - 2 * radius)
    y = height // 2 + _swing(2 * number, height // 2 - radius)
    down, across = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    inside = down**2 + across**2 <= radius**2
    # A shaded ball: a flat one would hide which way it moves.
    shade = np.clip(1.0 - ((down + radius / 3) ** 2 + (across + radius / 3) ** 2) / (4.0 * radius**2), 0.3, 1.0)
    top, left = max(0, y - radius), max(0, x - radius)
    patch = rgb[top : y + radius + 1, left : x + radius + 1]
    offset = (slice(top - y + radius, top - y + radius + patch.shape[0]), slice(0, patch.shape[1]))
    ball = (shade[..., None] * np.array([225.0, 70.0, 50.0])).astype(np.uint8)
    patch[inside[offset]] = ball[offset][inside[offset]]


def _draw_box(rgb: NDArray[np.uint8], number: int) -> None:
    height, width = rgb.shape[:2]
    side = max(6, height // 7)
    left = _swing(3 * number, width - side)
    top = height - side - height // 20
    rgb[top : top + side, left : left + side] = (40, 120, 190)
    rgb[top + side // 3 : top + side - side // 3, left + side // 3 : left + side - side // 3] = (150, 190, 70)


def _draw_digits(rgb: NDArray[np.uint8], number: int) -> None:
    text = f"{number:04d}"
    height, width = rgb.shape[:2]
    dot = max(1, min(height // 22, width // 26))
    plate = np.zeros((7, 4 * len(text) + 1), np.uint8)
    for place, digit in enumerate(text):
        for row in range(5):
            octal = _GLYPHS[int(digit)] >> 3 * (4 - row) & 7
            plate[1 + row, 4 * place + 1 : 4 * place + 4] = (octal >> 2 & 1, octal >> 1 & 1, octal & 1)
    values = np.where(plate, np.uint8(_WHITE), np.uint8(_BLACK)).repeat(dot, 0).repeat(dot, 1)
    top, left = height * 3 // 5, (width - values.shape[1]) // 2
    area = rgb[top : top + values.shape[0], left : left + values.shape[1]]
    area[:] = values[: area.shape[0], : area.shape[1], None]
