"""Numbered pictures in every encoding: read back from every container by what others wrote, and worked out by hand."""

from __future__ import annotations

import gzip
import io
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest
import zstandard
from numpy.typing import NDArray
from PIL import Image, features

from mediaref_tools.errors import ImageError
from mediaref_tools.sample import ImageEncoding, frame_number, numbered_image, numbered_pixels, numbered_topic
from mediaref_tools.samples.encodings import ENCODINGS, ENCODINGS_SIZE, EncodingTopic, encoding_topics, make_encodings
from mediaref_tools.samples.imagefiles import file_pixels, image_file
from mediaref_tools.samples.rawimages import raw_image, raw_pixels, viewable, yuv_planes
from tests.pixels.test_rvl import encoded
from tests.samples.test_sample import CONTAINERS, out, read
from tests.smalllogs import every_container

HEIGHT, WIDTH = ENCODINGS_SIZE
LOSSY = ("jpeg", "webp", "avif")
FOURCC = {
    "uyvy": "uyvy422", "yuv422": "uyvy422", "yuyv": "yuyv422", "yuv422_yuy2": "yuyv422",
    "nv12": "nv12", "nv21": "nv21", "nv24": "nv24", "i420": "yuv420p",
}  # fmt: skip


def raw_values(body: Any) -> NDArray[Any]:
    """Pixels of an Image by its fields: the kinds of OpenCV by their regular expression, ROS's own by name."""
    name = body.encoding
    kinds = {"U": "u", "S": "i", "F": "f"}
    if found := re.fullmatch(r"(8|16|32|64)(U|S|F)C(\d)", name):
        dtype, channels = f"{kinds[found[2]]}{int(found[1]) // 8}", int(found[3])
        order = {3: [2, 1, 0], 4: [2, 1, 0]}.get(channels, list(range(channels))) if found[2] == "U" else [0, 1, 2]
    else:
        dtype = "u2" if name.endswith("16") else "u1"
        channels = 1 if name.startswith(("mono", "bayer")) else 4 if "a" in name else 3
        order = [2, 1, 0] if name.startswith("bgr") else [0, 1, 2]
    dtype = (">" if body.is_bigendian else "<") + dtype
    row = body.width * channels * np.dtype(dtype).itemsize
    rows = np.frombuffer(bytes(body.data), np.uint8, body.height * body.step).reshape(body.height, body.step)
    values = np.ascontiguousarray(rows[:, :row]).view(dtype).reshape(body.height, body.width, channels)
    if channels == 4:
        assert (values[..., 3] == (255 if values.dtype.itemsize == 1 else 65535)).all()
    values = values[..., 0] if channels == 1 else values[..., [at for at in order if at < channels]]
    return values.astype(values.dtype.newbyteorder("="))


