"""Videos that are damaged, cut, or no videos: our errors, which name the file, and never another frame's picture."""

from __future__ import annotations

import contextlib
import faulthandler
import math
import os
import random
import shutil
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from PIL import Image

from mediaref_tools.errors import FrameError, MediaError, MediaNotFound, MediarefError, RefError
from mediaref_tools.media import mediafile
from mediaref_tools.media.video import VideoDecoder
from tests.oddvideos import IRREGULAR, MS, ODD, OddVideo, Shown, number, sequential

NS = 10**9
SECONDS_OF_A_HANG = 300
KINDS = [
    "h264.mp4",
    "h264_faststart.mp4",
    "h264_frag.mp4",
    "h264_edit_mid.mp4",
    "h264.mkv",
    "h264.ts",
    "h264.avi",
    "h264_b.avi",
    "h264.flv",
    "h264.nut",
    "hevc.mp4",
    "vp9.webm",
    "vp9.ivf",
    "av1.mp4",
    "mjpeg.avi",
    "ffv1.mkv",
    "mpeg2.mpg",
    "mpeg2.mxf",
    "wmv2.asf",
    "gif.gif",
    "apng.apng",
    "vp8.ogg",
    "cover.mp4",
]


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A test that hangs ends the run with a traceback: no timeout of Python's own ends a loop in a library."""
    faulthandler.dump_traceback_later(SECONDS_OF_A_HANG, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whole")


def whole(folder: Path, video: str | OddVideo) -> Path:
    recipe = ODD[video] if isinstance(video, str) else video
    path = folder / recipe.name
    return path if path.exists() else recipe.write(folder)


def times(base: Fraction, frames: list[Shown]) -> list[int]:
    return [math.ceil(frame.tick * base * NS) for frame in frames]


def refusal(path: Path, ask: Callable[[], object]) -> str | None:
    """What of ours is raised, None for nothing: its message names the file, and was meant for what happened."""
    try:
        ask()
    except MediarefError as error:
        assert str(error).endswith(str(path)), error
        assert "can't be read (" not in str(error), error  # which an error that nobody foresaw is turned into
        return type(error).__name__
    return None


def ask_everything(path: Path, at: list[int]) -> None:
    try:
        decoder = VideoDecoder(path)
    except MediarefError:
        assert refusal(path, lambda: VideoDecoder(path))
        return
    with decoder:
        for time in at:
            refusal(path, lambda time=time: decoder.frame_at(time))  # type: ignore[misc]
        refusal(path, lambda: list(decoder.frames_at(at)))
        refusal(path, lambda: decoder.metadata)
        refusal(path, lambda: decoder.pts_ns)
        refusal(path, lambda: decoder.get_frames_played_at([time / NS for time in at]))


@pytest.mark.parametrize("name", KINDS)
class TestFlippedBytes:
    SEEDS = 25

    def test_only_our_errors(self, folder: Path, tmp_path: Path, name: str) -> None:
        source = whole(folder, name)
        data = source.read_bytes()
        moments = times(*sequential(source))
        path = tmp_path / name
        for seed in range(self.SEEDS):
            draw = random.Random(seed)
            head, tail = min(len(data), 1500), max(0, len(data) - 1500)
            low, high = [(0, head), (0, len(data)), (tail, len(data))][seed % 3]
            flipped = bytearray(data)
            for _ in range(draw.choice([1, 3, 20])):
                flipped[draw.randrange(low, high)] = draw.randrange(256)
            path.write_bytes(flipped)
            ask_everything(path, draw.sample(moments, 6))

    def test_cut_anywhere(self, folder: Path, tmp_path: Path, name: str) -> None:
        source = whole(folder, name)
        data = source.read_bytes()
        moments = times(*sequential(source))
        path = tmp_path / name
        draw = random.Random(name)
        for _ in range(self.SEEDS):
            path.write_bytes(data[: draw.randrange(len(data))])
            ask_everything(path, draw.sample(moments, 6))


BF3 = {"bf": "3"}
BF0 = {"bf": "0"}
FRONT = {"movflags": "faststart"}
MADE = {
    video.name: video
    for video in (
        OddVideo("simple.mp4", "libx264", IRREGULAR, options=BF0, muxer=FRONT),
        OddVideo("bframes.mp4", "libx264", IRREGULAR, options=BF3, muxer=FRONT),
        OddVideo("frag.mp4", "libx264", IRREGULAR, options=BF3, muxer={"movflags": "frag_keyframe+empty_moov"}),
        OddVideo("simple.mkv", "libx264", IRREGULAR, options=BF0),
        OddVideo("bframes.mkv", "libx264", IRREGULAR, options=BF3),
        OddVideo("ffv1.mkv", "ffv1", IRREGULAR),
        OddVideo("mjpeg.avi", "mjpeg", range(60), Fraction(1, 30), pixels="yuvj420p"),
        OddVideo("mjpeg.mp4", "mjpeg", IRREGULAR, pixels="yuvj420p", muxer=FRONT),
        OddVideo("vp9.mp4", "libvpx-vp9", IRREGULAR, muxer=FRONT),
        OddVideo("simple.avi", "libx264", range(60), Fraction(1, 30), options=BF0),
        OddVideo("bframes.avi", "libx264", range(60), Fraction(1, 30), options=BF3),
        OddVideo("simple.ts", "libx264", [i * 33 for i in range(60)], options=BF0),
    )
}


class Stored(NamedTuple):
    """Where a packet lies in its file, and its times in ticks."""

    pos: int
    size: int
    pts: int
    dts: int
    is_keyframe: bool


def stored(path: Path) -> list[Stored]:
    """The packets of a video, in the order they are stored."""
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                assert packet.pos is not None
                assert packet.pts is not None
                dts = -(2**62) if packet.dts is None else packet.dts
                found.append(Stored(packet.pos, packet.size, packet.pts, dts, packet.is_keyframe))
    return found


@pytest.mark.parametrize("name", ["simple.mp4", "bframes.mp4", "simple.mkv", "bframes.mkv"])
@pytest.mark.parametrize("at", range(5, 60, 9))
def test_one_damaged_packet_spoils_nothing_else(folder: Path, tmp_path: Path, name: str, at: int) -> None:
    source = whole(folder, MADE[name])
    base, frames = sequential(source)
    moments = times(base, frames)
    packets = stored(source)
    pos, size, pts, dts, is_keyframe = packets[at]
    head = 4 + is_keyframe * 30  # a keyframe of H.264 begins with headers that are known from elsewhere
    data = source.read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: pos + head] + bytes(size - head) + data[pos + size :])
    keys = [packet.pts for packet in packets if packet.is_keyframe]
    end = min((key for key in keys if key > pts), default=2**62)
    order = list(range(len(frames)))
    random.Random(at).shuffle(order)
    with VideoDecoder(path) as decoder:
        for index in order:
            tick = frames[index].tick
            # What is shown before the damage, and was to be decoded after it (B-frames), is refused too.
            if tick >= end or tick < dts:
                assert number(decoder.frame_at(moments[index]).data) == index
                if index + 1 < len(frames) and (tick >= end or frames[index + 1].tick <= dts):
                    assert number(decoder.frame_at(moments[index + 1] - 1).data) == index
            elif tick >= pts:  # the damaged frame, and those made from it
                assert refusal(path, lambda time=moments[index]: decoder.frame_at(time)) == "MediaError"  # type: ignore[misc]
            else:
                with contextlib.suppress(MediaError):
                    assert number(decoder.frame_at(moments[index]).data) == index


