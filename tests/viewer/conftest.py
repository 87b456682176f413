"""A dataset to look at, and pages of it in a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.sample import START_NS, SampleMessage, numbered_topic, write_log
from mediaref_tools.viewer.view import view

from ..browser import CHROMIUM
from .pages import Page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OpenPage = Callable[..., Page]

COUNTER, RIGHT, DEPTH = "/counter", "/right/image", "/depth/image"
COUNT = 300
RIGHT_FIRST = 4321


def counter_times_ns() -> list[int]:
    """30 Hz with jitter, 5 ms between two, two at the very same time, gaps of 180 ms and 1.3 s."""
    rng = np.random.default_rng(7)
    steps = 33_333_333 + rng.integers(-8_000_000, 8_000_000, COUNT)
    steps[40], steps[90], steps[150], steps[220] = 5_000_000, 0, 180_000_000, 1_300_000_000
    return [int(time_ns) for time_ns in START_NS + 1_345_678 + np.cumsum(steps)]


def messages() -> list[SampleMessage]:
    counter = numbered_topic(COUNTER, counter_times_ns())
    right_times = [START_NS + 60_000_000 + at * 66_700_001 for at in range(150)]
    right = numbered_topic(RIGHT, right_times, encoding="rgb8", size=(240, 320), first=RIGHT_FIRST)
    depth_times = [START_NS + 75_000_000 + at * 100_000_003 for at in range(60)]
    return [*counter, *right, *numbered_topic(DEPTH, depth_times, encoding="16UC1", size=(120, 160))]


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("viewer") / "drive.mcap", "mcap", messages())


@pytest.fixture(scope="session")
def dataset(log: Path) -> Path:
    """The log beside it: frames can be compared. Three segments of the counter."""
    convert(log, log.parent / "drive", settings=Settings(segment_ns=4_000_000_000))
    return log.parent / "drive"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags, env={**os.environ})
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Opens what is given on a page; at the end none of them may have met an error."""
    opened = []

    def opener(path: Path, *, hash: str = "", width: int = 1100, height: int = 800, **settings: object) -> Page:  # noqa: A002
        viewer = view(path, **settings)  # type: ignore[arg-type]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
        page = Page(viewer, context, hash)
        opened.append(page)
        return page

    yield opener
    for page in opened:
        page.close()
    assert not [error for page in opened for error in page.errors]
