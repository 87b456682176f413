"""MCAP files that are damaged, cut, or made to do harm: what is there is read, the rest is a loss."""

from __future__ import annotations

import random
import re
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
import zstandard
from mcap.records import Channel, Chunk, Schema

from converters.mcap.reader import McapReader
from mediaref_tools import limits
from mediaref_tools.errors import LogError
from mediaref_tools.log import Loss
from tests.converters.mcaplogs import (
    MAGIC,
    VARIANTS,
    chunk,
    contents,
    copy,
    declared,
    message,
    raw_log,
    scanned,
    statistics,
    write_log,
)


def read(path: Path) -> tuple[list[int], list[Loss]]:
    """Log times and losses, after all of them were read twice and counted."""
    with McapReader(path) as reader:
        times = [m.log_time_ns for m in reader.messages()]
        assert [m.log_time_ns for m in reader.messages()] == times
        assert reader.stats() == scanned(reader)
        assert len(set(reader.losses)) == len(reader.losses)
        return times, list(reader.losses)


def ten_chunks(path: Path, fifth: list[Any], **options: Any) -> None:
    """A log of ten chunks of ten messages, the fifth of which is given."""
    data: list[Any] = declared()
    for i in range(10):
        data += fifth if i == 4 else chunk([message(1, 10 * i + j) for j in range(10)], compression="zstd")
    raw_log(path, data, [*declared(), statistics(100, chunk_count=10)], **options)


FIFTH = [message(1, 40 + j) for j in range(10)]
INSIDE = chunk(FIFTH)[0].data
LIES: dict[str, dict[str, Any]] = {
    "crc": {"uncompressed_crc": 1},
    "garbled zstd": {"compression": "zstd", "data": b"no zstd frame"},
    "garbled lz4": {"compression": "lz4", "data": b"no lz4 frame"},
    "cut zstd": {"compression": "zstd", "data": zstandard.compress(INSIDE)[:-9]},
    "too large": {"uncompressed_size": len(INSIDE) + 1},
    "too small": {"uncompressed_size": len(INSIDE) - 1, "uncompressed_crc": 0},
    "huge": {"uncompressed_size": 2**63},
    "huge zstd": {"compression": "zstd", "data": zstandard.compress(INSIDE), "uncompressed_size": 2**30 + 1},
    "unknown compression": {"compression": "brotli"},
    "cut record": {"data": INSIDE[:-3], "uncompressed_size": len(INSIDE) - 3, "uncompressed_crc": 0},
    "left over": {"data": INSIDE + b"abc", "uncompressed_size": len(INSIDE) + 3, "uncompressed_crc": 0},
    "short message": {"data": b"\x05" + struct.pack("<Q", 3) + b"abc", "uncompressed_size": 12, "uncompressed_crc": 0},
    "long message": {"data": b"\x05" + struct.pack("<Q", 2**63), "uncompressed_size": 9, "uncompressed_crc": 0},
}


@pytest.mark.parametrize("lie", LIES)
def test_one_bad_chunk_of_ten_costs_its_ten_messages(tmp_path: Path, lie: str) -> None:
    ten_chunks(tmp_path / "a", chunk(FIFTH, **LIES[lie]))
    times, losses = read(tmp_path / "a")
    assert times == [i for i in range(100) if not 40 <= i < 50]
    assert [loss.messages for loss in losses] == [10]
    assert losses[0].where.startswith("chunk at byte ")
    assert ("expected at most" in losses[0].what) == lie.startswith("huge")


def test_a_bad_chunk_without_an_index_is_counted_by_the_statistics(tmp_path: Path) -> None:
    ten_chunks(tmp_path / "a", chunk(FIFTH, index=False, **LIES["crc"]))
    times, losses = read(tmp_path / "a")
    assert len(times) == 90
    assert [loss.messages for loss in losses] == [None, 10]


