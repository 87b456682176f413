"""Frames as image files."""

from __future__ import annotations

import csv
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.batch import FrameBatch
from mediaref_tools.dataset.dataset import Dataset
from mediaref_tools.dataset.layout import topic_folder
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import DatasetError, FrameError, OutputError, TopicError
from mediaref_tools.export import imagefolder
from mediaref_tools.export.export import ExportReport, export_frames
from mediaref_tools.media.still import Still
from mediaref_tools.progress import Progress
from mediaref_tools.sample import SampleMessage, frame_number, numbered_topic, write_log

START_NS = 1_700_000_000_000_000_000
ODD = "/left cam/a-b"


def shortened(message: SampleMessage, size: int) -> SampleMessage:
    """The same, with less of its image."""
    body = SimpleNamespace(**vars(message.body))
    body.data = body.data[:size]
    return message._replace(body=body)


def log_messages() -> list[SampleMessage]:
    """`/cam`: 40 numbered JPEGs, three of them at one time, two of them cut; `ODD`: raw, of two sizes."""
    times_ns = [START_NS + 33_000_001 * number for number in range(40)]
    times_ns[11] = times_ns[12] = times_ns[10]
    cam = numbered_topic("/cam", times_ns, size=(96, 128))
    cam[20] = shortened(cam[20], 60)
    cam[21] = shortened(cam[21], 61)
    times_ns = [START_NS + 1_000_000_000 + 50_000_000 * number for number in range(6)]
    odd = numbered_topic(
        ODD, times_ns, encoding="rgb8", first=100, size=lambda number: (101, 131) if number < 3 else (96, 128)
    )
    return [message._replace(publish_time_ns=message.log_time_ns - 7) for message in [*cam, *odd]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    convert(write_log(root / "log.mcap", "mcap", log_messages()), root / "dataset")
    return root / "dataset"


@pytest.fixture
def dataset(folder: Path) -> Iterator[Dataset]:
    with open_dataset(folder) as opened:
        yield opened


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "frames"


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "frames.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def number(path: Path) -> int:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return frame_number(np.asarray(image))


@pytest.mark.parametrize(("format_", "suffix"), [("png", ".png"), ("jpeg", ".jpg")])
def test_each_file_shows_its_frame(dataset: Dataset, out: Path, format_: str, suffix: str) -> None:
    report = export_frames(dataset, out, format=format_)  # type: ignore[arg-type]
    assert sorted(path.name for path in out.iterdir()) == ["cam", "left~20cam-a~2Db"]
    rows = table(out / "cam")
    assert [int(row["index"]) for row in rows] == list(range(40))
    for row in rows:
        index = int(row["index"])
        if index in (20, 21):
            assert row["status"] == "embedded"
            continue
        assert row["file"].endswith(suffix)
        assert number(out / "cam" / row["file"]) == index
        assert int(row["log_time_ns"]) == int(dataset["/cam"].log_times_ns[index])
        assert row["file"].startswith(row["log_time_ns"])
        assert int(row["publish_time_ns"]) == int(row["log_time_ns"]) - 7
        assert int(row["stamp_ns"]) == int(dataset["/cam"].stamps_ns[index])
        assert (row["uri"], int(row["pts_ns"])) == tuple(dataset["/cam"].refs[index].model_dump().values())
        assert float(row["psnr_db"]) == pytest.approx(float(dataset["/cam"].psnr_db[index]), abs=0.001)
        assert row["status"] == "video"
    odd = table(out / "left~20cam-a~2Db")
    assert [number(out / "left~20cam-a~2Db" / row["file"]) for row in odd] == list(range(100, 106))
    files = [path for path in out.rglob("*") if path.suffix not in ("", ".csv")]
    assert report.frames == len(files) == 46
    assert report.bytes == sum(path.stat().st_size for path in files)
    assert not out.with_name("frames.partial").exists()


def test_png_holds_the_decoded_pixels(dataset: Dataset, out: Path) -> None:
    export_frames(dataset, out, topics=["/cam"], stride=13)
    for row in table(out / "cam"):
        with Image.open(out / "cam" / row["file"]) as image:
            assert (np.asarray(image) == dataset["/cam"][int(row["index"])].data).all()


def test_quality_of_jpeg(dataset: Dataset, tmp_path: Path) -> None:
    good = export_frames(dataset, tmp_path / "good", format="jpeg", quality=95)
    poor = export_frames(dataset, tmp_path / "poor", format="jpeg", quality=30)
    assert poor.bytes < good.bytes / 2


def test_frames_of_one_time_don_t_overwrite_each_other(dataset: Dataset, out: Path) -> None:
    export_frames(dataset, out, topics=["/cam"])
    stem = f"{int(dataset['/cam'].log_times_ns[10])}"
    names = [f"{stem}.png", f"{stem}_1.png", f"{stem}_2.png"]
    assert [number(out / "cam" / name) for name in names] == [10, 11, 12]
    assert sorted(names) == names


def test_names_don_t_depend_on_the_selection(dataset: Dataset, tmp_path: Path) -> None:
    export_frames(dataset, tmp_path / "all", topics=["/cam"])
    export_frames(dataset, tmp_path / "some", topics=["/cam"], stride=11)
    assert {row["index"] for row in table(tmp_path / "some" / "cam")} == {"0", "11", "22", "33"}
    for row in table(tmp_path / "some" / "cam"):
        same = (tmp_path / "all" / "cam" / row["file"]).read_bytes()
        assert (tmp_path / "some" / "cam" / row["file"]).read_bytes() == same


def test_names_are_padded() -> None:
    times_ns = np.array([-5, 0, 7, 7, 7, 2**63 - 1], np.int64)
    stems = imagefolder._stems(times_ns)
    assert stems[1:5] == ["0" * 19, "0" * 18 + "7", "0" * 18 + "7_1", "0" * 18 + "7_2"]
    assert stems[5] == "9223372036854775807"
    assert len(set(stems)) == 6


def test_embedded_frames_have_their_original_bytes(dataset: Dataset, out: Path) -> None:
    report = export_frames(dataset, out, topics=["/cam"])
    rows = [row for row in table(out / "cam") if row["status"] == "embedded"]
    sources = {message.log_time_ns: message for message in log_messages() if message.topic == "/cam"}
    for row in rows:
        data = (out / "cam" / row["file"]).read_bytes()
        assert data == sources[int(row["log_time_ns"])].body.data.tobytes()
        assert row["file"].endswith(".jpg")
        assert (row["uri"], row["pts_ns"], row["psnr_db"]) == ("", "", "")
    assert report.embedded == report.topics[0].embedded == len(rows) == 2


@pytest.mark.parametrize(
    ("media_type", "suffix"),
    [("image/jpeg", ".jpg"), ("image/png", ".png"), ("application/octet-stream", ".bin"), ("../../etc", ".bin")],
)
def test_suffix_of_embedded_frames(media_type: str, suffix: str) -> None:
    assert imagefolder._EMBEDDED_SUFFIX.get(media_type, ".bin") == suffix


@pytest.mark.parametrize(
    ("first", "stop", "stride", "expected"),
    [
        (None, None, 1, range(40)),
        (3, 6, 1, range(3, 6)),
        (3, None, 4, range(3, 40, 4)),
        (None, 3, 2, range(0, 3, 2)),
        (39, 40, 7, [39]),
        (10, 13, 1, [10, 11, 12]),
    ],
)
def test_range_is_half_open(
    dataset: Dataset, out: Path, first: int | None, stop: int | None, stride: int, expected: object
) -> None:
    def time_ns(index: int | None) -> int | None:
        return None if index is None else START_NS + 33_000_001 * index

    export_frames(dataset, out, topics=["/c*"], start_ns=time_ns(first), stop_ns=time_ns(stop), stride=stride)
    assert [int(row["index"]) for row in table(out / "cam")] == list(expected)  # type: ignore[call-overload]


def test_batches_are_bounded(dataset: Dataset, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    topic = dataset["/cam"]
    decode = topic.batch

    def batch(indices: list[int], wanted: str) -> FrameBatch:
        asked.append(len(indices))
        return decode(indices)

    monkeypatch.setattr(topic, "batch", batch)
    monkeypatch.setattr(imagefolder, "_BATCH_BYTES", 5 * 96 * 128 * 3)
    export_frames(dataset, out, topics=["/cam"])
    assert max(asked) == 5
    assert sum(asked) == 38


def test_progress(dataset: Dataset, out: Path) -> None:
    told: list[Progress] = []
    report = export_frames(dataset, out, on_progress=told.append)
    assert {state.stage for state in told} == {"export"}
    assert {state.total for state in told} == {46}
    assert [state.done for state in told] == sorted({state.done for state in told})
    assert told[-1].done == 46
    assert told[-1].bytes_out == report.bytes


def test_topic_without_frames_in_the_range_has_an_empty_table(dataset: Dataset, out: Path) -> None:
    report = export_frames(dataset, out, stop_ns=START_NS + 1)
    assert table(out / "left~20cam-a~2Db") == []
    assert [topic.frames for topic in report.topics] == [1, 0]


def test_nothing_in_the_range(dataset: Dataset, out: Path) -> None:
    with pytest.raises(FrameError, match=f"no frame lies before {START_NS}: .* {START_NS} to"):
        export_frames(dataset, out, stop_ns=START_NS)
    assert not out.exists()


def test_no_such_topic(dataset: Dataset, out: Path) -> None:
    with pytest.raises(TopicError, match=r"'/nope'.*/cam"):
        export_frames(dataset, out, topics=["/cam", "/nope"])


@pytest.mark.parametrize("options", [{"quality": 0}, {"quality": 101}, {"format": "gif"}])
def test_wrong_format(dataset: Dataset, out: Path, options: dict[str, object]) -> None:
    with pytest.raises(OutputError):
        export_frames(dataset, out, **options)  # type: ignore[arg-type]


def test_wrong_stride(dataset: Dataset, out: Path) -> None:
    with pytest.raises(FrameError):
        export_frames(dataset, out, stride=0)


def test_existing_output_is_refused(dataset: Dataset, out: Path) -> None:
    out.mkdir()
    with pytest.raises(OutputError, match="exists"):
        export_frames(dataset, out)
    assert list(out.iterdir()) == []


def test_overwrite_replaces_an_export(dataset: Dataset, out: Path) -> None:
    export_frames(dataset, out)
    export_frames(dataset, out, topics=["/cam"], stride=20, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["cam"]
    assert len(list((out / "cam").iterdir())) == 3
    assert [path.name for path in out.parent.iterdir()] == ["frames"]


def test_overwrite_spares_what_is_no_export(dataset: Dataset, out: Path) -> None:
    (out / "photos").mkdir(parents=True)
    (out / "photos" / "me.png").touch()
    with pytest.raises(OutputError, match="only an earlier export"):
        export_frames(dataset, out, overwrite=True)
    assert (out / "photos" / "me.png").exists()
    link = out.with_name("link")
    link.symlink_to(out)
    with pytest.raises(OutputError, match="only an earlier export"):
        export_frames(dataset, link, overwrite=True)


def test_never_into_the_dataset(dataset: Dataset, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for out in (folder / "frames", folder / "media", folder, folder.parent, folder / ".." / "dataset" / "x"):
        with pytest.raises(OutputError):
            export_frames(dataset, out, overwrite=True)
    assert sorted(folder.rglob("*")) == before


def test_failure_leaves_nothing(dataset: Dataset, out: Path) -> None:
    def fail(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_frames(dataset, out, on_progress=fail)
    assert list(out.parent.iterdir()) == []


def test_failure_leaves_the_earlier_export(dataset: Dataset, out: Path) -> None:
    export_frames(dataset, out, stride=20)
    before = sorted(out.rglob("*"))

    def fail(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_frames(dataset, out, overwrite=True, on_progress=fail)
    assert sorted(out.rglob("*")) == before


def test_damaged_segment(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "dataset")
    (copy / "media" / "cam" / "000000.mp4").write_bytes(b"")
    with open_dataset(copy) as dataset, pytest.raises(DatasetError):
        export_frames(dataset, tmp_path / "frames")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_full_disk_is_our_error(dataset: Dataset, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, picture: object, path: Path) -> int:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(imagefolder.ImageWriter, "_save", full)
    with pytest.raises(OutputError, match="No space left on device"):
        export_frames(dataset, out)
    assert list(out.parent.iterdir()) == []


def test_what_a_killed_export_left_is_swept_away(dataset: Dataset, out: Path) -> None:
    left = out.with_name("frames.partial")
    (left / "cam").mkdir(parents=True)
    (left / "cam" / "1.png").touch()
    (left / ".mediaref-partial").touch()
    export_frames(dataset, out, stride=20)
    assert [path.name for path in out.parent.iterdir()] == ["frames"]
    assert not (out / ".mediaref-partial").exists()


def test_what_somebody_else_left_is_not(dataset: Dataset, out: Path) -> None:
    left = out.with_name("frames.partial")
    left.mkdir()
    (left / "mine").touch()
    with pytest.raises(OutputError, match=r"not touched.*frames\.partial"):
        export_frames(dataset, out)
    assert (left / "mine").exists()


def test_two_exports_at_once(dataset: Dataset, out: Path) -> None:
    left = out.with_name("frames.partial")
    left.mkdir()
    mark = os.open(left / ".mediaref-partial", os.O_CREAT | os.O_RDWR)
    fcntl.flock(mark, fcntl.LOCK_EX)
    try:
        with pytest.raises(OutputError, match="another conversion, export or restoration"):
            export_frames(dataset, out)
        assert left.exists()
    finally:
        os.close(mark)


def test_report_can_be_read_back(dataset: Dataset, out: Path) -> None:
    report = export_frames(dataset, out, stride=20)
    assert ExportReport.model_validate_json(report.model_dump_json()) == report


def test_every_kind_of_picture_has_a_file_that_holds_it(tmp_path: Path) -> None:
    encodings = ("mono8", "mono16", "rgb16", "16UC1", "32FC1", "bayer_rggb8", "compressedDepth-rvl-32FC1", "rgb8")
    times_ns = [START_NS + number for number in range(3)]
    messages = [
        message
        for encoding in encodings
        for message in numbered_topic(f"/{encoding}", times_ns, encoding=encoding)  # type: ignore[arg-type]
    ]
    convert(write_log(tmp_path / "log.mcap", "mcap", messages), tmp_path / "dataset")
    with open_dataset(tmp_path / "dataset") as dataset:
        export_frames(dataset, tmp_path / "png")
        export_frames(dataset, tmp_path / "jpeg", format="jpeg")
        for encoding in encodings:
            for index, frame in enumerate(dataset[f"/{encoding}"].batch(range(3)).data):
                (path,) = (tmp_path / "png" / topic_folder(f"/{encoding}")).glob(f"*{times_ns[index]}.*")
                assert path.suffix == (".tiff" if frame.dtype == np.float32 else ".png")
                shown = (
                    np.asarray(Image.open(path))
                    if encoding != "rgb16"
                    else Still(path.read_bytes(), "").array("native")
                )
                np.testing.assert_array_equal(shown, frame)
                with Image.open(
                    tmp_path / "jpeg" / topic_folder(f"/{encoding}") / f"{times_ns[index]:019d}.jpg"
                ) as jpeg:
                    assert jpeg.mode == ("L" if encoding == "mono8" else "RGB")
