"""Try the settings: `python -m tests.bench.choices`, or `make bench-choices`.

A full run replaces docs/bench/choices.json, docs/img/choices.svg and the tables of docs/choices.md.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import Picture, PixelDecoder
from tests.bench.choices import tables
from tests.bench.choices.settings import CRFS, SETTINGS
from tests.bench.choices.trial import tried
from tests.bench.convert.logs import QUALITY, RECORDED, SIZE, sources
from tests.bench.decode import footage
from tests.bench.decode.__main__ import machine
from tests.bench.decode.contenders import ROOT
from tests.reallogs import ROOT as LOGS

BUILD = ROOT / "build" / "bench" / "choices"
DOCS = ROOT / "docs"
FRAMES = 120
STEP_US = 33_333


class Content(NamedTuple):
    """What is encoded."""

    name: str
    title: str


CONTENTS = (
    Content("dashcam", "dashcam, JPEG 960x540"),
    Content("camera", "camera, JPEG 640x480, noisy and shaken"),
    Content("arm", "robot arm, JPEG 640x360"),
)


def images(name: str, count: int) -> Iterator[ImageValue]:
    """Image messages of a content."""
    if name == "camera":
        for picture in footage.frames(SIZE, count):
            whole = io.BytesIO()
            Image.fromarray(picture).save(whole, "jpeg", quality=QUALITY)
            yield ImageValue(whole.getvalue(), "jpeg", "file")
        return
    path = LOGS / RECORDED["so101" if name == "arm" else name][0]
    found = 0
    for _, _, image in sources(path):
        if image.kind == "file" and found < count:
            found += 1
            yield image


def pictures(name: str, count: int) -> list[Picture]:
    """What the encoder gets."""
    decoder = PixelDecoder()
    taken = [decoder.take(image) for image in images(name, count)]
    return [picture for picture in taken if isinstance(picture, Picture)]


def run(names: list[str], frames: int, only: str) -> dict[str, Any]:
    """Every setting at each crf, content by content."""
    raw: dict[str, Any] = {"machine": machine(), "frames": frames, "contents": [], "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for content in CONTENTS:
            if content.name not in names:
                continue
            shown = pictures(content.name, frames)
            raw["contents"].append({"name": content.name, "title": content.title, "frames": len(shown)})
            times = [number * STEP_US for number in range(len(shown))]
            tried(shown, times, SETTINGS[0].encoding(23), Path(folder) / "warm.mp4")
            for choice in SETTINGS:
                for crf in CRFS[choice.codec] if only in choice.name else ():
                    row = tried(shown, times, choice.encoding(crf), Path(folder) / "tried.mp4")
                    raw["rows"].append({"content": content.name, "choice": choice.name, "crf": crf, **row})
                    sys.stderr.write(f"{content.name}, {choice.name}, crf {crf}\n")
    return raw


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.choices", description=__doc__.splitlines()[0])
    parser.add_argument("--contents", default=",".join(one.name for one in CONTENTS), help="comma-separated")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each")
    parser.add_argument("--only", default="", help="settings whose name has this in it")
    parser.add_argument("--report", type=Path, help="measure nothing: write page and chart from such a JSON")
    asked = parser.parse_args()
    if asked.report:
        raw = json.loads(asked.report.read_text("utf-8"))
    else:
        raw = run(asked.contents.split(","), asked.frames, asked.only)
    if len(raw["contents"]) == len(CONTENTS) and raw["frames"] == FRAMES and not asked.only:
        (DOCS / "bench" / "choices.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
        tables.write(raw, DOCS / "choices.md", DOCS / "img" / "choices.svg")
    else:
        BUILD.mkdir(parents=True, exist_ok=True)
        (BUILD / "choices.json").write_text(json.dumps(raw, indent=1) + "\n", "utf-8")
    sys.stdout.write(tables.everything(raw) + "\n")


if __name__ == "__main__":
    main()
