"""Image files that hold a Bayer mosaic, as a publisher of `bayer_rggb8` with the compressed transport makes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mediaref_tools import Settings, convert, open_dataset, verify
from mediaref_tools.dataset.manifest import TopicCodec
from mediaref_tools.sample import SampleMessage, frame_number, header, numbered_image
from mediaref_tools.samples.rawimages import raw_pixels
from tests.encodings.matrix import places
from tests.smalllogs import log_of, times

COUNT = 6


def mosaics(kind: str, colours: str, size: tuple[int, int], first: int = 0) -> list[SampleMessage]:
    found = []
    for index, time_ns in enumerate(times(COUNT)):
        stream = io.BytesIO()
        picture = raw_pixels(numbered_image(first + index, *size[::-1]), f"bayer_{colours}8")
        Image.fromarray(picture).save(stream, kind, **({"quality": 95} if kind == "jpeg" else {}))
        body: Any = type("Body", (), {})()
        body.header, body.format = header(time_ns, "camera"), f"bayer_{colours}8; {kind} compressed "
        body.data = np.frombuffer(stream.getvalue(), np.uint8)
        found.append(SampleMessage("/mosaic", "sensor_msgs/msg/CompressedImage", time_ns, body))
    return found


def pixels(message: SampleMessage) -> NDArray[np.uint8]:
    """The mosaic, decoded by libavcodec: its inverse transform is not Pillow's to the last bit."""
    data = message.body.data.tobytes()
    context = av.CodecContext.create("mjpeg" if data[:2] == b"\xff\xd8" else "png", "r")
    assert isinstance(context, av.VideoCodecContext)
    (frame,) = context.decode(av.Packet(data))
    return frame.to_ndarray(format="gray").astype(np.uint8)


@pytest.mark.parametrize("size", [(72, 96), (73, 97)])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("how", ["h264", "keep", "copy"])
def test_mosaics_are_never_coded_with_loss(tmp_path: Path, kind: str, size: tuple[int, int], how: Any) -> None:
    colours = "grbg" if how == "h264" else "bggr"
    messages = mosaics(kind, colours, size)
    source = log_of(tmp_path, "mcap", messages)
    settings = Settings(topic_codecs=(TopicCodec(glob="/mosaic", codec=how),))
    report = convert(source, tmp_path / "out", settings=settings)
    became = {topic.codec for topic in report.topics}
    assert became == {"keep": set(), "copy": {"mjpeg" if kind == "jpeg" else "png"}}.get(
        how, {"mjpeg" if kind == "jpeg" else "ffv1"}
    )
    assert report.lossless
    with open_dataset(tmp_path / "out") as dataset:
        native = dataset["/mosaic"].batch(range(COUNT), "native").data
        rgb = dataset["/mosaic"].batch(range(COUNT)).data
        bgr = dataset["/mosaic"].batch(range(COUNT), "bgr").data
    expected = np.stack([pixels(message) for message in messages])
    assert np.array_equal(native, expected)
    assert (rgb.shape, rgb.dtype.name) == ((COUNT, *size, 3), "uint8")
    assert np.array_equal(rgb[..., ::-1], bgr)
    assert [frame_number(frame) for frame in rgb] == list(range(COUNT))
    own = np.take_along_axis(rgb, places(colours, size)[None, ..., None], axis=3)[..., 0]
    assert np.array_equal(own, expected)
    assert verify(tmp_path / "out", against=source).ok


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_debayer_makes_them_colour_video(tmp_path: Path, kind: str) -> None:
    source = log_of(tmp_path, "mcap", mosaics(kind, "gbrg", (73, 97)))
    report = convert(source, tmp_path / "out", settings=Settings(debayer=True))
    assert [(topic.codec, topic.height, topic.width) for topic in report.topics] == [("h264", 73, 97)]
    assert report.topics[0].psnr_p1_db is not None
    assert report.topics[0].psnr_p1_db > 30
    with open_dataset(tmp_path / "out") as dataset:
        rgb = dataset["/mosaic"].batch(range(COUNT)).data
    scene = np.stack([numbered_image(number, 97, 73) for number in range(COUNT)])
    assert [frame_number(frame) for frame in rgb] == list(range(COUNT))
    assert np.abs((rgb.astype(float) - scene).mean((0, 1, 2))).max() < 8, "colours are swapped"
    assert verify(tmp_path / "out", against=source).ok
