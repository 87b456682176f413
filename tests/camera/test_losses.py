"""Packets that are missing, doubled, damaged, out of order: what a plan calls decodable decodes to the same pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mediaref_tools.camera.picture import EARLY, LOST, REPEATED, UNSET
from mediaref_tools.camera.survey import CameraPlan, survey
from mediaref_tools.image import ImageValue
from tests.camera.cameras import CAMERAS, complete, decoded, log_time_ns, planned, recording, remuxed

ALL = pytest.mark.parametrize("name", CAMERAS)
TELLING = pytest.mark.parametrize("name", [name for name, camera in CAMERAS.items() if camera.loses])


def check(folder: Path, name: str, kept: Sequence[int], plan: CameraPlan | None = None) -> CameraPlan:
    """Packets `kept` were recorded, in this order: plan, remux, decode, compare with the complete stream."""
    found = recording(name)
    packets = [found.packets[index] for index in kept]
    plan = planned(found.codec, packets) if plan is None else plan
    frames = remuxed(folder, found.codec, packets, plan)
    assert sorted(frames) == np.flatnonzero(plan.segment >= 0).tolist()
    for at, frame in frames.items():
        assert np.array_equal(frame, complete(name)[kept[at]]), (kept[at], at)
    assert ((plan.segment < 0) == (plan.reason > 0)).all()
    # The proof decodes what was recorded, less what is embedded, without any of our times: it must agree.
    alone = decoded(found.codec, packets, plan)
    assert sorted(alone) == sorted(frames)
    assert all(np.array_equal(frame, frames[at]) for at, frame in alone.items())
    return plan


@ALL
def test_all_packets_in_order(name: str, tmp_path: Path) -> None:
    found = recording(name)
    plan = check(tmp_path, name, range(len(found.packets)))
    assert (plan.segment == 0).all()
    assert plan.segments[0].b_frames == (list(found.numbers) != sorted(found.numbers))
    # In display order, times rise as the numbers do.
    assert np.argsort(plan.pts_us).tolist() == np.argsort(found.numbers).tolist()


@ALL
def test_start_in_the_middle(name: str, tmp_path: Path) -> None:
    count = len(recording(name).packets)
    keyframes = np.flatnonzero(planned(recording(name).codec, recording(name).packets).keyframe)
    for first in range(1, count, 3):
        plan = check(tmp_path, name, range(first, count))
        ahead = keyframes[keyframes >= first]
        early = int(ahead[0]) - first if len(ahead) else count - first
        # AV1 doesn't say what a frame is where no sequence header has said how to read it.
        assert {plan.reasons[reason] for reason in plan.reason[:early]} <= {UNSET if name[:3] == "av1" else EARLY}
        assert (plan.segment[:early] == -1).all()
        assert len(ahead) == 0 or plan.segment[early] == 0


@TELLING
def test_each_packet_missing_in_turn(name: str, tmp_path: Path) -> None:
    """Nothing before the missing one is embedded, nothing after the next keyframe but what leads it."""
    count = len(recording(name).packets)
    whole = planned(recording(name).codec, recording(name).packets)
    keyframes = np.flatnonzero(whole.keyframe)
    for missing in range(count):
        kept = [index for index in range(count) if index != missing]
        plan = check(tmp_path, name, kept)
        embedded = np.array([kept[at] for at in np.flatnonzero(plan.segment < 0)], dtype=np.int64)
        following = keyframes[keyframes > missing]
        stop = int(following[0]) if len(following) else count
        leading = {at for at in range(stop, count) if whole.pts_us[at] < whole.pts_us[min(stop, count - 1)]}
        assert set(embedded.tolist()) <= set(range(missing, stop)) | leading
        assert {plan.reasons[reason] for reason in plan.reason if reason} <= {LOST, EARLY, UNSET}


@pytest.mark.parametrize("name", ["h264 pyramid", "h265 closed"])
def test_a_missing_frame_that_nothing_refers_to_harms_nobody(name: str, tmp_path: Path) -> None:
    count = len(recording(name).packets)
    harmless = 0
    for missing in range(count):
        plan = planned(recording(name).codec, [p for at, p in enumerate(recording(name).packets) if at != missing])
        harmless += bool((plan.segment == 0).all())
    assert harmless >= count // 3


@ALL
def test_each_packet_missing_in_turn_where_the_sender_counts(name: str, tmp_path: Path) -> None:
    found = recording(name)
    count = len(found.packets)
    counts = found.numbers if CAMERAS[name].b_frames else range(count)
    for missing in range(0, count, 3):
        kept = [index for index in range(count) if index != missing]
        values = [ImageValue(found.packets[index], found.codec, "packet", counter=counts[index]) for index in kept]
        plan = survey((log_time_ns(at), value) for at, value in enumerate(values))
        check(tmp_path, name, kept, plan)
        if not CAMERAS[name].b_frames and missing < count - 1:
            assert (plan.segment < 0).any() or planned(found.codec, found.packets).keyframe[missing + 1]


@ALL
def test_doubled_packets(name: str, tmp_path: Path) -> None:
    if not CAMERAS[name].loses:
        pytest.skip("VP9: an inter frame with the bytes of the one before may be meant")
    count = len(recording(name).packets)
    for double in range(0, count, 4):
        kept = [*range(double + 1), *range(double, count)]
        plan = check(tmp_path, name, kept)
        assert np.flatnonzero(plan.segment < 0).tolist() == [double + 1]
        assert plan.reasons[plan.reason[double + 1]] == REPEATED


@TELLING
def test_swapped_packets(name: str, tmp_path: Path) -> None:
    count = len(recording(name).packets)
    for at in range(0, count - 1, 2):
        kept = [*range(at), at + 1, at, *range(at + 2, count)]
        check(tmp_path, name, kept)


GARBAGE = [b"", b"\0", b"\0\0\0\1", b"garbage", b"\0\0\0\1\xff\xff\xff", b"\0\0\0\1\x65", b"\xff" * 100, bytes(50)]


@pytest.mark.parametrize("garbage", GARBAGE)
@ALL
def test_garbage_ends_what_can_be_decoded_up_to_the_next_keyframe(name: str, garbage: bytes, tmp_path: Path) -> None:
    found = recording(name)
    count = len(found.packets)
    place = 14
    packets = [*found.packets[:place], garbage, *found.packets[place + 1 :]]
    plan = planned(found.codec, packets)
    frames = remuxed(tmp_path, found.codec, packets, plan)
    for at, frame in frames.items():
        assert np.array_equal(frame, complete(name)[at])
    assert plan.segment[place] == -1
    assert (plan.segment[:place] == 0).all()
    later = np.flatnonzero(planned(found.codec, found.packets).keyframe)
    if len(later[later > place]):
        assert plan.segment[int(later[later > place][0])] >= 0
        assert plan.segment[count - 1] >= 0
