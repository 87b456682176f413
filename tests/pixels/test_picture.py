"""From image values to encoder-ready planes."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue, sniff
from mediaref_tools.pixels.file import file_size
from mediaref_tools.pixels.picture import Picture, PixelDecoder, luma
from mediaref_tools.pixels.plane import plane, same_pixels
from mediaref_tools.pixels.policy import Policy
from mediaref_tools.pixels.raster import Raster
from mediaref_tools.sample import numbered_image
from tests.pictures import taken, taken_by

Pixels = NDArray[np.uint8]

# Corners of the colour cube, greys, skin, sky, leaf and rust: wrong levels, matrices and swapped channels show.
PATCHES = np.array(
    [
        *([0, 0, 0], [255, 255, 255], [128, 128, 128], [64, 64, 64], [255, 0, 0], [0, 255, 0], [0, 0, 255]),
        *([255, 255, 0], [0, 255, 255], [255, 0, 255], [200, 150, 120], [110, 160, 220], [60, 120, 40]),
        *([150, 60, 30], [16, 16, 16], [235, 235, 235]),
    ],
    np.uint8,
)


def chart() -> Pixels:
    """Sixteen patches of 32x32: (128, 128, 3)."""
    return PATCHES.reshape(4, 4, 3).repeat(32, 0).repeat(32, 1)


def file(rgb: Pixels | Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image = rgb if isinstance(rgb, Image.Image) else Image.fromarray(rgb)
    image.save(stream, kind, **options)
    return stream.getvalue()


def compressed(data: bytes, text: str = "bgr8; jpeg compressed bgr8") -> Picture:
    return taken(ImageValue(data, text, kind="file"))


def raw(pixels: Pixels, encoding: str, padding: int = 0, extra: bytes = b"") -> ImageValue:
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    whole = np.concatenate((rows, np.full((height, padding), 0xAA, np.uint8)), axis=1)
    return ImageValue(whole.tobytes() + extra, encoding, "raw", height, width, whole.shape[1])


def as_encoded(rgb: Pixels, encoding: str) -> Pixels:
    if encoding == "mono8":
        return rgb[:, :, 1]
    pixels = rgb if encoding.startswith("rgb") else rgb[:, :, ::-1]
    if encoding.endswith("a8"):
        pixels = np.concatenate((pixels, np.full((*rgb.shape[:2], 1), 255, np.uint8)), axis=2)
    return np.ascontiguousarray(pixels)


def shown(picture: Picture) -> Pixels:
    out = np.empty((picture.height, picture.width, 3), np.uint8)
    Raster().into(picture.frame, out)
    return out


def lavc_planes(data: bytes) -> list[Pixels]:
    """What libavcodec's own JPEG decoder gives, cropped to the picture."""
    context = av.CodecContext.create("mjpeg", "r")
    assert isinstance(context, av.VideoCodecContext)
    frame = context.decode(av.Packet(data))[0]
    return [plane(frame, at)[:, : frame.planes[at].width].copy() for at in range(len(frame.planes))]


def coded(size: int) -> int:
    return max(16, size + size % 2)


