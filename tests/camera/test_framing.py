"""How a payload was framed: said so that it comes back byte for byte, or refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediaref_tools.camera.framing import join_nals, nals_of, payload, split_annexb
from mediaref_tools.errors import ImageError

NAL = st.binary(min_size=1, max_size=40).filter(lambda nal: b"\0\0\1" not in nal and b"\0\0\0" not in nal and nal[-1])
ZEROS = st.integers(2, 9)


@given(st.lists(st.tuples(ZEROS, NAL), min_size=1, max_size=12), st.integers(0, 9))
def test_any_start_codes_and_zeros_come_back(parts: list[tuple[int, bytes]], trailing: int) -> None:
    data = b"".join(bytes(zeros) + b"\1" + nal for zeros, nal in parts) + bytes(trailing)
    nals, framing = split_annexb(data)
    assert nals == [nal for _, nal in parts]
    assert list(nals_of(join_nals(nals))) == nals
    assert payload(join_nals(nals), framing) == data


@given(
    st.lists(st.sampled_from([b"\0", b"\0\0", b"\0\0\1", b"\0\0\0\1", b"\1", b"\3", b"\x65\x88", b"\xff"]), max_size=30)
)
def test_what_is_not_refused_comes_back(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    try:
        nals, framing = split_annexb(data)
    except ImageError:
        return
    assert payload(join_nals(nals), framing) == data


@given(st.binary(max_size=60), st.text(max_size=30) | st.from_regex(r"annexb:[0-9x,]{0,12}:[0-9]{0,4}", fullmatch=True))
def test_hostile_framings_give_our_errors_only(data: bytes, framing: str) -> None:
    with contextlib.suppress(ImageError):
        payload(data, framing)


@pytest.mark.parametrize(
    ("data", "framing"),
    [
        (b"\0\0\1a", "annexb:2:0"),
        (b"\0\0\0\1a\0\0\1bc", "annexb:3,2:0"),
        (b"\0\0\0\1a\0\0\0\1b\0\0\0\1c\0\0\1d\0\0", "annexb:3x3,2:2"),
        (b"\0\0\0\0\0\1a", "annexb:5:0"),
    ],
)
def test_the_text_is_short(data: bytes, framing: str) -> None:
    nals, said = split_annexb(data)
    assert said == framing
    assert payload(join_nals(nals), said) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"abc", "does not begin with a start code"),
        (b"x\0\0\1a", "does not begin with a start code"),
        (b"\0\0\1", "without any content"),
        (b"\0\0\1\0\0\1a", "without any content"),
        (b"\0\0\0\2ab\0\0\0\1c", r"behind lengths \(AVCC\)"),
        (bytes(70_000) + b"\1a", "padded with zeros"),
        (b"\0\0\1a" * 20_001, "more than 20000 NAL units"),
    ],
)
def test_what_is_no_byte_stream_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        split_annexb(data)


@pytest.mark.parametrize(
    "framing",
    ["annexb:3:0", "annexb:3x3:0", "annexb:3,3,3:0", "annexb:99999x99999:0", "annexb::0", "annexb:3x2:", "avcc", ""],
)
def test_a_framing_of_something_else_is_refused(framing: str) -> None:
    with pytest.raises(ImageError, match="framing"):
        payload(join_nals([b"ab", b"c"]), framing)


@pytest.mark.parametrize("data", [b"\0\0\0\5ab", b"\0\0", b"\0\0\0\0", b"\0\0\0\1a\0"])
def test_a_sample_that_was_cut_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="sample has a NAL unit"):
        payload(data, "annexb:3:0")
