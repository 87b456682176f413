"""Still images: what each kind of file decodes to, how it is turned, and what damage of it says."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from mediaref_tools import DataURI, MediaRef
from mediaref_tools.errors import ExtraError, MediaError, MediaNotFound, MediarefError, RefError
from mediaref_tools.media.still import Still
from mediaref_tools.pixels.raster import Format
from tests.smallimages import colours, deep, exif, png, png16, saved, tiff16
from tests.smallvideos import write_video

RGB = colours()
RGBA = colours(channels=4)
GRAY = RGB[..., 0].copy()
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def decoded(data: bytes, wanted: Format = "rgb", **options: bool) -> NDArray[Any]:
    return Still(data, "name.img", **options).array(wanted)


def palette(transparent: int | None = None) -> Image.Image:
    """A picture of four colours, one of which may be seen through."""
    image = Image.fromarray((RGB[..., 0] // 60).astype(np.uint8), "L").convert("P")
    image.putpalette([10, 20, 30, 200, 0, 0, 0, 210, 0, 0, 0, 220])
    image.putdata((RGB[..., 0] // 60).ravel().tolist())
    if transparent is not None:
        image.info["transparency"] = transparent
    return image


PALETTE = np.array([[10, 20, 30], [200, 0, 0], [0, 210, 0], [0, 0, 220]], np.uint8)[RGB[..., 0] // 60]


# What each kind decodes to


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(saved(RGB, "PNG"), RGB, id="png"),
        pytest.param(saved(GRAY, "PNG"), np.dstack([GRAY] * 3), id="png-gray"),
        pytest.param(saved(RGBA, "PNG"), RGBA[..., :3], id="png-rgba"),
        pytest.param(saved(palette(), "PNG"), PALETTE, id="png-palette"),
        pytest.param(saved(palette(2), "PNG"), PALETTE, id="png-palette-transparent"),
        pytest.param(saved(GRAY > 90, "PNG"), np.dstack([(GRAY > 90) * np.uint8(255)] * 3), id="png-1-bit"),
        pytest.param(saved(RGB, "WEBP", lossless=True), RGB, id="webp"),
        pytest.param(saved(RGBA, "WEBP", lossless=True, exact=True), RGBA[..., :3], id="webp-rgba"),
        pytest.param(saved(RGB, "BMP"), RGB, id="bmp"),
        pytest.param(saved(GRAY, "BMP"), np.dstack([GRAY] * 3), id="bmp-gray"),
        pytest.param(saved(palette(), "GIF"), PALETTE, id="gif"),
        pytest.param(saved(RGB, "TIFF"), RGB, id="tiff"),
        pytest.param(saved(RGB, "TIFF", compression="tiff_lzw"), RGB, id="tiff-lzw"),
        pytest.param(saved(GRAY, "TIFF"), np.dstack([GRAY] * 3), id="tiff-gray"),
    ],
)
def test_lossless_files_decode_to_their_pixels(data: bytes, wanted: NDArray[np.uint8]) -> None:
    assert np.array_equal(decoded(data), wanted)
    assert np.array_equal(decoded(data, "bgr"), wanted[..., ::-1])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        pytest.param(saved(RGB, "JPEG", quality=95, subsampling="4:2:0"), RGB, id="jpeg-420"),
        pytest.param(saved(RGB, "JPEG", quality=95, subsampling="4:4:4"), RGB, id="jpeg-444"),
        pytest.param(saved(RGB, "JPEG", quality=95, progressive=True), RGB, id="jpeg-progressive"),
        pytest.param(saved(GRAY, "JPEG", quality=95), np.dstack([GRAY] * 3), id="jpeg-gray"),
        pytest.param(saved(Image.fromarray(RGB).convert("CMYK"), "JPEG", quality=95), RGB, id="jpeg-cmyk"),
        pytest.param(saved(RGB, "WEBP", quality=95), RGB, id="webp"),
        pytest.param(
            saved(RGB, "AVIF", quality=95) if features.check("avif") else b"", RGB, id="avif", marks=needs_avif
        ),
    ],
)
def test_lossy_files_decode_to_about_their_pixels(data: bytes, wanted: NDArray[np.uint8]) -> None:
    assert np.abs(decoded(data).astype(int) - wanted).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_picture_of_several_is_taken(kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    others = [Image.fromarray(255 - RGB), Image.new("RGB", (24, 16), "red")]
    first = palette() if kind == "GIF" else Image.fromarray(RGB)
    data = saved(first, kind, save_all=True, append_images=others, **options)
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert np.array_equal(decoded(data), PALETTE if kind == "GIF" else RGB)


# Formats


def test_formats_of_colour() -> None:
    data = saved(RGBA, "PNG")
    assert np.array_equal(decoded(data, "rgb"), RGBA[..., :3])
    assert np.array_equal(decoded(data, "bgr"), RGBA[..., 2::-1])
    assert np.array_equal(decoded(data, "rgba"), RGBA)
    assert np.array_equal(decoded(data, "bgra"), RGBA[..., [2, 1, 0, 3]])
    assert np.array_equal(decoded(data, "native"), RGBA)
    luma = RGBA[..., :3] @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decoded(data, "gray") - luma).max() <= 1


def test_what_has_no_alpha_is_opaque() -> None:
    for data in (saved(RGB, "PNG"), saved(GRAY, "PNG"), saved(RGB, "JPEG"), png16(deep(4, 5)), png16(deep(4, 5, 3))):
        assert (decoded(data, "rgba")[..., 3] == 255).all()
        assert (decoded(data, "bgra")[..., 3] == 255).all()


def test_transparent_colours_of_a_palette_are_transparent() -> None:
    for data in (saved(palette(2), "PNG"), saved(palette(2), "GIF")):
        found = decoded(data, "rgba")
        assert np.array_equal(found[..., 3] == 0, RGB[..., 0] // 60 == 2)
        assert np.array_equal(decoded(data, "native"), found)
    assert (decoded(saved(palette(), "PNG"), "rgba")[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("data", "shape", "dtype"),
    [
        pytest.param(saved(GRAY, "PNG"), (16, 24), np.uint8, id="gray"),
        pytest.param(saved(GRAY > 9, "PNG"), (16, 24), np.uint8, id="1-bit"),
        pytest.param(saved(RGB, "JPEG"), (16, 24, 3), np.uint8, id="jpeg"),
        pytest.param(saved(GRAY, "JPEG"), (16, 24), np.uint8, id="jpeg-gray"),
        pytest.param(saved(palette(), "PNG"), (16, 24, 3), np.uint8, id="palette"),
        pytest.param(saved(np.dstack([GRAY, GRAY]), "PNG"), (16, 24, 4), np.uint8, id="gray-alpha"),
        pytest.param(png16(deep(6, 8)), (6, 8), np.uint16, id="gray-16"),
        pytest.param(png16(deep(6, 8, 2)), (6, 8, 4), np.uint16, id="gray-alpha-16"),
        pytest.param(png16(deep(6, 8, 3)), (6, 8, 3), np.uint16, id="rgb-16"),
        pytest.param(png16(deep(6, 8, 4)), (6, 8, 4), np.uint16, id="rgba-16"),
        pytest.param(saved(deep(6, 8).astype(np.float32), "TIFF"), (6, 8), np.float32, id="float-tiff"),
        pytest.param(saved(deep(6, 8).astype(np.int32), "TIFF"), (6, 8), np.int32, id="int-tiff"),
    ],
)
def test_native_keeps_what_the_file_has(data: bytes, shape: tuple[int, ...], dtype: type) -> None:
    found = decoded(data, "native")
    assert (found.shape, found.dtype) == (shape, np.dtype(dtype))
    assert Still(data, "name").size == shape[:2]


@pytest.mark.parametrize("channels", [0, 3, 4])
def test_native_png_of_16_bits_is_exact(channels: int) -> None:
    pixels = deep(6, 8, channels) if channels else deep(6, 8)
    assert np.array_equal(decoded(png16(pixels), "native"), pixels)


def test_native_gray_with_alpha_of_16_bits_is_exact() -> None:
    pixels = deep(6, 8, 2)
    found = decoded(png16(pixels), "native")
    assert np.array_equal(found[..., 3], pixels[..., 1])
    for channel in range(3):
        assert np.array_equal(found[..., channel], pixels[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [0, 3, 4])
def test_native_tiff_of_16_bits_is_exact(channels: int, order: str) -> None:
    pixels = deep(6, 8, channels) if channels else deep(6, 8)
    if channels:
        data = tiff16(pixels, order=order)
    else:
        data = saved(
            Image.fromarray(pixels)
            if order == "<"
            else Image.frombytes("I;16B", (8, 6), pixels.astype(">u2").tobytes()),
            "TIFF",
        )
    assert np.array_equal(decoded(data, "native"), pixels)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_native_tiff_of_32_bits_is_exact_and_nothing_else_is_guessed(kind: type) -> None:
    pixels: NDArray[Any] = (deep(6, 8).astype(np.int64) * 3 - 70_000).astype(kind)
    data = saved(pixels, "TIFF")
    assert np.array_equal(decoded(data, "native"), pixels)
    for wanted in ("rgb", "gray", "bgra"):
        with pytest.raises(MediaError, match=r"native.*name\.img"):
            decoded(data, wanted)


@pytest.mark.parametrize(
    "make", [lambda pixels: png16(pixels), lambda pixels: saved(Image.fromarray(pixels), "TIFF")], ids=["png", "tiff"]
)
def test_16_bits_are_shown_by_their_upper_8(make: Callable[[NDArray[np.uint16]], bytes]) -> None:
    """Pillow itself cuts everything above 255 to white."""
    pixels = deep(6, 8)
    upper = (pixels >> 8).astype(np.uint8)
    data = make(pixels)
    assert np.array_equal(decoded(data, "gray"), upper)
    assert np.array_equal(decoded(data, "rgb"), np.dstack([upper] * 3))
    assert np.array_equal(decoded(data, "bgra"), np.dstack([upper] * 3 + [np.full_like(upper, 255)]))


@pytest.mark.parametrize("make", [png16, tiff16])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bits_of_colour_are_shown_by_their_upper_8(
    make: Callable[[NDArray[np.uint16]], bytes], channels: int
) -> None:
    pixels = deep(6, 8, channels)
    upper = (pixels >> 8).astype(np.uint8)
    assert np.array_equal(decoded(make(pixels), "rgb"), upper[..., :3])
    assert np.array_equal(decoded(make(pixels), "bgr"), upper[..., 2::-1])
    if channels == 4:
        assert np.array_equal(decoded(make(pixels), "rgba"), upper)


@pytest.mark.parametrize("wanted", get_args(Format))
def test_arrays_can_be_written_to(wanted: Format) -> None:
    for data in (saved(RGBA, "PNG"), saved(GRAY, "PNG"), png16(deep(4, 5)), png16(deep(4, 5, 3)), saved(RGB, "JPEG")):
        array = decoded(data, wanted)
        array[...] = 7
        assert array.flags.c_contiguous
        assert (decoded(data, wanted) != 7).any()


def test_pil_images() -> None:
    still = Still(saved(RGBA, "PNG"), "name")
    assert [still.pil(wanted).mode for wanted in ("rgb", "rgba", "gray")] == ["RGB", "RGBA", "L"]
    assert np.array_equal(np.asarray(still.pil("rgba")), RGBA)
    assert Still(png16(deep(4, 5)), "name").pil("gray").mode == "L"


@pytest.mark.parametrize("wanted", ["RGB", "", "hsv", None, 3])
def test_no_other_format(wanted: Any) -> None:
    still = Still(saved(RGB, "PNG"), "name")
    with pytest.raises(RefError, match="none of rgb, bgr, rgba, bgra, gray, native"):
        still.array(wanted)
    with pytest.raises(RefError, match="none of rgb, rgba, gray"):
        still.pil(wanted)


@pytest.mark.parametrize("wanted", ["bgr", "bgra", "native"])
def test_pil_has_no_such_order(wanted: str) -> None:
    with pytest.raises(RefError, match="none of rgb, rgba, gray"):
        Still(saved(RGB, "PNG"), "name").pil(wanted)


# Orientation

TURNED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: np.rot90(stored, 2),
    4: lambda stored: stored[::-1],
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.swapaxes(np.rot90(stored, 2), 0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
"""What EXIF 2.3, 4.6.4 says of each: 6 is shown after a quarter turn clockwise."""

EXACT: dict[str, tuple[NDArray[Any], Callable[[int], bytes]]] = {
    "png": (RGB, lambda turn: saved(RGB, "PNG", exif=exif(turn))),
    "png-gray": (GRAY, lambda turn: saved(GRAY, "PNG", exif=exif(turn))),
    "png-rgba": (RGBA, lambda turn: saved(RGBA, "PNG", exif=exif(turn))),
    "png-gray-16": (deep(6, 8), lambda turn: png16(deep(6, 8), turn)),
    "png-rgb-16": (deep(6, 8, 3), lambda turn: png16(deep(6, 8, 3), turn)),
    "png-rgba-16": (deep(6, 8, 4), lambda turn: png16(deep(6, 8, 4), turn)),
    "webp": (RGB, lambda turn: saved(RGB, "WEBP", lossless=True, exif=exif(turn))),
    "tiff": (RGB, lambda turn: saved(RGB, "TIFF", tiffinfo={274: turn})),
    "tiff-lzw": (RGB, lambda turn: saved(RGB, "TIFF", tiffinfo={274: turn}, compression="tiff_lzw")),
    "tiff-gray-16": (deep(6, 8), lambda turn: saved(deep(6, 8), "TIFF", tiffinfo={274: turn})),
    "tiff-float": (
        deep(6, 8).astype(np.float32),
        lambda turn: saved(deep(6, 8).astype(np.float32), "TIFF", tiffinfo={274: turn}),
    ),
    "tiff-rgb-16": (deep(6, 8, 3), lambda turn: tiff16(deep(6, 8, 3), turn)),
    "tiff-rgba-16-big": (deep(6, 8, 4), lambda turn: tiff16(deep(6, 8, 4), turn, ">")),
}


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("turn", TURNED)
def test_orientation_is_applied(kind: str, turn: int) -> None:
    stored, make = EXACT[kind]
    data, wanted = make(turn), TURNED[turn](stored)
    found = decoded(data, "native")
    assert found.dtype == stored.dtype
    assert np.array_equal(found, wanted)
    assert found.flags.c_contiguous
    assert Still(data, "name").size == wanted.shape[:2]
    if stored.dtype == np.uint8 and stored.ndim == 3:
        assert np.array_equal(decoded(data, "rgb"), wanted[..., :3])
        assert np.array_equal(decoded(data, "bgr"), wanted[..., 2::-1])
        assert np.array_equal(np.asarray(Still(data, "name").pil()), wanted[..., :3])
    elif stored.dtype == np.uint16:
        upper = (wanted if wanted.ndim == 2 else wanted[..., :3]) >> 8
        assert np.array_equal(decoded(data, "rgb" if wanted.ndim == 3 else "gray"), upper)


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("turn", TURNED)
def test_pixels_as_stored_are_to_be_had_too(kind: str, turn: int) -> None:
    stored, make = EXACT[kind]
    assert np.array_equal(decoded(make(turn), "native", upright=False), stored)
    assert Still(make(turn), "name", upright=False).size == stored.shape[:2]


@pytest.mark.parametrize("turn", TURNED)
@pytest.mark.parametrize("kind", ["JPEG", pytest.param("AVIF", marks=needs_avif)])
def test_orientation_of_lossy_files_is_applied(kind: str, turn: int) -> None:
    data = saved(RGB, kind, quality=95, exif=exif(turn))
    wanted = TURNED[turn](RGB)
    for order in ("rgb", "native"):
        found = decoded(data, order)
        assert found.shape == wanted.shape
        assert np.abs(found.astype(int) - wanted).mean() < 3
    assert Still(data, "name").size == wanted.shape[:2]


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_an_orientation_that_means_nothing_turns_nothing(turn: int) -> None:
    assert np.array_equal(decoded(saved(RGB, "PNG", exif=exif(turn))), RGB)
    assert np.array_equal(decoded(tiff16(deep(4, 5, 3), turn), "native"), deep(4, 5, 3))


@pytest.mark.parametrize(
    "broken", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12", b"x"]
)
def test_broken_exif_does_not_keep_a_whole_picture_back(broken: bytes) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        assert decoded(saved(RGB, kind, exif=broken)).shape == RGB.shape


# Bad input


def kinds() -> dict[str, bytes]:
    """One file of every kind."""
    files = {
        "jpeg": saved(RGB, "JPEG"),
        "jpeg-progressive": saved(RGB, "JPEG", progressive=True, exif=exif(6)),
        "jpeg-cmyk": saved(Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        "png": saved(RGBA, "PNG", exif=exif(3)),
        "png-palette": saved(palette(1), "PNG"),
        "png-16": png16(deep(6, 8)),
        "png-rgb-16": png16(deep(6, 8, 3), 5),
        "webp": saved(RGB, "WEBP", exif=exif(5)),
        "webp-lossless": saved(RGBA, "WEBP", lossless=True),
        "bmp": saved(RGB, "BMP"),
        "gif": saved(palette(), "GIF", save_all=True, append_images=[palette(1), palette(2)]),
        "tiff": saved(RGB, "TIFF", tiffinfo={274: 6}),
        "tiff-lzw": saved(RGB, "TIFF", compression="tiff_lzw"),
        "tiff-gray-16": saved(deep(6, 8), "TIFF"),
        "tiff-float": saved(deep(6, 8).astype(np.float32), "TIFF"),
        "tiff-rgb-16": tiff16(deep(6, 8, 3), 8),
    }
    return files | ({"avif": saved(RGB, "AVIF", exif=exif(7))} if features.check("avif") else {})


KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_image_is_refused(kind: str) -> None:
    """Cut anywhere in its first half, it never comes back as a picture that is partly gray.

    As a RefError where no more is left than what a video begins with, too.
    """
    data = KINDS[kind]
    for end in (1, 2, 8, len(data) // 8, len(data) // 4, len(data) // 2):
        for wanted in ("rgb", "native"):
            with pytest.raises((MediaError, RefError), match=r"name\.img"):
                decoded(data[:end], wanted)


def test_a_damaged_png_is_refused() -> None:
    """Each byte of it is under a checksum."""
    for data in (KINDS["png-rgb-16"], KINDS["png-16"], KINDS["png"]):
        begin = data.index(b"IDAT") + 4
        for at in range(begin, data.index(b"IEND") - 8):
            harmed = bytearray(data)
            harmed[at] ^= 0x5A
            with pytest.raises(MediaError):
                decoded(bytes(harmed), "native")
            with pytest.raises(MediaError):
                decoded(bytes(harmed), "rgb")


def late_exif(turn: int) -> bytearray:
    """A PNG that tells its orientation after its pixels."""
    data, body = saved(RGB, "PNG"), exif(turn).removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    return bytearray(data[:-12] + chunk + data[-12:])


@pytest.mark.parametrize("turn", TURNED)
def test_an_orientation_after_the_pixels_is_applied(turn: int) -> None:
    data = bytes(late_exif(turn))
    assert np.array_equal(decoded(data), TURNED[turn](RGB))
    assert Still(data, "name").size == TURNED[turn](RGB).shape[:2]


def test_a_png_of_broken_pixels_is_refused_though_exif_follows_them() -> None:
    """Asking for the EXIF loads the pixels, too; their checksum is right."""
    data = late_exif(6)
    at = data.index(b"IDAT")
    end = at + 4 + int.from_bytes(data[at - 4 : at])
    data[(at + end) // 2] ^= 0xFF
    data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at:end]))
    for wanted in ("rgb", "native"):
        with pytest.raises(MediaError, match=r"can't be decoded.*name\.img"):
            decoded(bytes(data), wanted)


def test_nothing_is_no_image() -> None:
    with pytest.raises(MediaError, match=r"0 bytes: name\.img"):
        Still(b"", "name.img")


@pytest.mark.parametrize(
    "data", [b"\0", b"hello, world", b"\0" * 1000, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.4"]
)
def test_something_else_is_no_image(data: bytes) -> None:
    with pytest.raises(MediaError, match=r"not an image.*name\.img") as error:
        decoded(data)
    assert repr(data[:8]) in str(error.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\x0a" + b"\0" * 30, "image/jxl: install pillow-jxl-plugin"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 30, "image/heic: install pillow-heif"),
    ],
)
def test_a_kind_that_needs_a_plugin_says_so(data: bytes, said: str) -> None:
    with pytest.raises(ExtraError, match=rf"{said}.*name\.img"):
        decoded(data)


def test_a_program_is_not_run() -> None:
    """Pillow hands PostScript to another program."""
    data = saved(RGB, "EPS")
    with pytest.raises(MediaError, match=r"EPS.*name\.img"):
        decoded(data)


def bomb(kind: str) -> bytes:
    """Headers that claim 100 000 x 100 000 pixels, where the kind can say so."""
    if kind == "png":
        return png(100_000, 100_000, 8, 2, b"\0" * 100)
    if kind == "png-16":
        return png(100_000, 100_000, 16, 2, b"\0" * 100)
    if kind == "bmp":
        data = bytearray(KINDS["bmp"])
        data[18:26] = struct.pack("<ii", 100_000, 100_000)
        return bytes(data)
    if kind == "gif":
        data = bytearray(KINDS["gif"])
        data[6:10] = struct.pack("<HH", 65_535, 65_535)
        return bytes(data)
    if kind == "jpeg":
        data = bytearray(KINDS["jpeg"])
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
        return bytes(data)
    data = bytearray(KINDS[kind])
    for tag in (256, 257):  # of a little-endian TIFF: becomes one long each
        at = next(at for at in range(len(data)) if data[at : at + 2] == struct.pack("<H", tag) and data[at + 3] == 0)
        data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 100_000)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "png-16", "bmp", "gif", "jpeg", "tiff", "tiff-rgb-16", "tiff-gray-16"])
@pytest.mark.parametrize("wanted", ["rgb", "native"])
def test_an_image_bomb_is_refused(kind: str, wanted: Format) -> None:
    with pytest.raises(MediaError, match=r"name\.img"):
        decoded(bomb(kind), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_more_pixels_than_are_handled_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    height, width = Still(KINDS[kind], "name", upright=False).size
    monkeypatch.setattr("mediaref_tools.media.still.MAX_PIXELS", height * width)
    decoded(KINDS[kind], "native")
    monkeypatch.setattr("mediaref_tools.media.still.MAX_PIXELS", height * width - 1)
    with pytest.raises(MediaError, match=rf"\d+x\d+ pixels is larger than {height * width - 1} pixels: name"):
        decoded(KINDS[kind], "native")


def test_more_bytes_than_are_handled_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(RGB, "BMP"))
    for module in ("media.still", "media.storage", "media.datauri"):
        monkeypatch.setattr(f"mediaref_tools.{module}.MAX_STILL_BYTES", 1000)
    with pytest.raises(MediaError, match="image of 1206 bytes is larger than 1000 bytes: name"):
        Still(saved(RGB, "BMP"), "name")
    with pytest.raises(MediaError, match=r"larger than 1000 bytes.*a\.png"):
        MediaRef(uri=str(tmp_path / "a.png")).to_ndarray()
    with pytest.raises(MediaError, match=r"larger than 1000 bytes.*a\.png"):
        DataURI.from_file(tmp_path / "a.png")
    with pytest.raises(MediaError, match=r"2022 characters.*data:image/png"):
        DataURI.from_uri(f"data:image/png;base64,{'A' * 2000}")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi", "clip.flv", "clip.ts", "clip.webm"])
def test_a_video_is_no_still(tmp_path: Path, name: str) -> None:
    codec = {"clip.webm": "libvpx-vp9", "clip.avi": "mpeg4"}.get(name, "libx264")
    path = write_video(tmp_path / name, range(0, 200, 40), codec=codec)
    with pytest.raises(RefError, match=rf"video.*pts_ns.*{name}"):
        MediaRef(uri=str(path)).to_ndarray()
    with pytest.raises(RefError, match=r"video.*pts_ns: name"):
        decoded(path.read_bytes())
    for kind in ("video/mp4", "image/png"):
        with pytest.raises(RefError, match=rf"pts_ns.*data:{kind};base64,.*… \(\d+ characters\)") as error:
            MediaRef(uri=DataURI.from_bytes(path.read_bytes(), kind)).to_ndarray()
        assert len(str(error.value)) < 250


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaNotFound, match=r"no such file.*gone\.png"):
        MediaRef(uri=str(tmp_path / "gone.png")).to_ndarray()
    with pytest.raises(MediaNotFound, match="no such file"):
        MediaRef(uri=f"{__file__}/a.png").to_ndarray()  # below a file


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="not a regular file"):
        MediaRef(uri=str(tmp_path)).to_ndarray()


@pytest.mark.parametrize("uri", ["a" * 5000 + ".png", "a/" * 5000 + "b.png"])
def test_a_name_that_is_too_long(uri: str) -> None:
    with pytest.raises(MediaError) as error:
        MediaRef(uri=uri).to_ndarray()
    assert len(str(error.value)) < 250
    assert not MediaRef(uri=uri).validate_uri()


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(MediaError, match=r"0 bytes.*a\.png"):
        MediaRef(uri=str(tmp_path / "a.png")).to_ndarray()


def test_no_warning_reaches_the_caller() -> None:
    """Of a TIFF with broken tags, Pillow warns."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for kind in ("tiff", "jpeg-progressive"):
            for at in range(0, len(KINDS[kind]), 3):
                harmed = bytearray(KINDS[kind])
                harmed[at] ^= 0xFF
                try:
                    decoded(bytes(harmed))
                except MediarefError:
                    continue
    assert [str(warning.message) for warning in told] == []


