"""Pictures and labels as text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.plaintext import printable, seconds_text
from mediaref_tools.play.stage import Stage, label
from mediaref_tools.play.terminal import (
    RAMP,
    Tile,
    crop,
    fit,
    grid,
    message_box,
    picture,
    tile_lines,
    width_of,
    wrap,
)
from mediaref_tools.sample import SampleMessage, frame_number, numbered_image, numbered_topic, write_log
from tests.screens import Cells

START_NS = 1_700_000_000_000_000_000
SIZES = st.lists(st.tuples(st.integers(1, 2000), st.integers(1, 2000)), min_size=1, max_size=9)


def cells(lines: list[str], columns: int) -> Cells:
    paper = Cells(columns, None)
    paper.feed("\n".join(lines))
    return paper


@pytest.mark.parametrize(("columns", "rows"), [(80, 30), (64, 24), (61, 23), (120, 45)])
def test_a_picture_in_colour_is_the_picture(columns: int, rows: int) -> None:
    rgb = numbered_image(1234, 640, 480)
    lines = picture(rgb, columns, rows)
    assert len(lines) == rows
    (shown,) = cells(lines, columns).pictures()
    assert shown.shape == (2 * rows, columns, 3)
    assert frame_number(shown) == 1234
    # Compared with a mean over the very pixels that a cell covers, where they are whole.
    if (columns, rows) == (80, 30):
        means = rgb.reshape(60, 8, 80, 8, 3).mean(axis=(1, 3))
        assert np.abs(shown - means).max() <= 1


def test_every_colour_is_spelled_right() -> None:
    """Also where the colour above, below or both stay as they were."""
    rng = np.random.default_rng(5)
    rgb = rng.choice(np.array([[0, 0, 0], [255, 9, 10], [1, 100, 99]], np.uint8), size=(12, 40))
    (shown,) = cells(picture(rgb, 40, 6), 40).pictures()
    assert np.array_equal(shown, rgb)


def test_a_colour_that_stays_is_not_said_again() -> None:
    assert len(picture(np.zeros((2, 1000, 3), np.uint8), 1000, 1)[0]) < 1100


def test_a_picture_without_colour_goes_from_dark_to_light() -> None:
    values = np.linspace(0, 255, 100).astype(np.uint8)
    rgb = np.repeat(np.repeat(values[None, :, None], 2, 0), 3, 2)
    (line,) = picture(rgb, 100, 1, color=False)
    assert "".join(sorted(set(line), key=line.index)) == RAMP
    assert [RAMP.index(char) for char in line] == sorted(RAMP.index(char) for char in line)


def test_rows_may_lie_apart_in_memory() -> None:
    rgb = numbered_image(7, 320, 240)
    assert picture(rgb[::2, ::-1], 40, 15) == picture(rgb[::2, ::-1].copy(), 40, 15)


@given(*[st.integers(1, 3000)] * 2, *[st.integers(1, 300)] * 2)
def test_fit(height: int, width: int, columns: int, rows: int) -> None:
    wide, high = fit(height, width, columns, rows)
    assert 1 <= wide <= columns
    assert 1 <= high <= rows
    assert wide == columns or high == rows
    if wide > 10 and high > 10:
        assert abs(wide / (2 * high) * height / width - 1) < 0.12


def test_topics_lie_side_by_side_or_above_each_other_as_is_larger() -> None:
    wide = grid([(480, 640)] * 2, 200, 40, ["x" * 20])
    assert [(tile.column, tile.row) for tile in wide] == [(0, 0), (100, 0)]
    tall = grid([(480, 640)] * 2, 60, 60, ["x" * 20])
    assert [(tile.column, tile.row) for tile in tall] == [(0, 0), (0, 30)]
    four = grid([(480, 640)] * 4, 160, 60, ["x" * 20])
    assert len({tile.column for tile in four}) == len({tile.row for tile in four}) == 2


@given(SIZES, st.integers(1, 250), st.integers(1, 80), st.integers(0, 60))
def test_tiles_never_overlap_nor_leave_the_screen(
    sizes: list[tuple[int, int]], columns: int, rows: int, length: int
) -> None:
    tiles = grid(sizes, columns, rows, ["x" * length, "y" * 30])
    assert 1 <= len(tiles) <= len(sizes)
    taken = np.zeros((rows + 2, columns), int)
    for tile in tiles:
        assert tile.rows >= (4 if len(tiles) > 1 else 1)
        assert tile.columns >= (12 if len(tiles) > 1 else 1)
        taken[tile.row : tile.row + tile.rows + tile.label_rows, tile.column : tile.column + tile.columns] += 1
        assert tile.column + tile.columns <= columns
        assert tile.row + tile.rows + tile.label_rows <= rows
    assert taken.max() == 1


def test_topics_that_would_be_too_small_are_left_out() -> None:
    tiles = grid([(480, 640)] * 9, 30, 20, ["x" * 20, "y" * 30])
    assert [(tile.columns, tile.rows, tile.label_rows) for tile in tiles] == [(14, 4, 2)] * 6


@given(SIZES, st.integers(1, 250), st.integers(0, 60))
def test_paper_holds_every_topic(sizes: list[tuple[int, int]], columns: int, length: int) -> None:
    tiles = grid(sizes, columns, None, ["x" * length, "y" * 30])
    assert len(tiles) == len(sizes)
    assert all(tile.column + tile.columns <= columns for tile in tiles)
    for above, below in pairwise(tiles):
        assert below.row == above.row or below.row > above.row + above.rows + above.label_rows


def test_a_label_is_wrapped_by_field() -> None:
    fields = ["/camera/left/image_raw", "17/120", "+0.567 s", "", "pts 5"]
    assert wrap(fields, 80) == ["/camera/left/image_raw  17/120  +0.567 s  pts 5"]
    assert wrap(fields, 24) == ["/camera/left/image_raw", "17/120  +0.567 s  pts 5"]
    assert wrap(fields, 12) == ["/came..._raw", "17/120", "+0.567 s", "pts 5"]


@given(st.text(max_size=50).map(printable), st.integers(0, 30))
def test_cropped_text_fits(text: str, width: int) -> None:
    cropped = crop(text, width)
    assert width_of(cropped) <= width
    if width_of(text) <= width:
        assert cropped == text


def test_both_ends_of_a_name_are_kept() -> None:
    assert crop("/camera/left/image_raw/compressed", 19) == "/camera/...mpressed"


def test_wide_and_combining_characters() -> None:
    assert width_of("日本") == 4
    assert width_of(unicodedata.normalize("NFD", "é")) == 1
    assert width_of(crop("カメラ画像の名前です", 9)) <= 9


@given(st.text())
def test_nothing_steers_the_terminal(text: str) -> None:
    assert printable(text).isprintable()
    lines = tile_lines(text, [printable(text)], Tile(0, 0, 30, 8, 2), size=(3, 4), color=False)
    assert all(line.isprintable() for line in lines)


@given(st.text(), st.integers(1, 40), st.integers(1, 12), st.booleans())
def test_a_tile_has_its_size(text: str, columns: int, rows: int, color: bool) -> None:
    for content in (text, numbered_image(1, 96, 72)):
        lines = tile_lines(content, ["name", "2/3"], Tile(0, 0, columns, rows, 1), size=(72, 96), color=color)
        assert len(lines) == rows + 1
        plain = [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines]
        for line in plain:
            if "\x1b" not in line:
                assert width_of(line) == columns


def test_a_reason_is_shown_in_a_box() -> None:
    lines = message_box("frame 3 is embedded and can't be decoded", 24, 6)
    assert lines == [
        "+----------------------+",
        "|                      |",
        "| frame 3 is embedded  |",
        "| and can't be decoded |",
        "|                      |",
        "+----------------------+",
    ]
    assert message_box("a long word " * 30, 20, 5)[3] == "|       ...        |"
    assert message_box(["a  1", "bcd"], 10, 4)[1:3] == ["|  a  1  |", "|  bcd   |"]


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [(0, "+0.000 s"), (12_345_678_901, "+12.345 s"), (999_999, "+0.000 s"), (-1_500_000, "-0.001 s")],
)
def test_seconds(time_ns: int, text: str) -> None:
    assert seconds_text(time_ns) == text


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """Three topics: one with a message that is no picture, one that begins late, one that changes its size."""
    folder = tmp_path_factory.mktemp("stage")
    broken = numbered_topic("/cam/a", [START_NS + i * 100_000_000 for i in range(6)], size=(240, 320))
    no_picture = SimpleNamespace(
        header=broken[3].body.header, format="jpeg", data=np.frombuffer(b"no\x1b[2J", np.uint8)
    )
    broken[3] = broken[3]._replace(body=no_picture)
    late = numbered_topic("/cam/late", [START_NS + 450_000_000], size=(240, 320), first=40)
    sizes = [(240, 320), (240, 320), (320, 240), (320, 240)]
    changing = numbered_topic(
        "/cam/\x1b[31mred", [START_NS + i * 150_000_000 for i in range(4)], size=lambda i: sizes[i], first=100
    )
    still = SampleMessage("/first", "std_msgs/msg/String", START_NS - 1_000_000_000, SimpleNamespace(data="log begins"))
    convert(write_log(folder / "log.mcap", "mcap", [*broken, *late, *changing, still]), folder / "dataset")
    with open_dataset(folder / "dataset") as opened:
        yield opened


def staged(dataset: Dataset, columns: int, rows: int | None, *, color: bool = True) -> Stage:
    start_ns = dataset.manifest.source.start_ns
    assert start_ns == START_NS - 1_000_000_000
    stage = Stage(list(dataset.values()), start_ns=start_ns, color=color)
    stage.lay_out(columns, rows)
    return stage


def test_a_page_shows_the_frames_asked_for(dataset: Dataset) -> None:
    names = list(dataset)
    stage = staged(dataset, 210, None)
    wanted = {"/cam/a": 0, "/cam/late": 40, "/cam/\x1b[31mred": 100}
    indices = [{"/cam/a": 2, "/cam/late": 0}.get(name, 3) for name in names]
    page = cells(stage.page(indices), 210)
    numbers = [frame_number(image) for image in page.pictures()]
    assert numbers == [wanted[name] + index for name, index in zip(names, indices, strict=True)]
    assert page.text.count("\\x1b[31mred") == 1


def test_what_is_no_picture_is_told_in_a_box(dataset: Dataset) -> None:
    names = list(dataset)
    stage = staged(dataset, 120, 40, color=False)
    at = names.index("/cam/a")
    lines = stage.tile(at, 3)
    text = "\n".join(lines)
    assert "embedded" in text
    assert "+---" in text
    assert any(line.startswith("/cam/a") and "3/6" in line for line in lines)
    assert text.replace("\n", "").isprintable()
    # And the next frame is a picture again.
    assert "can't be decoded" not in "\n".join(stage.tile(at, 4))


def test_before_the_first_frame_a_box_says_when_it_comes(dataset: Dataset) -> None:
    stage = staged(dataset, 120, 40)
    lines = stage.tile(list(dataset).index("/cam/late"), -1)
    assert "begins at +1.450 s" in "\n".join(lines)


def test_a_frame_is_decoded_once_however_often_it_is_drawn(dataset: Dataset) -> None:
    class Counting:
        decoded = 0

        def __getattr__(self, name: str) -> object:
            return getattr(dataset["/cam/a"], name)

        def __len__(self) -> int:
            return len(dataset["/cam/a"])

        def batch(self, indices: list[int], wanted: Any) -> object:
            self.decoded += 1
            return dataset["/cam/a"].batch(indices, wanted)

    topic = Counting()
    stage = Stage([topic], start_ns=START_NS, color=True)  # type: ignore[list-item]
    for columns in (80, 40, 20):
        stage.lay_out(columns, 24)
        stage.tile(0, 2)
    assert topic.decoded == 1
    stage.tile(0, 1)
    assert topic.decoded == 2


def test_a_label_says_it_all(dataset: Dataset) -> None:
    topic = dataset["/cam/a"]
    start_ns = START_NS - 1_000_000_000
    assert label(topic, 1, start_ns) == [
        "/cam/a",
        "1/6",
        "+1.100 s",
        "2023-11-14T22:13:20.100000000Z",
        f"pts {topic[1].pts_ns}",
    ]
    assert label(topic, 3, start_ns)[-1] == "embedded"
    assert label(topic, -1, start_ns)[:2] == ["/cam/a", "-/6"]


@pytest.mark.parametrize("columns", [13, 20, 40, 80, 200])
@pytest.mark.parametrize("rows", [2, 6, 24, 60])
def test_tiles_keep_their_size_whatever_they_show(dataset: Dataset, columns: int, rows: int) -> None:
    stage = staged(dataset, columns, rows, color=False)
    for place, tile in enumerate(stage.tiles):
        for index in range(-1, len(stage.topics[place])):
            lines = stage.tile(place, index)
            assert len(lines) == tile.rows + tile.label_rows
            assert {width_of(line) for line in lines} == {tile.columns}
