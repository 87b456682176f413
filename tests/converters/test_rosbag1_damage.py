"""ROS 1 bags that were never closed, are cut off, damaged, or lie."""

from __future__ import annotations

import bz2
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest

from converters.rosbag1.reader import Rosbag1Converter, Rosbag1Reader
from mediaref_tools.errors import LogError, LogNotFound, MediarefError
from mediaref_tools.log import Message

from .rawbag import RawBag, connection, head, message, record, string, u32
from .samples import sample_rosbag1
from .test_rosbag1 import copied, counted_stats, open_bag, texts

TOPIC = {0: connection(0, b"/a"), 1: connection(1, b"/b")}


def plain(compression: str = "none", chunks: int = 3) -> RawBag:
    """Chunks of five messages, "00" to "04", "10" to "14" …"""
    bag = RawBag(TOPIC)
    for chunk in range(chunks):
        first = TOPIC.values() if chunk == 0 else ()
        bag.chunk(*first, *((i % 2, 10 * chunk + i, string(f"{chunk}{i}")) for i in range(5)), compression=compression)
    return bag


ALL = [f"{chunk}{i}" for chunk in range(3) for i in range(5)]


def read_all(path: Path) -> list[Message]:
    """Everything that a reader does."""
    with open_bag(path) as reader:
        reader.stats()
        messages = list(reader.messages())
        list(reader.messages(["/a"], start_ns=5, stop_ns=20))
        assert messages == list(reader.messages())
        losses = len(reader.losses)
        list(reader.messages())
        assert len(reader.losses) == losses, "a loss is told once"
        return messages


def whats(reader: Rosbag1Reader) -> str:
    return "; ".join(f"{loss.where}: {loss.what}" for loss in reader.losses)


@pytest.mark.parametrize("magic", [b"#ROSBAG V1.2\n", b"#ROSRECORD V1.1\n", b"#ROSBAG V3.0\n"])
def test_other_versions_are_claimed_and_refused_with_advice(tmp_path: Path, magic: bytes) -> None:
    path = tmp_path / "old.bag"
    path.write_bytes(magic + plain().write(tmp_path / "new.bag").read_bytes()[13:])
    assert Rosbag1Converter().claims(path)
    with pytest.raises(LogError, match=r"version is '\d.\d', expected '2.0'.*rosbag fix.*old\.bag"):
        open_bag(path)


def test_an_encrypted_bag_is_refused_with_advice(tmp_path: Path) -> None:
    bag = plain()
    bag.header["encryptor"] = b"rosbag/AesCbcEncryptor"
    with pytest.raises(LogError, match=r"AesCbcEncryptor.*rosbag decrypt"):
        open_bag(bag.write(tmp_path / "in.bag"))


def test_a_name_does_not_matter(tmp_path: Path) -> None:
    for name in ("a.bag.active", "a.orig", "A.BAG", "noending"):
        path = plain().write(tmp_path / name)
        assert Rosbag1Converter().claims(path)
        assert texts(read_all(path)) == ALL


def test_what_is_no_bag_is_a_log_error(tmp_path: Path) -> None:
    (tmp_path / "text.bag").write_text("#ROS 1 notes\n" * 100)
    with pytest.raises(LogError, match="is it a ROS 1 bag"):
        open_bag(tmp_path / "text.bag")
    with pytest.raises(LogError):
        open_bag(tmp_path)
    with pytest.raises(LogNotFound):
        open_bag(tmp_path / "nothing.bag")


@pytest.mark.parametrize("connections", [{}, TOPIC])
def test_a_bag_without_messages_is_whole(tmp_path: Path, connections: dict[int, bytes]) -> None:
    path = RawBag(connections).write(tmp_path / "in.bag")
    for each in (path, copied(path, tmp_path / "out.bag")):
        with open_bag(each) as reader:
            assert len(reader.channels) == len(connections)
            assert list(reader.messages()) == []
            assert set(reader.stats().values()) <= {(0, 0, None, None)}
            assert reader.losses == []


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_bag_that_was_never_closed_is_read_to_its_end(tmp_path: Path, compression: str) -> None:
    path = plain(compression).write_open(tmp_path / "in.bag.active")
    with open_bag(path) as reader:
        assert texts(reader.messages()) == ALL
        assert reader.stats() == counted_stats(reader)
        assert [channel.topic for channel in reader.channels] == ["/a", "/b"]
        assert len(reader.losses) == 1
        assert "never closed" in whats(reader)
        assert "15 messages" in whats(reader)
    with open_bag(copied(path, tmp_path / "out.bag")) as copy:
        assert texts(copy.messages()) == ALL
        assert copy.losses == []


