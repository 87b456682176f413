"""What can't become video is refused, with the reason, before its bytes are lost."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from mediaref_tools.pixels.picture import PixelDecoder, luma
from mediaref_tools.pixels.plane import plane
from mediaref_tools.sample import numbered_image
from tests.pictures import taken, taken_by
from tests.pixels.test_picture import as_encoded, compressed, file, raw


@pytest.mark.parametrize(("width", "height"), [(0, 48), (80, 0), (0, 0), (2**20, 2**20)])
def test_sizes_out_of_range_are_refused(width: int, height: int) -> None:
    with pytest.raises(ImageError, match=f"image of {width}x{height} pixels"):
        taken(ImageValue(b"\0" * 100_000, "mono8", "raw", height, width, width))


@pytest.mark.parametrize("encoding", ["rgba8", "bgra8"])
def test_raw_alpha_is_kept_unless_it_is_opaque(encoding: str) -> None:
    pixels = as_encoded(numbered_image(1, 80, 48), encoding)
    assert not taken(raw(pixels, encoding, 7)).lossless  # padding of 0xAA is not alpha
    pixels[47, 79, 3] = 254
    picture = taken(raw(pixels, encoding, 7))
    assert (picture.lossless, picture.frame.format.name) == (True, "bgra")
    expected = pixels if encoding == "bgra8" else pixels[..., [2, 1, 0, 3]]
    np.testing.assert_array_equal(plane(picture.frame, 0)[:48, :320].reshape(48, 80, 4), expected)


def test_file_alpha_is_kept_unless_it_is_opaque() -> None:
    for mode in ("RGBA", "LA"):
        image = Image.fromarray(numbered_image(1, 81, 49)).convert(mode)
        assert not compressed(file(image, "png")).lossless
        image.putpixel((80, 48), (9, 9, 9, 254)[-len(mode) :])
        picture = compressed(file(image, "png"))
        assert (picture.lossless, picture.frame.format.name) == (True, "bgra")
        shown = plane(picture.frame, 0)[:49, : 4 * 81].reshape(49, 81, 4)[..., [2, 1, 0, 3]]
        np.testing.assert_array_equal(shown, np.asarray(image.convert("RGBA")))
    palette = Image.fromarray(numbered_image(1, 80, 48)).quantize(16)
    used = palette.getpixel((0, 0))
    assert not compressed(file(palette, "png")).lossless
    assert compressed(file(palette, "png", transparency=used)).lossless


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(numbered_image(number, 80, 48)) for number in (1, 2)]
    return file(frames[0], kind, save_all=True, append_images=frames[1:])


def _png(width: int, height: int, depth: int, colour: int, body: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(body)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "text", "reason"),
    [
        (b"", "jpeg", "0 bytes"),
        (b"\xff\xd8\xff", "jpeg", "jpeg of 3 bytes"),
        (file(numbered_image(1, 80, 48), "jpeg")[:300], "jpeg", "jpeg of 300 bytes"),
        (file(numbered_image(1, 80, 48), "png")[:-200], "png", "png of"),
        (file(numbered_image(1, 80, 48), "webp")[:-200], "jpeg", "image/webp"),
        (file(numbered_image(1, 80, 48), "bmp")[:-200], "png", "image/bmp"),
        (file(numbered_image(1, 80, 48), "tiff")[:-2000], "png", "tiff of"),
        (animation("gif"), "gif", "image/gif is an animation"),
        (animation("webp"), "webp", "image/webp is an animation"),
        (b"\xff\x0a" + b"\0" * 40, "jxl", "image/jxl"),
        (file(Image.fromarray(np.ones((8, 8), np.float32)), "tiff"), "tiff", "tiff"),
        (b"\0\0\0\x01\x67\x42", "h264", "video/annexb.*'h264'"),
        (b"<svg xmlns='x'/>", "jpeg", "octet-stream"),
        (_png(0, 4, 8, 0, b""), "png", "png of"),
        (b"\0" * 12 + file(numbered_image(1, 80, 48), "png"), "16UC1; compressedDepth png", "depth in format '16UC1"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_can_not_become_video_is_refused_with_the_reason(data: bytes, text: str, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        compressed(data, text)


@pytest.mark.parametrize("encoding", ["32FC1", "64FC1", "8SC1", "16SC1", "32SC1", "8UC2", "8UC5", "", "nonsense"])
def test_other_encodings_are_kept_by_name(encoding: str) -> None:
    with pytest.raises(ImageError, match=f"encoding '{encoding}' is kept exactly as it is"):
        taken(ImageValue(b"\0" * 64, encoding, "raw", 4, 4, 16))


@pytest.mark.parametrize("encoding", ["uyvy", "yuyv", "nv12", "nv21", "i420"])
def test_yuv_of_odd_sizes_is_refused(encoding: str) -> None:
    with pytest.raises(ImageError, match="it can't be odd"):
        taken(ImageValue(b"\0" * 400, encoding, "raw", 9, 9, 18))


def test_packets_of_video_are_no_pictures() -> None:
    with pytest.raises(ImageError, match="'h264' is a packet of video"):
        taken(ImageValue(b"\0\0\0\1\x67", "h264", "packet"))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("part", [0.5, 0.8, 0.95])
def test_cut_jpeg_is_refused(part: float, progressive: bool) -> None:
    data = file(numbered_image(1, 160, 120), "jpeg", progressive=progressive)
    with pytest.raises(ImageError):
        compressed(data[: int(len(data) * part)])


def test_the_end_of_a_thumbnail_is_not_the_pictures_end() -> None:
    rgb = numbered_image(1, 160, 120)
    plain, small = file(rgb, "jpeg"), file(rgb[::2, ::2], "jpeg")
    exif = b"Exif\0\0" + small  # where a thumbnail lies in it does not matter here
    data = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    np.testing.assert_array_equal(luma(compressed(data)), luma(compressed(plain)))
    for part in (100, 500, len(plain) // 2):
        with pytest.raises(ImageError):
            compressed(data[:-part])


def test_a_few_bytes_that_claim_a_huge_picture_are_refused() -> None:
    data = bytearray(file(np.full((64, 64, 3), 7, np.uint8), "jpeg", progressive=True))
    at = data.find(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", 4000, 4000)
    with pytest.raises(ImageError):
        compressed(bytes(data))


def test_damaged_files_give_a_picture_or_image_error() -> None:
    rng = np.random.default_rng(7)
    decoder = PixelDecoder()
    for kind in ("jpeg", "png"):
        data = file(numbered_image(1, 80, 48), kind)
        refused = 0
        for _ in range(300):
            damaged = bytearray(data)
            for at in rng.integers(0, len(data), 3):
                damaged[at] = rng.integers(256)
            try:
                taken_by(decoder, ImageValue(bytes(damaged), "", kind="file"))
            except ImageError:
                refused += 1
        assert refused > 0