def yuv_values(body: Any) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """The RGB that libswscale makes of a yuv Image, and its planes as libav splits them."""
    frame = av.VideoFrame(body.width, body.height, FOURCC[body.encoding])
    at = 0
    data = bytes(body.data)
    for index, plane in enumerate(frame.planes):
        step = body.step
        if index:
            step = {"yuv420p": step // 2, "nv24": step * 2}.get(frame.format.name, step)
        rows = np.frombuffer(data, np.uint8, plane.height * step, at).reshape(plane.height, step)
        at += rows.size
        used = min(step, plane.line_size)
        whole = np.zeros((plane.height, plane.line_size), np.uint8)
        whole[:, :used] = rows[:, :used]
        plane.update(whole.tobytes())
    planar = "yuv420p" if frame.format.name in ("nv12", "nv21", "yuv420p") else "yuv444p"
    planar = "yuv422p" if "422" in frame.format.name else planar
    split = frame.reformat(format=planar)
    planes = [
        np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in split.planes
    ]
    return frame.to_ndarray(format="rgb24").astype(np.uint8), planes


def file_values(body: Any) -> NDArray[Any]:
    data = bytes(body.data)
    if body.format == "zstd":
        height, width, _, step, length = struct.unpack_from("<IIBII", data)
        assert data[17 : 17 + length] == b"bgr8"
        packed = data[17 + length :]
        unpack: dict[bytes, Any] = {b"\x1f\x8b": gzip.decompress, b"\x28\xb5": zstandard.decompress}
        raw = unpack.get(packed[:2], zlib.decompress)(packed)
        rows = np.frombuffer(raw, np.uint8, height * step).reshape(height, step)
        return rows[:, : 3 * width].reshape(height, width, 3)[..., ::-1]
    if body.format == "rgb16; png compressed bgr16":  # Pillow would cut it to 8 bits
        return deep_rgb(data)
    image: Image.Image = Image.open(io.BytesIO(data))
    if image.mode in ("CMYK", "P"):
        image = image.convert("RGB")
    values = np.asarray(image)
    swapped = body.format in ("rgb8; jpeg compressed", "bgr8; png compressed rgb8")
    return values[..., ::-1] if swapped else values.astype(values.dtype.newbyteorder("="))


def deep_rgb(data: bytes) -> NDArray[np.uint16]:
    context = av.CodecContext.create("png", "r")
    assert isinstance(context, av.VideoCodecContext)
    (frame,) = context.decode(av.Packet(data))
    return frame.to_ndarray(format="rgb48le").astype(np.uint16)


def same(values: NDArray[Any], expected: NDArray[Any]) -> bool:
    return values.dtype == expected.dtype and np.array_equal(values, expected, equal_nan=values.dtype.kind == "f")


def psnr(values: NDArray[Any], expected: NDArray[Any]) -> float:
    error = np.square(values.astype(float) - expected).mean()
    return float(10 * np.log10(255**2 / error)) if error else 99.0


def check(body: Any, topic: EncodingTopic, number: int) -> None:
    expected = numbered_pixels(number, topic.encoding, ENCODINGS_SIZE)
    assert frame_number(viewable(expected)) == number
    if topic.encoding in FOURCC:
        rgb, planes = yuv_values(body)
        for plane, wanted in zip(
            planes, yuv_planes(numbered_image(number, WIDTH, HEIGHT), topic.encoding), strict=True
        ):
            assert np.array_equal(plane, wanted)
        assert frame_number(rgb) == number
        assert psnr(rgb, expected) > 35
        return
    if topic.encoding.startswith("compressedDepth"):
        check_depth(body, topic, number)
        return
    values = file_values(body) if hasattr(body, "format") else raw_values(body)
    assert values.shape == expected.shape
    assert frame_number(viewable(values)) == number
    if topic.encoding.startswith(LOSSY) and topic.encoding != "webp-lossless":
        assert (22 if topic.encoding == "jpeg-cmyk" else 33) < psnr(values, expected) < 99, topic.encoding
    else:
        assert same(values, expected)


def check_depth(body: Any, topic: EncodingTopic, number: int) -> None:
    rgb = numbered_image(number, WIDTH, HEIGHT)
    data = bytes(body.data)
    is_float = topic.encoding.endswith("32FC1")
    metres = raw_pixels(rgb, "32FC1")
    a, b = 10100.0, -1009.0
    if is_float:
        with np.errstate(invalid="ignore"):
            stored = np.where(np.isnan(metres), 0, np.float32(a) / metres + np.float32(b)).astype(np.uint16)
    else:
        stored = raw_pixels(rgb, "16UC1")
    if topic.depth_header:
        assert data[:12] == (struct.pack("<iff", 0, a, b) if is_float else bytes(12))
        data = data[12:]
    if "rvl" in topic.encoding:
        assert data == encoded(stored)
    else:
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), stored)
    expected = numbered_pixels(number, topic.encoding, ENCODINGS_SIZE)
    if is_float:
        with np.errstate(divide="ignore"):
            assert same(expected, np.where(stored == 0, np.nan, a / (stored - np.float32(b))).astype(np.float32))
        assert np.nanmax(np.abs(expected - metres)) < 3.1**2 / a
    else:
        assert same(expected, stored)


@every_container
def test_every_encoding(tmp_path: Path, container: Any) -> None:
    path = make_encodings(out(tmp_path, container), container=container, count=2)
    topics = encoding_topics()
    seen: dict[str, int] = {}
    for one in read(path, container):
        index = seen.get(one.topic, 0)
        seen[one.topic] = index + 1
        topic = topics[one.topic]
        check(one.message, topic, topic.first + index)
        if not hasattr(one.message, "format"):
            assert one.message.encoding == topic.encoding
            assert bool(one.message.is_bigendian) is topic.big_endian
            assert (one.message.height, one.message.width) == ENCODINGS_SIZE
    assert seen == dict.fromkeys(topics, 2)


