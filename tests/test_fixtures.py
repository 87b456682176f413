"""Datasets that earlier versions wrote are read, proved and played back."""

from __future__ import annotations

import pytest

import mediaref_tools as mrt
from mediaref_tools.sample import frame_number
from tests.fixtures.make import DATASETS, LOG, TIMES_NS

every_version = pytest.mark.parametrize("version", DATASETS)


@every_version
def test_dataset_of_each_format_is_read(version: int) -> None:
    with mrt.open_dataset(DATASETS[version]) as dataset:
        assert dataset.manifest.format_version == version
        camera, gray = dataset["/camera"], dataset["/gray"]
        assert camera.log_times_ns.tolist() == TIMES_NS
        assert [frame_number(frame.data) for frame in camera] == list(range(24))
        assert [frame_number(frame.data) for frame in gray] == list(range(8))
        assert (camera[0].data.shape, gray[0].data.shape) == ((96, 129, 3), (97, 128))


@every_version
def test_dataset_of_each_format_is_proved(version: int) -> None:
    assert mrt.verify(DATASETS[version]).ok
    assert mrt.verify(DATASETS[version], against=LOG).ok
