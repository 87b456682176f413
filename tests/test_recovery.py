"""What is physically in a damaged log comes out, what is not is told, and both can be converted."""

from __future__ import annotations

from pathlib import Path

import pytest

import mediaref_tools as mrt
from mediaref_tools.plugins import open_log
from tests.damagedlogs import COUNT, FAULTS, TEXTS, Fault, present


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.container}: {fault.name}")
def test_all_that_is_there_comes_out(tmp_path: Path, fault: Fault) -> None:
    path = fault.make(tmp_path)
    there = present(path) if fault.present is None else fault.present
    assert 20 < there <= COUNT
    with open_log(path) as reader:
        messages = list(reader.messages())
        if "zstd (message" not in fault.name:
            found = [any(text.encode() in bytes(each.data) for each in messages) for text in TEXTS]
            assert sum(found) == there
        assert len(messages) == there + fault.marred
        assert [m.log_time_ns for m in messages] == sorted(m.log_time_ns for m in messages)
        assert (not reader.losses) == fault.silent, list(reader.losses)
        known = [loss.messages for loss in reader.losses if loss.messages is not None]
        claimed = COUNT + 20 if "20 more" in fault.name else COUNT
        assert sum(known) in (0, claimed - there - fault.marred)
    assert mrt.convert(path, tmp_path / "dataset").messages_in == there + fault.marred
    assert mrt.verify(tmp_path / "dataset", against=path).ok
