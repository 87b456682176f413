"""What the server behind a page answers, and to whom."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import DatasetError, LogNotFound, MediarefError, OutputError, TopicError
from mediaref_tools.sample import START_NS, frame_number, numbered_topic, write_log
from mediaref_tools.viewer.browser import can_open
from mediaref_tools.viewer.view import Viewer, view

from ..smalllogs import text
from .conftest import COUNT, COUNTER, DEPTH, RIGHT, RIGHT_FIRST


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(viewer: Viewer, path: str = "", host: str | None = None, *, token: bool = True, method: str = "GET") -> Answer:
    where = urlsplit(viewer.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port or 0, timeout=20)
    headers = {} if host is None else {"Host": host}
    connection.request(method, (where.path if token else "/") + path, headers=headers)
    answer = connection.getresponse()
    found = Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    connection.close()
    return found


@pytest.fixture(scope="module")
def viewer(dataset: Path) -> Iterator[Viewer]:
    with view(dataset) as opened:
        yield opened


def ids(viewer: Viewer) -> dict[str, int]:
    return {topic["name"]: topic["id"] for topic in ask(viewer, "api/session").json["topics"]}


def test_frames_are_the_reader_s(viewer: Viewer, dataset: Path) -> None:
    """Each answer's picture and label say the same, in any order, at any width."""
    topic = ids(viewer)[COUNTER]
    order = [0, 299, 150, 149, 148, 147, 17, 18, 19, 16, 15, 14, 250, 40, 41, 90, 91, 89, *range(60, 30, -3)]
    with open_dataset(dataset) as opened:
        camera = opened[COUNTER]
        for at, index in enumerate(order):
            answer = ask(viewer, f"api/0/frame/{topic}/{index}?w={(640, 320, 480)[at % 3]}")
            label = json.loads(answer.headers["x-mediaref-frame"])
            picture = np.asarray(Image.open(io.BytesIO(answer.body)))
            assert picture.shape[1] == (640, 320, 480)[at % 3]
            assert (frame_number(picture), label["index"]) == (index, index)
            ref = camera.refs[index]
            assert (label["uri"], int(label["pts_ns"])) == (ref.uri, ref.pts_ns)
            assert int(label["log_time_ns"]) == camera.log_times_ns[index]
            assert int(label["stamp_ns"]) == camera.stamps_ns[index]
            assert label["keyframe"] == camera.keyframes[index]
            assert label["psnr_db"] == pytest.approx(float(camera.psnr_db[index]), abs=0.01)


def test_many_at_once(viewer: Viewer) -> None:
    """Several viewers of one server: whoever asks gets what was asked for."""
    numbers = ids(viewer)
    wrong: list[tuple[str, int]] = []

    def watch(topic: str, first: int, count: int, seed: int) -> None:
        for index in np.random.default_rng(seed).integers(0, count, 25).tolist():
            answer = ask(viewer, f"api/0/frame/{numbers[topic]}/{index}?w=320")
            if frame_number(np.asarray(Image.open(io.BytesIO(answer.body)))) != index + first:
                wrong.append((topic, index))

    threads = [
        threading.Thread(target=watch, args=(topic, first, count, seed))
        for topic, first, count in ((COUNTER, 0, COUNT), (RIGHT, RIGHT_FIRST, 150))
        for seed in (1, 2, 3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_columns(viewer: Viewer, dataset: Path) -> None:
    session = ask(viewer, "api/session").json
    topic = ids(viewer)[COUNTER]
    times = np.frombuffer(ask(viewer, f"api/0/times/{topic}").body, "<f8")
    marks = np.frombuffer(ask(viewer, f"api/0/marks/{topic}").body, np.uint8)
    with open_dataset(dataset) as opened:
        camera = opened[COUNTER]
        assert (times.astype(np.int64) + int(session["start_ns"])).tolist() == camera.log_times_ns.tolist()
        borders = [at for at in range(1, COUNT) if camera.refs[at].uri != camera.refs[at - 1].uri]
        assert np.flatnonzero(marks & 2).tolist() == borders
        assert np.flatnonzero(marks & 4).tolist() == np.flatnonzero(camera.keyframes).tolist()
        psnr = np.frombuffer(ask(viewer, f"api/0/psnr/{topic}").body, "<f4")
        assert np.array_equal(psnr, camera.psnr_db, equal_nan=True)


def test_values_and_png(viewer: Viewer, dataset: Path) -> None:
    numbers = ids(viewer)
    with open_dataset(dataset) as opened:
        depth, colour = opened[DEPTH][11].data, opened[RIGHT][3].data
    assert ask(viewer, f"api/0/value/{numbers[DEPTH]}/11?x=100&y=80").json == {"value": [int(depth[80, 100])]}
    assert ask(viewer, f"api/0/value/{numbers[RIGHT]}/3?x=5&y=7").json == {"value": colour[7, 5].tolist()}
    low, high = ask(viewer, f"api/0/range/{numbers[DEPTH]}/11").json["range"]
    assert depth.min() <= low < high <= depth.max()
    for topic, index, expected in ((DEPTH, 11, depth), (RIGHT, 3, colour)):
        answer = ask(viewer, f"api/0/png/{numbers[topic]}/{index}")
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.body))), expected)
        assert "attachment" in answer.headers["content-disposition"]
    assert ask(viewer, f"api/0/value/{numbers[RIGHT]}/3?x=320&y=7").status == 500
    assert "no pixel 320, 7" in ask(viewer, f"api/0/value/{numbers[RIGHT]}/3?x=320&y=7").json["error"]


