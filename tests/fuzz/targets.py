"""What is fuzzed: functions of bytes that may raise nothing but our errors, and inputs to start from."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard
from mediaref_tools.converters.mcap.reader import McapConverter
from mediaref_tools.converters.messages.imagemsg import image
from mediaref_tools.converters.messages.rosmsg import record_type
from mediaref_tools.converters.rosbag1.reader import Rosbag1Converter
from mediaref_tools.converters.rosbag2.mcap import Rosbag2McapConverter
from mediaref_tools.converters.rosbag2.metadata import parse, retyped
from mediaref_tools.converters.rosbag2.sqlite3 import Rosbag2Sqlite3Converter

from mediaref_tools.errors import ImageError, MediarefError
from mediaref_tools.image import ImageValue, VideoCodec, sniff
from mediaref_tools.log import Channel, Converter, LogReader, Message
from mediaref_tools.pixels.depth import depth_size, read_depth
from mediaref_tools.pixels.file import file_size
from mediaref_tools.pixels.rvl import decode_rvl
from tests.camera.cameras import planned, recording, units
from tests.converters.imagelogs import KINDS, foxglove
from tests.converters.mcaplogs import VARIANTS, write_log
from tests.converters.rosbag2logs import by_rosbags, by_sqlite, metadata, mixed
from tests.converters.samples import sample_mcap, sample_rosbag1, sample_rosbag2_mcap
from tests.pictures import taken
from tests.smallimages import saved

SCRATCH = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


class Target(NamedTuple):
    """A function of bytes, and what it is given first."""

    one: Callable[[bytes], None]
    seeds: Callable[[Path], Iterator[bytes]]


def _content(reader: LogReader) -> Counter[Any]:
    # Without times: a SQLite file has each of them twice, in a row and in an index, which damage lets disagree.
    return Counter((m.channel.topic, m.channel.type, bytes(m.data)) for m in reader.messages())


def _use(reader: LogReader, message: Message) -> None:
    with suppress(ImageError):
        if message.channel.role == "image":
            reader.image(message)
        elif message.channel.role == "record":
            reader.record(message)


def _read(converter: Converter, path: Path, out: Path) -> None:
    """Everything that a conversion asks of a reader; a copy holds what was read, and is whole."""
    if not converter.claims(path):
        return
    with suppress(MediarefError), converter.open(path) as reader:
        reader.stats()
        list(reader.messages([reader.channels[0].topic] if reader.channels else None, start_ns=5, stop_ns=1 << 60))
        found = _content(reader)
        assert found == _content(reader)
        writer = reader.rewriter(out, [], "typed")
        for message in reader.messages():
            _use(reader, message)
            writer.copy(message)
        writer.commit()
        with converter.open(out) as copy:
            assert _content(copy) == found, "a copy holds something else"


def _file(converter: Converter, data: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        path = Path(folder, "log")
        path.write_bytes(data)
        _read(converter, path, Path(folder, "out"))


def rosbag1(data: bytes) -> None:
    _file(Rosbag1Converter(), data)


def rosbag1_seeds(folder: Path) -> Iterator[bytes]:
    for compression in ("none", "bz2", "lz4"):
        whole = sample_rosbag1(folder / f"{compression}.bag", compression, 6000).read_bytes()
        yield whole
        at = whole.index(b"index_pos=") + 10
        yield whole[:at] + bytes(8) + whole[at + 8 : -700]
    yield gzip.compress(whole)


def mcap(data: bytes) -> None:
    _file(McapConverter(), data)


def mcap_seeds(folder: Path) -> Iterator[bytes]:
    for name, options in VARIANTS.items():
        write_log(folder / name, messages=9, **options)
        whole = (folder / name).read_bytes()
        yield whole
        yield whole[: len(whole) * 2 // 3]
    yield sample_mcap(folder / "sample").read_bytes()
    yield zstandard.compress(whole)


def rosbag2(data: bytes) -> None:
    """A folder: a byte that tells which storage, u16 characters of metadata.yaml, that, and a storage file."""
    if len(data) < 3:
        return
    kind, size = struct.unpack_from("<BH", data)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as place:
        folder = Path(place, "log")
        folder.mkdir()
        if size:
            (folder / "metadata.yaml").write_bytes(data[3 : 3 + size])
        (folder / ("log.db3" if kind % 2 else "log.mcap")).write_bytes(data[3 + size :])
        for converter in (Rosbag2Sqlite3Converter(), Rosbag2McapConverter()):
            _read(converter, folder, Path(place, "out"))


def rosbag2_seeds(folder: Path) -> Iterator[bytes]:
    rows = mixed(3)

    def seed(kind: int, text: str, data: bytes) -> bytes:
        return struct.pack("<BH", kind, len(text)) + text.encode() + data

    for version in (1, 2, 3, 4):
        data = by_sqlite(folder / f"{version}.db3", rows, version=version).read_bytes()
        yield seed(1, metadata(rows, ["log.db3"]), data)
        yield seed(1, "", data)
        yield seed(1, "", data[: len(data) * 3 // 4])
    log = by_rosbags(folder / "rosbags", rows)
    yield seed(1, (log / "metadata.yaml").read_text().replace("rosbags.db3", "log.db3"), data)
    log = sample_rosbag2_mcap(folder / "mcap")
    text = (log / "metadata.yaml").read_text().replace("mcap.mcap", "log.mcap")
    yield seed(0, text, (log / "mcap.mcap").read_bytes())


def yaml(data: bytes) -> None:
    """`metadata.yaml` alone: what it says, and the same with other types."""
    text = data.decode("utf-8", "replace")
    types = dict.fromkeys(("/cam/compressed", "/cam/raw"), record_type("cdr", "typed"))
    with suppress(MediarefError):
        said = parse(text)
        again = parse(retyped(text, types))
        assert again._replace(topics={}) == said._replace(topics={}), "another type changed something else"


def yaml_seeds(folder: Path) -> Iterator[bytes]:
    for version in (4, 5, 8, 9):
        yield metadata(mixed(1), ["log.db3"], version=version).encode()
    log = by_rosbags(folder / "log", mixed(1))
    yield (log / "metadata.yaml").read_bytes()


_ENCODINGS = ("rgb8", "bgr8", "mono8", "rgba8", "bgra8", "mono16", "16UC1", "32FC1", "bayer_rggb8", "yuv422", "nv12")
_RAW = struct.Struct("<BHHHB")


def images(data: bytes) -> None:
    """An image message's content: raw pixels of a claimed size, a file, or RVL, as the first byte says."""
    if len(data) < 1 + _RAW.size:
        return
    kind, rest = data[0] % 3, data[1:]
    if kind == 0:
        encoding, height, width, step, big = _RAW.unpack_from(rest)
        pixels = rest[_RAW.size :]
        value = ImageValue(pixels, _ENCODINGS[encoding % len(_ENCODINGS)], "raw", height, width, step, big > 127)
    elif kind == 1:
        value = ImageValue(rest, "jpeg", "file")
        file_size(rest)
        sniff(rest)
    else:
        with suppress(ImageError):
            picture = decode_rvl(rest)
            assert picture.dtype == np.uint16
        with suppress(ImageError):
            depth_size(rest)
            assert read_depth(rest, "32FC1; compressedDepth rvl").metres().dtype == np.float32
        return
    with suppress(ImageError):
        found = taken(value)
        assert found.width <= found.frame.width and found.height <= found.frame.height


