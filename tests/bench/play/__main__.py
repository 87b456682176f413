"""Run the benchmark: `python -m tests.bench.play`, or `make bench-play`.

A full run replaces docs/bench/play.json and the tables of docs/playing.md.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.sample import START_NS, SampleMessage, header, write_log
from tests.bench.decode import footage
from tests.bench.decode.__main__ import machine
from tests.bench.decode.contenders import ROOT
from tests.bench.recovery import replace_part
from tests.browser import CHROMIUM
from tests.reallogs import ROOT as LOGS

__all__ = ["cameras", "latencies", "main", "played", "tables"]

BUILD = ROOT / "build" / "bench" / "play"
DOCS = ROOT / "docs"
TOPICS = (1, 2, 4, 8)
RATE, SIZE, QUALITY = 30, (640, 480), 90
SECONDS = 12
WAYS = ("random", "scrub", "step on", "step back")
RECORDED = {
    "dashcam": ("mcap/dashcam_27s_ros2_zstd.mcap", "dashcam, 960x540 h264"),
    "depth": ("ros1/handheld_rgbd_jpeg_cdepth.bag", "depth, 640x480 ffv1"),
}


def cameras(folder: Path, count: int, seconds: float) -> Path:
    """A dataset of cameras, 640x480 at 30 Hz, each at times of its own."""
    out = folder / f"cameras-{count}-{seconds:g}"
    if not out.exists():
        log = folder / f"{out.name}.mcap"
        log.unlink(missing_ok=True)
        write_log(log, "mcap", sorted(_messages(count, seconds), key=lambda message: message.log_time_ns))
        mrt.convert(log, out)
        log.unlink()
    return out


def _messages(count: int, seconds: float) -> Iterator[SampleMessage]:
    chance = np.random.default_rng(8)
    for camera in range(count):
        for number, picture in enumerate(footage.frames(SIZE, round(seconds * RATE), camera)):
            time_ns = START_NS + number * 10**9 // RATE + camera * 3_000_000 + int(chance.integers(0, 2_000_000))
            whole = io.BytesIO()
            Image.fromarray(picture).save(whole, "jpeg", quality=QUALITY)
            data = np.frombuffer(whole.getvalue(), np.uint8)
            body = SimpleNamespace(header=header(time_ns, f"camera{camera}"), format="jpeg", data=data)
            yield SampleMessage(f"/camera{camera}", "sensor_msgs/msg/CompressedImage", time_ns, body)


def recorded(folder: Path, name: str) -> tuple[Path, Path] | None:
    """A recorded log and its dataset; None where it is not there."""
    log = LOGS / RECORDED[name][0]
    if not log.exists():
        return None
    out = folder / name
    if not out.exists():
        mrt.convert(log, out, settings=mrt.Settings(depth="ffv1"))
    return log, out


def visits(way: str, count: int, asked: int) -> list[int]:
    """Which frames somebody goes to: each once at most, so that nothing is answered from what was encoded before."""
    if way == "random":
        return [int(index) for index in np.random.default_rng(5).permutation(count)[:asked]]
    stride = 7 if way == "scrub" else 1
    found = list(range(0, count, stride))[:asked]
    return found[::-1] if way == "step back" else found


def latencies(path: Path, topic: str, *, rounds: int, asked: int = 120) -> dict[str, list[float]]:
    """Milliseconds from question to the whole answer, by way; each round opens the dataset anew."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for way in WAYS:
        for _ in range(rounds):
            with mrt.view(path, topics=[topic]) as viewer:
                where = urlsplit(viewer.url)
                connection = http.client.HTTPConnection("127.0.0.1", where.port or 0)

                def ask(
                    what: str, connection: http.client.HTTPConnection = connection, base: str = where.path
                ) -> bytes:
                    connection.request("GET", base + what)
                    answer = connection.getresponse()
                    body = answer.read()
                    if answer.status != 200:
                        raise RuntimeError(body.decode())
                    return body

                about = json.loads(ask("api/session"))["topics"][0]
                query = f"w={about['width']}&lo=100&hi=5000"
                ask(f"api/0/frame/0/{about['frames'] - 1}?{query}")  # files are open, code is warm
                for index in visits(way, about["frames"] - 1, asked):
                    began = time.perf_counter()
                    ask(f"api/0/frame/0/{index}?{query}")
                    found[way].append(1000 * (time.perf_counter() - began))
                connection.close()
    return found