def test_snippet_shows_the_frame(viewer: Viewer, tmp_path: Path) -> None:
    told = ask(viewer, f"api/0/ref/{ids(viewer)[COUNTER]}/33").json
    assert set(json.loads(told["ref"])) == {"uri", "pts_ns"}
    script = tmp_path / "snippet.py"
    script.write_text(
        told["python"].replace("print(", "import sys; sys.stdout.write(frame.ref.model_dump_json()); print(")
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(told["ref"])
    assert "(480, 640, 3)" in done.stdout


def test_headers(viewer: Viewer) -> None:
    for path in ("", "app.js", "style.css", "api/session", "api/0/frame/0/0", "nothing"):
        headers = ask(viewer, path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert "immutable" in ask(viewer, "api/0/frame/0/0").headers["cache-control"]
    assert ask(viewer, "api/session").headers["cache-control"] == "no-store"
    head = ask(viewer, "api/session", method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_page_loads_nothing_from_outside(viewer: Viewer) -> None:
    names = ["", *(path.name for path in (Path(__file__).parents[2] / "mediaref_tools/viewer/page").iterdir())]
    for name in names:
        answer = ask(viewer, name)
        assert answer.status == 200
        body = answer.body.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in body
        assert "https://" not in body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1].evil"])
def test_other_hosts_are_refused(viewer: Viewer, host: str) -> None:
    assert ask(viewer, "", host).status == 403
    assert ask(viewer, "api/session", host).status == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1:1", "[::1]:7000"])
def test_a_tunnel_may_have_another_port(viewer: Viewer, host: str) -> None:
    assert ask(viewer, "", host).status == 200


@pytest.mark.parametrize(
    "path",
    ["", "api/session", "x/api/session", "../", "%2e%2e/", "AAAAAAAAAAAAAAAAAAAAAA/", "AAAAAAAAAAAAAAAAAAAAAA/app.js"],
)
def test_nothing_without_the_key(viewer: Viewer, path: str) -> None:
    assert ask(viewer, path, token=False).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "../pyproject.toml", "..%2f..%2fetc/passwd", "/etc/passwd", "page/app.js", "./app.js", "app.js/../server.py",
        "api/0/frame/0/..%2f1", "api/0/times/99", "api/0/frame/9/0", "api/0/frame/0/300", "api/0/frame/0/-1", "api/0/",
        "api/x/times/0", "api/0/frame/0/0?w=abc", "api/0/value/0/0", "api/0/value/0/0?x=a&y=1", "manifest.json",
        "api/0/frame/0/999999999999999999999",
    ],
)  # fmt: skip
def test_nothing_but_what_there_is(viewer: Viewer, path: str) -> None:
    answer = ask(viewer, path)
    assert answer.status == 404
    assert answer.json["error"]


@pytest.mark.parametrize("query", ["lo=5&hi=5", "lo=-1&hi=9", "hi=70000", "palette=rainbow", "side=upper"])
def test_wrong_ways_to_show_a_frame(viewer: Viewer, query: str) -> None:
    answer = ask(viewer, f"api/0/frame/{ids(viewer)[DEPTH]}/0?{query}")
    assert answer.status == 500
    assert answer.json["error"]