def image_seeds(folder: Path) -> Iterator[bytes]:
    for number in range(len(_ENCODINGS)):
        yield b"\0" + _RAW.pack(number, 6, 8, 32, 0) + bytes(range(200))
    pixels = np.arange(20 * 30 * 3).reshape(20, 30, 3).astype(np.uint8)
    yield b"\1" + saved(pixels, "jpeg")
    yield b"\1" + saved(pixels, "png")
    yield b"\2" + struct.pack("<II", 4, 2) + struct.pack("<I", 0x07111111) * 3
    yield b"\2" + struct.pack("<II", 640, 480) + struct.pack("<I", 0xFFF70000)


_CODECS: tuple[VideoCodec, ...] = ("h264", "h265", "vp9", "av1")
_STREAMS = ("h264", "h264 pyramid", "h264 open", "h264 verbose", "h265", "h265 open", "vp9", "av1")


def packets(data: bytes) -> None:
    """A camera's video, planned and taken apart: its codec, then packets after 16 bits of their length each."""
    if not data:
        return
    codec, at, found = _CODECS[data[0] % len(_CODECS)], 1, list[bytes]()
    while at + 2 <= len(data):
        (length,) = struct.unpack_from("<H", data, at)
        found.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    plan = planned(codec, found)
    assert len(plan.segment) == len(found)
    units(codec, found)


def packet_seeds(folder: Path) -> Iterator[bytes]:
    for name in _STREAMS:
        recorded = recording(name)
        some = [packet for packet in recorded.packets[:12] if len(packet) < 2**16]
        yield bytes([_CODECS.index(recorded.codec)]) + b"".join(struct.pack("<H", len(each)) + each for each in some)


_FOXGLOVE = tuple(foxglove(base, encoding) for base in KINDS for encoding in ("protobuf", "json", "flatbuffer"))


def messages(data: bytes) -> None:
    """One of Foxglove's image messages; which type and serialisation, the first byte says."""
    if not data:
        return
    chosen = _FOXGLOVE[data[0] % len(_FOXGLOVE)]
    channel = Channel(0, chosen.topic, chosen.type, chosen.encoding, chosen.definition, {}, "image")
    with suppress(ImageError):
        found = image(Message(channel, 0, 0, 0, data[1:]))
        assert isinstance(found, ImageValue)
        bytes(found.data)


def message_seeds(folder: Path) -> Iterator[bytes]:
    for number, channel in enumerate(_FOXGLOVE):
        yield bytes([number]) + channel.payload(0)


TARGETS = {
    "rosbag1": Target(rosbag1, rosbag1_seeds),
    "mcap": Target(mcap, mcap_seeds),
    "rosbag2": Target(rosbag2, rosbag2_seeds),
    "yaml": Target(yaml, yaml_seeds),
    "images": Target(images, image_seeds),
    "packets": Target(packets, packet_seeds),
    "messages": Target(messages, message_seeds),
}
