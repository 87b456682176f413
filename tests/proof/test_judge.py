"""The proof: does it find what is wrong, and does it leave alone what is right?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import PixelDecoder, luma
from mediaref_tools.pixels.plane import plane
from mediaref_tools.proof.judge import Judge
from mediaref_tools.sample import numbered_image
from mediaref_tools.segments.segment import Encoding, SegmentWriter, Shape
from tests.pictures import taken_by

Luma = NDArray[np.uint8]
Lumas = Sequence[Luma]
Shown = tuple[Lumas, Lumas]

X264_23, X264_35, X264_45 = Encoding("h264", 23, 15), Encoding("h264", 35, 15), Encoding("h264", 45, 15)
SVT = Encoding("av1", 30, 15)
MOVING = [X264_23, X264_45, SVT]
ALL = [X264_23, X264_35, X264_45, SVT]
COUNT = 40


def label(value: object) -> str:
    return f"{value.codec}-{value.crf}" if isinstance(value, Encoding) else str(getattr(value, "__name__", value))


def coded(pictures: Lumas, encoding: Encoding) -> Shown:
    """Source lumas, and what decodes after coding."""
    decoder, sources = PixelDecoder(), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.mp4"
        writer: SegmentWriter | None = None
        for at, pixels in enumerate(pictures):
            height, width = pixels.shape
            picture = taken_by(decoder, ImageValue(pixels.tobytes(), "mono8", "raw", height, width, width))
            sources.append(luma(picture).copy())
            writer = writer or SegmentWriter(path, encoding, Shape(picture.frame.width, picture.frame.height))
            writer.add(picture.frame, at * 33_333)
        assert writer is not None
        writer.close()
        with av.open(str(path)) as container:
            shown = [plane(frame, 0)[:height, :width].copy() for frame in container.decode(video=0)]
    return sources, shown


@cache
def numbered(encoding: Encoding, step: int = 1) -> Shown:
    """A moving scene, every frame `step` on."""
    return coded([numbered_image(30 + n * step, 160, 120)[:, :, 1] for n in range(COUNT)], encoding)


def wrong(sources: Lumas, shown: Lumas) -> list[int]:
    judge = Judge()
    for at, (source, picture) in enumerate(zip(sources, shown, strict=True)):
        judge.add(at, picture, source)
    judge.finish()
    return sorted(judge.wrong)


ENCODINGS = pytest.mark.parametrize("encoding", MOVING, ids=label)
STEPS = pytest.mark.parametrize("step", [1, 7])


@ENCODINGS
@STEPS
def test_right_frames_are_right(encoding: Encoding, step: int) -> None:
    assert wrong(*numbered(encoding, step)) == []


@ENCODINGS
@STEPS
def test_a_shifted_sequence_is_found(encoding: Encoding, step: int) -> None:
    sources, shown = numbered(encoding, step)
    assert wrong(sources, [shown[0], *shown[:-1]]) == list(range(1, COUNT))
    assert wrong(sources, [*shown[1:], shown[-1]]) == list(range(COUNT - 1))
    # From the middle on: a frame that was dropped, or one that came twice.
    assert wrong(sources, [*shown[:20], shown[19], *shown[20:-1]]) == list(range(20, COUNT))


@ENCODINGS
@STEPS
@pytest.mark.parametrize("first", [0, 1, 15, COUNT - 2])
def test_a_swapped_pair_is_found(encoding: Encoding, step: int, first: int) -> None:
    sources, shown = numbered(encoding, step)
    swapped = list(shown)
    swapped[first], swapped[first + 1] = shown[first + 1], shown[first]
    assert wrong(sources, swapped) == [first, first + 1]


@ENCODINGS
@pytest.mark.parametrize(("of", "at"), [(0, 1), (1, 0), (19, 20), (20, 19), (COUNT - 2, COUNT - 1)])
def test_a_duplicated_frame_is_found(encoding: Encoding, of: int, at: int) -> None:
    sources, shown = numbered(encoding)
    doubled = list(shown)
    doubled[at] = shown[of]
    assert wrong(sources, doubled) == [at]


@pytest.mark.parametrize("far", [2, 3, 5, 10, -2, -10])
def test_sequences_that_are_further_off_do_not_pass(far: int) -> None:
    sources, shown = numbered(X264_23)
    assert wrong(sources, [shown[min(max(at + far, 0), COUNT - 1)] for at in range(COUNT)])


@pytest.mark.parametrize("elsewhere", ["grey", "negative", "upside down", "another scene"])
def test_pictures_from_elsewhere_are_found(elsewhere: str) -> None:
    sources, shown = numbered(X264_23)
    other: dict[str, Callable[[Luma, int], Luma]] = {
        "grey": lambda picture, at: np.full_like(picture, 128),
        "negative": lambda picture, at: 255 - picture,
        "upside down": lambda picture, at: picture[::-1],
        "another scene": lambda picture, at: numbered_image(at * 31 + 5000, 200, 150)[30:, 40:, 0],
    }
    assert wrong(sources, [other[elsewhere](picture, at) for at, picture in enumerate(shown)])


def test_a_part_from_elsewhere_is_found_in_pictures_of_much_contrast() -> None:
    half = np.full((120, 160), 16, np.uint8)
    half[:, 80:] = 235
    other = half.copy()
    other[:60, :80] += 60
    assert wrong([half] * 5, [half, half, other, half, half]) == [2]


def ground() -> NDArray[np.float64]:
    return numbered_image(5, 160, 120)[:, :, 1].astype(float)


def clipped(pictures: Sequence[NDArray[np.float64]]) -> list[Luma]:
    return [np.clip(picture, 0, 255).astype(np.uint8) for picture in pictures]


def noise(sigma: float) -> list[Luma]:
    rng = np.random.default_rng(1)
    return clipped([ground() + rng.normal(0, sigma, (120, 160)) for _ in range(COUNT)])


def fade(levels: float) -> list[Luma]:
    return clipped([ground() * 0.4 + 30 + levels * (n if n < 20 else COUNT - n) for n in range(COUNT)])


def scene_cut() -> list[Luma]:
    first = noise(2)
    return first[:20] + [255 - picture for picture in first[20:]]


def flash() -> list[Luma]:
    pictures = noise(2)
    pictures[20] = np.full_like(pictures[20], 250)
    return pictures


def identical() -> list[Luma]:
    return clipped([ground()]) * COUNT


def black() -> list[Luma]:
    return [np.zeros((120, 160), np.uint8)] * COUNT


def black_then_not() -> list[Luma]:
    return black()[:20] + noise(2)[:20]


def tiny(height: int, width: int) -> list[Luma]:
    return [np.full((height, width), n * 13 % 256, np.uint8) for n in range(20)]


def small_object(side: int = 8, step: int = 3, sigma: float = 0) -> list[Luma]:
    rng = np.random.default_rng(2)
    pictures = []
    for n in range(COUNT):
        x = (10 + n * step) % 140
        picture = ground() + (rng.normal(0, sigma, (120, 160)) if sigma else 0)
        picture[60 : 60 + side, x : x + side] += 60
        pictures.append(picture)
    return clipped(pictures)


SCENES: dict[str, Callable[[], list[Luma]]] = {
    "noise of sigma 2": lambda: noise(2),
    "noise of sigma 6": lambda: noise(6),
    "identical": identical,
    "fade of 1": lambda: fade(1),
    "fade of 2": lambda: fade(2),
    "fade of 4": lambda: fade(4),
    "scene cut": scene_cut,
    "flash": flash,
    "black": black,
    "black, then not": black_then_not,
    "2x2": lambda: tiny(2, 2),
    "16x9": lambda: tiny(9, 16),
}


@pytest.mark.parametrize("encoding", ALL, ids=label)
@pytest.mark.parametrize("scene", SCENES)
def test_what_is_right_is_not_accused(scene: str, encoding: Encoding) -> None:
    assert wrong(*coded(SCENES[scene](), encoding)) == []


def wall(mean: float, contrast: float, brighter: float = 0) -> list[Luma]:
    """A plain surface: soft blotches, noise of sigma 2, perhaps getting brighter."""
    rng = np.random.default_rng(3)
    blotches = mean + rng.normal(0, contrast, (15, 20)).repeat(8, 0).repeat(8, 1)
    return clipped([blotches + rng.normal(0, 2, (120, 160)) + brighter * n for n in range(COUNT)])


@pytest.mark.parametrize(
    "encoding",
    [X264_23, X264_35, X264_45, SVT],
    ids=label,
)
@pytest.mark.parametrize(("mean", "contrast", "brighter"), [(128, 6, 0), (12, 4, 0), (60, 4, 2)])
def test_plain_scenes_are_not_accused(mean: float, contrast: float, brighter: float, encoding: Encoding) -> None:
    assert wrong(*coded(wall(mean, contrast, brighter), encoding)) == []


@pytest.mark.parametrize("encoding", [X264_23, X264_35, X264_45], ids=label)
@pytest.mark.parametrize("sigma", [0, 2])
@pytest.mark.parametrize("step", [1, 3, 8])
def test_small_moving_objects_are_not_accused(step: int, sigma: float, encoding: Encoding) -> None:
    assert wrong(*coded(small_object(step=step, sigma=sigma), encoding)) == []


def test_small_moving_objects_are_not_accused_in_av1() -> None:
    assert wrong(*coded(small_object()[:30], SVT)) == []


@pytest.mark.parametrize("encoding", [X264_23, SVT], ids=label)
def test_faults_in_a_small_moving_object_are_found(encoding: Encoding) -> None:
    """Where nothing else of the picture differs, and every frame is nearly right."""
    sources, shown = coded(small_object(side=16, step=6), encoding)
    assert wrong(sources, shown) == []
    for of, at in ((19, 20), (20, 19), (1, 0), (COUNT - 2, COUNT - 1)):
        doubled = list(shown)
        doubled[at] = shown[of]
        assert wrong(sources, doubled) == [at]
    assert wrong(sources, [*shown[:20], shown[21], shown[20], *shown[22:]]) == [20, 21]
    assert wrong(sources, [shown[0], *shown[:-1]]) == list(range(1, COUNT))
    assert wrong(sources, [*shown[1:], shown[-1]]) == list(range(COUNT - 1))


@pytest.mark.parametrize(("share", "expected"), [(0.57, []), (0.9, [20])])
def test_ghosts_are_wrong_where_they_clearly_are_the_neighbours(share: float, expected: list[int]) -> None:
    sources = small_object(side=16, step=20)
    ghost = sources[20] * (1 - share) + sources[21] * share
    assert wrong(sources, [*sources[:20], ghost.astype(np.uint8), *sources[21:]]) == expected


def test_grey_in_the_place_of_a_plain_picture_is_found() -> None:
    sources = wall(128, 12)
    assert wrong(sources, [np.full_like(source, 128) for source in sources]) == list(range(COUNT))


def test_still_pictures_are_told_apart_by_their_noise_in_runs() -> None:
    """Single frames of a still scene tell nothing; a whole sequence one off does."""
    sources, shown = coded(noise(6), Encoding("h264", 18, 15))
    assert wrong(sources, shown) == []
    assert wrong(sources, [shown[0], *shown[:-1]])


def test_sizes_may_change_on_the_way() -> None:
    small = coded([numbered_image(n, 120, 90)[:, :, 1] for n in range(5)], X264_23)
    sources, shown = numbered(X264_23)
    both = [*sources[:5], *small[0], *sources[5:10]]
    assert wrong(both, [*shown[:5], *small[1], *shown[5:10]]) == []
    # Indices are those of the whole, also beside the change.
    assert wrong(both, [*shown[:3], shown[4], shown[3], small[1][1], small[1][0], *small[1][2:], *shown[5:10]]) == [
        *(3, 4, 5, 6)
    ]
