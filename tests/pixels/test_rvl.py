"""RVL depth: against a coder and a decoder that go number by number, as the paper writes them."""

from __future__ import annotations

import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.pixels import rvl
from mediaref_tools.pixels.rvl import decode_rvl, encode_rvl


def encoded(picture: NDArray[np.uint16]) -> bytes:
    nibbles: list[int] = []

    def put(number: int) -> None:
        while True:
            group, number = number & 7, number >> 3
            nibbles.append(group | (8 if number else 0))
            if not number:
                return

    pixels = picture.ravel().tolist()
    at, last = 0, 0
    while at < len(pixels):
        zeros = at
        while zeros < len(pixels) and pixels[zeros] == 0:
            zeros += 1
        filled = zeros
        while filled < len(pixels) and pixels[filled] != 0:
            filled += 1
        put(zeros - at)
        put(filled - zeros)
        for pixel in pixels[zeros:filled]:
            delta, last = pixel - last, pixel
            put(delta << 1 if delta >= 0 else (-delta << 1) - 1)
        at = filled
    nibbles += [0] * (-len(nibbles) % 8)
    words = [int("".join(f"{nibble:x}" for nibble in nibbles[at : at + 8]), 16) for at in range(0, len(nibbles), 8)]
    rows, columns = picture.shape
    return struct.pack(f"<II{len(words)}I", columns, rows, *words)


PICTURES: list[object] = [
    np.zeros((1, 1)),
    np.zeros((480, 640)),
    np.ones((1, 1)),
    np.full((3, 5), 65535),
    [[0, 0, 7], [7, 0, 65535], [1, 2, 0]],
    [[65535, 1, 65535, 1]],
    [[1] * 9 + [0] * 9 + [2]],
    np.arange(256).reshape(16, 16),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: str(np.shape(picture)))
def test_pictures(picture: object) -> None:
    expected = np.array(picture, np.uint16)
    decoded = decode_rvl(encoded(expected))
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded, expected)


def test_known_bytes() -> None:
    """Worked out by hand: 2 zeros, 2 others, +1 (2), +3 (6); then 0 zeros of 0 pads the word."""
    assert decode_rvl(bytes.fromhex("04000000 01000000 00002622")).tolist() == [[0, 0, 1, 4]]


@given(arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 65535)))
def test_any_picture(picture: NDArray[np.uint16]) -> None:
    assert np.array_equal(decode_rvl(encoded(picture)), picture)


@given(arrays(np.uint16, (6, 40), elements=st.sampled_from([0, 0, 0, 999, 1000, 1001, 4000])))
def test_runs_of_holes(picture: NDArray[np.uint16]) -> None:
    assert np.array_equal(decode_rvl(encoded(picture)), picture)


def depth() -> NDArray[np.uint16]:
    rng = np.random.default_rng(5)
    picture = (np.add.outer(np.arange(48), np.arange(64)) * 20 + rng.integers(0, 9, (48, 64))).astype(np.uint16)
    picture[rng.random((48, 64)) < 0.1] = 0
    return picture


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 9, 12, 40, -8, -4])
def test_cut(cut: int) -> None:
    data = encoded(depth())
    with pytest.raises(ImageError, match="RVL image"):
        decode_rvl(data[: cut if cut >= 0 else len(data) + cut])


@pytest.mark.parametrize(("columns", "rows"), [(0, 5), (5, 0), (2**32 - 1, 2**32 - 1), (2**14, 2**14)])
def test_sizes_that_can_not_be(columns: int, rows: int) -> None:
    with pytest.raises(ImageError, match=f"{columns}x{rows}"):
        decode_rvl(struct.pack("<II", columns, rows) + bytes(64))


@pytest.mark.parametrize(
    "words",
    [
        "00000000",  # nothing of nothing, for ever
        "ffffffff ffffffff",  # a number without an end
        "ffffffff 0000ffff",  # a number of twelve nibbles
        "00000050",  # five zeros in four pixels
        "00000005",  # five others in four pixels
    ],
)
def test_numbers_that_do_not_add_up(words: str) -> None:
    with pytest.raises(ImageError, match="RVL image"):
        decode_rvl(bytes.fromhex("04000000 01000000" + words))


def test_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rvl, "MAX_PIXELS", 12)
    assert decode_rvl(encoded(np.zeros((3, 4), np.uint16))).shape == (3, 4)
    with pytest.raises(ImageError, match="13x1"):
        decode_rvl(encoded(np.zeros((1, 13), np.uint16)))


def test_rubbish_raises_nothing_else() -> None:
    rng = random.Random(3)
    whole = encoded(depth())
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, len(data))] = rng.randrange(256)
        try:
            assert decode_rvl(bytes(data)).shape == (48, 64)
        except ImageError:
            refused += 1
    assert refused > 20
    for _ in range(200):
        size = struct.pack("<II", rng.randrange(1, 99), rng.randrange(1, 99))
        data = bytearray(size + rng.randbytes(rng.randrange(200)))
        try:
            decode_rvl(bytes(data))
        except ImageError:
            continue


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: str(np.shape(picture)))
def test_encoded_as_the_paper_does(picture: object) -> None:
    values = np.array(picture, np.uint16)
    assert encode_rvl(values) == encoded(values)


@given(arrays(np.uint16, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 65535)))
def test_any_picture_encoded(picture: NDArray[np.uint16]) -> None:
    assert encode_rvl(picture) == encoded(picture)
    assert encode_rvl(np.asfortranarray(picture)) == encoded(picture)


@given(arrays(np.uint16, (6, 40), elements=st.sampled_from([0, 0, 0, 999, 1000, 1001, 4000])))
def test_runs_of_holes_encoded(picture: NDArray[np.uint16]) -> None:
    assert encode_rvl(picture) == encoded(picture)


def test_known_bytes_encoded() -> None:
    assert encode_rvl(np.array([[0, 0, 1, 4]], np.uint16)) == bytes.fromhex("04000000 01000000 00002622")


@pytest.mark.parametrize(
    "picture",
    [np.zeros((2, 2), np.int32), np.zeros((2, 2), np.uint8), np.zeros(4, np.uint16), np.zeros((2, 2, 1), np.uint16),
     np.zeros((0, 4), np.uint16), np.zeros((13, 1), np.uint16)],
)  # fmt: skip
def test_what_can_not_be_encoded(picture: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rvl, "MAX_PIXELS", 12)
    with pytest.raises(ImageError, match="expected uint16"):
        encode_rvl(picture)


def test_a_picture_of_runs() -> None:
    """As many runs as there can be, at VGA: a run must not cost more than the pixels in it."""
    picture = np.zeros((480, 640), np.uint16)
    picture[:, ::2] = np.random.default_rng(6).integers(1, 65536, (480, 320))
    assert np.array_equal(decode_rvl(encode_rvl(picture)), picture)