def test_any_bit_flip_under_a_crc_is_noticed(tmp_path: Path) -> None:
    write_log(tmp_path / "a", messages=40, chunk_size=10**6, **VARIANTS["none"])
    whole = bytearray((tmp_path / "a").read_bytes())
    payload = whole.index(b"jpeg", whole.index(b"\xff\xd8\xff"))
    for bit in range(0, 32, 5):
        flipped = bytearray(whole)
        flipped[payload + bit // 8] ^= 1 << bit % 8
        (tmp_path / "b").write_bytes(flipped)
        times, losses = read(tmp_path / "b")
        assert times == []
        assert [loss.messages for loss in losses] == [40]


def test_a_bit_flip_in_the_summary_makes_it_unused(tmp_path: Path) -> None:
    write_log(tmp_path / "a", **VARIANTS["zstd"])
    whole = bytearray((tmp_path / "a").read_bytes())
    whole[whole.rindex(b"/imu")] ^= 1  # the repeated channel
    (tmp_path / "a").write_bytes(whole)
    times, losses = read(tmp_path / "a")
    assert len(times) == 60
    assert ["CRC" in loss.what for loss in losses] == [True]
    with McapReader(tmp_path / "a") as reader:
        assert [channel.topic for channel in reader.channels] == ["/cam", "/imu", "/cam", "/idle"]


@pytest.mark.parametrize("variant", ["zstd", "lz4", "none", "unchunked", "no-index"])
def test_a_log_cut_anywhere_gives_what_is_there(tmp_path: Path, variant: str) -> None:
    write_log(tmp_path / "a", **VARIANTS[variant])
    whole = (tmp_path / "a").read_bytes()
    counts = []
    for size in range(len(MAGIC), len(whole), len(whole) // 60):
        (tmp_path / "b").write_bytes(whole[:size])
        times, losses = read(tmp_path / "b")
        assert times == [10**18 + i * 10**6 for i in range(len(times))]
        assert losses
        counts.append(len(times))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] == 60
    assert len(set(counts)) > 3


@pytest.mark.parametrize("variant", ["zstd", "lz4", "none", "no-summary", "unchunked", "unchunked-no-summary"])
def test_a_lost_sector_costs_no_more_than_what_it_touches(tmp_path: Path, variant: str) -> None:
    """Disks leave zeros, or what was there before."""
    write_log(tmp_path / "a", messages=300, chunk_size=600, **VARIANTS[variant])
    whole = (tmp_path / "a").read_bytes()
    noise = random.Random(5)
    for start in range(1500, len(whole) - 1500, len(whole) // 12):
        for filling in (bytes(512), noise.randbytes(512)):
            (tmp_path / "b").write_bytes(whole[:start] + filling + whole[start + 512 :])
            times, losses = read(tmp_path / "b")
            gone = 300 - len(times)
            # in 512 bytes lie parts of 3 chunks of 13 messages, or of 12 loose ones; indexes and the summary hold none
            assert gone <= (12 if variant.startswith("unchunked") else 39), (start, losses)
            assert losses or gone == 0
            assert sum(loss.messages or 0 for loss in losses) <= 300


def test_a_length_that_lies_in_the_middle_costs_one_record(tmp_path: Path) -> None:
    data: list[Any] = declared()
    for i in range(10):
        data += chunk([message(1, 10 * i + j) for j in range(10)], compression="zstd")
    raw_log(tmp_path / "a", data, [*declared(), statistics(100, chunk_count=10)])
    whole = bytearray((tmp_path / "a").read_bytes())
    fifth = [match.start() for match in re.finditer(rb"\x06.{7}\0", bytes(whole), re.DOTALL)][4]
    whole[fifth + 7] = 0xFF
    (tmp_path / "a").write_bytes(whole)
    times, losses = read(tmp_path / "a")
    assert times == [i for i in range(100) if not 40 <= i < 50]
    found = [(loss.where.split()[0], loss.messages) for loss in losses]
    assert found == [("byte", None), ("statistics", 10), ("statistics", 0)]  # 10 messages, in one chunk


@pytest.mark.parametrize("compression", ["", "lz4", "zstd"])
def test_the_chunk_that_the_file_ends_in_is_read_too(tmp_path: Path, compression: str) -> None:
    noise = random.Random(3)
    messages = [message(1, i, noise.randbytes(40_000)) for i in range(20)]
    whole = chunk(messages, before=declared(), compression=compression)[0]
    raw_log(tmp_path / "a", [whole], closed=False)
    data = (tmp_path / "a").read_bytes()
    counts = []
    for size in range(len(data) - 700_000, len(data), 50_000):
        (tmp_path / "b").write_bytes(data[:size])
        times, losses = read(tmp_path / "b")
        assert times == list(range(len(times)))
        assert ["cut inside a record" in loss.what for loss in losses] == [True]
        assert size // 40_000 - 7 <= len(times) <= size // 40_000  # 128 KiB for zstd, 256 KiB for lz4, are one block
        counts.append(len(times))
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]


def test_zeros_at_the_end_and_a_missing_footer_are_losses_not_errors(tmp_path: Path) -> None:
    messages = [message(1, i) for i in range(5)]
    raw_log(tmp_path / "unclosed", [*declared(), *messages], closed=False)
    raw_log(tmp_path / "zeros", [*declared(), *messages, bytes(5000)], closed=False)
    raw_log(tmp_path / "closed", [*declared(), *messages])
    whole = (tmp_path / "closed").read_bytes()
    (tmp_path / "padded").write_bytes(whole + bytes(5000))
    (tmp_path / "unmagic").write_bytes(whole[:-8])
    for name, what in (("unclosed", "footer"), ("zeros", "5000"), ("padded", "5000"), ("unmagic", "footer")):
        times, losses = read(tmp_path / name)
        assert times == [0, 1, 2, 3, 4]
        assert [what in loss.what for loss in losses] == [True]
    assert read(tmp_path / "closed") == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 15, 0x80])
