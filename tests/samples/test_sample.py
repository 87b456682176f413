"""The sample and the numbered pictures: read back with the libraries that others use."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from numpy.typing import NDArray
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Reader as Rosbag1Reader
from rosbags.rosbag2 import Reader as Rosbag2Reader
from rosbags.typesys import Stores, get_typestore

from mediaref_tools.errors import ImageError, LogError, OutputError
from mediaref_tools.sample import (
    START_NS,
    Container,
    ImageEncoding,
    SampleMessage,
    frame_number,
    header,
    main,
    make_sample,
    numbered_image,
    numbered_topic,
    write_log,
)

CONTAINERS = get_args(Container)
PLAIN: tuple[ImageEncoding, ...] = ("jpeg", "png", "rgb8", "bgr8", "rgba8", "bgra8", "mono8")
SIZES = [(640, 480), (320, 240), (319, 241), (161, 121), (97, 73), (96, 54), (80, 48), (1280, 720), (480, 640)]
LEFT, RIGHT = "/camera/left/image_raw/compressed", "/camera/right/image_raw"


class Read(NamedTuple):
    topic: str
    log_time_ns: int
    type: str
    message: Any


def read(path: Path, container: Container) -> Iterator[Read]:
    """Messages in the order in which the container's usual reader gives them, deserialised."""
    if container == "mcap":
        with path.open("rb") as stream:
            for schema, channel, message, body in make_reader(
                stream, decoder_factories=[DecoderFactory()]
            ).iter_decoded_messages():
                assert schema is not None
                yield Read(channel.topic, message.log_time, schema.name, body)
        return
    with AnyReader([path]) as reader:
        for connection, log_time_ns, data in reader.messages():
            yield Read(connection.topic, log_time_ns, connection.msgtype, reader.deserialize(data, connection.msgtype))


def out(tmp_path: Path, container: Container) -> Path:
    return tmp_path / {"rosbag1": "log.bag", "mcap": "log.mcap"}.get(container, "log")


def pixels(body: Any) -> NDArray[np.uint8]:
    """An image message as RGB or grey, told by its own fields alone."""
    data = np.frombuffer(bytes(body.data), np.uint8)
    if hasattr(body, "format"):
        return np.asarray(Image.open(io.BytesIO(data.tobytes())))
    channels = {"mono8": 1, "rgb8": 3, "bgr8": 3}.get(body.encoding, 4)
    rows = data.reshape(body.height, body.step)[:, : body.width * channels]
    image = rows.reshape(body.height, body.width, channels)
    if channels == 1:
        return image[:, :, 0]
    order = [2, 1, 0] if body.encoding.startswith("bgr") else [0, 1, 2]
    return image[:, :, order]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_number_is_read_back(width: int, height: int) -> None:
    for number in (0, 1, 2, 17, 255, 256, 1023, 4095, 0b1010101010101010, 32768, 65534, 65535):
        image = numbered_image(number, width, height)
        assert image.shape == (height, width, 3)
        assert image.dtype == np.uint8
        assert frame_number(image) == number
        assert frame_number(image[:, :, 1]) == number


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("quality", [85, 10])
def test_a_number_survives_jpeg(width: int, height: int, quality: int) -> None:
    for number in (0, 17, 43690, 21845, 65535):
        stream = io.BytesIO()
        Image.fromarray(numbered_image(number, width, height)).save(stream, "jpeg", quality=quality, subsampling=2)
        assert frame_number(np.asarray(Image.open(stream))) == number


@pytest.mark.parametrize("smaller", [(320, 240), (160, 120), (120, 90)])
def test_a_number_survives_scaling(smaller: tuple[int, int]) -> None:
    for number in (0, 17, 43690, 65535):
        image = Image.fromarray(numbered_image(number, 640, 480)).resize(smaller, Image.Resampling.BOX)
        assert frame_number(np.asarray(image)) == number


def test_a_number_survives_limited_range() -> None:
    image = numbered_image(777, 640, 480).astype(np.float32)
    assert frame_number((image * 219 / 255 + 16).astype(np.uint8)) == 777
    assert frame_number(np.clip((image - 16) * 255 / 219, 0, 255).astype(np.uint8)) == 777


@pytest.mark.parametrize("width", [640, 320, 161, 96])
def test_neighbours_differ_outside_of_the_number(width: int) -> None:
    height = width * 3 // 4
    before, after = (numbered_image(number, width, height).astype(int) for number in (17, 18))
    moved = np.abs(before - after)[height // 2 :].max(axis=2) > 4
    assert moved.mean() > 0.1
    assert np.array_equal(numbered_image(17, width, height), numbered_image(17, width, height))


def test_an_image_belongs_to_its_caller() -> None:
    numbered_image(3, 320, 240)[:] = 0
    assert frame_number(numbered_image(3, 320, 240)) == 3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: image[:, ::-1],
        lambda image: image[::-1],
        lambda image: image[::-1, ::-1],
        lambda image: 255 - image,
        lambda image: np.roll(image, 40, axis=1),
        lambda image: image[40:],
        lambda image: np.zeros_like(image),
        lambda image: np.full_like(image, 255),
        lambda image: np.full_like(image, 128),
        lambda image: image // 2 + numbered_image(0xFFFF, 640, 480) // 2,
        lambda image: np.random.default_rng(0).integers(0, 256, image.shape, np.uint8),
        lambda image: image.astype(np.uint16),
        lambda image: image[0],
        lambda image: image[:0],
        lambda image: image[:1, :1],
    ],
)
def test_no_number_is_an_error(spoil: Any) -> None:
    image = numbered_image(1234, 640, 480)
    with pytest.raises(ImageError):
        frame_number(spoil(image))


