"""References that others wrote: in logs of any container, in OWAMcap files, and in plain tables."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from mcap.writer import Writer
from PIL import Image

import mediaref_tools as mrt
from mediaref_tools.dataset.frameindex import NO_STAMP
from mediaref_tools.errors import DatasetError, FrameError, MediaNotFound, RefError, TrustError
from mediaref_tools.sample import frame_number, numbered_image, write_log
from tests.reallogs import real_log
from tests.smalllogs import CONTAINERS, SIZE, SUFFIX, camera, log_of, text, times

COUNT = 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A video of 20 numbered frames, and when each is shown."""
    folder = tmp_path_factory.mktemp("clip")
    mrt.convert(log_of(folder, "rosbag1", camera(count=COUNT)), folder / "set")
    with mrt.open_dataset(folder / "set") as dataset:
        return folder / "set" / dataset["/camera"].refs[0].uri, dataset["/camera"].pts_ns.tolist()


@pytest.fixture
def folder(tmp_path: Path, clip: tuple[Path, list[int]]) -> Path:
    """A folder with `videos/clip.mp4`, and a picture `still.png` that shows the number 500."""
    (tmp_path / "data" / "videos").mkdir(parents=True)
    shutil.copy(clip[0], tmp_path / "data" / "videos" / "clip.mp4")
    Image.fromarray(numbered_image(500, *SIZE[::-1])).save(tmp_path / "data" / "still.png")
    return tmp_path / "data"


def mediaref(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mediaref_tools", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def shown(topic: mrt.Topic) -> list[int]:
    return [frame_number(frame.data) for frame in topic]


def refs(pts_ns: list[int]) -> list[dict[str, Any]]:
    return [{"uri": "videos/clip.mp4", "pts_ns": time} for time in pts_ns]


@pytest.mark.parametrize("container", CONTAINERS)
def test_strings_of_json_in_a_log(folder: Path, clip: tuple[Path, list[int]], container: str) -> None:
    """As the seed's example writes them, with a chatter of other strings between."""
    rows = [text("/cam", time, json.dumps(ref)) for time, ref in zip(times(COUNT), refs(clip[1]), strict=True)]
    others = [
        text("/chatter", time + 5, word) for time, word in zip(times(4), ["a", "{}", "[1]", '{"uri"'], strict=True)
    ]
    still = [text("/cam", times(COUNT + 1)[-1], '{"uri": "still.png", "pts_ns": null}')]
    path = write_log(folder / f"log{SUFFIX[container]}", container, rows + others + still)  # type: ignore[arg-type]
    with mrt.open_dataset(path) as dataset:
        assert list(dataset) == ["/cam"]
        cam = dataset["/cam"]
        assert cam.log_times_ns.tolist() == times(COUNT + 1)
        assert shown(cam) == [*range(COUNT), 500]
        assert cam.status.tolist() == ["video"] * COUNT + ["still"]
        assert cam.pts_ns.tolist() == [*clip[1], -1]
        assert cam.sizes.tolist() == [list(SIZE)] * (COUNT + 1)
        assert frame_number(cam.at([times(COUNT)[7] + 3])[0].data) == 7
        assert dataset.start_ns == times(1)[0]
        with pytest.raises(DatasetError, match="no manifest"):
            _ = dataset.manifest


@pytest.mark.parametrize("record", ["typed", "string"])
def test_our_own_rewritten_log_opens_without_its_dataset(tmp_path: Path, record: Any) -> None:
    settings = mrt.Settings(record=record)
    mrt.convert(log_of(tmp_path, "mcap", camera(count=COUNT)), tmp_path / "set", settings=settings)
    (tmp_path / "set" / "frames.parquet").unlink()
    log = tmp_path / "set" / "source.mcap"
    with mrt.open_dataset(log) as dataset:
        assert shown(dataset["/camera"]) == list(range(COUNT))
        has_stamps = (dataset["/camera"].stamps_ns != NO_STAMP).all()
        assert has_stamps == (record == "typed")


def test_frames_table_of_a_dataset_is_a_plain_table_too(tmp_path: Path) -> None:
    mrt.convert(log_of(tmp_path, "mcap", camera(count=COUNT)), tmp_path / "set")
    with mrt.open_dataset(tmp_path / "set" / "frames.parquet") as dataset:
        assert list(dataset) == ["/camera"]
        assert shown(dataset["/camera"]) == list(range(COUNT))
        assert dataset["/camera"].log_times_ns.tolist() == times(COUNT)


def write_json_log(path: Path, topic: str, messages: list[tuple[int, Any]], schema: str = "{}") -> Path:
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="owa")
        schema_id = writer.register_schema("desktop/ScreenCaptured", "jsonschema", schema.encode())
        channel = writer.register_channel(topic, "json", schema_id)
        for time_ns, message in messages:
            writer.add_message(channel, time_ns, json.dumps(message).encode(), time_ns)
        writer.finish()
    return path