@pytest.mark.parametrize("length", [0, 1, 2**31, 2**63, 2**64 - 1])
def test_hostile_lengths_end_the_scan(tmp_path: Path, opcode: int, length: int) -> None:
    hostile = struct.pack("<BQ", opcode, length)
    raw_log(tmp_path / "a", [*declared(), message(1, 1), hostile], closed=False)
    times, losses = read(tmp_path / "a")
    assert times == [1]
    assert losses


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 6, 11])
def test_records_of_rubbish_are_losses(tmp_path: Path, opcode: int) -> None:
    for rubbish in (b"\xff" * 100, b"\x01" * 100, bytes(100), b"\x04\x00\x00\x00\xff\xfe\xfd\xfc" * 20):
        data = [*declared(), message(1, 1), struct.pack("<BQ", opcode, len(rubbish)) + rubbish]
        raw_log(tmp_path / "a", data, [*declared(), statistics(1)])
        times, _ = read(tmp_path / "a")
        assert times == [1]


def test_a_zstd_bomb_is_not_inflated(tmp_path: Path) -> None:
    bomb = zstandard.compress(bytes(1 << 28))
    tracemalloc.start()
    ten_chunks(tmp_path / "a", chunk(FIFTH, compression="zstd", data=bomb))
    times, losses = read(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(times) == 90
    assert [loss.messages for loss in losses] == [10]
    assert peak < 1 << 24


def test_several_frames_in_a_chunk_are_all_its_content(tmp_path: Path) -> None:
    frames = zstandard.compress(INSIDE[:100]) + zstandard.compress(INSIDE[100:])
    ten_chunks(tmp_path / "a", chunk(FIFTH, compression="zstd", data=frames))
    assert read(tmp_path / "a") == (list(range(100)), [])


def test_names_that_are_not_utf8_lose_their_channel_alone(tmp_path: Path) -> None:
    raw_log(tmp_path / "a", [*declared(), *declared(2, "/badname", 2), message(1, 1), message(2, 2), message(2, 3)])
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole.replace(b"/badname", b"/bad\xffame"))
    times, losses = read(tmp_path / "a")
    assert times == [1]
    assert [loss.messages for loss in losses] == [None, 2]
    (tmp_path / "b").write_bytes(whole.replace(b"by hand", b"by \xffand"))
    times, losses = read(tmp_path / "b")
    assert times == [1, 2, 3]
    assert len(losses) == 1


def test_messages_of_channels_that_nothing_declares(tmp_path: Path) -> None:
    data = [*declared(), message(1, 1), message(7, 2), *chunk([message(1, 3), message(8, 4), message(8, 5)])]
    raw_log(tmp_path / "a", data, [*declared(), statistics(5, chunk_count=1)])
    times, losses = read(tmp_path / "a")
    assert times == [1, 3]
    assert sorted(loss.messages or 0 for loss in losses) == [1, 2]


