"""The reader: frames by index and by time, in batches and in step; and what it says of a dataset that is not whole."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mediaref_tools import Dataset, MediaRef, Settings, Topic, convert, open_dataset
from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.errors import FrameError, TopicError
from mediaref_tools.sample import START_NS, frame_number, numbered_topic, write_log

MS = 1_000_000
COUNT = 50
SIZES = ((64, 96), (81, 97))  # of /sizes, from its 8th to its 15th frame the second
TWIN = 21  # frame 21 of /cam has frame 20's log time
BAD, GOOD_STILL = 5, 9  # of /some, embedded: no image at all, and a PNG with transparency


def cam_times() -> list[int]:
    times = [START_NS + index * 40 * MS + (index * 7919) % 1000 for index in range(COUNT)]
    times[TWIN] = times[TWIN - 1]
    return times


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    cam = numbered_topic("/cam", cam_times(), size=SIZES[0])
    slow = numbered_topic(
        "/slow", [START_NS + 300 * MS + index * 250 * MS for index in range(5)], size=SIZES[0], first=900
    )
    sizes = numbered_topic(
        "/sizes", cam_times()[:20], encoding="rgb8", size=lambda index: SIZES[8 <= index < 15], first=2000
    )
    some = numbered_topic("/some", cam_times()[:12], encoding="png", size=SIZES[0], first=3000)
    some[BAD].body.data = np.frombuffer(b"no image", np.uint8)
    some[GOOD_STILL].body.data = np.frombuffer(transparent(some[GOOD_STILL].body.data.tobytes()), np.uint8)
    log = write_log(folder / "log.bag", "rosbag1", cam + slow + sizes + some)
    report = convert(log, folder / "set", settings=Settings(segment_ns=1_000 * MS, gop=6))
    assert {topic.topic: topic.segments for topic in report.topics} == {"/cam": 2, "/slow": 2, "/sizes": 2, "/some": 1}
    return folder / "set"


def transparent(png: bytes) -> bytes:
    import io

    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.putalpha(128)
        stream = io.BytesIO()
        image.save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def dataset(made: Path) -> Iterator[Dataset]:
    with open_dataset(made) as dataset:
        yield dataset


@pytest.fixture
def cam(dataset: Dataset) -> Topic:
    return dataset["/cam"]


def numbers(frames: Any) -> list[int]:
    return [frame_number(frame.data) for frame in frames]


def test_topics_are_a_mapping(dataset: Dataset) -> None:
    assert list(dataset) == ["/cam", "/sizes", "/slow", "/some"]
    assert len(dataset) == 4
    assert "/cam" in dataset
    assert "/nothing" not in dataset
    assert dataset["/slow"].name == "/slow"
    for wrong in ("/nothing", "cam"):
        with pytest.raises(TopicError, match=rf"{wrong}.*/cam, /sizes, /slow, /some"):
            dataset[wrong]
    with pytest.raises(KeyError):
        dataset["/nothing"]


def test_columns_have_their_types_and_shapes(dataset: Dataset, cam: Topic) -> None:
    some = dataset["/some"]
    assert (cam.log_times_ns.dtype.name, cam.log_times_ns.shape) == ("int64", (COUNT,))
    assert (cam.stamps_ns.dtype.name, cam.stamps_ns.shape) == ("int64", (COUNT,))
    assert (cam.pts_ns.dtype.name, cam.pts_ns.shape) == ("int64", (COUNT,))
    assert (cam.psnr_db.dtype.name, cam.psnr_db.shape) == ("float32", (COUNT,))
    assert (cam.keyframes.dtype.name, cam.keyframes.shape) == ("bool", (COUNT,))
    assert (cam.sizes.dtype.name, cam.sizes.shape) == ("int64", (COUNT, 2))
    assert cam.log_times_ns.tolist() == cam_times()
    assert cam.stamps_ns.tolist() == [time - 4 * MS for time in cam_times()]
    assert NO_STAMP not in cam.stamps_ns
    assert cam.pts_ns.min() == 0
    assert set(cam.status.tolist()) == {"video"}
    assert (cam.psnr_db > 20).all()
    assert [tuple(size) for size in dataset["/sizes"].sizes.tolist()] == [SIZES[8 <= index < 15] for index in range(20)]
    assert np.flatnonzero(some.status == "embedded").tolist() == [BAD, GOOD_STILL]
    assert np.flatnonzero(some.pts_ns == -1).tolist() == [BAD, GOOD_STILL]
    assert np.flatnonzero(np.isnan(some.psnr_db)).tolist() == [BAD, GOOD_STILL]
    assert not some.keyframes[BAD]


def test_references_are_a_sequence(dataset: Dataset, cam: Topic) -> None:
    refs = cam.refs
    assert len(refs) == COUNT
    assert refs[0] == MediaRef(uri="media/cam/000000.mp4", pts_ns=0)
    assert refs[-1] == refs[COUNT - 1]
    assert refs[3:20:4] == [refs[3], refs[7], refs[11], refs[15], refs[19]]
    assert refs[::-1] == list(reversed(list(refs)))
    assert refs[60:] == []
    assert [ref.pts_ns for ref in refs] == cam.pts_ns.tolist()
    with pytest.raises(IndexError):
        refs[COUNT]
    still = dataset["/some"].refs[GOOD_STILL]
    assert still.is_embedded
    assert still.pts_ns is None


@pytest.mark.parametrize(
    "indices",
    [
        [0],
        [COUNT - 1],
        [-1, -COUNT, 3],
        [49, 0, 25, 24, 26, 1],
        [7, 7, 7, 3, 7],
        [20, 21, 20],
        list(range(COUNT)),
        list(reversed(range(COUNT))),
        range(3, 40, 9),
        np.array([5, 4], np.uint8),
    ],
    ids=str,
)
def test_batch_gives_what_was_asked_for(cam: Topic, indices: Any) -> None:
    batch = cam.batch(indices)
    expected = [int(index) % COUNT for index in indices]
    assert numbers(batch) == expected
    assert (batch.data.dtype.name, batch.data.shape) == ("uint8", (len(expected), *SIZES[0], 3))
    assert batch.data.flags.c_contiguous
    assert batch.indices.tolist() == expected
    assert batch.log_times_ns.tolist() == [cam_times()[index] for index in expected]
    assert batch.pts_ns.tolist() == cam.pts_ns[expected].tolist()
    assert [batch.indices.dtype, batch.log_times_ns.dtype, batch.pts_ns.dtype] == [np.int64] * 3
    for frame, index in zip(batch, expected, strict=True):
        assert (frame.index, frame.log_time_ns, frame.ref) == (index, cam_times()[index], cam.refs[index])
        assert frame.pts_ns == frame.ref.pts_ns
        assert (frame.data == cam[index].data).all()


def test_batch_of_nothing_is_empty(cam: Topic) -> None:
    batch = cam.batch([])
    assert len(batch) == 0
    assert batch.data.dtype == np.uint8
    assert batch.data.ndim == 4
    assert list(batch) == []
    assert len(cam.at([])) == 0


@pytest.mark.parametrize("indices", [[COUNT], [0, -COUNT - 1], [10**12], [-(2**62)]])
def test_batch_out_of_range_is_told(cam: Topic, indices: list[int]) -> None:
    with pytest.raises(FrameError, match=rf"{indices[-1]}.*/cam.*{COUNT}"):
        cam.batch(indices)


@pytest.mark.parametrize(
    "indices",
    [
        [1.5],
        [0.0],
        [True, False],
        [2**64],
        [[1, 2], [3, 4]],
        [None],
    ],
    ids=str,
)
def test_batch_takes_no_short_mask_and_no_fraction(cam: Topic, indices: Any) -> None:
    """A mask of another length must not quietly be frames 0 and 1."""
    with pytest.raises((FrameError, TypeError)):
        cam.batch(indices)


def test_batch_takes_a_mask_of_all_frames(cam: Topic) -> None:
    mask = np.zeros(len(cam), bool)
    mask[[2, 5]] = True
    assert cam.batch(mask).indices.tolist() == [2, 5]


def test_times_in_float_are_refused(cam: Topic) -> None:
    """A float64 of today's nanoseconds is off by up to 128 of them."""
    with pytest.raises((FrameError, TypeError)):
        cam.at([float(cam_times()[3])])


