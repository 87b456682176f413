"""Data URIs: made from pictures and files, parsed in both encodings, and refused where they are malformed."""

from __future__ import annotations

import base64
import io
import random
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote_from_bytes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mediaref_tools import DataURI, MediaRef
from mediaref_tools.errors import MediaError, MediaNotFound, MediarefError, RefError
from tests.smallimages import colours, deep, exif, png16, saved
from tests.smallvideos import write_video

RGB = colours()
RGBA = colours(channels=4)
GRAY = RGB[..., 0].copy()
PNG = saved(RGB, "PNG")
PNG64 = base64.b64encode(PNG).decode()

InputFormat = Literal["rgb", "bgr", "rgba", "bgra"]


# From a picture


@pytest.mark.parametrize(
    ("array", "order", "seen"),
    [
        pytest.param(RGB, "rgb", RGB, id="rgb"),
        pytest.param(RGB[..., ::-1], "bgr", RGB, id="bgr"),
        pytest.param(RGBA, "rgba", RGBA, id="rgba"),
        pytest.param(RGBA[..., [2, 1, 0, 3]], "bgra", RGBA, id="bgra"),
        pytest.param(RGBA, "rgb", RGBA, id="rgb-with-alpha"),
        pytest.param(RGBA[..., [2, 1, 0, 3]], "bgr", RGBA, id="bgr-with-alpha"),
        pytest.param(GRAY, "rgb", GRAY, id="gray"),
        pytest.param(GRAY, "bgra", GRAY, id="gray-whatever-the-order"),
        pytest.param(RGB[::-2, 1::3], "rgb", RGB[::-2, 1::3], id="strided"),
        pytest.param(np.asfortranarray(RGB), "rgb", RGB, id="fortran"),
    ],
)
def test_from_an_array(array: Any, order: InputFormat, seen: Any) -> None:
    uri = DataURI.from_image(array, input_format=order)
    assert np.array_equal(uri.to_ndarray("native"), seen)
    assert uri.mimetype == "image/png"
    opaque = seen if seen.ndim == 2 else seen[..., :3]
    assert np.array_equal(DataURI.from_image(array, "bmp", input_format=order).to_ndarray("native"), opaque)
    jpeg = DataURI.from_image(array, "jpeg", 95, order).to_ndarray("native")
    assert jpeg.shape == opaque.shape
    assert np.abs(jpeg.astype(int) - opaque).mean() < 12


@pytest.mark.parametrize(
    ("array", "order"),
    [
        (RGB, "rgba"),
        (RGB, "bgra"),
        (RGB.astype(np.float32), "rgb"),
        (RGB.astype(np.uint16), "rgb"),
        (RGB.astype(np.int8), "rgb"),
        (RGB > 5, "rgb"),
        (RGB[..., :2], "rgb"),
        (RGB[..., :1], "rgb"),
        (RGB[None], "rgb"),
        (GRAY[0], "rgb"),
        (np.empty((0, 5, 3), np.uint8), "rgb"),
        (np.empty((5, 0), np.uint8), "rgb"),
        (np.uint8(5), "rgb"),
        (None, "rgb"),
        ("a.png", "rgb"),
    ],
)
def test_an_array_of_another_kind_is_refused(array: Any, order: InputFormat) -> None:
    with pytest.raises(RefError, match=r"shape \(.*dtype.*expected uint8"):
        DataURI.from_image(array, input_format=order)


@pytest.mark.parametrize("file_format", ["gif", "PNG", "jpg", "", None])
def test_no_other_file_format(file_format: Any) -> None:
    with pytest.raises(RefError, match="none of png, jpeg, bmp"):
        DataURI.from_image(RGB, file_format)


@pytest.mark.parametrize("image", [RGB, Image.fromarray(RGB)], ids=["array", "pil"])
@pytest.mark.parametrize("order", ["gray", "RGB", "", None])
def test_no_other_channel_order(image: Any, order: Any) -> None:
    with pytest.raises(RefError, match="none of rgb, bgr, rgba, bgra"):
        DataURI.from_image(image, input_format=order)


