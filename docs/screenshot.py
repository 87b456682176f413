"""Draws docs/img/htmlreport.png: the page of the sample log, as Chromium shows it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.sample import make_sample

OUT = Path(__file__).parent / "img" / "htmlreport.png"
WIDTH, HEIGHT = 1000, 1390
COLOURS = 200
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--disable-quic",
         "--blink-settings=preferredColorScheme=1")  # fmt: skip


def main() -> None:
    """Make the sample, convert it, and take a picture of its page."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("there is no chromium, chromium-browser or google-chrome to take a picture with")
    with TemporaryDirectory() as folder:
        place = Path(folder)
        log = make_sample(place / "drive.mcap", container="mcap", seconds=12)
        report = mrt.convert(log, place / "drive", settings=mrt.Settings(min_psnr_db=40))
        page = mrt.html_report(report).replace(f"{folder}/", "")
        (place / "page.html").write_text(page, encoding="utf-8")
        command = [chromium, *FLAGS, f"--user-data-dir={place / 'profile'}", f"--window-size={WIDTH},{HEIGHT}"]
        command += [f"--screenshot={place / 'page.png'}", (place / "page.html").as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        picture = Image.open(io.BytesIO((place / "page.png").read_bytes())).convert("RGB")
    # As few colours as it takes, for a small file.
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(OUT, optimize=True)


if __name__ == "__main__":
    main()