TELLS_NO_SIZE = ("simple.ts", "frag.mp4")


@pytest.mark.parametrize("part", [0.5, 0.95])  # of the last packet, which some decoders would make do with
@pytest.mark.parametrize("at", [3, 17, 30, 40, 57])
@pytest.mark.parametrize("name", MADE)
def test_cut_in_the_middle(folder: Path, tmp_path: Path, name: str, at: int, part: float) -> None:
    """Frames before the cut are right, up to where the next one is known; after it there are none."""
    source = whole(folder, MADE[name])
    base, frames = sequential(source)
    moments = times(base, frames)
    pos, size, *_ = stored(source)[at]
    path = tmp_path / name
    path.write_bytes(source.read_bytes()[: pos + int(size * part)])
    order = list(range(len(frames)))
    random.Random(at).shuffle(order)
    got = {-1}
    with contextlib.suppress(MediaError), VideoDecoder(path) as decoder:
        for index in order:
            for time in {moments[index], moments[index + 1] - 1} if index + 1 < len(frames) else {moments[index]}:
                try:
                    picture = decoder.frame_at(time).data
                except FrameError as error:
                    assert name in TELLS_NO_SIZE
                    assert "runs from" in str(error)
                except MediaError as error:
                    assert "cut" in str(error)
                else:
                    assert np.abs(picture.astype(int) - frames[index].rgb).max() <= 4  # our conversion rounds better
                    got.add(index)
        if name not in TELLS_NO_SIZE:
            for ask in (lambda: decoder.metadata, lambda: decoder.pts_ns, lambda: decoder.frame_at(NS * 100)):
                with pytest.raises(MediaError, match="cut"):
                    ask()
    reordered = 4 if "bframes" in name or "frag" in name else 0
    least = (at - 1) // 12 * 12 - 5 if name == "frag.mp4" else 0 if at == 3 else at - 1 - reordered
    assert set(range(least)) <= got <= set(range(-1, at + reordered))


