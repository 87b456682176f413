"""Frames for PyTorch: every picture that a DataLoader hands out shows its own number, in any kind of process."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.errors import ExtraError, FrameError, TopicError
from mediaref_tools.samples.scene import frame_number, numbered_image
from mediaref_tools.training import FrameDataset, SegmentBatchSampler
from tests.smalllogs import camera, log_of
from tests.smallvideos import write_video

torch = pytest.importorskip("torch", reason="torch is not installed: pip install torch")
from torch.utils.data import DataLoader  # noqa: E402

# From Python 3.12 on, every fork of a process with threads is warned of; PyTorch forks by default on Linux.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

LEFT, RIGHT = 70, 41
FIRST = 1000  # the number in the first picture of /right
_seconds = 1_000_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two topics of two picture sizes: /left in three segments, /right in two, at 30 frames a second."""
    folder = tmp_path_factory.mktemp("training")
    messages = camera("/left", LEFT) + camera("/right", RIGHT, size=(48, 80), first=FIRST)
    report = mrt.convert(
        log_of(folder, "mcap", messages), folder / "set", settings=mrt.Settings(segment_ns=_seconds, gop=10)
    )
    assert (report.frames, report.wrong, report.missing) == (LEFT + RIGHT, 0, 0)
    return folder / "set"


@pytest.fixture
def frames(folder: Path) -> Iterator[FrameDataset]:
    frames = FrameDataset(folder)
    yield frames
    frames.close()


def number(image: Any) -> int:
    """What a (3, H, W) image shows, less what /right begins at."""
    shown = frame_number(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))
    return shown - FIRST if shown >= FIRST else shown


def segment(frames: FrameDataset, indices: list[int]) -> set[tuple[str, str]]:
    """Topic and uri of each index."""
    with mrt.open_dataset(frames.path) as dataset:
        places = [(name, at) for name in frames.topics for at in range(len(dataset[name]))]
        return {(places[at][0], dataset[places[at][0]].refs[places[at][1]].uri) for at in indices}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_every_frame_of_a_loader_with_two_workers_shows_its_own_number(folder: Path, method: str) -> None:
    frames = FrameDataset(folder)
    assert number(frames[5]["image"]) == 5  # the parent has files open when it forks
    sampler = SegmentBatchSampler(frames, 8, seed=3)
    loader = DataLoader(
        frames, batch_sampler=sampler, num_workers=2, multiprocessing_context=method, persistent_workers=True
    )
    orders = []
    with mrt.open_dataset(folder) as dataset:
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            seen = []
            for batch in loader:
                (name,) = set(batch["topic"])
                assert batch["image"].dtype == torch.uint8
                assert batch["image"].shape[1:] == ((3, 64, 96) if name == "/left" else (3, 48, 80))
                assert [number(image) for image in batch["image"]] == batch["index"].tolist()
                for key in ("log_time_ns", "pts_ns"):
                    truth = dataset[name].log_times_ns if key == "log_time_ns" else dataset[name].pts_ns
                    assert batch[key].tolist() == truth[batch["index"].numpy()].tolist()
                seen += [(name, index) for index in batch["index"].tolist()]
            everything = [(name, at) for name in dataset for at in range(len(dataset[name]))]
            assert sorted(seen) == sorted(everything)
            orders.append(seen)
    assert orders[0] != orders[1]
    assert number(frames[69]["image"]) == 69  # and its own still work after that
    frames.close()
    del loader
    gc.collect()


def test_a_plain_shuffled_loader_works_too(folder: Path) -> None:
    frames = FrameDataset(folder, "/right")
    loader = DataLoader(frames, batch_size=7, shuffle=True, num_workers=2, multiprocessing_context="fork")
    found: dict[int, int] = {}
    for batch in loader:
        found.update(zip(batch["index"].tolist(), map(number, batch["image"]), strict=True))
    assert found == {index: index for index in range(RIGHT)}


def test_items_by_index(frames: FrameDataset) -> None:
    assert len(frames) == LEFT + RIGHT
    assert frames.topics == ("/left", "/right")
    with mrt.open_dataset(frames.path) as dataset:
        item = frames[LEFT + 3]
        assert {key: value for key, value in item.items() if key != "image"} == {
            "topic": "/right",
            "index": 3,
            "log_time_ns": int(dataset["/right"].log_times_ns[3]),
            "pts_ns": int(dataset["/right"].pts_ns[3]),
        }
    assert item["image"].shape == (3, 48, 80)
    assert number(frames[-1]["image"]) == RIGHT - 1
    assert number(frames[torch.tensor(4)]["image"]) == number(frames[np.int64(4)]["image"]) == 4
    for wrong in (LEFT + RIGHT, -LEFT - RIGHT - 1):
        with pytest.raises(FrameError, match=f"no frame {wrong}: there are {LEFT + RIGHT}"):
            frames[wrong]
    with pytest.raises(TypeError):
        frames[1.5]  # type: ignore[index]
    assert [(item["topic"], item["index"]) for item in frames] == [
        (name, at) for name, count in (("/left", LEFT), ("/right", RIGHT)) for at in range(count)
    ]