def test_sizes_that_differ_do_not_fit_one_batch(dataset: Dataset) -> None:
    sizes = dataset["/sizes"]
    with pytest.raises(FrameError, match=r"96x64.*97x81"):
        sizes.batch([7, 8])
    assert numbers(sizes.batch([8, 14])) == [2008, 2014]
    assert sizes[8].data.shape == (*SIZES[1], 3)


def test_at_is_the_frame_on_screen(cam: Topic) -> None:
    times = cam_times()
    asked = [times[3], times[3] - 1, times[3] + 1, times[4] - 1, times[0], times[-1], times[-1] + 10**15, times[20]]
    shown = [3, 2, 3, 3, 0, 49, 49, TWIN]
    assert cam.index_at(asked).tolist() == shown
    assert cam.index_at(asked).dtype == np.int64
    assert numbers(cam.at(asked)) == shown
    assert cam.at(asked).indices.tolist() == shown
    assert numbers(cam.at(np.array(times[5], np.int64))) == [5]
    assert cam.index_at([times[0] - 1, 0, -(2**62), 2**63 - 1]).tolist() == [-1, -1, -1, 49]
    with pytest.raises(FrameError, match=f"{times[0] - 1}.*{times[0]}"):
        cam.at([times[9], times[0] - 1])


def test_batches_cover_a_half_open_range(cam: Topic) -> None:
    times = cam_times()
    for start, stop in [(None, None), (times[4], times[11]), (times[4] + 1, times[11] + 1), (times[0] - 9, times[3])]:
        expected = [
            index
            for index, time in enumerate(times)
            if (start is None or time >= start) and (stop is None or time < stop)
        ]
        for size, stride in [(1, 1), (7, 1), (7, 3), (100, 2), (3, 50)]:
            batches = list(cam.batches(size, start_ns=start, stop_ns=stop, stride=stride))
            assert [index for batch in batches for index in batch.indices.tolist()] == expected[::stride]
            assert [number for batch in batches for number in numbers(batch)] == expected[::stride]
            assert {len(batch) for batch in batches[:-1]} <= {size}
    for start, stop in [(times[9], times[9]), (times[9], times[3]), (times[-1] + 1, None), (None, times[0])]:
        assert list(cam.batches(4, start_ns=start, stop_ns=stop)) == []
    for size, stride in [(0, 1), (-1, 1), (1, 0), (1, -1)]:
        with pytest.raises(FrameError):
            cam.batches(size, stride=stride)


