"""One small log for every fault that robots leave behind: what is physically in it is known by how it was made.

Sixty messages of 300 to 359 random bytes, whose payload is found in the file or not: no reader is asked.
"""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import zstandard
from mcap.records import Statistics
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.rosbag2 import CompressionMode

from tests.converters.mcaplogs import FLAT, chunk, declared, image_schema, message, raw_log, statistics
from tests.converters.rawbag import RawBag, connection, string
from tests.converters.rosbag2logs import CHATTER, Row, by_rosbags, by_sqlite, metadata
from tests.converters.rosbag2logs import STRING as STRING2

COUNT = 60
_DICE = random.Random(2019)
TEXTS = ["".join(_DICE.choices("abcdefghijklmnopqrstuvwxyz", k=300 + n)) for n in range(COUNT)]


Change = Callable[[bytes], bytes]


class Fault(NamedTuple):
    """A damaged log: how it came about, how to make it in a folder, and how many of its messages are there.

    `present` is None where they are counted in the file. `marred` is how many more come out that are damaged inside,
    which no checksum tells; `silent` says that nothing is missing, and nothing is said.
    """

    container: str
    name: str
    make: Callable[[Path], Path]
    present: int | None = COUNT
    marred: int = 0
    silent: bool = False


def present(path: Path) -> int:
    """How many of the messages lie in a file, or the files of a folder, that compresses none of them."""
    data = b"".join(each.read_bytes() for each in ([path] if path.is_file() else sorted(path.iterdir())))
    return sum(text.encode() in data for text in TEXTS)


def _bag(compression: str = "none", connections: dict[int, bytes] | None = None) -> RawBag:
    of = connections or {0: connection(0, b"/a"), 1: connection(1, b"/b")}
    bag = RawBag(of)
    for first in range(0, COUNT, 10):
        ids = list(of)
        messages = ((ids[n % len(ids)], n, string(TEXTS[n])) for n in range(first, first + 10))
        bag.chunk(*(of.values() if first == 0 else ()), *messages, compression=compression)
    return bag


def _changed(path: Path, change: Change) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def _part(share: float) -> Change:
    return lambda data: data[: int(len(data) * share)]


def _hole(share: float, size: int = 512) -> Change:
    def zeros(data: bytes) -> bytes:
        start = int(len(data) * share)
        return data[:start] + bytes(size) + data[start + size :]

    return zeros


def _flip(mark: bytes, number: int, behind: int) -> Change:
    """One bit of a byte `behind` the n-th of some marks."""

    def flip(data: bytes) -> bytes:
        at = -1
        for _ in range(number + 1):
            at = data.index(mark, at + 1)
        changed = bytearray(data)
        changed[at + behind] ^= 0x10
        return bytes(changed)

    return flip


_MORE = b"string data\nint32 more\n"
_TWO = {0: connection(0, b"/a"), 1: connection(1, b"/b", message_definition=_MORE, md5sum=b"1" * 32)}
_STAR = {0: connection(0, b"/a"), 1: connection(1, b"/b", md5sum=b"*")}
_SAME = {0: connection(0, b"/a", callerid=b"/one"), 1: connection(1, b"/a", callerid=b"/two", latching=b"1")}


def _header_lost(data: bytes) -> bytes:
    return data[:13] + bytes(4096) + data[13 + 4096 :]


def _bag1(
    compression: str = "none",
    change: Change = bytes,
    *,
    connections: dict[int, bytes] | None = None,
    name: str = "x.bag",
    closed: bool = True,
) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        bag = _bag(compression, connections)
        path = bag.write(folder / name) if closed else bag.write_open(folder / name)
        return _changed(path, change)

    return make


