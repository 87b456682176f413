"""Small HDF5 episodes of every layout of robot learning, with numbered pictures, as their writers lay them out."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.samples.scene import numbered_image
from tests.smallvideos import write_video

__all__ = [
    "HEIGHT",
    "WIDTH",
    "agilex",
    "aloha",
    "aloha_compressed",
    "droid_video",
    "jpeg",
    "libero",
    "padded",
    "pictures",
    "robomimic",
    "robotwin",
    "sample_hdf5",
    "vlen_jpeg",
]

WIDTH, HEIGHT = 96, 64
JOINTS = 14


def pictures(numbers: Sequence[int], width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """(T, H, W, 3) uint8 RGB."""
    return np.stack([numbered_image(number, width, height) for number in numbers])


def jpeg(rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """A JPEG of (H, W, 3) uint8 RGB."""
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "jpeg", quality=quality)
    return stream.getvalue()


def padded(files: Sequence[bytes], longer: int = 3) -> NDArray[np.uint8]:
    """(T, longest + `longer`) uint8, each file followed by zeros."""
    rows = np.zeros((len(files), max(map(len, files)) + longer), np.uint8)
    for row, data in zip(rows, files, strict=True):
        row[: len(data)] = np.frombuffer(data, np.uint8)
    return rows


def _arms(file: h5py.File, rows: int) -> None:
    states = np.arange(rows * JOINTS, dtype=np.float64).reshape(rows, JOINTS) / 7
    file["observations/qpos"] = states
    file["observations/qvel"] = states * 2
    file["action"] = states + 1


def aloha(path: Path, rows: int = 6, cameras: Sequence[str] = ("cam_high", "cam_low"), *, sim: bool = True) -> Path:
    """ACT's: raw RGB, one chunk a picture; camera k shows numbers from 100 k on."""
    with h5py.File(path, "w") as file:
        if sim:
            file.attrs["sim"] = True
        _arms(file, rows)
        for number, camera in enumerate(cameras):
            data = pictures(range(100 * number, 100 * number + rows))
            file.create_dataset(f"observations/images/{camera}", data=data, chunks=(1, *data.shape[1:]))
    return path


def aloha_compressed(path: Path, rows: int = 6, *, swapped: bool = True) -> Path:
    """act-plus-plus': padded JPEG, which cv2 was given RGB arrays for; `compress_len` in an order of its own."""
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file.attrs["compress"] = True
        _arms(file, rows)
        for number, camera in enumerate(("cam_high", "cam_low")):
            rgb = pictures(range(100 * number, 100 * number + rows))
            files = [jpeg(np.ascontiguousarray(each[..., ::-1] if swapped else each)) for each in rgb]
            file[f"observations/images/{camera}"] = padded(files)
        file["compress_len"] = np.full((2, rows), 10, np.float32)  # lies, and is float32 as theirs is
    return path


def agilex(path: Path, rows: int = 6) -> Path:
    """Cobot Magic's: ALOHA's with 16-bit depth in mm, and no rate anywhere."""
    with h5py.File(path, "w") as file:
        file.attrs["sim"] = False
        file.attrs["compress"] = False
        _arms(file, rows)
        file["base_action"] = np.zeros((rows, 2))
        for camera in ("cam_high",):
            file[f"observations/images/{camera}"] = pictures(range(rows))
            file[f"observations/images_depth/{camera}"] = depth(rows)
    return path


def depth(rows: int) -> NDArray[np.uint16]:
    """(T, H, W) uint16 that no 8 bits hold."""
    ramp = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    return np.stack([ramp * 9 + 300 + row for row in range(rows)]).astype(np.uint16)


def robotwin(path: Path, rows: int = 6) -> Path:
    """RoboTwin's: JPEG in strings of fixed length, red and blue swapped."""
    with h5py.File(path, "w") as file:
        for number, camera in enumerate(("front_camera", "head_camera")):
            rgb = pictures(range(100 * number, 100 * number + rows))
            files = [jpeg(np.ascontiguousarray(each[..., ::-1])) for each in rgb]
            file[f"observation/{camera}/rgb"] = np.array(files, f"S{max(map(len, files))}")
            file[f"observation/{camera}/intrinsic_cv"] = np.tile(np.eye(3), (rows, 1, 1))
        file["joint_action/vector"] = np.zeros((rows, JOINTS))
    return path