def test_addresses_differ(dataset: Path) -> None:
    with view(dataset) as one, view(dataset) as other:
        assert urlsplit(one.url).path != urlsplit(other.url).path
        assert len(urlsplit(one.url).path) > 20
        assert urlsplit(one.url).hostname == "127.0.0.1"


def test_port_in_use(dataset: Path, viewer: Viewer) -> None:
    with pytest.raises(OutputError, match=rf"port {viewer.port}.*in use.*--port"):
        view(dataset, port=viewer.port)


def test_what_can_t_be_played(tmp_path: Path, dataset: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no video")
    plain = write_log(tmp_path / "talk.mcap", "mcap", [text("/talk", START_NS, "hello")])
    for path, error, words in (
        (tmp_path / "nowhere", LogNotFound, "no such file"),
        (tmp_path / "empty", MediarefError, "manifest.json"),
        (tmp_path / "notes.txt", DatasetError, "no video"),
        (plain, DatasetError, "no references"),
    ):
        with pytest.raises(error, match=words):
            view(path)
    with pytest.raises(TopicError, match="/none"):
        view(dataset, topics=["/none"])
    with pytest.raises(DatasetError):
        view(dataset, against=plain)


def test_plain_log_and_video(log: Path, dataset: Path) -> None:
    """Played as they are: frames are told by their numbers as well."""
    with view(log) as viewer:
        for index in (0, 7, 6, 299):
            answer = ask(viewer, f"api/0/frame/{ids(viewer)[COUNTER]}/{index}?w=640")
            assert frame_number(np.asarray(Image.open(io.BytesIO(answer.body)))) == index
            assert json.loads(answer.headers["x-mediaref-frame"])["status"] == "kept"
        assert ask(viewer, f"api/0/ref/{ids(viewer)[COUNTER]}/0").json["ref"] is None
    video = dataset / "media" / "counter" / "000000.mp4"
    with view(video) as viewer:
        for index in (0, 30, 31, 29, 28):
            answer = ask(viewer, f"api/0/frame/0/{index}?w=640")
            assert frame_number(np.asarray(Image.open(io.BytesIO(answer.body)))) == index


def test_damaged_segments(tmp_path: Path, dataset: Path) -> None:
    """What is missing or cut says so, frame by frame; all else plays."""
    copy = shutil.copytree(dataset, tmp_path / "drive")
    segments = sorted((copy / "media" / "counter").glob("*.mp4"))
    segments[0].unlink()
    os.truncate(segments[1], segments[1].stat().st_size // 2)
    with view(copy) as viewer:
        numbers = ids(viewer)
        missing = ask(viewer, f"api/0/frame/{numbers[COUNTER]}/0")
        assert (missing.status, "000000.mp4" in missing.json["error"]) == (500, True)
        assert str(tmp_path) not in missing.json["error"]
        run = ask(viewer, f"api/0/run/{numbers[COUNTER]}/0?n=3").body
        assert run.count(b"000000.mp4") == 3
        with open_dataset(dataset) as opened:
            uris = [ref.uri for ref in opened[COUNTER].refs]
        cut = max(at for at in range(COUNT) if uris[at].endswith("000001.mp4"))
        assert ask(viewer, f"api/0/frame/{numbers[COUNTER]}/{cut}").status == 500
        for topic, index, number in ((COUNTER, 299, 299), (RIGHT, 5, 5 + RIGHT_FIRST)):
            answer = ask(viewer, f"api/0/frame/{numbers[topic]}/{index}?w=640")
            assert frame_number(np.asarray(Image.open(io.BytesIO(answer.body)))) == number


def test_replaced(tmp_path: Path, dataset: Path) -> None:
    """Frames of a dataset that took its place are never shown under the labels of the old one."""
    copy = shutil.copytree(dataset, tmp_path / "drive")
    with view(copy) as viewer:
        topic = ids(viewer)[COUNTER]
        assert ask(viewer, f"api/0/frame/{topic}/0").status == 200
        other = write_log(
            tmp_path / "other.mcap",
            "mcap",
            numbered_topic(COUNTER, [START_NS + at * 50_000_000 for at in range(9)], first=700),
        )
        convert(other, copy, overwrite=True)
        gone = ask(viewer, f"api/0/frame/{topic}/1")
        assert (gone.status, "replaced" in gone.json["error"]) == (410, True)
        session = ask(viewer, "api/session").json
        assert (session["number"], len(session["topics"])) == (1, 1)
        answer = ask(viewer, "api/1/frame/0/1?w=640")
        assert frame_number(np.asarray(Image.open(io.BytesIO(answer.body)))) == 701
        shutil.rmtree(copy)
        assert ask(viewer, "api/1/frame/0/2").status == 410
        assert "no such file" in ask(viewer, "api/session").json["error"]


def test_compare(viewer: Viewer) -> None:
    """The source's own picture of a frame, and how far the decoded one is off: less than between two frames."""
    topic = ids(viewer)[COUNTER]

    def picture(index: int, side: str) -> Any:
        answer = ask(viewer, f"api/0/frame/{topic}/{index}?w=1920&side={side}")
        return np.asarray(Image.open(io.BytesIO(answer.body))).astype(np.int16)

    for index in (0, 91, 90, 299):
        assert frame_number(picture(index, "source").astype(np.uint8)) == index
        assert picture(index, "difference").mean() < 20
    assert picture(5, "all").shape == (480, 1920, 3)
    depth = ids(viewer)[DEPTH]
    answer = ask(viewer, f"api/0/frame/{depth}/4?w=640&side=difference&lo=0&hi=100")
    assert np.asarray(Image.open(io.BytesIO(answer.body))).max() < 8  # lossless: no difference at all


def test_no_source_at_hand(tmp_path: Path, dataset: Path, log: Path) -> None:
    copy = shutil.copytree(dataset, tmp_path / "elsewhere")
    with view(copy) as viewer:
        assert not any(topic["compare"] for topic in ask(viewer, "api/session").json["topics"])
        answer = ask(viewer, "api/0/frame/0/0?side=source")
        assert (answer.status, "nothing to compare" in answer.json["error"]) == (500, True)
    with view(copy, against=log) as viewer:
        assert all(topic["compare"] for topic in ask(viewer, "api/session").json["topics"])


def test_command_serves_until_interrupted(dataset: Path) -> None:
    command = [sys.executable, "-m", "mediaref_tools", "play", str(dataset), "--no-browser", "--at", "1.5s"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    assert "ssh -L" in process.stdout.readline()
    assert "Ctrl-C" in process.stdout.readline()
    where = urlsplit(url)
    with open_dataset(dataset) as opened:
        assert int(where.fragment.removeprefix("t=")) == opened.start_ns + 1_500_000_000
    connection = http.client.HTTPConnection("127.0.0.1", where.port or 0, timeout=20)
    connection.request("GET", f"{where.path}api/session")
    assert connection.getresponse().read()
    # A page that is still connected does not hold it up.
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    connection.close()
    assert (process.returncode, err) == (0, "")
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1"}, "linux", False),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", False),
        ({}, "darwin", True),
        ({"BROWSER": "firefox", "SSH_CONNECTION": "1"}, "linux", True),
    ],
)
def test_where_a_browser_can_be_seen(environment: dict[str, str], platform: str, expected: bool) -> None:
    assert can_open(environment, platform) is expected


def test_runs_of_frames(viewer: Viewer) -> None:
    """Each frame of a run with its own label; as many as there are."""
    topic = ids(viewer)[COUNTER]
    for first, count, stride, expected in ((0, 3, 1, [0, 1, 2]), (10, 4, 5, [10, 15, 20, 25]), (298, 6, 1, [298, 299])):
        body = ask(viewer, f"api/0/run/{topic}/{first}?n={count}&stride={stride}&w=320").body
        parts, at = [], 0
        while at < len(body):
            length = int.from_bytes(body[at : at + 4], "little")
            parts.append(body[at + 4 : at + 4 + length])
            at += 4 + length
        assert [json.loads(label)["index"] for label in parts[::2]] == expected
        numbers = [frame_number(np.asarray(Image.open(io.BytesIO(jpeg)))) for jpeg in parts[1::2]]
        assert numbers == expected
    assert ask(viewer, f"api/0/run/{topic}/0?n=99").status == 404
    assert ask(viewer, f"api/0/run/{topic}/0?n=2&stride=0").status == 404
