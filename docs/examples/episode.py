"""Train on a folder of HDF5 episodes, in the way of ACT: convert once, then change one line of the loop."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np

import mediaref_tools as mrt
from mediaref_tools.sample import numbered_image

CAMERAS = ("cam_high", "cam_low")


def record(path: Path, steps: int) -> None:
    """What ALOHA's recorder writes: raw pictures, one chunk each, and the arms' states."""
    with h5py.File(path, "w") as root:
        root.attrs["sim"] = True
        for number, camera in enumerate(CAMERAS):
            pictures = np.stack([numbered_image(100 * number + step, 320, 240) for step in range(steps)])
            root.create_dataset(f"observations/images/{camera}", data=pictures, chunks=(1, 240, 320, 3))
        for name in ("observations/qpos", "observations/qvel", "action"):
            root[name] = np.zeros((steps, 14))


def sample(dataset: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One item of ACT's `EpisodicDataset`: (K, H, W, 3) pictures and the state of one step, and the actions from there.

    The first line said `h5py.File(path)`; the others are as they were.
    """
    with mrt.open_episode(dataset) as root:
        steps = root["/action"].shape[0]
        start = np.random.default_rng(seed).integers(steps)
        qpos = root["/observations/qpos"][start]
        images = np.stack([root[f"/observations/images/{camera}"][start] for camera in CAMERAS])
        return images, qpos, root["/action"][start:]


def main() -> None:
    """Record three episodes, convert their folder, and draw from it."""
    with tempfile.TemporaryDirectory() as name:
        episodes, datasets = Path(name) / "episodes", Path(name) / "datasets"
        episodes.mkdir()
        for number in range(3):
            record(episodes / f"episode_{number}.hdf5", steps=30)

        report = mrt.convert_folder(episodes, datasets)  # `mediaref convert episodes/ --out datasets/`
        print(f"{report.converted} episodes, {report.bytes_in / 1e6:.1f} MB -> {report.bytes_out / 1e6:.2f} MB")

        for seed in range(3):
            images, qpos, actions = sample(datasets / f"episode_{seed}", seed)
            print(images.shape, images.dtype, qpos.shape, actions.shape)

        # The reader of every dataset does as well, and decodes batches of any frames at once.
        with mrt.open_dataset(datasets / "episode_0") as dataset:
            batch = dataset["observations/images/cam_high"].batch([0, 10, 20])
            print(batch.data.shape, batch.log_times_ns.tolist())


if __name__ == "__main__":
    main()
