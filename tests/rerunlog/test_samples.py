"""Packets of segments, made into what Rerun wants: every codec's decoder reads them without a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import pytest

from mediaref_tools.conversion.conversion import convert
from mediaref_tools.dataset.manifest import Settings
from mediaref_tools.dataset.opening import open_dataset
from mediaref_tools.rerunlog.samples import SAMPLES
from mediaref_tools.sample import frame_number

from ..camera.cameras import recording
from ..conversion.test_camera import TOPIC, recording_log
from ..smalllogs import camera, log_of


@pytest.mark.parametrize("codec", ["h264", "av1"])
def test_packets_decode_by_themselves_from_any_keyframe(tmp_path: Path, codec: Literal["h264", "av1"]) -> None:
    log = log_of(tmp_path, "mcap", camera(count=20, encoding="bgr8"))
    convert(log, tmp_path / "out", settings=Settings(codec=codec, gop=5))
    with open_dataset(tmp_path / "out") as dataset:
        topic = dataset["/camera"]
        keys = np.flatnonzero(topic.keyframes).tolist()
        assert len(keys) > 2
        for begin in (0, keys[2]):
            decoder = av.CodecContext.create("h264" if codec == "h264" else "libdav1d", "r")
            assert isinstance(decoder, av.VideoCodecContext)
            shown: list[Any] = []
            for index, stored in enumerate(topic.stored(np.arange(begin, len(topic))), begin):
                assert stored is not None
                assert stored.media_type == f"video/{codec}"
                shown += decoder.decode(av.Packet(SAMPLES[codec](stored.data, stored.extradata, index in keys)))
            shown += decoder.decode(None)
            assert [frame_number(frame.to_ndarray(format="rgb24")) for frame in shown] == list(range(begin, 20))


def test_a_camera_s_h265_is_what_it_recorded(tmp_path: Path) -> None:
    found = recording("h265")
    convert(recording_log(tmp_path / "source", found), tmp_path / "out")
    with open_dataset(tmp_path / "out") as dataset:
        topic = dataset[TOPIC]
        decoder = av.CodecContext.create("hevc", "r")
        assert isinstance(decoder, av.VideoCodecContext)
        shown: list[Any] = []
        for index, stored in enumerate(topic.stored(np.arange(len(topic)))):
            assert stored is not None
            data = SAMPLES["h265"](stored.data, stored.extradata, bool(topic.keyframes[index]))
            shown += decoder.decode(av.Packet(data))
        shown += decoder.decode(None)
        assert [frame_number(frame.to_ndarray(format="rgb24")) for frame in shown] == list(found.numbers)


@pytest.mark.parametrize("name", ["h264 pyramid", "h265 closed", "vp9"])
def test_what_rerun_can_t_take_is_not_offered(tmp_path: Path, name: str) -> None:
    convert(recording_log(tmp_path / "source", recording(name)), tmp_path / "out")
    with open_dataset(tmp_path / "out") as dataset:
        topic = dataset[TOPIC]
        offered = list(topic.stored(np.arange(len(topic))))
        assert len(offered) == len(topic)
        assert not [each for each in offered if each is not None and each.media_type.removeprefix("video/") in SAMPLES]
