"""What is asked of a decoder that there is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mediaref_tools import MediaRef, VideoDecoder, batch_decode, convert
from mediaref_tools.errors import RefError
from tests.smalllogs import camera, log_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("media")
    convert(log_of(folder, "rosbag1", camera(count=3)), folder / "set")
    return str(folder / "set" / "media" / "camera" / "000000.mp4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decoder": "nvdec"}, "Unknown decoder backend 'nvdec'"),
        ({"decoder_options": {"device": "cuda"}}, "'pyav' has no option 'device'; it takes none"),
        ({"decoder": "torchcodec", "decoder_options": {"gpu": 0}}, "'torchcodec' has no option 'gpu'; it takes device"),
    ],
)
def test_decoders_and_options_that_there_are_not(clip: str, arguments: dict[str, Any], message: str) -> None:
    ref = MediaRef(uri=clip, pts_ns=0)
    for decode in (ref.to_ndarray, lambda **given: batch_decode([ref], **given)):
        with pytest.raises(RefError, match=message):
            decode(**arguments)


def test_formats_that_there_are_not(clip: str, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    wrong: Any = "hsv"
    with pytest.raises(RefError, match="'hsv' is none of rgb, bgr"):
        MediaRef(uri=str(tmp_path / "a.png")).to_ndarray(wrong)
    with pytest.raises(RefError, match="'hsv' is none of rgb, bgr"):
        MediaRef(uri=clip, pts_ns=0).to_ndarray(wrong)
    with VideoDecoder(clip) as video, pytest.raises(RefError, match="'hsv' is none of rgb, bgr"):
        video.frame_at(0, wrong)
