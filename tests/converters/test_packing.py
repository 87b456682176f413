"""Logs that were compressed as a whole, gzip or zstd: of every container, whole, cut, padded, or made to do harm."""

from __future__ import annotations

import gzip
import shutil
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mediaref_tools.converters.mcap.reader import McapConverter
from mediaref_tools.converters.rosbag1.reader import Rosbag1Converter
from mediaref_tools.converters.rosbag2.sqlite3 import Rosbag2Sqlite3Converter
from mediaref_tools.converters.storage import packing, scratch

from mediaref_tools import limits
from mediaref_tools.errors import LogError, OutputError
from mediaref_tools.log import Converter, LogReader
from mediaref_tools.plugins import open_log
from mediaref_tools.testing import ConverterContract
from tests.converters.samples import sample_mcap, sample_rosbag1, sample_rosbag2_mcap, sample_rosbag2_sqlite3
from tests.reallogs import real_log

PACK: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zstd": zstandard.compress}


def single(folder: Path, name: str) -> Path:
    """A log that is one file."""
    if name == "a.mcap":
        return sample_mcap(folder / name)
    return sample_rosbag1(folder / name) if name == "a.bag" else single_db3(folder, name)


def single_db3(folder: Path, name: str) -> Path:
    made = sample_rosbag2_sqlite3(folder / "made")
    shutil.move(next(made.glob("*.db3")), folder / name)
    shutil.rmtree(made)
    return folder / name


def packed(path: Path, ending: str) -> Path:
    """The log compressed, in its place."""
    target = path.with_name(path.name + ending)
    target.write_bytes(PACK[ending](path.read_bytes()))
    path.unlink()
    return target


def content(reader: LogReader) -> Counter[Any]:
    return Counter((m.channel.topic, m.log_time_ns, bytes(m.data)) for m in reader.messages())


def _contract(name: str, ending: str) -> type[ConverterContract]:
    class TestPacked(ConverterContract):
        def converter(self) -> Converter:
            made: dict[str, Any] = {
                "a.mcap": McapConverter,
                "a.bag": Rosbag1Converter,
                "a.db3": Rosbag2Sqlite3Converter,
            }
            converter: Converter = made[name]()
            return converter

        def log(self, folder: Path) -> Path:
            return packed(single(folder, name), ending)

    return TestPacked


for _name in ("a.mcap", "a.bag", "a.db3"):
    for _ending in PACK:
        globals()[f"Test_{_name}_{_ending}".replace(".", "_")] = _contract(_name, _ending)


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("name", ["a.mcap", "a.bag", "a.db3"])
def test_a_copy_is_compressed_like_the_source(tmp_path: Path, name: str, ending: str) -> None:
    path = single(tmp_path, name)
    with open_log(path) as reader:
        plain = content(reader)
    path = packed(path, ending).rename(tmp_path / "no ending")
    out = tmp_path / "out"
    with open_log(path) as reader:
        assert content(reader) == plain
        assert list(reader.losses) == []
        writer = reader.rewriter(out, [], "typed")
        for message in reader.messages():
            writer.copy(message)
        writer.commit()
        with pytest.raises(OutputError):
            reader.rewriter(out, [], "typed")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["no ending", "out"]
    assert packing.packing(out.read_bytes()) == packing.packing(path.read_bytes()) is not None
    with open_log(out) as reader:
        assert content(reader) == plain


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("make", [sample_rosbag2_mcap, sample_rosbag2_sqlite3])
def test_a_folder_whose_file_somebody_compressed(tmp_path: Path, make: Callable[[Path], Path], ending: str) -> None:
    folder = make(tmp_path / "log")
    with open_log(folder) as reader:
        plain = content(reader)
    (file,) = (each for each in folder.iterdir() if each.name != "metadata.yaml")
    packed(file, ending)
    for _ in range(2):  # with metadata.yaml, which names the file as it was, and without
        with open_log(folder) as reader:
            assert content(reader) == plain
            assert list(reader.losses) == []
        (folder / "metadata.yaml").unlink(missing_ok=True)


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("name", ["a.mcap", "a.bag"])
def test_one_that_is_cut_gives_what_is_there(tmp_path: Path, name: str, ending: str) -> None:
    path = single(tmp_path, name)
    with open_log(path) as reader:
        plain = content(reader)
    whole = path.read_bytes()
    # blocks that end early, as a log of more than 128 KiB has them
    if ending == ".gz":
        data = b"".join(gzip.compress(whole[at : at + 700]) for at in range(0, len(whole), 700))
    else:
        data = b"".join(zstandard.compress(whole[at : at + 700]) for at in range(0, len(whole), 700))
    path = tmp_path / "cut"
    counts: list[int] = []
    for size in range(2000, len(data), len(data) // 15):
        path.write_bytes(data[:size])
        try:
            with open_log(path) as reader:
                found = content(reader)
                assert found <= plain
                assert any("damaged after" in loss.what for loss in reader.losses)
        except LogError:  # nothing but the start of a header
            assert not counts
            continue
        counts.append(found.total())
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    path.write_bytes(data + bytes(5000))
    with open_log(path) as reader:
        assert content(reader) == plain
        assert list(reader.losses) == []
    path.write_bytes(data + b"\x01" * 500)
    with open_log(path) as reader:
        assert content(reader) == plain
        assert len(reader.losses) == 1


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    start = sample_rosbag1(tmp_path / "a.bag").read_bytes()
    bomb = start + bytes(60_000_000)
    data = gzip.compress(bomb) if kind == "gzip" else zstandard.compress(bomb)
    del bomb
    path = tmp_path / "bomb"
    path.write_bytes(data)
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 1_000_000)
    monkeypatch.setattr(packing, "_RATIO", 2)
    tracemalloc.start()
    try:
        with pytest.raises(LogError, match="looks like a bomb"):
            open_log(path)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


def test_what_is_inside_decides(tmp_path: Path) -> None:
    for name, data in (
        ("text", gzip.compress(b"no log")),
        ("empty", gzip.compress(b"")),
        ("broken.mcap.zst", packing.ZSTD + b"broken"),
        ("broken.gz", packing.GZIP),
        ("nested", gzip.compress(gzip.compress(sample_mcap(tmp_path / "log.mcap").read_bytes()))),
    ):
        (tmp_path / name).write_bytes(data)
        assert packing.head(tmp_path / name)[:3] != b"#RO"
        with pytest.raises(LogError):
            open_log(tmp_path / name)


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(sample_mcap(tmp_path / "a.mcap"), ".gz")
    monkeypatch.setattr(scratch, "_SPARE", 1 << 62)
    with pytest.raises(LogError, match="TMPDIR"):
        open_log(path)


def test_recorded(tmp_path: Path) -> None:
    with open_log(real_log("found/tiryoh/test_sample.mcap")) as plain:
        expected = content(plain)
    with open_log(real_log("found/tiryoh/test_sample.mcap.zstd")) as reader:
        assert content(reader) == expected
        assert list(reader.losses) == []
