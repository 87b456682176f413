"""Damaged packets give our errors only, in bounded time."""

from __future__ import annotations

import random

import pytest

from mediaref_tools.camera.survey import survey
from mediaref_tools.camera.unit import UnitReader
from mediaref_tools.errors import ImageError
from mediaref_tools.image import ImageValue
from tests.camera.cameras import CAMERAS, log_time_ns, recording


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut, or with some bytes changed, most of them where headers are."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(min(len(changed), chance.choice((40, 40, 200, 10**6))))
        changed[place] = chance.choice((0, 1, 255, changed[place] ^ 1 << chance.randrange(8)))
    return bytes(changed[: chance.randrange(len(changed) + 1)] if chance.random() < 0.2 else changed)


@pytest.mark.parametrize("name", CAMERAS)
def test_damaged_packets_are_planned_like_any_others(name: str) -> None:
    found, chance = recording(name), random.Random(name)
    for _ in range(40):
        packets = [damaged(data, chance) if chance.random() < 0.3 else data for data in found.packets]
        plan = survey((log_time_ns(at), ImageValue(data, found.codec, "packet")) for at, data in enumerate(packets))
        assert len(plan.segment) == len(packets)
        assert ((plan.segment < 0) == (plan.reason > 0)).all()
        assert all(segment.config for segment in plan.segments)
        reader = UnitReader(found.codec)
        for at, data in enumerate(packets):
            try:
                unit = reader.unit(data)
            except ImageError:
                assert plan.segment[at] == -1
                continue
            if plan.segment[at] >= 0 and plan.keyframe[at]:
                assert unit.keyframe


@pytest.mark.parametrize("name", ["h264 verbose", "h265 open", "vp9 superframes", "av1"])
def test_packets_of_another_codec_are_refused(name: str) -> None:
    for other in ("h264", "h265", "vp9", "av1"):
        if other != recording(name).codec:
            packets = recording(name).packets
            plan = survey((log_time_ns(at), ImageValue(data, other, "packet")) for at, data in enumerate(packets))
            assert (plan.segment == -1).all(), other


def test_many_different_faults_are_told_apart_up_to_a_hundred() -> None:
    values = [ImageValue(bytes((0x12, 0, 0x32, 0x80 | n % 128, n // 128)), "av1", "packet") for n in range(5000)]
    plan = survey(enumerate(values))
    assert 100 <= len(plan.reasons) <= 102
    assert (plan.reason > 0).all()