def test_an_error_leaves_the_decoder_usable(folder: Path, tmp_path: Path) -> None:
    source = whole(folder, MADE["simple.mp4"])
    moments = times(*sequential(source))
    data = source.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: int(len(data) * 0.7)])
    with VideoDecoder(path) as decoder:
        for _ in range(3):
            with pytest.raises(MediaError):
                decoder.frame_at(moments[-1])
            with pytest.raises(FrameError, match="is damaged or cut before its end"):
                decoder.frame_at(-1)
            assert number(decoder.frame_at(moments[3]).data) == 3
            with pytest.raises(MediaError):
                list(decoder.frames_at([moments[-1], moments[0]]))
            assert number(decoder.frame_at(moments[4]).data) == 4


def test_a_header_that_claims_a_later_end_is_not_believed(folder: Path, tmp_path: Path) -> None:
    """Nothing tells that an FLV was cut between two tags: its last frame must not be shown to the claimed end."""
    source = whole(folder, OddVideo("long.flv", "libx264", IRREGULAR, options={"bf": "0"}))
    moments = times(*sequential(source))
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        position = packets[40].pos
    assert position is not None
    path = tmp_path / "cut.flv"
    path.write_bytes(source.read_bytes()[:position])
    with VideoDecoder(path) as decoder:
        assert number(decoder.frame_at(moments[38]).data) == 38
        with pytest.raises(FrameError, match="runs from"):
            decoder.frame_at(moments[45])


def test_an_avi_whose_index_lacks_an_entry(folder: Path, tmp_path: Path) -> None:
    """Its times are places in the index: entered there, every later frame would be taken for the one before it."""
    source = whole(folder, MADE["mjpeg.avi"])
    moments = times(*sequential(source))
    data = bytearray(source.read_bytes())
    entry = data.index(b"idx1") + 8 + 16 * 20
    assert data[entry : entry + 4] == b"00dc"
    data[entry : entry + 4] = b"99dc"
    path = tmp_path / "odd.avi"
    path.write_bytes(data)
    with VideoDecoder(path) as decoder:
        for index in random.Random(1).sample(range(60), 60):
            assert number(decoder.frame_at(moments[index]).data) == index


