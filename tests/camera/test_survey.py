"""A plan's segments: where they begin, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mediaref_tools.camera.framing import split_annexb
from mediaref_tools.camera.picture import EARLY, EMPTY, TWO
from mediaref_tools.camera.survey import CameraPlan, survey
from mediaref_tools.image import ImageValue
from tests.camera.cameras import CAMERAS, START_NS, complete, decoded, log_time_ns, planned, record, recording, remuxed

SECOND = 1_000_000_000


def reasons(plan: CameraPlan) -> list[str]:
    return [plan.reasons[reason] for reason in plan.reason]


def starts(plan: CameraPlan) -> list[int]:
    return [int(np.flatnonzero(plan.segment == number)[0]) for number in range(len(plan.segments))]


def check_frames(folder: Path, packets: Sequence[bytes], plan: CameraPlan) -> None:
    """What each remuxed packet decodes to is what it decodes to by itself."""
    frames = remuxed(folder, "h264", packets, plan)
    alone = decoded("h264", packets, plan)
    assert sorted(alone) == sorted(frames)
    assert all(np.array_equal(frame, frames[at]) for at, frame in alone.items())


def test_an_empty_topic_has_no_segments() -> None:
    plan = survey([])
    assert [len(part) for part in plan] == [0, 0, 0, 0, 1, 0, 0]
    assert [array.dtype for array in (plan.segment, plan.pts_us, plan.dts_us, plan.keyframe, plan.reason)] == [
        np.int64, np.int64, np.int64, np.bool_, np.int32,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["h264", "h264 pyramid", "h265 closed", "h265 radl", "vp9", "av1"])
def test_a_segment_ends_at_the_first_keyframe_after_its_length(name: str, tmp_path: Path) -> None:
    found = recording(name)
    keyframes = np.flatnonzero(planned(found.codec, found.packets).keyframe).tolist()
    values = [(log_time_ns(at), ImageValue(data, found.codec, "packet")) for at, data in enumerate(found.packets)]
    plan = survey(values, segment_ns=SECOND // 10)
    assert starts(plan) == keyframes
    assert [segment.first_log_time_ns for segment in plan.segments] == [log_time_ns(at) for at in keyframes]
    plan = survey(values, segment_ns=(keyframes[1] + 1) * 40_000_000)
    assert starts(plan) == [0, keyframes[2]]
    for at, frame in remuxed(tmp_path, found.codec, found.packets, plan).items():
        assert np.array_equal(frame, complete(name)[at])


@pytest.mark.parametrize("name", ["h264 open", "h265 open"])
def test_no_segment_begins_where_leading_pictures_would_be_lost(name: str) -> None:
    found = recording(name)
    values = [(log_time_ns(at), ImageValue(data, found.codec, "packet")) for at, data in enumerate(found.packets)]
    plan = survey(values, segment_ns=1)
    assert starts(plan) == [0]
    assert plan.keyframe.sum() > 1


@pytest.mark.parametrize("change", [-5 * SECOND, 1001 * SECOND])
def test_a_jump_of_log_time_begins_a_segment_at_the_next_keyframe(change: int, tmp_path: Path) -> None:
    packets = recording("h264").packets
    times_ns = [log_time_ns(at) + (change if at >= 13 else 0) for at in range(len(packets))]
    plan = planned("h264", packets, times_ns)
    assert starts(plan) == [0, 20]
    rest = plan.pts_us[10:20]
    assert (np.diff(rest) > 0).all()
    assert rest[3] - rest[2] == (1 if change < 0 else 1_000_000_000)
    check_frames(tmp_path, packets, plan)


def test_a_gap_of_a_thousand_seconds_is_none() -> None:
    packets = recording("h264").packets
    times_ns = [START_NS + at * 1000 * SECOND for at in range(len(packets))]
    plan = survey(
        [(time, ImageValue(data, "h264", "packet")) for time, data in zip(times_ns, packets, strict=True)],
        segment_ns=10**18,
    )
    assert starts(plan) == [0]
    assert plan.pts_us.tolist() == [at * 1_000_000_000 for at in range(len(packets))]


def test_a_change_of_size_begins_a_segment(tmp_path: Path) -> None:
    camera = CAMERAS["h264"]
    packets = [*record(camera, 12).packets, *record(camera, 12, (128, 80), first=12).packets]
    plan = planned("h264", packets)
    assert starts(plan) == [0, 12]
    assert [(segment.width, segment.height) for segment in plan.segments] == [(96, 64), (128, 80)]
    check_frames(tmp_path, packets, plan)


@pytest.mark.parametrize("other", ["h264 pyramid", "h264 verbose"])
def test_a_change_of_parameter_sets_begins_a_segment(other: str, tmp_path: Path) -> None:
    packets = [*recording("h264").packets, *recording(other).packets]
    plan = planned("h264", packets)
    assert starts(plan) == [0, len(recording("h264").packets)]
    assert plan.segments[0].config != plan.segments[1].config
    assert [segment.b_frames for segment in plan.segments] == [False, other == "h264 pyramid"]
    check_frames(tmp_path, packets, plan)


def test_parameter_sets_that_stay_the_same_change_nothing(tmp_path: Path) -> None:
    packets = [*recording("h264").packets[:30], *recording("h264").packets]
    plan = planned("h264", packets)
    assert starts(plan) == [0]
    check_frames(tmp_path, packets, plan)


def test_a_topic_that_changes_its_codec() -> None:
    values = []
    for name, text in (("h264", "h264"), ("h265", "hevc_nvenc;yuv420p;bgr8;bgr8"), ("av1", "AV1"), ("vp9", "vp9")):
        values += [ImageValue(data, text, "packet") for data in recording(name).packets[:20]]
    plan = survey((log_time_ns(at), value) for at, value in enumerate(values))
    assert starts(plan) == [0, 20, 40, 60]
    assert [segment.codec for segment in plan.segments] == ["h264", "h265", "av1", "vp9"]


def test_a_codec_that_nobody_knows_is_embedded() -> None:
    packets = recording("h264").packets
    values = [ImageValue(data, "theora" if at == 4 else "h264", "packet") for at, data in enumerate(packets)]
    plan = survey((log_time_ns(at), value) for at, value in enumerate(values))
    assert "names no codec" in reasons(plan)[4]
    assert np.flatnonzero(plan.segment < 0).tolist() == [4, *range(5, 10)]


def test_parameter_sets_alone_are_embedded_and_harm_nobody(tmp_path: Path) -> None:
    """In a message of their own before each keyframe, as some cameras send them."""
    packets = []
    for data in recording("h264").packets:
        nals, _ = split_annexb(data)
        sets = [nal for nal in nals if nal[0] & 31 not in (1, 5)]
        rest = [nal for nal in nals if nal not in sets]
        packets += [b"".join(b"\0\0\0\1" + nal for nal in part) for part in (sets, rest) if part]
    plan = planned("h264", packets)
    alone = np.flatnonzero(plan.segment < 0)
    assert len(alone) == len(packets) - len(recording("h264").packets) > 1
    assert {reasons(plan)[at] for at in alone} == {EMPTY}
    assert len(plan.segments) == 1
    check_frames(tmp_path, packets, plan)


def test_two_pictures_in_a_message_are_embedded_with_all_that_need_them(tmp_path: Path) -> None:
    found = recording("h264").packets
    packets = [*found[:3], found[3] + found[4], *found[5:]]
    plan = planned("h264", packets)
    assert reasons(plan)[3] == TWO
    assert np.flatnonzero(plan.segment < 0).tolist() == list(range(3, 9))
    check_frames(tmp_path, packets, plan)


def test_intra_refresh_has_one_keyframe_only() -> None:
    packets = recording("h264 refresh").packets
    assert np.flatnonzero(planned("h264", packets).keyframe).tolist() == [0]
    plan = planned("h264", packets[1:])
    assert set(reasons(plan)) == {EARLY}
    assert plan.segments == ()


def test_a_sender_that_counts_out_of_order_or_anew_loses_nothing() -> None:
    """B-frames are counted as they are shown; a sender that begins anew does so with a keyframe."""
    found = recording("h264 pyramid")
    counts = [*found.numbers, *found.numbers]
    packets = [*found.packets, *found.packets]
    values = [ImageValue(data, "h264", "packet", counter=n) for data, n in zip(packets, counts, strict=True)]
    plan = survey((log_time_ns(at), value) for at, value in enumerate(values))
    assert (plan.segment >= 0).all()


def test_a_gap_in_the_count_is_a_packet_that_is_missing() -> None:
    packets = recording("vp9").packets
    values = [ImageValue(data, "vp9", "packet", counter=70 + at + (at > 13)) for at, data in enumerate(packets)]
    plan = survey((log_time_ns(at), value) for at, value in enumerate(values))
    assert np.flatnonzero(plan.segment < 0).tolist() == list(range(14, 20))


def test_nothing_of_the_packets_is_kept() -> None:
    """The memory of a survey is some numbers a packet."""
    import tracemalloc

    found = recording("h264 intra").packets
    big = [data + bytes(30_000) for data in found]  # zeros at the end are part of no NAL unit

    def peak(times: int) -> int:
        tracemalloc.start()
        survey((at, ImageValue(big[at % len(big)], "h264", "packet")) for at in range(times * len(big)))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(40) - peak(4) < 200 * 36 * len(big)