@pytest.mark.parametrize("quality", [0, 101, -5])
def test_quality_is_of_a_hundred(quality: int) -> None:
    with pytest.raises(RefError, match=f"quality {quality} is not from 1 to 100"):
        DataURI.from_image(RGB, "jpeg", quality)


def test_quality_is_that_of_the_jpeg() -> None:
    sizes = [len(DataURI.from_image(RGB, "jpeg", quality)) for quality in (1, 40, 90, 100)]
    assert sizes == sorted(set(sizes))
    assert DataURI.from_image(RGB, "jpeg") == DataURI.from_image(RGB, "jpeg", 90)
    assert DataURI.from_image(RGB, "png", 5) == DataURI.from_image(RGB, "png")


def pil(mode: str) -> Image.Image:
    if mode.startswith("I;16"):
        return Image.frombytes(mode, (24, 16), deep(16, 24).astype(">u2" if mode.endswith("B") else "<u2").tobytes())
    if mode == "I":
        return Image.fromarray(deep(16, 24).astype(np.int32))
    if mode == "P-transparent":
        image = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE, colors=8)
        image.info["transparency"] = 3
        return image
    return (
        Image.fromarray(RGBA).convert("RGB" if mode not in ("RGBA", "LA", "RGBa", "PA", "La") else "RGBA").convert(mode)
    )


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "P-transparent", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "RGBX", "RGBa"]
)
def test_from_a_pil_image_of_any_mode(mode: str) -> None:
    image = pil(mode)
    before = image.tobytes()
    has_alpha = mode in ("RGBA", "LA", "RGBa", "P-transparent")
    uri = DataURI.from_image(image)
    assert np.array_equal(uri.to_ndarray("rgb"), np.asarray(image.convert("RGBA").convert("RGB")))
    assert np.array_equal(uri.to_ndarray("rgba")[..., 3], np.asarray(image.convert("RGBA"))[..., 3])
    assert (uri.to_ndarray("rgba")[..., 3] < 255).any() == has_alpha
    for file_format in ("jpeg", "bmp"):
        flat = DataURI.from_image(image, file_format, 95)
        assert (flat.to_ndarray("rgba")[..., 3] == 255).all()
        seen = np.asarray(image.convert("RGBA").convert("RGB")).astype(int)
        assert np.abs(flat.to_ndarray("rgb") - seen).mean() < (12 if file_format == "jpeg" else 1e-9)
    assert image.tobytes() == before


@pytest.mark.parametrize("mode", ["I;16", "I;16L", "I;16B", "I"])
def test_a_pil_image_of_16_bits_keeps_them_in_png(mode: str) -> None:
    assert np.array_equal(DataURI.from_image(pil(mode)).to_ndarray("native"), deep(16, 24))
    assert np.array_equal(DataURI.from_image(pil(mode), "bmp").to_ndarray("gray"), deep(16, 24) >> 8)
    assert DataURI.from_image(pil(mode), "jpeg").to_ndarray("native").shape == (16, 24)


@pytest.mark.parametrize("file_format", ["png", "jpeg", "bmp"])
@pytest.mark.parametrize(
    "image",
    [
        Image.new("F", (4, 4)),
        Image.fromarray(np.array([[65536]], np.int32)),
        Image.fromarray(np.array([[-1]], np.int32)),
    ],
    ids=["float", "above", "below"],
)
def test_a_pil_image_of_more_than_a_file_holds_is_refused(image: Image.Image, file_format: Any) -> None:
    with pytest.raises(RefError, match="32-bit values"):
        DataURI.from_image(image, file_format)


