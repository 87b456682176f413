"""A dataset as MCAP with video."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner
from mcap.reader import make_reader

from mediaref_tools.commands.export import command
from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.errors import DatasetError, FrameError, OutputError, TopicError, TrustError
from mediaref_tools.export.foxglove import IMAGE, SCHEMAS, VIDEO
from mediaref_tools.export.playlog import export_mcap
from mediaref_tools.export.remuxing import PacketSource
from mediaref_tools.plugins import open_log
from mediaref_tools.sample import frame_number, numbered_topic, write_log
from tests.smalllogs import CONTAINERS, camera, log_of, others

START_NS = 1_700_000_000_000_000_000
TIMES_NS = [START_NS + 33_000_001 * number for number in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    messages = [
        message._replace(publish_time_ns=message.log_time_ns - 7)
        for message in numbered_topic("/cam", TIMES_NS, size=(96, 128))
    ]
    convert(write_log(root / "log.mcap", "mcap", messages), root / "dataset")
    return root / "dataset"


def fields(data: bytes) -> dict[int, Any]:
    """A protobuf message's fields, read by the rules of its wire format alone."""
    stream, found = io.BytesIO(data), {}

    def varint() -> int:
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while stream.tell() < len(data):
        tag = varint()
        found[tag >> 3] = stream.read(varint()) if tag & 7 == 2 else varint()
    return found


def written(path: Path) -> list[tuple[Any, Any, dict[int, Any]]]:
    with path.open("rb") as stream:
        return [
            (channel, message, fields(message.data))
            for schema, channel, message in make_reader(stream).iter_messages()
            if schema is not None and schema.name == VIDEO
        ]


def numbers(messages: list[tuple[Any, Any, dict[int, Any]]]) -> list[int]:
    form = messages[0][2][4].decode()
    decoder = av.CodecContext.create({"h265": "hevc", "av1": "libdav1d"}.get(form, form), "r")
    frames = [frame for one in messages for frame in decoder.decode(av.Packet(one[2][3]))]
    frames += decoder.decode(None)
    return [frame_number(frame.to_ndarray(format="rgb24")) for frame in frames]


def test_shows_each_frame_at_its_time(folder: Path, tmp_path: Path) -> None:
    with open_dataset(folder) as dataset:
        report = export_mcap(dataset, tmp_path / "out.mcap")
    found = written(tmp_path / "out.mcap")
    assert [message.log_time for _, message, _ in found] == TIMES_NS
    assert [message.publish_time for _, message, _ in found] == [time_ns - 7 for time_ns in TIMES_NS]
    assert {channel.topic for channel, _, _ in found} == {"/cam"}
    assert numbers(found) == list(range(40))
    assert (report.frames, report.left_out) == (40, ())


def test_decodes_from_every_key_frame(folder: Path, tmp_path: Path) -> None:
    with open_dataset(folder) as dataset:
        export_mcap(dataset, tmp_path / "out.mcap")
        keys = [number for number, is_key in enumerate(dataset["/cam"].keyframes) if is_key]
    found = written(tmp_path / "out.mcap")
    assert len(keys) > 1
    for key in keys:
        assert numbers(found[key : key + 3]) == list(range(key, min(key + 3, 40)))


def test_a_range_begins_with_its_first_key_frame(folder: Path, tmp_path: Path) -> None:
    with open_dataset(folder) as dataset:
        keys = [number for number, is_key in enumerate(dataset["/cam"].keyframes) if is_key]
        start, first = keys[0] + 1, keys[1]
        report = export_mcap(dataset, tmp_path / "out.mcap", start_ns=TIMES_NS[start], stop_ns=TIMES_NS[39])
    assert numbers(written(tmp_path / "out.mcap")) == list(range(first, 39))
    assert [(one.frames, one.reason) for one in report.left_out] == [(first - start, "before the first key frame")]


def test_schema_is_the_descriptor_of_its_message() -> None:
    pytest.importorskip("google.protobuf")
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    for name, data in SCHEMAS.items():
        files = FileDescriptorSet.FromString(data).file
        assert f"{files[-1].package}.{files[-1].message_type[0].name}" == name
        assert list(files[-1].dependency) == [files[0].name]


