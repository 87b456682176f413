"""How a payload was framed, said in a short text, so that it can be put together again byte for byte.

- `annexb:3x2,2:0`: start codes of three, three and two zeros before their 1, and no zeros at the end (H.264, H.265).
- `obu:td`, `obu:`: with, or without, a temporal delimiter in front (AV1).
- `raw`: as it is (VP9).

The sample of an MP4 file holds each NAL unit behind its length in four bytes (ISO/IEC 14496-15).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from mediaref_tools.errors import ImageError

__all__ = ["DELIMITER", "RAW", "join_nals", "nals_of", "payload", "split_annexb"]

RAW = "raw"
DELIMITER = b"\x12\x00"
"""An AV1 temporal delimiter, as it stands in every stream (AV1 specification 5.6)."""

_MOST_NALS = 20_000  # a picture of H.265 has 600 slices at most
_MOST_ZEROS = 2**16  # of one start code
_MOST_PADDING = 2**24  # of all start codes of a payload
_ANNEXB = re.compile(r"annexb:([0-9]{1,5}(?:x[0-9]{1,5})?(?:,[0-9]{1,5}(?:x[0-9]{1,5})?)*):([0-9]{1,5})\Z")


def split_annexb(data: bytes) -> tuple[list[bytes], str]:
    """The NAL units of an Annex B byte stream (ITU-T H.264 B.1), and its framing.

    Raises:
        ImageError: It is something else.
    """
    head = data.find(b"\0\0\1")
    if head < 0 or data[:head].strip(b"\0"):
        raise ImageError(_not_annexb(data))
    nals, zeros = [], [head + 2]
    at = head + 3
    while at:
        code = data.find(b"\0\0\1", at)
        nal = data[at : code if code >= 0 else len(data)]
        kept = nal.rstrip(b"\0")
        if not kept:
            raise ImageError("video packet holds a NAL unit without any content")
        nals.append(kept)
        zeros.append(len(nal) - len(kept) + (2 if code >= 0 else 0))
        at = code + 3 if code >= 0 else 0
        if len(nals) > _MOST_NALS:
            raise ImageError(f"video packet holds more than {_MOST_NALS} NAL units")
    if max(zeros) >= _MOST_ZEROS or sum(zeros) > _MOST_PADDING:
        raise ImageError("video packet is padded with zeros: too many to be written down")
    return nals, f"annexb:{','.join(_runs(zeros[:-1]))}:{zeros[-1]}"


def _runs(zeros: Sequence[int]) -> Iterator[str]:
    for count, run in groupby(zeros):
        length = len(list(run))
        yield str(count) if length == 1 else f"{count}x{length}"


def _not_annexb(data: bytes) -> str:
    at = 0
    while at + 4 < len(data):
        at += 4 + max(1, int.from_bytes(data[at : at + 4], "big"))
    if data and at == len(data):
        return (
            "video packet has its NAL units behind lengths (AVCC), not behind start codes (Annex B): what its "
            "decoder needs besides is not in the log"
        )
    return "video packet does not begin with a start code (Annex B)" if data else "video packet is empty"


def join_nals(nals: Sequence[bytes]) -> bytes:
    """The sample of an MP4 file: each NAL unit behind its length, four bytes, big-endian."""
    return b"".join(part for nal in nals for part in (len(nal).to_bytes(4, "big"), nal))


def nals_of(data: bytes) -> Iterator[bytes]:
    """The NAL units of a sample.

    Raises:
        ImageError: Lengths and bytes do not agree.
    """
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        at += 4 + length
        if at > len(data) or not length:
            raise ImageError(f"sample has a NAL unit of {length} bytes, which it does not hold")
        yield data[at - length : at]


def payload(data: bytes, framing: str) -> bytes:
    """The payload that a message carried: what `data`, the sample of an MP4 file, was made of.

    Args:
        data: `Unit.data`, or the same bytes read from a file.
        framing: `Unit.framing`.

    Raises:
        ImageError: They do not belong together, or the framing is none.
    """
    if framing == RAW:
        return data
    if framing in ("obu:", "obu:td"):
        return DELIMITER + data if framing == "obu:td" else data
    match = _ANNEXB.match(framing)
    if match is None:
        raise ImageError(f"framing {framing[:60]!r} is none: expected annexb:…, obu:… or raw")
    nals = list(nals_of(data))
    zeros: list[int] = []
    for run in match[1].split(","):
        count, _, times = run.partition("x")
        if len(zeros) + int(times or 1) > len(nals):
            break
        zeros += [int(count)] * int(times or 1)
    else:
        if len(zeros) == len(nals) and sum(zeros) <= _MOST_PADDING:
            parts = (part for count, nal in zip(zeros, nals, strict=True) for part in (bytes(count), b"\1", nal))
            return b"".join(parts) + bytes(int(match[2]))
    raise ImageError(f"framing {framing[:60]!r} is not that of a sample with {len(nals)} NAL units")
