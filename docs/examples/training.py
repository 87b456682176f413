"""Train on a dataset with PyTorch: a DataLoader whose workers decode each batch from one segment.

Needs `pip install 'mediaref-tools[torch]'`; without torch, it says so and does nothing.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import mediaref_tools as mrt
from mediaref_tools.sample import make_sample
from mediaref_tools.training import FrameDataset, SegmentBatchSampler


def main() -> None:
    """Go through a small dataset twice. What starts workers must stand behind `if __name__ == "__main__"`."""
    if importlib.util.find_spec("torch") is None:
        print("torch is not installed, so there is nothing to show: pip install 'mediaref-tools[torch]'")
        return
    from torch.utils.data import DataLoader

    with tempfile.TemporaryDirectory() as folder:
        log = make_sample(Path(folder) / "robot.mcap", container="mcap", seconds=2)
        mrt.convert(log, Path(folder) / "dataset")

        frames = FrameDataset(Path(folder) / "dataset", topics=["/camera/left/image_raw/compressed"])
        sampler = SegmentBatchSampler(frames, batch_size=16, seed=1)
        loader = DataLoader(frames, batch_sampler=sampler, num_workers=2)
        for epoch in range(2):
            sampler.set_epoch(epoch)  # another order
            for batch in loader:
                images = batch["image"].float() / 255  # (16, 3, H, W)
                print(epoch, tuple(images.shape), f"mean {images.mean():.3f}", batch["index"][:4].tolist(), "…")
        frames.close()

        with mrt.open_dataset(Path(folder) / "dataset") as dataset:  # without a loader: no copy is made
            tensor = dataset["/camera/left/image_raw/compressed"].batch([0, 20, 40]).to_torch()
        print(tuple(tensor.shape), tensor.dtype)


if __name__ == "__main__":
    main()
