"""Datasets on a server: the same frames as from the folder, in few requests that are on their way together."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import pickle
import random
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import aiohttp
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import mediaref_tools as mrt
from mediaref_tools import Dataset, Settings, Topic, convert, open_dataset
from mediaref_tools.dataset.frameindex import TableIndex
from mediaref_tools.dataset.frames import SCHEMA
from mediaref_tools.dataset.framesource import SegmentSource
from mediaref_tools.dataset.manifest import Manifest
from mediaref_tools.dataset.segmentfiles import RemoteSegments
from mediaref_tools.errors import DatasetError, ExtraError, MediaError, MediaNotFound, RefError, TopicError, TrustError
from mediaref_tools.media import pieces
from mediaref_tools.media.pieces import Pieces
from mediaref_tools.media.remotepackets import wanted_packets
from mediaref_tools.sample import frame_number
from tests.servers import FileServer, s3_server
from tests.slowstores import FILES, TRAFFIC, Traffic, stores
from tests.smalllogs import camera, log_of, others

COUNT, GOP = 200, 10
KEPT = "/depth"
SECONDS = 2  # a segment


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("remote")
    settings = Settings(gop=GOP, segment_ns=SECONDS * 10**9)
    convert(log_of(folder, "mcap", camera("/cam", COUNT) + others()), folder / "set", settings=settings)
    return folder / "set"


def contents(folder: Path, prefix: str) -> dict[str, bytes]:
    return {
        prefix + path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.fixture
def traffic(made: Path) -> Iterator[Traffic]:
    with stores() as counted:
        FILES.update(contents(made, "bucket/drive/"))
        yield counted


@pytest.fixture
def server(made: Path) -> Iterator[FileServer]:
    with FileServer(contents(made, "/drive/")) as running:
        yield running
    from fsspec.implementations.http import HTTPFileSystem

    HTTPFileSystem.clear_instance_cache()


def numbers(topic: Topic, wanted: list[int]) -> list[int]:
    return [frame_number(frame) for frame in topic.batch(wanted, "rgb").data]


def minimal(made: Path, wanted: list[int]) -> int:
    """Bytes of the packets from each keyframe to the last wanted frame after it."""
    with open_dataset(made) as dataset:
        source = dataset["/cam"]._source
        assert isinstance(source, SegmentSource)
        parts = source._parts(np.unique(wanted))
        return sum(
            int(part.table.size[group.first : group.wanted[-1] + 1].sum())
            for part in parts.values()
            for group in part.groups
        )


def warm(dataset: Dataset) -> Topic:
    """A topic whose columns are read."""
    topic = dataset["/cam"]
    source = topic._source
    assert isinstance(source, SegmentSource)
    source._parts(np.arange(COUNT))
    source._index.facts(np.arange(COUNT))
    assert len(topic.refs) == len(topic.keyframes) == len(topic.log_times_ns) == COUNT
    TRAFFIC.forget()
    return topic


def pieces_of(dataset: Dataset) -> Pieces:
    return cast("RemoteSegments", dataset._files)._pieces


# --- the same frames


@pytest.mark.parametrize("kind", ["memory", "http", "slow", "block", "s3", "file"])
def test_frames_equal_those_of_the_folder(made: Path, server: FileServer, traffic: Traffic, kind: str) -> None:
    files, options = contents(made, "/bucket/drive/"), None
    uri = {"http": f"{server.url}/drive", "file": made.as_uri()}.get(kind, f"{kind}://bucket/drive/")
    if kind == "memory":
        fsspec.filesystem("memory").store.clear()
        fsspec.filesystem("memory").pipe(files)
    dice = random.Random(kind)
    with (
        s3_server({name.removeprefix("/bucket/"): data for name, data in files.items()})
        if kind == "s3"
        else FileServer({})
    ) as bucket:
        options = bucket.options if kind == "s3" else None  # type: ignore[union-attr]
        with open_dataset(made) as local, open_dataset(uri, storage_options=options, threads=2) as remote:
            assert remote.path == (made if kind == "file" else uri)
            assert remote.manifest == local.manifest
            assert set(local) - set(remote) == ({KEPT} if kind != "file" else set())
            for name, topic in remote.items():
                assert np.array_equal(topic.log_times_ns, local[name].log_times_ns)
                assert list(topic.refs) == list(local[name].refs)
                for _ in range(5):
                    wanted = dice.choices(range(len(topic)), k=dice.randrange(1, 12))
                    assert np.array_equal(topic.batch(wanted, "rgb").data, local[name].batch(wanted, "rgb").data)
            shown = [frame_number(frame) for batch in remote["/cam"].batches(32) for frame in batch.data]
            assert shown == list(range(COUNT))
            assert (remote.fetched.bytes > 0) == (kind != "file")


def test_a_server_s_folder_may_have_a_query_and_a_password(made: Path, server: FileServer) -> None:
    host = server.url.removeprefix("http://")
    uri = f"http://robot:pa55word@{host}/drive/?X-Amz-Signature=5igned"
    with open_dataset(uri) as dataset:
        assert numbers(dataset["/cam"], [7, 101]) == [7, 101]
        assert "pa55word" not in repr(dataset)
        assert "5igned" not in repr(dataset)
        server.files.clear()
        with pytest.raises(MediaNotFound) as error:
            dataset["/cam"].batch([150])
    assert f"…@{host}/drive/media/" in str(error.value)
    assert not {"pa55word", "5igned"} & set(str(error.value).replace("?", "=").replace(":", "=").split("="))


def test_a_folder_inside_an_archive_elsewhere(made: Path, tmp_path: Path, server: FileServer) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "drive.zip", "w") as archive:
        for name, data in contents(made, "drive/").items():
            archive.writestr(name, data)
    server.files["/drive.zip"] = (tmp_path / "drive.zip").read_bytes()
    with open_dataset(f"zip://drive::{server.url}/drive.zip") as dataset:
        assert numbers(dataset["/cam"], [3, 77, 190]) == [3, 77, 190]


# --- what a call costs


@pytest.mark.parametrize("scheme", ["slow", "block"])
def test_a_batch_over_ten_groups_waits_once(made: Path, traffic: Traffic, scheme: str) -> None:
    wanted = [at * 2 * GOP + 4 for at in range(10)]
    with open_dataset(f"{scheme}://bucket/drive", threads=2) as dataset:
        topic = warm(dataset)
        traffic.latency = 0.05
        assert numbers(topic, wanted) == wanted
        assert len(traffic.segments()) == traffic.most == 10  # all on their way at once
        assert traffic.sent <= 1.1 * minimal(made, wanted)
        assert dataset.fetched == (10, traffic.sent)
        if scheme == "slow":
            assert traffic.infos == 0  # the manifest tells sizes
        traffic.forget()
        assert numbers(topic, wanted) == wanted
        assert not traffic.ranges  # they are held


@pytest.mark.parametrize("seed", range(8))
def test_sparse_requests_fetch_hardly_more_than_their_packets(made: Path, traffic: Traffic, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(4):
        with open_dataset("slow://bucket/drive", threads=dice.choice([1, 2, 4])) as dataset:
            topic = warm(dataset)
            wanted = sorted(dice.sample(range(COUNT), dice.randrange(1, 20)))
            assert numbers(topic, wanted) == wanted
            assert minimal(made, wanted) <= traffic.sent <= 1.1 * minimal(made, wanted)


def test_a_decoder_of_several_threads_asks_for_nothing_beyond(made: Path, traffic: Traffic) -> None:
    with open_dataset("slow://bucket/drive", threads=4) as dataset:
        topic = warm(dataset)
        for wanted in (4, 7):  # further in its group, as who goes on would ask
            assert numbers(topic, [wanted]) == [wanted]
            assert traffic.sent == minimal(made, [wanted])


def test_no_byte_comes_twice(traffic: Traffic) -> None:
    dice = random.Random(1)
    with open_dataset("slow://bucket/drive", threads=2) as dataset:
        topic = warm(dataset)
        for _ in range(60):
            wanted = dice.choices(range(COUNT), k=dice.randrange(1, 30))
            assert numbers(topic, wanted) == wanted
        spans = sorted(traffic.segments())
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans))


def test_what_is_held_is_bounded(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "KEPT_BYTES", 20_000)
    dice = random.Random(1)
    with open_dataset("slow://bucket/drive") as dataset:
        topic, held = warm(dataset), pieces_of(dataset)
        for _ in range(40):
            wanted = dice.choices(range(COUNT), k=dice.randrange(1, 4))
            assert numbers(topic, wanted) == wanted
            rows = [piece for row in held._rows.values() for piece in row]
            assert sum(piece.stop - piece.begin for piece in rows) == held._bytes
            assert not any(piece.users for piece in rows)
            held.ask([])  # which lets go of what the call held
            assert held._bytes <= 20_000
        everything = sum(len(data) for name, data in FILES.items() if name.endswith(".mp4"))
        traffic.forget()
        assert numbers(topic, list(range(COUNT))) == list(range(COUNT))
        assert traffic.sent <= everything  # one call has all that it needs, more than is held or not


def test_few_files_stay_open(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_OPEN_FILES", 1)
    with open_dataset("block://bucket/drive") as dataset:
        topic = warm(dataset)
        assert len(dataset.manifest.topics[0].segments) > 2
        for wanted in ([5, 70, 130, 190], [6, 71, 131, 191], [9]):
            assert numbers(topic, wanted) == wanted
        held = pieces_of(dataset)
        assert len(held._files) <= 4
        assert not held._busy


def test_the_next_group_comes_while_frames_are_gone_through(traffic: Traffic) -> None:
    with open_dataset("slow://bucket/drive", threads=2) as dataset:
        topic = warm(dataset)
        for index in range(COUNT):
            assert numbers(topic, [index]) == [index]
        assert len(traffic.segments()) <= COUNT / GOP + 4 + len(dataset.manifest.topics[0].segments)
        everything = sum(len(data) for name, data in FILES.items() if name.endswith(".mp4"))
        assert traffic.sent <= everything
    with open_dataset("slow://bucket/drive", threads=2) as dataset:
        topic, held = warm(dataset), pieces_of(dataset)
        source = cast("SegmentSource", topic._source)
        for batch in topic.batches(16):
            assert [frame_number(frame) for frame in batch.data] == batch.indices.tolist()
            following = np.arange(batch.indices[-1] + 1, min(COUNT, batch.indices[-1] + 17))
            parts = source._parts(following).values()
            near = [held.is_near(wanted_packets(part.segment.uri, part.table, part.groups)) for part in parts]
            assert all(near) == (batch.indices[0] > 0 or not near)  # the first call tells nothing yet
        assert len(traffic.segments()) <= COUNT / 16 + 2 + len(dataset.manifest.topics[0].segments)
        assert held.fetched.bytes == traffic.sent


def test_the_table_is_read_by_columns(made: Path, traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaref_tools.media.ranges._BLOCK_BYTES", 2**14)
    table = pq.read_table(made / "frames.parquet", schema=SCHEMA)
    dice = random.Random(0)
    texts = pa.array([dice.randbytes(4000).hex() for _ in range(len(table))])
    table = table.set_column(SCHEMA.get_field_index("frame_id"), SCHEMA.field("frame_id"), texts)
    with (made.parent / "large.parquet").open("wb") as stream, pq.ParquetWriter(stream, SCHEMA) as writer:
        for name in dict.fromkeys(table.column("topic").to_pylist()):
            writer.write_table(table.filter(pc.equal(table.column("topic").cast(pa.string()), name)))
    FILES["bucket/drive/frames.parquet"] = (made.parent / "large.parquet").read_bytes()
    with open_dataset("slow://bucket/drive") as dataset:
        assert numbers(dataset["/cam"], [7, 120]) == [7, 120]
        fetched = sum(stop - start for name, start, stop in traffic.ranges if name.endswith(".parquet"))
        assert 0 < fetched < len(FILES["bucket/drive/frames.parquet"]) / 4
        traffic.failing = OSError("gone")
        with pytest.raises(MediaError, match=r"gone.*slow://bucket/drive/frames\.parquet"):
            next(cast("TableIndex", dataset["/cam"]._index)._table.rows("/cam"))


# --- threads, processes, event loops


def test_threads_share_what_is_fetched(traffic: Traffic) -> None:
    traffic.latency = 0.005
    with open_dataset("slow://bucket/drive", threads=2) as dataset, ThreadPoolExecutor(6) as pool:
        topic = warm(dataset)
        together = threading.Barrier(6, timeout=20)

        def read(seed: int) -> bool:
            dice = random.Random(seed % 2)
            together.wait()
            for _ in range(15):
                wanted = dice.choices(range(COUNT), k=dice.randrange(1, 9))
                assert numbers(topic, wanted) == wanted
            return True

        assert all(pool.map(read, range(6)))
        spans = sorted(traffic.segments())
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in pairwise(spans))


@pytest.mark.parametrize("method", ["spawn", "fork"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_are_given_topics(server: FileServer, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip("this system can't fork")
    with (
        open_dataset(f"{server.url}/drive", threads=2) as dataset,
        multiprocessing.get_context(method).Pool(2) as pool,
    ):
        topic = dataset["/cam"]
        assert numbers(topic, [4]) == [4]
        wanted = [[at, 3, COUNT - 1 - at] for at in range(0, 9, 3)]
        assert pool.starmap(numbers, [(topic, each) for each in wanted]) == wanted


def test_a_fork_goes_on_by_itself(server: FileServer) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system can't fork")
    with open_dataset(f"{server.url}/drive", threads=2) as dataset:
        topic = dataset["/cam"]
        assert numbers(topic, [4, 90, 150]) == [4, 90, 150]
        context = multiprocessing.get_context("fork")
        found: Any = context.Queue()
        child = context.Process(target=lambda: found.put(numbers(topic, [4, 91, 151, 8])))
        child.start()
        assert found.get(timeout=60) == [4, 91, 151, 8]
        child.join()
        assert numbers(topic, [5, 92, 152]) == [5, 92, 152]


def test_pickles_and_event_loops(traffic: Traffic) -> None:
    with open_dataset("slow://bucket/drive") as dataset, pickle.loads(pickle.dumps(dataset)) as other:
        assert other.path == dataset.path
        assert numbers(other["/cam"], [9]) == [9]

        async def read() -> list[int]:
            both = [dataset["/cam"].abatch([at, at + 1]) for at in (3, 50)]
            return [frame_number(frame) for batch in await asyncio.gather(*both) for frame in batch.data]

        assert asyncio.run(read()) == [3, 4, 50, 51]


def test_after_close_nothing_is_held_and_no_thread_left(traffic: Traffic) -> None:
    before = threading.active_count()
    dataset = open_dataset("block://bucket/drive", threads=2)
    topic = warm(dataset)
    assert numbers(topic, [3, 60, 120]) == [3, 60, 120]
    dataset.close()
    dataset.close()
    assert threading.active_count() <= before
    assert pieces_of(dataset)._bytes == 0
    assert numbers(topic, [3, 61]) == [3, 61]  # as of a folder, in the caller's own thread
    assert threading.active_count() <= before


# --- trust


@pytest.mark.parametrize(
    "uri",
    ["../other/000000.mp4", "/etc/passwd", "s3://bucket/x.mp4", "media/%2e%2e/%2e%2e/x.mp4", "a.zip::x", "a?b", "a#b"],
)
def test_segments_outside_of_the_folder_are_refused(traffic: Traffic, uri: str) -> None:
    told = json.loads(FILES["bucket/drive/manifest.json"])
    was = told["topics"][0]["segments"][0]["uri"]
    told["topics"][0]["segments"][0]["uri"] = uri
    FILES["bucket/drive/manifest.json"] = json.dumps(told).encode()
    with open_dataset("slow://bucket/drive") as dataset:
        source = cast("SegmentSource", dataset["/cam"]._source)
        named = [uri if each.uri == was else each.uri for each in dataset["/cam"].refs]
        decoding = source._index._decoding._replace(uris=np.array(named, dtype=np.object_))
        source._index.__dict__["_decoding"] = decoding
        with pytest.raises(TrustError, match="uri"):
            dataset["/cam"].batch([0])
        assert not traffic.segments()


def test_kept_topics_stay_in_the_log(traffic: Traffic) -> None:
    with open_dataset("slow://bucket/drive") as dataset:
        assert KEPT not in dataset
        assert any(kept.topic == KEPT for kept in dataset.manifest.kept)
        with pytest.raises(TopicError, match=f"{KEPT}.*copy the dataset: slow://bucket/drive"):
            dataset[KEPT]
        with pytest.raises(TopicError, match="no converted topic '/none'"):
            dataset["/none"]
        assert not any(name.endswith(".mcap") for name, _, _ in traffic.ranges)


# --- errors


def test_a_server_that_is_gone(server: FileServer) -> None:
    with open_dataset(f"{server.url}/drive") as dataset:
        assert numbers(dataset["/cam"], [0]) == [0]
        server.stop()
        with pytest.raises(MediaError, match=f"can't be read.*{server.url}/drive/media/.*mp4"):
            dataset["/cam"].batch([100, 150])
    with pytest.raises(MediaError, match=f"can't be read.*{server.url}/drive/manifest.json"):
        open_dataset(f"{server.url}/drive")


def test_what_is_not_there(server: FileServer) -> None:
    with pytest.raises(DatasetError, match=f"no manifest.json.*{server.url}/none"):
        open_dataset(f"{server.url}/none")
    segment = next(name for name in server.files if name.endswith("000001.mp4"))
    with open_dataset(f"{server.url}/drive") as dataset:
        del server.files[segment]
        with pytest.raises(MediaNotFound, match=f"nothing at this address: {server.url}{segment}"):
            dataset["/cam"].batch(range(COUNT))
        assert numbers(dataset["/cam"], [0]) == [0]
    del server.files["/drive/frames.parquet"]
    with pytest.raises(MediaNotFound, match=f"nothing at this address: {server.url}/drive/frames.parquet"):
        open_dataset(f"{server.url}/drive")


def test_a_segment_that_is_cut(server: FileServer) -> None:
    segment = next(name for name in server.files if name.endswith("000000.mp4"))
    server.files[segment] = server.files[segment][: len(server.files[segment]) // 2]
    with open_dataset(f"{server.url}/drive") as dataset:
        assert numbers(dataset["/cam"], [0]) == [0]
        with pytest.raises(MediaError, match=f"server sent .* bytes.*{segment}"):
            dataset["/cam"].batch([0, 45, 49])


def test_a_segment_that_is_damaged(traffic: Traffic) -> None:
    name = next(name for name in FILES if name.endswith("000000.mp4"))
    FILES[name] = FILES[name][:2000] + bytes(len(FILES[name]) - 2000)
    with open_dataset("slow://bucket/drive") as dataset, pytest.raises(DatasetError, match=f"segment.*slow://{name}"):
        dataset["/cam"].batch([20, 45])


def test_a_server_that_falls_silent(server: FileServer) -> None:
    options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=0.3)}}
    with open_dataset(f"{server.url}/drive", storage_options=options) as dataset:
        topic = dataset["/cam"]
        assert numbers(topic, [0]) == [0]
        server.delay = 2.0
        with pytest.raises(MediaError, match=f"no answer in time.*{server.url}/drive/media"):
            topic.batch([100, 150])
        server.delay = 0.0
        assert numbers(topic, [100, 150]) == [100, 150]  # what failed is asked for again


@pytest.mark.parametrize("how", ["ignored", "refused"])
def test_a_server_without_ranges_is_copied_from_once(server: FileServer, how: str) -> None:
    server.ranges = "refused" if how == "refused" else False
    with open_dataset(f"{server.url}/drive", threads=2) as dataset:
        wanted = [0, 15, 37, 3, 80, 95]
        assert numbers(dataset["/cam"], wanted) == wanted
        assert numbers(dataset["/cam"], wanted[::-1]) == wanted[::-1]
        server.forget()
        assert numbers(dataset["/cam"], [5, 20, 44, 90]) == [5, 20, 44, 90]
        assert not server.requests


def test_a_failing_storage_tells_no_secrets(traffic: Traffic) -> None:
    with open_dataset("slow://bucket/drive", storage_options={"token": "t0ken-of-tests"}) as dataset:
        topic = warm(dataset)
        traffic.failing = OSError("refused for t0ken-of-tests")
        with pytest.raises(MediaError, match=r"can't be read.*slow://bucket/drive/media") as error:
            topic.batch([5, 150])
        assert "t0ken" not in str(error.value)
        traffic.failing = None
        assert numbers(topic, [5, 150]) == [5, 150]


def test_a_storage_nobody_knows_or_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefError, match="no storage is known for the scheme 'nosuch'"):
        open_dataset("nosuch://bucket/drive")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "gs", raising=False)
    with pytest.raises(ExtraError, match=r"mediaref-tools\[gcs\].*gs://bucket/drive/manifest.json"):
        open_dataset("gs://bucket/drive")


def test_a_manifest_without_end(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaref_tools.dataset.manifest._MOST_BYTES", 100)
    with pytest.raises(DatasetError, match=r"larger than 100 bytes: slow://bucket/drive/manifest\.json"):
        open_dataset("slow://bucket/drive")


def test_a_table_that_is_damaged(traffic: Traffic) -> None:
    FILES["bucket/drive/frames.parquet"] = b"PAR1" + bytes(100)
    with pytest.raises(DatasetError, match=r"frames table can't be read.*slow://bucket/drive/frames\.parquet"):
        open_dataset("slow://bucket/drive")


def test_a_packet_too_large_to_be_one_is_not_asked_for(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MAX_STILL_BYTES", 100)
    with open_dataset("slow://bucket/drive") as dataset:
        topic = warm(dataset)
        with pytest.raises(MediaError, match=r"bytes at once.*media/cam/000000\.mp4"):
            topic.batch([0])
        assert not traffic.segments()


def test_a_manifest_is_read_by_uri(made: Path, traffic: Traffic) -> None:
    assert Manifest.read("slow://bucket/drive") == mrt.Manifest.read(made)