def test_a_pil_image_that_can_not_be_written_is_refused() -> None:
    for image, file_format in ((Image.new("RGB", (0, 5)), "png"), (Image.new("RGB", (70_000, 1)), "jpeg")):
        with pytest.raises(RefError, match="can't be written"):
            DataURI.from_image(image, file_format)  # type: ignore[arg-type]
    with (
        Image.open(io.BytesIO(PNG[: len(PNG) // 2])) as cut,
        pytest.raises(RefError, match=r"can't be written.*truncated"),
    ):
        DataURI.from_image(cut)


def test_a_pil_images_own_pixels_are_taken() -> None:
    with Image.open(io.BytesIO(saved(RGB, "PNG", exif=exif(6)))) as image:
        for file_format in ("png", "bmp"):
            assert np.array_equal(DataURI.from_image(image, file_format).to_ndarray(), RGB)


@given(st.binary(min_size=12, max_size=12), st.sampled_from(["rgb", "bgr"]))
def test_an_image_comes_back_as_it_went_in(data: bytes, order: InputFormat) -> None:
    array = np.frombuffer(data, np.uint8).reshape(2, 2, 3)
    assert np.array_equal(DataURI.from_image(array, input_format=order).to_ndarray(order), array)


# From a file


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.png", PNG, "image/png"),
        ("a.jpg", saved(RGB, "JPEG"), "image/jpeg"),
        ("a", saved(RGB, "WEBP"), "image/webp"),
        ("lies.jpg", PNG, "image/png"),
        ("a.svg", b"<svg/>", "image/svg+xml"),
        ("a.txt", b"text", "text/plain"),
    ],
)
def test_from_a_file(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(data)
    for path in (tmp_path / name, str(tmp_path / name)):
        uri = DataURI.from_file(path)
        assert (uri.mimetype, uri.decoded_data) == (told, data)
        assert uri.uri == f"data:{told};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("given_format", "told"),
    [("png", "image/png"), ("jpg", "image/jpeg"), ("jpeg", "image/jpeg"), ("video/mp4", "video/mp4")],
)
def test_from_a_file_of_a_format_that_the_caller_knows(tmp_path: Path, given_format: str, told: str) -> None:
    (tmp_path / "a.bin").write_bytes(b"\1\2")
    assert DataURI.from_file(tmp_path / "a.bin", format=given_format).mimetype == told


def test_from_a_file_that_nothing_tells_of(tmp_path: Path) -> None:
    (tmp_path / "a.unknown").write_bytes(b"\1\2")
    with pytest.raises(MediaError, match=r"pass format=.*a\.unknown"):
        DataURI.from_file(tmp_path / "a.unknown")
    with pytest.raises(RefError, match="no media type"):
        DataURI.from_file(tmp_path / "a.unknown", format="image/a b")


@pytest.mark.parametrize("path", ["gone.png", "a" * 5000, ".", "a\0b"])
def test_from_a_file_that_can_not_be_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(MediaError, match="file") as error:
        DataURI.from_file(tmp_path / path)
    assert isinstance(error.value, FileNotFoundError) == (path == "gone.png") == isinstance(error.value, MediaNotFound)


# Parsed


@pytest.mark.parametrize(
    ("uri", "mimetype", "data"),
    [
        (f"data:image/png;base64,{PNG64}", "image/png", PNG),
        (f"DATA:image/PNG;BASE64,{PNG64}", "image/PNG", PNG),
        (f"data:image/png;name=a.png;base64,{PNG64}", "image/png;name=a.png", PNG),
        (f"data:image/png,{quote_from_bytes(PNG)}", "image/png", PNG),
        (f"data:image/png;base64,{quote_from_bytes(PNG64.encode(), safe='')}", "image/png", PNG),
        ("data:,", "text/plain;charset=US-ASCII", b""),
        ("data:;base64,", "text/plain;charset=US-ASCII", b""),
        ("data:,a,b;c", "text/plain;charset=US-ASCII", b"a,b;c"),
        ("data:;charset=utf-8,%C3%BC", "text/plain;charset=utf-8", "ü".encode()),
        ("data:text/plain,a%20%25%23b", "text/plain", b"a %#b"),
        ("data:text/plain,a b", "text/plain", b"a b"),
        ("data:text/plain;base64,QQ==", "text/plain", b"A"),
        ("data:text/plain;base64,QQ", "text/plain", b"A"),
        ("data:text/plain;base64,QUI%3D", "text/plain", b"AB"),
        ("data:image/svg+xml;x=1;y=2,<svg/>", "image/svg+xml;x=1;y=2", b"<svg/>"),
    ],
)
def test_from_uri(uri: str, mimetype: str, data: bytes) -> None:
    parsed = DataURI.from_uri(uri)
    assert (parsed.uri, parsed.mimetype, parsed.decoded_data) == (uri, mimetype, data)
    assert (str(parsed), len(parsed)) == (uri, len(uri))
    assert parsed.is_image == mimetype.lower().startswith("image/")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("", "does not begin with 'data:'"),
        ("image/png;base64,AAAA", "does not begin with 'data:'"),
        (" data:,x", "does not begin with 'data:'"),
        ("https://h/data:,", "does not begin with 'data:'"),
        ("data:", "no comma"),
        ("data:image/png;base64", "no comma"),
        ("DATA:image/png;base64;AAAA", "no comma"),
        ("data:image/png;base64,A", "broken base64"),
        ("data:image/png;base64,AAAAA", "broken base64"),
        ("data:image/png;base64,AA=A", "broken base64"),
        ("data:image/png;base64,=AAA", "broken base64"),
        ("data:image/png;base64,AAAA====", "broken base64"),
        ("data:image/png;base64,AAAA=", "broken base64"),
        ("data:image/png;base64,AA=", "broken base64"),
        ("data:image/png;base64,A===", "broken base64"),
        ("data:image/png;base64,AA-_", "broken base64"),
        ("data:image/png;base64,AA\nAA", "broken base64"),
        ("data:image/png;base64, AAAA", "broken base64"),
        ("data:image/png;base64,AAAA ", "broken base64"),
        ("data:image/png;base64,AA%0AAA", "broken base64"),
        ("data:image/png;base64,ÄÄÄÄ", "broken base64"),
        ("data:image/png;base64,%FF%FF", "broken base64"),
        ("data:image/png;base64,AAAA#page", "'#', which begins a fragment"),
        ("data:text/plain,a#b", "'#', which begins a fragment"),
        ("data:image/png;base64,AA%2", "'%' that is no escape"),
        ("data:text/plain,100%", "'%' that is no escape"),
        ("data:text/plain,%zz", "'%' that is no escape"),
        ("data:image,AAAA", "the media type 'image'"),
        ("data:image/,AAAA", "the media type 'image/'"),
        ("data:/png,AAAA", "the media type '/png'"),
        ("data:image/png/x,AAAA", "the media type 'image/png/x'"),
        ("data: image/png,AAAA", "the media type ' image/png'"),
        ("data:image/png ;base64,AAAA", "the media type 'image/png '"),
        ("data:image/png;base64;x=1,AAAA", "the media type 'image/png;base64;x=1'"),
        ("data:image/png;x,AAAA", "the media type 'image/png;x'"),
        ("data:image/p\nng,AAAA", "the media type"),
    ],
)
def test_a_malformed_uri_is_refused(uri: str, said: str) -> None:
    with pytest.raises(RefError, match=said) as error:
        DataURI.from_uri(uri)
    assert str(error.value).endswith(uri)
    if uri.lower().startswith("data:"):
        for pts_ns in (None, 0):
            with pytest.raises(RefError, match=said):
                MediaRef(uri=uri, pts_ns=pts_ns).to_ndarray()