def test_the_topics() -> None:
    topics = encoding_topics()
    absent = {"webp", "webp-lossless"} if not features.check("webp") else set()
    absent |= {"avif"} if not features.check("avif") else set()
    assert {topic.encoding for topic in topics.values()} == set(ENCODINGS) - absent
    assert sorted(topic.first for topic in topics.values()) == list(range(0, 100 * len(topics), 100))
    for name, topic in topics.items():
        # What ROS 2 allows: parts of letters, digits and underscores that begin with no digit.
        assert re.fullmatch(r"(/[A-Za-z][A-Za-z0-9_]*)+", name)
        assert topic.big_endian == name.endswith("/big_endian")
        assert (topic.step_padding > 0) == (topic.trailing > 0) == name.endswith("/padded")
        assert topic.depth_header != name.endswith("/bare")
    for form, least in (("big_endian", 15), ("padded", 17), ("bare", 4)):
        assert sum(name.endswith(form) for name in topics) >= least


def test_every_name_is_known_once() -> None:
    assert len(set(ENCODINGS)) == len(ENCODINGS) == len(get_args(ImageEncoding))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_seen_is_the_picture(encoding: ImageEncoding) -> None:
    """Not the number alone: the whole scene, by luma, so that a plane or a byte in another's place is noticed."""
    rgb = numbered_image(1234, 160, 96)
    seen = viewable(numbered_pixels(1234, encoding, (96, 160)))
    seen = seen[..., :3] @ np.array([0.299, 0.587, 0.114]) if seen.ndim == 3 else seen.astype(float)
    difference = np.abs(seen - rgb @ np.array([0.299, 0.587, 0.114]))
    assert np.median(difference) <= (20 if encoding == "png-palette" else 10 if "bayer" in encoding else 2)


RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)


def array(*rows: Any) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "pixels", "data"),
    [
        # Red is 81, 90, 240 in BT.601 of limited range; green 145, 54, 34; blue 41, 240, 110; white 235; black 16.
        ("uyvy", [[RED, RED]], [90, 81, 240, 81]),
        ("yuv422", [[GREEN, GREEN]], [54, 145, 34, 145]),
        ("yuyv", [[BLUE, BLUE]], [41, 240, 41, 110]),
        ("yuv422_yuy2", [[WHITE, BLACK]], [235, 128, 16, 128]),
        ("uyvy", [[RED, BLUE]], [165, 81, 175, 41]),
        ("nv24", [[RED, GREEN]], [81, 145, 90, 240, 54, 34]),
        ("nv12", [[RED, RED], [RED, RED]], [81, 81, 81, 81, 90, 240]),
        ("nv21", [[RED, RED], [RED, RED]], [81, 81, 81, 81, 240, 90]),
        ("i420", [[BLUE, WHITE], [BLACK, BLUE]], [41, 235, 16, 41, 184, 119]),
        ("rgb8", [[(1, 2, 3), (4, 5, 6)]], [1, 2, 3, 4, 5, 6]),
        ("bgr8", [[(1, 2, 3)]], [3, 2, 1]),
        ("8UC3", [[(1, 2, 3)]], [3, 2, 1]),
        ("rgba8", [[(1, 2, 3)]], [1, 2, 3, 255]),
        ("bgra8", [[(1, 2, 3)]], [3, 2, 1, 255]),
        ("8UC4", [[(1, 2, 3)]], [3, 2, 1, 255]),
        ("8UC2", [[(7, 7, 7)]], [7, 248]),
        ("mono8", [[(255, 0, 0), (0, 255, 0)]], [76, 150]),
        ("8SC1", [[(7, 7, 7), (128, 128, 128)]], [135, 0]),
        *(
            (f"bayer_{pattern}8", [[(1, 2, 3), (4, 5, 6)], [(7, 8, 9), (10, 11, 12)]], data)
            for pattern, data in [
                ("rggb", [1, 5, 8, 12]), ("bggr", [3, 5, 8, 10]), ("gbrg", [2, 6, 7, 11]), ("grbg", [2, 4, 9, 11]),
            ]
        ),
    ],
)  # fmt: skip
def test_bytes_worked_out_by_hand(encoding: str, pixels: Any, data: list[int]) -> None:
    image = raw_image(array(*pixels), encoding)
    assert list(image.data) == data
    assert image.step * len(pixels) == len(data) * 2 // {"nv24": 6, "nv12": 3, "nv21": 3, "i420": 3}.get(encoding, 2)