def test_json_messages_with_a_reference_in_them(folder: Path, clip: tuple[Path, list[int]]) -> None:
    messages = [
        (10 + number, {"utc_ns": 1, "shape": [96, 64], "media_ref": ref}) for number, ref in enumerate(refs(clip[1]))
    ]
    extra = [(9, {"media_ref": None}), (50, ["no", "object"]), (51, {"media_ref": {"uri": "x", "more": 1}}), (52, 5)]
    path = write_json_log(folder / "screen.mcap", "screen", [*extra, *messages])
    with mrt.open_dataset(path) as dataset:
        assert shown(dataset["screen"]) == list(range(COUNT))
        assert dataset["screen"].log_times_ns.tolist() == list(range(10, 10 + COUNT))


def test_channel_whose_schema_has_a_reference_is_shown_as_records(folder: Path) -> None:
    schema = '{"properties": {"media_ref": {"$ref": "#/$defs/MediaRef"}}}'
    path = write_json_log(folder / "screen.mcap", "screen", [(1, {"media_ref": None})], schema)
    done = mediaref("info", path, "--json")
    assert json.loads(done.stdout)["channels"][0]["role"] == "record"


@pytest.mark.parametrize(("name", "known"), [("0.5.1", 17), ("example", 590)])
def test_owamcap(name: str, known: int) -> None:
    """The video of `example` was cut by somebody: it ends at 7.021 s, its log's references at 10.14 s."""
    path = real_log(f"found/owamcap/{name}.mcap")
    with mrt.open_dataset(path) as dataset:
        screen = dataset["screen"]
        assert len(screen) == known
        with mrt.VideoDecoder(path.with_suffix(".mkv")) as video:
            pts_ns, end_ns = video.pts_ns, int(video.metadata.end_stream_seconds * 1e9)
        held = np.flatnonzero(screen.pts_ns < end_ns)
        assert len(held) == (17 if name == "0.5.1" else 413)
        chosen = pts_ns[np.searchsorted(pts_ns, screen.pts_ns[held], side="right") - 1]
        sample = held[:: max(1, len(held) // 8)]
        batch = screen.batch(sample)
        with mrt.VideoDecoder(path.with_suffix(".mkv")) as video:
            for frame, index in zip(batch, sample.tolist(), strict=True):
                assert np.array_equal(frame.data, video.frame_at(int(chosen[held.tolist().index(index)])).data)
        if len(held) < known:
            with pytest.raises(FrameError, match=r"screen: no frame is on screen at 10140000000 ns.*7021000000"):
                screen.batch([-1])


def struct_table(path: Path, rows: list[dict[str, Any]], **columns: Any) -> None:
    kind = pa.struct([("uri", pa.string()), ("pts_ns", pa.int64())])
    pq.write_table(pa.table({"media": pa.array(rows, kind), **columns}), path)


def flat(rows: list[dict[str, Any]]) -> pa.Table:
    pts = pa.array([row["pts_ns"] for row in rows], pa.int64())
    return pa.table({"uri": [row["uri"] for row in rows], "pts_ns": pts})


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], object]] = {
    "struct.parquet": struct_table,
    "flat.parquet": lambda path, rows: pq.write_table(flat(rows), path),
    "flat.csv": lambda path, rows: pyarrow.csv.write_csv(flat(rows), path),
    "list.json": lambda path, rows: path.write_text(json.dumps(rows)),
    "indented.json": lambda path, rows: path.write_text(json.dumps(rows, indent=2)),
    "lines.jsonl": lambda path, rows: path.write_text("".join(json.dumps(row) + "\n" for row in rows)),
    "lines.json": lambda path, rows: path.write_text("".join(json.dumps(row) + "\n\n" for row in rows)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_plain_tables(folder: Path, clip: tuple[Path, list[int]], name: str) -> None:
    rows = [*refs(clip[1])[::-1], {"uri": "still.png", "pts_ns": None}]
    WRITERS[name](folder / name, rows)
    with mrt.open_dataset(folder / name) as dataset:
        topic = "media" if name == "struct.parquet" else Path(name).stem
        assert list(dataset) == [topic]
        assert shown(dataset[topic]) == [*range(COUNT)[::-1], 500]
        assert dataset[topic].log_times_ns.tolist() == list(range(COUNT + 1))  # it tells no time: rows are counted


def test_stills_alone_without_the_other_column(folder: Path) -> None:
    for name, content in (("a.csv", "uri\nstill.png\n"), ("b.jsonl", '{"uri": "still.png"}\n')):
        (folder / name).write_text(content)
        with mrt.open_dataset(folder / name) as dataset:
            assert shown(dataset[name[0]]) == [500]


def test_table_with_topics_and_times(folder: Path, clip: tuple[Path, list[int]]) -> None:
    order = list(range(COUNT))[::-1]
    rows = [refs(clip[1])[number] for number in order]
    struct_table(
        folder / "t.parquet",
        rows,
        topic=["even" if number % 2 == 0 else "odd" for number in order],
        log_time_ns=pa.array([1000 + number for number in order], pa.int64()),
        stamp_ns=pa.array([None if number == 4 else number for number in order], pa.int64()),
    )
    with mrt.open_dataset(folder / "t.parquet") as dataset:
        assert sorted(dataset) == ["even", "odd"]
        assert shown(dataset["even"]) == list(range(0, COUNT, 2))
        assert dataset["odd"].log_times_ns.tolist() == list(range(1001, 1000 + COUNT, 2))
        assert dataset["even"].stamps_ns.tolist()[:4] == [0, 2, NO_STAMP, 6]


def test_two_columns_of_references_are_two_topics(folder: Path, clip: tuple[Path, list[int]]) -> None:
    kind = pa.struct([("uri", pa.string()), ("pts_ns", pa.int64())])
    left, right = refs(clip[1])[:3], [None, *refs(clip[1])[5:7]]
    pq.write_table(pa.table({"left": pa.array(left, kind), "right": pa.array(right, kind)}), folder / "t.parquet")
    with mrt.open_dataset(folder / "t.parquet") as dataset:
        assert {name: shown(topic) for name, topic in dataset.items()} == {"left": [0, 1, 2], "right": [5, 6]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "name\nx\n", "no references"),
        ("a.csv", "", "can't be read"),
        ("a.csv", "uri,pts_ns\nx,soon\n", "can't be read"),
        ("a.csv", "uri,pts_ns\nx,-4\n", "row 0 holds no reference: pts_ns"),
        ("a.json", "{", "can't be read"),
        ("a.json", '[{"uri": 5}]', "row 0 holds no reference: uri"),
        ("a.jsonl", '{"uri": "x", "log_time_ns": 0.5}\n', "log_time_ns"),
        ("a.parquet", "PAR1", "can't be read"),
        ("a.parquet", None, "no such file"),
    ],
)
def test_table_that_is_none_is_told(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(mrt.MediarefError, match=message) as caught:
        mrt.open_dataset(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_log_without_references_is_told(tmp_path: Path) -> None:
    path = log_of(tmp_path, "rosbag1", [text("/chatter", 5, "hello")])
    with pytest.raises(DatasetError, match="holds no references"):
        mrt.open_dataset(path)


@pytest.mark.parametrize("what", ["a log", "a table"])
def test_references_of_others_are_kept_to_their_folder(folder: Path, clip: tuple[Path, list[int]], what: str) -> None:
    secret = folder.parent / "secret.mp4"
    shutil.copy(clip[0], secret)
    Image.fromarray(numbered_image(501, *SIZE[::-1])).save(folder.parent / "secret.png")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    rows = [
        *(
            {"uri": uri, "pts_ns": 0}
            for uri in ("../secret.mp4", str(secret), f"file://{secret}", "http://127.0.0.1:9/x")
        ),
        *({"uri": uri, "pts_ns": None} for uri in ("../secret.png", "link.png", "memory://secret.png")),
    ]
    if what == "a log":
        path = write_log(
            folder / "log.bag", "rosbag1", [text("/t", 5 + at, json.dumps(row)) for at, row in enumerate(rows)]
        )
        name = "/t"
    else:
        path, name = folder / "t.jsonl", "t"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with mrt.open_dataset(path) as dataset:
        for number in range(len(rows)):
            with pytest.raises(TrustError, match=rf"{name} frame {number} refers to .*allow="):
                dataset[name].batch([number])
            with pytest.raises(TrustError):
                dataset[name].sizes  # noqa: B018
    with mrt.open_dataset(path, allow=folder.parent) as dataset:
        assert [frame_number(dataset[name][number].data) for number in (0, 1, 2, 4, 5)] == [0, 0, 0, 501, 501]
        for number in (3, 6):
            with pytest.raises(TrustError):
                dataset[name].batch([number])
    with mrt.open_dataset(path, allow="*") as dataset, pytest.raises(MediaNotFound):
        dataset[name].batch([6])


def test_commands_say_and_take_allow(folder: Path) -> None:
    Image.fromarray(numbered_image(501, *SIZE[::-1])).save(folder.parent / "out.png")
    (folder / "t.csv").write_text("uri\n../out.png\n")
    out = folder.parent / "exported"
    export = ["export", str(folder / "t.csv"), "--to", "frames", "--out", str(out)]
    play = ["play", str(folder / "t.csv"), "--terminal"]
    for command in (export, play):
        refused = mediaref(*command)
        assert refused.returncode == 1
        assert f"--allow {folder.parent}" in refused.stderr
        assert refused.stderr.count("\n") == 1
        allowed = mediaref(*command, "--allow", folder.parent)
        assert allowed.returncode == 0, allowed.stderr
    (picture,) = out.rglob("*.png")
    with Image.open(picture) as image:
        assert frame_number(np.asarray(image)) == 501


def test_a_media_that_is_missing_is_named(folder: Path) -> None:
    (folder / "t.csv").write_text("uri,pts_ns\nvideos/none.mp4,0\n")
    with mrt.open_dataset(folder / "t.csv") as dataset, pytest.raises(MediaNotFound, match=r"videos/none\.mp4"):
        dataset["t"].batch([0])


def test_few_videos_stay_open(folder: Path, clip: tuple[Path, list[int]]) -> None:
    rows = []
    for number in range(9):
        shutil.copy(clip[0], folder / f"{number}.mp4")
        rows.append({"uri": f"{number}.mp4", "pts_ns": clip[1][number]})
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with mrt.open_dataset(folder / "t.jsonl") as dataset:
        assert shown(dataset["t"]) == list(range(9))
        fds = Path("/proc/self/fd")
        if fds.exists():
            held = [link for link in fds.iterdir() if link.exists() and link.resolve().parent == folder]
            assert len(held) <= 4


def test_pictures_that_change_size_are_told_apart(folder: Path) -> None:
    Image.fromarray(numbered_image(7, 80, 48)).save(folder / "small.png")
    (folder / "t.csv").write_text("uri\nstill.png\nsmall.png\nstill.png\n")
    with mrt.open_dataset(folder / "t.csv") as dataset:
        with pytest.raises(FrameError, match="80x48"):
            dataset["t"].batch([0, 1])
        assert [len(batch) for batch in dataset["t"].batches(4)] == [1, 1, 1]


def test_bad_row_is_a_bad_reference(folder: Path) -> None:
    (folder / "t.csv").write_text("uri,pts_ns\nstill.png,0\n")
    with mrt.open_dataset(folder / "t.csv") as dataset, pytest.raises(RefError, match="still image"):
        dataset["t"].batch([0])
