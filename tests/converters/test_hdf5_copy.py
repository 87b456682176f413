"""What is not pictures comes over as it is: types, filters, attributes, links, references, order, user block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from mediaref_tools.converters.hdf5.extras import extras
from mediaref_tools.converters.hdf5.file import walk

import mediaref_tools as mrt
from mediaref_tools.errors import LogError, ProofError
from mediaref_tools.plugins import open_log

from . import hdf5logs
from .test_hdf5 import proved, same_elsewhere

CAM = "observations/images/cam_high"


def converted(log: Path, out: Path, change: Any) -> tuple[h5py.File, h5py.File]:
    """Change an episode, convert it, open both."""
    hdf5logs.aloha(log, 4, ("cam_high",))
    with h5py.File(log, "r+") as file:
        change(file)
    mrt.convert(log, out)
    return h5py.File(log), h5py.File(out / log.name)


def test_attributes_and_dtypes_of_every_kind(tmp_path: Path) -> None:
    kinds: dict[str, Any] = {
        "float16": np.arange(4, dtype=np.float16),
        "big endian": np.arange(4, dtype=">i8"),
        "bool": np.array([True, False]),
        "complex": np.array([1 + 2j], np.complex64),
        "scalar": 3.5,
        "fixed": np.array([b"abc", b"de"], "S5"),
        "opaque": np.array([b"\x01\x02", b"\x03\x04"]).view("V2"),
        "array": np.zeros((2, 3, 4), np.int16),
        "compound": np.array([(1, 2.5)], np.dtype([("a", "i4"), ("b", "f8")])),
        "none": h5py.Empty("f8"),
        "no rows": np.zeros((0, 3)),
        "text": "üñí",
    }

    def change(file: h5py.File) -> None:
        group = file.create_group("kinds")
        enum = h5py.enum_dtype({"OPEN": 0, "SHUT": 7}, basetype="u1")
        group.create_dataset("enum", data=np.array([0, 7, 7], "u1"), dtype=enum)
        group.create_dataset("vlen", (2,), h5py.vlen_dtype(np.float32))[0] = [1, 2, 3]
        group.create_dataset("texts", data=["a", "bc", ""], dtype=h5py.string_dtype())
        file["type"] = np.dtype([("x", "f4"), ("y", "f4")])
        for name, value in kinds.items():
            file[CAM].attrs[name] = value
            group.attrs[name] = value
            group[name] = value
        group.attrs.create("texts", ["a", "bc"], dtype=h5py.string_dtype())
        group.attrs.create("enum", 7, dtype=enum)
        space = h5py.h5s.create_simple((2,))
        odd = h5py.h5t.C_S1.copy()
        odd.set_size(6)
        odd.set_strpad(h5py.h5t.STR_SPACEPAD)
        h5py.h5a.create(group.id, b"spaces", odd, space).write(np.array([b"a     ", b"bc    "], "S6"))

    old, new = converted(tmp_path / "x.hdf5", tmp_path / "out", change)
    with old, new:
        for name in ["/", "kinds", CAM]:
            assert set(old[name].attrs) <= set(new[name].attrs)
            for each in old[name].attrs:
                one, two = old[name].attrs.get_id(each), new[name].attrs.get_id(each)
                assert one.get_type().equal(two.get_type()), each
                assert one.shape == two.shape
                if isinstance(old[name].attrs[each], h5py.Empty):
                    assert old[name].attrs[each] == new[name].attrs[each]
                else:
                    np.testing.assert_array_equal(old[name].attrs[each], new[name].attrs[each])
        for name in old["kinds"]:
            one, two = old["kinds"][name], new["kinds"][name]
            assert one.id.get_type().equal(two.id.get_type())
            if one.shape is not None:
                assert str(one[()]) == str(two[()])
        assert new["type"].dtype == old["type"].dtype


def test_attribute_of_the_source_is_never_overwritten(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file[CAM].attrs["fps"] = "about 50"
        file[CAM].attrs["orientation"] = 3

    old, new = converted(tmp_path / "x.hdf5", tmp_path / "out", change)
    with old, new:
        assert new[CAM].attrs["fps"] == "about 50"
        assert new[CAM].attrs["orientation"] == 3


@pytest.mark.parametrize("name", ["mediaref_time", "source_shape", "mediaref_spec"])
def test_pictures_that_have_an_attribute_of_ours_are_kept(tmp_path: Path, name: str) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", 4)
    with h5py.File(log, "r+") as file:
        file[CAM].attrs[name] = "mine"
    report = proved(log, tmp_path / "out")
    assert [topic.topic for topic in report.topics] == ["observations/images/cam_low"]
    assert [(loss.where, loss.messages) for loss in report.losses] == [(CAM, 0)]
    with h5py.File(log) as old, h5py.File(tmp_path / "out" / log.name) as new:
        same_elsewhere(old, new, {"observations/images/cam_low"})


def test_filters_chunks_and_limits(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        values = np.arange(1000.0).reshape(100, 10)
        file.create_dataset("a", data=values, chunks=(10, 5), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("b", data=values, chunks=(10, 5), compression="lzf", maxshape=(None, 10), fillvalue=7)
        file.create_dataset("c", data=values, **hdf5plugin.Blosc(cname="zstd"))
        file.create_dataset("d", data=values.astype("i4"), scaleoffset=0, chunks=(50, 10))
        file.create_dataset("e", data=values, track_times=True)

    log, out = tmp_path / "x.hdf5", tmp_path / "out"
    old, new = converted(log, out, change)
    with old, new:
        assert same_elsewhere(old, new, {CAM}) == 10
        for name in "abcd":
            assert old[name].id.get_storage_size() == new[name].id.get_storage_size()


def test_links_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "secret.h5").write_bytes(b"not even HDF5")

    def change(file: h5py.File) -> None:
        file["soft"] = h5py.SoftLink(f"/{CAM}")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["hard"] = file[CAM]
        file["other/qpos"] = file["observations/qpos"]
        file["outside"] = h5py.ExternalLink("secret.h5", "/x")
        file["loop/back"] = file["observations"]
        file["observations/round"] = file["/"]

    log, out = tmp_path / "x.hdf5", tmp_path / "out"
    old, new = converted(log, out, change)
    with old, new:
        assert new.get("soft", getlink=True).path == f"/{CAM}"
        assert new.get("dangling", getlink=True).path == "/nowhere"
        assert new["hard"] == new[CAM]
        assert new["soft"] == new[CAM]
        assert new["other/qpos"] == new["observations/qpos"]
        assert new["loop/back"] == new["observations"]
        assert new["observations/round"] == new["/"]
        outside = new.get("outside", getlink=True)
        assert (outside.filename, outside.path) == ("secret.h5", "/x")
    with mrt.open_dataset(out) as dataset:
        assert list(dataset) == [CAM]  # stored once
    losses = mrt.verify(out, against=log)
    assert losses.ok
    with open_log(log) as reader:
        assert [loss.where for loss in reader.losses] == ["outside"]


def test_object_references_point_into_the_new_file(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        file["refs"] = np.array([file[CAM].ref, file["action"].ref, h5py.Reference()], h5py.ref_dtype)
        file.attrs["camera"] = file[CAM].ref
        file["steps"] = np.arange(4)
        file["steps"].make_scale("step")
        file["action"].dims[0].attach_scale(file["steps"])

    old, new = converted(tmp_path / "x.hdf5", tmp_path / "out", change)
    with old, new:
        assert [new[ref].name for ref in new["refs"][:2]] == [f"/{CAM}", "/action"]
        assert not new["refs"][2]
        assert new[new.attrs["camera"]] == new[CAM]
        assert new["action"].dims[0][0] == new["steps"]
        back = new["steps"].attrs["REFERENCE_LIST"][0]
        assert new[back[0]] == new["action"]


def test_region_references_are_refused(tmp_path: Path) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", 4)
    with h5py.File(log, "r+") as file:
        file.create_dataset("regions", (1,), h5py.regionref_dtype)[0] = file["action"].regionref[0:2]
    with pytest.raises(LogError, match="regions has references that can't be carried over: they are to regions"):
        mrt.convert(log, tmp_path / "out")


def test_order_of_links_and_user_block(tmp_path: Path) -> None:
    log, out = tmp_path / "x.hdf5", tmp_path / "out"
    with h5py.File(log, "w", track_order=True, userblock_size=1024) as file:
        for name in ("z", "a", "m"):
            file.create_group(name, track_order=True)
            for inner in ("2", "1"):
                file[f"{name}/{inner}"] = np.zeros(3)
        file["images"] = hdf5logs.pictures(range(3))
    block = b"#!/bin/sh\n".ljust(1024, b"u")
    with log.open("r+b") as stream:
        stream.write(block)
    proved(log, out, fps=10)
    assert (out / log.name).read_bytes()[:1024] == block
    with h5py.File(out / log.name) as new:
        assert list(new) == ["z", "a", "m", "images"]
        assert list(new["z"]) == ["2", "1"]


def test_virtual_and_external_datasets_are_copied_and_never_read(tmp_path: Path) -> None:
    (tmp_path / "raw.bin").write_bytes(bytes(4 * 64 * 96 * 3))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = hdf5logs.pictures(range(4))

    def change(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((4, 64, 96, 3), "u1")
        layout[:] = h5py.VirtualSource("other.h5", "x", (4, 64, 96, 3))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("external", (4, 64, 96, 3), "u1", external=[("raw.bin", 0, 4 * 64 * 96 * 3)])

    log, out = tmp_path / "x.hdf5", tmp_path / "out"
    old, new = converted(log, out, change)
    with old, new:
        assert new["virtual"].virtual_sources()[0].file_name == "other.h5"
        assert new["external"].external == old["external"].external
    with open_log(log) as reader:
        assert sorted(loss.where for loss in reader.losses) == ["external", "virtual"]


@pytest.mark.parametrize("plugin", ["Blosc", "Zstd", "LZ4", "Bitshuffle", "Blosc2", "BZip2"])
def test_pictures_behind_the_filters_of_hdf5plugin(tmp_path: Path, plugin: str) -> None:
    log = tmp_path / "x.hdf5"
    with h5py.File(log, "w") as file:
        file.create_dataset(
            "cam", data=hdf5logs.pictures(range(3)), chunks=(1, 64, 96, 3), **getattr(hdf5plugin, plugin)()
        )
    assert proved(log, tmp_path / "out", fps=10).frames == 3


@pytest.mark.parametrize("kind", ["plain", "gzip", "text", "vlen", "compound", "shape"])
def test_what_was_not_carried_over_as_it_is_is_found(tmp_path: Path, kind: str) -> None:
    texts = np.dtype([("text", h5py.string_dtype()), ("number", "i4")])
    with h5py.File(tmp_path / "a.h5", "w") as one, h5py.File(tmp_path / "b.h5", "w") as two:
        for file, last in ((one, 1), (two, 2)):
            for name, end in (("same", 0), ("other", last)):
                data = np.arange(5000.0).reshape(500, 10)
                data[499, 8:] = np.nan, end
                if kind == "text":
                    file[name] = np.array(["a", "b", str(end)], h5py.string_dtype())
                elif kind == "vlen":
                    file.create_dataset(name, (2,), h5py.vlen_dtype("f8"))[1] = data.ravel()
                elif kind == "compound":
                    file[name] = np.array([("x", 1), ("x", end)], texts)
                elif kind == "gzip":
                    file.create_dataset(name, data=data, compression="gzip", chunks=(50, 10))
                else:
                    file[name] = data if kind == "plain" else data[end:]
        found = [dict(extras(file, walk(file), ())) for file in (one, two)]
    assert found[0].keys() == found[1].keys() == {"same", "other"}
    assert [name for name in found[0] if found[0][name] != found[1][name]] == ["other"]


def test_conversion_stops_where_something_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = hdf5logs.aloha(tmp_path / "x.hdf5", 3)
    plain = h5py.h5o.copy

    def careless(*arguments: Any) -> None:
        plain(*arguments)
        h5py.Group(arguments[2])[arguments[3].decode()][-1, -1] = 0.25

    monkeypatch.setattr(h5py.h5o, "copy", careless)
    with pytest.raises(ProofError, match="action differs from the source"):
        mrt.convert(log, tmp_path / "out")
    assert not (tmp_path / "out").exists()