def test_batches_end_where_the_size_changes(dataset: Dataset) -> None:
    batches = list(dataset["/sizes"].batches(6))
    assert [batch.indices.tolist() for batch in batches] == [
        [0, 1, 2, 3, 4, 5], [6, 7], [8, 9, 10, 11, 12, 13], [14], [15, 16, 17, 18, 19]
    ]  # fmt: skip
    assert [number - 2000 for batch in batches for number in numbers(batch)] == list(range(20))
    assert [batch.data.shape[1:3] for batch in batches] == [SIZES[0], SIZES[0], SIZES[1], SIZES[1], SIZES[0]]


def test_iteration_gives_every_frame(dataset: Dataset) -> None:
    assert numbers(dataset["/cam"]) == list(range(COUNT))
    assert numbers(dataset["/sizes"]) == list(range(2000, 2020))
    assert [frame.index for frame in itertools.islice(dataset["/cam"], 3)] == [0, 1, 2]
    assert numbers(reversed([dataset["/slow"][index] for index in range(5)])) == [904, 903, 902, 901, 900]


def test_embedded_frames_are_decoded_in_their_place(dataset: Dataset) -> None:
    some = dataset["/some"]
    batch = some.batch([GOOD_STILL + 1, GOOD_STILL, 0])
    assert numbers(batch) == [3010, 3009, 3000]
    assert batch.pts_ns.tolist()[1] == -1
    with pytest.raises(FrameError, match=f"/some frame {BAD}"):
        some[BAD]
    with pytest.raises(FrameError):
        some.batch([0, BAD])
    assert numbers(some.batch([4, 6])) == [3004, 3006]


def test_sync_steps_through_what_all_topics_have(dataset: Dataset) -> None:
    cam, slow = dataset["/cam"], dataset["/slow"]
    steps = list(dataset.sync(["/cam", "/slow"], every_ns=50 * MS))
    start, stop = START_NS + 300 * MS, START_NS + 1300 * MS
    assert [time for time, _ in steps] == list(range(start, stop + 1, 50 * MS))
    for time, frames in steps:
        assert list(frames) == ["/cam", "/slow"]
        for name, topic, first in (("/cam", cam, 0), ("/slow", slow, 900)):
            frame = frames[name]
            assert frame is not None
            assert frame.index == topic.index_at(time)
            assert frame_number(frame.data) == first + frame.index
    early = list(dataset.sync(["/slow", "/sizes"], every_ns=100 * MS, start_ns=START_NS, stop_ns=START_NS + 500 * MS))
    assert [time - START_NS for time, _ in early] == [0, 100 * MS, 200 * MS, 300 * MS, 400 * MS]
    assert [frames["/slow"] is None for _, frames in early] == [True, True, True, False, False]
    shapes = [frames["/sizes"].data.shape[:2] for _, frames in early if frames["/sizes"] is not None]
    assert shapes == [SIZES[0], SIZES[0], SIZES[0], SIZES[0], SIZES[1]]
    before = list(dataset.sync(["/cam"], every_ns=1, start_ns=START_NS - 3, stop_ns=START_NS + 2))
    assert [frame["/cam"] and frame["/cam"].index for _, frame in before] == [None, None, None, 0, 0]
    with pytest.raises(TopicError):
        dataset.sync(["/cam", "/nothing"], every_ns=1)
    for topics, every_ns in ((["/cam"], 0), (["/cam"], -5), ([], 1)):
        with pytest.raises(FrameError):
            dataset.sync(topics, every_ns=every_ns)


def test_batches_need_memory_for_a_batch_alone(cam: Topic) -> None:
    frame_bytes = SIZES[0][0] * SIZES[0][1] * 3
    cam.batch([0])
    tracemalloc.start()
    try:
        for batch in cam.batches(2):
            del batch
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * frame_bytes < COUNT * frame_bytes
