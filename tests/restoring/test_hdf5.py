"""HDF5 episodes of every layout, restored: what h5py reads of them is what it read before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools.plugins import open_log
from tests.converters import hdf5logs
from tests.reallogs import real_log

LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "aloha": hdf5logs.aloha,
    "aloha_compressed": hdf5logs.aloha_compressed,
    "agilex": hdf5logs.agilex,
    "robotwin": hdf5logs.robotwin,
    "robomimic": hdf5logs.robomimic,
    "robomimic, last twice": lambda path: hdf5logs.robomimic(path, last="same"),
    "libero": hdf5logs.libero,
    "vlen_jpeg": lambda path: hdf5logs.vlen_jpeg(path, [hdf5logs.jpeg(one) for one in hdf5logs.pictures(range(5))]),
    "sample": hdf5logs.sample_hdf5,
}


def tree(path: Path) -> dict[str, Any]:
    """All that a file holds: values, dtypes, chunks, filters, limits, attributes, links."""
    found: dict[str, Any] = {}

    def attributes(name: str, one: Any) -> None:
        for key, value in one.attrs.items():
            found[f"{name}@{key}"] = (repr(np.asarray(value).dtype), np.asarray(value).tolist())

    def visit(name: str, one: Any) -> None:
        attributes(name, one)
        if isinstance(one, h5py.Dataset):
            plist = one.id.get_create_plist()
            filters = [plist.get_filter(at)[:3] for at in range(plist.get_nfilters())]
            values = one[()]
            listed = [np.asarray(row).tolist() for row in values] if one.dtype.kind == "O" else values.tolist()
            found[name] = (one.shape, repr(one.dtype), one.chunks, one.maxshape, filters, listed)

    with h5py.File(path) as file:
        attributes("", file)
        file.visititems(visit)
        found["links"] = [name for name in file if isinstance(file.get(name, getlink=True), h5py.SoftLink)]
        found["order"] = {name: list(one) for name, one in [("/", file), *file.items()] if isinstance(one, h5py.Group)}
    return found


def round_trip(log: Path, **settings: Any) -> tuple[mrt.RestoreReport, Path]:
    mrt.convert(log, log.parent / "dataset", settings=mrt.Settings(fps="20", **settings))
    again = log.parent / f"again{log.suffix}"
    return mrt.restore(log.parent / "dataset", again, verify=True), again


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_lost(tmp_path: Path, layout: str) -> None:
    log = LAYOUTS[layout](tmp_path / "episode.hdf5")
    report, again = round_trip(log, codec="copy")
    assert report.kept_its_word
    assert report.topics
    assert all(topic.identical == topic.messages for topic in report.topics)
    assert tree(again) == tree(log)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_lossy_pictures_have_their_form(tmp_path: Path, layout: str) -> None:
    log = LAYOUTS[layout](tmp_path / "episode.hdf5")
    report, again = round_trip(log)
    assert report.problems == ()
    before, after = tree(log), tree(again)
    assert before.keys() == after.keys()
    pictures = {topic.topic for topic in report.topics if topic.near}
    assert pictures
    changed = {name for name in before if before[name] != after[name]}
    assert {name.replace("next_obs", "obs") for name in changed} <= pictures | {"hard", "again"}
    with open_log(log, mrt.Settings(fps="20").opening) as one, open_log(again, mrt.Settings(fps="20").opening) as two:
        for topic in pictures:
            for mine, theirs in zip(one.messages([topic]), two.messages([topic]), strict=True):
                left, right = one.image(mine), two.image(theirs)
                assert (left.encoding, left.kind, mine.log_time_ns) == (right.encoding, right.kind, theirs.log_time_ns)
                if left.kind == "raw":
                    pixels = [np.frombuffer(each.data, np.uint8).astype(int) for each in (left, right)]
                    assert np.abs(pixels[0] - pixels[1]).mean() < 6


def test_padded_files_that_get_longer_widen_their_rows(tmp_path: Path) -> None:
    log = tmp_path / "episode.hdf5"
    with h5py.File(log, "w") as file:
        rows = [hdf5logs.jpeg(one, quality=30) for one in hdf5logs.pictures(range(6))]
        file["observations/images/cam"] = hdf5logs.padded(rows, 0)
        file["observations/images/text"] = np.array(rows, f"S{max(map(len, rows))}")
    report, again = round_trip(log)
    assert len(report.losses) == 2
    assert "files made anew are longer" in report.losses[0].what
    assert not report.kept_its_word
    with open_log(again, mrt.Settings(fps="20").opening) as back:
        values = [back.image(message) for message in back.messages()]
    assert len(values) == 12
    assert all(bytes(value.data[:2]) == b"\xff\xd8" and bytes(value.data[-2:]) == b"\xff\xd9" for value in values)


def test_a_whole_video_is_muxed_anew(tmp_path: Path) -> None:
    log = hdf5logs.droid_video(tmp_path / "episode.hdf5")
    mrt.convert(log, tmp_path / "dataset")
    report = mrt.restore(tmp_path / "dataset", tmp_path / "again.hdf5")
    assert [(topic.identical, topic.different) for topic in report.topics] == [(6, 0)]
    assert "the video is muxed anew" in report.losses[0].what
    with open_log(log) as one, open_log(tmp_path / "again.hdf5") as two:
        mine, theirs = list(one.messages()), list(two.messages())
        assert [bytes(m.data) for m in mine] == [bytes(m.data) for m in theirs]
        assert [m.log_time_ns for m in mine] == [m.log_time_ns for m in theirs]


@pytest.mark.parametrize("codec", ["h264", "lossless"])
def test_swapped_colours_are_swapped_back(tmp_path: Path, codec: str) -> None:
    log = hdf5logs.aloha_compressed(tmp_path / "episode.hdf5")
    report, again = round_trip(log, swap_rb=True, codec=codec)
    assert report.different == 0
    with open_log(log, mrt.Settings(fps="20").opening) as one, open_log(again, mrt.Settings(fps="20").opening) as two:
        from PIL import Image

        for mine, theirs in zip(one.messages(), two.messages(), strict=True):
            import io

            left, right = (
                np.asarray(Image.open(io.BytesIO(bytes(each.image(m).data)))).astype(int)
                for each, m in ((one, mine), (two, theirs))
            )
            assert np.abs(left - right).mean() < 8


def test_attributes_of_the_source_under_our_names_stay(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode.hdf5", 4, ("cam_high",))
    with h5py.File(log, "r+") as file:
        file["observations/images/cam_high"].attrs["fps"] = 12.5
        file["observations/images/cam_high"].attrs["orientation"] = "sideways"
    report, again = round_trip(log, codec="lossless")
    assert report.kept_its_word
    assert tree(again) == tree(log)


@pytest.mark.parametrize("name", ["hdf5/aloha_raw_episode_0.hdf5", "hdf5/robomimic_image.hdf5"])
def test_recorded_episodes(name: str, tmp_path: Path) -> None:
    source = real_log(name)
    mrt.convert(source, tmp_path / "dataset", settings=mrt.Settings(codec="lossless", fps="20"))
    report = mrt.restore(tmp_path / "dataset", tmp_path / "again.hdf5", verify=True)
    assert report.kept_its_word
    assert tree(tmp_path / "again.hdf5") == tree(source)