@pytest.mark.parametrize("kind", KINDS)
def test_damage_gives_our_errors_only(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("media.still", "pixels.file"):
        monkeypatch.setattr(f"mediaref_tools.{module}.MAX_PIXELS", 2**20)
    random_number = random.Random(kind)
    refused = 0
    for _ in range(300):
        data = bytearray(KINDS[kind])
        for _ in range(random_number.choice((1, 1, 2, 4, 16))):
            data[random_number.randrange(min(len(data), random_number.choice((40, 200, 10**6))))] = (
                random_number.choice((0, 1, 0x7F, 0x80, 0xFF, random_number.randrange(256)))
            )
        if random_number.random() < 0.2:
            del data[random_number.randrange(1, len(data)) :]
        elif random_number.random() < 0.1:
            at = random_number.randrange(len(data))
            data[at:at] = random_number.randbytes(random_number.randrange(1, 50))
        wanted: Format = random_number.choice(get_args(Format))
        still = Still(bytes(data), "name.img", upright=random_number.random() < 0.8)
        try:
            found = still.array(wanted)
        except MediarefError as error:
            assert str(error).endswith("name.img"), error
            refused += 1
        else:
            assert found.ndim == 2 or found.shape[2] in (3, 4)
            assert still.size == found.shape[:2]
    assert refused