def _open_chunk(compression: str) -> bytes:
    """A chunk as it lies in the file while it is being filled: no lengths yet, its last message half written."""
    content = b"".join(message(0, 30 + i, string(f"3{i}")) for i in range(40))
    if compression == "bz2":
        content = bz2.compress(content)[:-3]
    elif compression == "lz4":
        content = lz4.frame.compress(content, block_size=lz4.frame.BLOCKSIZE_MAX64KB)[:-4]
    else:
        content = content[:-5]
    return record(head(op=b"\x05", compression=compression.encode(), size=u32(0)), b"") + content


@pytest.mark.parametrize(("compression", "found"), [("none", 39), ("lz4", 40), ("bz2", 40)])
def test_the_chunk_that_a_recorder_was_filling_is_read_too(tmp_path: Path, compression: str, found: int) -> None:
    path = plain(compression).write_open(tmp_path / "in.bag.active", _open_chunk(compression))
    assert texts(read_all(path)) == ALL + [f"3{i}" for i in range(found)]


def test_loose_messages_do_not_become_one_block(tmp_path: Path) -> None:
    """Memory must not grow with what lies outside of chunks."""
    loose = b"".join(message(0, i, bytes(100_000)) for i in range(50))
    path = RawBag({}).write_open(tmp_path / "in.bag", TOPIC[0] + loose)
    with open_bag(path) as reader:
        assert len({each.position >> 32 for each in reader.messages()}) == 5
        assert reader.stats()[0].messages == 50


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_bag_cut_anywhere_gives_all_that_is_there(tmp_path: Path, compression: str) -> None:
    whole = plain(compression).write(tmp_path / "whole.bag").read_bytes()
    path = tmp_path / "cut.bag"
    counts = []
    for size in [*range(0, 4117, 45), *range(4117, len(whole), 7)]:
        path.write_bytes(whole[:size])
        if size < 90:  # in the file's header
            with pytest.raises(LogError):
                open_bag(path)
            continue
        with open_bag(path) as reader:
            found = texts(reader.messages())
            assert found == ALL[: len(found)]
            assert len(reader.losses) >= 1
        counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[-1] == len(ALL)
    # Without compression every message that is there comes back, not only those of whole chunks.
    assert (set(counts) == set(range(16))) is (compression == "none")


def _damage_index(data: bytes) -> bytes:
    return data[:-100] + b"\0" * 100


def _drop_chunk_info(data: bytes) -> bytes:
    return data[: data.rindex(b"op=\x06") - 8]


def _index_beyond(data: bytes) -> bytes:
    pos = data.index(b"index_pos=") + 10
    return data[:pos] + b"\xff" * 8 + data[pos + 8 :]


def _index_elsewhere(data: bytes) -> bytes:
    pos = data.index(b"index_pos=") + 10
    return data[:pos] + (4117).to_bytes(8, "little") + data[pos + 8 :]


def _bytes_behind(data: bytes) -> bytes:
    return data + b"\0" * 512