def assert_padded(picture: Picture) -> None:
    """The coded size is what encoders take; outside of the picture its own edge goes on, in all three planes."""
    frame, width, height = picture.frame, picture.width, picture.height
    assert (frame.format.name, frame.width, frame.height) == ("yuvj420p", coded(width), coded(height))
    for at, scale in ((0, 1), (1, 2), (2, 2)):
        rows = plane(frame, at)[:, : frame.width // scale].astype(int)
        inner_w, inner_h = -(-width // scale), -(-height // scale)
        assert abs(rows[:, inner_w:] - rows[:, inner_w - 1 : inner_w]).max(initial=0) <= 1
        assert abs(rows[inner_h:] - rows[inner_h - 1]).max(initial=0) <= 1


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("width", "height"), [(160, 120), (161, 121), (160, 121), (161, 120), (9, 11), (8, 8), (17, 33)]
)
def test_jpeg_420_planes_are_untouched(width: int, height: int, progressive: bool) -> None:
    rgb = numbered_image(3, 240, 180)[:height, :width]
    data = file(rgb, "jpeg", quality=90, subsampling="4:2:0", progressive=progressive)
    picture = compressed(data)
    assert (picture.width, picture.height) == (width, height)
    for at, expected in enumerate(lavc_planes(data)):
        np.testing.assert_array_equal(plane(picture.frame, at)[: expected.shape[0], : expected.shape[1]], expected)
    assert_padded(picture)


@pytest.mark.parametrize("subsampling", ["4:2:2", "4:4:4"])
@pytest.mark.parametrize(("width", "height"), [(160, 120), (101, 77)])
def test_jpeg_of_other_subsampling_keeps_its_luma(subsampling: str, width: int, height: int) -> None:
    rgb = numbered_image(3, width, height)
    data = file(rgb, "jpeg", quality=95, subsampling=subsampling)
    picture = compressed(data)
    full = lavc_planes(data)
    np.testing.assert_array_equal(luma(picture), full[0])
    assert_padded(picture)
    # Chroma is the mean of what it stands for, in its place: a shift or a swap of planes would be far off.
    for at in (1, 2):
        wide = full[at][: height // 2 * 2].astype(float).repeat(1 if subsampling == "4:4:4" else 2, 1)
        wide = wide[:, : width // 2 * 2]
        mean = wide.reshape(height // 2, 2, -1).mean(1).reshape(height // 2, width // 2, 2).mean(2)
        got = plane(picture.frame, at)[: height // 2, : width // 2]
        assert np.abs(got - mean).mean() < 1.0


def test_gray_jpeg_and_png_keep_their_luma_and_have_no_colour() -> None:
    gray = numbered_image(3, 91, 67)[:, :, 0]
    for kind in ("jpeg", "png"):
        data = file(gray, kind)
        picture = compressed(data)
        expected = lavc_planes(data)[0] if kind == "jpeg" else gray
        np.testing.assert_array_equal(luma(picture), expected)
        assert_padded(picture)
        assert all((plane(picture.frame, at)[:, :46] == 128).all() for at in (1, 2))


@pytest.mark.parametrize(
    "kind", ["rgb8", "bgr8", "rgba8", "bgra8", "png", "png alpha", "png palette", "jpeg", "jpeg 444"]
)
def test_colour_chart_comes_back_within_two_levels(kind: str) -> None:
    rgb = chart()
    if kind.endswith("8"):
        picture = taken(raw(as_encoded(rgb, kind), kind, padding=5))
        allowed = 2
    elif kind.startswith("png"):
        mode = {"png": "RGB", "png alpha": "RGBA"}.get(kind)
        image = Image.fromarray(rgb)
        picture = compressed(file(image.quantize(16) if mode is None else image.convert(mode), "png"))
        allowed = 2
    else:
        data = file(rgb, "jpeg", quality=100, subsampling="4:4:4" if kind[5:] else "4:2:0")
        picture = compressed(data)
        allowed = 2
    got = shown(picture)
    # The middles of patches: at their edges chroma is blurred, as it is in every 4:2:0 picture.
    for patch, colour in enumerate(PATCHES):
        y, x = patch // 4 * 32, patch % 4 * 32
        middle = got[y + 8 : y + 24, x + 8 : x + 24].astype(int)
        assert np.abs(middle - colour).max() <= allowed, (colour.tolist(), middle[0, 0].tolist())


def test_mono8_is_full_range_and_grey() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = taken(raw(ramp, "mono8", padding=3))
    np.testing.assert_array_equal(luma(picture), ramp)
    assert np.abs(shown(picture).astype(int) - ramp[:, :, None]).max() <= 1


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "png"])
@pytest.mark.parametrize(("width", "height"), [(99, 63), (11, 9), (8, 9), (18, 17)])
@pytest.mark.parametrize("padding", [0, 1, 13])
def test_odd_sizes_are_padded_by_their_edge_and_cropped_back(
    encoding: str, width: int, height: int, padding: int
) -> None:
    rgb = np.ascontiguousarray(numbered_image(5, 120, 90)[20 : 20 + height, 10 : 10 + width])
    even = np.pad(rgb, ((0, 40), (0, 40), (0, 0)), mode="edge")[: height + 32 + height % 2, : width + 32 + width % 2]
    if encoding == "png":
        picture = compressed(file(rgb, "png"))
        whole = compressed(file(even, "png"))
    else:
        picture = taken(raw(as_encoded(rgb, encoding), encoding, padding))
        whole = taken(raw(as_encoded(even, encoding), encoding))
    assert (picture.width, picture.height) == (width, height)
    assert_padded(picture)
    assert luma(picture).shape == (height, width)
    # The same picture, padded by hand to an even size, in every plane; a scaled or shifted one would differ.
    for at, scale in ((0, 1), (1, 2), (2, 2)):
        h, w = -(-height // scale), -(-width // scale)
        ours, theirs = (plane(p.frame, at)[:h, :w].astype(int) for p in (picture, whole))
        assert np.abs(ours - theirs).max() <= 1
    assert shown(picture).shape == (height, width, 3)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "jpeg", "png"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 3), (7, 90), (90, 7)])
def test_tiny_pictures_are_stored_without_loss(encoding: str, width: int, height: int) -> None:
    rgb = np.ascontiguousarray(numbered_image(5, 120, 90)[:height, :width])
    if encoding in ("jpeg", "png"):
        image = ImageValue(file(rgb, encoding), encoding, "file")
    else:
        image = raw(as_encoded(rgb, encoding), encoding)
    usual, whole = taken(image), PixelDecoder(Policy(lossless=True)).take(image)
    assert isinstance(whole, Picture)
    assert usual.lossless
    assert usual.frame.format.name == whole.frame.format.name
    assert same_pixels(usual.frame, whole.frame, width, height)


def test_bytes_after_the_pixels_are_ignored_and_missing_ones_are_not() -> None:
    rgb = numbered_image(1, 80, 48)
    plain = taken(raw(rgb, "rgb8", 4))
    more = taken(raw(rgb, "rgb8", 4, extra=b"\xff" * 1000))
    np.testing.assert_array_equal(luma(plain), luma(more))
    jpeg = file(rgb, "jpeg")
    np.testing.assert_array_equal(luma(compressed(jpeg + b"\0" * 64)), luma(compressed(jpeg)))
    short = raw(rgb, "rgb8", 4)
    with pytest.raises(ImageError, match="bytes of data are less than step 244 x height 48"):
        taken(ImageValue(short.data[:-1], "rgb8", "raw", 48, 80, 244))
    with pytest.raises(ImageError, match="step 239 is less than a row"):
        taken(ImageValue(short.data, "rgb8", "raw", 48, 80, 239))


def test_pictures_in_a_row_do_not_bleed_into_each_other() -> None:
    decoder = PixelDecoder()
    for kind, sizes in (("png", ((80, 48), (80, 48), (81, 49))), ("jpeg", ((80, 48), (80, 48)))):
        pictures = [file(numbered_image(n * 9, *size)[:: (-1) ** n], kind) for n, size in enumerate(sizes)]
        alone = [luma(compressed(data)).copy() for data in pictures]
        together = [taken_by(decoder, ImageValue(data, "", kind="file")) for data in pictures]  # all kept alive
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, luma(other))
    rows = [taken_by(decoder, raw(numbered_image(n, 81, 49), "rgb8")) for n in (1, 40)]
    np.testing.assert_array_equal(luma(rows[0]), luma(taken(raw(numbered_image(1, 81, 49), "rgb8"))))