_ROSBAG1 = [
    Fault("rosbag1", "never closed (`.bag.active`)", _bag1("lz4", name="x.bag.active", closed=False)),
    Fault("rosbag1", "cut off at 60 %, in the middle of a chunk", _bag1("none", _part(0.6)), None),
    Fault("rosbag1", "its index cut off (`.orig.bag`)", _bag1("bz2", lambda data: data[:-90], name="x.orig.bag")),
    Fault("rosbag1", "md5sum `*`", _bag1(connections=_STAR), silent=True),
    Fault("rosbag1", "two definitions of one type", _bag1(connections=_TWO), silent=True),
    Fault("rosbag1", "two connections of one topic", _bag1(connections=_SAME), silent=True),
    Fault("rosbag1", "one damaged chunk of six", _bag1("bz2", _flip(b"op=\x05", 2, 200)), COUNT - 10),
    Fault("rosbag1", "a lost sector, no index", _bag1("none", _hole(0.5), closed=False), None, marred=1),
    Fault("rosbag1", "its file header lost", _bag1("lz4", _header_lost)),
    Fault("rosbag1", "gzip'd as a whole", lambda folder: _packed(_bag1()(folder), ".gz"), silent=True),
]


def _packed(path: Path, ending: str) -> Path:
    data = path.read_bytes()
    path.unlink()
    path = path.with_name(path.name + ending)
    path.write_bytes(gzip.compress(data) if ending == ".gz" else zstandard.compress(data))
    return path


def _cdr(text: str) -> bytes:
    return b"\0\1\0\0" + struct.pack("<I", len(text) + 1) + text.encode() + b"\0"


ROWS = [
    Row(
        CHATTER,
        STRING2,
        1_700_000_000_000_000_000 + n * 1_000_000,
        b"\0\1\0\0" + struct.pack("<I", len(t) + 1) + t.encode() + b"\0",
    )
    for n, t in enumerate(TEXTS)
]
_ZSTD: dict[str, Any] = {"compression": CompressionType.ZSTD}
_BARE: dict[str, Any] = {"repeat_channels": False, "repeat_schemas": False}


def _unclosed(data: bytes) -> bytes:
    return data[: data.rindex(b"\x0f\x04\0\0\0\0\0\0\0")]  # the DataEnd record


def _loose(path: Path) -> Path:
    """Half of the messages in chunks that the summary lists, half beside them."""
    records: list[Any] = declared()
    for first in range(0, COUNT, 10):
        messages = [message(1, n, ROWS[n].data) for n in range(first, first + 10)]
        records += chunk(messages[:5]) + messages[5:]
    raw_log(path, records, [*declared(), statistics(COUNT, chunk_count=6)], profile="ros2", chunk_indexes=True)
    return path


def _overstated(path: Path) -> Path:
    records: list[Any] = [*declared(), *(message(1, row.time_ns, row.data) for row in ROWS)]
    claims: Statistics = statistics(COUNT + 20)
    raw_log(path, records, [*declared(), claims], profile="ros2")
    return path


def _mcap_file(path: Path, *, payload: Callable[[bytes], bytes] = bytes, **options: Any) -> Path:
    with path.open("xb") as file:
        writer = Writer(file, chunk_size=3000, **options)
        writer.start("ros2", "a recorder")
        name, encoding, definition = STRING2, "ros2msg", b"string data\n"
        schema = writer.register_schema(name, encoding, definition)
        image = writer.register_schema(*image_schema("cdr"))
        writer.register_channel("/idle", "cdr", image, {"offered_qos_profiles": ""})
        channel = writer.register_channel("/a", "cdr", schema, {"offered_qos_profiles": ""})
        for row in ROWS:
            writer.add_message(channel, row.time_ns, payload(row.data), row.time_ns)
        writer.finish()
    return path


