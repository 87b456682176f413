"""What can't be restored is said in one line, with the file named, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import mediaref_tools as mrt
from mediaref_tools import plugins
from mediaref_tools.errors import DatasetError, LogError, OutputError, PluginError
from mediaref_tools.media.datauri import DataURI
from mediaref_tools.sample import START_NS, numbered_image
from tests import tamper
from tests.converters.hdf5logs import jpeg
from tests.smalllogs import camera, log_of
from tests.toylog import write_toy_log


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "dataset"
    tamper.make(folder)
    return folder


@pytest.fixture
def dataset(made: Path, tmp_path: Path) -> Path:
    source = made if (made / "manifest.json").is_file() else next(made.parent.rglob("manifest.json")).parent
    return Path(shutil.copytree(source, tmp_path / "dataset"))


def remove_segment(dataset: Path) -> None:
    tamper.segment(dataset, 1).unlink()


def alter_segment(dataset: Path) -> None:
    tamper.flipped(tamper.segment(dataset, 1), 2000)


def leave_media_behind(dataset: Path) -> None:
    shutil.rmtree(dataset / "media")


def lose_a_row(dataset: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        del rows[3]

    tamper.edit_rows(dataset, change)


def move_a_row(dataset: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[3]["media"] = {**rows[3]["media"], "pts_ns": rows[4]["media"]["pts_ns"]}

    tamper.edit_rows(dataset, change)


def lie_of_messages(dataset: Path) -> None:
    tamper.edit_manifest(dataset, lambda manifest: manifest.update(messages=manifest["messages"] + 1))


def forget_a_channel(dataset: Path) -> None:
    tamper.edit_manifest(dataset, lambda m: m["topics"][0].update(channels=m["topics"][0]["channels"] * 2))


def say_nonsense_of_a_definition(dataset: Path) -> None:
    tamper.edit_manifest(dataset, lambda m: m["topics"][0]["channels"][0].update(definition="no base64!"))


def lose_the_log(dataset: Path) -> None:
    (dataset / json.loads((dataset / "manifest.json").read_text())["log"]).unlink()


def lead_out(dataset: Path) -> None:
    tamper.edit_manifest(dataset, lambda m: m["topics"][0]["segments"][0].update(uri="../outside.mp4"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (remove_segment, "segment media/cam/000001.mp4 can't be read: No such file"),
        (
            alter_segment,
            "segment media/cam/000001.mp4 is not the file that was proved: its sha256 is [0-9a-f]{64}, not",
        ),
        (leave_media_behind, "segment media/cam/000000.mp4 can't be read: No such file"),
        (lose_a_row, "the record of /cam at log time"),
        (move_a_row, "the record of /cam at log time"),
        (lie_of_messages, "messages, its manifest says"),
        (forget_a_channel, "had 2 channels and has 1"),
        (say_nonsense_of_a_definition, "is no base64"),
        (lose_the_log, "no such file"),
        (lead_out, "leads out of the folder"),
    ],
)
def test_damaged_datasets(dataset: Path, tmp_path: Path, damage: Callable[[Path], None], told: str) -> None:
    damage(dataset)
    out = tmp_path / "out.mcap"
    with pytest.raises((DatasetError, LogError), match=told):
        mrt.restore(dataset, out)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatasetError, match="no manifest"):
        mrt.restore(tmp_path / "folder", tmp_path / "out")
    with pytest.raises(DatasetError, match="no manifest"):
        mrt.restore(tmp_path / "nothing", tmp_path / "out")


def test_what_is_there_stays(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mcap"
    out.write_bytes(b"somebody's own")
    with pytest.raises(OutputError, match="output exists"):
        mrt.restore(dataset, out)
    assert out.read_bytes() == b"somebody's own"
    with pytest.raises(OutputError, match="into its dataset"):
        mrt.restore(dataset, dataset / "again.mcap")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputError, match="output exists"):
        mrt.restore(dataset, tmp_path / "link")


def test_a_message_that_is_not_what_it_was_is_told_and_kept(dataset: Path, tmp_path: Path) -> None:
    """The packet is whole, the row says so too, but the hash is of another message."""

    def change(rows: list[dict[str, Any]]) -> None:
        row = next(row for row in rows if row["status"] == "embedded")
        row["source_digest"] = bytes(16)

    tamper.edit_rows(dataset, change)
    report = mrt.restore(dataset, tmp_path / "out.mcap")
    assert report.different == 1
    assert not report.kept_its_word
    assert f"frame {tamper.BROKEN} is not the message that was converted" in report.problems[0]


def test_copied_messages_are_held_against_the_conversion_s_hash(dataset: Path, tmp_path: Path) -> None:
    tamper.edit_manifest(dataset, lambda manifest: manifest.update(copied_digest="0" * 32))
    assert mrt.restore(dataset, tmp_path / "one.mcap").kept_its_word
    report = mrt.restore(dataset, tmp_path / "two.mcap", verify=True)
    assert not report.kept_its_word
    assert report.problems == ("messages that are no images are not those that were converted: their hashes differ",)


def test_embedded_picture_that_is_no_data(dataset: Path, tmp_path: Path) -> None:
    log = dataset / json.loads((dataset / "manifest.json").read_text())["log"]
    uri = DataURI.from_bytes(b"no image at all", "application/octet-stream").uri
    broken = uri.replace("base64,", "base64;")
    assert len(broken) == len(uri)
    if uri.encode() not in log.read_bytes():
        pytest.skip("the log's chunks are compressed: nothing can be changed in place")
    tamper.replaced(log, uri.encode(), broken.encode())
    with pytest.raises((DatasetError, LogError)):
        mrt.restore(dataset, tmp_path / "out.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_a_container_whose_converter_can_t_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = EntryPoint("toy", "tests.toylog:ToyConverter", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda **_: [stranger])
    pictures = [(START_NS + at, jpeg(numbered_image(at, 96, 64))) for at in range(9)]
    mrt.convert(write_toy_log(tmp_path / "log.toy", pictures), tmp_path / "dataset")
    with pytest.raises(LogError, match="the converter of toy can't turn its logs back"):
        mrt.restore(tmp_path / "dataset", tmp_path / "again.toy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "log.toy"]


def test_a_container_that_nobody_writes(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no converter writes new logs of 'floppy': expected one of mcap, rosbag1"):
        mrt.restore(dataset, tmp_path / "out", to="floppy")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_another_process_is_at_it(tmp_path: Path) -> None:
    log = log_of(tmp_path, "mcap", camera())
    mrt.convert(log, tmp_path / "dataset")
    (tmp_path / "out.mcap.partial").mkdir()
    (tmp_path / "out.mcap.partial" / "mine").touch()
    with pytest.raises(OutputError, match="left this behind"):
        mrt.restore(tmp_path / "dataset", tmp_path / "out.mcap")
    assert (tmp_path / "out.mcap.partial" / "mine").exists()