def test_messages_show_the_beginning_of_a_long_uri() -> None:
    long = "A" * 100_000
    for uri in (f"data:image/png;base64,{long}!", f"data:image/png{long}", f"data:{long},x", f"data:image/png,{long}%"):
        with pytest.raises(RefError, match=rf"… \({len(uri)} characters\)$") as error:
            DataURI.from_uri(uri)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "", "audio/wav"])
def test_what_is_no_image_is_no_image(kind: str) -> None:
    uri = DataURI.from_uri(f"data:{kind};base64,{PNG64}")
    assert not uri.is_image
    for decode in (uri.to_ndarray, uri.to_pil_image, MediaRef(uri=uri).to_ndarray, MediaRef(uri=uri).to_pil_image):
        with pytest.raises(RefError, match=rf"no image.*data:{kind}"):
            decode()


def test_an_image_type_without_an_image() -> None:
    for data in ("", "SGVsbG8=", PNG64[:40]):
        with pytest.raises(MediaError, match="data:image/png;base64,"):
            DataURI.from_uri(f"data:image/png;base64,{data}").to_ndarray()


def test_an_image_of_another_type_than_it_says_is_still_one() -> None:
    assert np.array_equal(DataURI.from_bytes(PNG, "image/jpeg").to_ndarray(), RGB)


