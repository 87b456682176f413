"""One packet as it goes into an MP4 file and comes out again."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.container import InputContainer, OutputContainer

from mediaref_tools.camera.framing import join_nals, split_annexb
from mediaref_tools.camera.unit import UnitReader, payload
from mediaref_tools.errors import ImageError
from mediaref_tools.image import VideoCodec
from tests.camera.cameras import CAMERAS, picture, recording, units

NAL_CODECS = [name for name in CAMERAS if name.startswith("h26")]


@pytest.mark.parametrize("name", CAMERAS)
def test_units_of_a_stream(name: str) -> None:
    found = recording(name)
    got = units(found.codec, found.packets)
    first = got[0]
    assert first is not None
    assert first.keyframe
    for unit, data in zip(got, found.packets, strict=True):
        assert unit is not None
        assert (unit.codec, unit.width, unit.height, unit.config) == (found.codec, 96, 64, first.config)
        assert abs(len(unit.data) - len(data)) <= 20


@pytest.mark.parametrize("name", CAMERAS)
def test_the_configuration_is_the_one_that_libavformat_makes(name: str, tmp_path: Path) -> None:
    """Of the same stream, read and remuxed by its own means."""
    found = recording(name)
    unit = units(found.codec, found.packets)[0]
    assert unit is not None
    if found.codec == "vp9":
        # FFmpeg's has a level by size, and no more than we say besides: profile, depth, chroma, range, colours.
        assert unit.config == bytes((0, 0, 0x82, 2, 2, 2, 0, 0))
        return
    format_ = {"h264": "h264", "h265": "hevc", "av1": "obu"}[found.codec]
    path = str(tmp_path / "theirs.mp4")
    with av.open(io.BytesIO(b"".join(found.packets)), format=format_) as source, av.open(path, "w") as target:
        assert isinstance(source, InputContainer)
        assert isinstance(target, OutputContainer)
        stream = target.add_stream_from_template(source.streams.video[0], opaque=True)
        for at, packet in enumerate(source.demux(video=0)):
            if packet.size:
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                packet.pts = packet.dts = at
                packet.duration = 1
                target.mux(packet)
    with av.open(path) as again:
        theirs = bytes(again.streams.video[0].codec_context.extradata or b"")
    if found.codec == "h264":
        assert unit.config == theirs
    elif found.codec == "h265":
        # Theirs looks for the least segmentation and keeps the encoder's SEI besides.
        assert unit.config[1:13] == theirs[1:13]
        assert unit.config[16:22] == theirs[16:22]
        for kind in (32, 33, 34):
            assert any(nal in theirs for nal in split_annexb(found.packets[0])[0] if nal[0] >> 1 == kind)
    else:
        assert unit.config == theirs


@pytest.mark.parametrize("name", NAL_CODECS)
def test_start_codes_of_any_length_and_zeros_at_the_end(name: str) -> None:
    found = recording(name)
    reader = UnitReader(found.codec)
    for at, data in enumerate(found.packets):
        nals, _ = split_annexb(data)
        codes = [b"\0\0\1" if (at + n) % 2 else b"\0\0\0\1" for n in range(len(nals))]
        changed = b"".join(code + nal for code, nal in zip(codes, nals, strict=True)) + bytes(at % 3)
        unit = reader.unit(changed)
        assert unit.data == join_nals(nals)
        assert payload(unit.data, unit.framing) == changed


@pytest.mark.parametrize("name", NAL_CODECS)
def test_lengths_instead_of_start_codes_are_refused(name: str) -> None:
    found = recording(name)
    with pytest.raises(ImageError, match=r"behind lengths \(AVCC\)"):
        UnitReader(found.codec).unit(join_nals(split_annexb(found.packets[0])[0]))


@pytest.mark.parametrize("name", NAL_CODECS)
def test_a_packet_without_a_picture_or_with_two_is_refused(name: str) -> None:
    found = recording(name)
    reader = UnitReader(found.codec)
    nals, _ = split_annexb(found.packets[0])
    slices = [nal for nal in nals if (nal[0] & 31 in (1, 5) if found.codec == "h264" else nal[0] >> 1 < 32)]
    sets = b"".join(b"\0\0\0\1" + nal for nal in nals if nal not in slices)
    with pytest.raises(ImageError, match="holds no picture"):
        reader.unit(sets)
    bare = b"".join(b"\0\0\1" + nal for nal in slices)
    unit = reader.unit(bare)  # with the parameter sets that came before it
    assert unit.keyframe
    assert unit.config
    assert (unit.width, unit.height) == (96, 64)
    with pytest.raises(ImageError, match="holds two pictures"):
        reader.unit(found.packets[1] + found.packets[2])


def test_a_temporal_delimiter_is_framing() -> None:
    found = recording("av1")
    with_one, without = UnitReader("av1").unit(found.packets[0]), UnitReader("av1").unit(found.packets[0][2:])
    assert found.packets[0][:2] == b"\x12\0"
    assert (with_one.framing, without.framing) == ("obu:td", "obu:")
    assert with_one[:-1] == without[:-1]


@pytest.mark.parametrize("name", ["av1", "vp9"])
def test_two_pictures_in_a_packet_are_refused(name: str) -> None:
    found = recording(name)
    if name == "av1":
        data = found.packets[0] + found.packets[1][2:]
    else:
        parts = found.packets[:2]
        index = b"\xc9" + b"".join(len(part).to_bytes(2, "little") for part in parts) + b"\xc9"
        data = b"".join(parts) + index
    with pytest.raises(ImageError, match="holds two pictures"):
        UnitReader(found.codec).unit(data)


@pytest.mark.parametrize("kind", [7, 8, 15])
def test_what_the_muxer_would_drop_is_refused(kind: int) -> None:
    padding = bytes((kind << 3 | 2, 1, 0x80))
    with pytest.raises(ImageError, match=f"type {kind}, which a MP4 file does not keep"):
        UnitReader("av1").unit(recording("av1").packets[0] + padding)


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_an_empty_packet_is_refused(codec: VideoCodec) -> None:
    with pytest.raises(ImageError, match="empty"):
        UnitReader(codec).unit(b"")


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "h265")])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("size", [(96, 64), (98, 66), (120, 90)])
def test_sizes_are_those_that_are_shown(encoder: str, codec: VideoCodec, pixels: str, size: tuple[int, int]) -> None:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = pixels
    context.time_base = Fraction(1, 25)
    context.options = {"x265-params": "log-level=none:pools=none"} if codec == "h265" else {}
    data = [bytes(packet) for frame in (picture(1, size), None) for packet in context.encode(frame)]
    unit = UnitReader(codec).unit(data[0])
    assert (unit.width, unit.height) == size
