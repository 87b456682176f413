"""The proof as `convert` uses it: whatever goes wrong on the way, no dataset is left behind that says it is right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from mediaref_tools.converters.rosbag1.reader import Rosbag1Reader

from mediaref_tools import convert, verify
from mediaref_tools.errors import ProofError
from mediaref_tools.log import LogWriter, Message, Record
from mediaref_tools.media.mediaref import MediaRef
from mediaref_tools.pixels.plane import plane
from mediaref_tools.sample import numbered_topic, write_log
from mediaref_tools.segments.segment import SegmentWriter
from tests.tamper import SETTINGS, START_NS, STEP_NS, messages


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("faults") / "log.bag", "rosbag1", messages())


class FaultyWriter:
    """A log's writer that does to its messages what `fault` says."""

    def __init__(self, writer: LogWriter, fault: str) -> None:
        self._writer, self._fault, self._copied = writer, fault, 0
        self.commit, self.abort = writer.commit, writer.abort

    def copy(self, message: Message) -> None:
        self._copied += 1
        if self._copied == 5 and self._fault == "lost message":
            return
        if self._copied == 5 and self._fault == "changed message":
            message = message._replace(data=bytes(message.data)[:-1] + b"?")
        self._writer.copy(message)

    def record(self, message: Message, record: Record) -> None:
        pts_ns = record.ref.pts_ns or 0
        if self._fault == "late record" and pts_ns == 3 * STEP_NS:
            record = replace(record, ref=MediaRef(uri=record.ref.uri, pts_ns=4 * STEP_NS))
        if self._fault != "lost record" or pts_ns != 3 * STEP_NS:
            self._writer.record(message, record)


@pytest.mark.parametrize(
    "fault", ["none", "late picture", "grey picture", "late record", "lost record", "lost message", "changed message"]
)
def test_a_fault_leaves_no_dataset_behind(
    fault: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, rewriter = SegmentWriter.add, Rosbag1Reader.rewriter
    last: dict[SegmentWriter, list[Any]] = {}

    def late(writer: SegmentWriter, frame: av.VideoFrame, pts_us: int) -> None:
        planes = [plane(frame, at).copy() for at in range(3)]
        for at, old in enumerate(last.get(writer, planes)):
            plane(frame, at)[:] = old if fault == "late picture" else 128
        last[writer] = planes
        add(writer, frame, pts_us)

    if fault.endswith("picture"):
        monkeypatch.setattr(SegmentWriter, "add", late)
    monkeypatch.setattr(Rosbag1Reader, "rewriter", lambda *arguments: FaultyWriter(rewriter(*arguments), fault))
    out = tmp_path / "out"
    if fault == "none":
        convert(log, out, settings=SETTINGS)
        return
    with pytest.raises(ProofError):
        convert(log, out, settings=SETTINGS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "topic",
    [b"/" + b"c" * 299, b"/cam\xff" + b"c" * 10, "/cámera 1".encode(), b"/-~.."],
    ids=["long", "not UTF-8", "not ASCII", "signs"],
)
def test_topics_of_any_name_are_converted_or_kept(topic: bytes, tmp_path: Path) -> None:
    plain = "/" + "c" * (len(topic) - 1)
    write_log(tmp_path / "log.bag", "rosbag1", numbered_topic(plain, [START_NS, START_NS + STEP_NS], size=(48, 80)))
    log = (tmp_path / "log.bag").read_bytes().replace(plain.encode(), topic)
    (tmp_path / "log.bag").write_bytes(log)
    report = convert(tmp_path / "log.bag", tmp_path / "out")
    assert report.frames + sum(kept.messages for kept in report.kept) == report.messages_out == 2
    assert verify(tmp_path / "out", against=tmp_path / "log.bag").ok