def played(path: Path, *, seconds: float) -> dict[str, float]:
    """Play a dataset in Chromium, 1400x900: frames shown of those that were due, and the server's CPU time."""
    from playwright.sync_api import sync_playwright

    with mrt.view(path) as viewer, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1400, "height": 900})
        page.goto(viewer.url)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_timeout(1000)
        cpu = time.process_time()
        page.keyboard.press("Space")
        page.wait_for_timeout(round(1000 * seconds))
        page.keyboard.press("Space")
        cpu = time.process_time() - cpu
        shown, due = page.inner_text("#counts").split()[0].split("/")
        chromium.close()
    return {"shown": int(shown), "due": int(due), "server_cpu": cpu, "seconds": seconds}


def tables(raw: dict[str, Any]) -> dict[str, str]:
    """The tables of docs/playing.md."""
    rows = ["| pictures | " + " | ".join(WAYS) + " |", "|---|" + "--:|" * len(WAYS)]
    for row in raw["latencies"]:
        cells = [f"{np.percentile(row['ms'][way], 50):.1f} / {np.percentile(row['ms'][way], 95):.1f}" for way in WAYS]
        rows.append(f"| {row['title']} | {' | '.join(cells)} |")
    shown = ["| topics | due | shown | | server's CPU, cores |", "|--:|--:|--:|--:|--:|"]
    for row in raw["played"]:
        part = 100 * row["shown"] / row["due"]
        shown.append(
            f"| {row['topics']} | {row['due']} | {row['shown']} | {part:.0f} % | "
            f"{row['server_cpu'] / row['seconds']:.2f} |"
        )
    host = raw["machine"]
    where = (
        f"{host['cores']} cores ({host['processor']}), load {host['load_before']:.1f} before; Chromium without a GPU "
        "on the same cores."
    )
    return {"latency": "\n".join(rows), "played": "\n".join(shown), "machine": where}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that prints its tables and changes nothing")
    options = parser.parse_args(arguments)
    BUILD.mkdir(parents=True, exist_ok=True)
    seconds, rounds = (3, 1) if options.quick else (SECONDS, 3)
    raw: dict[str, Any] = {"machine": machine(), "latencies": [], "played": []}
    places = [("camera, 640x480 h264", cameras(BUILD, 1, seconds), "/camera0")]
    for name, (_, title) in RECORDED.items():
        if found := recorded(BUILD, name):
            log, out = found
            with mrt.open_dataset(out) as dataset:
                topic = next(topic for topic in dataset if ("depth" in topic) == (name == "depth"))
            places.append((title, out, topic))
            if name == "dashcam":
                places.append(("dashcam, the log itself, JPEG", log, topic))
    for title, path, topic in places:
        raw["latencies"].append({"title": title, "ms": latencies(path, topic, rounds=rounds)})
        print(tables(raw)["latency"].splitlines()[-1], flush=True)
    for count in TOPICS if CHROMIUM else ():
        row = played(cameras(BUILD, count, seconds), seconds=min(8, seconds - 1))
        raw["played"].append({"topics": count, **row})
        print(tables(raw)["played"].splitlines()[-1], flush=True)
    if options.quick:
        return
    (DOCS / "bench" / "play.json").write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    for name, table in tables(raw).items():
        replace_part(DOCS / "playing.md", name, table)


if __name__ == "__main__":
    main()