def test_refuses_what_it_can_not_do(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mcap"
    with open_dataset(folder) as dataset:
        with pytest.raises(TopicError):
            export_mcap(dataset, out, topics=["/none"])
        with pytest.raises(FrameError, match="no frame lies there"):
            export_mcap(dataset, out, start_ns=TIMES_NS[-1] + 1)
        with pytest.raises(OutputError, match="into its dataset"):
            export_mcap(dataset, folder / "out.mcap")
        assert list(tmp_path.iterdir()) == []
        out.write_bytes(b"mine")
        with pytest.raises(OutputError, match="output exists"):
            export_mcap(dataset, out)
        with pytest.raises(OutputError, match="only an earlier export"):
            export_mcap(dataset, out, overwrite=True)
    assert out.read_bytes() == b"mine"


def test_names_a_segment_that_is_missing(folder: Path, tmp_path: Path) -> None:
    moved = tmp_path / "dataset"
    shutil.copytree(folder, moved)
    with open_dataset(moved) as dataset:
        segment = moved / dataset["/cam"].refs[0].uri
        segment.unlink()
        with pytest.raises(DatasetError, match=segment.name):
            export_mcap(dataset, tmp_path / "out.mcap")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_command_says_what_it_wrote(folder: Path, tmp_path: Path) -> None:
    arguments = [str(folder), "--to", "mcap", "--out", str(tmp_path / "out.mcap")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert "40 frames" in done.output
    again = CliRunner().invoke(command, [*arguments, "--overwrite", "--start", "0.1s"])
    assert again.exit_code == 3, again.output
    assert "before the first key frame" in again.output
    assert CliRunner().invoke(command, [*arguments, "--every", "2"]).exit_code == 2


def test_follows_no_reference_out_of_the_dataset(folder: Path) -> None:
    for uri in ("../log.mcap", "/etc/passwd", "media/../../log.mcap"):
        with pytest.raises(TrustError):
            PacketSource(folder).packet(uri, 0)


def test_av1_keeps_its_sequence_header_on_key_frames(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.mcap", "mcap", numbered_topic("/cam", TIMES_NS, size=(96, 128)))
    convert(log, tmp_path / "dataset", settings=Settings(codec="av1"))
    with open_dataset(tmp_path / "dataset") as dataset:
        export_mcap(dataset, tmp_path / "out.mcap")
        keys = [number for number, is_key in enumerate(dataset["/cam"].keyframes) if is_key]
    found = written(tmp_path / "out.mcap")
    assert {one[2][4] for one in found} == {b"av1"}
    assert numbers(found) == list(range(40))
    assert numbers(found[keys[1] :]) == list(range(keys[1], 40))


@pytest.mark.parametrize("codec", ["copy", "lossless"])
def test_files_are_handed_on_and_depth_is_left_out(tmp_path: Path, codec: Any) -> None:
    messages = numbered_topic("/cam", TIMES_NS, size=(96, 128), encoding="jpeg")
    messages += numbered_topic("/depth", TIMES_NS, size=(96, 128), encoding="16UC1")
    convert(write_log(tmp_path / "log.mcap", "mcap", messages), tmp_path / "dataset", settings=Settings(codec=codec))
    with open_dataset(tmp_path / "dataset") as dataset:
        report = export_mcap(dataset, tmp_path / "out.mcap")
    with (tmp_path / "out.mcap").open("rb") as stream:
        images = [
            fields(message.data)
            for schema, _, message in make_reader(stream).iter_messages()
            if schema is not None and schema.name == IMAGE
        ]
    sources = [message.body.data.tobytes() for message in messages if message.topic == "/cam"]
    assert [image[2] for image in images] == sources
    assert {image[3] for image in images} == {b"jpeg"}
    assert [(one.topic, one.frames) for one in report.left_out] == [("/depth", 40)]
    assert "ffv1" in report.left_out[0].reason


@pytest.mark.parametrize("container", CONTAINERS)
def test_all_other_messages_are_the_logs_own(tmp_path: Path, container: Any) -> None:
    log = log_of(tmp_path, container, [*camera(count=12), *others()])
    convert(log, tmp_path / "dataset")
    with open_dataset(tmp_path / "dataset") as dataset:
        report = export_mcap(dataset, tmp_path / "out.mcap")
        pictures = set(dataset)
    with open_log(log) as reader:
        wanted = sorted(
            (one.channel.topic, one.log_time_ns, one.publish_time_ns or one.log_time_ns, bytes(one.data))
            for one in reader.messages()
            if one.channel.topic not in pictures
        )
    with open_log(tmp_path / "out.mcap") as reader:
        found = sorted(
            (one.channel.topic, one.log_time_ns, one.publish_time_ns or one.log_time_ns, bytes(one.data))
            for one in reader.messages()
            if one.channel.topic not in pictures
        )
    assert found == wanted
    assert report.copied >= len(wanted) > 30