@pytest.mark.parametrize("damage", [_damage_index, _drop_chunk_info, _index_beyond, _index_elsewhere, _bytes_behind])
def test_a_damaged_index_costs_no_message(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "in.bag"
    path.write_bytes(damage(plain("lz4").write(path).read_bytes()))
    with open_bag(path) as reader:
        assert texts(reader.messages()) == ALL
        assert "index is cut off or damaged" in whats(reader)


@pytest.mark.parametrize("compression", ["bz2", "lz4"])
def test_a_damaged_chunk_is_skipped_and_counted(tmp_path: Path, compression: str) -> None:
    bag = RawBag(TOPIC)
    noise = random.Random(1).randbytes(5000)
    for chunk in range(3):
        bag.chunk(
            *(TOPIC.values() if chunk == 0 else ()),
            *((0, 10 * chunk + i, noise) for i in range(5)),
            compression=compression,
        )
    path = bag.write(tmp_path / "in.bag")
    data = bytearray(path.read_bytes())
    middle = data.index(b"op=\x05", 4200) + 4000  # of the second chunk
    data[middle] ^= 0x10
    path.write_bytes(data)
    with open_bag(path) as reader:
        assert reader.losses == []
        for _ in range(2):
            assert [each.log_time_ns // 10 for each in reader.messages()] == [0] * 5 + [2] * 5
        assert [loss.messages for loss in reader.losses] == [5]
        assert "chunk at byte" in whats(reader)
        assert "damaged" in whats(reader)
    with open_bag(copied(path, tmp_path / "out.bag")) as copy:
        assert len(list(copy.messages())) == 10


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_lost_sector_costs_no_more_than_what_it_touches(tmp_path: Path, compression: str, *, indexed: bool) -> None:
    """Disks leave zeros, or what was there before."""
    bag = RawBag(TOPIC)
    noise = random.Random(4)
    for chunk in range(12):
        first = TOPIC.values() if chunk == 0 else ()
        messages = ((i % 2, 10 * chunk + i, noise.randbytes(200)) for i in range(10))
        bag.chunk(*first, *messages, compression=compression)
    path = bag.write(tmp_path / "in.bag") if indexed else bag.write_open(tmp_path / "in.bag")
    whole = path.read_bytes()
    # the first chunk alone tells which connections there are
    for start in range(8000, len(whole) - 512, len(whole) // 25):
        for filling in (bytes(512), noise.randbytes(512)):
            path.write_bytes(whole[:start] + filling + whole[start + 512 :])
            with open_bag(path) as reader:
                found = [each.log_time_ns for each in reader.messages()]
                assert indexed or reader.stats() == counted_stats(reader)
                gone = 120 - len(found)
                # 3 or 4 of the messages without compression, unless it is a chunk's head; with it, 2 chunks of 10
                touched = 20 if compression != "none" else 14 if indexed else 5
                assert gone <= touched, (start, list(reader.losses))
                claimed = [loss.messages for loss in reader.losses if loss.messages]
                assert sum(claimed) == gone if indexed else sum(claimed) <= gone


def test_a_chunk_length_that_lies_hides_nothing(tmp_path: Path) -> None:
    path = plain("lz4").write_open(tmp_path / "in.bag")
    data = bytearray(path.read_bytes())
    second = data.index(b"op=\x05", data.index(b"op=\x05") + 1)
    length = data.index(b"size=", second) + 9
    data[length : length + 4] = u32(int.from_bytes(data[length : length + 4], "little") + 300)
    path.write_bytes(data)
    with open_bag(path) as reader:
        assert texts(reader.messages()) == ALL
        assert "bytes are skipped" in whats(reader)


def test_a_damaged_file_header_costs_no_message(tmp_path: Path) -> None:
    path = plain("bz2").write(tmp_path / "in.bag")
    for start, size in ((13, 4), (13, 4096), (20, 60)):
        data = bytearray(path.read_bytes())
        data[start : start + size] = bytes(size)
        (tmp_path / "damaged.bag").write_bytes(data)
        with open_bag(tmp_path / "damaged.bag") as reader:
            assert texts(reader.messages()) == ALL
            assert "file header is damaged" in whats(reader)
    (tmp_path / "damaged.bag").write_bytes(data[:4000])
    with pytest.raises(LogError, match="no message comes after it"):
        open_bag(tmp_path / "damaged.bag")


def test_index_records_tell_what_an_unindexed_bag_has_lost(tmp_path: Path) -> None:
    path = plain("bz2").write_open(tmp_path / "in.bag")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"BZh") + 20] ^= 0x10
    path.write_bytes(data)
    with open_bag(path) as reader:
        assert len(texts(reader.messages())) == 10
        assert [loss.messages for loss in reader.losses] == [None, 5]


@pytest.mark.parametrize(
    ("compression", "said", "lost"),
    [
        ("bz2", {"size": 100}, 5),
        ("lz4", {"size": 100}, 5),
        ("bz2", {"size": 10_000}, 5),
        ("lz4", {"size": 10_000}, 5),
        ("bz2", {"size": 2**31}, 5),
        ("none", {"size": 2**31}, 5),
        ("none", {"size": 1}, 0),
        ("lz4", {"stored": b""}, 5),
        ("bz2", {"stored": b""}, 5),
        ("none", {"stored": b""}, 5),
        ("none", {"stored": message(0, 10, string("10")) + b"\xff" * 40}, 4),
        ("none", {"stored": message(0, 10, string("10")) + u32(2**31) + b"x" * 40}, 4),
        ("none", {"stored": message(0, 10, string("10")) + message(0, 11, b"")[:-4] + u32(2**32 - 1)}, 4),
        ("none", {"stored": message(0, 10, string("10")) + record(head(op=b"\x05"), b"")}, 4),
        ("none", {"stored": message(0, 10, string("10")) + record(u32(2**31) + b"op=\x02", b"")}, 4),
        ("none", {"stored": message(0, 10, string("10")) + record(u32(3) + b"abc", b"")}, 4),
        ("none", {"stored": message(0, 10, string("10")) + record(head(op=b"\x02", conn=b"1", time=b"2"), b"")}, 4),
        # Twice the same field: as long as a message's header, and no connection or time.
        ("none", {"stored": message(0, 10, string("10")) + u32(38) + head(op=b"\x02") * 3 + bytes(14) + u32(0)}, 4),
    ],
)
def test_a_chunk_that_lies_costs_no_more_than_its_own_messages(
    tmp_path: Path, compression: str, said: dict[str, Any], lost: int
) -> None:
    bag = plain(chunks=1)
    bag.chunk(*((0, 10 + i, string(f"1{i}")) for i in range(5)), compression=compression, **said)
    bag.chunk((1, 20, string("20")))
    path = bag.write(tmp_path / "in.bag")
    assert texts(read_all(path)) == [*ALL[:5], *ALL[5 : 10 - lost], "20"]
    with open_bag(path) as reader:
        list(reader.messages())
        assert sum(loss.messages or 0 for loss in reader.losses) == lost


@pytest.mark.parametrize("compression", ["bz2", "lz4"])
def test_a_chunk_without_its_checksum_is_not_trusted(tmp_path: Path, compression: str) -> None:
    content = message(0, 10, string("10"))
    whole = bz2.compress(content) if compression == "bz2" else lz4.frame.compress(content, content_checksum=True)
    for stored, found in ((whole, 6), (whole[:-2], 5)):
        bag = plain(chunks=1)
        bag.chunk((0, 10, string("10")), compression=compression, stored=stored)
        assert len(read_all(bag.write(tmp_path / "in.bag"))) == found


def test_a_header_has_its_bounds(tmp_path: Path) -> None:
    tail = record(head(op=b"\x04", x=bytes(2_000_000)), b"")
    with open_bag(plain().write_open(tmp_path / "in.bag", tail)) as reader:
        assert "expected 1048576 at most" in whats(reader)
        assert texts(reader.messages()) == ALL


@pytest.mark.parametrize("compression", ["bz2", "lz4"])
def test_a_bomb_is_never_unpacked(tmp_path: Path, compression: str) -> None:
    zeros = bytes(100_000_000)
    bomb = bz2.compress(zeros, 1) if compression == "bz2" else lz4.frame.compress(zeros)
    bag = plain(chunks=1)
    bag.chunk((0, 10, b""), compression=compression, stored=bomb, size=5000)
    path = bag.write(tmp_path / "in.bag")
    del zeros, bomb
    tracemalloc.start()
    try:
        assert len(read_all(path)) == 5
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_messages_of_undescribed_connections_are_counted(tmp_path: Path) -> None:
    bag = RawBag({0: TOPIC[0]})
    bag.chunk((0, 1, string("kept")), (5, 2, b"whose?"), (6, 3, b"whose?"))
    with open_bag(bag.write(tmp_path / "in.bag")) as reader:
        assert texts(reader.messages()) == ["kept"]
        assert [loss.messages for loss in reader.losses] == [2]
        assert reader.stats() == counted_stats(reader)


def test_times_that_lie_are_told(tmp_path: Path) -> None:
    bag = RawBag({0: TOPIC[0]})
    bag.chunk((0, 10, string("a")), (0, 90, string("b")), times_ns=(20, 30))
    with open_bag(bag.write(tmp_path / "in.bag")) as reader:
        assert texts(reader.messages()) == ["a", "b"]
        assert "2 messages lie outside of its stated times" in whats(reader)


def test_a_connection_that_can_not_be_read_is_carried_along(tmp_path: Path) -> None:
    broken = record(head(op=b"\x07", conn=u32(1), topic=b"/broken"), u32(2**31) + b"type=")
    bag = RawBag({0: TOPIC[0], 1: broken})
    bag.chunk(TOPIC[0], broken, (0, 1, string("a")), (1, 2, b"bytes"))
    path = bag.write(tmp_path / "in.bag")
    with open_bag(path) as reader:
        assert [channel.topic for channel in reader.channels] == ["/a", "/broken"]
        assert [bytes(each.data) for each in reader.messages(["/broken"])] == [b"bytes"]
        assert "/broken" in whats(reader)
    assert copied(path, tmp_path / "out.bag").read_bytes().count(broken) == 2


def test_a_chunk_that_is_told_twice_is_read_once(tmp_path: Path) -> None:
    bag = plain()
    bag.infos *= 2
    bag.chunks *= 2
    assert texts(read_all(bag.write(tmp_path / "in.bag"))) == ALL


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
@pytest.mark.parametrize("indexed", [True, False])
def test_flipped_bytes_raise_nothing_but_our_errors(tmp_path: Path, compression: Any, indexed: bool) -> None:
    whole = sample_rosbag1(tmp_path / "whole.bag", compression).read_bytes()
    if not indexed:
        pos = whole.index(b"index_pos=") + 10
        whole = whole[:pos] + bytes(8) + whole[pos + 8 :]
    dice = random.Random(20)
    path = tmp_path / "in.bag"
    opened = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 3, 30))):
            pos = dice.choice((dice.randrange(len(data)), dice.randrange(100), dice.randrange(4117, len(data))))
            data[pos] = dice.choice((0, 1, 0x7F, 0xFF, dice.randrange(256)))
        path.write_bytes(data)
        try:
            for each in read_all(path):
                if each.channel.role == "image":
                    with open_bag(path) as reader:
                        reader.image(each)
            opened += 1
        except MediarefError:
            continue
    assert opened > 20
