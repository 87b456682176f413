"""Frames to make the files of: recorded footage with its number burnt in, or a generated scene where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.sample import numbered_image
from tests.reallogs import ROOT

__all__ = ["frames", "sources"]

FOOTAGE = ROOT / "footage"
CLIPS = {
    (640, 480): ("lerobot_wrist0.mp4", "karma.mp4", "udacity_yellow.mp4"),
    (1280, 720): ("udacity_yellow.mp4", "karma.mp4"),
    (640, 360): ("so101_wrist.mp4", "udacity_yellow.mp4"),
}
"""By size (width, height); a clip that is smaller than that is enlarged."""
NOISE = 2.0  # grey levels: recorded footage was cleaned by its own codec, a camera's pictures are not
SHAKE = 24  # pixels by which the cut-out wanders


def sources(size: tuple[int, int]) -> list[str]:
    """Names of the footage that frames of a size are made of; none is the generated scene."""
    return [name for name in CLIPS[size] if (FOOTAGE / name).exists()]


def frames(size: tuple[int, int], count: int, seed: int = 0) -> Iterator[NDArray[np.uint8]]:
    """(H, W, 3) uint8 RGB pictures; each carries its place, from 0 on, in blocks along its upper edge.

    The same arguments give the same pictures. `seed` is where in the footage it begins, and the noise.
    """
    width, height = size
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, NOISE, (height + 256, width + 256, 3)).astype(np.int16)
    names = sources(size)
    pictures = _footage(size, names, skip=seed * 137) if names else _generated(size)
    # As high as the blocks of `numbered_image`, which fill the whole width.
    edge = round(width / 20)
    for number in range(count):
        top, left = chance.integers(256, size=2)
        picture = next(pictures) + noise[top : top + height, left : left + width]
        shown = np.clip(picture, 0, 255).astype(np.uint8)
        shown[:edge] = numbered_image(number, width, height)[:edge]
        yield shown


def _generated(size: tuple[int, int]) -> Iterator[NDArray[np.int16]]:
    number = 0
    while True:
        yield numbered_image(number % 60_000, *size).astype(np.int16)
        number += 1


def _footage(size: tuple[int, int], names: list[str], skip: int) -> Iterator[NDArray[np.int16]]:
    """Clips one after the other, again and again, through a window that wanders."""
    width, height = size
    at = 0
    while True:
        for name in names:
            for picture in _clip(FOOTAGE / name, size):
                at += 1
                if at <= skip:
                    continue
                room = (picture.shape[0] - height, picture.shape[1] - width)
                top = round(room[0] * (0.5 + 0.5 * np.sin(at / 37)))
                left = round(room[1] * (0.5 + 0.5 * np.sin(at / 53)))
                yield picture[top : top + height, left : left + width].astype(np.int16)


def _clip(path: Path, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Pictures at least as large as the window and what it wanders."""
    with av.open(path) as container:
        for frame in container.decode(video=0):
            scale = max((size[0] + SHAKE) / frame.width, (size[1] + SHAKE) / frame.height)
            picture: NDArray[Any] = frame.to_ndarray(format="rgb24")
            if scale > 1:
                larger = (round(frame.width * scale), round(frame.height * scale))
                picture = np.asarray(Image.fromarray(picture).resize(larger, Image.Resampling.BILINEAR))
            yield picture