def test_items_come_in_the_order_asked_whatever_their_size(frames: FrameDataset) -> None:
    wanted = [LEFT, 69, 0, LEFT + 40, 0, 35, -1]
    items = frames.__getitems__(wanted)
    assert [(item["topic"], item["index"], number(item["image"])) for item in items] == [
        ("/right", 0, 0), ("/left", 69, 69), ("/left", 0, 0), ("/right", 40, 40), ("/left", 0, 0), ("/left", 35, 35),
        ("/right", 40, 40),
    ]  # fmt: skip
    assert frames.__getitems__([]) == []


def test_topics_are_chosen_in_the_order_named(folder: Path) -> None:
    frames = FrameDataset(folder, ["/right", "/left"])
    assert [(frames[at]["topic"], frames[at]["index"]) for at in (0, RIGHT)] == [("/right", 0), ("/left", 0)]
    frames.close()
    with pytest.raises(TopicError, match="/middle"):
        FrameDataset(folder, ["/middle"])
    assert len(FrameDataset(folder, [])) == 0
    assert list(SegmentBatchSampler(FrameDataset(folder, []), 4)) == []


def test_an_open_dataset_is_opened_anew(folder: Path) -> None:
    with mrt.open_dataset(folder) as dataset:
        frames = FrameDataset(dataset, "/left")
    assert number(frames[3]["image"]) == 3
    frames.close()
    assert number(frames[4]["image"]) == 4
    frames.close()


def test_a_transform_makes_the_image(folder: Path) -> None:
    frames = FrameDataset(folder, "/left", transform=lambda image: image[:, ::2].float())
    assert frames[0]["image"].shape == (3, 32, 96)
    assert frames[0]["image"].dtype == torch.float32
    frames.close()


def test_nothing_is_open_until_a_frame_is_asked_for(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    frames = FrameDataset(folder.name, "/left")
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    assert frames[0]["index"] == 0
    copy = pickle.loads(pickle.dumps(frames))
    assert len(pickle.dumps(frames)) < 2000  # no table, no picture
    monkeypatch.chdir(tmp_path)  # a worker need not stand where its parent stood
    assert number(copy[7]["image"]) == 7
    copy.close()
    frames.close()
    assert before == 0 or len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_fork_opens_its_own_and_lets_its_parent_s_be(frames: FrameDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[mrt.Dataset] = []
    closed: list[mrt.Dataset] = []
    close = mrt.Dataset.close

    def opening(path: Path, **options: Any) -> mrt.Dataset:
        opened.append(mrt.open_dataset(path, **options))
        return opened[-1]

    def closing(dataset: mrt.Dataset) -> None:
        closed.append(dataset)
        close(dataset)

    monkeypatch.setattr("mediaref_tools.dataset.shelf.open_dataset", opening)
    monkeypatch.setattr(mrt.Dataset, "close", closing)
    assert number(frames[0]["image"]) == number(frames[1]["image"]) - 1
    assert len(opened) == 1
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert number(frames[2]["image"]) == 2
    assert number(frames[3]["image"]) == 3
    frames.close()
    assert len(opened) == 2
    assert closed == [opened[1]]  # the parent's is neither used nor closed
    close(opened[0])


def test_a_batch_of_the_sampler_is_one_decode(frames: FrameDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    batch = mrt.Topic.batch

    def counting(topic: mrt.Topic, indices: list[int], wanted: Any = "natural") -> mrt.FrameBatch:
        calls.append(len(indices))
        return batch(topic, indices, wanted)

    monkeypatch.setattr(mrt.Topic, "batch", counting)
    sizes = []
    for indices in SegmentBatchSampler(frames, 16):
        sizes.append(len(frames.__getitems__(indices)))
        assert len(segment(frames, indices)) == 1
    assert calls == sizes
    assert sum(sizes) == LEFT + RIGHT


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 1000])
def test_batches_cover_every_frame_once_each_from_one_segment(
    frames: FrameDataset, shuffle: bool, batch_size: int
) -> None:
    sampler = SegmentBatchSampler(frames, batch_size, shuffle)
    batches = list(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(LEFT + RIGHT))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    assert all(len(segment(frames, batch)) == 1 for batch in batches)
    assert len(sampler) == len(batches)
    assert all(type(index) is int for batch in batches for index in batch)
    full = list(SegmentBatchSampler(frames, batch_size, shuffle, drop_last=True))
    assert full == [batch for batch in batches if len(batch) == batch_size] or shuffle
    assert {len(batch) for batch in full} <= {batch_size}
    assert len(full) == len(SegmentBatchSampler(frames, batch_size, shuffle, drop_last=True))
    assert len(full) == sum(len(batch) == batch_size for batch in batches)
    if not shuffle:
        assert [index for batch in batches for index in batch] == list(range(LEFT + RIGHT))


def test_the_order_is_told_by_seed_and_epoch(frames: FrameDataset) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = SegmentBatchSampler(frames, 8, seed=seed)
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler)
        return list(sampler)

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert orders[0] == order(0, 0) == list(SegmentBatchSampler(frames, 8))
    assert all(orders[a] != orders[b] for a in range(6) for b in range(a))
    # Batches of one segment do not stay together, and a batch is no stretch of one.
    uris = [next(iter(segment(frames, batch))) for batch in orders[0]]
    assert uris != sorted(uris)
    assert any(max(batch) - min(batch) >= 16 for batch in orders[0])


