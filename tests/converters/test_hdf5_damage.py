"""HDF5 files that are damaged, hostile, or not what they look like: our errors only, and little memory."""

from __future__ import annotations

import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import mediaref_tools as mrt
from mediaref_tools.errors import ExtraError, LogError, MediarefError
from mediaref_tools.log import NOTE, OpenOptions
from mediaref_tools.plugins import open_log

from . import hdf5logs
from .test_hdf5 import proved

CAM = "observations/images/cam_high"


def test_cut_file(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5")
    log.write_bytes(log.read_bytes()[:-500])
    with pytest.raises(LogError, match=r"cut.*truncated"):
        mrt.convert(log, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_file_open_for_writing_elsewhere(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5")
    code = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(LogError, match="open for writing elsewhere"):
            open_log(log)
        writer.communicate()


def test_writer_that_died(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    code = (
        "import h5py, os, sys; file = h5py.File(sys.argv[1], 'w', libver='latest'); file['x'] = 1; "
        "file.swmr_mode = True; file.flush(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(log)], check=True)
    with pytest.raises(LogError, match="h5clear"):
        open_log(log)


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_give_our_errors_only(tmp_path: Path, seed: int) -> None:
    """In a process of its own: HDF5 is C, and what it does to damage is not up to us."""
    log = hdf5logs.sample_hdf5(tmp_path / "x.hdf5")
    data = bytearray(log.read_bytes())
    chance = random.Random(seed)
    meta = list(range(6000)) + list(range(len(data) - 3000, len(data)))
    for _ in range(4):
        data[chance.choice(meta)] = chance.randrange(256)
    log.write_bytes(data)
    code = (
        "import sys; import mediaref_tools as mrt\n"
        "try: mrt.convert(sys.argv[1], sys.argv[2], settings=mrt.Settings(fps='10'))\n"
        "except mrt.MediarefError: pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(log), str(tmp_path / "out")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_sparse_shape_of_200_gb_is_kept_in_little_memory(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5")
    with h5py.File(log, "r+") as file:
        huge = file.create_dataset("observations/images/huge", (220_000, 480, 640, 3), "u1", chunks=(1, 480, 640, 3))
        huge[3] = 1
        file.create_dataset("observations/images/never", (220_000, 480, 640, 3), "u1")
        file.create_dataset("observations/timestamp", (10**11,), "f8", chunks=(10**6,))
    tracemalloc.start()
    report = proved(log, tmp_path / "out")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6
    assert {topic.topic for topic in report.topics} == {CAM, "observations/images/cam_low"}
    assert {loss.where: loss.what for loss in report.losses} == {
        "observations/images/huge": "only 1 of 220000 chunks are there, the rest was never written: the dataset is "
        "copied as it is",
        "observations/images/never": "it was never written: the dataset is copied as it is",
    }
    with h5py.File(tmp_path / "out" / log.name) as new:
        assert new["observations/images/huge"].shape == (220_000, 480, 640, 3)
        assert (new["observations/images/huge"][3] == 1).all()
        assert new["observations/images/huge"].id.get_num_chunks() == 1


def test_chunks_and_rows_too_large_to_read_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file.create_dataset("chunk", (400, 1024, 1024), "u1", chunks=(400, 1024, 1024), compression="gzip")[0, 0, 0] = 1
    with open_log(log) as reader:
        assert not reader.channels
        assert "are more than is read at once" in reader.losses[0].what


def test_what_only_looks_like_pictures_is_copied_and_not_told_of(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["no rows"] = np.zeros((0, 64, 64, 3), np.uint8)
        file["small"] = np.ones((5, 8, 8, 3), np.uint8)
        file["obs/segmentation"] = np.ones((5, 64, 64), np.uint8)
        file["masks"] = np.ones((5, 64, 64, 1), np.uint8)
        file["covariance"] = np.ones((5, 64, 64), np.float32)
        file["tokens"] = np.ones((5, 300), np.uint8)
        file["bytes"] = np.ones(5000, np.uint8)
        file["labels"] = np.ones((5, 64, 64, 7), np.uint8)
        file.create_dataset("vlen", (2,), h5py.vlen_dtype(np.float32))[0] = [1, 2]
        file.create_dataset("bytes of vlen", (2,), h5py.vlen_dtype(np.uint8))[1] = [1, 2]
        file["names"] = np.array([b"abc", b"de"], "S5")
        file["compound"] = np.zeros(3, np.dtype([("uri", "i4"), ("pts_ns", "i8")]))
    report = proved(log, tmp_path / "out")
    assert report.lossless
    assert report.messages_in == 0
    with h5py.File(log) as old, h5py.File(tmp_path / "out" / log.name) as new:
        for name in old:
            assert name == "obs" or str(old[name][()]) == str(new[name][()])
        assert (new["obs/segmentation"][()] == 1).all()


@pytest.mark.parametrize("name", ["small", "obs/segmentation"])
def test_topic_that_is_named_overrides_names_and_sizes(tmp_path: Path, name: str) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["small"] = np.ones((5, 8, 8, 3), np.uint8)
        file["obs/segmentation"] = np.ones((5, 64, 64), np.uint8)
    report = proved(log, tmp_path / "out", topics=(name,), fps="10")
    assert {topic.topic: topic.frames for topic in report.topics} == {name: 5}


def test_float_depth_is_an_image_that_is_kept(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", 4)
    with h5py.File(log, "r+") as file:
        file["observations/images/cam_high_depth"] = np.ones((4, 64, 96, 1), np.float32)
    report = proved(log, tmp_path / "out")
    assert [(topic.topic, topic.messages) for topic in report.kept] == [("observations/images/cam_high_depth", 4)]


def test_filter_that_nobody_has(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    write_filtered(log, 31999)
    with open_log(log) as reader:
        assert "its filter 31999" in reader.losses[0].what
    report = proved(log, tmp_path / "out")
    assert not report.topics
    assert report.losses


def write_filtered(log: Path, code: int) -> None:
    """Chunks that claim a filter; it was optional, and not applied."""
    with h5py.File(log, "w") as file:
        space = h5py.h5s.create_simple((3, 64, 96, 3))
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 64, 96, 3))
        properties.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        made = h5py.h5d.create(file.id, b"cam", h5py.h5t.NATIVE_UINT8, space, properties)
        for row in range(3):
            made.write_direct_chunk((row, 0, 0, 0), bytes(64 * 96 * 3), filter_mask=0)


def test_missing_hdf5plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    log = tmp_path / "x.hdf5"
    write_filtered(log, 31999)
    plain = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == "hdf5plugin":
            raise ImportError("No module named 'hdf5plugin'")
        return plain(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    monkeypatch.setitem(converter_globals("hdf5.file")["_PLUGIN_FILTERS"], 31999, "ours")
    with pytest.raises(ExtraError, match=r"/cam is filtered with ours \(31999\).*pip install 'mediaref-tools\[hdf5\]'"):
        open_log(log)


def converter_globals(module: str) -> dict[str, Any]:
    import importlib

    return vars(importlib.import_module(f"mediaref_tools.converters.{module}"))


def test_chunk_that_can_t_be_read_is_a_loss_of_its_rows(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        data = hdf5logs.pictures(range(6))
        cam = file.create_dataset("cam", data=data, chunks=(2, 64, 96, 3), compression="gzip")
        place = cam.id.get_chunk_info(1)
    content = bytearray(log.read_bytes())
    content[place.byte_offset + 100 : place.byte_offset + 130] = bytes(30)
    log.write_bytes(content)
    report = proved(log, tmp_path / "out", fps="10")
    assert (report.frames, report.embedded) == (6, 2)
    assert [loss.where for loss in report.losses] == ["cam row 2", "cam row 3"]
    assert not report.lossless


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6),  # a counter of frames
        np.array([0, 1, 2, 1, 3, 4]) * 0.02,
        np.array([0, 1, np.nan, 3, 4, 5]) * 0.02,
        (1.7e9 + np.arange(6) / 50).astype(np.float32),
        -1.0 + np.arange(6) / 50,
        np.arange(5) / 50,
    ],
    ids=["counter", "backwards", "nan", "float32", "negative", "short"],
)
def test_what_can_t_be_times_is_refused_and_told(tmp_path: Path, values: Any) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", sim=False)
    with h5py.File(log, "r+") as file:
        file["observations/timestamp"] = values
    with open_log(log) as reader:
        note = reader.channels[0].attributes[NOTE]
        assert "give --fps" in note
        assert len(values) < 6 or "observations/timestamp holds no times" in note
        with pytest.raises(LogError, match="--fps"):
            reader.messages()


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        (np.arange(6) * 20, "ms"),
        (np.arange(6) * 20_000, "us"),
        (np.arange(6) * 20_000_000, "ns"),
        (np.arange(6) * 0.02, "s"),
        (3 * 10**12 + np.arange(6) * 20_000_000, "ns"),  # since boot
        (1_700_000_000_000 + np.arange(6) * 20, "ms"),
        (1_700_000_000_000_000 + np.arange(6) * 20_000, "us"),
        (1_700_000_000_000_000_000 + np.arange(6) * 20_000_000, "ns"),
        (1_700_000_000 + np.arange(6) * 0.02, "s"),
    ],
)
def test_unit_of_times_is_told_by_their_magnitude(tmp_path: Path, values: Any, unit: str) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5")
    with h5py.File(log, "r+") as file:
        file["cam_high_timestamps"] = values[:, None]
        file["time_of_nothing"] = np.arange(6) / 7
    with open_log(log) as reader:
        assert f"times from cam_high_timestamps, in {unit} (" in reader.channels[0].attributes[NOTE]
        times = np.array([message.log_time_ns for message in reader.messages([CAM])])
    assert (np.abs(np.diff(times) - 20_000_000) < 500).all()


def test_rates_in_attributes(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", sim=False)
    with h5py.File(log, "r+") as file:
        file["observations"].attrs["frame_rate"] = np.int32(25)
        file.attrs["fps"] = "not this one"
        file.attrs["hz"] = 1e9
    with open_log(log) as reader:
        assert "25 a second, by the attribute frame_rate of observations" in reader.channels[0].attributes[NOTE]


def test_nested_without_end(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["/".join("a" * 150)] = 1
    with pytest.raises(LogError, match="groups within each other"):
        open_log(log)


def test_hostile_attributes_of_references(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    refs = np.array([("clip.mp4", 5), ("", -7), ("a\udcffb", 2**62)], [("uri", h5py.string_dtype()), ("pts_ns", "i8")])
    with h5py.File(log, "w") as file:
        for number, told in enumerate(
            ["[", "{}", '{"fps": "0", "start_ns": 0}', '{"dataset": "/nowhere", "unit": "s"}', '{"attribute": "x"}', 3]
        ):
            file[f"refs{number}"] = np.array(refs[:2])
            file[f"refs{number}"].attrs["mediaref_time"] = told
            file[f"refs{number}"].attrs["source_height"] = "tall"
            file[f"refs{number}"].attrs["source_type"] = 5
    with open_log(log) as reader:
        records = [reader.record(message) for message in reader.messages()]
        assert [record is None for record in records] == [False] * 6 + [True] * 6


def test_times_of_another_length_than_its_references(tmp_path: Path) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file["t"] = np.arange(3) / 10
        file["refs"] = np.array([("clip.mp4", 5)] * 2, [("uri", h5py.string_dtype()), ("pts_ns", "i8")])
        file["refs"].attrs["mediaref_time"] = '{"dataset": "t", "unit": "s"}'
    with open_log(log, OpenOptions()) as reader:
        assert [message.log_time_ns for message in reader.messages()] == [0, 1]


def test_writing_in_the_wrong_order_is_refused(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5")
    with open_log(log) as reader:
        messages = list(reader.messages([CAM]))
        writer = reader.rewriter(tmp_path / "out.hdf5", [CAM], "typed")
        record = reader.record(messages[0])
        assert record is None
        with pytest.raises(MediarefError, match="its rows can't be copied"):
            writer.copy(messages[0])
        with pytest.raises(MediarefError, match="0 of 6 rows"):
            writer.commit()
        writer.abort()
