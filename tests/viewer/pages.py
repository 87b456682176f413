"""A page of the viewer in Chromium, with what tests do to it and read of it."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.sample import frame_number
from mediaref_tools.viewer.view import Viewer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

__all__ = ["READ_NUMBER", "Page"]

# What `frame_number` does, for a picture of one row of blocks; None where they are not clear.
READ_NUMBER = """
const readNumber = canvas => {
  const size = canvas.width / 20;
  const row = canvas.getContext("2d").getImageData(0, Math.floor(size / 2), canvas.width, 1).data;
  const bits = Array.from({length: 20}, (_, block) => row[4 * Math.floor((block + 0.5) * size) + 1])
    .map(value => value > 168 ? 1 : value < 88 ? 0 : NaN);
  if (bits.some(Number.isNaN) || bits.slice(0, 4).join("") !== "1011") return null;
  return bits.slice(4).reduce((number, bit) => 2 * number + bit, 0);
};
const tileOf = topic => document.querySelector(`[data-topic="${topic}"]`);
const seen = topic => {
  const tile = tileOf(topic);
  return {
    index: tile.dataset.index === undefined ? null : Number(tile.dataset.index),
    number: readNumber(tile.querySelector("canvas")),
    label: tile.querySelector(".place").textContent,
  };
};
"""

_SETTLED = """
() => [...document.querySelectorAll(".tile:not([hidden])")].every(tile => tile.dataset.pending === "false")
"""


class Page:
    """One page. `errors` are what went wrong on it."""

    def __init__(self, viewer: Viewer, context: BrowserContext, fragment: str = "") -> None:
        self.viewer, self.context = viewer, context
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(viewer.url + fragment)
        self.page.wait_for_selector("body[data-ready]")

    def settle(self) -> None:
        """Wait until every topic shows what is due."""
        self.page.wait_for_function(_SETTLED, timeout=20_000)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.settle()

    def run(self, script: str, argument: Any = None) -> Any:
        """Run a function on the page that may use `seen`, `readNumber` and `tileOf`."""
        return self.page.evaluate(f"argument => {{ {READ_NUMBER} return ({script})(argument); }}", argument)

    def seen(self, topic: str) -> dict[str, Any]:
        """What is shown of a topic, in one turn: the label's index and text, and the number in the picture."""
        found: dict[str, Any] = self.run("topic => seen(topic)", topic)
        return found

    def picture(self, topic: str) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of what is on a topic's canvas."""
        url: str = self.run("topic => tileOf(topic).querySelector('canvas').toDataURL('image/png')", topic)
        data = base64.b64decode(url.partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def number(self, topic: str) -> int:
        """The number in a topic's picture, read as the reader's own tests do."""
        return frame_number(self.picture(topic))

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def close(self) -> None:
        self.context.close()
        self.viewer.close()