def test_an_image_is_no_video() -> None:
    with pytest.raises((RefError, MediaError), match="data:image/png;base64,"):
        MediaRef(uri=f"data:image/png;base64,{PNG64}", pts_ns=0).to_ndarray()


def test_an_embedded_video_without_pts(tmp_path: Path) -> None:
    video = DataURI.from_file(write_video(tmp_path / "a.mp4", [0, 40]))
    with pytest.raises(RefError, match=r"pts_ns.*data:video/mp4;base64,.*characters\)"):
        MediaRef(uri=video).to_ndarray()


@given(st.binary(max_size=100), st.sampled_from(["image/png", "a/b;c=d", "text/plain"]))
def test_bytes_come_back_as_they_went_in(data: bytes, kind: str) -> None:
    made = DataURI.from_bytes(data, kind)
    assert DataURI.from_uri(made.uri) == made
    assert DataURI.from_uri(f"data:{kind},{quote_from_bytes(data)}").decoded_data == data
    assert DataURI.from_bytes(memoryview(data), kind) == made
    assert made.uri.isascii()


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for uri in (text, f"data:{text}", f"data:image/png;base64,{text}", f"data:image/png,{text}"):
        try:
            parsed = DataURI.from_uri(uri)
        except MediarefError:
            continue
        assert parsed.uri == uri


def test_damage_gives_our_errors_only() -> None:
    number = random.Random(5)
    uri = f"data:image/png;base64,{PNG64}"
    for _ in range(500):
        text = list(uri)
        for _ in range(number.choice((1, 2, 5))):
            text[number.randrange(min(len(text), number.choice((30, 1000))))] = number.choice("A=%#,;:/ \n\0é+-z")
        try:
            MediaRef(uri="".join(text)).to_ndarray()
        except MediarefError as error:
            assert len(str(error)) < 400


# As a value


def test_a_data_uri_shows_no_data() -> None:
    assert repr(DataURI.from_bytes(PNG, "image/png")) == f"DataURI('image/png', {len(PNG)} bytes)"
    assert len(repr(MediaRef(uri=DataURI.from_bytes(PNG * 50, "image/png")))) < 120


def test_a_data_uri_decodes_in_every_format() -> None:
    uri = DataURI.from_image(RGBA)
    for order, seen in (
        ("rgb", RGBA[..., :3]),
        ("bgr", RGBA[..., 2::-1]),
        ("rgba", RGBA),
        ("bgra", RGBA[..., [2, 1, 0, 3]]),
    ):
        assert np.array_equal(uri.to_ndarray(order), seen)  # type: ignore[arg-type]
    assert uri.to_ndarray("gray").shape == (16, 24)
    assert [uri.to_pil_image().mode, uri.to_pil_image("rgba").mode, uri.to_pil_image("gray").mode] == [
        "RGB",
        "RGBA",
        "L",
    ]
    assert np.array_equal(DataURI.from_bytes(png16(deep(4, 5)), "image/png").to_ndarray("native"), deep(4, 5))


def test_a_data_uri_is_a_value() -> None:
    one, other = DataURI.from_image(RGB), DataURI.from_image(RGB)
    assert one == other
    assert hash(one) == hash(other)
    assert one != DataURI.from_image(GRAY)
    with pytest.raises(AttributeError):
        one.mimetype = "image/jpeg"  # type: ignore[misc]


@pytest.mark.parametrize(
    "kind", ["", "png", "image/", "image/png;", "image/png;base64", "image/png,", "a b/c", "image/p\nng"]
)
def test_no_other_media_type(kind: str) -> None:
    with pytest.raises(RefError, match="no media type"):
        DataURI.from_bytes(PNG, kind)
