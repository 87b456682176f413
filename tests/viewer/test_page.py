"""What people do on the page: keys, mouse, links, ranges, copying; and what it says where something is wrong."""

from __future__ import annotations

import io
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.sample import START_NS, frame_number, numbered_topic, write_log
from mediaref_tools.viewer.view import view

from ..smalllogs import text
from .conftest import COUNT, COUNTER, DEPTH, RIGHT, OpenPage
from .pages import Page


def clock_ns(page: Page) -> int:
    """Where the clock is, from the first frame, to the ms that is shown."""
    return round(float(page.page.input_value("#goto")) * 1e9)


def test_keyboard_alone(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("1", "Home", "Shift+ArrowRight")
    assert clock_ns(page) == 1_000_000_000
    page.press("Alt+ArrowRight", "Alt+ArrowRight", "Alt+ArrowLeft")
    assert clock_ns(page) == 1_100_000_000
    assert page.page.url.startswith(page.viewer.url)  # Alt+Left did not go back
    page.press("End")
    assert page.seen(COUNTER)["index"] == COUNT - 1
    page.press("Home", "]", "]")
    assert page.page.input_value("#speed") == "4"
    page.press("[", "-", "+", "=")
    assert page.page.input_value("#speed") == "4"
    page.press("3")
    assert page.page.locator(".tile.selected").get_attribute("data-topic") == RIGHT
    page.press(".", ".")
    assert page.seen(RIGHT)["index"] in (1, 2)
    page.press("f")
    assert page.page.locator(".tile:visible").count() == 1
    page.press("Escape", "i")
    assert page.page.locator(".overlay:visible").count() == 3
    page.press("?")
    assert page.page.locator("#help-dialog").is_visible()
    page.page.keyboard.press("Escape")
    assert not page.page.locator("#help-dialog").is_visible()
    page.press("g")
    page.page.keyboard.type("2.5")
    page.page.keyboard.press("Enter")
    page.settle()
    assert clock_ns(page) == 2_500_000_000
    page.page.keyboard.press("Space")
    assert page.page.get_attribute("#play", "aria-label") == "Pause"
    page.page.keyboard.press("Space")
    assert page.page.get_attribute("#play", "aria-label") == "Play"
    assert clock_ns(page) > 2_500_000_000


def test_all_can_be_reached_by_tab(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    names = set()
    for _ in range(60):
        page.page.keyboard.press("Tab")
        names.add(
            page.run("() => { const e = document.activeElement; return e.id || e.dataset.topic || e.textContent; }")
        )
    assert {"play", "previous", "next", "goto", "speed", "loop", "scrubber", "info", "help", "theme"} <= names
    assert {COUNTER, RIGHT, DEPTH} <= names
    unnamed = page.run(
        """() => [...document.querySelectorAll("button, input, select, canvas[role]")]
          .filter(e => !e.getAttribute("aria-label") && !e.textContent.trim() && !e.closest("label")?.textContent)
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []


def test_what_a_screen_reader_hears(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("1", "Home", ".", ".")
    assert page.page.get_attribute("#status", "aria-live") == "polite"
    assert f", {COUNTER} frame 2 of {COUNT}" in (page.page.text_content("#status") or "")
    assert page.page.get_attribute(f"[data-topic='{COUNTER}'] canvas", "aria-label") == f"{COUNTER}, frame 2 of {COUNT}"
    page.page.focus("#scrubber")
    page.press("ArrowRight")
    assert page.seen(COUNTER)["index"] == 3


def test_deep_link(open_page: OpenPage, dataset: Path) -> None:
    with open_dataset(dataset) as opened:
        time_ns, after_ns = opened[COUNTER].log_times_ns[123:125].tolist()
    page = open_page(dataset, hash=f"#t={time_ns}&topic={RIGHT}")
    page.settle()
    assert page.seen(COUNTER) == page.seen(COUNTER) | {"index": 123, "number": 123}
    assert page.page.locator(".tile.selected").get_attribute("data-topic") == RIGHT
    page.press("1", "Enter", ".")
    page.page.wait_for_function(f"() => location.hash.includes('solo') && location.hash.includes('t={after_ns}')")
    link = page.page.url.split("#")[1]
    again = open_page(dataset, hash=f"#{link}")
    again.settle()
    assert again.seen(COUNTER)["number"] == 124
    assert again.page.locator(".tile:visible").count() == 1
    relative = open_page(dataset, hash="#t=2.5s")
    assert clock_ns(relative) == 2_500_000_000


def test_depth_range_and_value(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    with open_dataset(dataset) as opened:
        depth = opened[DEPTH][20].data
        time_ns = int(opened[DEPTH].log_times_ns[20])
    page.page.fill("#goto", str(time_ns))
    page.page.press("#goto", "Enter")
    page.settle()
    tile = page.page.locator(f"[data-topic='{DEPTH}']")
    low, high = (float(tile.locator(f"[data-range={name}]").input_value()) for name in ("low", "high"))
    assert 0 < low < high <= depth.max() / 1000 + 0.01
    box = tile.locator("canvas").bounding_box()
    assert box is not None
    # Far enough inside of flat places that JPEG's blocks don't mix them with others.
    deep = np.argwhere(depth[8:-8, 8:-8] > 2) + 8
    assert len(deep) > 1000
    for y, x in deep[:: len(deep) // 4].tolist():
        page.page.mouse.move(box["x"] + (x + 0.5) * box["width"] / 160, box["y"] + (y + 0.5) * box["height"] / 120)
        expected = f"x {x}  y {y}   {depth[y, x] / 1000:.3f} m"
        page.page.wait_for_function(
            "([topic, text]) => document.querySelector(`[data-topic='${topic}'] .value`).textContent === text",
            arg=[DEPTH, expected],
        )
    # What lies above the range has the last colour: dark red.
    before = page.picture(DEPTH)
    tile.locator("[data-range=low]").fill("0.001")
    tile.locator("[data-range=high]").fill("0.002")
    tile.locator("[data-range=high]").press("Enter")
    tile.locator("[data-range=high]").blur()
    page.settle()
    after = page.picture(DEPTH)
    assert not np.array_equal(before, after)
    y, x = deep[len(deep) // 2].tolist()
    red, green, blue = after[y, x].tolist()
    assert red > 100 > green + blue
    tile.locator("select").select_option("gray")
    page.settle()
    assert np.ptp(page.picture(DEPTH)[y, x]) < 12
    tile.locator("button", has_text="Auto").click()
    page.page.wait_for_function(
        "topic => document.querySelector(`[data-topic='${topic}'] [data-range=high]`).value !== '0.00'", arg=DEPTH
    )
    assert float(tile.locator("[data-range=high]").input_value()) == pytest.approx(high, rel=0.2)


def test_pixel_values_zoom_and_pan(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("3", "Home", "Enter")
    with open_dataset(dataset) as opened:
        time_ns = int(opened[RIGHT].log_times_ns[10])
        picture = opened[RIGHT][10].data
    page.page.fill("#goto", str(time_ns))
    page.page.press("#goto", "Enter")
    page.settle()
    tile = page.page.locator(f"[data-topic='{RIGHT}']")
    for _ in range(2):
        box = tile.locator("canvas").bounding_box()
        assert box is not None
        x, y = 160, 120
        page.page.mouse.move(box["x"] + (x + 0.5) * box["width"] / 320, box["y"] + (y + 0.5) * box["height"] / 240)
        red, green, blue = picture[y, x].tolist()
        page.page.wait_for_function(
            "([topic, text]) => document.querySelector(`[data-topic='${topic}'] .value`).textContent === text",
            arg=[RIGHT, f"x {x}  y {y}   R {red}  G {green}  B {blue}"],
        )
        page.page.mouse.wheel(0, -600)
        page.page.wait_for_function(
            "([topic, width]) => width <"
            " document.querySelector(`[data-topic='${topic}'] canvas`).getBoundingClientRect().width",
            arg=[RIGHT, box["width"] + 1],
        )
    zoomed = tile.locator("canvas").bounding_box()
    assert zoomed is not None
    assert box is not None
    assert zoomed["width"] > 2 * box["width"]
    page.page.mouse.down()
    page.page.mouse.move(400, 300, steps=4)
    page.page.mouse.up()
    moved = tile.locator("canvas").bounding_box()
    assert moved is not None
    assert (moved["x"], moved["y"]) != (zoomed["x"], zoomed["y"])
    assert moved["width"] == pytest.approx(zoomed["width"])
    page.press("0")
    back = tile.locator("canvas").bounding_box()
    assert back is not None
    assert back["width"] < zoomed["width"]


def test_compare_with_the_source(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("1", "Home", ".", ".", ".", "Enter")
    decoded = page.picture(COUNTER)
    pictures = {}
    for name in ("source", "difference", "side by side"):
        page.press("d")
        assert page.text(f"[data-topic='{COUNTER}'] .caption button") == name
        pictures[name] = page.picture(COUNTER)
    assert pictures["source"].shape == decoded.shape
    assert frame_number(pictures["source"]) == 3
    assert pictures["difference"].mean() < pictures["source"].mean() / 2
    assert pictures["side by side"].shape[1] > 2.5 * pictures["side by side"].shape[0]
    assert page.seen(COUNTER)["index"] == 3
    page.press("d")
    assert page.seen(COUNTER)["number"] == 3


def test_loop_of_a_range(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("Home", "Shift+ArrowRight", "a", "Alt+ArrowRight", "Alt+ArrowRight", "b", "l")
    assert page.text("#range") == "0:01.000 \u2013 0:01.200"
    page.press("]")
    page.page.keyboard.press("Space")
    times = page.run(
        """() => new Promise(done => {
          const seen = [], began = performance.now();
          const turn = () => {
            seen.push(Number(document.getElementById("goto").value));
            if (performance.now() - began < 1200) requestAnimationFrame(turn); else done(seen);
          };
          turn();
        })"""
    )
    page.page.keyboard.press("Space")
    assert all(0.999 <= time <= 1.201 for time in times)
    assert sum(later < earlier for earlier, later in pairwise(times)) >= 3
    page.press("x")
    assert page.text("#range") == ""


def test_play_to_the_end(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("End", "Alt+ArrowLeft")
    page.page.keyboard.press("Space")
    page.page.wait_for_function("() => !document.body.classList.contains('playing')", timeout=5000)
    page.settle()
    assert page.seen(COUNTER)["index"] == COUNT - 1
    page.page.keyboard.press("Space")
    page.page.keyboard.press("Space")
    assert clock_ns(page) < 1_000_000_000


def test_copy_save_and_export(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.press("1", "Home", ".", ".", ".", ".")

    def copied(key: str) -> str:
        page.page.evaluate("() => navigator.clipboard.writeText('')")
        page.page.keyboard.press(key)
        for _ in range(100):
            page.page.wait_for_timeout(20)
            if found := str(page.page.evaluate("() => navigator.clipboard.readText()")):
                return found
        raise AssertionError(f"{key} copied nothing")

    with open_dataset(dataset) as opened:
        assert copied("c") == opened[COUNTER].refs[4].model_dump_json()
        picture = opened[COUNTER][4].data
    assert f"['{COUNTER}'][4]" in copied("p")
    with page.page.expect_download() as download:
        page.page.keyboard.press("s")
    assert download.value.suggested_filename == "counter-000004.png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))), picture)
    page.press("a", "Shift+ArrowRight", "b")
    command = copied("e")
    start, stop = int(command.split()[-3]), int(command.split()[-1])
    assert command == f"mediaref export {dataset} --to frames --out frames/ --start {start} --stop {stop}"
    with open_dataset(dataset) as opened:
        assert start == opened[COUNTER].log_times_ns[4]
    assert stop - start == 1_000_000_001  # the frame at which it was marked is in it


def test_choosing_topics(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.page.click("#topics-menu summary")
    page.page.locator("#topics-list label", has_text=DEPTH).click()
    assert page.page.locator(".tile:visible").count() == 2
    assert page.text("#topics-count") == "2/3"
    page.page.locator("#topics-list label", has_text=DEPTH).click()
    assert page.page.locator(".tile:visible").count() == 3
    page.page.keyboard.press("Escape")
    page.page.locator(f"[data-topic='{DEPTH}'] .stage").dblclick(position={"x": 60, "y": 30})
    assert page.page.locator(".tile:visible").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark(open_page: OpenPage, dataset: Path, theme: str) -> None:
    page = open_page(dataset)
    page.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]

    def brightness() -> int:
        colour: str = page.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        return int(colour.split("(")[1].split(",")[0])

    assert (brightness() > 128) == (theme == "light")
    page.page.click("#theme")
    assert (brightness() > 128) == (theme == "dark")


def test_narrow_window(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset, width=420, height=800)
    page.press("1", "Home", ".", ".")
    assert page.page.evaluate("() => document.documentElement.scrollWidth") <= 420
    for topic in (COUNTER, RIGHT, DEPTH):
        assert topic.rpartition("/")[2] in page.text(f"[data-topic='{topic}'] .name")
        box = page.page.locator(f"[data-topic='{topic}'] canvas").bounding_box()
        assert box is not None
        assert box["width"] > 250
    for control in ("#play", "#next", "#scrubber", "#speed", "#goto", "#help"):
        box = page.page.locator(control).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 420
    assert page.seen(COUNTER)["number"] == 2


def test_damage_is_told_where_it_is(open_page: OpenPage, dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "drive")
    segments = sorted((copy / "media" / "counter").glob("*.mp4"))
    segments[0].unlink()
    page = open_page(copy)
    page.press("1", "Home")
    message = page.page.locator(f"[data-topic='{COUNTER}'] .message")
    assert message.is_visible()
    assert "000000.mp4" in message.inner_text()
    assert page.seen(COUNTER)["index"] is None
    assert page.seen(RIGHT)["label"] == "-/150"
    page.press("Shift+ArrowRight")
    assert page.seen(RIGHT)["number"] == page.seen(RIGHT)["index"] + 4321
    page.press("End")
    assert not message.is_visible()
    assert page.seen(COUNTER)["number"] == COUNT - 1


def test_replaced_while_open(open_page: OpenPage, dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "drive")
    page = open_page(copy)
    page.press("Home", "1")
    other = write_log(
        tmp_path / "other.mcap",
        "mcap",
        numbered_topic(COUNTER, [START_NS + at * 50_000_000 for at in range(9)], first=700),
    )
    convert(other, copy, overwrite=True)
    page.page.keyboard.press("End")
    page.page.wait_for_selector("#banner:visible")
    assert "replaced" in page.text("#banner")
    page.page.click("#banner-button")
    page.page.wait_for_selector("body[data-ready=true]")
    page.settle()
    assert page.page.locator(".tile").count() == 1
    page.press("Home", ".")
    assert page.seen(COUNTER)["number"] == 701


def test_viewer_that_was_stopped(open_page: OpenPage, dataset: Path) -> None:
    page = open_page(dataset)
    page.press("Home")
    page.viewer.close()
    page.page.keyboard.press("End")
    page.page.wait_for_selector("#banner:visible")
    assert "stopped" in page.text("#banner")


def test_nothing_to_show(open_page: OpenPage, tmp_path: Path) -> None:
    log = write_log(tmp_path / "talk.mcap", "mcap", [text("/talk", START_NS, "hello")])
    convert(log, tmp_path / "talk")
    page = open_page(tmp_path / "talk")
    assert "no topic with pictures" in page.text("#grid")
    page.page.keyboard.press("Space")
    page.page.keyboard.press("ArrowRight")


def test_long_recordings_are_drawn_by_columns(open_page: OpenPage, tmp_path: Path) -> None:
    """Ten hours at 30 Hz in a table of references: the lanes show its gap, and the page is there as soon."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = 1_080_000
    times = START_NS + np.arange(count, dtype=np.int64) * 33_333_333
    times[count // 2 :] += 3_600 * 10**9
    picture = Image.new("RGB", (64, 48), (200, 10, 10))
    picture.save(tmp_path / "still.png")
    table = pa.table(
        {"log_time_ns": times, "uri": pa.array(["still.png"] * count), "pts_ns": pa.nulls(count, pa.int64())}
    )
    pq.write_table(table, tmp_path / "long.parquet")
    page = open_page(tmp_path / "long.parquet")
    page.settle()
    row = page.run(
        """() => {
          const canvas = document.querySelector(".strip canvas");
          const data = canvas.getContext("2d").getImageData(0, Math.floor(canvas.height / 2), canvas.width, 1).data;
          return Array.from({length: canvas.width}, (_, x) => data[4 * x]);
        }"""
    )
    ticks = np.array(row) > 100
    middle = len(ticks) * 10 // 21
    assert ticks[10 : middle - 40].all()
    assert not ticks[len(ticks) // 2 - 5 : len(ticks) // 2 + 5].any()
    page.press("End")
    assert page.seen("long")["index"] == count - 1


def test_hostile_names(open_page: OpenPage, tmp_path: Path) -> None:
    """Topic names are text, whatever they hold."""
    name = "/<img src=x onerror=alert(1)>'\""
    log = write_log(tmp_path / "odd.mcap", "mcap", numbered_topic(name, [START_NS, START_NS + 10**8], size=(64, 96)))
    convert(log, tmp_path / "odd")
    page = open_page(tmp_path / "odd")
    assert page.text(".tile .name") == name
    assert page.page.locator("img").count() == 0


def test_two_pages_of_one_viewer(browser: object, dataset: Path) -> None:
    with view(dataset) as viewer:
        contexts = [browser.new_context() for _ in range(2)]  # type: ignore[attr-defined]
        pages = [Page(viewer, context) for context in contexts]
        for page, steps in zip(pages, (3, 8), strict=True):
            page.press("1", "Home", *["."] * steps)
        assert [page.seen(COUNTER)["number"] for page in pages] == [3, 8]
        for context in contexts:
            context.close()


def test_folder_of_recordings(open_page: OpenPage, tmp_path: Path) -> None:
    """Episodes by number, one page each; two of them open at once."""
    (tmp_path / "episodes").mkdir()
    for number in (1, 2, 10):
        pictures = numbered_topic(COUNTER, [START_NS + at * 50_000_000 for at in range(4)], first=100 * number)
        log = write_log(tmp_path / "episodes" / f"episode_{number}.bag", "rosbag1", pictures)
        if number == 2:
            convert(log, tmp_path / "episodes" / "episode_2")
            log.unlink()
    page = open_page(tmp_path / "episodes")
    assert page.page.locator("#recording option").all_inner_texts() == [
        "1/3 episode_1.bag",
        "2/3 episode_2",
        "3/3 episode_10.bag",
    ]
    page.press("1", "Home", ".")
    assert page.seen(COUNTER)["number"] == 101
    for key, at, number in (("ArrowDown", 1, 200), ("ArrowDown", 2, 1000), ("ArrowDown", 2, 1000), ("ArrowUp", 1, 200)):
        page.page.keyboard.press(key)
        page.page.wait_for_function(
            "at => document.body.dataset.ready && document.getElementById('recording').value === at", arg=str(at)
        )
        page.settle()
        assert page.seen(COUNTER)["number"] == number
    other = page.context.new_page()
    other.goto(f"{page.viewer.url}?recording=99")
    other.wait_for_selector("#banner:visible")
    assert "no recording 99" in other.inner_text("#banner")
