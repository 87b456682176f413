"""Windows for training: each frame of each window shows its own number, whichever dataset and topic it is from."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools.dataset import shelf
from mediaref_tools.errors import FrameError, TopicError
from mediaref_tools.sample import frame_number
from tests.smalllogs import STEP, camera, log_of

LEFT, RIGHT, OTHER = 60, 45, 40
SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def drives(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two datasets; in the first, /right begins 5 frames later and shows each of its pictures a while longer."""
    found = []
    for name, left, late in (("one", LEFT, 5), ("two", OTHER, 0)):
        folder = tmp_path_factory.mktemp(name)
        first = 0 if name == "one" else 1000
        right = camera("/right", RIGHT, size=(48, 80), first=first + 200)[late // 5 * 5 :]
        log = log_of(folder, "mcap", camera("/left", left, first=first) + right[late:])
        mrt.convert(log, folder / "set", settings=mrt.Settings(gop=10, segment_ns=SECOND))
        found.append(folder / "set")
    return found


def shown(pictures: Any) -> list[int]:
    return [frame_number(np.ascontiguousarray(each)) for each in pictures.reshape(-1, *pictures.shape[-3:])]


def test_each_frame_of_a_window_is_the_right_one(drives: list[Path]) -> None:
    windows = mrt.Windows(drives[0], "/left", frames=4, stride=3, every=2)
    assert len(windows) == (LEFT - 10) // 2 + 1
    for at in (0, 7, len(windows) - 1, -2):
        window = windows[at]
        start = 2 * (at % len(windows))
        assert shown(window["images"]["/left"]) == [start, start + 3, start + 6, start + 9]
        assert window["indices"]["/left"].tolist() == [start, start + 3, start + 6, start + 9]
        assert np.diff(window["log_times_ns"]).tolist() == [3 * STEP] * 3
    with pytest.raises(FrameError, match="no window 26: there are 26"):
        windows[26]
    windows.close()
    assert shown(windows[1]["images"]["/left"])[0] == 2, "opened again"
    windows.close()


def test_topics_are_at_the_same_log_times(drives: list[Path]) -> None:
    windows = mrt.Windows(drives[0], ["/left", "/right"], frames=3, stride=2)
    with mrt.open_dataset(drives[0]) as dataset:
        left, right = dataset["/left"], dataset["/right"]
        begun = int(np.searchsorted(left.log_times_ns, right.log_times_ns[0]))
        assert begun > 0
        assert len(windows) == LEFT - begun - 4
        for window in (windows[0], windows[20], windows[-1]):
            times = window["log_times_ns"]
            assert window["indices"]["/right"].tolist() == right.index_at(times).tolist()
            assert shown(window["images"]["/right"]) == shown(right.at(times, "rgb").data)
            assert shown(window["images"]["/left"]) == window["indices"]["/left"].tolist()
    windows.close()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_every_window_of_every_dataset_comes_once(drives: list[Path], prefetch: int) -> None:
    windows = mrt.Windows(drives, ["/left", "/right"], frames=2, size=(64, 96), threads=2)
    seen = []
    for batch in windows.batches(7, seed=3, prefetch=prefetch):
        pictures = batch["images"]["/left"]
        assert pictures.shape[1:] == (2, 64, 96, 3) == batch["images"]["/right"].shape[1:]
        first = 1000 * batch["dataset"][:, None] + batch["indices"]["/left"]
        assert shown(pictures) == first.ravel().tolist()
        seen += first[:, 0].tolist()
    assert len(seen) == len(windows) == len(set(seen))
    assert seen != sorted(seen)
    again = [batch["log_times_ns"].tolist() for batch in windows.batches(7, seed=3, prefetch=prefetch)]
    assert again == [batch["log_times_ns"].tolist() for batch in windows.batches(7, seed=3)]
    assert again != [batch["log_times_ns"].tolist() for batch in windows.batches(7, seed=3, epoch=1)]
    ordered = list(windows.batches(7, shuffle=False, drop_last=True))
    assert [len(batch["dataset"]) for batch in ordered] == [7] * (len(windows) // 7)
    windows.close()


def test_pictures_of_several_sizes_need_one_size(drives: list[Path], tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera("/left", 10, size=(48, 80)))
    mrt.convert(log, tmp_path / "set")
    windows = mrt.Windows([drives[0], tmp_path / "set"], "/left", frames=2)
    with pytest.raises(FrameError, match=r"\(48, 80, 3\) uint8 in one dataset"):
        windows.stacked([0, len(windows) - 1])
    windows.close()


def take(windows: mrt.Windows, at: int) -> list[int]:
    return shown(windows[at]["images"]["/left"])


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_take_windows(drives: list[Path], method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system can't fork")
    windows = mrt.Windows(drives, "/left", frames=3, threads=1)
    assert take(windows, 4) == [4, 5, 6]  # open when it is handed on
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(take, [windows] * 6, range(6))) == [[at, at + 1, at + 2] for at in range(6)]
    assert take(pickle.loads(pickle.dumps(windows)), 7) == [7, 8, 9]
    windows.close()


def test_only_so_many_datasets_are_open(drives: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    still_open = 0
    real = mrt.open_dataset

    def counted(path: str, **options: Any) -> mrt.Dataset:
        nonlocal still_open
        dataset = real(path, **options)
        still_open += 1
        close = dataset.close

        def closed() -> None:
            nonlocal still_open
            still_open -= 1
            close()

        dataset.close = closed  # type: ignore[method-assign]
        assert still_open <= 2
        return dataset

    monkeypatch.setattr(shelf, "open_dataset", counted)
    monkeypatch.setattr("mediaref_tools.windows._OPEN", 2)
    linked = [drives[0].with_name(f"set{number}") for number in range(5)]
    for link in linked:
        link.symlink_to(drives[0])
    windows = mrt.Windows(linked, "/left", frames=2)
    assert len(windows) == 5 * (LEFT - 1)
    assert [take(windows, at)[0] for at in range(0, len(windows), LEFT - 1)] == [0] * 5
    windows.close()
    assert still_open == 0


def test_what_can_not_be() -> None:
    for wrong in ({"frames": 0}, {"frames": 1, "stride": 0}, {"frames": 1, "every": -1}):
        with pytest.raises(FrameError, match="expected at least 1"):
            mrt.Windows("nowhere", "/left", **wrong)  # type: ignore[arg-type]
    with pytest.raises(FrameError, match="no topic"):
        mrt.Windows("nowhere", [], frames=1)


def test_topics_that_are_not_there(drives: list[Path]) -> None:
    with pytest.raises(TopicError, match="no converted topic '/up'"):
        mrt.Windows(drives, ["/left", "/up"], frames=2)
    windows = mrt.Windows(drives, "/left", frames=LEFT)
    assert len(windows) == 1, "the second is too short"
    with pytest.raises(FrameError, match="expected at least one"):
        windows.stacked([])
    assert windows.__getitems__([]) == []
    for wrong in ({"windows": 0}, {"windows": 1, "seed": -1}, {"windows": 1, "prefetch": -1}):
        with pytest.raises(FrameError, match="expected at least 1 and 0"):
            windows.batches(**wrong)  # type: ignore[arg-type]
    windows.close()