@pytest.mark.parametrize("arguments", [(-1, 640, 480), (65536, 640, 480), (0, 79, 480), (0, 640, 47)])
def test_what_cannot_be_drawn(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ImageError, match=r"can't draw"):
        numbered_image(*arguments)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("encoding", PLAIN)
def test_a_topic_holds_its_numbers(tmp_path: Path, container: Container, encoding: ImageEncoding) -> None:
    times_ns = [START_NS, START_NS + 1, START_NS + 1, START_NS + 5_000_000_000, START_NS + 5_033_000_000]

    def size(index: int) -> tuple[int, int]:
        return (121, 161) if index < 3 else (74, 96)

    messages = numbered_topic("/cam", times_ns, encoding=encoding, size=size, step_padding=5, first=65533, latency_ns=7)
    path = write_log(out(tmp_path, container), container, messages)
    got = list(read(path, container))
    assert [one.log_time_ns for one in got] == times_ns
    images = [pixels(one.message) for one in got]
    assert [frame_number(image) for image in images] == [65533, 65534, 65535, 0, 1]
    assert [image.shape[:2] for image in images] == [size(index) for index in range(5)]
    stamps = [one.message.header.stamp for one in got]
    assert [stamp.sec * 10**9 + stamp.nanosec for stamp in stamps] == [time_ns - 7 for time_ns in times_ns]
    if encoding not in ("jpeg", "mono8"):
        assert np.array_equal(images[0], numbered_image(65533, 161, 121))
    if encoding not in ("jpeg", "png"):
        assert got[0].message.step % 161 == 5
        assert got[0].message.encoding == encoding


def test_a_jpeg_is_subsampled() -> None:
    (message,) = numbered_topic("/cam", [0], encoding="jpeg", size=(73, 97))
    image = Image.open(io.BytesIO(message.body.data.tobytes()))
    assert image.layer[1][1:3] == (1, 1)  # type: ignore[attr-defined]
    assert image.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("container", CONTAINERS)
def test_raw_bytes_are_written_as_they_are(tmp_path: Path, container: Container) -> None:
    payloads = [b"", b"\x00", b"no message at all", bytes(1000)]
    messages = [SampleMessage("/raw", "std_msgs/msg/String", START_NS + i, data) for i, data in enumerate(payloads)]
    path = write_log(out(tmp_path, container), container, messages)
    if container == "mcap":
        with path.open("rb") as stream:
            got = [message.data for _, _, message in make_reader(stream).iter_messages()]
    else:
        with (Rosbag1Reader if container == "rosbag1" else Rosbag2Reader)(path) as reader:
            got = [bytes(data) for _, _, data in reader.messages()]
    assert got == payloads


def test_messages_are_ordered_unless_told_not_to(tmp_path: Path) -> None:
    messages = numbered_topic("/cam", [30, 10, 20], encoding="mono8", size=(54, 96))

    def order(path: Path) -> list[int]:
        with path.open("rb") as stream:
            return [message.log_time for _, _, message in make_reader(stream).iter_messages(log_time_order=False)]

    assert order(write_log(tmp_path / "a.mcap", "mcap", messages)) == [10, 20, 30]
    assert order(write_log(tmp_path / "b.mcap", "mcap", iter(messages), in_order=False)) == [30, 10, 20]