def robomimic(
    path: Path,
    demos: Sequence[int] = (6, 4),
    *,
    control_freq: int | None = 20,
    last: Literal["same", "new"] = "new",
    chunks: Any = True,
) -> Path:
    """robomimic's with `--compress`: gzip and h5py's own chunks; `next_obs` has `obs`' pictures one row on."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs = {} if control_freq is None else {"control_freq": control_freq}
        data.attrs["env_args"] = json.dumps({"env_name": "Lift", "type": 1, "env_kwargs": kwargs})
        data.attrs["total"] = sum(demos)
        for demo, rows in enumerate(demos):
            group = data.create_group(f"demo_{demo}")
            group.attrs["num_samples"] = rows
            rgb = pictures(range(100 * demo, 100 * demo + rows + 1))
            after = rgb[1:] if last == "new" else np.concatenate([rgb[1:-1], rgb[-2:-1]])
            for name, images in (("obs", rgb[:-1]), ("next_obs", after)):
                group.create_dataset(f"{name}/agentview_image", data=images, compression="gzip", chunks=chunks)
                group[f"{name}/robot0_eef_pos"] = np.ones((rows, 3))
            group["actions"] = np.zeros((rows, 7))
            group["dones"] = np.zeros(rows)
        file["mask/train"] = np.array([f"demo_{demo}" for demo in range(len(demos))], "S6")
    return path


def libero(path: Path, rows: int = 6) -> Path:
    """LIBERO's: pictures upside down, under names of its own."""
    with h5py.File(path, "w") as file:
        for number, name in enumerate(("agentview_rgb", "eye_in_hand_rgb")):
            rgb = pictures(range(100 * number, 100 * number + rows))[:, ::-1]
            file[f"data/demo_0/obs/{name}"] = rgb
        file["data/demo_0/actions"] = np.zeros((rows, 7))
        file["data"].attrs["bddl_file_name"] = "libero_goal/turn_on_the_stove.bddl"
    return path


def vlen_jpeg(path: Path, files: Sequence[bytes]) -> Path:
    """X-Humanoid's: JPEG in rows of their own lengths, with times in seconds."""
    with h5py.File(path, "w") as file:
        rows = file.create_dataset("observations/rgb_images/camera_top", (len(files),), h5py.vlen_dtype(np.uint8))
        for row, data in enumerate(files):
            rows[row] = np.frombuffer(data, np.uint8)
        file["observations/timestamp"] = 1.7e9 + np.arange(len(files)) / 30
        file["puppet/joint_position"] = np.zeros((len(files), 7))
    return path


def droid_video(path: Path, rows: int = 6, codec: str = "libx264") -> Path:
    """DROID's of old: a whole MP4 in a dataset of bytes; frame i at i² + 40 i ms."""
    clip = write_video(path.with_suffix(".clip.mp4"), [40 * at + at * at for at in range(rows)], codec=codec, gop=4)
    with h5py.File(path, "w") as file:
        file["observations/videos/23404442_left"] = np.frombuffer(clip.read_bytes(), np.uint8)
        file["action/joint_position"] = np.zeros((rows, 7))
    clip.unlink()
    return path


def sample_hdf5(path: Path) -> Path:
    """For the contract: raw, CHW, padded and vlen pictures of two rates, references, and what is none of these."""
    rows = 5
    rgb = pictures(range(rows))
    files = [jpeg(each) for each in rgb]
    with h5py.File(path, "w", track_order=True) as file:
        file.attrs["task"] = "stack"
        slow = file.create_group("slow")
        slow["timestamps"] = 1_700_000_000_000_000_000 + np.arange(rows) * 100_000_000
        slow["raw"] = rgb
        slow["chw"] = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))
        fast = file.create_group("fast", track_order=True)
        fast["time"] = 1_700_000_000.05 + np.arange(rows) * 0.0333
        fast.create_dataset("padded", data=padded(files), compression="gzip")
        vlen = fast.create_dataset("a_vlen", (rows,), h5py.vlen_dtype(np.uint8))
        for row, data in enumerate(files):
            vlen[row] = np.frombuffer(data, np.uint8)
        refs = np.dtype([("uri", h5py.string_dtype()), ("pts_ns", "i8")])
        fast["refs"] = np.array([("clip.mp4", 40_000_000 * at) for at in range(rows - 1)] + [("still.png", -1)], refs)
        file["again"] = h5py.SoftLink("/slow/raw")
        file["hard"] = slow["raw"]
        file["actions"] = np.zeros((rows, 7))
    return path