def test_runs_follow_each_other_and_begin_at_keyframes(frames: FrameDataset) -> None:
    with mrt.open_dataset(frames.path) as dataset:
        keys = np.concatenate([dataset[name].keyframes for name in frames.topics])
    assert 8 < keys.sum() < 20
    for length in (1, 4, 8, 100):
        segments = frames.runs(length)
        assert len(segments) == 5
        assert np.concatenate([run for runs in segments for run in runs]).tolist() == list(range(LEFT + RIGHT))
        for runs in segments:
            assert all((np.diff(run) == 1).all() and 0 < len(run) <= length for run in runs)
            assert not any(keys[run[1:]].any() for run in runs)
            # No shorter than need be: a run ends where it is full, at the next keyframe, or with its segment.
            assert all(len(run) == length or keys[run[-1] + 1] for run in runs[:-1])
    shuffled = list(SegmentBatchSampler(frames, 8, run=4))
    assert sum(abs(a - b) == 1 for batch in shuffled for a, b in pairwise(batch)) > 50


@pytest.mark.parametrize(
    "make",
    [
        lambda frames: SegmentBatchSampler(frames, 0),
        lambda frames: SegmentBatchSampler(frames, 8, seed=-1),
        lambda frames: SegmentBatchSampler(frames, 8, run=0),
        lambda frames: SegmentBatchSampler(frames, 8).set_epoch(-1),
    ],
)
def test_numbers_out_of_range_are_refused(frames: FrameDataset, make: Any) -> None:
    with pytest.raises(FrameError, match="at least"):
        make(frames)


