"""A Chromium for tests: plays videos and tells the pixels that it shows, or opens a page and tells how that looks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.servers import FileServer

__all__ = ["CHROMIUM", "Look", "opened", "seen"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""The program, or None where there is none."""

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    # Nothing but the page: no updates, no reports, no look-ups.
    "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # Not the screen's, which would be converted to.
    "--force-color-profile=srgb",
)  # fmt: skip

_PAGE = """<!doctype html>
<title>videos</title>
<body>
<script>
const send = (path, body) => fetch(path, {method: "POST", body});
const event = (video, name) => new Promise((done, failed) => {
  video.addEventListener(name, done, {once: true});
  video.addEventListener("error", () => failed(new Error(video.error.message)), {once: true});
});

async function show(name, times) {
  const video = document.createElement("video");
  video.muted = true;
  video.preload = "auto";
  const loaded = event(video, "loadeddata");
  video.src = name;
  document.body.append(video);
  await loaded;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext("2d", {willReadFrequently: true});
  for (const [number, seconds] of times.entries()) {
    // "seeked" may come before there is anything to draw.
    const painted = new Promise(done => video.requestVideoFrameCallback(done));
    const sought = event(video, "seeked");
    video.currentTime = seconds;
    await Promise.all([sought, painted]);
    context.drawImage(video, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    await send(`${name}/${number}/${canvas.height}`, pixels);
  }
  video.remove();
}

(async () => {
  for (const [name, times] of Object.entries(VIDEOS)) {
    try { await show(name, times); } catch (error) { await send(`${name}/error`, error.message); }
  }
  await send("/end", "");
})();
</script>
"""

_FRAME = """<!doctype html>
<title>frame</title>
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<iframe id="page" src="/framed.html" style="width: WIDTHpx; height: 3000px; border: 0"></iframe>
<script>
const frame = document.getElementById("page");
frame.addEventListener("load", async () => {
  const page = frame.contentDocument;
  const pictures = [...page.images];
  await Promise.allSettled(pictures.map(picture => picture.decode()));
  const told = {
    width: page.documentElement.scrollWidth,
    pictures: pictures.map(picture => picture.naturalWidth),
    background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
  };
  await fetch("/end", {method: "POST", body: JSON.stringify(told)});
});
</script>
"""


def seen(
    videos: Mapping[str, Path], seconds: Sequence[float], folder: Path, timeout: float = 180
) -> dict[str, NDArray[np.uint8] | str]:
    """Let Chromium show videos.

    Args:
        videos: Files by name, each fit for a URL.
        seconds: At which times, the same in all.
        folder: An empty one for its profile.
        timeout: Seconds for all of them.

    Returns:
        By name (len(seconds), H, W, 3) uint8 RGB, or why it does not play.
    """
    files = {f"/{name}": path.read_bytes() for name, path in videos.items()}
    page = _PAGE.replace("VIDEOS", json.dumps({name: list(seconds) for name in files}))
    with FileServer({"/page.html": page.encode(), **files}) as server:
        _visit(server, folder, timeout)
        return {name: _pixels(server.posted, name, len(seconds)) for name in videos}


class Look(NamedTuple):
    """How a page looks.

    Attributes:
        scroll_width: Of what is on it, in CSS pixels.
        pictures: Natural width of each picture; 0 where it does not load.
        background: Its colour, as CSS has it.
        console: What the browser has to say of it: errors, and what its policy forbids.
        requests: Paths that were asked for, in order.
    """

    scroll_width: int
    pictures: list[int]
    background: str
    console: list[str]
    requests: list[str]


def opened(page: str, folder: Path, *, width: int, dark: bool = False, timeout: float = 120) -> Look:
    """Open a page of `width` CSS pixels, in a frame of another that measures it: the page needs no script for that."""
    frame = _FRAME.replace("WIDTH", str(width))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    with FileServer({"/page.html": frame.encode(), "/framed.html": page.encode()}) as server:
        told = _visit(server, folder, timeout, scheme, "--enable-logging=stderr", "--hide-scrollbars")
        found = json.loads(server.posted["/end"])
        console = [line for line in told.splitlines() if "CONSOLE" in line]
        paths = [request.path for request in server.requests if request.method == "GET"]
    return Look(found["width"], found["pictures"], found["background"], console, paths)


def _visit(server: FileServer, folder: Path, timeout: float, *flags: str) -> str:
    """Let Chromium open the server's `/page.html` until that posts `/end`; what it says on standard error."""
    assert CHROMIUM is not None
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, *flags, f"--user-data-dir={folder / 'profile'}", f"{server.url}/page.html"],
            env={**os.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            stop = time.monotonic() + timeout
            while "/end" not in server.posted:
                assert process.poll() is None, f"Chromium ended: {(folder / 'stderr').read_text(errors='replace')}"
                assert time.monotonic() < stop, f"only {sorted(server.posted)} came from Chromium in {timeout} s"
                time.sleep(0.05)
        finally:
            process.terminate()
            process.wait(30)
    return (folder / "stderr").read_text(errors="replace")


def _pixels(posted: Mapping[str, bytes], name: str, count: int) -> NDArray[np.uint8] | str:
    if f"/{name}/error" in posted:
        return posted[f"/{name}/error"].decode()
    found = {path.split("/")[2]: (path, body) for path, body in posted.items() if path.startswith(f"/{name}/")}
    frames = []
    for number in range(count):
        path, body = found[str(number)]
        frames.append(np.frombuffer(body, np.uint8).reshape(int(path.split("/")[3]), -1, 4)[..., :3])
    return np.stack(frames)
