"""Reading from several threads, processes and an event loop; ahead of time; into arrays of the caller's."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import random
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref_tools import Dataset, Settings, Topic, convert, open_dataset
from mediaref_tools.dataset.framesource import SegmentSource
from mediaref_tools.dataset.kept import KeptLog, KeptSource
from mediaref_tools.dataset.prefetch import prefetched
from mediaref_tools.errors import FrameError
from mediaref_tools.media import gopdecoder
from mediaref_tools.media.gopdecoder import GopDecoders
from mediaref_tools.sample import frame_number
from tests.smalllogs import camera, log_of, others

COUNT = 60
KEPT = "/depth"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    convert(log_of(folder, "mcap", camera("/cam", COUNT) + others()), folder / "set", settings=Settings(gop=10))
    return folder / "set"


@pytest.fixture
def refs(made: Path, tmp_path: Path) -> Path:
    """The same frames as references of somebody else, beside whose table the video lies."""
    with open_dataset(made) as dataset:
        rows = [f"{made / ref.uri},{ref.pts_ns}" for ref in dataset["/cam"].refs]
    (tmp_path / "refs.csv").write_text("\n".join(["uri,pts_ns", *rows]))
    return tmp_path / "refs.csv"


def numbers(topic: Topic, wanted: list[int]) -> list[int]:
    return [frame_number(frame) for frame in topic.batch(wanted, "rgb").data]


def every(made: Path, refs: Path, kind: str) -> tuple[Dataset, Topic]:
    dataset = open_dataset(refs, allow=made) if kind == "references" else open_dataset(made, threads=3)
    return dataset, dataset["refs" if kind == "references" else "/cam"]


@pytest.mark.parametrize("kind", ["dataset", "references"])
def test_threads_may_share_a_topic(made: Path, refs: Path, kind: str) -> None:
    dataset, topic = every(made, refs, kind)

    def read(seed: int) -> bool:
        dice = random.Random(seed)
        for _ in range(40):
            wanted = dice.choices(range(COUNT), k=dice.randrange(1, 9))
            assert numbers(topic, wanted) == wanted
        return True

    with dataset, ThreadPoolExecutor(6) as pool:
        assert all(pool.map(read, range(6)))


def test_threads_may_share_kept_topics(made: Path) -> None:
    with open_dataset(made) as dataset, ThreadPoolExecutor(4) as pool:
        topic = dataset[KEPT]
        truth = topic.batch(range(len(topic))).data
        for batch in pool.map(lambda _: topic.batch(range(len(topic))), range(20)):
            assert np.array_equal(batch.data, truth)


@pytest.mark.parametrize("kind", ["dataset", "references"])
@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_are_given_topics(made: Path, refs: Path, kind: str, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system can't fork")
    dataset, topic = every(made, refs, kind)
    # Not multiprocessing's own Pool, which waits without end for a worker that was killed.
    with dataset, ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        wanted = [[at, 3, COUNT - 1 - at] for at in range(0, 12, 3)]
        assert list(pool.map(numbers, [topic] * len(wanted), wanted)) == wanted


def decoders_of(dataset: Dataset) -> GopDecoders:
    source = dataset["/cam"]._source
    assert isinstance(source, SegmentSource)
    return source._decoders


def kept_of(dataset: Dataset) -> KeptLog:
    source = dataset[KEPT]._source
    assert isinstance(source, KeptSource)
    return source._kept


def test_readers_of_kept_topics_take_turns(made: Path) -> None:
    with open_dataset(made) as dataset:
        topic = dataset[KEPT]
        assert len(topic.sizes) == 4
        done = threading.Event()

        def read() -> None:
            topic.batch([1])
            done.set()

        reading = threading.Thread(target=read)
        with kept_of(dataset).lock:
            reading.start()
            assert not done.wait(0.2)
        assert done.wait(20)
        reading.join()


def test_a_fork_uses_nothing_of_its_parents(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_dataset(made, threads=4) as dataset:
        wanted = [3, 19, 31]
        assert numbers(dataset["/cam"], wanted) == wanted
        dataset[KEPT].batch([0])
        decoders, kept = decoders_of(dataset), kept_of(dataset)
        stood, log = list(decoders._idle), kept.log
        assert stood
        with monkeypatch.context() as patched:
            patched.setattr("os.getpid", lambda: -1)
            assert numbers(dataset["/cam"], wanted) == wanted
            assert not set(stood) & set(decoders._idle)
            assert any(one is stood[0] for left in gopdecoder._LEFT_BEHIND for one in left)  # nor are they ended
            assert kept.log is not log
            assert len(dataset[KEPT].batch([0]).data) == 1
            kept.close()
        log.close()
        gopdecoder._LEFT_BEHIND.clear()


def in_fork(dataset: Dataset, topics: list[str], answers: Any) -> None:
    found = [dataset[name].batch([3, 0, 2], "rgb").data for name in topics for _ in range(10)]
    answers.put([each.tobytes() for each in found])


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system can't fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("threads", [1, 4])
def test_parent_and_fork_go_on(made: Path, threads: int) -> None:
    context = multiprocessing.get_context("fork")
    topics = ["/cam", KEPT]
    with open_dataset(made, threads=threads) as dataset:
        truth = [dataset[name].batch([3, 0, 2], "rgb").data.tobytes() for name in topics for _ in range(10)]
        dataset["/cam"].batch([19])  # by a decoder of as many threads, which stays
        assert threads in [one.threads for one in decoders_of(dataset)._idle]
        answers = context.Queue()
        child = context.Process(target=in_fork, args=(dataset, topics, answers))
        child.start()
        mine = [dataset[name].batch([3, 0, 2], "rgb").data.tobytes() for name in topics for _ in range(10)]
        theirs = answers.get(timeout=60)
        child.join(60)
        assert mine == theirs == truth
        assert child.exitcode == 0


def test_a_pickled_dataset_is_opened_anew(made: Path, refs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made.parent)
    with open_dataset("set", threads=3) as dataset:
        data = pickle.dumps((dataset, dataset["/cam"]))
    monkeypatch.chdir("/")
    again, topic = pickle.loads(data)
    with again:
        assert list(again) == list(dataset)
        assert numbers(again["/cam"], [5, 1]) == numbers(topic, [5, 1]) == [5, 1]
    with open_dataset(refs, allow=iter([made])) as foreign:
        assert numbers(pickle.loads(pickle.dumps(foreign))["refs"], [7]) == [7]


def test_batches_ahead_are_the_same(made: Path) -> None:
    with open_dataset(made) as dataset:
        topic = dataset["/cam"]
        plain = list(topic.batches(7, stride=2))
        for count in (1, 3, 99):
            found = list(topic.batches(7, stride=2, prefetch=count))
            assert [batch.indices.tolist() for batch in found] == [batch.indices.tolist() for batch in plain]
            assert all(np.array_equal(one.data, other.data) for one, other in zip(found, plain, strict=True))
        for batch in topic.batches(7, prefetch=2):
            assert numbers(topic, [3]) == [3]  # meanwhile
            if batch.indices[0] > 20:
                break
        with pytest.raises(FrameError, match="-1 ahead"):
            topic.batches(7, prefetch=-1)


def test_what_is_made_ahead() -> None:
    made: list[int] = []

    def items() -> Any:
        for at in range(10):
            made.append(at)
            yield at
        raise FrameError("no more")

    before = threading.active_count()
    ahead = prefetched(items(), 3)
    assert made == []
    assert next(ahead) == 0
    deadline = time.monotonic() + 20
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(0.02)
    assert made == [0, 1, 2, 3]
    assert [next(ahead) for _ in range(9)] == [*range(1, 10)]
    with pytest.raises(FrameError, match="no more"):
        next(ahead)
    half = prefetched(iter(range(10**9)), 2)
    assert [next(half), next(half)] == [0, 1]
    half.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_event_loop_runs_on(made: Path) -> None:
    async def main() -> tuple[list[Any], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        with open_dataset(made) as dataset:
            topic = dataset["/cam"]
            found = await asyncio.gather(*(topic.abatch([at, 0]) for at in range(20)))
            out = np.zeros((1, *topic.sizes[0], 3), np.uint8)
            found.append(await topic.abatch([30], "rgb", out=out))
            assert frame_number(out[0]) == 30
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(main())
    assert [frame_number(batch.data[0]) for batch in found] == [*range(20), 30]
    assert ticks > 20


def test_into_an_array_of_the_callers(made: Path) -> None:
    with open_dataset(made) as dataset:
        topic = dataset["/cam"]
        plain = topic.batch([5, 1, 5]).data
        whole = np.zeros((8, *plain.shape[1:]), np.uint8)
        batch = topic.batch([5, 1, 5], out=whole[1:7:2])
        assert np.array_equal(whole[[1, 3, 5]], plain)
        assert not whole[[0, 2, 4, 6, 7]].any()
        assert np.shares_memory(batch.data, whole)
        planar = np.zeros((3, 3, *plain.shape[1:3]), np.uint8)  # as training wants it, without another copy
        topic.batch([5, 1, 5], out=planar.transpose(0, 2, 3, 1))
        assert np.array_equal(planar, plain.transpose(0, 3, 1, 2))
        assert topic.batch([5], "gray", out=whole[:1, ..., 0]).data.ndim == 3
        fixed = np.zeros(plain.shape, np.uint8)
        fixed.flags.writeable = False
        for wrong in (whole, np.zeros(plain.shape, np.float32), plain.tolist(), fixed):
            with pytest.raises(FrameError, match=r"out is .*expected a writable uint8 array of \(3, 64, 96, 3\)"):
                topic.batch([5, 1, 5], out=wrong)


@pytest.mark.parametrize("kind", ["dataset", "references"])
def test_frames_of_another_size(made: Path, refs: Path, kind: str) -> None:
    dataset, topic = every(made, refs, kind)
    with dataset:
        whole = topic.batch([7, 3, 7], "rgb")
        half = topic.batch([7, 3, 7], "rgb", size=(32, 48))
        means = whole.data.reshape(3, 32, 2, 48, 2, 3).mean(axis=(2, 4))
        assert half.data.shape == (3, 32, 48, 3)
        assert np.abs(half.data - means).mean() < 6
        large = topic.batch([7, 3], "bgr", size=(128, 192))
        assert [frame_number(frame[::2, ::2, ::-1]) for frame in large.data] == [7, 3]
        times = topic.log_times_ns[[9, 2]]
        out = np.zeros((2, 32, 48), np.uint8)
        assert topic.at(times, "gray", size=(32, 48), out=out).data is out
        assert np.abs(out - topic.at(times, "gray").data.reshape(2, 32, 2, 48, 2).mean(axis=(2, 4))).mean() < 6
        assert [batch.data.shape for batch in topic.batches(40, size=(16, 24))] == [(40, 16, 24, 3), (20, 16, 24, 3)]
        for _, frames in dataset.sync([topic.name], every_ns=10**8, size=(8, 9)):
            frame = frames[topic.name]
            assert frame is not None
            assert frame.data.shape == (8, 9, 3)
        assert asyncio.run(topic.abatch([3], "rgb", size=(32, 48))).data[0].tolist() == half.data[1].tolist()
        with pytest.raises(FrameError, match="size"):
            topic.batch([3], size=(0, 48))


def test_planes_of_frames(made: Path, refs: Path) -> None:
    with open_dataset(made) as dataset, open_dataset(refs, allow=made) as others:
        planes = dataset["/cam"].batch([5, 2], "yuv")
        assert planes.data.shape == (2, 96, 96)
        assert np.array_equal(others["refs"].batch([5, 2], "yuv").data, planes.data)
        assert dataset["/cam"].batch([5], "yuv", size=(32, 48)).data.shape == (1, 48, 48)
        luma = dataset["/cam"].batch([5, 2], "gray").data
        assert np.abs(planes.data[:, :64].astype(int) - luma).max() <= 1
        with pytest.raises(FrameError, match="yuv of a picture"):
            dataset[KEPT].batch([0], "yuv")


def test_exact_colours_are_asked_for(made: Path, refs: Path) -> None:
    for path, topic in ((made, "/cam"), (refs, "refs")):
        with open_dataset(path, allow=made) as quick, open_dataset(path, allow=made, exact_colours=True) as exact:
            one, other = exact[topic].batch(range(10), "rgb").data, quick[topic].batch(range(10), "rgb").data
            assert not np.array_equal(one, other)
            assert np.abs(one.astype(int) - other).mean() < 2
            assert np.array_equal(exact[topic].batch(range(10), "bgr").data, one[..., ::-1])
            with pickle.loads(pickle.dumps(exact)) as again:
                assert np.array_equal(again[topic].batch(range(10), "rgb").data, one)


def test_pictures_that_are_no_video_are_resized_too(made: Path) -> None:
    with open_dataset(made) as dataset:
        depth = dataset[KEPT]
        whole = depth.batch([1]).data
        small = depth.batch([1], size=(whole.shape[1] // 2, whole.shape[2] // 2)).data
        assert small.dtype == whole.dtype
        assert np.isin(small[np.isfinite(small)], whole).all(), "no distance that was not measured"
