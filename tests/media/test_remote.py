"""Media on servers: what a frame costs in bytes and requests, and what happens when a server misbehaves."""

from __future__ import annotations

import io
import multiprocessing
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
import pytest
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.errors import FrameError, MediaError, MediaNotFound, RefError
from mediaref_tools.media import failures, storage
from mediaref_tools.samples.scene import frame_number, numbered_image
from tests.oddvideos import ODD
from tests.servers import FileServer, S3Server, s3_server

FRAMES, GOP, SIZE = 240, 12, (320, 240)
STEP_NS = 40_000_000
MIDDLE = FRAMES // 2 + 5
VIDEOS = ("plain.mp4", "fast.mp4", "clip.mkv", "clip.ts")
Made = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A video of numbered noise, 8 MB, in several containers, and a still."""
    folder = tmp_path_factory.mktemp("remote")
    noise = np.random.default_rng(0).integers(0, 256, (FRAMES, SIZE[1] // 2, SIZE[0], 3), dtype=np.uint8)
    with av.open(str(folder / "plain.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "22", "bf": "0"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = GOP
        for number in range(FRAMES):
            picture = numbered_image(number, *SIZE)
            picture[SIZE[1] // 2 :] = noise[number]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    for name in VIDEOS[1:]:
        _remux(folder / "plain.mp4", folder / name, {"movflags": "faststart"} if name == "fast.mp4" else {})
    still = io.BytesIO()
    Image.fromarray(numbered_image(7, *SIZE)).save(still, "png")
    return {**{f"/{name}": (folder / name).read_bytes() for name in VIDEOS}, "/still.png": still.getvalue()}


def _remux(source: Path, target: Path, options: dict[str, str]) -> None:
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)


@pytest.fixture
def server(made: Made) -> Iterator[FileServer]:
    with FileServer(made) as running:
        yield running


@pytest.fixture(scope="module")
def s3(made: Made) -> Iterator[S3Server]:
    with s3_server({name.removeprefix("/"): content for name, content in made.items()}) as running:
        yield running


@pytest.fixture(autouse=True, scope="module")
def _sessions_end() -> Iterator[None]:
    yield
    from fsspec.implementations.http import HTTPFileSystem

    HTTPFileSystem.clear_instance_cache()


def ref(address: str, number: int) -> mrt.MediaRef:
    return mrt.MediaRef(uri=address, pts_ns=number * STEP_NS + STEP_NS // 2)


# --- what a frame costs


@pytest.mark.parametrize(("name", "most"), [("plain.mp4", 10), ("fast.mp4", 10), ("clip.mkv", 5), ("clip.ts", 1.5)])
def test_a_middle_frame_over_http_does_not_download_the_file(server: FileServer, name: str, most: float) -> None:
    """`most`: its bytes are at most this part of the file. Matroska is entered at clusters of 5 MB; TS has no index."""
    picture = ref(f"{server.url}/{name}", MIDDLE).to_ndarray()
    assert frame_number(picture) == MIDDLE
    assert server.sent < len(server.files[f"/{name}"]) / most
    gets = [request for request in server.requests if request.method == "GET"]
    assert {request.status for request in gets} == {206}
    assert len(gets) <= (32 if name == "clip.ts" else 8)
    assert len(server.requests) - len(gets) == 1


@pytest.mark.parametrize("name", ["plain.mp4", "fast.mp4"])
def test_a_middle_frame_over_s3_does_not_download_the_file(s3: S3Server, name: str) -> None:
    s3.forget()
    picture = ref(f"s3://bucket/{name}", MIDDLE).to_ndarray(storage_options=s3.options)
    assert frame_number(picture) == MIDDLE
    gets = [request for request in s3.requests if request.method == "GET" and request.path == f"/bucket/{name}"]
    assert {request.status for request in gets} == {206}
    assert len(gets) <= 8
    assert 0 < s3.sent < 8_000_000 / 10


def test_the_video_is_large_enough_to_tell(made: Made) -> None:
    assert all(len(made[f"/{name}"]) > 8_000_000 for name in VIDEOS)


def test_no_byte_is_fetched_twice_and_long_reads_take_few_requests(server: FileServer) -> None:
    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
        shown = [frame_number(frame.data) for _, frame in video.frames_at(video.pts_ns)]
    assert shown == list(range(FRAMES))
    size = len(server.files["/fast.mp4"])
    assert server.sent < 2.1 * size  # `pts_ns` reads it once, `frames_at` again, as not all of it is held
    server.forget()
    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
        for number in range(FRAMES):
            assert frame_number(video.frame_at(number * STEP_NS).data) == number
    spans = sorted(tuple(map(int, r.range.removeprefix("bytes=").split("-"))) for r in server.requests if r.range)
    assert sum(stop - start + 1 for start, stop in spans) == server.sent <= size
    assert len(server.requests) < 20


@pytest.mark.parametrize(("blocks", "again"), [(128, False), (4, True)])
def test_what_was_fetched_is_kept_but_only_so_far(
    server: FileServer, monkeypatch: pytest.MonkeyPatch, blocks: int, again: bool
) -> None:
    monkeypatch.setattr("mediaref_tools.media.ranges._BLOCKS", blocks)
    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
        for number in (200, 10):
            assert frame_number(video.frame_at(number * STEP_NS).data) == number
        server.forget()
        assert frame_number(video.frame_at(200 * STEP_NS).data) == 200
    assert bool(server.requests) == again


def test_sparse_frames_in_any_order_cost_less_than_the_file(server: FileServer) -> None:
    wanted = [230, 3, 117, 118, 60]
    pictures = mrt.batch_decode([ref(f"{server.url}/fast.mp4", number) for number in wanted])
    assert [frame_number(picture) for picture in pictures] == wanted
    assert server.sent < len(server.files["/fast.mp4"]) / 3
    assert sum(request.method == "HEAD" for request in server.requests) == 1  # opened once


def test_batch_decode_takes_stills_and_videos_of_s3(s3: S3Server) -> None:
    refs = [ref("s3://bucket/fast.mp4", 100), mrt.MediaRef(uri="s3://bucket/still.png"), ref("s3://bucket/clip.mkv", 9)]
    pictures = mrt.batch_decode(refs, storage_options=s3.options)
    assert [frame_number(picture) for picture in pictures] == [100, 7, 9]


def test_a_still_over_http_and_s3(server: FileServer, s3: S3Server) -> None:
    assert frame_number(mrt.MediaRef(uri=f"{server.url}/still.png").to_ndarray()) == 7
    assert [request.method for request in server.requests] == ["HEAD", "GET"]
    assert server.sent == len(server.files["/still.png"])
    assert frame_number(mrt.MediaRef(uri="s3://bucket/still.png").to_ndarray(storage_options=s3.options)) == 7


def test_a_video_taken_for_a_still_is_not_downloaded(server: FileServer) -> None:
    with pytest.raises(RefError, match="this is a video"):
        mrt.MediaRef(uri=f"{server.url}/fast.mp4").to_ndarray()
    assert server.sent < 300_000


def test_a_still_taken_for_a_video_is_told(server: FileServer) -> None:
    with pytest.raises(RefError, match="still image"):
        mrt.VideoDecoder(f"{server.url}/still.png")


def test_headers_given_as_options_reach_the_server(server: FileServer) -> None:
    options = {"headers": {"X-Token": "of-tests"}}
    ref(f"{server.url}/fast.mp4", 1).to_ndarray(storage_options=options)
    assert len(server.headers) > 1
    assert all(headers.get("X-Token") == "of-tests" for headers in server.headers)


def test_a_redirect_is_followed(server: FileServer) -> None:
    server.redirects["/moved.mp4"] = f"{server.url}/fast.mp4"
    assert frame_number(ref(f"{server.url}/moved.mp4", MIDDLE).to_ndarray()) == MIDDLE
    assert server.sent < 800_000


# --- servers without ranges


@pytest.mark.parametrize("how", ["ignored", "refused", "chunked"])
@pytest.mark.parametrize("name", ["plain.mp4", "clip.mkv"])
def test_without_ranges_the_file_is_fetched_once_and_frames_are_right(server: FileServer, name: str, how: str) -> None:
    server.ranges = "refused" if how == "refused" else False
    server.chunked = how == "chunked"
    size = len(server.files[f"/{name}"])
    with mrt.VideoDecoder(f"{server.url}/{name}") as video:
        for number in (MIDDLE, 3, 230, MIDDLE):
            assert frame_number(video.frame_at(number * STEP_NS).data) == number
    whole = [request for request in server.requests if request.sent == size]
    assert len(whole) == 1
    assert len(server.requests) <= 4


def test_without_ranges_a_still_is_right(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.files["/noise.bmp"] = content = _bmp()
    server.ranges = False
    assert mrt.MediaRef(uri=f"{server.url}/noise.bmp").to_ndarray().shape == (300, 400, 3)
    server.chunked = True
    assert mrt.MediaRef(uri=f"{server.url}/noise.bmp").to_ndarray().shape == (300, 400, 3)
    monkeypatch.setattr(storage, "MAX_STILL_BYTES", len(content) - 1)
    for server.chunked in (True, False):
        with pytest.raises(MediaError, match=f"larger than {len(content) - 1} bytes.*noise.bmp"):
            mrt.MediaRef(uri=f"{server.url}/noise.bmp").to_ndarray()


def _bmp() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (400, 300)).save(stream, "bmp")
    return stream.getvalue()


def test_a_still_without_end_is_refused(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "MAX_STILL_BYTES", 2**20)
    server.files["/large.png"] = server.files["/still.png"] + bytes(2**26)
    # A socket takes some megabytes before anyone reads them.
    for server.ranges, most in ((True, 2**21), (False, 2**25), ("refused", 2**25)):
        server.forget()
        with pytest.raises(MediaError, match=r"larger than 1048576 bytes.*large\.png"):
            mrt.MediaRef(uri=f"{server.url}/large.png").to_ndarray()
        assert server.sent < most


# --- errors

HTTP_ERRORS = [(404, MediaNotFound, "nothing at this address"), (410, MediaNotFound, "nothing at this address")] + [
    (status, MediaError, f"server answers {status}") for status in (401, 403, 500, 503)
]


@pytest.mark.parametrize(("status", "kind", "says"), HTTP_ERRORS)
@pytest.mark.parametrize("pts_ns", [None, 0])
def test_a_status_becomes_our_error(
    server: FileServer, status: int, kind: type[Exception], says: str, pts_ns: int | None
) -> None:
    server.status = status
    with pytest.raises(kind, match=f"{says}.*{server.url}/fast.mp4") as error:
        mrt.MediaRef(uri=f"{server.url}/fast.mp4", pts_ns=pts_ns).to_ndarray()
    assert type(error.value) is kind


def test_what_is_not_there_over_s3(s3: S3Server) -> None:
    for uri in ("s3://bucket/none.mp4", "s3://no-bucket-here/fast.mp4", "s3://bucket"):
        with pytest.raises(MediaError, match=uri) as error:
            ref(uri, 0).to_ndarray(storage_options=s3.options)
        assert type(error.value) is MediaNotFound or uri == "s3://bucket"


def test_validate_uri_asks_the_server(server: FileServer, s3: S3Server) -> None:
    for base, options in ((server.url, None), ("s3://bucket", s3.options)):
        assert mrt.MediaRef(uri=f"{base}/fast.mp4").validate_uri(storage_options=options)
        assert not mrt.MediaRef(uri=f"{base}/none.mp4").validate_uri(storage_options=options)
    server.status = 403
    with pytest.raises(MediaError, match="server answers 403"):
        mrt.MediaRef(uri=f"{server.url}/fast.mp4").validate_uri()
    server.stop()
    with pytest.raises(MediaError, match="can't be read"):
        mrt.MediaRef(uri=f"{server.url}/fast.mp4").validate_uri()


@pytest.mark.parametrize("pts_ns", [None, 0])
def test_a_refused_connection(server: FileServer, pts_ns: int | None) -> None:
    server.stop()
    with pytest.raises(MediaError, match=f"can't be read.*{server.url}/fast.mp4") as error:
        mrt.MediaRef(uri=f"{server.url}/fast.mp4", pts_ns=pts_ns).to_ndarray()
    assert not isinstance(error.value, MediaNotFound)


def test_a_refused_connection_of_s3(s3: S3Server) -> None:
    with FileServer({}) as gone:
        pass
    options = {**s3.options, "endpoint_url": gone.url, "config_kwargs": {"retries": {"total_max_attempts": 1}}}
    with pytest.raises(MediaError, match=r"s3://bucket/fast\.mp4") as error:
        ref("s3://bucket/fast.mp4", 0).to_ndarray(storage_options=options)
    assert "secret-of-tests" not in str(error.value)


@pytest.mark.parametrize("answered", [0, 2])
def test_a_server_that_does_not_answer(server: FileServer, answered: int) -> None:
    options = {"client_kwargs": {"timeout": aiohttp.ClientTimeout(total=0.15)}}
    with pytest.raises(MediaError, match=f"no answer in time.*{server.url}/fast.mp4"):
        _delayed(server, answered, options)


def _delayed(server: FileServer, answered: int, options: dict[str, Any]) -> None:
    if not answered:
        server.delay = 2.0
    with mrt.VideoDecoder(f"{server.url}/fast.mp4", storage_options=options) as video:
        server.delay = 2.0
        video.frame_at(MIDDLE * STEP_NS)


def test_a_slow_server_is_waited_for(server: FileServer) -> None:
    server.delay = 0.05
    assert frame_number(ref(f"{server.url}/fast.mp4", MIDDLE).to_ndarray()) == MIDDLE


def test_silence_is_limited_but_not_the_time_of_a_download(server: FileServer) -> None:
    filesystem, _ = storage._filesystem(f"{server.url}/fast.mp4", {"client_kwargs": {"trust_env": False}})
    timeout = filesystem.client_kwargs["timeout"]
    assert (timeout.total, timeout.sock_read, timeout.sock_connect) == (None, 60, 30)
    assert filesystem.client_kwargs["trust_env"] is False


@pytest.mark.parametrize("name", ["plain.mp4", "fast.mp4", "clip.mkv", "clip.ts"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_dropped_in_a_body(server: FileServer, name: str, ranges: bool) -> None:
    server.ranges = ranges
    server.drop_after = 50_000
    with pytest.raises(MediaError, match=f"can't be read.*{server.url}/{name}"):
        ref(f"{server.url}/{name}", MIDDLE).to_ndarray()
    with pytest.raises(MediaError, match=f"can't be read.*{server.url}/{name}"):
        mrt.VideoDecoder(f"{server.url}/{name}")


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("answered", range(2, 9, 2))
def test_a_server_that_goes_away_never_gives_a_wrong_frame(server: FileServer, name: str, answered: int) -> None:
    """Whichever request is the last one answered: the right frames, or our error, and none afterwards."""
    server.failing_after = answered
    address = f"{server.url}/{name}"
    given = failed = 0
    try:
        with mrt.VideoDecoder(address) as video:
            for number in (MIDDLE, 2, 200, 201, 239, 40):
                try:
                    frame = video.frame_at(number * STEP_NS)
                except MediaError as error:
                    assert "can't be read" in str(error)
                    assert address in str(error)
                    failed += 1
                else:
                    assert frame_number(frame.data) == number
                    given += 1
    except MediaError as error:
        assert address in str(error)
        failed += 1
    assert failed
    assert given < 6


def test_what_has_no_index_fails_too_where_its_end_is_not_reached(server: FileServer) -> None:
    with mrt.VideoDecoder(f"{server.url}/clip.ts") as video:
        assert frame_number(video.frame_at(0).data) == 0
        server.failing_after = len(server.requests)
        for ask in (
            lambda: video.pts_ns,
            lambda: video.metadata,
            lambda: list(video.frames_at([number * STEP_NS for number in range(FRAMES)])),
            lambda: video.get_frames_played_in_range(1.6, 9.0),
            lambda: video.frame_at(10**12),
        ):
            with pytest.raises(MediaError, match=f"can't be read.*{server.url}/clip.ts"):
                ask()


def test_decoding_goes_on_when_the_server_is_back(server: FileServer) -> None:
    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
        assert frame_number(video.frame_at(0).data) == 0
        server.failing_after = 0
        with pytest.raises(MediaError, match=r"fast\.mp4"):
            video.frame_at(MIDDLE * STEP_NS)
        server.failing_after = None
        for number in (MIDDLE, 0, 239):
            assert frame_number(video.frame_at(number * STEP_NS).data) == number
        with pytest.raises(FrameError, match="no frame is on screen"):
            video.frame_at(FRAMES * STEP_NS)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["plain.mp4", "fast.mp4", "clip.mkv"])
def test_a_server_that_claims_too_much(server: FileServer, name: str, ranges: bool) -> None:
    server.ranges = ranges
    server.claimed = len(server.files[f"/{name}"]) + 1000
    try:
        picture = ref(f"{server.url}/{name}", FRAMES - 1).to_ndarray()
    except MediaError as error:
        assert "that it promised" in str(error)
        assert f"{server.url}/{name}" in str(error)
    else:
        assert frame_number(picture) == FRAMES - 1


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["plain.mp4", "fast.mp4"])
def test_a_server_that_claims_too_little(server: FileServer, name: str, ranges: bool) -> None:
    server.ranges = ranges
    server.claimed = len(server.files[f"/{name}"]) // 2
    with pytest.raises(MediaError, match=f"cut.*{server.url}/{name}"):
        ref(f"{server.url}/{name}", FRAMES - 1).to_ndarray()


def test_a_head_that_claims_nothing_is_not_believed(server: FileServer) -> None:
    server.claimed = 0
    assert frame_number(ref(f"{server.url}/fast.mp4", MIDDLE).to_ndarray()) == MIDDLE


# --- secrets


def test_no_message_tells_what_opens_the_door(server: FileServer) -> None:
    host = server.url.removeprefix("http://")
    address = f"http://robot:pa55word@{host}/fast.mp4?X-Amz-Signature=5igned&t=1"
    options = {"headers": {"Authorization": "Bearer t0ken-of-tests"}}
    server.failing_after = None
    said: list[str] = []
    for server.status, server.drop_after, server.failing_after in (
        (403, None, None),
        (None, 9000, None),
        (None, None, 2),
    ):
        server.forget()
        for uri, pts_ns in ((address, 0), (address.replace("fast", "none"), 0), (address, None)):
            with pytest.raises(mrt.MediarefError) as error:
                mrt.MediaRef(uri=uri, pts_ns=pts_ns).to_ndarray(storage_options=options)
            said += _all_that_is_shown(error.value)
    said.append(repr(mrt.MediaRef(uri=address, pts_ns=3)))
    assert all(host in each for each in said)
    assert not [each for each in said for secret in ("pa55word", "robot", "5igned", "t0ken") if secret in each]


def test_a_backend_s_message_is_cleared_of_options() -> None:
    with (
        pytest.raises(MediaError) as error,
        failures.explained("s3://bucket/a", {"a": {"secret": "5ecret"}, "b": ("k3y9",)}),
    ):
        raise RuntimeError("k3y9 with 5ecret is not good for http://user:pw@h/x?sig=77")
    assert str(error.value) == "can't be read (RuntimeError: … with … is not good for http://…@h/x?…): s3://bucket/a"
    assert error.value.__cause__ is None


def test_a_harmless_cause_is_kept() -> None:
    cause = RuntimeError("bucket is upside down")
    with pytest.raises(MediaError) as error, failures.explained("s3://bucket/a"):
        raise cause
    assert error.value.__cause__ is cause


def _all_that_is_shown(error: BaseException) -> list[str]:
    """The message, and those of the causes that a traceback shows."""
    said = [str(error)]
    while True:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return said
        error = cause
        said.append(str(error) or "http://127.0.0.1")


# --- threads and processes


def test_two_threads_with_a_decoder_each(server: FileServer) -> None:
    wanted = {0: list(range(5, 200, 39)), 1: list(range(230, 0, -41))}
    found: dict[int, list[int]] = {}

    def work(which: int) -> None:
        with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
            found[which] = [frame_number(video.frame_at(number * STEP_NS).data) for number in wanted[which]]

    threads = [threading.Thread(target=work, args=(which,)) for which in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == wanted


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("ranges", [True, False])
def test_a_forked_process_decodes_by_its_own_and_by_its_parent_s_decoder(server: FileServer, ranges: bool) -> None:
    server.ranges = ranges
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work(video: mrt.VideoDecoder) -> None:
        with mrt.VideoDecoder(f"{server.url}/clip.mkv") as own:
            sender.send(frame_number(own.frame_at(30 * STEP_NS).data))
        sender.send(frame_number(video.frame_at(MIDDLE * STEP_NS).data))

    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video, receiver, sender:
        assert frame_number(video.frame_at(40 * STEP_NS).data) == 40
        child = context.Process(target=work, args=(video,))
        child.start()
        try:
            assert receiver.poll(20)
            assert receiver.recv() == 30
            assert receiver.poll(20)
            assert receiver.recv() == MIDDLE
            child.join(20)
            assert child.exitcode == 0
        finally:
            child.kill()
            child.join()
            child.close()
        assert frame_number(video.frame_at(200 * STEP_NS).data) == 200
    whole = [request for request in server.requests if request.sent == len(server.files["/fast.mp4"])]
    assert len(whole) == (0 if ranges else 1)  # the copy serves both


# --- several frames at once


def _groups(server: FileServer) -> list[tuple[int, int]]:
    return sorted(
        (int(begin), int(end) + 1)
        for request in server.requests
        if request.range
        for begin, end in [request.range.removeprefix("bytes=").split("-")]
    )


@pytest.mark.parametrize("name", ["plain.mp4", "fast.mp4"])
def test_frames_of_many_groups_are_fetched_side_by_side(
    server: FileServer, made: Made, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(made[f"/{name}"])
    wanted = [5 + 2 * GOP * at for at in range(10)]
    times = [number * STEP_NS for number in wanted]
    with mrt.VideoDecoder(tmp_path / name) as local, mrt.VideoDecoder(f"{server.url}/{name}", threads=2) as video:
        truth = {position: frame.data for position, frame in local.frames_at(times)}
        table = local._stream.table()
        assert table is not None
        assert video._indexed is not None
        server.forget()
        with server.together(10):
            found = {position: frame.data for position, frame in video.frames_at(times)}
        assert all(np.array_equal(found[position], truth[position]) for position in range(10))
        least = sum(int(table.size[2 * GOP * at : 2 * GOP * at + 6].sum()) for at in range(10))
        assert least <= server.sent <= 1.1 * least
        assert video._indexed.fetched == (10, server.sent)
        assert len(server.requests) == 10
        list(video.frames_at(times))
        assert len(server.requests) == 10  # they are held
        assert [frame_number(frame.data) for _, frame in video.frames_at([12 * STEP_NS, 77 * STEP_NS])] == [12, 77]


def test_frames_of_a_whole_video_come_in_few_requests_each_byte_once(server: FileServer) -> None:
    with mrt.VideoDecoder(f"{server.url}/fast.mp4", threads=2) as video:
        assert video._indexed is not None
        server.forget()
        times = [number * STEP_NS for number in range(FRAMES - 1)]
        assert [frame_number(frame.data) for _, frame in video.frames_at(times)] == list(range(FRAMES - 1))
        spans = _groups(server)
        assert all(one[1] <= other[0] for one, other in pairwise(spans))
        assert len(spans) <= 4


def test_what_is_far_ahead_of_decoding_is_not_fetched(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaref_tools.media.indexed._AHEAD_BYTES", 400_000)
    with mrt.VideoDecoder(f"{server.url}/fast.mp4", threads=1) as video:
        assert video._indexed is not None
        server.forget()
        frames = video.frames_at([number * STEP_NS for number in range(FRAMES - 1)])
        assert frame_number(next(frames)[1].data) == 0
        assert video._indexed.fetched.bytes < 4_000_000
        assert [frame_number(frame.data) for _, frame in frames] == list(range(1, FRAMES - 1))
        pieces = video._indexed._pieces
        assert pieces is not None
        assert not any(piece.users for row in pieces._rows.values() for piece in row)


def test_frames_of_a_video_with_b_frames_are_right(server: FileServer, tmp_path: Path) -> None:
    """When they are shown is told by the headers: packets are not gone through for that."""
    path = ODD["h264_pyramid.mp4"].write(tmp_path)
    server.files["/b.mp4"] = path.read_bytes()
    with mrt.VideoDecoder(path) as local, mrt.VideoDecoder(f"{server.url}/b.mp4") as video:
        wanted = local.pts_ns[[3, 17, 9]]
        found = dict(video.frames_at(wanted))
        assert local._indexed is not None
        assert video._indexed is not None
        assert all(np.array_equal(found[at].data, frame.data) for at, frame in local.frames_at(wanted))


def test_frames_that_can_t_be_fetched_are_told(server: FileServer) -> None:
    with mrt.VideoDecoder(f"{server.url}/fast.mp4") as video:
        assert video._indexed is not None
        server.failing_after = 0
        with pytest.raises(MediaError, match=f"can't be read.*{server.url}/fast.mp4"):
            list(video.frames_at([100 * STEP_NS, 200 * STEP_NS]))
        server.failing_after = None
        found = [frame_number(frame.data) for _, frame in video.frames_at([100 * STEP_NS, 200 * STEP_NS])]
        assert found == [100, 200]
