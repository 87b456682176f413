"""Frames by TorchCodec are those that PyAV gives, or it says why there is none."""

from __future__ import annotations

import base64
import importlib
import io
import math
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import av
import fsspec
import numpy as np
import pytest

from mediaref_tools import MediaRef, batch_decode
from mediaref_tools.errors import ExtraError, FrameError, MediaError, MediaNotFound, RefError
from mediaref_tools.media.opening import Video, open_video
from mediaref_tools.media.video import VideoDecoder
from mediaref_tools.media.videobatch import VideoFrame
from mediaref_tools.pixels.raster import Format
from tests.oddvideos import IRREGULAR, ODD, Shown, number, sequential
from tests.reallogs import real_log

NS = 10**9
PAGES = "Could not load libtorchcodec. Likely causes:\n   1. FFmpeg is not there\n" + 50 * "Traceback: a line of many\n"
READ = [name for name in ODD if name.endswith((".mp4", ".mov", ".mkv", ".webm"))]
NOT_READ = [name for name in ODD if name not in READ]
# Where TorchCodec, with some version of FFmpeg, misses frames or can't open the file: it must say so, not err.
SOME_MISSED = {"h264_refresh.mp4", "h264_open.mp4", "h264_open.mkv", "h264_negative.mp4", "cover.mp4"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("odd")

    def make(name: str) -> Path:
        path = folder / name
        return path if path.exists() else ODD[name].write(folder)

    return make


@pytest.fixture(scope="session")
def torchcodec() -> None:
    try:
        importlib.import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchcodec can't be loaded here: {str(error).splitlines()[0]}")


def opened(path: Path | str, **options: Any) -> Video:
    return open_video(str(path), "torchcodec", options)


def one(video: Video, time_ns: int, wanted: Format = "rgb") -> VideoFrame:
    ((position, frame),) = video.frames_at([time_ns], wanted)
    assert position == 0
    return frame


def questions(begins: list[int], end: int) -> list[tuple[int, int]]:
    """Times to ask for, and the number of the frame on screen then: first and last ns of each, and one between."""
    asked = []
    for index, (begin, until) in enumerate(zip(begins, [*begins[1:], end], strict=True)):
        asked += [(time, index) for time in (begin, (begin + until) // 2, until - 1)]
    random.Random(7).shuffle(asked)
    return asked


class Fake:
    """Stands for `torchcodec.decoders`: gives black frames of the right times, and keeps what it was asked."""

    def __init__(self, begins: list[float], size: tuple[int, int] = (48, 64)) -> None:
        self.begins, self.size = begins, size
        self.settings: dict[str, Any] = {}
        self.asked: list[int] = []
        self.copied = 0
        self.metadata = SimpleNamespace(rotation=None)

    def __call__(self, source: str, **settings: Any) -> Fake:
        self.settings = {"source": source, **settings}
        return self

    def __len__(self) -> int:
        return len(self.begins)

    def get_frame_at(self, index: int) -> SimpleNamespace:
        self.asked.append(index)
        return SimpleNamespace(data=self, pts_seconds=self.begins[index])

    def cpu(self) -> Fake:
        self.copied += 1
        return self

    def numpy(self) -> Any:
        return np.zeros((*self.size, 3), np.uint8)


def install(monkeypatch: pytest.MonkeyPatch, decoder: Callable[..., Any]) -> None:
    module = ModuleType("torchcodec.decoders")
    module.VideoDecoder = decoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake([tick / 1000 for tick in IRREGULAR])
    install(monkeypatch, fake)
    return fake


def take_torchcodec() -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "torchcodec"]
    return {name: sys.modules.pop(name) for name in names}


class TestWithout:
    """What is said where TorchCodec can't be used."""

    @pytest.fixture(autouse=True)
    def unimported(self) -> Iterator[None]:
        taken = take_torchcodec()
        yield
        take_torchcodec()
        sys.modules.update(taken)

    def test_not_installed(self, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torchcodec", None)
        ref = MediaRef(uri=str(made("h264.mp4")), pts_ns=0)
        for ask in (
            lambda: ref.to_ndarray(decoder="torchcodec"),
            lambda: batch_decode([ref], "torchcodec"),
            lambda: opened(made("h264.mp4")),
        ):
            with pytest.raises(
                ExtraError, match=r"^torchcodec can't be imported .*mediaref-tools\[torchcodec\]"
            ) as raised:
                ask()
            assert isinstance(raised.value, ImportError)

    def test_nothing_is_opened_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "torchcodec", None)
        with pytest.raises(ExtraError):
            opened("not-there.mp4")

    @pytest.mark.parametrize("kind", ["RuntimeError", "OSError", "ImportError"])
    def test_installed_but_not_loaded(
        self, made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        package = tmp_path / "torchcodec"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "decoders.py").write_text(f"raise {kind}({PAGES!r})\n")
        monkeypatch.syspath_prepend(tmp_path)
        for _ in range(2):  # a module that failed is imported anew
            with pytest.raises(ExtraError) as raised:
                opened(made("h264.mp4"))
            assert str(raised.value) == (
                "torchcodec is installed but can't be loaded (Could not load libtorchcodec): install FFmpeg's shared "
                "libraries, and the torch that this version of torchcodec was built for; or use decoder='pyav'"
            )

    def test_not_loaded_before_a_video_is_opened(
        self, made: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise RuntimeError(PAGES)

        install(monkeypatch, refuse)
        with pytest.raises(ExtraError, match=r"^torchcodec is installed but can't be loaded [^\n]*$"):
            opened(made("h264.mp4"))


class TestChoice:
    """What TorchCodec is asked for, and what it is believed: nothing here needs it."""

    def test_every_time_asks_for_the_right_frame(self, made: Callable[[str], Path], fake: Fake) -> None:
        begins = [tick * 10**6 for tick in IRREGULAR]
        path = made("h264_b.mp4")
        with VideoDecoder(path) as reference:
            end = reference.frame_at(begins[-1]).until_ns
        asked = questions(begins, end)
        with opened(path) as video:
            got = dict(video.frames_at([time for time, _ in asked]))
            assert fake.asked == list(range(60))  # each once, ascending
            for position, (_, index) in enumerate(asked):
                assert got[position].pts_ns == begins[index]
                assert got[position].until_ns == [*begins, end][index + 1]
        assert fake.settings["source"] == f"file:{path}"
        assert fake.settings["seek_mode"] == "exact"
        assert fake.settings["stream_index"] == 0

    def test_repeats_share_their_data(self, made: Callable[[str], Path], fake: Fake) -> None:
        with opened(made("h264.mp4")) as video:
            got = dict(video.frames_at(np.array([10**7, 2 * 10**9, 10**7], np.int64)))
        assert got[0].data is got[2].data
        assert got[0].data is not got[1].data

    def test_device_and_threads_are_passed_on(self, made: Callable[[str], Path], fake: Fake) -> None:
        ref = MediaRef(uri=str(made("h264.mp4")), pts_ns=0)
        options = {"device": "cuda:1", "num_ffmpeg_threads": 3}
        assert ref.to_ndarray(decoder="torchcodec", decoder_options=options).shape == (48, 64, 3)
        assert fake.settings["device"] == "cuda:1"
        assert fake.settings["num_ffmpeg_threads"] == 3
        assert fake.copied == 1  # what NumPy can't see comes to the host
        ref.to_ndarray(decoder="torchcodec")
        assert fake.settings["device"] == "cpu"

    def test_other_number_of_frames(self, made: Callable[[str], Path], fake: Fake) -> None:
        fake.begins.pop()
        with pytest.raises(MediaError, match="finds 59 frames in this video, its packets are 60: use decoder='pyav'"):
            opened(made("h264.mp4"))

    @pytest.mark.parametrize("other", [0.001, -0.007, 1e-6, 1.0])
    def test_frame_of_another_time(self, made: Callable[[str], Path], fake: Fake, other: float) -> None:
        fake.begins[5] += other
        with opened(made("h264.mp4")) as video:
            for index in (4, 6):
                one(video, IRREGULAR[index] * 10**6)
            with pytest.raises(MediaError, match=r"torchcodec gives the frame at .* use decoder='pyav'"):
                one(video, IRREGULAR[5] * 10**6)

    def test_its_rounding_is_let_pass(self, made: Callable[[str], Path], fake: Fake) -> None:
        fake.begins = [math.nextafter(begin, math.inf) for begin in fake.begins]
        with opened(made("h264.mp4")) as video:
            assert len(list(video.frames_at([tick * 10**6 for tick in IRREGULAR]))) == 60

    def test_no_frame_of_the_right_number(self, made: Callable[[str], Path], fake: Fake) -> None:
        def none(index: int) -> SimpleNamespace:
            raise RuntimeError("getNextFrame, /a/b/Decoder.cpp:12, no more frames\nException raised from C++\n at …")

        with opened(made("h264.mp4")) as video:
            fake.get_frame_at = none  # type: ignore[method-assign]
            with pytest.raises(MediaError, match=r"at 0 ns: no more frames: use decoder='pyav': /"):
                one(video, 0)

    @pytest.mark.parametrize("name", NOT_READ)
    def test_containers_that_it_misreads(self, made: Callable[[str], Path], fake: Fake, name: str) -> None:
        with pytest.raises(MediaError, match=r"only of MP4, MOV, Matroska, WebM: use decoder='pyav': .*" + name):
            opened(made(name))
        assert not fake.settings

    @pytest.mark.parametrize("wanted", get_args(Format))
    @pytest.mark.parametrize(
        ("name", "refused"),
        [
            ("h264.mp4", ()),
            ("hevc_gray12.mp4", ("native",)),
            ("ffv1_gray16.mp4", ("native",)),
            ("h264_10bit.mp4", ("native",)),
            ("ffv1_bgra.mkv", ("native", "rgba", "bgra")),
        ],
    )
    def test_formats_that_it_can_not_give(
        self, made: Callable[[str], Path], fake: Fake, wanted: Format, name: str, refused: tuple[str, ...]
    ) -> None:
        with opened(made(name)) as video:
            if wanted in refused:
                with pytest.raises(MediaError, match=f"use decoder='pyav' for format='{wanted}'"):
                    one(video, 0, wanted)
            else:
                channels = {"rgba": (4,), "bgra": (4,), "gray": ()}.get(wanted, (3,))
                assert one(video, 0, wanted).data.shape == (48, 64, *channels)

    def test_colours_of_a_palette_may_be_transparent(self, fake: Fake, tmp_path: Path) -> None:
        path = tmp_path / "palette.mov"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("png", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
            palette = np.full((256, 4), 128, np.uint8)
            pixels: Any = np.zeros((48, 64), np.uint8), palette
            frame = av.VideoFrame.from_ndarray(pixels, format="pal8")
            out.mux([*stream.encode(frame), *stream.encode(None)])
        fake.begins = [0.0]
        with opened(path) as video:
            assert one(video, 0, "bgr").data.shape == (48, 64, 3)
            with pytest.raises(MediaError, match="this video is pal8: use decoder='pyav' for format='rgba'"):
                one(video, 0, "rgba")

    def test_format_of_no_name(self, made: Callable[[str], Path], fake: Fake) -> None:
        with opened(made("h264.mp4")) as video, pytest.raises(RefError, match="format 'yuv' is none of rgb, bgr"):
            video.frames_at([0], "yuv")  # type: ignore[arg-type]

    def test_times_outside_and_no_times(self, made: Callable[[str], Path], fake: Fake) -> None:
        path = made("h264.mp4")
        with opened(path) as video, VideoDecoder(path) as reference:
            end = reference.frame_at(IRREGULAR[-1] * 10**6).until_ns
            assert one(video, end - 1).until_ns == end
            for time in (-1, end, 2**80, -(2**80)):
                with pytest.raises(FrameError) as expected:
                    reference.frame_at(time)
                with pytest.raises(FrameError) as raised:
                    one(video, time)
                assert str(raised.value) == str(expected.value)
            with pytest.raises(FrameError, match=r"time of 1\.5: expected a whole number"):
                video.frames_at([1.5])  # type: ignore[list-item]
            assert list(video.frames_at([])) == []

    def test_frames_too_large(self, made: Callable[[str], Path], fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mediaref_tools.media.torchvideo.MAX_PIXELS", 64 * 48)
        opened(made("h264.mp4")).close()
        monkeypatch.setattr("mediaref_tools.media.torchvideo.MAX_PIXELS", 64 * 48 - 1)
        with pytest.raises(MediaError, match="more than 3071 pixels"):
            opened(made("h264.mp4"))

    def test_what_is_no_video(self, made: Callable[[str], Path], fake: Fake, tmp_path: Path) -> None:
        still = tmp_path / "still.bmp"
        still.write_bytes(b"BM" + bytes(100))
        with pytest.raises(RefError, match="still image"):
            opened(still)
        with pytest.raises(MediaNotFound):
            opened(tmp_path / "not-there.mp4")
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(made("h264_long.mkv").read_bytes()[:-2000])
        with pytest.raises(MediaError, match="cut"):
            opened(cut)
        assert not fake.settings

    def test_closed(self, made: Callable[[str], Path], fake: Fake) -> None:
        with opened(made("h264.mp4")) as video:
            pass
        video.close()
        with pytest.raises(MediaError, match="closed"):
            one(video, 0)

    @pytest.mark.parametrize("kind", ["memory", "data"])
    def test_copy_of_what_is_not_local(
        self,
        made: Callable[[str], Path],
        fake: Fake,
        kind: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        data = made("h264.mp4").read_bytes()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with elsewhere(kind, data) as uri:
            with opened(uri) as video:
                (copy,) = tmp_path.glob("*/*")
                assert fake.settings["source"] == f"file:{copy}"
                assert copy.read_bytes() == data
                assert one(video, 10**9).pts_ns <= 10**9
            assert list(tmp_path.iterdir()) == []
            fake.begins.pop()
            with pytest.raises(MediaError):
                opened(uri)
            assert list(tmp_path.iterdir()) == []

    def test_remote_file_is_closed_when_copied(
        self, made: Callable[[str], Path], fake: Fake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = io.BytesIO(made("h264.mp4").read_bytes())
        monkeypatch.setattr("mediaref_tools.media.torchvideo.open_remote", lambda uri, options: source)
        with opened("s3://bucket/video.mp4"):
            assert source.closed


class elsewhere:  # noqa: N801 - used as a function
    """The uri of some bytes that are in no file."""

    def __init__(self, kind: str, data: bytes) -> None:
        self.kind, self.data = kind, data
        self.memory = fsspec.filesystem("memory")

    def __enter__(self) -> str:
        if self.kind == "data":
            return "data:video/mp4;base64," + base64.b64encode(self.data).decode()
        self.memory.pipe("/torchcodec/video.mp4", self.data)
        return "memory://torchcodec/video.mp4"

    def __exit__(self, *_: object) -> None:
        if self.kind == "memory":
            self.memory.rm("/torchcodec", recursive=True)


@pytest.mark.usefixtures("torchcodec")
class TestFrames:
    """What TorchCodec really gives."""

    @pytest.mark.parametrize("name", READ)
    def test_every_frame_of_every_odd_video(self, made: Callable[[str], Path], name: str) -> None:
        path = made(name)
        _, shown = sequential(path)
        with VideoDecoder(path) as reference:
            begins = reference.pts_ns.tolist()
            end = reference.frame_at(begins[-1]).until_ns
        asked = questions(begins, end)
        try:
            with opened(path) as video:
                wrong = [question for question in asked if not right(video, shown, begins, end, question, name)]
                assert not wrong
                if name not in SOME_MISSED:
                    got = dict(video.frames_at([time for time, _ in asked]))
                    assert [number(got[at].data) for at in range(len(asked))] == [
                        number(shown[index].rgb) for _, index in asked
                    ]
        except MediaError as error:
            if name not in SOME_MISSED:
                raise
            assert "torchcodec" in str(error)

    @pytest.mark.parametrize("name", ["h264_b.mp4", "h264_pyramid.mp4", "hevc_open.mkv", "h264_long.mp4", "av1.mkv"])
    def test_each_first_thing_asked(self, made: Callable[[str], Path], name: str) -> None:
        path = made(name)
        _, shown = sequential(path)
        with VideoDecoder(path) as reference:
            begins = reference.pts_ns.tolist()
        for index in range(0, 60, 7):
            with opened(path, num_ffmpeg_threads=1 + index % 2) as video:
                assert number(one(video, begins[index]).data) == number(shown[index].rgb)

    @pytest.mark.parametrize("wanted", ["rgb", "bgr", "rgba", "bgra", "gray", "native"])
    @pytest.mark.parametrize("name", ["h264.mp4", "vp9_odd.webm", "turned.mp4", "qtrle.mov"])
    def test_formats_are_laid_out_as_pyav_s(self, made: Callable[[str], Path], name: str, wanted: Format) -> None:
        path = made(name)
        with opened(path) as video, VideoDecoder(path) as reference:
            time = IRREGULAR[37] * 10**6
            got, expected = one(video, time, wanted), reference.frame_at(time, wanted)
        assert got.data.dtype == np.uint8
        assert got.data.shape == expected.data.shape
        assert got.data.flags.c_contiguous
        assert got.data.flags.writeable
        assert np.abs(got.data.astype(int) - expected.data).max() <= 8
        assert got[1:] == expected[1:]

    @pytest.mark.parametrize("kind", ["memory", "data"])
    def test_from_elsewhere(self, made: Callable[[str], Path], kind: str) -> None:
        with elsewhere(kind, made("h264_b.mp4").read_bytes()) as uri, opened(uri) as video:
            for index in (50, 3, 59):
                assert number(one(video, IRREGULAR[index] * 10**6).data) == index

    def test_file_whose_name_looks_like_a_protocol(
        self, made: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("concat:a|b 100%.mp4").write_bytes(made("h264.mp4").read_bytes())
        with opened("./concat:a|b 100%.mp4") as video:
            assert number(one(video, IRREGULAR[9] * 10**6).data) == 9

    def test_batch_of_references(self, made: Callable[[str], Path]) -> None:
        order = [(name, index) for name in ("h264_b.mp4", "vp9.webm") for index in (40, 2, 59, 2)]
        refs = [MediaRef(uri=str(made(name)), pts_ns=IRREGULAR[index] * 10**6) for name, index in order]
        got = batch_decode(refs, "torchcodec", decoder_options={"num_ffmpeg_threads": 2})
        assert [number(array) for array in got] == [index for _, index in order]

    def test_device_that_is_not_there(self, made: Callable[[str], Path]) -> None:
        with pytest.raises(
            MediaError, match=r"^torchcodec can't open this video on device 'quantum': [^\n]*h264\.mp4$"
        ):
            opened(made("h264.mp4"), device="quantum")

    @pytest.mark.parametrize("name", ["karma.mp4", "lerobot_wrist0.mp4", "so101_wrist.mp4", "udacity_yellow.mp4"])
    def test_footage(self, name: str) -> None:
        path = real_log(f"footage/{name}")
        with VideoDecoder(path) as reference, opened(path) as video:
            begins = reference.pts_ns.tolist()
            ends = [*begins[1:], reference.frame_at(begins[-1]).until_ns]
            # Of the first ones, pixels are known exactly: TorchCodec decodes them from the start, without a choice.
            decoder = importlib.import_module("torchcodec.decoders").VideoDecoder(str(path), dimension_order="NHWC")
            plain = [decoder.get_frame_at(index).data.numpy() for index in range(100)]
            picked = [*random.Random(5).sample(range(100), 15), *random.Random(6).sample(range(len(begins)), 10)]
            picked += [0, len(begins) - 1]
            times = [time for index in picked for time in (begins[index], ends[index] - 1)]
            expected = dict(reference.frames_at(times))
            for position, frame in video.frames_at(times):
                index = picked[position // 2]
                assert frame[1:] == expected[position][1:] == (begins[index], ends[index])
                assert frame.data.shape == expected[position].data.shape
                # Both decode the same bits: only their ways from YUV to RGB differ.
                assert np.abs(frame.data.astype(int) - expected[position].data).mean() < 2
                if index < len(plain):
                    assert np.array_equal(frame.data, plain[index])

    def test_on_a_gpu(self, made: Callable[[str], Path]) -> None:
        torch = importlib.import_module("torch")
        if not torch.cuda.is_available():
            pytest.skip("torch finds no GPU here")
        for name in ("h264_b.mp4", "hevc.mp4", "av1.mp4", "turned.mp4"):
            with opened(made(name), device="cuda") as video:
                order = random.Random(4).sample(range(60), 60)
                got = dict(video.frames_at([IRREGULAR[index] * 10**6 for index in order]))
                assert [number(got[at].data) for at in range(60)] == order
                assert isinstance(got[0].data, np.ndarray)


def right(video: Video, shown: list[Shown], begins: list[int], end: int, question: tuple[int, int], name: str) -> bool:
    """Whether the frame for a time is that of plain decoding; or, where that may be, whether it is refused."""
    time, index = question
    try:
        frame = one(video, time)
    except MediaError as error:
        return name in SOME_MISSED and "use decoder='pyav'" in str(error)
    return (
        number(frame.data) == number(shown[index].rgb)
        and frame.data.shape == shown[index].rgb.shape
        and frame[1:] == (begins[index], [*begins, end][index + 1])
    )
