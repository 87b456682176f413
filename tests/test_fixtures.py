"""A dataset that an earlier version wrote is read, proved and played back."""

from __future__ import annotations

import mediaref_tools as mrt
from mediaref_tools.sample import frame_number
from tests.fixtures.make import DATASET, LOG, TIMES_NS


def test_dataset_of_format_1_is_read() -> None:
    with mrt.open_dataset(DATASET) as dataset:
        assert dataset.manifest.format_version == 1
        camera, gray = dataset["/camera"], dataset["/gray"]
        assert camera.log_times_ns.tolist() == TIMES_NS
        assert [frame_number(frame.data) for frame in camera] == list(range(24))
        assert [frame_number(frame.data) for frame in gray] == list(range(8))
        assert (camera[0].data.shape, gray[0].data.shape) == ((96, 129, 3), (97, 128, 3))


def test_dataset_of_format_1_is_proved() -> None:
    assert mrt.verify(DATASET).ok
    assert mrt.verify(DATASET, against=LOG).ok
