"""Draws from HDF5 episodes and from their datasets as training loops do, and writes the tables of docs/hdf5.md.

`python -m tests.bench.episodes`; the real logs are found through MEDIAREF_LOGS, and left out where they are not.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

import mediaref_tools as mrt
from mediaref_tools.conversion.batch import convert_folder
from mediaref_tools.episode import open_episode
from mediaref_tools.samples.scene import numbered_image
from tests.converters.hdf5logs import jpeg, padded
from tests.reallogs import ROOT

PAGE = Path(__file__).parents[2] / "docs" / "hdf5.md"
MARK, END = "<!-- made by python -m tests.bench.episodes -->", "<!-- to here -->"
EPISODES, STEPS, CAMERAS, SIZE = 3, 64, ("cam_high", "cam_left_wrist", "cam_right_wrist"), (640, 480)
DRAWS = 100
REAL = (("hdf5/aloha_raw_episode_0.hdf5", None), ("hdf5/robomimic_image.hdf5", "20"))


class Loop(NamedTuple):
    """A way to draw: its name, how many steps it reads at once, and whether an episode stays open."""

    name: str
    window: int
    opened_once: bool


LOOPS = (
    Loop("one step, episode opened for it (ACT)", 1, False),
    Loop("one step, episode stays open", 1, True),
    Loop("window of 8 steps, episode opened for it", 8, False),
    Loop("whole episode in order, 16 steps at a time", 16, True),
)


def record(path: Path, seed: int, kind: str) -> None:
    """An episode of a numbered scene with a camera's noise."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, 2, (SIZE[1] * 2, SIZE[0] * 2, 3)).astype(np.int16)
    with h5py.File(path, "w") as root:
        root.attrs["sim"] = True
        for number, camera in enumerate(CAMERAS):
            shape = (STEPS, SIZE[1], SIZE[0], 3)
            pictures = np.empty(shape, np.uint8)
            for step in range(STEPS):
                clean = numbered_image(1000 * number + step, *SIZE).astype(np.int16)
                top, left = chance.integers(SIZE[1]), chance.integers(SIZE[0])
                noisy = clean + noise[top : top + SIZE[1], left : left + SIZE[0]]
                pictures[step] = np.clip(noisy, 0, 255)
            name = f"observations/images/{camera}"
            if kind == "jpeg":
                root[name] = padded([jpeg(each, 90) for each in pictures])
            elif kind == "gzip":
                root.create_dataset(name, data=pictures, compression="gzip", compression_opts=1, chunks=True)
            else:
                root.create_dataset(name, data=pictures, chunks=(1, *shape[1:]))
        if kind == "jpeg":
            root.attrs["compress"] = True
        for name in ("observations/qpos", "observations/qvel", "action"):
            root[name] = np.zeros((STEPS, 14))


def draw(loop: Loop, paths: list[Path], opening: Callable[[Path], Any], take: Callable[[Any, slice], Any]) -> float:
    """Frames a second of a loop."""
    chance = np.random.default_rng(1)
    frames = 0
    begun = time.perf_counter()
    if loop.window == 16:
        with opening(paths[0]) as root:
            for start in range(0, STEPS, loop.window):
                for camera in CAMERAS:
                    frames += len(take(root[f"observations/images/{camera}"], slice(start, start + loop.window)))
        return frames / (time.perf_counter() - begun)
    kept = [opening(path) for path in paths] if loop.opened_once else []
    draws = DRAWS // (4 if loop.window > 1 else 1)
    for _ in range(draws):
        number, start = int(chance.integers(len(paths))), int(chance.integers(STEPS - loop.window + 1))
        root = kept[number] if kept else opening(paths[number])
        for camera in CAMERAS:
            frames += len(take(root[f"observations/images/{camera}"], slice(start, start + loop.window)))
        if not kept:
            root.close()
    for root in kept:
        root.close()
    return frames / (time.perf_counter() - begun)


def decoded(rows: Any, chosen: slice) -> Any:
    """What a script for compressed ALOHA does: decode each row's JPEG."""
    import io

    from PIL import Image

    return [np.asarray(Image.open(io.BytesIO(row.tobytes()))) for row in rows[chosen]]


def plain(rows: Any, chosen: slice) -> Any:
    """Raw pictures, or those of an opened dataset."""
    return rows[chosen]


def loops(folder: Path) -> list[str]:
    """The table of frames a second."""
    lines = [
        "| episodes | MB | as a dataset, MB | loop | HDF5, frames/s | dataset, frames/s | ratio |",
        "|---|--:|--:|---|--:|--:|--:|",
    ]
    names = {"raw": "raw, one chunk a picture", "gzip": "raw, gzip, h5py's chunks", "jpeg": "padded JPEG q90"}
    for kind, name in names.items():
        episodes, datasets = folder / kind, folder / f"{kind}-datasets"
        episodes.mkdir()
        for number in range(EPISODES):
            record(episodes / f"episode_{number}.hdf5", number, kind)
        report = convert_folder(episodes, datasets)
        assert report.lossless, report
        before = sorted(episodes.iterdir())
        after = [datasets / path.stem for path in before]
        for loop in LOOPS:
            old = draw(loop, before, lambda path: h5py.File(path, "r"), decoded if kind == "jpeg" else plain)
            new = draw(loop, after, open_episode, plain)
            sizes = f"{report.bytes_in / 1e6:.0f} | {report.bytes_out / 1e6:.1f}"
            lines.append(f"| {name} | {sizes} | {loop.name} | {old:.0f} | {new:.0f} | {new / old:.2f} |")
        shutil.rmtree(episodes)
        shutil.rmtree(datasets)
    return lines


def sizes(folder: Path) -> list[str]:
    """The table of recorded files."""
    lines = [
        "| file | frames | wrong | missing | MB before | MB after | PSNR p1, dB | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for relative, fps in REAL:
        log, out = ROOT / relative, folder / relative.replace("/", "_")
        if not log.exists():
            return []
        report = mrt.convert(log, out, settings=mrt.Settings(fps=fps))
        proof = mrt.verify(out, against=log)
        assert proof.ok, proof
        lowest = min(topic.psnr_p1_db for topic in report.topics if topic.psnr_p1_db is not None)
        lines.append(
            f"| {relative} | {report.frames} | {report.wrong} | {report.missing} | {report.bytes_in / 1e6:.2f} | "
            f"{report.bytes_out / 1e6:.2f} | {lowest:.1f} | {report.seconds:.1f} |"
        )
    return lines


def main() -> None:
    """Measure, and put the tables into the page."""
    with tempfile.TemporaryDirectory() as name:
        recorded = sizes(Path(name))
        table = loops(Path(name))
    machine = f"{os.cpu_count()} cores, PyAV {version('av')}, h5py {version('h5py')}, files in the page cache"
    about = f"{EPISODES} episodes of {STEPS} steps by {len(CAMERAS)} cameras of {SIZE[0]}x{SIZE[1]}, on {machine}."
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(MARK)
    tail = rest.split(END)[1]
    body = "\n".join([MARK, "", *recorded, *([""] if recorded else []), about, "", *table, "", END])
    PAGE.write_text(head + body + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