def test_the_source_bytes_are_left_alone_and_views_are_taken() -> None:
    pixels = bytearray(raw(numbered_image(1, 81, 49), "bgr8", 1).data)
    before = bytes(pixels)
    picture = taken(ImageValue(memoryview(pixels), "bgr8", "raw", 49, 81, 244))
    plane(picture.frame, 0)[:] = 7
    assert bytes(pixels) == before
    jpeg = file(numbered_image(1, 80, 48), "jpeg")
    assert compressed(memoryview(b"xx" + jpeg)[2:]).height == 48  # type: ignore[arg-type]


def test_header_of_a_file_tells_its_size() -> None:
    for kind in ("jpeg", "png", "webp"):
        assert file_size(file(numbered_image(1, 81, 49), kind)) == (81, 49)
    assert file_size(b"") == file_size(b"\xff\xd8\xff") == file_size(b"junk") == (0, 0)


def test_media_types_are_told_by_first_bytes_alone() -> None:
    for kind in ("jpeg", "png", "gif", "bmp", "tiff", "webp"):
        data = file(numbered_image(1, 80, 48), kind)
        assert sniff(data) == sniff(memoryview(data)) == f"image/{kind}"
    assert sniff(b"") == sniff(b"\xff\xd8") == sniff(b"RIFF1234WAVE") == "application/octet-stream"
    raw_type = ImageValue(b"\xff\xd8\xff", "rgb8", "raw", 1, 1, 3).media_type
    assert raw_type == "application/vnd.mediaref.raw-image;encoding=rgb8;height=1;width=1;step=3;big-endian=0"
    assert ImageValue(b"", "what is this?", "raw").media_type == "application/octet-stream"
    assert ImageValue(b"", "hevc_nvenc;nv12;bgr8", "packet").media_type == "video/h265"