def test_a_log_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "log.bag"
    path.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"log\.bag"):
        write_log(path, "rosbag1", [])
    assert path.read_bytes() == b"precious"


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="container 'hdf5'"):
        write_log(tmp_path / "a", "hdf5", [])  # type: ignore[arg-type]
    with pytest.raises(LogError, match="'my_msgs/msg/Thing'"):
        write_log(tmp_path / "b", "mcap", [SampleMessage("/a", "my_msgs/msg/Thing", 0, b"")])
    with pytest.raises(ImageError, match="encoding 'yuv420'"):
        numbered_topic("/a", [0], encoding="yuv420")  # type: ignore[arg-type]
    with pytest.raises(LogError, match="0 seconds"):
        make_sample(tmp_path / "c", seconds=0)
    with pytest.raises(LogError, match="nan seconds"):
        make_sample(tmp_path / "c", seconds=float("nan"))
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_sample(tmp_path: Path, container: Container) -> None:
    path = make_sample(out(tmp_path, container), container=container, seconds=1)
    got = list(read(path, container))
    assert Counter(one.topic for one in got) == {LEFT: 30, RIGHT: 14, "/imu/data": 100, "/tf": 20, "/tf_static": 1}
    for topic, shape in ((LEFT, (480, 640, 3)), (RIGHT, (240, 320, 3))):
        mine = [one for one in got if one.topic == topic]
        images = [pixels(one.message) for one in mine]
        assert [frame_number(image) for image in images] == list(range(len(mine)))
        assert {image.shape for image in images} == {shape}
        times_ns = [one.log_time_ns for one in mine]
        assert times_ns[0] >= START_NS
        assert len(set(np.diff(times_ns).tolist())) > len(mine) // 2
        for one in mine:
            stamp = one.message.header.stamp
            assert 2_000_000 <= one.log_time_ns - (stamp.sec * 10**9 + stamp.nanosec) <= 20_000_000
    transform = next(one for one in got if one.topic == "/tf_static").message.transforms[1]
    assert (transform.header.frame_id, transform.child_frame_id) == ("base", "camera_right")
    imu = next(one for one in got if one.topic == "/imu/data").message
    assert imu.linear_acceleration.z == 9.81


def test_the_latched_topic_says_so(tmp_path: Path) -> None:
    bag = make_sample(tmp_path / "a.bag", container="rosbag1", seconds=0.1)
    with Rosbag1Reader(bag) as reader:
        assert {c.topic: c.ext.latching for c in reader.connections}["/tf_static"] == 1
        assert {c.topic: c.ext.latching for c in reader.connections}["/tf"] == 0
        # What roscore's own tools know the type by.
        assert {c.topic: c.digest for c in reader.connections}["/tf"] == "94810edda583a504dfda3829e70d7eec"
    for container in ("rosbag2-sqlite3", "rosbag2-mcap"):
        with Rosbag2Reader(make_sample(tmp_path / container, container=container, seconds=0.1)) as reader2:
            durability = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader2.connections}
        assert durability["/tf_static"] == "TRANSIENT_LOCAL"
        assert durability["/tf"] == "VOLATILE"
    with make_sample(tmp_path / "a.mcap", container="mcap", seconds=0.1).open("rb") as stream:
        summary = make_reader(stream).get_summary()
    assert summary is not None
    qos = {channel.topic: channel.metadata["offered_qos_profiles"] for channel in summary.channels.values()}
    assert "durability: 1" in qos["/tf_static"]
    assert "durability: 2" in qos["/tf"]


def test_plain_mcap_has_publish_times_and_sequences(tmp_path: Path) -> None:
    with make_sample(tmp_path / "a.mcap", container="mcap", seconds=0.2).open("rb") as stream:
        reader = make_reader(stream)
        assert reader.get_header().profile == "ros2"
        messages = [message for _, channel, message in reader.iter_messages() if channel.topic == "/imu/data"]
    assert [message.sequence for message in messages] == list(range(1, 21))
    assert {message.log_time - message.publish_time for message in messages} == {700_000}


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_sample_is_the_same_every_time(tmp_path: Path, container: Container) -> None:
    contents = []
    for name in ("a", "b"):
        path = make_sample(out(tmp_path / name, container), container=container, seconds=0.2)
        paths = sorted(path.iterdir()) if path.is_dir() else [path]
        contents.append([(one.name, one.read_bytes()) for one in paths])
    assert contents[0] == contents[1]


def test_references_can_be_written_too(tmp_path: Path) -> None:
    """A typed record needs no library but this: its type is known by name."""
    body = get_typestore(Stores.ROS2_HUMBLE).types["std_msgs/msg/String"](data='{"uri":"a.mp4","pts_ns":0}')
    record = type("ImageRef", (), {})()
    record.header, record.media_ref = header(5, "a"), type("MediaRef", (), {"uri": "a.mp4", "pts_ns": 0})()
    record.source_type = record.source_encoding = ""
    record.height = record.width = record.step = record.is_bigendian = 0
    path = write_log(
        tmp_path / "a.mcap",
        "mcap",
        [
            SampleMessage("/s", "std_msgs/msg/String", 1, body),
            SampleMessage("/r", "mediaref_msgs/msg/ImageRef", 2, record),
        ],
    )
    got = {one.topic: one.message for one in read(path, "mcap")}
    assert got["/s"].data == '{"uri":"a.mp4","pts_ns":0}'
    assert got["/r"].media_ref.uri == "a.mp4"


def test_as_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "deep" / "log.bag"
    command = [sys.executable, "-m", "mediaref_tools.sample", str(path), "--container", "rosbag1", "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}\n"
    assert done.stderr == ""
    assert main([str(path)]) == 1
    assert capsys.readouterr().err.startswith("error: something is there already")


def test_importing_is_cheap() -> None:
    """Nothing heavy comes along before a log is made."""
    code = "import sys, mediaref_tools.sample; print([m for m in ('PIL', 'rosbags', 'mcap', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
