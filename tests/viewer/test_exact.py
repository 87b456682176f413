"""The page shows the frame that the reader returns, and its label belongs to it: told by numbers in the pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref_tools.dataset.opening import open_dataset

from .conftest import COUNT, COUNTER, DEPTH, RIGHT, RIGHT_FIRST, OpenPage
from .pages import Page


def check(page: Page, index: int, right: int) -> None:
    """The counter shows a frame, and the topic beside it the one of the same time."""
    counter, other = page.seen(COUNTER), page.seen(RIGHT)
    assert (counter["index"], counter["number"]) == (index, index)
    assert counter["label"].startswith(f"{index}/{COUNT} ")
    if right >= 0:
        assert (other["index"], other["number"]) == (right, right + RIGHT_FIRST)
    else:
        assert (other["index"], other["label"]) == (None, "-/150")


def rights(dataset: Path) -> list[int]:
    """Which frame of the other topic is on screen at each frame of the counter, as the reader has it."""
    with open_dataset(dataset) as opened:
        found: list[int] = opened[RIGHT].index_at(opened[COUNTER].log_times_ns).tolist()
        return found


def test_steps_visit_every_frame_once(open_page: OpenPage, dataset: Path) -> None:
    """Irregular times, two frames at one time, gaps and segment borders included; then all the way back."""
    with open_dataset(dataset) as opened:
        assert len({ref.uri for ref in opened[COUNTER].refs}) >= 3
        assert (np.diff(opened[COUNTER].log_times_ns) == 0).sum() == 1
    page, other = open_page(dataset), rights(dataset)
    page.press("1", "Home")
    check(page, 0, other[0])
    for index in range(1, COUNT):
        page.press("ArrowRight" if index % 2 else ".")
        check(page, index, other[index])
    page.press("ArrowRight")
    check(page, COUNT - 1, other[-1])
    for index in reversed(range(COUNT - 1)):
        page.press("ArrowLeft" if index % 2 else ",")
        check(page, index, other[index])
    assert page.number(COUNTER) == 0


def test_seeks(open_page: OpenPage, dataset: Path) -> None:
    """To a frame's own time, and to the last ns before the next one."""
    page = open_page(dataset)
    with open_dataset(dataset) as opened:
        times = opened[COUNTER].log_times_ns
        for index in np.random.default_rng(3).integers(0, COUNT - 1, 30).tolist():
            for time_ns in {int(times[index]), max(int(times[index]), int(times[index + 1]) - 1)}:
                page.page.fill("#goto", str(time_ns))
                page.page.press("#goto", "Enter")
                page.settle()
                check(page, int(opened[COUNTER].index_at(time_ns)), int(opened[RIGHT].index_at(time_ns)))


# In each turn of the page, after it has drawn: what every topic shows, and the clock.
_WATCH = """
({topics, ms}) => new Promise(done => {
  const samples = [];
  const began = performance.now();
  const turn = () => {
    samples.push(topics.map(seen).concat([document.getElementById("log-time").textContent]));
    if (performance.now() - began < ms) requestAnimationFrame(turn); else done(samples);
  };
  requestAnimationFrame(turn);
})
"""


@pytest.mark.parametrize("speed", ["1", "4"])
def test_labels_belong_to_pictures_while_playing(open_page: OpenPage, dataset: Path, speed: str) -> None:
    page = open_page(dataset)
    page.page.select_option("#speed", speed)
    page.page.locator(f"[data-topic='{COUNTER}']").click(position={"x": 30, "y": 200})
    page.press("Home")
    page.page.keyboard.press("Space")
    samples: list[Any] = page.run(_WATCH, {"topics": [COUNTER, RIGHT], "ms": 5000 if speed == "1" else 2600})
    counter = [sample[0] for sample in samples if sample[0]["index"] is not None]
    right = [sample[1] for sample in samples if sample[1]["index"] is not None]
    assert len({each["index"] for each in counter}) > 3  # how many is the machine's affair
    wrong = [each for each in counter if not each["number"] == each["index"] == int(each["label"].split("/")[0])]
    wrong += [each for each in right if each["number"] != each["index"] + RIGHT_FIRST]
    assert not wrong
    # Time goes forward on every topic, and comes across a segment border.
    shown = [each["index"] for each in counter]
    assert shown == sorted(shown)
    with open_dataset(dataset) as opened:
        uris = [ref.uri for ref in opened[COUNTER].refs]
    assert len({uris[index] for index in shown}) > 1
    # No picture of a time that is still to come, and the clock did not wait for pictures.
    page.page.keyboard.press("Space")
    page.settle()


