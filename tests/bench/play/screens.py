"""Pictures of the viewer for docs/playing.md: `python -m tests.bench.play.screens`, with the recorded logs at hand."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.sample import make_sample
from tests.bench.play.__main__ import DOCS, RECORDED
from tests.browser import CHROMIUM
from tests.reallogs import ROOT as LOGS

__all__ = ["main"]


def _taken(
    browser: Any,
    path: Path,
    name: str,
    *,
    keys: Sequence[str] = (),
    size: tuple[int, int] = (1100, 700),
    theme: str = "dark",
    at: str = "t=1.2s",
    hover: tuple[str, int, int] | None = None,
) -> None:
    """Open a page, press keys, and keep what is seen as docs/img/<name>.png."""
    with mrt.view(path) as viewer:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        page = context.new_page()
        page.goto(f"{viewer.url}#{at}")
        page.wait_for_selector("body[data-ready=true]")
        page.wait_for_timeout(1500)
        for key in keys:
            page.keyboard.press(key)
            page.wait_for_timeout(400)
        if hover is not None:
            page.mouse.move(*hover[1:])
        page.wait_for_timeout(1200)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        picture.quantize(128, dither=Image.Dither.NONE).save(DOCS / "img" / f"{name}.png", optimize=True)
        context.close()


def main() -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    # In the folder: what is said of files should name none of this machine's.
    with tempfile.TemporaryDirectory() as name, chdir(name), sync_playwright() as playwright:
        folder = Path()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        places = {}
        for kind, (relative, _) in RECORDED.items():
            log = Path(shutil.copy(LOGS.absolute() / relative, folder))
            mrt.convert(log, folder / kind, settings=mrt.Settings(depth="ffv1"))
            places[kind] = folder / kind
        sample = make_sample(folder / "sample.mcap", container="mcap", seconds=8)
        mrt.convert(sample, folder / "sample", settings=mrt.Settings(segment_ns=3_000_000_000))
        (folder / "broken").mkdir()
        shutil.copytree(folder / "sample", folder / "broken", dirs_exist_ok=True)
        next((folder / "broken" / "media").glob("*left*/000000.mp4")).unlink()
        depth = places["depth"]
        _taken(browser, depth, "play-grid", keys=["2"], hover=("depth", 820, 300))
        _taken(browser, places["dashcam"], "play-info", keys=["i", "a", *["Shift+ArrowRight"] * 3, "b"], at="t=9.5s")
        _taken(browser, depth, "play-compare", keys=["1", "Enter", "d", "d", "d"])
        _taken(browser, depth, "play-zoom", keys=["2", "Enter", *["z"] * 5], hover=("depth", 600, 300))
        _taken(browser, folder / "sample", "play-light", theme="light", at="t=3.3s", keys=["1"])
        _taken(browser, folder / "sample", "play-narrow", size=(420, 760), at="t=3.3s")
        _taken(browser, folder / "broken", "play-damaged", at="t=1.5s")
        _taken(browser, LOGS.absolute() / "hdf5" / "aloha_raw_episode_0.hdf5", "play-plain", at="t=0.08s")
        _taken(browser, folder / "sample", "play-help", keys=["?"])
        browser.close()


if __name__ == "__main__":
    main()