def test_a_channel_that_turns_up_after_the_log_was_opened_is_a_loss(tmp_path: Path) -> None:
    # Nothing but reading every chunk would tell of /late: the summary leaves it out, and so does the message index.
    parts = chunk([message(1, 1), message(2, 2)], before=declared(2, "/late", 2))
    raw_log(tmp_path / "a", [*declared(), *parts[:2]], declared())
    with McapReader(tmp_path / "a") as reader:
        assert [m.log_time_ns for m in reader.messages()] == [1]
        assert [loss.messages for loss in reader.losses] == [1]
        assert reader.stats() == scanned(reader)
        copy(reader, tmp_path / "b")
    assert len(contents(tmp_path / "b").messages) == 1


def test_a_schema_that_is_nowhere_is_none(tmp_path: Path) -> None:
    raw_log(tmp_path / "a", [Channel(1, "/a", "cdr", {}, 9), message(1, 1)])
    times, losses = read(tmp_path / "a")
    assert times == [1]
    assert [(loss.messages, "schema 9" in loss.what) for loss in losses] == [(0, True)]
    with McapReader(tmp_path / "a") as reader:
        copy(reader, tmp_path / "b")
    assert [key[1:4] for key in contents(tmp_path / "b").messages] == [("", "", b"")]


def test_statistics_that_disagree_are_a_loss(tmp_path: Path) -> None:
    data = [*declared(), message(1, 1), *chunk([message(1, 2)])]
    for claims, gone in ((statistics(5, chunk_count=1), 3), (statistics(1, chunk_count=1), 0)):
        raw_log(tmp_path / "a", data, [*declared(), claims])
        times, losses = read(tmp_path / "a")
        assert times == [1, 2]
        assert [(loss.where, loss.messages) for loss in losses] == [("statistics", gone)]
    for name in ("attachment_count", "metadata_count", "chunk_count", "channel_count", "schema_count"):
        raw_log(tmp_path / "a", data, [*declared(), statistics(2, **{"chunk_count": 1, name: 4})])
        assert [loss.where for loss in read(tmp_path / "a")[1]] == ["statistics"], name


def test_an_index_that_lists_more_than_there_is(tmp_path: Path) -> None:
    parts = chunk([message(1, 1), message(1, 2)])
    longer = chunk([message(1, i) for i in range(5)])[1]
    raw_log(tmp_path / "a", [*declared(), parts[0], longer], [*declared(), statistics(2, chunk_count=1)])
    times, losses = read(tmp_path / "a")
    assert times == [1, 2]
    assert [loss.messages for loss in losses] == [3]


def test_chunk_times_that_are_left_out_hide_nothing_and_wrong_ones_are_a_loss(tmp_path: Path) -> None:
    for start, end, lost in ((0, 0, 0), (9, 3, 0), (5, 9, 1), (3, 7, 1)):
        lies: dict[str, Any] = {"message_start_time": start, "message_end_time": end}
        data = [*declared(), *chunk([message(1, 4), message(1, 8)], **lies), *chunk([message(1, 2)])]
        raw_log(tmp_path / "a", data, [*declared(), statistics(3, chunk_count=2)])
        times, losses = read(tmp_path / "a")
        assert times == [2, 4, 8]
        assert [loss.messages for loss in losses] == [0] * lost
        with McapReader(tmp_path / "a") as reader:
            if not lost:
                assert [m.log_time_ns for m in reader.messages(start_ns=4, stop_ns=5)] == [4]


def test_uncompressed_chunks_are_counted_by_their_heads_alone(tmp_path: Path) -> None:
    big = [message(1, i, bytes(9000 + i)) for i in range(9)]
    between = chunk(big, before=declared(2, "/idle", 2), uncompressed_crc=0)
    raw_log(tmp_path / "a", [*declared(), *between], [*declared(), *declared(2, "/idle", 2)])
    with McapReader(tmp_path / "a") as reader:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reader._index, "read", None)
            stats = reader.stats()
        assert stats == scanned(reader)
        assert stats[1] == (9, 9 * 9000 + 36, 0, 8)


