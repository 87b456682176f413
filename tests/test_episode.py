"""A converted episode opened as the HDF5 file that it was: indexed like it, and shaped like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools.episode import open_episode
from mediaref_tools.errors import DatasetError, FrameError, TopicError, TrustError
from mediaref_tools.sample import make_sample
from mediaref_tools.samples.scene import frame_number
from tests.converters import hdf5logs

HIGH, LOW = "observations/images/cam_high", "observations/images/cam_low"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = hdf5logs.aloha(tmp_path_factory.mktemp("episode") / "episode_0.hdf5", 8)
    with h5py.File(path, "r+") as file:
        file["observations/images"].attrs["rig"] = "two arms"
        file[HIGH].attrs["serial"] = 7
        file["same"] = h5py.SoftLink(f"/{LOW}")
        file["hard"] = file[LOW]
        file["inner/up"] = h5py.SoftLink("/observations")
        file["outside"] = h5py.ExternalLink("other.hdf5", "/x")
        file["through"] = h5py.SoftLink("/outside/y")
        file["circle"] = h5py.SoftLink("/circle")
    return path


@pytest.fixture(scope="module")
def dataset(log: Path) -> Path:
    out = log.parent / "out"
    mrt.convert(log, out)
    return out


def test_loop_of_act_reads_as_before(log: Path, dataset: Path) -> None:
    with h5py.File(log) as before, open_episode(dataset) as root:
        assert root.attrs["sim"] == before.attrs["sim"]
        original_action_shape = root["/action"].shape
        assert original_action_shape == before["/action"].shape
        for start in range(original_action_shape[0]):
            np.testing.assert_array_equal(root["/observations/qpos"][start], before["/observations/qpos"][start])
            for camera in ("cam_high", "cam_low"):
                image = root[f"/observations/images/{camera}"][start]
                old = before[f"/observations/images/{camera}"][start]
                assert (image.shape, image.dtype) == (old.shape, old.dtype)
                assert frame_number(image) == frame_number(old)


def test_groups_are_mappings(log: Path, dataset: Path) -> None:
    with h5py.File(log) as before, open_episode(dataset) as root:
        assert list(root) == list(before)
        assert list(root["observations/images"]) == ["cam_high", "cam_low"]
        assert root["observations"]["images"]["cam_low"][0].shape == (64, 96, 3)
        assert root["observations/images"].attrs["rig"] == "two arms"
        assert root["observations/images"].name == "/observations/images"
        assert "observations/qpos" in root
        assert "observations/nothing" not in root
        assert "outside" in root
        assert {name for name, _ in root["observations"].items()} == {"images", "qpos", "qvel"}


def test_pictures_say_what_the_dataset_said(log: Path, dataset: Path) -> None:
    with h5py.File(log) as before, open_episode(dataset) as root:
        pictures = root[HIGH]
        assert (pictures.shape, pictures.dtype, pictures.ndim) == (before[HIGH].shape, before[HIGH].dtype, 4)
        assert len(pictures) == 8
        assert pictures.attrs["serial"] == 7
        assert pictures.attrs["channel_order"] == "rgb"
        assert pictures.name == before[HIGH].name


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        (3, [3]),
        (-1, [7]),
        (np.int64(2), [2]),
        (slice(None), range(8)),
        (slice(6, 1, -2), [6, 4, 2]),
        (slice(5, 100), [5, 6, 7]),
        ([7, 0, 7], [7, 0, 7]),
        (np.array([1, -1]), [1, 7]),
        (np.arange(8) % 3 == 0, [0, 3, 6]),
        (Ellipsis, range(8)),
        ((), range(8)),
        ((slice(1, 3),), [1, 2]),
    ],
)
def test_indices(dataset: Path, key: Any, numbers: Any) -> None:
    with open_episode(dataset) as root:
        found = root[LOW][key]
        found = found if found.ndim == 4 else found[None]
        assert [frame_number(np.ascontiguousarray(picture)) for picture in found] == [100 + at for at in numbers]


def test_further_indices_are_those_of_the_pictures(dataset: Path) -> None:
    with open_episode(dataset) as root:
        pictures = root[LOW]
        np.testing.assert_array_equal(pictures[2, 10:20, ::2], pictures[2][10:20, ::2])
        np.testing.assert_array_equal(pictures[1:3, 5], pictures[1:3][:, 5])
        np.testing.assert_array_equal(pictures[..., 0], pictures[:][..., 0])
        np.testing.assert_array_equal(np.asarray(pictures), pictures[:])
        assert pictures[3:3].shape == (0, 64, 96, 3)
        assert pictures[[]].shape == (0, 64, 96, 3)
        assert sum(1 for _ in pictures) == 8


@pytest.mark.parametrize("key", [8, -9, [0, 8], "0", 1.5])
def test_rows_that_there_are_not(dataset: Path, key: Any) -> None:
    with open_episode(dataset) as root, pytest.raises(FrameError, match="no row"):
        root[LOW][key]


def test_links(dataset: Path) -> None:
    with open_episode(dataset) as root:
        for path in ("same", "hard", "/same", "inner/up/images/cam_low"):
            assert frame_number(root[path][1]) == 101
        for path in ("outside", "through", "circle", "outside/x"):
            with pytest.raises(TrustError, match="not followed"):
                root[path]
        for path in ("nothing", "observations/nothing", "observations/qpos/0", LOW + "/x"):
            with pytest.raises(TopicError, match="nothing at"):
                root[path]


@pytest.mark.parametrize("last", ["same", "new"])
def test_next_obs_shows_the_pictures_after(tmp_path: Path, last: Any) -> None:
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(6,), last=last)
    mrt.convert(log, tmp_path / "out")
    with open_episode(tmp_path / "out") as root:
        after = root["data/demo_0/next_obs/agentview_image"]
        assert after.shape == (6, 64, 96, 3)
        end = 5 if last == "same" else 6
        assert [frame_number(picture) for picture in after] == [1, 2, 3, 4, 5, end]
        assert [frame_number(picture) for picture in after[[5, 0, 5]]] == [end, 1, end]


@pytest.mark.parametrize("layout", ["CHW", "HW", "HW1", "HWC4", "HWC4 see-through", "jpeg"])
def test_other_layouts_keep_their_shapes(tmp_path: Path, layout: str) -> None:
    rgb = hdf5logs.pictures(range(4))
    arrays = {
        "CHW": rgb.transpose(0, 3, 1, 2),
        "HW": rgb[..., 1],
        "HW1": rgb[..., 1:2],
        "HWC4": np.concatenate([rgb, np.full((*rgb.shape[:3], 1), 255, np.uint8)], axis=3),
        "HWC4 see-through": np.concatenate([rgb, rgb[..., :1]], axis=3),
        "jpeg": hdf5logs.padded([hdf5logs.jpeg(each) for each in rgb]),
    }
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["cam"] = arrays[layout]
    mrt.convert(log, tmp_path / "out", settings=mrt.Settings(fps="10"))
    expected = rgb if layout == "jpeg" else arrays[layout]
    with open_episode(tmp_path / "out") as root:
        assert root["cam"].shape == expected.shape
        shown = root["cam"][:]
        assert shown.dtype == np.uint8
        errors = np.abs(shown.astype(np.int16) - expected).reshape(4, -1).mean(axis=1)
        assert errors.max() < 6
        if layout == "HWC4":
            assert (shown[..., 3] == 255).all()


def test_depth_and_video_come_as_they_are(tmp_path: Path) -> None:
    log = hdf5logs.agilex(tmp_path / "episode_0.hdf5")
    mrt.convert(log, tmp_path / "out", settings=mrt.Settings(profile="agilex"))
    with h5py.File(log) as before, open_episode(tmp_path / "out") as root:
        depth, old = root["observations/images_depth/cam_high"], before["observations/images_depth/cam_high"]
        assert (depth.shape, depth.dtype) == (old.shape, old.dtype)
        np.testing.assert_array_equal(depth[:], old[:])
    mrt.convert(hdf5logs.droid_video(tmp_path / "trajectory.h5"), tmp_path / "video")
    with open_episode(tmp_path / "video") as root:
        video = root["observations/videos/23404442_left"]
        assert video.shape == (6, 64, 96, 3)
        assert [frame_number(picture) for picture in video] == list(range(6))


def test_pictures_that_were_kept_are_h5pys_own(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "episode_0.hdf5")
    mrt.convert(log, tmp_path / "out", settings=mrt.Settings(exclude=("*/cam_low",)))
    with open_episode(tmp_path / "out") as root:
        assert isinstance(root[LOW], h5py.Dataset)
        assert frame_number(root[LOW][2]) == 102


def test_what_is_no_episode(tmp_path: Path) -> None:
    with pytest.raises(DatasetError):
        open_episode(tmp_path)
    mrt.convert(make_sample(tmp_path / "log.mcap", container="mcap", seconds=0.2), tmp_path / "out")
    with pytest.raises(DatasetError, match="no HDF5 file, of mcap"):
        open_episode(tmp_path / "out")


def test_foreign_references_are_not_followed(tmp_path: Path) -> None:
    log = hdf5logs.robomimic(tmp_path / "demos.hdf5", demos=(6,))
    mrt.convert(log, tmp_path / "out")
    (tmp_path / "secret.png").write_bytes(b"")
    with h5py.File(tmp_path / "out" / "demos.hdf5", "r+") as file:
        after = file["data/demo_0/next_obs/agentview_image"]
        after[0] = ("../secret.png", -1)
        after[1] = ("../secret.mp4", 0)
        file["mine"] = after[:2]
        file["virtual"] = h5py.SoftLink("/mine")
    with open_episode(tmp_path / "out") as root:
        with pytest.raises(TrustError, match="not followed"):
            root["data/demo_0/next_obs/agentview_image"][0]
        with pytest.raises(FrameError, match="has not beside it"):
            root["data/demo_0/next_obs/agentview_image"][1]
        with pytest.raises(DatasetError, match="no topic"):
            root["virtual"]