def test_a_stream_that_no_header_told_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyAV looks beyond the end of its list of streams, and raises by chance."""
    path = whole(folder, MADE["simple.mp4"])
    moments = times(*sequential(path))
    with VideoDecoder(path) as decoder:
        packets = decoder._stream._packets
        demuxed = packets._demuxed

        def failing() -> Iterator[av.Packet[VideoStream]]:
            yield from islice(demuxed(), 6)
            raise IndexError("list index out of range")

        monkeypatch.setattr(packets, "_demuxed", failing)
        assert number(decoder.frame_at(moments[4]).data) == 4
        assert number(decoder.frame_at(moments[20]).data) == 20
        for ask in (lambda: decoder.metadata, lambda: decoder.pts_ns, lambda: decoder.frame_at(moments[7])):
            assert refusal(path, ask) == "MediaError"


def test_an_mp4_without_its_index(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    data = whole(folder, "h264.mp4").read_bytes()
    for end in (data.index(b"moov") - 4, data.index(b"stsd"), data.index(b"stsz"), len(data) - 150):
        path.write_bytes(data[:end])
        with pytest.raises(MediaError, match="cut") as raised:
            VideoDecoder(path).frame_at(0)
        assert str(raised.value).endswith(str(path))


def test_a_gif_that_is_cut(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.gif"
    path.write_bytes(whole(folder, "gif.gif").read_bytes()[:-200])
    with pytest.raises(MediaError, match="cut"):
        VideoDecoder(path)


class TestNoVideo:
    def test_sound_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.mp4"
        with av.open(str(path), "w") as out:
            sound = out.add_stream("aac", rate=44100)
            for at in range(20):
                quiet = av.AudioFrame("fltp", "mono", 1024)
                quiet.planes[0].update(bytes(quiet.planes[0].buffer_size))
                quiet.sample_rate, quiet.pts = 44100, at * 1024
                out.mux(sound.encode(quiet))
            out.mux(sound.encode(None))
        with pytest.raises(MediaError, match=r"no video in this file: it holds audio: .*sound\.mp4"):
            VideoDecoder(path)

    @pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "nut"])
    def test_no_frames(self, tmp_path: Path, suffix: str) -> None:
        path = OddVideo(f"empty.{suffix}", "mjpeg", [], pixels="yuvj420p").write(tmp_path)
        with contextlib.suppress(MediaError), VideoDecoder(path) as decoder:
            for ask in (lambda: decoder.frame_at(0), lambda: decoder.metadata, lambda: decoder.pts_ns):
                with pytest.raises(MediaError, match="no frame"):
                    ask()
        assert refusal(path, lambda: VideoDecoder(path).frame_at(0)) == "MediaError"

    def test_no_bytes(self, tmp_path: Path) -> None:
        path = tmp_path / "nothing.mp4"
        path.touch()
        with pytest.raises(MediaError, match=r"video of 0 bytes: .*nothing\.mp4"):
            VideoDecoder(path)

    @pytest.mark.parametrize(
        "content", [b"hello\n", b"hello " * 1000, b"{}", bytes(5000), b"<html>" * 99, b"\x1a\x45\xdf\xa3"]
    )
    def test_something_else(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "notes.mp4"
        path.write_bytes(content)
        with pytest.raises(MediaError, match=r"not a video that can be opened.*notes\.mp4"):
            VideoDecoder(path)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"])
    def test_a_still(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "picture.mp4"
        try:
            Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(path, kind)
        except (KeyError, OSError) as error:
            pytest.skip(f"Pillow writes no {kind} here: {error}")
        with pytest.raises(
            RefError, match=r"still image \(image/\w+\): a reference to it has no pts_ns: .*picture\.mp4"
        ):
            VideoDecoder(path)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(MediaNotFound, match=r"no such file: .*gone\.mp4") as raised:
            VideoDecoder(tmp_path / "gone.mp4")
        assert isinstance(raised.value, FileNotFoundError)

    def test_a_folder_and_a_pipe(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        for path in (tmp_path, tmp_path / "pipe.mp4"):
            with pytest.raises(MediaError, match="not a regular file"):
                VideoDecoder(path)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
    def test_a_file_that_may_not_be_read(self, folder: Path, tmp_path: Path) -> None:
        path = tmp_path / "secret.mp4"
        shutil.copy(whole(folder, "h264.mp4"), path)
        path.chmod(0)
        with pytest.raises(MediaError, match=r"secret\.mp4"):
            VideoDecoder(path)


class TestNamesThatLookLikeAddresses:
    @pytest.mark.parametrize(
        "name", ["concat:a|b.mp4", "http:x", "file:x.mp4", "s3:x", "a b%20c#d?e.mp4", "pipe:0", "subfile,,start,0,,:x"]
    )
    def test_are_just_names(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        shutil.copy(whole(folder, "h264.mp4"), tmp_path / name)
        monkeypatch.chdir(tmp_path)
        for source in (Path(name), f"./{name}", tmp_path / name, str(tmp_path / name)):
            with VideoDecoder(source) as decoder:
                assert number(decoder.frame_at(decoder.pts_ns[5]).data) == 5

    def test_a_name_that_is_no_text(self, folder: Path, tmp_path: Path) -> None:
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4"))
        shutil.copy(whole(folder, "h264.mp4"), path)
        with VideoDecoder(path) as decoder:
            assert number(decoder.frame_at(decoder.pts_ns[5]).data) == 5


class TestPlaylists:
    """They would have libavformat open what a stranger wrote into them."""

    def refuse(self, path: Path) -> None:
        with pytest.raises(MediaError, match=r"not followed|not a video that can be opened") as raised:
            VideoDecoder(path)
        assert str(raised.value).endswith(str(path))

    @pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "list.txt"])
    def test_of_hls(self, folder: Path, tmp_path: Path, name: str) -> None:
        shutil.copy(whole(folder, "h264.ts"), tmp_path / "part.ts")
        text = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2.0,\npart.ts\n#EXT-X-ENDLIST\n"
        (tmp_path / name).write_text(text)
        self.refuse(tmp_path / name)

    @pytest.mark.parametrize("name", ["list.ffconcat", "list.mp4"])
    def test_of_ffmpeg(self, folder: Path, tmp_path: Path, name: str) -> None:
        shutil.copy(whole(folder, "h264.ts"), tmp_path / "part.ts")
        (tmp_path / name).write_text("ffconcat version 1.0\nfile part.ts\n")
        self.refuse(tmp_path / name)

    def test_of_dash_and_sdp(self, tmp_path: Path) -> None:
        (tmp_path / "a.mpd").write_text(
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
            "<BaseURL>part.mp4</BaseURL></AdaptationSet></Period></MPD>"
        )
        (tmp_path / "a.sdp").write_text(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
        )
        for name in ("a.mpd", "a.sdp"):
            self.refuse(tmp_path / name)


def test_a_picture_that_is_too_large(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = OddVideo("small.mp4", "mjpeg", range(5), MS, pixels="yuvj420p", size=(16, 16)), ODD["h264.mp4"]
    monkeypatch.setattr(mediafile, "MAX_PIXELS", 64 * 48 - 1)
    path = whole(folder, large)
    assert refusal(path, lambda: VideoDecoder(path).frame_at(0)) == "MediaError"
    with VideoDecoder(small.write(tmp_path)) as decoder:
        assert decoder.frame_at(0).data.shape == (16, 16, 3)


@pytest.mark.parametrize("codec", ["mjpeg", "libx264", "png"])
def test_a_header_that_says_less_than_the_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    """The container's size is small, and the pictures in it are beyond the limit."""
    pixels = {"png": "rgb24", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    source = OddVideo(
        "large.mov" if codec == "png" else "large.mkv", codec, range(5), MS, pixels=pixels, size=(256, 256)
    )
    path = source.write(tmp_path)
    data = path.read_bytes()
    told = b"\xb0\x82\x01\x00\xba\x82\x01\x00" if path.suffix == ".mkv" else b"\x01\x00\x01\x00"
    less = b"\xb0\x82\x00\x10\xba\x82\x00\x10" if path.suffix == ".mkv" else b"\x00\x10\x00\x10"
    assert told in data
    path.write_bytes(data.replace(told, less, 1))
    monkeypatch.setattr(mediafile, "MAX_PIXELS", 256 * 256 - 1)
    assert refusal(path, lambda: VideoDecoder(path).frame_at(0)) == "MediaError"


def test_frames_of_two_sizes(tmp_path: Path) -> None:
    """Each frame comes as it is; a batch of both is refused."""
    parts = [
        OddVideo(f"{width}.mkv", "mjpeg", [at * 40, at * 40 + 40], pixels="yuvj420p", size=(width, 48)).write(tmp_path)
        for at, width in ((0, 64), (2, 96))
    ]
    path = tmp_path / "both.mkv"
    with av.open(str(path), "w") as out:
        stream = None
        for part in parts:
            with av.open(str(part)) as source:
                stream = stream or out.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        out.mux(packet)
    with VideoDecoder(path) as decoder:
        assert [decoder.frame_at(time * 1_000_000).data.shape for time in (0, 40, 80, 120)] == [
            (48, 64, 3),
            (48, 64, 3),
            (48, 96, 3),
            (48, 96, 3),
        ]
        assert decoder.frame_at(0).data.shape == (48, 64, 3)
        with pytest.raises(FrameError, match="don't fit one batch"):
            decoder.get_frames_played_at([0.0, 0.1])


def test_times_that_no_reference_can_name(folder: Path, tmp_path: Path) -> None:
    """IVF has 64 bit for a time in a time base of its own."""
    data = bytearray(whole(folder, "vp9.ivf").read_bytes())
    data[32 + 4 : 32 + 12] = (2**60).to_bytes(8, "little")
    path = tmp_path / "far.ivf"
    path.write_bytes(data)
    with VideoDecoder(path) as decoder:
        for ask in (lambda: decoder.pts_ns, lambda: decoder.frame_at(2**60 * NS // 30)):
            assert refusal(path, ask) in ("MediaError", "FrameError")
