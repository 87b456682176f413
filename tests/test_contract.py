"""Every installed converter keeps the contract, on a small log of its own container."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from mediaref_tools.log import Converter
from mediaref_tools.testing import ConverterContract

from .converters.hdf5logs import sample_hdf5
from .converters.samples import (
    sample_mcap,
    sample_rosbag1,
    sample_rosbag2_mcap,
    sample_rosbag2_sqlite3,
)

SAMPLES: dict[str, Callable[[Path], Path]] = {
    "hdf5": lambda folder: sample_hdf5(folder / "episode_0.hdf5"),
    "mcap": lambda folder: sample_mcap(folder / "log.mcap"),
    "rosbag1": lambda folder: sample_rosbag1(folder / "log.bag"),
    "rosbag2-mcap": lambda folder: sample_rosbag2_mcap(folder / "log"),
    "rosbag2-sqlite3": lambda folder: sample_rosbag2_sqlite3(folder / "log"),
}


def _contract(point: EntryPoint) -> type[ConverterContract]:
    class TestInstalled(ConverterContract):
        def converter(self) -> Converter:
            try:
                converter: Converter = point.load()()
            except ModuleNotFoundError as error:
                if error.name != point.module:
                    raise
                pytest.skip(f"converter {point.name!r}: its module {point.module} is not there")
            return converter

        def log(self, folder: Path) -> Path:
            if point.name not in SAMPLES:
                pytest.skip(f"converter {point.name!r} of another package: it has tests of its own")
            self.converter()
            return SAMPLES[point.name](folder)

    return TestInstalled


for _point in entry_points(group="mediaref_tools.converters"):
    globals()[f"Test_{_point.name}"] = _contract(_point)


def test_every_built_in_container_has_a_converter() -> None:
    assert SAMPLES.keys() <= {point.name for point in entry_points(group="mediaref_tools.converters")}
