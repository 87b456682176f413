"""Inputs that fuzzing found faults with, each mended; and what fuzzing starts from, to have it in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FOUND = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_fault_that_was_found_stays_mended(path: Path) -> None:
    TARGETS[path.parent.name].one(path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_taken(tmp_path: Path, name: str) -> None:
    seeds = list(TARGETS[name].seeds(tmp_path))
    assert len(seeds) > 3
    for seed in seeds:
        TARGETS[name].one(seed)
