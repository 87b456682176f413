"""A page as a reader without a browser finds it: words, pictures, links, and whether every element ends."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Page", "pixels"]

_EMPTY = {"img", "link", "meta"}


class Page(HTMLParser):
    """A page that was read.

    Attributes:
        words: All text but the style's, one space between elements.
        pictures: (alt, src) of each.
        links, ids: As they stand there.
        tags: Names of all elements.
        style: Of the page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = ""
        self.pictures: list[tuple[str, str]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.style = ""
        self._open: list[str] = []
        assert text.startswith("<!doctype html>\n")
        self.feed(text)
        self.close()
        assert not self._open
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        assert not [name for name in found if name.startswith("on")]
        if tag == "img":
            self.pictures.append((found["alt"] or "", found["src"] or ""))
        if "href" in found:
            self.links.append(found["href"] or "")
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        else:
            self.words += f" {data}"


def pixels(uri: str) -> NDArray[np.uint8]:
    """The picture in a data URI: (H, W, 3) uint8."""
    head, _, data = uri.partition(";base64,")
    assert head in ("data:image/jpeg", "data:image/png")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
