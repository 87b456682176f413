"""Topics of numbered pictures in every encoding that a log can hold, and one log of them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mediaref_tools.errors import ImageError
from mediaref_tools.samples.imagefiles import FileEncoding, can_write, file_pixels, image_file
from mediaref_tools.samples.rawimages import RawEncoding, raw_image, raw_pixels
from mediaref_tools.samples.recorder import Container, SampleMessage, header, write_log
from mediaref_tools.samples.scene import MAX_NUMBER, numbered_image

__all__ = [
    "ENCODINGS",
    "ENCODINGS_SIZE",
    "START_NS",
    "EncodingTopic",
    "ImageEncoding",
    "encoding_topics",
    "make_encodings",
    "numbered_pixels",
    "numbered_topic",
]

ImageEncoding = Literal[RawEncoding, FileEncoding]
"""What a topic may hold: an encoding of `sensor_msgs/Image`, or a kind of file in a CompressedImage."""

ENCODINGS: tuple[ImageEncoding, ...] = get_args(ImageEncoding)

ENCODINGS_SIZE = (96, 160)
"""Height and width of the pictures of `make_encodings`."""

START_NS = 1_700_000_000_000_000_000
"""When logs of this package begin."""

_DEEP = ("rgb16", "bgr16", "rgba16", "bgra16", "mono16", "16UC1", "bayer_rggb16", "bayer_bggr16", "bayer_gbrg16",
         "bayer_grbg16", "16SC1", "32SC1", "32FC1", "64FC1", "32FC3")  # fmt: skip
_PADDED = ("rgb8", "bgra8", "mono8", "8UC3", "rgb16", "mono16", "16UC1", "bayer_rggb8", "bayer_grbg16", "uyvy", "yuyv",
           "nv12", "nv21", "nv24", "i420", "32FC1", "zstd-gzip")  # fmt: skip


def numbered_topic(
    topic: str,
    times_ns: Iterable[int],
    *,
    encoding: ImageEncoding = "jpeg",
    size: tuple[int, int] | Callable[[int], tuple[int, int]] = (480, 640),
    step_padding: int = 0,
    trailing: int = 0,
    big_endian: bool = False,
    depth_header: bool = True,
    first: int = 0,
    latency_ns: int = 4_000_000,
    frame_id: str = "camera",
    quality: int = 85,
) -> list[SampleMessage]:
    """One image topic: message i was received at `times_ns[i]` and shows number `first` + i.

    Args:
        topic: Its name.
        times_ns: Log times in any order, repeats allowed.
        encoding: One of `ENCODINGS`. "jpeg" is 4:2:0.
        size: (height, width), or what gives them for message i; odd ones too, but for 4:2:2 and 4:2:0 yuv.
        step_padding: Bytes of 0xAA after each row of an Image, so that a reader that ignores `step` fails.
        trailing: Bytes of 0xAA after an Image's last row: librealsense writes 4.
        big_endian: The byte order of an Image, and its flag.
        depth_header: Whether compressedDepth begins with its 12 bytes.
        first: The first number. Numbers wrap at 65536.
        latency_ns: How much earlier than its log time a picture is stamped; not below 0.
        frame_id: Of every header.
        quality: Of lossy files.

    Raises:
        ImageError: The encoding is unknown, can't be written here or not in that size; or the size is too small to
            be numbered.
    """
    messages = []
    for index, log_time_ns in enumerate(times_ns):
        height, width = size(index) if callable(size) else size
        rgb = numbered_image((first + index) % (MAX_NUMBER + 1), width, height)
        head = header(log_time_ns - latency_ns, frame_id, index)
        if _is_raw(encoding):
            name = "Image"
            image = raw_image(rgb, encoding, big_endian=big_endian, step_padding=step_padding, trailing=trailing)
            body = SimpleNamespace(header=head, height=height, width=width, **image._asdict())
        else:
            name = "CompressedImage"
            file = image_file(
                rgb,
                encoding,
                quality=quality,
                depth_header=depth_header,
                step_padding=step_padding,
                trailing=trailing,
            )
            body = SimpleNamespace(header=head, **file._asdict())
        body.data = np.frombuffer(body.data, np.uint8)
        messages.append(SampleMessage(topic, f"sensor_msgs/msg/{name}", log_time_ns, body))
    return messages


def numbered_pixels(number: int, encoding: ImageEncoding, size: tuple[int, int]) -> NDArray[Any]:
    """The values of picture `number` as a reader should give them, exact where the encoding is lossless.

    Args:
        number: 0 to 65535.
        encoding: One of `ENCODINGS`.
        size: (height, width).

    Returns:
        What `raw_pixels` and `file_pixels` say; `viewable` makes a picture of it that `frame_number` reads.

    Raises:
        ImageError: As `numbered_topic`.
    """
    rgb = numbered_image(number, size[1], size[0])
    return raw_pixels(rgb, encoding) if _is_raw(encoding) else file_pixels(rgb, encoding)


def _is_raw(encoding: ImageEncoding) -> bool:
    if encoding not in ENCODINGS:
        raise ImageError(f"can't make an image of encoding {encoding!r}: one of {', '.join(ENCODINGS)}")
    return encoding in get_args(RawEncoding)


class EncodingTopic(NamedTuple):
    """A topic of the log of encodings: what `numbered_topic` is told besides its name and times."""

    encoding: ImageEncoding
    first: int
    step_padding: int = 0
    trailing: int = 0
    big_endian: bool = False
    depth_header: bool = True


def encoding_topics() -> dict[str, EncodingTopic]:
    """The topics of `make_encodings` by name: one of each encoding that can be written here, and of its odd forms.

    A topic begins with a number of its own, so that no picture is mistaken for one of another topic.
    """
    forms: list[tuple[str, ImageEncoding, dict[str, Any]]] = []
    for encoding in ENCODINGS:
        if not _is_raw(encoding) and not can_write(encoding):
            continue
        forms.append(("", encoding, {}))
        if encoding in _DEEP:
            forms.append(("/big_endian", encoding, {"big_endian": True}))
        if encoding in _PADDED:
            forms.append(("/padded", encoding, {"step_padding": 6, "trailing": 4}))
        if encoding.startswith("compressedDepth"):
            forms.append(("/bare", encoding, {"depth_header": False}))
    topics = {}
    for place, (form, encoding, settings) in enumerate(forms):
        name = f"/image_{encoding.replace('-', '_')}{form}"
        topics[name] = EncodingTopic(encoding, 100 * place, **settings)
    return topics


def make_encodings(path: str | Path, *, container: Container = "rosbag2-sqlite3", count: int = 10) -> Path:
    """Write a log of every encoding: the topics of `encoding_topics`, each `count` pictures of 160x96 at 10 Hz.

    Args:
        path: Must not exist: a file, or a folder where the container is a rosbag2.
        container: Which kind of log.
        count: Pictures a topic, at most 100: the next topic's numbers begin there.

    Returns:
        `path`.

    Raises:
        OutputError: Something is at `path`.
        LogError: The container is unknown.
    """
    times_ns = [START_NS + 100_000_000 * index for index in range(count)]
    messages = [
        numbered_topic(name, times_ns, size=ENCODINGS_SIZE, **topic._asdict())
        for name, topic in encoding_topics().items()
    ]
    return write_log(path, container, [message for each in messages for message in each])