@pytest.mark.parametrize("variant", ["zstd", "no-summary"])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, variant: str) -> None:
    peaks = []
    for messages in (1000, 10_000):
        write_log(tmp_path / str(messages), messages=messages, chunk_size=20_000, **VARIANTS[variant])
        tracemalloc.start()
        with McapReader(tmp_path / str(messages)) as reader:
            assert sum(1 for _ in reader.messages()) == messages
            copy(reader, tmp_path / f"{messages}.copy")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_losses_of_the_same_kind_are_told_apart(tmp_path: Path) -> None:
    damaged = [record for i in range(3) for record in chunk([message(1, i)], uncompressed_crc=1)]
    raw_log(tmp_path / "a", [*declared(), *damaged])
    times, losses = read(tmp_path / "a")
    assert times == []
    assert [loss.messages for loss in losses] == [1, 1, 1]
    assert len({loss.where for loss in losses}) == 3


def test_a_file_that_shrinks_while_it_is_read_is_our_error(tmp_path: Path) -> None:
    write_log(tmp_path / "a", messages=600, **VARIANTS["none"])
    with McapReader(tmp_path / "a") as reader:
        running = reader.messages()
        next(running)
        with (tmp_path / "a").open("r+b") as file:
            file.truncate(3000)
        with pytest.raises(LogError, match="cut short"):
            list(running)


def test_conflicting_schemas_keep_the_first(tmp_path: Path) -> None:
    schema, channel = declared()
    other = Schema(1, b"int64 y\n", "ros2msg", "custom/msg/Y")
    raw_log(tmp_path / "a", [schema, channel, other, message(1, 1)])
    with McapReader(tmp_path / "a") as reader:
        assert reader.channels[0].type == "custom/msg/X"
        assert ["declared again" in loss.what for loss in reader.losses] == [True]


def test_crcs_are_those_of_zlib() -> None:
    (record, *_) = chunk(FIFTH)
    assert isinstance(record, Chunk)
    assert record.uncompressed_crc == zlib.crc32(INSIDE)


def test_chunks_without_times_are_not_held_at_once(tmp_path: Path) -> None:
    data: list[Any] = declared()
    for i in range(40):
        data += chunk([message(1, i, bytes(1_000_000))], message_start_time=0, message_end_time=0)
    raw_log(tmp_path / "a", data, [*declared(), statistics(40, chunk_count=40)])
    del data
    tracemalloc.start()
    with McapReader(tmp_path / "a") as reader:
        assert [m.log_time_ns for m in reader.messages()] == list(range(40))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000


def test_chunks_that_all_claim_the_same_times_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data: list[Any] = declared()
    for i in range(40):
        data += chunk([message(1, i, bytes(10_000)), message(1, 99, bytes(10_000))])
    raw_log(tmp_path / "a", data, [*declared(), statistics(80, chunk_count=40)])
    with McapReader(tmp_path / "a") as reader:
        assert len(list(reader.messages())) == 80
        monkeypatch.setattr(limits, "MAX_OVERLAP_BYTES", 200_000)
        with pytest.raises(LogError, match=r"overlap in time.*MAX_OVERLAP_BYTES"):
            list(reader.messages())


def test_a_chunk_of_countless_messages_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CHUNK_MESSAGES", 50)
    ten_chunks(tmp_path / "a", chunk([message(1, 40 + j % 10) for j in range(60)]))
    times, losses = read(tmp_path / "a")
    assert times == [i for i in range(100) if not 40 <= i < 50]
    assert "more than 50 records" in losses[0].what


def test_what_only_looks_like_records_is_not_taken_for_them(tmp_path: Path) -> None:
    short = struct.pack("<BQ", 5, 2) + b"ab"  # a message has 22 bytes at least
    lying = struct.pack("<BQ", 7, 20) + struct.pack("<HI", 1, 100) + bytes(14)  # an index of other than its length
    for fakes in (short * 50, lying * 50, struct.pack("<BQ", 15, 9) + bytes(9), bytes(3) + struct.pack("<BQ", 6, 60)):
        data = [*declared(), message(1, 1), bytes(9), fakes, message(1, 2), message(1, 3)]
        raw_log(tmp_path / "a", data, [*declared(), statistics(3)])
        times, losses = read(tmp_path / "a")
        assert times == [1, 2, 3]
        assert ["are no records" in loss.what for loss in losses] == [True]