def _mcap(change: Change = bytes, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: _changed(_mcap_file(folder / "x.mcap", **options), change)


_MCAP = [
    Fault("mcap", "never closed: no footer, no summary", _mcap(_unclosed, **_ZSTD)),
    Fault("mcap", "cut off at 60 %, in the middle of a chunk", _mcap(_part(0.6), **FLAT), None),
    Fault("mcap", "one chunk that fails its CRC", _mcap(_flip(TEXTS[25].encode(), 0, 5), **FLAT), COUNT - 9),
    Fault("mcap", "zeros at the end (preallocated)", _mcap(lambda data: _unclosed(data) + bytes(9000), **_ZSTD)),
    Fault("mcap", "a lost sector in the middle", _mcap(_hole(0.5), use_chunking=False), None, marred=1),
    Fault("mcap", "loose messages beside chunks", lambda folder: _loose(folder / "x.mcap"), silent=True),
    Fault("mcap", "no schemas or channels in the summary", _mcap(**_ZSTD, **_BARE), silent=True),
    Fault("mcap", "no index at all", _mcap(index_types=IndexType.NONE, **_BARE), silent=True),
    Fault("mcap", "statistics that claim 20 more", lambda folder: _overstated(folder / "x.mcap")),
    Fault("mcap", "every payload zstd (message mode)", _mcap(payload=zstandard.compress), silent=True),
    Fault("mcap", "`.mcap.zstd`", lambda folder: _packed(_mcap()(folder), ".zstd"), silent=True),
]


def _folder(path: Path, text: Callable[[str], str] = str, *, version: int = 5) -> Path:
    by_sqlite(path / "x.db3", ROWS, version=4)
    (path / "metadata.yaml").write_text(text(metadata(ROWS, ["x.db3"], version=version)))
    return path


def _split(path: Path) -> Path:
    for number in range(3):
        by_sqlite(path / f"x_{number}.db3", ROWS[20 * number : 20 * number + 20])
    (path / "metadata.yaml").write_text(metadata(ROWS, [f"x_{number}.db3" for number in range(3)]))
    (path / "x_1.db3").unlink()
    return path


def _rootless(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages'").fetchone()
    return _changed(path, lambda data: data[: (root - 1) * 1024] + bytes(1024) + data[root * 1024 :])


def _without_metadata(path: Path) -> Path:
    (path / "metadata.yaml").unlink()
    return path


def _renamed(path: Path) -> Path:
    shutil.move(path / "x.db3", path / "renamed.db3")
    return path


def _log(text: Callable[[str], str] = str, *, version: int = 5, name: str = "x") -> Callable[[Path], Path]:
    return lambda folder: _folder(folder / name, text, version=version)


def _db3(change: Change = bytes, *, version: Literal[1, 2] = 2) -> Callable[[Path], Path]:
    return lambda folder: _changed(by_sqlite(folder / "x.db3", ROWS, version=version), change)


def _mode(mode: CompressionMode) -> Callable[[Path], Path]:
    return lambda folder: _without_metadata(by_rosbags(folder / "x", ROWS, mode=mode))


def _wal(folder: Path) -> Path:
    path = by_sqlite(folder / "x" / "x.db3", ROWS, journal="wal").parent
    (path / "metadata.yaml").write_text(metadata(ROWS, ["x.db3"]))
    return path


_ROSBAG2 = [
    Fault("rosbag2", "no metadata.yaml (never closed)", lambda folder: _without_metadata(_log()(folder)), silent=True),
    Fault(
        "rosbag2", "metadata.yaml with other QoS", _log(lambda text: text.replace("depth: 0", "depth: 5")), silent=True
    ),
    Fault("rosbag2", "metadata.yaml that claims 20 more", _log(lambda text: text.replace(": 60", ": 80"))),
    Fault("rosbag2", "metadata.yaml of version 10", _log(version=10), silent=True),
    Fault("rosbag2", "a file that was renamed", lambda folder: _renamed(_log()(folder))),
    Fault("rosbag2", "schema of 2019, no definitions", _db3(version=1), silent=True),
    Fault("rosbag2", "a WAL that was never checkpointed", _wal, silent=True),
    Fault("rosbag2", "a database cut off at 60 %", _db3(_part(0.6)), None),
    Fault("rosbag2", "the page above all rows lost", lambda folder: _rootless(_db3()(folder))),
    Fault("rosbag2", "one split of three missing", lambda folder: _split(folder / "x"), 40),
    Fault("rosbag2", "a folder named `x.bag`", _log(name="x.bag"), silent=True),
    Fault("rosbag2", "file mode, no metadata.yaml", _mode(CompressionMode.FILE), silent=True),
    Fault("rosbag2", "message mode, no metadata.yaml", _mode(CompressionMode.MESSAGE), silent=True),
]

FAULTS = [*_ROSBAG1, *_MCAP, *_ROSBAG2]
