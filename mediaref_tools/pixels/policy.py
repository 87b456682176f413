"""How a topic's pictures are to be decoded: the same when they are converted and when that is proved."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Policy"]


class Policy(NamedTuple):
    """What a topic's pictures become.

    Attributes:
        lossless: Every picture is coded without loss.
        copied: Media types of image files whose bytes are kept as they are.
        debayer: A mosaic becomes colour video, instead of being kept.
        depth: 16-bit depth is coded without loss ("ffv1"), compressedDepth too; or none of it ("keep"). By default
            raw 16-bit images are coded, and compressedDepth is kept.
    """

    lossless: bool = False
    copied: frozenset[str] = frozenset()
    debayer: bool = False
    depth: Literal["keep", "ffv1"] | None = None
