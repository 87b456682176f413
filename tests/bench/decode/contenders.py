"""Who takes part, and the environment that each runs in."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

__all__ = ["CONTENDERS", "Contender", "python_of"]

ROOT = Path(__file__).parents[3]
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""As many as ours takes where nobody says how many."""


@dataclass(frozen=True)
class Contender:
    """One way to decode.

    Attributes:
        name: What tables call it.
        module: Of `peers`.
        options: What that module is told.
        requires: For pip, into an environment of their own; nothing is the project's own environment.
        role: "limit" is no way to get pictures, "plain" no library for batches.
        per_frame: It does the same for each frame, whatever it did before: of the sequential stretch one call will do.
        own: It needs a dataset of ours.
    """

    name: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    role: Literal["ours", "peer", "plain", "limit"] = "peer"
    per_frame: bool = False
    own: bool = False


_AV = (f"av=={version('av')}", "numpy")
_SEED2 = ("mediaref==2.1.0", "numpy")
# As CI: the last TorchCodec that loads without CUDA's libraries; FFmpeg's come from the system.
_TORCH = ("torch==2.13.0", "torchcodec==0.13.0", "numpy")
_DECORD = ("decord==0.6.0", "numpy")
_OPENCV = ("opencv-python-headless==5.0.0.93", "numpy")


def _seed2(name: str, **options: Any) -> Contender:
    return Contender(name, "by_mediaref", {"decoder_options": options} if options else {}, _SEED2)


CONTENDERS = (
    Contender("ours, dataset", "by_ours", {"by": "dataset"}, role="ours", own=True),
    Contender("ours, VideoDecoder", "by_ours", {"by": "video"}, role="ours"),
    Contender("ours, dataset, exact colours", "by_ours", {"by": "dataset", "exact": True}, role="ours", own=True),
    Contender("ours, VideoDecoder, exact colours", "by_ours", {"by": "video", "exact": True}, role="ours"),
    Contender("ours, batch_decode", "by_ours", {"by": "references"}, role="ours"),
    Contender("open + seek per frame", "by_pyav", {"keep_open": False}, _AV, role="plain", per_frame=True),
    Contender("kept open, seek per frame", "by_pyav", {"keep_open": True}, _AV, role="plain", per_frame=True),
    Contender("mediaref 1.0.0", "by_mediaref", {}, ("mediaref[video]==1.0.0", "numpy")),
    _seed2("mediaref 2.1.0"),
    _seed2("mediaref 2.1.0, timestamp", seek_mode="timestamp"),
    _seed2("mediaref 2.1.0, 2 threads", num_ffmpeg_threads=2),
    _seed2("mediaref 2.1.0, timestamp, 2 threads", seek_mode="timestamp", num_ffmpeg_threads=2),
    Contender("torchcodec", "by_torchcodec", {"threads": 1}, _TORCH),
    Contender("torchcodec, 2 threads", "by_torchcodec", {"threads": 2}, _TORCH),
    Contender("decord", "by_decord", {"threads": 1}, _DECORD),
    Contender("decord, 2 threads", "by_decord", {"threads": 2}, _DECORD),
    Contender("OpenCV, by place", "by_opencv", {"by": "place"}, _OPENCV, role="plain"),
    Contender("OpenCV, by time", "by_opencv", {"by": "time"}, _OPENCV, role="plain"),
    Contender("libavcodec's limit", "by_limit", {"threads": THREADS}, role="limit"),
)


class NotInstalled(Exception):
    """Why an environment can't be had, without paths and hosts."""


def python_of(requires: tuple[str, ...], folder: Path) -> str:
    """The Python of an environment, made below `folder` where it is not there yet.

    Raises:
        NotInstalled: pip can't.
    """
    if not requires:
        return sys.executable
    name = re.sub(r"\W+", "-", requires[0]) + "-" + hashlib.sha256(" ".join(requires).encode()).hexdigest()[:8]
    place = folder / name
    python = place / "bin" / "python"
    if not (place / "ready").exists():
        sys.stderr.write(f"installing {' '.join(requires)} …\n")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requires]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            raise NotInstalled(tidy(said[-1]))
        (place / "ready").touch()
    return str(python)


def tidy(text: str) -> str:
    """A message in one line without places of this machine or of a network: it goes into a page."""
    text = re.sub(r"\w+://\S+", "…", text)
    text = re.sub(r"(?<![\w.])/[\w.+@~-]+(?:/[\w.+@~-]+)+/?", "…", text)
    text = re.sub(r"\[\d\d:\d\d:\d\d\] …:\d+: ", "", text)  # a log line's time and place
    text = " ".join(text.split())
    return text if len(text) <= 160 else text[:159] + "…"
