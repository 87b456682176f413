"""What a log holds beside messages: attachments, metadata, other datasets. That it is lost is noticed."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from mcap.reader import make_reader
from mcap.writer import Writer

from mediaref_tools import convert, verify
from tests.converters import hdf5logs
from tests.smalllogs import camera, log_of


def with_extras(source: Path, *, attachments: list[bytes], note: str) -> Path:
    """An MCAP file again, with attachments and metadata."""
    stream = io.BytesIO()
    writer = Writer(stream)
    with source.open("rb") as file:
        reader = make_reader(file)
        header = reader.get_header()
        writer.start(header.profile, header.library)
        ids: dict[int, int] = {}
        for schema, channel, message in reader.iter_messages():
            assert schema is not None
            if channel.id not in ids:
                schema_id = writer.register_schema(schema.name, schema.encoding, schema.data)
                ids[channel.id] = writer.register_channel(
                    channel.topic, channel.message_encoding, schema_id, channel.metadata
                )
            writer.add_message(ids[channel.id], message.log_time, message.data, message.publish_time, message.sequence)
    for data in attachments:
        writer.add_attachment(1, 2, "calibration.yaml", "text/yaml", data)
    writer.add_metadata("robot", {"note": note})
    writer.finish()
    source.write_bytes(stream.getvalue())
    return source


@pytest.mark.parametrize(
    ("attachments", "note", "told"),
    [
        ([b"a", b"b"], "it", ()),
        ([b"a", b"c"], "it", ("attachment 'calibration.yaml' differs from the source",)),
        ([b"b"], "it", ("attachment 'calibration.yaml' differs from the source",)),
        ([], "it", ("attachment 'calibration.yaml' is missing, of the source",) * 2),
        ([b"b", b"a"], "no", ("metadata 'robot' differs from the source",)),
    ],
    ids=["same", "another", "fewer", "none", "metadata"],
)
def test_changed_attachments_are_noticed(
    tmp_path: Path, attachments: list[bytes], note: str, told: tuple[str, ...]
) -> None:
    source = with_extras(log_of(tmp_path, "mcap", camera(count=3)), attachments=[b"a", b"b"], note="it")
    convert(source, tmp_path / "out")
    with_extras(tmp_path / "out" / source.name, attachments=attachments, note=note)
    assert verify(tmp_path / "out", against=source).problems == told
    assert verify(tmp_path / "out").ok, "alone there is nothing to compare it with"


def value(file: h5py.File) -> None:
    file["observations/qpos"][1, 2] = 9


def no_value(file: h5py.File) -> None:
    del file["action"]


def text(file: h5py.File) -> None:
    file["said"][1] = "by"


def attribute(file: h5py.File) -> None:
    file["observations"].attrs["rate"] = 51.0


def texts(file: h5py.File) -> None:
    file["observations"].attrs["names"] = ["a", "c"]


def own_attribute(file: h5py.File) -> None:
    del file["observations/images/cam_high"].attrs["lens"]


def root_attribute(file: h5py.File) -> None:
    file.attrs["sim"] = False


def group(file: h5py.File) -> None:
    del file["nothing"]


def link(file: h5py.File) -> None:
    del file["soft"]
    file["soft"] = h5py.SoftLink("/observations/qpos")


def hard_link(file: h5py.File) -> None:
    del file["hard"]
    file["hard"] = file["action"][()]


def scalar(file: h5py.File) -> None:
    file["scalar"][()] = 4.0


def packed(file: h5py.File) -> None:
    file["packed"][49] = 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (value, "observations/qpos differs from"),
        (no_value, "hard"),
        (text, "said differs from"),
        (attribute, "observations@rate differs from"),
        (texts, "observations@names differs from"),
        (own_attribute, "observations/images/cam_high@lens is missing, of"),
        (root_attribute, "@sim differs from"),
        (group, "nothing/ is missing, of"),
        (link, "soft -> /action (soft) is missing, of"),
        (hard_link, "hard -> action is missing, of"),
        (scalar, "scalar differs from"),
        (packed, "packed differs from"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_changed_datasets_are_noticed(tmp_path: Path, change: Callable[[h5py.File], None], told: str) -> None:
    source = hdf5logs.aloha(tmp_path / "x.hdf5", 3)
    with h5py.File(source, "r+") as file:
        file["observations"].attrs["rate"] = 50.0
        file["observations"].attrs["names"] = ["a", "b"]
        file["observations/images/cam_high"].attrs["lens"] = "wide"
        file["said"] = np.array(["hello", "bye"], h5py.string_dtype())
        file["scalar"] = 3.0
        file.create_group("nothing")
        file["soft"], file["hard"] = h5py.SoftLink("/action"), file["action"]
        file.create_dataset("packed", data=np.zeros(50), chunks=(10,), compression="gzip")
    convert(source, tmp_path / "out")
    assert verify(tmp_path / "out", against=source).problems == ()
    with h5py.File(tmp_path / "out" / source.name, "r+") as file:
        change(file)
    problems = verify(tmp_path / "out", against=source).problems
    assert any(line.startswith(told) and line.endswith(" the source") for line in problems), problems
