"""Times and memory of the readers against stock ones, as ratios of one run; writes the part of docs/recovery.md.

`python -m tests.bench.readers`. Every reader takes its turn in each of three rounds, and the median counts. Memory is
the peak of a process that imports what is needed and reads.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from mcap.reader import make_reader
from mcap.writer import CompressionType, IndexType, Writer
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Reader as Rosbag1Reader

from mediaref_tools.plugins import open_log
from tests.bench.recovery import PAGE, replace_part
from tests.converters.rawbag import RawBag, connection
from tests.converters.rosbag2logs import by_rosbags, jpeg

ROUNDS = 3
START_NS = 1_700_000_000_000_000_000


def bag(path: Path, *, overlap: bool, compression: str = "bz2", count: int = 400) -> Path:
    """Messages of 10 kB in 16 chunks, which share their times or follow each other."""
    made = RawBag({0: connection(0, b"/a")})
    dice = np.random.default_rng(1)
    for number in range(16):
        order = range(number, count, 16) if overlap else range(count * number // 16, count * (number + 1) // 16)
        messages = ((0, 10**9 + n * 10**6, dice.integers(0, 64, 10_000, np.uint8).tobytes()) for n in order)
        made.chunk(*([connection(0, b"/a")] if number == 0 else []), *messages, compression=compression)
    return made.write(path)


def mcap(path: Path, *, overlap: bool, indexed: bool = True, megabytes: int = 200) -> Path:
    """Messages of 40 kB in chunks of 2 MB."""
    count, dice = megabytes * 25, random.Random(1)
    with path.open("xb") as file:
        options = {} if indexed else {"index_types": IndexType.NONE, "repeat_channels": False, "use_statistics": False}
        writer = Writer(file, chunk_size=2_000_000, compression=CompressionType.ZSTD, **options)
        writer.start("", "a benchmark")
        channel = writer.register_channel("/a", "bytes", 0)
        order = [n for first in range(16) for n in range(first, count, 16)] if overlap else range(count)
        for n in order:
            writer.add_message(channel, START_NS + n * 10**6, dice.randbytes(40_000), START_NS)
        writer.finish()
    return path


def ours(path: Path) -> int:
    with open_log(path) as reader:
        return sum(len(each.data) for each in reader.messages())


def stock_bag(path: Path) -> int:
    with Rosbag1Reader(path) as reader:
        return sum(len(data) for _, _, data in reader.messages())


def stock_any(path: Path) -> int:
    with AnyReader([path]) as reader:
        return sum(len(data) for _, _, data in reader.messages())


def stock_mcap(path: Path) -> int:
    with path.open("rb") as file:
        return sum(len(each.data) for _, _, each in make_reader(file).iter_messages())


def medians(path: Path, *readers: Callable[[Path], int]) -> list[float]:
    seconds: dict[Callable[[Path], int], list[float]] = {reader: [] for reader in readers}
    for _ in range(ROUNDS):
        for reader in readers:
            start = time.perf_counter()
            reader(path)
            seconds[reader].append(time.perf_counter() - start)
    assert len({reader(path) for reader in readers}) == 1, "they read the same"
    return [statistics.median(each) for each in seconds.values()]


def peak_mb(reader: Callable[[Path], int], path: Path) -> float:
    """The most memory that a process had which imported all readers, and read a file with one."""
    code = (
        "import sys; from pathlib import Path; from tests.bench import readers\n"
        f"readers.{reader.__name__}(Path(sys.argv[1]))\n"
        # not getrusage's: that starts with what the parent had when it forked
        "print(next(s for s in open('/proc/self/status') if s.startswith('VmHWM')).split()[1])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, cwd=root)
    return int(done.stdout) / 1024


def rows(folder: Path) -> Iterator[str]:
    yield "| log | stock reader | stock | ours | ours / stock |"
    yield "|---|---|---:|---:|---:|"
    images = [jpeg(n, START_NS + n)._replace(data=random.Random(n).randbytes(40_000)) for n in range(5000)]
    for name, path, stock in (
        ("ROS 1, 16 bz2 chunks that overlap", bag(folder / "a.bag", overlap=True), stock_bag),
        ("ROS 1, 16 bz2 chunks in order", bag(folder / "b.bag", overlap=False), stock_bag),
        (
            "ROS 1, 16 lz4 chunks in order",
            bag(folder / "c.bag", overlap=False, compression="lz4", count=16_000),
            stock_bag,
        ),
        ("MCAP, zstd, in order", mcap(folder / "a.mcap", overlap=False), stock_mcap),
        ("MCAP, zstd, chunks that overlap", mcap(folder / "b.mcap", overlap=True), stock_mcap),
        ("rosbag2 sqlite3", by_rosbags(folder / "log", images), stock_any),
    ):
        theirs, mine = medians(path, stock, ours)
        yield f"| {name} | {stock.__name__[6:]} | {theirs:.3f} s | {mine:.3f} s | {mine / theirs:.2f} |"
    yield ""
    yield "| MCAP without an index | stock mcap | ours |"
    yield "|---|---:|---:|"
    for megabytes in (40, 400):
        path = mcap(folder / f"{megabytes}.mcap", overlap=False, indexed=False, megabytes=megabytes)
        yield f"| {megabytes} MB | {peak_mb(stock_mcap, path):.0f} MB | {peak_mb(ours, path):.0f} MB |"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = "\n".join(rows(Path(folder)))
    print(table)
    replace_part(PAGE, "readers", table)


if __name__ == "__main__":
    main()
