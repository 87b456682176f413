"""The page of the Python API: everything public is on it, and its examples do what they say."""

from __future__ import annotations

import doctest
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.sample import make_sample, numbered_image
from tests.converters import hdf5logs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^###? |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def examples(section: str) -> str:
    return "\n".join(re.findall(r"^```pycon\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples take for granted: a log, its dataset, a video, a picture, and episodes."""
    folder = tmp_path_factory.mktemp("examples")
    make_sample(folder / "drive.mcap", container="mcap")
    mrt.convert(folder / "drive.mcap", folder / "drive")
    with mrt.open_dataset(folder / "drive") as dataset:
        clip = folder / "drive" / dataset["/camera/left/image_raw/compressed"].refs[0].uri
    (folder / "clips").mkdir()
    shutil.copy(clip, folder / "clips" / "clip.mp4")
    Image.fromarray(numbered_image(7, 80, 48)).save(folder / "photo.png")
    (folder / "episodes").mkdir()
    for number in range(2):
        hdf5logs.aloha(folder / "episodes" / f"episode_{number}.hdf5")
    mrt.convert(folder / "episodes" / "episode_0.hdf5", folder / "episode_0")
    return folder


@pytest.mark.parametrize("name", [name for name, section in SECTIONS.items() if examples(section)])
def test_examples(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    needs = re.search(r"extra `(\w+)`", SECTIONS[name])
    if needs:
        pytest.importorskip({"hf": "datasets"}.get(needs[1], needs[1]), reason=f"extra {needs[1]} is not installed")
    test = doctest.DocTestParser().get_doctest(examples(SECTIONS[name]), {"mrt": mrt}, name, "docs/api.md", 0)
    failures: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=failures.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(failures)
    assert test.examples


def test_everything_public_is_on_the_page() -> None:
    assert set(mrt.__all__) <= set(SECTIONS) | {"MediarefError"}
    assert "MediarefError" in PAGE


def test_what_people_use_has_an_example() -> None:
    wanted = {"MediaRef", "DataURI", "batch_decode", "VideoDecoder", "open_dataset", "Topic", "convert", "verify"}
    wanted |= {"convert_folder", "open_episode"}
    assert wanted <= {name for name, section in SECTIONS.items() if examples(section)}