def test_references_of_others_videos_interleaved_and_stills(tmp_path: Path) -> None:
    """A table whose rows go back and forth between two videos and stills, in no order of pts."""
    rows, numbers = ["uri,pts_ns"], []
    for name, first in (("a", 0), ("b", 100)):
        write_video(tmp_path / f"{name}.mp4", [40 * at for at in range(12)], last_ms=40, first=first)
    for at in range(12):
        Image.fromarray(numbered_image(200 + at, 96, 64)).save(tmp_path / f"{at}.png")
        rows += [f"a.mp4,{40_000_000 * (11 - at)}", f"{at}.png,", f"b.mp4,{40_000_000 * at}"]
        numbers += [11 - at, 200 + at, 100 + at]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    frames = FrameDataset(tmp_path / "table.csv")
    assert len(SegmentBatchSampler(frames, 5)) == 3 * 3  # the stills are one group, as if they were a video
    for shuffle in (False, True):
        found: dict[int, int] = {}
        for indices in SegmentBatchSampler(frames, 5, shuffle):
            items = frames.__getitems__(indices)
            shown = [frame_number(np.ascontiguousarray(item["image"].permute(1, 2, 0).numpy())) for item in items]
            assert len({each // 100 for each in shown}) == 1
            assert [item["pts_ns"] < 0 for item in items] == [each >= 200 for each in shown]
            assert shuffle or shown == sorted(shown)
            found.update(zip(indices, shown, strict=True))
        assert [found[index] for index in range(len(frames))] == numbers
    # The parent's decoders have threads that a fork does not have.
    sampler = SegmentBatchSampler(frames, 5)
    loader = DataLoader(frames, batch_sampler=sampler, num_workers=2, multiprocessing_context="fork")
    found = {}
    for batch in loader:
        pictures = batch["image"].permute(0, 2, 3, 1).contiguous().numpy()
        found.update(zip(batch["index"].tolist(), map(frame_number, pictures), strict=True))
    assert [found[index] for index in range(len(frames))] == numbers
    frames.close()


def test_what_may_be_opened_is_handed_on(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    write_video(tmp_path / "a.mp4", [0, 40], last_ms=40)
    (tmp_path / "set" / "t.csv").write_text("uri,pts_ns\n../a.mp4,40000000\n")
    frames = FrameDataset(tmp_path / "set" / "t.csv")
    with pytest.raises(mrt.MediarefError, match="allow"):
        frames[0]
    frames.close()
    allowed = FrameDataset(tmp_path / "set" / "t.csv", allow=tmp_path)
    assert number(pickle.loads(pickle.dumps(allowed))[0]["image"]) == number(allowed[0]["image"]) == 1
    allowed.close()


def test_pictures_of_several_sizes_on_one_topic(tmp_path: Path) -> None:
    messages = camera("/zoom", 12, size=lambda at: (64, 96) if at % 4 < 2 else (48, 80))
    mrt.convert(log_of(tmp_path, "mcap", messages), tmp_path / "set")
    frames = FrameDataset(tmp_path / "set")
    items = frames.__getitems__(list(range(12)))
    assert [number(item["image"]) for item in items] == list(range(12))
    assert [item["image"].shape[1] for item in items] == [64, 64, 48, 48] * 3
    for batch in DataLoader(frames, batch_sampler=SegmentBatchSampler(frames, 4)):
        assert [number(image) for image in batch["image"]] == batch["index"].tolist()
    frames.close()


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_batch_becomes_a_tensor_without_a_copy(folder: Path, layout: Any) -> None:
    with mrt.open_dataset(folder) as dataset:
        batch = dataset["/left"].batch([0, 40, 3])
    tensor = batch.to_torch(layout)
    assert tensor.shape == ((3, 3, 64, 96) if layout == "NCHW" else (3, 64, 96, 3))
    assert tensor.dtype == torch.uint8
    assert tensor.data_ptr() == batch.data.ctypes.data
    rows = tensor.permute(0, 2, 3, 1) if layout == "NCHW" else tensor
    assert (rows.numpy() == batch.data).all()
    assert layout == "NHWC" or tensor.is_contiguous(memory_format=torch.channels_last)
    rows[1, 2, 3, 0] = 255 - int(rows[1, 2, 3, 0])
    assert batch.data[1, 2, 3, 0] == rows[1, 2, 3, 0]
    with pytest.raises(FrameError, match="neither NCHW nor NHWC"):
        batch.to_torch("CHWN")  # type: ignore[arg-type]


def test_a_video_batch_becomes_a_tensor_without_a_copy(tmp_path: Path) -> None:
    with mrt.VideoDecoder(write_video(tmp_path / "a.mp4", [0, 40, 80], last_ms=40)) as video:
        batch = video.get_frames_played_in_range(0.0, 0.12)
    tensor = batch.to_torch()
    assert tensor.shape == (3, 3, 64, 96)
    assert tensor.data_ptr() == batch.data.ctypes.data
    assert [number(image) for image in tensor] == [0, 1, 2]
    tensor[2] = 7
    assert (batch.data[2] == 7).all()


def test_without_torch_one_sentence_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mrt.open_dataset(folder) as dataset:
        batch = dataset["/left"].batch([0])
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (batch.to_torch, lambda: FrameDataset(folder)):
        with pytest.raises(
            ExtraError, match=r"^torch can't be imported \(.*\): pip install 'mediaref-tools\[torch\]'$"
        ):
            call()


def test_importing_the_module_imports_no_torch() -> None:
    modules = "mediaref_tools.training, mediaref_tools.dataset.batch, mediaref_tools.media.videobatch"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_takes_windows_as_they_are(folder: Path, workers: int) -> None:
    windows = mrt.Windows(folder, ["/left", "/right"], frames=3, size=(64, 96), threads=1)
    loader = DataLoader(windows, batch_size=4, shuffle=True, num_workers=workers)
    seen: list[int] = []
    for _ in range(2 if workers == 0 else 1):
        seen.clear()
        for batch in loader:
            pictures = batch["images"]["/left"]
            assert pictures.shape[1:] == (3, 64, 96, 3)
            assert pictures.dtype == torch.uint8
            shown = [[frame_number(each.numpy()) for each in window] for window in pictures]
            assert shown == batch["indices"]["/left"].tolist()
            seen += [window[0] for window in shown]
        assert sorted(seen) == [*range(len(windows))]
    windows.close()