@pytest.mark.parametrize("encoding", FOURCC)
def test_yuv_comes_back(encoding: str) -> None:
    """Where pixels that share chroma are alike, only rounding is lost: of the strongest colours, too."""
    blocks = np.random.default_rng(3).integers(0, 256, (20, 30, 3), np.uint8)
    blocks[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    rgb = blocks.repeat(2, 0).repeat(2, 1)
    assert np.abs(raw_pixels(rgb, encoding).astype(int) - rgb).max() <= 2


def test_the_low_byte_differs_along_rows_columns_and_channels() -> None:
    low = raw_pixels(np.zeros((4, 4, 3), np.uint8), "rgb16") & 255
    assert all((np.diff(low.astype(int), axis=axis) != 0).all() for axis in range(3))


def one(value: int) -> NDArray[np.uint8]:
    return np.full((1, 2, 3), value, np.uint8)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("encoding", "form", "values"),
    [
        # The texture of the second column is 7, of the second and third channel 37 and 74.
        ("mono16", "2H", [200 << 8, 200 << 8 | 7]),
        ("bayer_rggb16", "2H", [200 << 8, 200 << 8 | 7]),
        ("rgb16", "6H", [200 << 8, 200 << 8 | 37, 200 << 8 | 74, 200 << 8 | 7, 200 << 8 | 44, 200 << 8 | 81]),
        ("bgra16", "8H", [51274, 51237, 51200, 65535, 51281, 51244, 51207, 65535]),
        ("16UC1", "2H", [2500, 2501]),
        ("32FC1", "2f", [2.5, 2.501]),
        ("64FC1", "2d", [2.5, 2.501]),
        ("16SC1", "2h", [51200 - 32768, 51207 - 32768]),
        ("32SC1", "2i", [(51200 << 16 | 0x9DAA) - 2**31, (51207 << 16 | 0x9DAD) - 2**31]),
        ("32FC3", "6f", [200 / 255] * 6),
    ],
)
def test_byte_order(encoding: str, form: str, values: list[Any], order: str) -> None:
    image = raw_image(one(200), encoding, big_endian=order == ">", step_padding=3, trailing=2)
    assert image.is_bigendian == (order == ">")
    assert image.data == struct.pack(order + form, *values) + b"\xaa" * 5
    assert image.step == len(image.data) - 2
    other = raw_image(one(200), encoding, big_endian=order == "<", step_padding=3, trailing=2)
    assert other.data != image.data


def test_holes() -> None:
    rgb = numbered_image(5, 160, 96)
    depth = raw_pixels(rgb, "16UC1")
    for encoding in ("32FC1", "64FC1"):
        metres = raw_pixels(rgb, encoding)
        assert np.array_equal(np.isnan(metres), depth == 0)
        assert np.nanmax(np.abs(metres - depth / 1000)) < (1e-6 if encoding == "32FC1" else 1e-12)
    assert not (depth[:48] == 0).any()
    assert 0.05 < (depth == 0)[48:].mean() < 0.2
    assert len(np.unique(depth % 10)) == 10
    assert 500 <= depth[depth > 0].min() < depth.max() <= 3059


@pytest.mark.parametrize(
    ("encoding", "padding", "sizes"),
    [
        ("nv12", 3, [(4, 11), (2, 11)]),
        ("nv21", 3, [(4, 11), (2, 11)]),
        ("nv24", 3, [(4, 11), (4, 22)]),
        ("i420", 6, [(4, 14), (2, 7), (2, 7)]),
        ("uyvy", 5, [(4, 21)]),
    ],
)
def test_padding_of_planes(encoding: str, padding: int, sizes: list[tuple[int, int]]) -> None:
    rgb = np.random.default_rng(2).integers(0, 160, (4, 8, 3), np.uint8)  # no value is 0xAA
    plain, padded = raw_image(rgb, encoding), raw_image(rgb, encoding, step_padding=padding)
    assert padded.step == sizes[0][1] == plain.step + padding
    at, kept = 0, b""
    for height, width in sizes:
        rows = np.frombuffer(padded.data, np.uint8, height * width, at).reshape(height, width)
        at += rows.size
        used = width * plain.step // padded.step
        assert (rows[:, used:] == 0xAA).all()
        kept += rows[:, :used].tobytes()
    assert at == len(padded.data)
    assert kept == plain.data


def test_sizes_that_can_not_be() -> None:
    for encoding, size in (("uyvy", (50, 81)), ("nv12", (49, 80)), ("i420", (50, 81)), ("yuv422_yuy2", (48, 97))):
        with pytest.raises(ImageError, match=f"can't make {encoding} of {size[1]}x{size[0]}"):
            numbered_topic("/a", [0], encoding=encoding, size=size)  # type: ignore[arg-type]
    assert numbered_topic("/a", [0], encoding="nv24", size=(49, 81))[0].body.step == 81
    with pytest.raises(ImageError, match="can't pad rows of i420 with 5"):
        numbered_topic("/a", [0], encoding="i420", size=(48, 80), step_padding=5)


