"""Decoding image values in tests that know that it gives pixels."""

from __future__ import annotations

from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import Picture, PixelDecoder
from mediaref_tools.pixels.policy import Policy

__all__ = ["taken", "taken_by"]


def taken_by(decoder: PixelDecoder, image: ImageValue) -> Picture:
    found = decoder.take(image)
    assert isinstance(found, Picture)
    return found


def taken(image: ImageValue, policy: Policy | None = None) -> Picture:
    return taken_by(PixelDecoder(policy or Policy()), image)