def test_segment_border(open_page: OpenPage, dataset: Path) -> None:
    with open_dataset(dataset) as opened:
        uris = [ref.uri for ref in opened[COUNTER].refs]
        times = opened[COUNTER].log_times_ns
    borders = [index for index in range(1, COUNT) if uris[index] != uris[index - 1]]
    page, other = open_page(dataset), rights(dataset)
    for border in borders:
        page.page.fill("#goto", str(times[border - 1]))
        page.page.press("#goto", "Enter")
        page.settle()
        page.page.keyboard.press("Escape")
        for index, key in ((border, "."), (border + 1, "."), (border, ","), (border - 1, ",")):
            page.press(key)
            check(page, index, other[index])


def test_solo_and_resize_refetch(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset, width=700, height=700)
    page.press("1", "Home", *["."] * 5)
    small = page.picture(COUNTER).shape[1]
    page.press("Enter")
    page.page.wait_for_function(f"() => document.querySelector('[data-topic=\"{COUNTER}\"] canvas').width > {small}")
    assert page.seen(COUNTER)["number"] == 5
    assert page.page.locator(".tile:visible").count() == 1
    page.page.set_viewport_size({"width": 1300, "height": 900})
    page.press(".")
    assert (page.picture(COUNTER).shape[1], page.number(COUNTER)) == (640, 6)
    page.press("Escape")
    assert page.page.locator(".tile:visible").count() == 3


def test_drag_over_the_lanes(open_page: OpenPage, dataset: Path) -> None:
    """Whatever is shown on the way is what its label says; where the drag ends, it is what is due."""
    page = open_page(dataset)
    box = page.page.locator(".strip").bounding_box()
    assert box is not None
    page.page.mouse.move(box["x"] + 5, box["y"] + 10)
    page.page.mouse.down()
    for part in range(40):
        page.page.mouse.move(box["x"] + 5 + part * (box["width"] - 10) / 40, box["y"] + 10)
        seen = page.seen(COUNTER)
        assert seen["index"] is None or seen["number"] == seen["index"] == int(seen["label"].split("/")[0])
    page.page.mouse.up()
    page.settle()
    seen = page.seen(COUNTER)
    assert seen["number"] == seen["index"]
    assert seen["index"] > 200


def test_pixels_are_the_reader_s(open_page: OpenPage, dataset: Path) -> None:
    """Within what JPEG loses on the way to the page."""
    page = open_page(dataset, width=1500, height=1000)
    page.press("1", "Home", *["."] * 7, "Enter")
    page.page.wait_for_function(f"() => document.querySelector('[data-topic=\"{COUNTER}\"] canvas').width === 640")
    with open_dataset(dataset) as opened:
        expected = opened[COUNTER].batch([7], "rgb")[0].data.astype(np.int16)
    assert np.abs(page.picture(COUNTER) - expected).mean() < 3


def test_depth_follows_as_well(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    with open_dataset(dataset) as opened:
        times = opened[DEPTH].log_times_ns
        for index in (0, 17, 59):
            page.page.fill("#goto", str(times[index]))
            page.page.press("#goto", "Enter")
            page.settle()
            assert page.seen(DEPTH)["index"] == index