@pytest.mark.parametrize("encoding", ["rgb", "8UC", "compressedDepth", "jpeg-", "", "zstd", "JPEG"])
def test_encodings_that_nobody_knows(encoding: Any) -> None:
    rgb = numbered_image(0, 80, 48)
    for call in (
        lambda: numbered_topic("/a", [0], encoding=encoding),
        lambda: numbered_pixels(0, encoding, (48, 80)),
        lambda: image_file(rgb, encoding),
        lambda: raw_image(rgb, encoding),
    ):
        with pytest.raises(ImageError, match=f"encoding '{encoding}'"):
            call()


def test_a_pillow_without_avif(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    with pytest.raises(ImageError, match="'avif': the installed Pillow"):
        image_file(numbered_image(0, 80, 48), "avif")
    assert "/image_avif" not in encoding_topics()
    assert "/image_webp" in encoding_topics()


def opened(encoding: str) -> Any:
    return Image.open(io.BytesIO(image_file(numbered_image(3, 160, 96), encoding).data))


@pytest.mark.parametrize(
    ("encoding", "mode", "kind"),
    [
        ("jpeg", "RGB", "JPEG"), ("jpeg-gray", "L", "JPEG"), ("jpeg-cmyk", "CMYK", "JPEG"), ("png", "RGB", "PNG"),
        ("png-gray", "L", "PNG"), ("png-gray16", "I;16", "PNG"), ("png-alpha", "RGBA", "PNG"),
        ("png-palette", "P", "PNG"), ("webp", "RGB", "WEBP"), ("webp-lossless", "RGB", "WEBP"), ("tiff", "RGB", "TIFF"),
        ("bmp", "RGB", "BMP"), ("avif", "RGB", "AVIF"),
    ],
)  # fmt: skip
def test_kinds_of_files(encoding: str, mode: str, kind: str) -> None:
    image = opened(encoding)
    assert (image.mode, image.format, image.size) == (mode, kind, (160, 96))


@pytest.mark.parametrize(
    ("encoding", "sampling"),
    [("jpeg", [(2, 2), (1, 1), (1, 1)]), ("jpeg-422", [(2, 1), (1, 1), (1, 1)]), ("jpeg-444", [(1, 1)] * 3),
     ("jpeg-progressive", [(2, 2), (1, 1), (1, 1)]), ("jpeg-gray", [(1, 1)])],
)  # fmt: skip
def test_subsampling(encoding: str, sampling: list[tuple[int, int]]) -> None:
    image = opened(encoding)
    assert [layer[1:3] for layer in image.layer] == sampling
    assert bool(image.info.get("progressive")) is (encoding == "jpeg-progressive")


def test_exif_turns_nothing_by_itself() -> None:
    image = opened("jpeg-exif")
    assert image.getexif()[274] == 6
    assert frame_number(np.asarray(image)) == 3


def test_swapped_files() -> None:
    rgb = numbered_image(3, 160, 96)
    assert np.array_equal(np.asarray(opened("png-swapped")), rgb[..., ::-1])
    assert psnr(np.asarray(opened("jpeg-swapped")), rgb[..., ::-1]) > 30 > psnr(np.asarray(opened("jpeg-swapped")), rgb)
    assert np.array_equal(file_pixels(rgb, "jpeg-swapped"), rgb)


def test_transparency_and_palette() -> None:
    rgb = numbered_image(3, 160, 96)
    values = np.asarray(opened("png-alpha"))
    assert (values[:48, :, 3] == 255).all()
    assert values[-1, 0, 3] == 0
    assert np.array_equal(values[..., :3], rgb)
    palette = np.asarray(opened("png-palette").convert("RGB"))
    assert np.abs(palette.astype(int) - rgb).max() <= 85
    assert len(np.unique(palette.reshape(-1, 3), axis=0)) > 8


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_log_is_the_same_every_time(tmp_path: Path, container: Any) -> None:
    contents = []
    for name in ("a", "b"):
        path = make_encodings(out(tmp_path / name, container), container=container, count=1)
        paths = sorted(path.iterdir()) if path.is_dir() else [path]
        contents.append([(each.name, each.read_bytes()) for each in paths])
    assert contents[0] == contents[1]


def test_as_a_program(tmp_path: Path) -> None:
    path = tmp_path / "log.mcap"
    command = [sys.executable, "-m", "mediaref_tools.sample", str(path), "--container", "mcap", "--encodings"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{path}\n", "")
    counts = [one.topic for one in read(path, "mcap")]
    assert {name: counts.count(name) for name in counts} == dict.fromkeys(encoding_topics(), 10)
    assert path.stat().st_size < 16_000_000
